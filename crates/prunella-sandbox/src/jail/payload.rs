//! The last steps before the command: lose every right, load the fences, become it.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::bubble::Bubble;
use super::identity::Identity;
use super::landlock::{self, Grant};
use super::seccomp::{self, Sockets};
use super::status::Teller;
use super::{caps, rlimits, sys, userns};
use crate::{JailSpec, MountKind, Priority, SandboxError};

/// Descriptors are moved above this number before they are put in place, out of the way of their own targets.
const ABOVE: i32 = 128;

/// What the command reads from, writes to and is passed.
pub(super) struct Fds {
    pub(super) stdout: Option<OwnedFd>,
    pub(super) stderr: Option<OwnedFd>,
    /// With the numbers that they get.
    pub(super) extra: Vec<(OwnedFd, i32)>,
}

impl Fds {
    /// Closes this process's copies, so that the end of the output can be seen.
    pub(super) fn close(&mut self) {
        self.stdout = None;
        self.stderr = None;
        self.extra.clear();
    }

    /// Puts every descriptor at its number and marks all others close-on-exec.
    fn place(&self) -> io::Result<()> {
        let null = sys::open(c"/dev/null", libc::O_RDWR)?;
        let mut moved = vec![(lift(&null)?, 0)];
        for (from, to) in [(&self.stdout, 1), (&self.stderr, 2)] {
            moved.push((lift(from.as_ref().unwrap_or(&null))?, to));
        }
        for (from, to) in &self.extra {
            moved.push((lift(from)?, *to));
        }
        sys::close_on_exec_from(0)?;
        for (from, to) in moved {
            // SAFETY: `to` is below ABOVE, where this process keeps nothing that it still uses: the status pipe
            // was lifted by the caller. dup2 clears close-on-exec on the new number.
            sys::check(libc::c_long::from(unsafe { libc::dup2(from.as_raw_fd(), to) }))?;
        }
        Ok(())
    }
}

fn lift(fd: &OwnedFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, ABOVE)?)
}

/// What keeps the command in, beside its lack of rights.
pub(super) enum Fence<'a> {
    /// Namespaces and mounts; Landlock with these grants and seccomp behind them.
    Mounts(Vec<(PathBuf, Grant)>),
    /// Landlock with these grants, which then must hold, and seccomp without sockets.
    Landlock(Vec<(PathBuf, Grant)>),
    /// Bubblewrap makes what is needed.
    Bubblewrap(&'a Bubble),
}

/// The command and the fences around it.
pub(super) struct Command<'a> {
    pub(super) spec: &'a JailSpec,
    pub(super) identity: Identity,
    pub(super) fence: Fence<'a>,
    /// For `RLIMIT_NPROC`, with those that the kernel counts but that are not the command's.
    pub(super) processes: u32,
}

impl<'a> Command<'a> {
    /// Behind namespaces and mounts.
    pub(super) fn contained(spec: &'a JailSpec, identity: Identity) -> Self {
        // Not root: process 1 is counted in the same user namespace. Root: the command has one of its own.
        let init = u32::from(matches!(identity, Identity::UserNamespace { .. }));
        let processes = spec.limits.processes.saturating_add(init);
        Self {
            spec,
            identity,
            fence: Fence::Mounts(grants(spec)),
            processes,
        }
    }

    /// Becomes the command, or says why not.
    pub(super) fn run(&self, fds: &mut Fds, teller: &mut Teller) -> ! {
        // The status pipe moves out of the way as well; the original is among the low numbers that may be replaced.
        let mut teller = match rustix::io::fcntl_dupfd_cloexec(&teller.0, ABOVE) {
            Ok(pipe) => Teller::new(pipe),
            Err(_) => sys::exit(127),
        };
        match self.exec(fds) {
            Ok(error) | Err(error) => teller.fail(error),
        }
        sys::exit(127)
    }

    /// Returns only where it failed.
    fn exec(&self, fds: &Fds) -> Result<SandboxError, SandboxError> {
        let spec = self.spec;
        let step = |name: &'static str| move |error: io::Error| SandboxError::setup(name, error);
        let strings = Strings::new(spec)?;
        rustix::process::setsid().map_err(|e| SandboxError::setup("start a session", e))?;
        // Pid 1 must not be looked into, this copy of it may: nothing hostile exists yet, and the id maps and the
        // out-of-memory score are written through /proc/self.
        sys::prctl(libc::PR_SET_DUMPABLE, 1).map_err(step("open /proc/self"))?;
        sys::default_signals();
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        fds.place().map_err(step("place descriptors"))?;
        lower_priority(spec.priority);
        let wrapped = matches!(self.fence, Fence::Bubblewrap(_));
        leave_rights(self.identity, !wrapped).map_err(step("drop privileges"))?;
        rlimits::set(&spec.limits, self.processes).map_err(step("set limits"))?;
        sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1).map_err(step("set no_new_privs"))?;
        let (grants, sockets) = match &self.fence {
            Fence::Bubblewrap(bubble) => return Ok(bubble.exec(&spec.argv)),
            Fence::Mounts(grants) => (grants, Sockets::Contained),
            Fence::Landlock(grants) => (grants, Sockets::Pairs),
        };
        std::env::set_current_dir(&spec.cwd)
            .map_err(|e| SandboxError::setup(format!("enter {}", spec.cwd.display()), e))?;
        let programs = seccomp::programs(sockets)?;
        let grants = grants.iter().map(|(path, grant)| (path.as_path(), *grant));
        let enforced = landlock::restrict(grants, sockets == Sockets::Pairs)?;
        if sockets == Sockets::Pairs && !enforced {
            return Err(SandboxError::setup("landlock", "the kernel does not enforce it"));
        }
        seccomp::load(&programs)?;
        Ok(strings.exec())
    }
}

