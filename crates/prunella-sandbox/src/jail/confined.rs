//! Tier C: no namespaces. The command runs among the host's processes, on private copies, fenced by Landlock (files,
//! signals, tracing) and seccomp (no sockets at all).
//!
//! Paths cannot be mounted elsewhere, so the specification is rewritten: where a mount's target, the home directory
//! or `/tmp` begins an argument, an element of an environment variable or the working directory, the true place is
//! put instead.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::bubble::Bubble;
use super::identity::Identity;
use super::landlock::Grant;
use super::payload::{Command, Fds, Fence};
use super::room::Room;
use super::status::{Status, Teller};
use super::sys::{self, Forked};
use super::{copy, tally};
use crate::{JailSpec, MountKind, SandboxError};

/// The process above the command: makes the copies, adopts and kills what is left.
pub(super) struct Head<'a> {
    pub(super) spec: &'a JailSpec,
    pub(super) identity: Identity,
    pub(super) room: &'a Room,
    /// Bubblewrap, where that builds the jail.
    pub(super) wrapper: Option<&'a Path>,
    pub(super) bubble: Option<Bubble>,
    pub(super) teller: Teller,
    pub(super) go: OwnedFd,
    pub(super) fds: Fds,
}

impl Head<'_> {
    /// Never returns to the code of the supervisor, of which this process is a copy.
    pub(super) fn run(mut self) -> ! {
        match self.start() {
            Ok(command) => self.reap(command),
            Err(error) => self.teller.fail(error),
        }
        sys::exit(0)
    }

    fn start(&mut self) -> Result<libc::pid_t, SandboxError> {
        let step = |name: &'static str| move |error: std::io::Error| SandboxError::setup(name, error);
        sys::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong).map_err(step("watch the supervisor"))?;
        sys::prctl(libc::PR_SET_CHILD_SUBREAPER, 1).map_err(step("adopt orphans"))?;
        let mut byte = [0];
        rustix::io::fcntl_dupfd_cloexec(&self.go, 0)
            .map_err(std::io::Error::from)
            .and_then(|go| std::fs::File::from(go).read_exact(&mut byte))
            .map_err(step("wait for the supervisor"))?;
        let mut places = self.make_places()?;
        let rewritten;
        let (spec, fence) = match self.wrapper {
            None => {
                rewritten = places.rewrite(self.spec);
                (&rewritten, Fence::Landlock(std::mem::take(&mut places.grants)))
            }
            Some(program) => {
                let owner = (self.identity.uid(), self.identity.gid());
                let sources: Vec<PathBuf> = places.of_mounts().cloned().collect();
                let mut bubble = Bubble::new(program, self.spec, self.room, &sources, owner)?;
                self.fds.extra.append(&mut bubble.fds);
                (self.spec, Fence::Bubblewrap(self.bubble.insert(bubble)))
            }
        };
        // The kernel counts all processes of the user.
        let counted = tally::threads_of(self.identity.uid());
        let processes = spec.limits.processes.saturating_add(counted);
        let command = Command {
            spec,
            identity: self.identity,
            fence,
            processes,
        };
        match sys::fork(0, None).map_err(step("start the command"))? {
            Forked::Child => {
                // The order survives exec, so that at least the command itself dies with this process.
                let _ = sys::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong);
                command.run(&mut self.fds, &mut self.teller)
            }
            Forked::Parent { pid, .. } => {
                self.fds.close();
                Ok(pid)
            }
        }
    }

    /// Makes the copies, says where everything is and what may be done there.
    fn make_places(&self) -> Result<Places, SandboxError> {
        let owner = match self.identity {
            Identity::Dropped { uid, gid, .. } => Some((uid, gid)),
            Identity::UserNamespace { .. } => None,
        };
        let mut places = Places::of_system(self.spec, self.room);
        let mut budget = self.spec.limits.scratch_bytes;
        for (n, mount) in self.spec.mounts.iter().enumerate() {
            let (place, grant) = match &mount.kind {
                MountKind::ReadOnly => (mount.source.clone(), Grant::Read),
                MountKind::Writable => (mount.source.clone(), Grant::Write),
                MountKind::Tmpfs { .. } => (self.empty(n, owner)?, Grant::Write),
                MountKind::Overlay { scratch } => {
                    let to = scratch
                        .as_ref()
                        .map_or_else(|| self.room.path(&n.to_string()), |dir| dir.join("copy"));
                    std::fs::canonicalize(&mount.source)
                        .and_then(|source| copy::tree(&source, &to, owner, &mut budget))
                        .map_err(|e| SandboxError::setup(format!("copy {}", mount.source.display()), e))?;
                    (to, Grant::Write)
                }
            };
            places.moved.push((mount.target.clone(), place.clone()));
            places.grants.push((place, grant));
        }
        Ok(places)
    }

    fn empty(&self, n: usize, owner: Option<(u32, u32)>) -> Result<PathBuf, SandboxError> {
        let path = self.room.path(&n.to_string());
        let owner = owner.unzip();
        std::fs::create_dir(&path)
            .and_then(|()| std::os::unix::fs::chown(&path, owner.0, owner.1))
            .map_err(|error| SandboxError::setup(format!("make {}", path.display()), error))?;
        Ok(path)
    }

    /// Reaps until the command has ended, then kills whatever it left.
    fn reap(&mut self, command: libc::pid_t) {
        loop {
            match sys::wait(-1, 0) {
                Ok(Some(done)) if done.pid == command => {
                    let left = kill_below();
                    return self.tell_end(done.status, left);
                }
                Ok(_) => {}
                Err(error) => return self.teller.fail(SandboxError::setup("wait for the command", error)),
            }
        }
    }

    fn tell_end(&mut self, status: libc::c_int, left: u32) {
        let status = match self.bubble.take() {
            None => status,
            // A signal to bubblewrap itself comes from the limits or from the supervisor.
            Some(bubble) if libc::WIFSIGNALED(status) || bubble.reached_the_command() => unwrapped(status),
            Some(_) => {
                let why = "bubblewrap could not build the jail or start the command";
                return self.teller.fail(SandboxError::setup("bubblewrap", why));
            }
        };
        self.teller.tell(&Status::Ended { status, left });
    }
}

