//! Reads `/proc`: identities, trees, environments and descriptors of processes.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::PathBuf;

/// The fields of `/proc/PID/stat` that supervision uses (proc(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: i32,
    /// One letter: `R`, `S`, `D`, `T`, `Z`, …
    pub(super) state: u8,
    pub(super) ppid: i32,
    /// User and system time of the process itself, in clock ticks.
    pub(super) own_ticks: u64,
    /// User and system time of the children it has waited for, in clock ticks.
    pub(super) reaped_ticks: u64,
    pub(super) threads: u64,
    /// Clock ticks between boot and start: with the pid and the boot it names a process for ever.
    pub(super) start_ticks: u64,
    pub(super) rss_pages: u64,
}

impl Stat {
    pub(super) fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }
}

pub(super) fn stat(pid: i32) -> io::Result<Stat> {
    let text = fs::read(format!("/proc/{pid}/stat"))?;
    parse_stat(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/PID/stat"))
}

/// The command name may hold spaces and parentheses: fields are counted after the last `)`.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let text = std::str::from_utf8(&text[text.iter().rposition(|b| *b == b')')? + 1..]).ok()?;
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    // `fields[0]` is field 3 of proc(5).
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        pid: 0,
        state: *fields.first()?.as_bytes().first()?,
        ppid: fields.get(1)?.parse().ok()?,
        own_ticks: number(14)? + number(15)?,
        reaped_ticks: number(16)? + number(17)?,
        threads: number(20)?,
        start_ticks: number(22)?,
        rss_pages: number(24)?,
    })
}

/// The numeric entries of `/proc`. Processes come and go while it is read.
pub(super) fn pids() -> io::Result<Vec<i32>> {
    Ok(fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect())
}

/// Every process that could be read.
pub(super) fn all() -> io::Result<Vec<Stat>> {
    Ok(pids()?
        .into_iter()
        .filter_map(|pid| Some(Stat { pid, ..stat(pid).ok()? }))
        .collect())
}

/// The processes below `root`, without it, parents before children.
pub(super) fn descendants(root: i32, all: &[Stat]) -> Vec<Stat> {
    let mut children: HashMap<i32, Vec<&Stat>> = HashMap::new();
    for stat in all {
        children.entry(stat.ppid).or_default().push(stat);
    }
    let mut found: Vec<Stat> = Vec::new();
    let mut seen = HashSet::from([root]);
    let mut queue = vec![root];
    while let Some(parent) = queue.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            if seen.insert(child.pid) {
                queue.push(child.pid);
                found.push((*child).clone());
            }
        }
    }
    found
}

/// Identifies this boot of the machine: start ticks mean nothing across boots.
pub(super) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Whether the process was started with this variable. A process that cannot be read was not.
pub(super) fn has_variable(pid: i32, name: &str, value: &str) -> bool {
    let wanted = format!("{name}={value}");
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|env| env.split(|b| *b == 0).any(|entry| entry == wanted.as_bytes()))
}

/// The open descriptors of a process, with what each is.
pub(super) fn descriptors(pid: i32) -> io::Result<Vec<(i32, PathBuf)>> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?
        .flatten()
        .filter_map(|entry| {
            let fd = entry.file_name().to_str()?.parse().ok()?;
            Some((fd, fs::read_link(entry.path()).ok()?))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_command_name_does_not_shift_the_fields() {
        let line = b"42 (a) R 1 (b) S 7 42 42 0 -1 4194560 1 0 0 0 10 5 3 2 20 0 4 0 987 1000 55 rest";
        let stat = parse_stat(line).unwrap();
        assert_eq!(
            (stat.state, stat.ppid, stat.own_ticks, stat.reaped_ticks),
            (b'S', 7, 15, 5)
        );
        assert_eq!((stat.threads, stat.start_ticks, stat.rss_pages), (4, 987, 55));
        assert!(parse_stat(b"42 (x) S").is_none());
        assert!(parse_stat(b"").is_none());
    }

    #[test]
    fn descendants_follow_parents_and_survive_a_cycle() {
        let stat = |pid, ppid| Stat {
            pid,
            state: b'S',
            ppid,
            own_ticks: 0,
            reaped_ticks: 0,
            threads: 1,
            start_ticks: 0,
            rss_pages: 0,
        };
        let all = [stat(1, 0), stat(2, 1), stat(3, 2), stat(4, 1), stat(9, 8), stat(8, 9)];
        let mut pids: Vec<i32> = descendants(2, &all).iter().map(|s| s.pid).collect();
        assert_eq!(pids, [3]);
        pids = descendants(1, &all).iter().map(|s| s.pid).collect();
        pids.sort_unstable();
        assert_eq!(pids, [2, 3, 4]);
        assert_eq!(descendants(8, &all).len(), 1);
    }
}
