//! What we saw: one log record, request, crash or resource sample. OpenTelemetry's use of the word *signal*.

pub mod alert;
mod exception;
pub mod exposition;
mod histogram;
pub mod line;
mod log;
pub mod otlp;
mod process;
pub mod remote_write;
mod request;
mod shape;
pub mod telemetry;
pub mod template;

use serde::{Deserialize, Serialize};

pub use exception::{Exception, Frame, Language};
pub use histogram::{BUCKETS, LatencyHistogram, NoSuchBucket};
pub use log::{ExceptionSeen, LogRecord, LogSource, Severity};
pub use process::{ProcessExit, ReadinessFailed, ResourceLimits, ResourceSample};
pub use request::{FailureKind, OpenCounts, RequestBatch, RequestFailure, Role};
pub use shape::{Place, ResponseShape};

use crate::id::ReleaseId;

/// Anything that a detector may look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "signal", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Signal {
    /// A tick's requests.
    RequestBatch(RequestBatch),
    /// A failed request, at once.
    RequestFailure(RequestFailure),
    /// The main process ended.
    ProcessExit(ProcessExit),
    /// Not ready in time, or no longer.
    ReadinessFailed(ReadinessFailed),
    /// Memory, CPU, threads, descriptors.
    ResourceSample(ResourceSample),
    /// The structure of one answer.
    ResponseShape(ResponseShape),
    /// A log record.
    LogRecord(LogRecord),
    /// An exception in the output.
    ExceptionSeen(ExceptionSeen),
}

impl Signal {
    /// When, ms since the epoch. The clock that said so may have gone back.
    #[must_use]
    pub fn at_ms(&self) -> i64 {
        match self {
            Self::RequestBatch(s) => s.at_ms,
            Self::RequestFailure(s) => s.at_ms,
            Self::ProcessExit(s) => s.at_ms,
            Self::ReadinessFailed(s) => s.at_ms,
            Self::ResourceSample(s) => s.at_ms,
            Self::ResponseShape(s) => s.at_ms,
            Self::LogRecord(s) => s.at_ms,
            Self::ExceptionSeen(s) => s.at_ms,
        }
    }

    /// The release it is about.
    #[must_use]
    pub fn release(&self) -> &ReleaseId {
        match self {
            Self::RequestBatch(s) => &s.release,
            Self::RequestFailure(s) => &s.release,
            Self::ProcessExit(s) => &s.release,
            Self::ReadinessFailed(s) => &s.release,
            Self::ResourceSample(s) => &s.release,
            Self::ResponseShape(s) => &s.release,
            Self::LogRecord(s) => &s.release,
            Self::ExceptionSeen(s) => &s.release,
        }
    }
}