/// What a shell and bubblewrap make of a signal: 128 and its number become an end by that signal again.
fn unwrapped(status: libc::c_int) -> libc::c_int {
    let code = libc::WEXITSTATUS(status);
    if libc::WIFEXITED(status) && (129..=192).contains(&code) {
        code - 128
    } else {
        status
    }
}

/// Rounds of a millisecond; what lives longer hangs in the kernel and dies when that lets go.
const ROUNDS: u32 = 30_000;

/// Kills every descendant of this process until none is left: orphans come here, so the next round sees them. Returns
/// how many were alive at the first look.
pub(super) fn kill_below() -> u32 {
    let own = std::process::id().cast_signed();
    let mut first = None;
    for _ in 0..ROUNDS {
        let below = tally::tree(own);
        let alive = u32::try_from(below.len() - 1).unwrap_or(u32::MAX);
        first.get_or_insert(alive);
        below[1..].iter().for_each(|&pid| kill(pid));
        loop {
            match sys::wait(-1, libc::WNOHANG) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                // No child at all: nothing is left.
                Err(_) => return first.unwrap_or(0),
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    first.unwrap_or(0)
}

pub(super) fn kill(pid: libc::pid_t) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// `/tmp`, `/var/tmp` and the home directory come first among the places.
const SYSTEM_PLACES: usize = 3;

/// Where things truly are, and what may be done with them.
struct Places {
    moved: Vec<(PathBuf, PathBuf)>,
    grants: Vec<(PathBuf, Grant)>,
}

impl Places {
    fn of_system(spec: &JailSpec, room: &Room) -> Self {
        let mut grants: Vec<(PathBuf, Grant)> = Vec::new();
        grants.extend(spec.system.directories.iter().map(|dir| (dir.clone(), Grant::Read)));
        grants.extend(
            spec.system
                .etc
                .iter()
                .map(|name| (Path::new("/etc").join(name), Grant::Read)),
        );
        grants.extend(spec.toolchains.iter().map(|dir| (dir.clone(), Grant::Read)));
        // Who one is, but not the host's other configuration.
        for file in ["/etc/passwd", "/etc/group", "/etc/nsswitch.conf"] {
            grants.push((file.into(), Grant::Read));
        }
        for file in [
            "cpuinfo",
            "meminfo",
            "stat",
            "self",
            "filesystems",
            "version",
            "loadavg",
            "uptime",
        ] {
            grants.push((Path::new("/proc").join(file), Grant::Read));
        }
        for device in ["null", "zero", "full", "random", "urandom"] {
            grants.push((Path::new("/dev").join(device), Grant::Write));
        }
        grants.push((room.path(""), Grant::Write));
        let moved = vec![
            (PathBuf::from("/tmp"), room.path("tmp")),
            (PathBuf::from("/var/tmp"), room.path("tmp")),
            (spec.system.home.clone(), room.path("home")),
        ];
        Self { moved, grants }
    }

    /// The true sources of the mounts, in their order; the system's own places come before them.
    fn of_mounts(&self) -> impl Iterator<Item = &PathBuf> {
        self.moved.iter().skip(SYSTEM_PLACES).map(|(_, place)| place)
    }

    fn rewrite(&self, spec: &JailSpec) -> JailSpec {
        let mut spec = spec.clone();
        spec.argv.iter_mut().for_each(|text| *text = self.place(text));
        for value in spec.env.values_mut() {
            *value = value
                .split(':')
                .map(|part| self.place(part))
                .collect::<Vec<_>>()
                .join(":");
        }
        spec.cwd = self.place(&spec.cwd.to_string_lossy()).into();
        spec
    }

    /// The true place of a path, the last and longest target that contains it; other texts as they are.
    fn place(&self, text: &str) -> String {
        let path = Path::new(text);
        let fitting = self.moved.iter().filter(|(target, _)| path.starts_with(target));
        match fitting.max_by_key(|(target, _)| target.components().count()) {
            Some((target, to)) => match path.strip_prefix(target) {
                Ok(rest) if rest.as_os_str().is_empty() => to.display().to_string(),
                Ok(rest) => to.join(rest).display().to_string(),
                Err(_) => text.to_owned(),
            },
            None => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_replaced_by_true_places() {
        let moved = [("/tmp", "/r/tmp"), ("/tree", "/r/0"), ("/tree/data", "/r/1")];
        let moved = moved.map(|(a, b)| (PathBuf::from(a), PathBuf::from(b))).to_vec();
        let places = Places {
            moved,
            grants: Vec::new(),
        };
        let mut spec = JailSpec::new(["/tree/run", "--in=/tree", "/treeshop", "/tree/data/x"]);
        spec.cwd = "/tree".into();
        spec.env.insert("PATH".into(), "/tree/bin:/usr/bin".into());
        spec.env.insert("TMPDIR".into(), "/tmp".into());
        let spec = places.rewrite(&spec);
        assert_eq!(spec.argv, ["/r/0/run", "--in=/tree", "/treeshop", "/r/1/x"]);
        assert_eq!(
            (spec.env["PATH"].as_str(), spec.cwd.as_path()),
            ("/r/0/bin:/usr/bin", Path::new("/r/0"))
        );
        assert_eq!(spec.env["TMPDIR"], "/r/tmp");
    }
}
