//! Process 1 of the jail: builds it, starts the command in it, reaps, and takes everything down by ending.
//!
//! It is our own code beside hostile code, so it gives up its rights, cannot be traced (it is not dumpable) and
//! answers to no signal from inside (signal(7) on namespace init processes).

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use super::identity::Identity;
use super::payload::{Command, Fds};
use super::rootfs::{self, Plan};
use super::status::{Status, Teller};
use super::sys::{self, Forked};
use super::{caps, net};
use crate::{Network, SandboxError};

/// What the supervisor gives to process 1.
pub(super) struct Init<'a> {
    pub(super) plan: Plan<'a>,
    pub(super) teller: Teller,
    /// Says by one byte that the id maps are written, by another that limits are in force; its end says that the
    /// supervisor is dead.
    pub(super) go: OwnedFd,
    pub(super) fds: Fds,
}

impl Init<'_> {
    /// Never returns to the code of the supervisor, of which this process is a copy.
    pub(super) fn run(mut self) -> ! {
        match self.start() {
            Ok(child) => self.reap(child),
            Err(error) => self.teller.fail(error),
        }
        sys::exit(0)
    }

    fn start(&mut self) -> Result<libc::pid_t, SandboxError> {
        let step = |name: &'static str| move |error: std::io::Error| SandboxError::setup(name, error);
        die_with_parent().map_err(step("watch the supervisor"))?;
        self.wait_for_go().map_err(step("wait for the supervisor"))?;
        if self.plan.spec.network == Network::Loopback {
            net::loopback_up().map_err(step("bring loopback up"))?;
        }
        rustix::system::sethostname(self.plan.spec.system.hostname.as_bytes())
            .map_err(|e| SandboxError::setup("set the host name", e))?;
        for note in rootfs::enter(&self.plan)? {
            self.teller.tell(&Status::Note(note));
        }
        self.wait_for_go().map_err(step("wait for the limits"))?;
        // From here on nobody may look into this process, so that its child cannot either once it is hostile.
        sys::prctl(libc::PR_SET_DUMPABLE, 0).map_err(step("become untraceable"))?;
        match sys::fork(0, None).map_err(step("start the command"))? {
            Forked::Child => {
                Command::contained(self.plan.spec, self.plan.identity).run(&mut self.fds, &mut self.teller)
            }
            Forked::Parent { pid, .. } => {
                self.harden().map_err(step("harden process 1"))?;
                Ok(pid)
            }
        }
    }

    fn wait_for_go(&self) -> std::io::Result<()> {
        let mut byte = [0];
        std::fs::File::from(rustix::io::fcntl_dupfd_cloexec(&self.go, 0)?).read_exact(&mut byte)
    }

    /// Gives up what only the building needed.
    fn harden(&mut self) -> std::io::Result<()> {
        self.fds.close();
        if let Identity::Dropped { uid, gid, .. } = self.plan.identity {
            caps::empty_bounding_set();
            caps::become_user(uid, gid)?;
        }
        caps::drop_all()?;
        sys::prctl(libc::PR_SET_DUMPABLE, 0)?;
        // The change of user has taken the order back. If the supervisor died in between, the pipe has ended.
        die_with_parent()?;
        let mut ended = [libc::pollfd {
            fd: std::os::fd::AsRawFd::as_raw_fd(&self.go.as_fd()),
            events: 0,
            revents: 0,
        }];
        sys::poll(&mut ended, 0)?;
        if ended[0].revents & libc::POLLHUP == 0 {
            Ok(())
        } else {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
    }

    /// Reaps until the command itself has ended.
    fn reap(&mut self, command: libc::pid_t) {
        loop {
            match sys::wait(-1, 0) {
                Ok(Some(done)) if done.pid == command => {
                    let left = others();
                    return self.teller.tell(&Status::Ended {
                        status: done.status,
                        left,
                    });
                }
                Ok(_) => {}
                Err(error) => return self.teller.fail(SandboxError::setup("wait for the command", error)),
            }
        }
    }
}

fn die_with_parent() -> std::io::Result<()> {
    sys::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong)
}

/// Processes other than this one that are alive in this namespace.
fn others() -> u32 {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return 0;
    };
    let alive = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The state follows the last ')' of the name (proc_pid_stat(5)); Z is dead already.
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let pids = names.filter(|name| name != "1" && name.bytes().all(|b| b.is_ascii_digit()));
    u32::try_from(pids.filter(|pid| alive(pid)).count()).unwrap_or(u32::MAX)
}
