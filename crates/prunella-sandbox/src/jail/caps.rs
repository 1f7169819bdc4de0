//! Capabilities: whether this process has the ones it needs, and how it loses all of them for good.

use std::io;

use super::sys::{check, prctl};

/// `_LINUX_CAPABILITY_VERSION_3`.
const VERSION: u32 = 0x2008_0522;
const CAP_SETGID: u32 = 6;
const CAP_SETUID: u32 = 7;
const CAP_SYS_ADMIN: u32 = 21;
/// Keep root from regaining capabilities at exec, ambient ones from being raised, and both settings from being
/// undone (`SECBIT_NOROOT`, `SECBIT_NO_SETUID_FIXUP`, `SECBIT_NO_CAP_AMBIENT_RAISE` with their locks).
const SECURE_BITS: libc::c_ulong = 0b0000_0001 | 0b10 | 0b100 | 0b1000 | 0b0100_0000 | 0b1000_0000;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Default, Clone, Copy)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Whether this process may mount, become another user and make namespaces without a user namespace.
pub(super) fn may_administrate() -> bool {
    let mut header = Header {
        version: VERSION,
        pid: 0,
    };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 fills two data elements; both live across the call.
    let r = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    let wanted = (1 << CAP_SYS_ADMIN) | (1 << CAP_SETUID) | (1 << CAP_SETGID);
    r == 0 && data[0].effective & wanted == wanted
}

/// Empties the bounding set. Needs `CAP_SETPCAP`; without it there is nothing to bound, because `no_new_privs` is
/// set as well.
pub(super) fn empty_bounding_set() {
    for capability in 0..64 {
        let _ = prctl(libc::PR_CAPBSET_DROP, capability);
    }
}

/// Forbids to regain anything by being or becoming the namespace's root.
pub(super) fn lock() {
    empty_bounding_set();
    let _ = prctl(libc::PR_SET_SECUREBITS, SECURE_BITS);
}

/// Gives up every capability of this process.
pub(super) fn drop_all() -> io::Result<()> {
    const PR_CAP_AMBIENT_CLEAR_ALL: libc::c_ulong = 4;
    let _ = prctl(libc::PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL);
    let mut header = Header {
        version: VERSION,
        pid: 0,
    };
    let data = [Data::default(); 2];
    // SAFETY: version 3 reads two data elements; both live across the call.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) }).map(drop)
}

/// Becomes an ordinary user for good: groups, then group, then user.
pub(super) fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: an empty list needs no pointer; the others take integers.
    unsafe {
        check(libc::c_long::from(libc::setgroups(0, std::ptr::null())))?;
        check(libc::c_long::from(libc::setresgid(gid, gid, gid)))?;
        check(libc::c_long::from(libc::setresuid(uid, uid, uid)))?;
    }
    Ok(())
}
