//! The one place that reads the clocks. Everything else takes time as an argument.

use std::time::SystemTime;

/// Milliseconds since the Unix epoch by the wall clock, which may go backwards. Zero if the clock stands before 1970.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this module owns the wall clock")]
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}
