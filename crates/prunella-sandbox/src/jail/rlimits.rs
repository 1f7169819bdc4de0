//! Limits of each process. The kernel keeps them; a process can only lower them further.

use std::io;

use super::sys::check;
use crate::Limits;

#[cfg(target_env = "musl")]
type Resource = libc::c_int;
#[cfg(not(target_env = "musl"))]
type Resource = libc::__rlimit_resource_t;

/// Sets all limits of the calling process and what it starts.
pub(super) fn set(limits: &Limits, processes: u32) -> io::Result<()> {
    let seconds = limits.cpu.as_secs().max(1);
    one(libc::RLIMIT_CPU, seconds, seconds + 2)?;
    one(libc::RLIMIT_NPROC, u64::from(processes), u64::from(processes))?;
    one(libc::RLIMIT_FSIZE, limits.file_size_bytes, limits.file_size_bytes)?;
    one(libc::RLIMIT_NOFILE, limits.open_files, limits.open_files)?;
    one(libc::RLIMIT_CORE, 0, 0)?;
    one(libc::RLIMIT_MEMLOCK, 64 << 10, 64 << 10)?;
    one(libc::RLIMIT_MSGQUEUE, 1 << 20, 1 << 20)?;
    one(libc::RLIMIT_SIGPENDING, 4096, 4096)?;
    let data = data_backstop(limits.memory_bytes);
    one(libc::RLIMIT_DATA, data, data)
}

/// A backstop behind the cgroup or the watchdog, which count what is used: this one counts what is mapped writable,
/// thread stacks included, and would hinder honest programs if it were tight. `RLIMIT_AS` would count even the
/// reserved address space, of which Node and Go take much more than memory.
fn data_backstop(memory_bytes: u64) -> u64 {
    memory_bytes.saturating_mul(4).saturating_add(1 << 30)
}

fn one(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    // SAFETY: rlimit64 is plain integers; the result lives across the call.
    let mut now: libc::rlimit64 = unsafe { std::mem::zeroed() };
    // SAFETY: as above; a null pointer means that nothing is set.
    check(libc::c_long::from(unsafe {
        libc::prlimit64(0, resource, std::ptr::null(), &raw mut now)
    }))?;
    // A hard limit may be lowered by anyone but raised by root alone.
    let hard = hard.min(now.rlim_max);
    let wanted = libc::rlimit64 {
        rlim_cur: soft.min(hard),
        rlim_max: hard,
    };
    // SAFETY: the new limit lives across the call; the old one is not asked for.
    check(libc::c_long::from(unsafe {
        libc::prlimit64(0, resource, &raw const wanted, std::ptr::null_mut())
    }))
    .map(drop)
}
