//! The processes of one test, found by what they carry: nothing of it may be left at the end.

use std::fs;
use std::path::Path;

/// A process that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) command: String,
}

fn read(pid: i32, file: &str) -> String {
    let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// Whether a process runs. A zombie does not.
pub(crate) fn alive(pid: i32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

fn stat(pid: i32) -> Option<(char, i32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    Some((words.next()?.chars().next()?, words.next()?.parse().ok()?))
}

/// The processes that this one has started and that still run.
pub(crate) fn children(parent: i32) -> Vec<Found> {
    found(|pid, _| stat(pid).is_some_and(|(_, of)| of == parent))
}

/// Every process that has this directory in its command, its environment or as its working directory, other than the
/// test itself.
pub(crate) fn of(dir: &Path) -> Vec<Found> {
    let marker = dir.to_string_lossy().into_owned();
    found(|pid, command| {
        let works_there = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
        works_there || command.contains(&marker) || read(pid, "environ").contains(&marker)
    })
}

fn found(wanted: impl Fn(i32, &str) -> bool) -> Vec<Found> {
    let own = std::process::id().cast_signed();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| *pid != own)
        .filter_map(|pid| {
            let (state, parent) = stat(pid)?;
            let command = read(pid, "cmdline");
            let runs = state != 'Z' && state != 'X' && wanted(pid, &command);
            runs.then_some(Found { pid, parent, command })
        })
        .collect()
}

/// Sends a signal.
pub(crate) fn signal(pid: i32, number: i32) {
    // SAFETY: kill takes numbers only; a process that is gone is an error that does not matter here.
    let _ = unsafe { libc::kill(pid, number) };
}

/// Ends all processes of this directory, also those that are started meanwhile.
pub(crate) fn end_all(dir: &Path) {
    for _ in 0..200 {
        let left = of(dir);
        if left.is_empty() {
            return;
        }
        for found in left {
            signal(found.pid, libc::SIGKILL);
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
