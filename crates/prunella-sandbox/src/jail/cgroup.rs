//! Control groups: limits and accounting of the whole tree, version 2 or version 1, where this process may make them.
//!
//! A group is always made below this process's own (or beside it where version 2 demands that), so that a jail can
//! never use more than what its caller is allowed.

mod find;

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use find::Place;

use super::lease;
use crate::Limits;

/// A group that exists until this is dropped.
pub(super) struct Cgroup {
    memory: PathBuf,
    pids: PathBuf,
    cpu: Option<PathBuf>,
    /// Version 2: one directory for all.
    unified: Option<OwnedFd>,
}

impl Cgroup {
    /// Makes a group with these limits, after having removed what a killed predecessor left.
    pub(super) fn create(limits: &Limits) -> Result<Self, String> {
        let place = find::place()?;
        let name = lease::own_name().map_err(|error| format!("/proc/self: {error}"))?;
        place.parents().for_each(remove_stale);
        let group = Self::make(&place, &name)?;
        group
            .limit(limits)
            .map_err(|error| format!("{}: {error}", group.memory.display()))?;
        Ok(group)
    }

    fn make(place: &Place, name: &str) -> Result<Self, String> {
        let make = |parent: &Path| -> Result<PathBuf, String> {
            let path = parent.join(name);
            fs::create_dir(&path).map_err(|error| format!("cannot make a group in {}: {error}", parent.display()))?;
            Ok(path)
        };
        match place {
            Place::Unified(parent) => {
                let path = make(parent)?;
                let open = fs::File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                Ok(Self {
                    memory: path.clone(),
                    pids: path.clone(),
                    cpu: Some(path),
                    unified: Some(open.into()),
                })
            }
            Place::Split { memory, pids, cpuacct } => {
                let memory = make(memory)?;
                // From here on a failure must remove what exists, which Drop does.
                let mut group = Self {
                    memory,
                    pids: PathBuf::new(),
                    cpu: None,
                    unified: None,
                };
                group.pids = make(pids)?;
                group.cpu = cpuacct.as_deref().map(make).transpose()?;
                Ok(group)
            }
        }
    }

    fn limit(&self, limits: &Limits) -> io::Result<()> {
        let memory = limits.memory_bytes.to_string();
        // Pid 1 of the jail is in the group as well.
        fs::write(
            self.pids.join("pids.max"),
            (u64::from(limits.processes) + 1).to_string(),
        )?;
        if self.unified.is_some() {
            fs::write(self.memory.join("memory.max"), memory)?;
            // Absent without swap; then there is nothing to limit.
            let _ = fs::write(self.memory.join("memory.swap.max"), "0");
            fs::write(self.memory.join("memory.oom.group"), "1")
        } else {
            fs::write(self.memory.join("memory.limit_in_bytes"), &memory)?;
            let _ = fs::write(self.memory.join("memory.memsw.limit_in_bytes"), memory);
            Ok(())
        }
    }

    /// For `clone3`: a version 2 group that the new process starts in.
    pub(super) fn start_in(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(AsFd::as_fd)
    }

    /// Moves a process in, where it did not start in it.
    pub(super) fn add(&self, pid: libc::pid_t) -> io::Result<()> {
        if self.unified.is_some() {
            return Ok(());
        }
        self.dirs()
            .try_for_each(|dir| fs::write(dir.join("cgroup.procs"), pid.to_string()))
    }

    fn dirs(&self) -> impl Iterator<Item = &PathBuf> {
        let split = self.unified.is_none().then_some([Some(&self.pids), self.cpu.as_ref()]);
        [&self.memory].into_iter().chain(split.into_iter().flatten().flatten())
    }

    /// Whether a process of the group was killed for want of memory.
    pub(super) fn out_of_memory(&self) -> bool {
        let file = if self.unified.is_some() {
            "memory.events"
        } else {
            "memory.oom_control"
        };
        number_after(&self.memory.join(file), "oom_kill ") > 0
    }

    /// User and system time of all processes, living and dead.
    pub(super) fn cpu(&self) -> Option<(Duration, Duration)> {
        let dir = self.cpu.as_ref()?;
        if self.unified.is_some() {
            let file = dir.join("cpu.stat");
            let micros = |key| Duration::from_micros(number_after(&file, key));
            return Some((micros("user_usec "), micros("system_usec ")));
        }
        let nanos = |name| {
            Some(Duration::from_nanos(
                fs::read_to_string(dir.join(name)).ok()?.trim().parse().ok()?,
            ))
        };
        Some((nanos("cpuacct.usage_user")?, nanos("cpuacct.usage_sys")?))
    }

    /// Most memory used at once, in bytes.
    pub(super) fn peak_memory(&self) -> Option<u64> {
        let file = if self.unified.is_some() {
            "memory.peak"
        } else {
            "memory.max_usage_in_bytes"
        };
        fs::read_to_string(self.memory.join(file)).ok()?.trim().parse().ok()
    }

    /// Kills everything in the group at once, where the kernel can (version 2, Linux 5.14).
    pub(super) fn kill(&self) {
        if self.unified.is_some() {
            let _ = fs::write(self.memory.join("cgroup.kill"), "1");
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.dirs()
            .filter(|dir| !dir.as_os_str().is_empty())
            .for_each(|dir| remove(dir));
    }
}

/// Removes a group whose processes are dead. The kernel may need a moment to let go of the last of them.
fn remove(dir: &Path) {
    const TRIES: u32 = 200;
    for _ in 0..TRIES {
        match fs::remove_dir(dir) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                std::thread::sleep(Duration::from_millis(1));
            }
            _ => return,
        }
    }
}

/// Removes groups of supervisors that are dead, with whatever still runs in them.
fn remove_stale(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        if name.to_str().is_some_and(lease::is_stale) {
            let dir = entry.path();
            if fs::write(dir.join("cgroup.kill"), "1").is_err() {
                kill_members(&dir);
            }
            remove(&dir);
        }
    }
}

fn kill_members(dir: &Path) {
    let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    for pid in text
        .lines()
        .filter_map(|line| line.parse().ok())
        .filter_map(rustix::process::Pid::from_raw)
    {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// The number after `key` at the start of a line.
fn number_after(file: &Path, key: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.trim().parse().ok())
        .unwrap_or(0)
}
