//! Starts a jail: pipes, control group, process 1 in its namespaces, id maps.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use super::cgroup::Cgroup;
use super::confined::Head;
use super::identity::Identity;
use super::init::Init;
use super::payload::Fds;
use super::room::Room;
use super::rootfs::Plan;
use super::status::Teller;
use super::sys::{self, Forked};
use super::userns;
use crate::{JailSpec, Network, SandboxError};

/// A running jail, seen from the supervisor.
pub(super) struct Started {
    /// Process 1, as seen from here.
    pub(super) pid: libc::pid_t,
    pub(super) pidfd: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    pub(super) status: OwnedFd,
    /// Held open: its end tells process 1 that the supervisor is dead.
    go: OwnedFd,
}

/// What is around the jail: decided before anything is started.
pub(super) struct Around<'a> {
    pub(super) identity: Identity,
    pub(super) cgroup: Option<&'a Cgroup>,
    /// Tier C, without namespaces.
    pub(super) room: Option<&'a Room>,
    /// Bubblewrap, where that builds the jail; needs a room as well.
    pub(super) wrapper: Option<&'a Path>,
}

/// Starts `spec`. The command does not run before the limits are in force.
pub(super) fn start(spec: &JailSpec, extra: Vec<OwnedFd>, around: &Around<'_>) -> Result<Started, SandboxError> {
    let identity = around.identity;
    let id_map = match identity {
        Identity::Dropped { uid, gid, remap: true } => userns::shows_root_as(uid, gid).ok(),
        _ => None,
    };
    let pipes = || -> io::Result<_> { Ok((sys::pipe()?, sys::pipe()?, sys::pipe()?, sys::pipe()?)) };
    let (out, err, status, go) = pipes().map_err(|e| SandboxError::setup("make pipes", e))?;
    let flags = if around.room.is_some() {
        0
    } else {
        namespaces(spec.network, identity)
    };
    let forked = sys::fork(flags, around.cgroup.and_then(Cgroup::start_in))
        .map_err(|error| SandboxError::setup("make namespaces", explain(&error)))?;
    match forked {
        Forked::Child => {
            // This copy holds the supervisor's ends as well; they must not outlive the supervisor in it.
            drop((out.0, err.0, status.0, go.1));
            let numbers = spec.extra_fds.iter().map(|fd| fd.inner);
            let fds = Fds {
                stdout: Some(out.1),
                stderr: Some(err.1),
                extra: extra.into_iter().zip(numbers).collect(),
            };
            let teller = Teller::new(status.1);
            match around.room {
                Some(room) => Head {
                    spec,
                    identity,
                    room,
                    wrapper: around.wrapper,
                    bubble: None,
                    teller,
                    go: go.0,
                    fds,
                }
                .run(),
                None => Init {
                    plan: Plan { spec, identity, id_map },
                    teller,
                    go: go.0,
                    fds,
                }
                .run(),
            }
        }
        Forked::Parent { pid, pidfd } => {
            let started = Started {
                pid,
                pidfd,
                stdout: out.0,
                stderr: err.0,
                status: status.0,
                go: go.1,
            };
            if let Err(error) = release(&started, around) {
                let _ = sys::signal(started.pidfd.as_fd(), libc::SIGKILL);
                let _ = sys::wait(pid, 0);
                return Err(error);
            }
            Ok(started)
        }
    }
}

/// Lets process 1 go on, once for the id maps and once for the limits.
fn release(started: &Started, around: &Around<'_>) -> Result<(), SandboxError> {
    let mut go = std::fs::File::from(
        rustix::io::fcntl_dupfd_cloexec(&started.go, 0).map_err(|e| SandboxError::setup("make pipes", e))?,
    );
    let mut say_go = || {
        go.write_all(b"g")
            .map_err(|e| SandboxError::setup("release process 1", e))
    };
    if let (Identity::UserNamespace { uid, gid }, None) = (around.identity, around.room) {
        userns::write_maps(&started.pid.to_string(), (uid, gid), (uid, gid))
            .map_err(|e| SandboxError::setup("write the id maps", explain(&e)))?;
    }
    say_go()?;
    if let Some(cgroup) = around.cgroup {
        cgroup
            .add(started.pid)
            .map_err(|e| SandboxError::setup("enter the control group", e))?;
    }
    say_go()
}

fn namespaces(network: Network, identity: Identity) -> libc::c_int {
    let mut flags =
        libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;
    if network == Network::Loopback {
        flags |= libc::CLONE_NEWNET;
    }
    if matches!(identity, Identity::UserNamespace { .. }) {
        flags |= libc::CLONE_NEWUSER;
    }
    flags
}

/// The error, with the way out where a host refuses namespaces.
fn explain(error: &io::Error) -> String {
    let fallback = if error.raw_os_error() == Some(libc::EPERM) {
        "; the container or security module that this runs in forbids it"
    } else {
        ""
    };
    format!("{error}{}", hint().unwrap_or(fallback))
}

/// The usual reasons why a host refuses namespaces, or the capabilities in them, with the way out.
pub(super) fn hint() -> Option<&'static str> {
    let switch = |path: &str, bad: &str| std::fs::read_to_string(path).is_ok_and(|text| text.trim() == bad);
    if rustix::process::geteuid().is_root() {
        return None;
    }
    if switch("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        return Some(
            "; AppArmor restricts unprivileged user namespaces here: add an AppArmor profile with `userns,` for this \
             program, or set kernel.apparmor_restrict_unprivileged_userns=0",
        );
    }
    if switch("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        return Some("; set kernel.unprivileged_userns_clone=1");
    }
    switch("/proc/sys/user/max_user_namespaces", "0").then_some("; set user.max_user_namespaces above 0")
}
