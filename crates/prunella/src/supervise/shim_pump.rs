//! Moves a service's output from its pipe into the log files.

use std::os::fd::OwnedFd;
use std::path::Path;

use super::log_files::{LogLimits, LogWriter, Stream};

/// The most that one turn moves, so that neither stream starves the other nor the signals.
const CHUNKS_PER_TURN: usize = 32;

pub(super) struct Pump {
    pipe: Option<OwnedFd>,
    log: LogWriter,
}

impl Pump {
    pub(super) fn new(pipe: OwnedFd, dir: &Path, stream: Stream, limits: LogLimits) -> std::io::Result<Self> {
        Ok(Self {
            pipe: Some(pipe),
            log: LogWriter::create(dir, stream, limits)?,
        })
    }

    /// The pipe, until every process that had it has closed it.
    pub(super) fn pipe(&self) -> Option<&OwnedFd> {
        self.pipe.as_ref()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.log.dropped()
    }

    /// Moves what is there. True if there may be more.
    pub(super) fn turn(&mut self, buffer: &mut [u8]) -> bool {
        let Some(pipe) = &self.pipe else { return false };
        for _ in 0..CHUNKS_PER_TURN {
            match rustix::io::read(pipe, &mut *buffer) {
                Ok(0) => {
                    self.pipe = None;
                    return false;
                }
                Ok(count) => self.log.write(&buffer[..count]),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return false,
                Err(_) => {
                    self.pipe = None;
                    return false;
                }
            }
        }
        true
    }
}
