//! Reads a jail's output without trusting its amount: keeps the head and the tail, counts the rest.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use crate::Output;

/// One stream of output.
pub(super) struct Stream {
    /// `None` at the end of the file.
    fd: Option<OwnedFd>,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    half: usize,
    total: u64,
    dropped: u64,
    /// Reused, so that looking costs nothing where there is nothing to read.
    buffer: Vec<u8>,
}

impl Stream {
    /// Reads from a pipe, keeping at most `keep` bytes.
    pub(super) fn new(fd: OwnedFd, keep: u64) -> io::Result<Self> {
        super::sys::nonblocking(&fd)?;
        Ok(Self {
            fd: Some(fd),
            ..Self::bounded(keep)
        })
    }

    fn bounded(keep: u64) -> Self {
        let half = usize::try_from(keep / 2).unwrap_or(usize::MAX);
        Self {
            fd: None,
            head: Vec::new(),
            tail: VecDeque::new(),
            half,
            total: 0,
            dropped: 0,
            buffer: vec![0; 64 << 10],
        }
    }

    /// For `poll`; -1, which poll ignores, at the end of the file.
    pub(super) fn raw(&self) -> i32 {
        self.fd.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// Bytes seen so far.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Takes what is there now, at most a few pipe buffers so that a flood cannot keep the supervisor from its
    /// other duties.
    pub(super) fn drain(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        for _ in 0..16 {
            let Some(fd) = &self.fd else { break };
            match rustix::io::read(fd.as_fd(), &mut buffer[..]) {
                Ok(0) => self.fd = None,
                Ok(n) => self.take(&buffer[..n]),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => break,
                Err(_) => self.fd = None,
            }
        }
        self.buffer = buffer;
    }

    fn take(&mut self, mut bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = (self.half - self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        bytes = &bytes[room..];
        if bytes.len() > self.half {
            let excess = bytes.len() - self.half;
            self.dropped += excess as u64;
            bytes = &bytes[excess..];
        }
        let excess = (self.tail.len() + bytes.len()).saturating_sub(self.half);
        self.tail.drain(..excess);
        self.dropped += excess as u64;
        self.tail.extend(bytes);
    }

    /// What was kept.
    pub(super) fn finish(self) -> Output {
        Output {
            head: self.head,
            tail: self.tail.into(),
            dropped: self.dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keep: u64, pieces: &[&str], head: &str, tail: &str, dropped: u64) {
        let mut stream = Stream::bounded(keep);
        pieces.iter().for_each(|piece| stream.take(piece.as_bytes()));
        assert_eq!(stream.total(), pieces.iter().map(|p| p.len() as u64).sum::<u64>());
        let expected = Output {
            head: head.into(),
            tail: tail.into(),
            dropped,
        };
        assert_eq!(stream.finish(), expected);
    }

    #[test]
    fn head_and_tail_are_kept_whatever_the_pieces() {
        check(8, &["abc"], "abc", "", 0);
        check(8, &["abcdefgh"], "abcd", "efgh", 0);
        check(8, &["abcdefghi"], "abcd", "fghi", 1);
        check(8, &["ab", "cdefg", "hijklmnop", "q"], "abcd", "nopq", 9);
        check(0, &["abc"], "", "", 3);
    }
}
