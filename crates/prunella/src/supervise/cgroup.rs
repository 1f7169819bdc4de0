//! A cgroup (v2) for a service's tree where this process may own one: then nothing escapes the kill, not even a process
//! that cleared its environment and outlived its supervisor. Without one the subreaper's walk does the same work.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::procfs;

/// A new cgroup below the caller's own, or `None` where the hierarchy is absent or not writable.
pub(super) fn create(name: &str) -> Option<PathBuf> {
    let dir = own()?.join(format!("prunella-{name}"));
    fs::create_dir(&dir).ok()?;
    // Without `cgroup.kill` (before Linux 5.14) it would be of no use here.
    if dir.join("cgroup.kill").exists() {
        Some(dir)
    } else {
        remove(&dir);
        None
    }
}

/// The directory of the caller's own cgroup.
fn own() -> Option<PathBuf> {
    let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = membership.lines().find_map(|line| line.strip_prefix("0::/"))?;
    // A path that leaves its namespace's root names nothing that could be owned.
    if path.split('/').any(|part| part == "..") {
        return None;
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    Some(mounts.lines().find_map(mount_point)?.join(path))
}

/// The mount point of a `cgroup2` line of mountinfo, if it shows the hierarchy from its root.
fn mount_point(line: &str) -> Option<PathBuf> {
    let (left, right) = line.split_once(" - ")?;
    let fields: Vec<&str> = left.split(' ').collect();
    (right.starts_with("cgroup2 ") && fields.get(3) == Some(&"/")).then(|| PathBuf::from(fields[4]))
}

/// Moves the calling process into the cgroup.
pub(super) fn join(dir: &Path) -> io::Result<()> {
    fs::write(dir.join("cgroup.procs"), "0")
}

/// Whether a process is in the cgroup.
pub(super) fn holds(dir: &Path, pid: i32) -> bool {
    members(dir).is_ok_and(|members| members.contains(&pid))
}

/// The processes in the cgroup and below.
pub(super) fn members(dir: &Path) -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    let mut queue = vec![dir.to_owned()];
    while let Some(dir) = queue.pop() {
        let text = fs::read_to_string(dir.join("cgroup.procs"))?;
        found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
        queue.extend(
            fs::read_dir(&dir)?
                .flatten()
                .filter(|e| e.path().is_dir())
                .map(|e| e.path()),
        );
    }
    Ok(found)
}

/// Kills every process in the cgroup and below at once, forks included.
pub(super) fn kill(dir: &Path) -> io::Result<()> {
    fs::write(dir.join("cgroup.kill"), "1")
}

/// Removes the cgroup, with those that the service made below it. A process that was just killed leaves it a moment
/// later, so this waits a little. One that still holds a process stays.
pub(super) fn remove(dir: &Path) {
    const ATTEMPTS: u32 = 100;
    for _ in 0..ATTEMPTS {
        match remove_now(dir) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => thread::sleep(Duration::from_millis(2)),
            _ => return,
        }
    }
}

fn remove_now(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)?.flatten().filter(|entry| entry.path().is_dir()) {
        remove_now(&entry.path())?;
    }
    fs::remove_dir(dir)
}

/// Whether every process in the cgroup is dead (zombies leave it when they die).
pub(super) fn is_empty(dir: &Path) -> bool {
    members(dir).map_or(true, |members| {
        members
            .iter()
            .all(|pid| procfs::stat(*pid).map_or(true, |stat| stat.is_zombie()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_unified_mount_counts() {
        let unified = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw";
        assert_eq!(mount_point(unified), Some(PathBuf::from("/sys/fs/cgroup")));
        assert_eq!(mount_point("30 24 0:26 /x /mnt rw - cgroup2 cgroup2 rw"), None);
        assert_eq!(mount_point("30 24 0:26 / /mnt rw - cgroup cgroup rw,cpu"), None);
        assert_eq!(mount_point("nonsense"), None);
    }
}
