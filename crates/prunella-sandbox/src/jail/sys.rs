//! The system calls that the standard library lacks, each as a small safe function.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Turns the C convention into a result.
pub(super) fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// What `fork` returns.
pub(super) enum Forked {
    /// In the new process.
    Child,
    /// In the old one.
    Parent {
        /// The child's process id, as seen from here.
        pid: libc::pid_t,
        /// Refers to the child whatever becomes of its id.
        pidfd: OwnedFd,
    },
}

/// `struct clone_args` of `clone3(2)`, version 2 (Linux 5.7).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// `fork` with namespace flags, into the cgroup v2 directory given.
///
/// The calling process must be single-threaded: the supervisor and its children are.
pub(super) fn fork(flags: libc::c_int, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Forked> {
    const CLONE_PIDFD: u64 = 0x1000;
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        flags: u64::from(flags.cast_unsigned()) | CLONE_PIDFD,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
        ..CloneArgs::default()
    };
    if let Some(fd) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = u64::from(fd.as_raw_fd().cast_unsigned());
    }
    // SAFETY: no CLONE_VM and no stack, so the child is a copy as after fork(2); this process has one thread, so no
    // lock is held in the copy. The kernel writes one descriptor to `pidfd`, which lives across the call.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<CloneArgs>()) })?;
    if pid == 0 {
        return Ok(Forked::Child);
    }
    // SAFETY: the kernel has just put a new descriptor there that nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    Ok(Forked::Parent { pid, pidfd })
}

/// Sends a signal to exactly the process that the descriptor refers to.
pub(super) fn signal(pidfd: BorrowedFd<'_>, number: libc::c_int) -> io::Result<()> {
    // SAFETY: passes a descriptor and integers; a null siginfo is allowed.
    let r = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), number, 0_usize, 0_u32) };
    check(r).map(drop)
}

/// Marks every descriptor from `first` on close-on-exec.
pub(super) fn close_on_exec_from(first: u32) -> io::Result<()> {
    const CLOSE_RANGE_CLOEXEC: u32 = 4;
    // SAFETY: only changes flags of descriptors.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC) }).map(drop)
}

/// Closes every descriptor from `first` to `last`.
pub(super) fn close_range(first: u32, last: u32) {
    if first > last {
        return;
    }
    // SAFETY: the callers have just started or forked and own no descriptor in the range through Rust objects that
    // they will use or drop again.
    let _ = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0_u32) };
}

/// Changes the flags, the propagation or the id mapping of a mount and, where `recursive`, of those below it.
pub(super) fn mount_setattr(
    mount: BorrowedFd<'_>,
    recursive: bool,
    set: u64,
    id_map: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;
    let mut attr = libc::mount_attr {
        attr_set: set | if id_map.is_some() { MOUNT_ATTR_IDMAP } else { 0 },
        attr_clr: 0,
        propagation: 0,
        userns_fd: id_map.map_or(0, |fd| u64::from(fd.as_raw_fd().cast_unsigned())),
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string and `attr` lives across the call with its true size.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw mut attr,
            size_of::<libc::mount_attr>(),
        )
    })
    .map(drop)
}

/// `prctl(2)` with up to two integer arguments.
pub(super) fn prctl(option: libc::c_int, arg: libc::c_ulong) -> io::Result<()> {
    // SAFETY: only options with integer arguments are used in this crate.
    check(libc::c_long::from(unsafe {
        libc::prctl(option, arg, 0 as libc::c_ulong, 0 as libc::c_ulong, 0 as libc::c_ulong)
    }))
    .map(drop)
}

/// Ends this process without running destructors or handlers.
pub(super) fn exit(code: i32) -> ! {
    // SAFETY: never returns; nothing that must be flushed is buffered.
    unsafe { libc::_exit(code) }
}

/// Leaves the current namespaces for new ones.
pub(super) fn unshare(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: takes flags only; this process is single-threaded.
    check(libc::c_long::from(unsafe { libc::unshare(flags) })).map(drop)
}

/// Opens a path as it is now, without following what could be magic.
pub(super) fn open(path: &CStr, flags: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: the path is a C string; the result is a new descriptor.
    let fd = check(libc::c_long::from(unsafe {
        libc::open(path.as_ptr(), flags | libc::O_CLOEXEC)
    }))?;
    // SAFETY: open has just made it.
    Ok(unsafe { OwnedFd::from_raw_fd(RawFd::try_from(fd).map_err(io::Error::other)?) })
}

/// Both ends of a pipe, close-on-exec: reader, writer.
pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

/// Makes reads from a descriptor return at once.
pub(super) fn nonblocking(fd: impl AsFd) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(fd, true)?)
}

/// Waits for the events that `fds` ask for, at most so many milliseconds; signals are not an error.
pub(super) fn poll(fds: &mut [libc::pollfd], milliseconds: i32) -> io::Result<()> {
    // SAFETY: the slice's pointer and length belong together.
    let r = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, milliseconds) };
    match check(libc::c_long::from(r)) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

/// What a waited-for child had done.
pub(super) struct Waited {
    /// Which child.
    pub(super) pid: libc::pid_t,
    /// The raw wait status.
    pub(super) status: libc::c_int,
    /// Its usage and that of its waited-for descendants.
    pub(super) usage: libc::rusage,
}

/// Waits for `pid` (-1: any child); with `WNOHANG` in `options` there may be none.
pub(super) fn wait(pid: libc::pid_t, options: libc::c_int) -> io::Result<Option<Waited>> {
    loop {
        let mut status = 0;
        // SAFETY: rusage is plain integers, for which zero is a value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both places live across the call.
        let r = unsafe { libc::wait4(pid, &raw mut status, options | libc::__WALL, &raw mut usage) };
        match check(libc::c_long::from(r)) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(Waited { pid: r, status, usage })),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Makes writes to a reader that is gone an error instead of this process's end.
pub(super) fn ignore_broken_pipes() {
    // SAFETY: SIG_IGN is a valid action.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Gives every signal its default action and blocks none: a program expects to start like this, Rust's runtime
/// ignores `SIGPIPE`.
pub(super) fn default_signals() {
    for number in 1..=64 {
        // SAFETY: SIG_DFL is a valid action; numbers that cannot be changed are refused.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    // SAFETY: the set lives across the calls.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}
