//! Multi-line stack traces in a stream of lines, put together and parsed.
//!
//! [`Assembler`] is fed the lines of one stream of one process (stdout and stderr each get their own: interleaved they
//! are not one text). It gives back log records; a stack trace is one record with its [`Exception`].
//!
//! What a language prints is known to its [`TraceFormat`]; the assembler knows only when to wait and when to give up.

use prunella_core::signal::Exception;

mod ansi;
mod assembler;
mod json;
mod lines;
mod paths;
mod severity;
#[cfg(test)]
mod tests;

pub use ansi::strip_ansi;
pub use assembler::{Assembler, Limits};
pub use paths::PathMapper;
pub use prunella_core::signal::Severity;
pub use severity::{looks_like_log_line, severity_of};

use crate::languages::PACKS;

/// One thing a process said: a line, or a stack trace of many lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// When its first line arrived, in milliseconds of the clock that the caller passed in.
    pub at_ms: i64,
    /// The lines joined by `\n`, without terminal escapes. Hostile input.
    pub text: String,
    /// How severe the record seems; `None` where nothing says so.
    pub severity: Option<Severity>,
    /// The exception that the record reports, if it is a stack trace that could be read.
    pub exception: Option<Exception>,
    /// How many lines a limit left out of the middle of `text`.
    pub omitted_lines: u32,
    /// How many bytes limits left out of `text`: ends of long lines, and the omitted lines.
    pub omitted_bytes: u64,
}

/// Whether a line opens a trace.
pub enum Opening {
    /// It does not.
    Plain,
    /// It may be the headline of a trace that a later line confirms.
    Candidate,
    /// It does; `prefix` is how many bytes of a logger's prefix stand before the trace's own text.
    Trace {
        /// How the trace goes on.
        state: Box<dyn TraceState>,
        /// Bytes before the trace's own text.
        prefix: usize,
    },
}

/// How a line relates to the trace that is being put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It belongs to the trace.
    Joins,
    /// It belongs to the trace if a later line does.
    Perhaps,
    /// It does not belong to the trace.
    Ends,
}

/// Where in a trace of some language we are.
pub trait TraceState: Send {
    /// Takes the next line and says whether it belongs to the trace. After [`Step::Ends`] the state is unchanged, so
    /// a foreign log line in the middle can be set aside.
    fn step(&mut self, line: &str) -> Step;
    /// Whether the trace could end here: its exception was named.
    fn complete(&self) -> bool;
}

/// How a language prints stack traces.
pub trait TraceFormat: Sync {
    /// Whether `line` opens a trace by itself.
    fn opens(&self, line: &str) -> Opening;
    /// Whether `line` makes a trace of the candidate lines before it: the index in `held` of the trace's first line.
    fn confirms(&self, held: &[&str], line: &str) -> Option<(usize, Box<dyn TraceState>)>;
    /// Reads a whole trace. `None` when it names no exception.
    fn parse(&self, lines: &[&str], paths: &PathMapper) -> Option<Exception>;
}

/// The most frames that one exception keeps; of more, the innermost stay.
pub const MAX_FRAMES: usize = 512;
/// The most causes that one exception keeps.
pub const MAX_CAUSES: usize = 32;

/// Reads a text that is one stack trace, such as OpenTelemetry's `exception.stacktrace` or a JSON log's `stack`.
pub fn parse_trace(text: &str, paths: &PathMapper) -> Option<Exception> {
    let clean = strip_ansi(text);
    let lines: Vec<&str> = clean.lines().take(Limits::DEFAULT.max_lines).collect();
    PACKS.iter().find_map(|pack| pack.traces().parse(&lines, paths))
}

/// Keeps the innermost [`MAX_FRAMES`] of frames that stand innermost last.
pub(crate) fn bound_frames<T>(frames: &mut Vec<T>) {
    if frames.len() > MAX_FRAMES {
        frames.drain(..frames.len() - MAX_FRAMES);
    }
}
