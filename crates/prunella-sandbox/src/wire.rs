//! What the caller and the supervisor say to each other: length-prefixed JSON over a socket, descriptors beside it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

use crate::{Capabilities, Exit, JailSpec, Output, Report, SandboxError, Tier};

/// Largest JSON message; a specification is bounded well below.
const MAX_MESSAGE: usize = 8 << 20;
/// Largest piece of output that follows a report (half of the largest `output_bytes`).
const MAX_PIECE: u64 = 32 << 20;
/// Most descriptors with one message.
const MAX_FDS: usize = 16;

/// What the supervisor is asked to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Run this in exactly this tier; the descriptors of `extra_fds` come with the message, in order.
    Run {
        spec: Box<JailSpec>,
        tier: Tier,
        /// The program, where bubblewrap builds the jail.
        bubblewrap: Option<PathBuf>,
    },
    /// Find out what works here.
    Probe,
}

/// What the supervisor answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The run is over; the four pieces of output follow raw.
    Done(Summary),
    /// The run did not take place.
    Failed(SandboxError),
    /// The answer to a probe.
    Probed(Capabilities),
}

/// A [`Report`] without its output.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) tier: Tier,
    pub(crate) exit: Exit,
    pub(crate) wall: Duration,
    pub(crate) cpu_user: Duration,
    pub(crate) cpu_sys: Duration,
    pub(crate) max_rss_bytes: u64,
    pub(crate) processes_killed_at_end: u32,
    pub(crate) notes: Vec<String>,
    /// Lengths of stdout's head and tail and of stderr's head and tail.
    pub(crate) pieces: [u64; 4],
    /// Bytes dropped from stdout and stderr.
    pub(crate) dropped: [u64; 2],
}

impl Summary {
    /// Reads the pieces that follow and makes the report.
    pub(crate) fn into_report(self, backend: &str, from: &mut impl Read) -> io::Result<Report> {
        let mut pieces = self.pieces.iter().map(|&len| read_exact(from, len));
        let mut next = || pieces.next().expect("there are four pieces");
        let stdout = Output {
            head: next()?,
            tail: next()?,
            dropped: self.dropped[0],
        };
        let stderr = Output {
            head: next()?,
            tail: next()?,
            dropped: self.dropped[1],
        };
        Ok(Report {
            backend: backend.to_owned(),
            tier: self.tier,
            exit: self.exit,
            stdout,
            stderr,
            wall: self.wall,
            cpu_user: self.cpu_user,
            cpu_sys: self.cpu_sys,
            max_rss_bytes: self.max_rss_bytes,
            processes_killed_at_end: self.processes_killed_at_end,
            notes: self.notes,
        })
    }
}

fn read_exact(from: &mut impl Read, len: u64) -> io::Result<Vec<u8>> {
    if len > MAX_PIECE {
        return Err(io::Error::other("a piece of output is larger than its limit"));
    }
    let mut bytes = Vec::new();
    from.take(len).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == len {
        Ok(bytes)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// Sends one message with descriptors.
pub(crate) fn send<T: Serialize>(to: &mut UnixStream, message: &T, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    if body.len() > MAX_MESSAGE || fds.len() > MAX_FDS {
        return Err(io::Error::other("the message is larger than its limit"));
    }
    let header = u32::try_from(body.len()).map_err(io::Error::other)?.to_le_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::other("the descriptors do not fit"));
    }
    let sent = rustix::net::sendmsg(
        to.as_fd(),
        &[IoSlice::new(&header)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    to.write_all(&header[sent..])?;
    to.write_all(&body)
}

/// Receives one message with its descriptors, which are close-on-exec.
pub(crate) fn receive<T: DeserializeOwned>(from: &mut UnixStream) -> io::Result<(T, Vec<OwnedFd>)> {
    let mut header = [0_u8; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let got = rustix::net::recvmsg(
        from.as_fd(),
        &mut [IoSliceMut::new(&mut header)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?
    .bytes;
    if got == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut fds = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    from.read_exact(&mut header[got..])?;
    let len = u32::from_le_bytes(header) as usize;
    if len > MAX_MESSAGE {
        return Err(io::Error::other("the message is larger than its limit"));
    }
    let mut body = vec![0; len];
    from.read_exact(&mut body)?;
    Ok((serde_json::from_slice(&body)?, fds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_descriptors_arrive_in_order() {
        let (mut a, mut b) = UnixStream::pair().unwrap();
        let (mut inner, outer) = UnixStream::pair().unwrap();
        send(&mut a, &Request::Probe, &[outer.as_fd()]).unwrap();
        drop(outer);
        let (message, fds) = receive::<Request>(&mut b).unwrap();
        assert!(matches!(message, Request::Probe));
        UnixStream::from(fds.into_iter().next().unwrap())
            .write_all(b"x")
            .unwrap();
        let mut text = String::new();
        inner.read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
    }

    #[test]
    fn a_giant_length_is_refused_before_it_is_allocated() {
        let (mut a, mut b) = UnixStream::pair().unwrap();
        a.write_all(&u32::MAX.to_le_bytes()).unwrap();
        assert!(receive::<Request>(&mut b).unwrap_err().to_string().contains("limit"));
    }

    #[test]
    fn a_closed_peer_is_an_end_of_file() {
        let (a, mut b) = UnixStream::pair().unwrap();
        drop(a);
        assert_eq!(
            receive::<Request>(&mut b).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }
}
