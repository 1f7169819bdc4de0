//! What a service said: log records, and exceptions put together from them.

use serde::{Deserialize, Serialize};

use super::exception::Exception;
use crate::id::ReleaseId;

/// OpenTelemetry's severity ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// 1–4.
    Trace,
    /// 5–8.
    Debug,
    /// 9–12.
    Info,
    /// 13–16.
    Warn,
    /// 17–20.
    Error,
    /// 21–24.
    Fatal,
}

/// Where a record came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogSource {
    /// Standard output of the supervised process.
    Stdout,
    /// Standard error of the supervised process.
    Stderr,
    /// OTLP.
    Otlp,
}

/// One log record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Who wrote it.
    pub release: ReleaseId,
    /// When, ms since the epoch.
    pub at_ms: i64,
    /// Where it came from.
    pub source: LogSource,
    /// How bad, if it says so.
    pub severity: Option<Severity>,
    /// The text. Hostile input.
    pub body: String,
}

/// One occurrence of an exception in a service's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExceptionSeen {
    /// Who raised it.
    pub release: ReleaseId,
    /// When, ms since the epoch.
    pub at_ms: i64,
    /// The route that was being served, if known.
    pub route: Option<String>,
    /// The exception.
    pub exception: Exception,
    /// Its identity: class, normalised message, top in-app frames. Equal for two occurrences of one bug.
    pub fingerprint: String,
}
