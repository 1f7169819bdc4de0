//! User namespaces and their id maps.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::sys::{self, Forked};

const SIGKILL: libc::c_ulong = libc::SIGKILL as libc::c_ulong;

/// Writes the map of the user namespace of `pid` ("self" or a number): one user and one group, inside = `inner`,
/// outside = `outer`.
pub(super) fn write_maps(pid: &str, inner: (u32, u32), outer: (u32, u32)) -> io::Result<()> {
    // Without this an unprivileged process may not write a group map (user_namespaces(7)).
    std::fs::write(format!("/proc/{pid}/setgroups"), "deny")?;
    std::fs::write(format!("/proc/{pid}/uid_map"), format!("{} {} 1\n", inner.0, outer.0))?;
    std::fs::write(format!("/proc/{pid}/gid_map"), format!("{} {} 1\n", inner.1, outer.1))
}

/// A user namespace for an id-mapped mount (`mount_setattr(2)`) that shows root's files as those of `uid`, `gid`.
/// Needs the rights of root.
pub(super) fn shows_root_as(uid: u32, gid: u32) -> io::Result<OwnedFd> {
    match sys::fork(libc::CLONE_NEWUSER, None)? {
        // Only there to hold the namespace until it has been opened, and not longer than its maker.
        Forked::Child => loop {
            let _ = sys::prctl(libc::PR_SET_PDEATHSIG, SIGKILL);
            // SAFETY: waits for the signal that ends it.
            unsafe { libc::pause() };
        },
        Forked::Parent { pid, pidfd } => {
            let opened = write_maps(&pid.to_string(), (0, 0), (uid, gid))
                .and_then(|()| std::fs::File::open(format!("/proc/{pid}/ns/user")));
            sys::signal(pidfd.as_fd(), libc::SIGKILL)?;
            sys::wait(pid, 0)?;
            Ok(opened?.into())
        }
    }
}
