//! The supervisor: a process of its own that builds one jail, watches it from outside and answers.

mod bubble;
mod caps;
mod cgroup;
mod confined;
mod copy;
mod identity;
mod init;
mod landlock;
mod lease;
mod net;
mod payload;
mod probe;
mod rlimits;
mod room;
mod rootfs;
mod seccomp;
mod start;
mod status;
mod stream;
mod supervise;
mod sys;
mod tally;
mod userns;

use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use crate::wire::{self, Reply, Request};
use supervise::Order;

/// Acts as the supervisor and ends the process: `fd` is the socket that [`crate::Launcher`] passes (0).
///
/// Must be the first thing that the program does: no thread may exist and no descriptor be open that is still needed.
pub fn jail_main(fd: RawFd) -> ! {
    sys::close_range(3, fd.cast_unsigned().saturating_sub(1));
    sys::close_range(fd.cast_unsigned().saturating_add(1).max(3), u32::MAX);
    // SAFETY: the caller hands the socket over; nothing else in this process uses it.
    let mut socket = UnixStream::from(unsafe { OwnedFd::from_raw_fd(fd) });
    // A caller that ignores SIGCHLD hands that on, and nothing could be waited for.
    sys::default_signals();
    sys::ignore_broken_pipes();
    // A session of its own: a terminal's Ctrl-C reaches the caller, which closes the socket.
    let _ = rustix::process::setsid();
    let served = serve(&mut socket);
    sys::exit(i32::from(served.is_err()))
}

fn serve(socket: &mut UnixStream) -> std::io::Result<()> {
    let (request, fds) = wire::receive::<Request>(socket)?;
    match request {
        Request::Probe => wire::send(socket, &Reply::Probed(probe::probe()), &[]),
        Request::Run { spec, tier, bubblewrap } => match supervise::run(
            &Order {
                spec: &spec,
                tier,
                bubblewrap: bubblewrap.as_deref(),
            },
            fds,
            socket,
        ) {
            Err(error) => wire::send(socket, &Reply::Failed(error), &[]),
            Ok((summary, [out, err])) => {
                wire::send(socket, &Reply::Done(summary), &[])?;
                [out.head, out.tail, err.head, err.tail]
                    .iter()
                    .try_for_each(|piece| socket.write_all(piece))
            }
        },
    }
}
