//! Signal → Anomaly: a detector a file.
//!
//! A detector is streaming: it sees each signal once, spends O(1) amortised on it, keeps bounded state and counts what
//! the bounds cost ([`Overflow`]). Its state can be saved and restored. Time comes with the signals and may go back
//! ([`time::Steady`] makes it steady). What a signal says in text is hostile: it reaches an [`Anomaly`] through
//! [`text::quote`] only.

mod anomaly;
mod client_errors;
mod compare;
mod crash;
mod error_rate;
pub mod exceptions;
mod group;
mod key;
mod latency;
mod leak;
pub mod logs;
mod metrics;
mod new_exception;
mod observatory;
mod quiet;
mod readiness;
mod recur;
mod registry;
mod related;
mod resource;
pub mod sequential;
pub mod series;
pub mod shape;
mod share;
mod side;
mod silent;
mod slowness;
mod special;
mod stream;
mod table;
#[cfg(test)]
mod testing;
pub mod text;
pub mod time;
mod traces;
mod versus;
mod words;

pub use anomaly::{Anomaly, AnomalyKind, Score, Severity};
pub use client_errors::ClientErrors;
pub use compare::{CanaryComparison, Comparison, ComparisonConfig, Missing, ReleaseHistory};
pub use crash::{Crash, backoff_ms};
pub use error_rate::ErrorRate;
pub use group::{Decision, GroupConfig, Grouper, Root, SuppressReason};
pub use latency::Latency;
pub use leak::{Leak, Leaks};
pub use metrics::Metrics;
pub use new_exception::NewException;
pub use observatory::{ANALYZERS, Analyzer, MakeAnalyzer, Observatory};
pub use quiet::Maintenance;
pub use readiness::Readiness;
pub use registry::{Detectors, DetectorsSnapshot, Make, REGISTRY};
pub use resource::Resource;
pub use shape::Shape;
pub use silent::Silent;
pub use table::{Bounded, OTHER};
pub use traces::Traces;

use serde_json::Value;

use crate::id::ReleaseId;
use crate::signal::Signal;

/// Which release of the service is what at the moment of a signal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The last-known-good release.
    pub lkg: Option<ReleaseId>,
    /// The release that gets the traffic.
    pub active: Option<ReleaseId>,
    /// The release that gets a share of the traffic to be judged.
    pub canary: Option<ReleaseId>,
}

impl Context {
    /// Whether this is the last-known-good release.
    #[must_use]
    pub fn is_lkg(&self, release: &ReleaseId) -> bool {
        self.lkg.as_ref() == Some(release)
    }
}

/// How often a named limit was hit since the detector began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow {
    /// The limit's name.
    pub limit: &'static str,
    /// How often what it bounds did not fit.
    pub count: u64,
}

/// Saved state that cannot be taken back.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The state could not be written as JSON.
    #[error("the state of detector `{detector}` cannot be saved: {source}; this is a defect of Prunella")]
    Save {
        /// Whose state.
        detector: &'static str,
        /// What JSON says.
        source: serde_json::Error,
    },
    /// The state is not this detector's, or of a version that had another form.
    #[error("the saved state of detector `{detector}` does not fit: {source}; it starts afresh and learns again")]
    Restore {
        /// Whose state.
        detector: &'static str,
        /// What JSON says.
        source: serde_json::Error,
    },
}

/// Watches one service's signals for one kind of trouble.
pub trait Detector: Send {
    /// Its name in anomalies, configuration and saved state. Never changes.
    fn name(&self) -> &'static str;

    /// Looks at one signal.
    fn observe(&mut self, signal: &Signal, ctx: &Context) -> Vec<Anomaly>;

    /// Its state.
    ///
    /// # Errors
    /// If the state has no JSON form.
    fn snapshot(&self) -> Result<Value, SnapshotError>;

    /// Takes a saved state back. On an error the state stays as it was.
    ///
    /// # Errors
    /// If the value is not a state of this detector.
    fn restore(&mut self, saved: &Value) -> Result<(), SnapshotError>;

    /// Which limits were hit, and how often.
    fn overflows(&self) -> Vec<Overflow>;
}

/// Saves any state that serde knows.
fn save<T: serde::Serialize>(detector: &'static str, state: &T) -> Result<Value, SnapshotError> {
    serde_json::to_value(state).map_err(|source| SnapshotError::Save { detector, source })
}

/// Reads any state that serde knows.
fn load<T: serde::de::DeserializeOwned>(detector: &'static str, saved: &Value) -> Result<T, SnapshotError> {
    T::deserialize(saved).map_err(|source| SnapshotError::Restore { detector, source })
}
