//! The first words between daemon and shim, over a socket that is the shim's standard input.
//!
//! The specification travels here and not in a file or an argument: it holds the service's environment, which may
//! hold secrets. Descriptors (the lock, a listening socket) travel with the first byte (SCM_RIGHTS).

use std::io::{self, IoSlice, IoSliceMut, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use serde::{Deserialize, Serialize};

use super::log_files::LogLimits;
use super::record::RunState;

/// The longest specification: an environment cannot be larger on Linux either (ARG_MAX).
const MAX_BYTES: usize = 4 << 20;

/// What the shim needs to know.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ShimSpec {
    pub(super) run_dir: PathBuf,
    pub(super) env: Vec<(String, String)>,
    pub(super) logs: LogLimits,
    /// The record to complete and write.
    pub(super) state: RunState,
}

/// What the shim answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The program runs.
    Started(Box<RunState>),
    /// The program could not be executed; the error's number.
    ExecFailed(i32),
    /// Something else failed before.
    Failed(String),
}

/// Frames a message: a length, then JSON.
pub(super) fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(message)?;
    if body.len() > MAX_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the specification is larger than 4 MiB",
        ));
    }
    let mut frame = u32::try_from(body.len())
        .map_err(io::Error::other)?
        .to_le_bytes()
        .to_vec();
    frame.extend(body);
    Ok(frame)
}

/// Sends the first bytes of a frame together with descriptors; says how many bytes went.
pub(super) fn send_with_descriptors(socket: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors"));
    }
    Ok(rustix::net::sendmsg(
        socket,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?)
}

/// Receives a frame and the descriptors that came with its first byte.
pub(super) fn receive_with_descriptors<T: for<'a> Deserialize<'a>>(
    mut socket: &UnixStream,
) -> io::Result<(T, Vec<OwnedFd>)> {
    let mut length = [0_u8; 4];
    let (count, fds) = receive_first(socket.as_fd(), &mut length)?;
    socket.read_exact(&mut length[count..])?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the frame is too long"));
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body)?;
    Ok((serde_json::from_slice(&body)?, fds))
}

fn receive_first(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = rustix::net::recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags)?;
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    Ok((received.bytes, fds))
}

/// Decodes the body of a frame.
pub(super) fn decode<T: for<'a> Deserialize<'a>>(frame: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(
        frame.get(4..).ok_or(io::ErrorKind::UnexpectedEof)?,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_message_and_its_descriptors_arrive_together() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        (&file).write_all(b"x").unwrap();
        let frame = encode(&vec!["a", "b"]).unwrap();
        let sent = send_with_descriptors(&ours, &frame, &[file.as_fd()]).unwrap();
        (&ours).write_all(&frame[sent..]).unwrap();
        let (words, fds) = receive_with_descriptors::<Vec<String>>(&theirs).unwrap();
        assert_eq!(words, ["a", "b"]);
        assert_eq!(fds.len(), 1);
        assert_eq!(rustix::fs::fstat(&fds[0]).unwrap().st_size, 1);
    }

    #[test]
    fn a_killed_daemon_is_an_end_of_file_not_a_half_specification() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let frame = encode(&vec!["a"]).unwrap();
        (&ours).write_all(&frame[..frame.len() - 1]).unwrap();
        drop(ours);
        let error = receive_with_descriptors::<Vec<String>>(&theirs).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn an_absurd_length_is_refused() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (&ours).write_all(&u32::MAX.to_le_bytes()).unwrap();
        assert!(receive_with_descriptors::<Vec<String>>(&theirs).is_err());
    }
}
