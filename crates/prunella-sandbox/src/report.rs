//! What came out of a run.

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use std::time::Duration;

use crate::Tier;

/// How a run ended. Exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Exit {
    /// The command ended by itself with this code.
    Exited(i32),
    /// The command was ended by this signal, sent by itself, by its children or by the kernel.
    Signaled(i32),
    /// [`crate::Limits::wall`] was reached.
    TimedOut,
    /// [`crate::Limits::cpu`] was reached by the tree, or by one process (`SIGXCPU`).
    CpuLimit,
    /// [`crate::Limits::memory_bytes`] was reached.
    OutOfMemory,
    /// [`crate::Limits::output_stop_bytes`] was reached on stdout or stderr.
    OutputLimit,
    /// The caller's [`crate::CancelToken`] ended it.
    Cancelled,
}

/// A bounded record of one output stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The first bytes.
    pub head: Vec<u8>,
    /// The last bytes, where more came than `head` could hold.
    pub tail: Vec<u8>,
    /// Bytes between head and tail that were dropped.
    pub dropped: u64,
}

impl Output {
    /// The stream as text, with a line that says how much is missing in the middle. Invalid UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        let head = String::from_utf8_lossy(&self.head);
        let tail = String::from_utf8_lossy(&self.tail);
        match self.dropped {
            0 => {
                // A character may straddle the seam, so the halves are decoded together.
                String::from_utf8_lossy(&[self.head.as_slice(), self.tail.as_slice()].concat()).into_owned()
            }
            n => format!("{head}\n[{n} bytes dropped]\n{tail}"),
        }
    }
}

impl Serialize for Output {
    /// As text (invalid UTF-8 replaced): `{"head", "tail", "dropped"}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("Output", 3)?;
        s.serialize_field("head", &String::from_utf8_lossy(&self.head))?;
        s.serialize_field("tail", &String::from_utf8_lossy(&self.tail))?;
        s.serialize_field("dropped", &self.dropped)?;
        s.end()
    }
}

/// The outcome of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The back end that ran it.
    pub backend: String,
    /// The isolation that was in force.
    pub tier: Tier,
    /// How it ended.
    pub exit: Exit,
    /// Bounded standard output.
    pub stdout: Output,
    /// Bounded standard error.
    pub stderr: Output,
    /// From the supervisor's start of the jail until the last process was dead.
    pub wall: Duration,
    /// User time of the whole tree.
    pub cpu_user: Duration,
    /// System time of the whole tree, the building of the jail included.
    pub cpu_sys: Duration,
    /// Peak memory in bytes: of the whole tree where a cgroup exists, else of its largest process.
    pub max_rss_bytes: u64,
    /// Processes that were still alive when the command had ended and were killed then.
    pub processes_killed_at_end: u32,
    /// What was done otherwise than asked, for example a private copy in place of an overlay.
    pub notes: Vec<String>,
}

impl Report {
    /// A run that was cancelled before it began.
    pub(crate) fn cancelled(backend: &str, tier: Tier) -> Self {
        Self {
            backend: backend.to_owned(),
            tier,
            exit: Exit::Cancelled,
            stdout: Output::default(),
            stderr: Output::default(),
            wall: Duration::ZERO,
            cpu_user: Duration::ZERO,
            cpu_sys: Duration::ZERO,
            max_rss_bytes: 0,
            processes_killed_at_end: 0,
            notes: vec!["cancelled before the start".to_owned()],
        }
    }

    /// Whether the command ended by itself with code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.exit == Exit::Exited(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_joins_halves_and_names_the_gap() {
        let whole = Output {
            head: "a\u{e9}".as_bytes()[..2].to_vec(),
            tail: vec![0xa9, b'b'],
            dropped: 0,
        };
        assert_eq!(whole.text(), "a\u{e9}b");
        let cut = Output {
            head: b"start".to_vec(),
            tail: b"end".to_vec(),
            dropped: 7,
        };
        assert_eq!(cut.text(), "start\n[7 bytes dropped]\nend");
    }
}
