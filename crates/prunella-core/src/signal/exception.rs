//! An exception as a service reported it, after its stack trace was put together and parsed.

use serde::{Deserialize, Serialize};

/// The language whose runtime printed a stack trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// CPython and compatible runtimes.
    Python,
    /// V8: Node.js, and browsers built on it. TypeScript after compilation.
    JavaScript,
    /// Panics and backtraces of Rust's standard library.
    Rust,
}

/// One stack frame, innermost last whatever order the runtime prints.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Frame {
    /// The file as the runtime named it. Hostile input: never open it without resolving it inside a repository.
    pub file: String,
    /// The line, counted from 1; `None` where the runtime did not say.
    pub line: Option<u32>,
    /// The function as the runtime named it; empty at module level.
    pub function: String,
    /// Whether the frame is the service's own code, rather than the standard library, a virtual environment,
    /// `node_modules`, a registry checkout or a runtime internal.
    pub in_app: bool,
}

/// An exception, panic or unhandled rejection with its stack.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Exception {
    /// Who printed it.
    pub language: Language,
    /// The exception's class: `KeyError`, `sqlite3.OperationalError`, `TypeError`, `panic`.
    pub class: String,
    /// The message as printed, possibly of several lines. Hostile input.
    pub message: String,
    /// The stack, innermost frame last.
    pub frames: Vec<Frame>,
    /// What the runtime says this exception was caused by (`__cause__`, `__context__`, `[cause]`), nearest first.
    pub causes: Vec<Exception>,
}

impl Exception {
    /// The frames of the service's own code, innermost first.
    pub fn in_app_frames(&self) -> impl Iterator<Item = &Frame> {
        self.frames.iter().rev().filter(|frame| frame.in_app)
    }
}
