//! What a process tree uses, read from `/proc`: for hosts without control groups.

use std::fs;
use std::time::Duration;

/// Sums over all living processes of a tree.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tally {
    /// Processes, the root included.
    pub(super) processes: u32,
    /// Anonymous resident memory in bytes; pages of files and of shared memory are not counted, the latter are
    /// bounded by the size of their file system.
    pub(super) memory: u64,
    /// User and system time, that of dead and waited-for descendants included.
    pub(super) cpu: Duration,
}

/// Processes looked at; a tree is bounded by its limit of processes, this bounds a mistake.
const MAX_PROCESSES: usize = 1 << 16;

/// Sums over the tree below and including `root`. Orphans are in it because the jail's process 1 adopts them.
pub(super) fn of_tree(root: libc::pid_t) -> Tally {
    let mut tally = Tally::default();
    for pid in tree(root) {
        tally.processes += 1;
        tally.memory += anonymous(pid);
        tally.cpu += cpu(pid);
    }
    tally
}

/// The processes of a tree, parents before children.
pub(super) fn tree(root: libc::pid_t) -> Vec<libc::pid_t> {
    let mut pids = vec![root];
    let mut next = 0;
    while next < pids.len() && pids.len() < MAX_PROCESSES {
        children(pids[next], &mut pids);
        next += 1;
    }
    pids
}

/// Adds the children of every thread of `pid`.
fn children(pid: libc::pid_t, to: &mut Vec<libc::pid_t>) {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return;
    };
    for thread in threads.filter_map(Result::ok) {
        let text = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        to.extend(text.split_whitespace().filter_map(|n| n.parse::<libc::pid_t>().ok()));
    }
}

/// Resident minus shared pages of proc_pid_statm(5).
fn anonymous(pid: libc::pid_t) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages: Vec<u64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    match pages[..] {
        [_, resident, shared, ..] => resident.saturating_sub(shared) * rustix::param::page_size() as u64,
        _ => 0,
    }
}

/// Fields 14 to 17 of proc_pid_stat(5).
fn cpu(pid: libc::pid_t) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks: u64 = after_name
        .split(' ')
        .skip(11)
        .take(4)
        .filter_map(|n| n.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second().max(1))
}

/// Threads that the kernel counts for a user's `RLIMIT_NPROC`, now.
pub(super) fn threads_of(uid: u32) -> u32 {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let own = entries.filter(|entry| entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == uid));
    own.filter_map(|entry| {
        let text = fs::read_to_string(entry.path().join("stat")).ok()?;
        text.rsplit_once(") ")?.1.split(' ').nth(17)?.parse::<u32>().ok()
    })
    .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_counted() {
        let own = libc::pid_t::try_from(std::process::id()).unwrap();
        let tally = of_tree(own);
        assert!(tally.processes >= 1 && tally.memory > 0);
        assert!(tree(own).contains(&own));
    }
}
