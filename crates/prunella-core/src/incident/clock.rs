//! The times that the incident page begins with.

use serde::{Deserialize, Serialize};

/// When what happened, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// The damage began.
    pub onset_ms: i64,
    /// A detector was sure.
    pub detected_ms: i64,
    /// The damage was taken away.
    pub mitigated_ms: Option<i64>,
    /// The cause was found, or the search given up.
    pub diagnosed_ms: Option<i64>,
    /// A candidate passed the judge.
    pub verified_ms: Option<i64>,
    /// The fix was promoted.
    pub healed_ms: Option<i64>,
    /// The incident was closed.
    pub closed_ms: Option<i64>,
}

impl Clock {
    /// Seconds from the onset. Never negative: a clock that went back shows as zero.
    #[must_use]
    pub fn since_onset(&self, at_ms: i64) -> f64 {
        at_ms.saturating_sub(self.onset_ms).max(0) as f64 / 1000.0
    }
}
