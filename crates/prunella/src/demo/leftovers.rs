//! The last resort of cleaning up: finds what a daemon that was killed, or that is broken, has left running.
//!
//! A service outlives the death of its daemon by design. Here the whole installation is thrown away, so its processes
//! are ended: other processes of this executable that name the demo's directory, and every process that carries the
//! installation's marker. Nobody else's process does either.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use prunella_core::diagnose::plain;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The variable that every process of an installation carries.
const INSTANCE_VARIABLE: &str = "PRUNELLA_INSTANCE";
/// How long killed processes may take to disappear.
const PATIENCE: Duration = Duration::from_secs(5);

/// What belongs to one demo.
#[derive(Clone, Debug)]
pub(super) struct Belongings {
    /// The demo's directory, of a name that nothing else has.
    dir: PathBuf,
    /// This executable.
    program: PathBuf,
    /// `PRUNELLA_INSTANCE=…`, once the daemon has chosen it.
    marker: Option<Vec<u8>>,
}

impl Belongings {
    /// Of the demo in this directory, whose state directory is `home`.
    pub(super) fn of(dir: &Path, home: &Path, program: &Path) -> Self {
        let instance = fs::read_to_string(home.join("instance")).ok();
        let instance = instance.map(|i| i.trim().to_owned()).filter(|i| i.len() >= 16);
        Self {
            dir: dir.to_owned(),
            program: program.to_owned(),
            marker: instance.map(|i| format!("{INSTANCE_VARIABLE}={i}").into_bytes()),
        }
    }

    fn owns(&self, process: &Path) -> bool {
        let read = |name: &str| fs::read(process.join(name)).unwrap_or_default();
        let environment = read("environ");
        let is_marked = self
            .marker
            .as_ref()
            .is_some_and(|m| environment.split(|b| *b == 0).any(|entry| entry == m));
        is_marked || (self.is_this_program(process) && (self.is_named_in(&read("cmdline")) || self.is_inside(process)))
    }

    fn is_this_program(&self, process: &Path) -> bool {
        let Ok(exe) = fs::read_link(process.join("exe")) else {
            return false;
        };
        // After a rebuild the old file is gone, and the kernel says so behind the name.
        let name = exe.as_os_str().as_bytes();
        let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
        OsStr::from_bytes(name) == self.program.as_os_str()
    }

    fn is_named_in(&self, text: &[u8]) -> bool {
        let dir = self.dir.as_os_str().as_bytes();
        text.windows(dir.len()).any(|window| window == dir)
    }

    fn is_inside(&self, process: &Path) -> bool {
        fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&self.dir))
    }

    /// The processes that run now, without this one.
    pub(super) fn running(&self) -> Vec<i32> {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let Ok(all) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        all.flatten()
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<i32>().ok()?, entry.path())))
            .filter(|(pid, path)| *pid != own && self.owns(path))
            .map(|(pid, _)| pid)
            .collect()
    }

    /// Kills them and waits until they are gone; returns their command lines. Blocks for at most five seconds.
    pub(super) fn end(&self) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut ended = BTreeMap::new();
        loop {
            let running = self.running();
            if running.is_empty() || Instant::now() > deadline {
                return ended.into_values().collect();
            }
            for pid in running {
                ended.entry(pid).or_insert_with(|| command_line(pid));
                self.kill(pid);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn kill(&self, pid: i32) {
        let Some(handle) = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
            return;
        };
        // Looked at again with the handle in hand: the number may have become somebody else's.
        if self.owns(&PathBuf::from(format!("/proc/{pid}"))) {
            let _ = pidfd_send_signal(&handle, Signal::KILL);
        }
    }
}

fn command_line(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = bytes
        .split(|b| *b == 0)
        .filter(|w| !w.is_empty())
        .map(String::from_utf8_lossy)
        .collect();
    plain(&words.join(" "), 120)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Child, Command, Stdio};

    #[allow(clippy::disallowed_methods, reason = "a process to be found")]
    fn cat(dir: &Path, env: &str) -> Child {
        let mut command = Command::new("cat");
        command
            .current_dir(dir)
            .env(INSTANCE_VARIABLE, env)
            .stdin(Stdio::piped());
        command.spawn().unwrap()
    }

    #[test]
    fn only_what_carries_the_marker_or_runs_this_program_there_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let instance = format!("{:032x}", std::process::id());
        fs::write(dir.path().join("instance"), &instance).unwrap();
        let mut stranger = cat(dir.path(), "another-installation");
        let mut marked = cat(Path::new("/"), &instance);
        let belongings = Belongings::of(dir.path(), dir.path(), Path::new("/no/such/program"));
        // A process is its parent's copy until it has become the new program.
        while belongings.running().is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(belongings.end(), ["cat"]);
        assert_eq!(marked.wait().unwrap().signal(), Some(9));
        assert!(stranger.try_wait().unwrap().is_none());

        let exe = fs::read_link(format!("/proc/{}/exe", stranger.id())).unwrap();
        assert_eq!(Belongings::of(dir.path(), dir.path(), &exe).end(), ["cat"]);
        assert_eq!(stranger.wait().unwrap().signal(), Some(9));
    }
}
