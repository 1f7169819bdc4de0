//! Passing the listening socket over the control connection (`SCM_RIGHTS`, unix(7)).

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Sends all of `line` with `fd` attached to its first byte.
pub(crate) async fn send_with_fd(stream: &UnixStream, line: &[u8], fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut sent = 0;
    while sent < line.len() {
        sent += stream
            .async_io(Interest::WRITABLE, || {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
                let mut ancillary = SendAncillaryBuffer::new(&mut space);
                let fds = [fd];
                if sent == 0 {
                    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
                }
                let io = [IoSlice::new(&line[sent..])];
                Ok(rustix::net::sendmsg(
                    stream.as_fd(),
                    &io,
                    &mut ancillary,
                    SendFlags::NOSIGNAL,
                )?)
            })
            .await?;
    }
    Ok(())
}

/// Reads some bytes and the first descriptor that came with them; descriptors beyond it are closed.
pub(super) async fn recv_with_fd(stream: &UnixStream, buf: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    stream
        .async_io(Interest::READABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let mut io = [IoSliceMut::new(buf)];
            let got = rustix::net::recvmsg(stream.as_fd(), &mut io, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
            let mut fds = ancillary.drain().filter_map(|m| match m {
                RecvAncillaryMessage::ScmRights(rights) => Some(rights),
                _ => None,
            });
            let fd = fds.next().and_then(|mut rights| rights.next());
            Ok((got.bytes, fd))
        })
        .await
}
