//! What the processes inside tell the supervisor: one JSON line each over a pipe that untrusted code never holds.

use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use crate::SandboxError;

/// A line stays below the size that a pipe takes in one piece.
const MAX_REASON: usize = 2048;

/// One message.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(super) enum Status {
    /// Something was done otherwise than asked.
    Note(String),
    /// The jail could not be built or the command not be started.
    Failed(SandboxError),
    /// The command has ended with this wait status; so many other processes were alive then.
    Ended { status: i32, left: u32 },
}

/// Writes messages.
pub(super) struct Teller(pub(super) File);

impl Teller {
    pub(super) fn new(pipe: OwnedFd) -> Self {
        Self(pipe.into())
    }

    /// Tells; a supervisor that is gone has killed the jail already.
    pub(super) fn tell(&mut self, status: &Status) {
        if let Ok(mut line) = serde_json::to_vec(status) {
            line.push(b'\n');
            let _ = self.0.write_all(&line);
        }
    }

    /// Tells of a failure, with a reason of bounded length.
    pub(super) fn fail(&mut self, error: SandboxError) {
        let short = |text: String| text.chars().take(MAX_REASON).collect::<String>();
        let error = match error {
            SandboxError::Setup { stage, reason } => SandboxError::Setup {
                stage: short(stage),
                reason: short(reason),
            },
            SandboxError::Start { program, reason } => SandboxError::Start {
                program: short(program),
                reason: short(reason),
            },
            other => other,
        };
        self.tell(&Status::Failed(error));
    }
}

/// Collects lines from the pieces that a pipe gives.
#[derive(Default)]
pub(super) struct Lines(Vec<u8>);

impl Lines {
    /// Adds a piece and takes the complete messages; what is not a message is skipped.
    pub(super) fn take(&mut self, piece: &[u8]) -> Vec<Status> {
        self.0.extend_from_slice(piece);
        let Some(end) = self.0.iter().rposition(|&b| b == b'\n') else {
            return Vec::new();
        };
        let rest = self.0.split_off(end + 1);
        let whole = std::mem::replace(&mut self.0, rest);
        whole
            .split(|&b| b == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_from_pieces() {
        let mut line = serde_json::to_vec(&Status::Ended { status: 256, left: 2 }).unwrap();
        line.push(b'\n');
        let mut lines = Lines::default();
        assert_eq!(lines.take(&line[..5]), []);
        assert_eq!(lines.take(&line[5..]), [Status::Ended { status: 256, left: 2 }]);
        assert_eq!(lines.take(b"{}\n"), []);
    }
}
