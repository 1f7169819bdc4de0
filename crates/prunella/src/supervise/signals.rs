//! The few signal calls that no safe library offers: the shim takes signals as readable events.

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};

/// Signals that the shim must survive: a terminal that goes away, Ctrl-C meant for the daemon, a closed log.
const IGNORED: [libc::c_int; 4] = [libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGPIPE];

/// Which signal was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Terminate,
    Child,
}

/// Blocks SIGTERM and SIGCHLD for this (single-threaded) process and makes them readable (signalfd(2)).
pub(super) fn take() -> io::Result<OwnedFd> {
    for signal in IGNORED {
        // SAFETY: SIG_IGN is a valid disposition and no handler of ours is replaced.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    // SAFETY: the set is initialised by sigemptyset before use, and signalfd returns a new descriptor or -1.
    let fd = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGTERM);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
        libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The signals that have arrived. Equal pending signals merge, as signals do.
pub(super) fn read(fd: &OwnedFd) -> Vec<Event> {
    const SIZE: usize = size_of::<libc::signalfd_siginfo>();
    let mut buffer = [0_u8; SIZE * 8];
    let mut events = Vec::new();
    while let Ok(count) = rustix::io::read(fd, &mut buffer) {
        for info in buffer[..count].chunks_exact(SIZE) {
            // `ssi_signo` is the first field of signalfd_siginfo.
            let number = u32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
            match i32::try_from(number) {
                Ok(libc::SIGTERM) => events.push(Event::Terminate),
                Ok(libc::SIGCHLD) => events.push(Event::Child),
                _ => {}
            }
        }
    }
    events
}

/// Gives a child that is about to execute a program the dispositions of a fresh process.
pub(super) fn reset_for_exec() {
    for signal in IGNORED {
        // SAFETY: SIG_DFL is a valid disposition; called in the child before exec.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: the set is initialised by sigemptyset before use.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

/// Which side of a fork this is.
pub(super) enum Fork {
    /// The parent, with the child's process id.
    Parent(i32),
    /// The child.
    Child,
}

/// fork(2). Only for the shim, which has one thread: in the child everything then works as usual.
pub(super) fn fork() -> io::Result<Fork> {
    // SAFETY: the shim is single-threaded, so no lock can be held by a thread that the child does not have.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// Ends a forked child at once, without running what the parent registered for its own exit.
pub(super) fn exit_child(code: i32) -> ! {
    // SAFETY: _exit does not return and touches no memory of ours.
    unsafe { libc::_exit(code) }
}

/// Makes `fd` the descriptor `target` of the program that is executed next.
pub(super) fn place_descriptor(fd: &OwnedFd, target: i32) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    // SAFETY: called in the child right before exec; whatever `target` named has been moved away by the caller.
    if unsafe { libc::dup2(fd.as_raw_fd(), target) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
