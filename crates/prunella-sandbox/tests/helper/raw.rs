//! System calls as an attacker makes them: numbers and whatever arguments.

use std::io;

/// Calls and turns -1 into the error.
pub(crate) fn syscall(number: libc::c_long, arguments: [u64; 6]) -> io::Result<i64> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: attacks pass null, integers, or pointers to values that live across the call.
    let r = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if r < 0 { Err(io::Error::last_os_error()) } else { Ok(r) }
}

/// A C string's address for a system call.
pub(crate) fn text(c: &std::ffi::CStr) -> u64 {
    c.as_ptr() as u64
}