/// Becomes the jail's user without any capability; where `apart`, in a user namespace of its own if that is possible:
/// there the number of processes is counted apart from the user's others.
fn leave_rights(identity: Identity, apart: bool) -> io::Result<()> {
    if let Identity::Dropped { uid, gid, .. } = identity {
        caps::empty_bounding_set();
        caps::become_user(uid, gid)?;
        // The change of user has made /proc/self root's.
        sys::prctl(libc::PR_SET_DUMPABLE, 1)?;
        if apart && sys::unshare(libc::CLONE_NEWUSER).is_ok() {
            userns::write_maps("self", (uid, gid), (uid, gid))?;
        }
    }
    caps::lock();
    caps::drop_all()
}

/// Nice 10 and batch scheduling; and whatever the priority, the kernel shall take the jail first when the host
/// runs out of memory.
fn lower_priority(priority: Priority) {
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    if priority == Priority::Background {
        let _ = rustix::process::nice(10);
        let parameters = libc::sched_param { sched_priority: 0 };
        // SAFETY: the parameters live across the call; 0 is this process.
        let _ = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) };
    }
}

/// Read everywhere, write where the mounts allow it.
fn grants(spec: &JailSpec) -> Vec<(PathBuf, Grant)> {
    let mut grants = vec![(PathBuf::from("/"), Grant::Read)];
    for path in ["/tmp", "/var/tmp", "/dev", "/proc"] {
        grants.push((path.into(), Grant::Write));
    }
    grants.push((spec.system.home.clone(), Grant::Write));
    let written = spec.mounts.iter().filter(|mount| mount.kind != MountKind::ReadOnly);
    grants.extend(written.map(|mount| (mount.target.clone(), Grant::Write)));
    grants
}

/// The command's strings in the form that `execve` takes, made while memory may still be had.
struct Strings {
    program: String,
    candidates: Vec<CString>,
    argv: Vec<CString>,
    env: Vec<CString>,
}

impl Strings {
    fn new(spec: &JailSpec) -> Result<Self, SandboxError> {
        let c = |text: String| CString::new(text).map_err(|_| SandboxError::InvalidSpec("a NUL byte".into()));
        let program = spec.argv.first().cloned().unwrap_or_default();
        let candidates = candidates(&program, &spec.env)
            .into_iter()
            .map(c)
            .collect::<Result<_, _>>()?;
        let argv = spec.argv.iter().cloned().map(c).collect::<Result<_, _>>()?;
        let env = spec
            .env
            .iter()
            .map(|(k, v)| c(format!("{k}={v}")))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            program,
            candidates,
            argv,
            env,
        })
    }

    /// Returns only where it failed.
    fn exec(&self) -> SandboxError {
        let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
            strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
        };
        let (argv, env) = (pointers(&self.argv), pointers(&self.env));
        let mut reason = io::Error::from_raw_os_error(libc::ENOENT);
        for path in &self.candidates {
            // SAFETY: both lists end with a null pointer and their strings live in `self`.
            unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
            let error = io::Error::last_os_error();
            // As execvp(3): another directory may have it; a refusal is remembered over an absence.
            match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR) => {}
                Some(libc::EACCES) => reason = error,
                _ => {
                    reason = error;
                    break;
                }
            }
        }
        SandboxError::Start {
            program: self.program.clone(),
            reason: reason.to_string(),
        }
    }
}

/// Where the program may be: itself, or in the directories of `PATH`.
fn candidates(program: &str, env: &BTreeMap<String, String>) -> Vec<String> {
    if program.contains('/') {
        return vec![program.to_owned()];
    }
    let path = env.get("PATH").map_or("/usr/bin:/bin", String::as_str);
    // An empty entry means the working directory to a shell; nobody wants that here.
    path.split(':')
        .filter(|dir| !dir.is_empty())
        .map(|dir| Path::new(dir).join(program).display().to_string())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_up_in_the_path_of_the_jail() {
        let env = BTreeMap::from([("PATH".to_owned(), "/a::/b".to_owned())]);
        assert_eq!(candidates("x", &env), ["/a/x", "/b/x"]);
        assert_eq!(candidates("./x", &env), ["./x"]);
        assert_eq!(candidates("x", &BTreeMap::new()), ["/usr/bin/x", "/bin/x"]);
    }
}
