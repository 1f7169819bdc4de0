//! One detector's claim that a stream deviates.

use serde::{Deserialize, Serialize};

use crate::id::{ReleaseId, ServiceName};

/// What kind of trouble a claim is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AnomalyKind {
    /// More requests fail by the server's fault.
    ErrorRate,
    /// More requests fail by, it is said, the client's fault.
    ClientErrorRate,
    /// Slower responses.
    Latency,
    /// The process ended and nobody asked it to.
    Crash,
    /// It ends again and again.
    CrashLoop,
    /// Not ready in time, or no longer.
    Readiness,
    /// An exception that the baseline does not have.
    NewException,
    /// A limit is near.
    Exhaustion,
    /// Much more memory than the last-known-good release.
    MemoryRunaway,
    /// Something is said that was never said before.
    NewTemplate,
    /// What used to be said is no longer.
    VanishedTemplate,
    /// Something is said more or less often, or more severely.
    LogRate,
    /// An order or a pair that always held is broken: a start without its end.
    Order,
    /// A metric's level, trend, spread or season changed.
    Metric,
    /// A metric stopped, or stopped to move.
    Missing,
    /// A floor that rises: memory, descriptors, threads, connections, disk.
    Leak,
    /// An operation of a trace is slower, fails, or calls otherwise than it did.
    Trace,
    /// No error is reported, but what is done is not what used to be done.
    Silent,
    /// An outside alert says so.
    Alert,
}

/// How sure the claim is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "snake_case")]
pub enum Score {
    /// It is a fact, not an inference.
    Certain,
    /// The decimal logarithm of an e-value, and of the value at which the claim is made. Valid at any time of looking.
    EValue {
        /// log10 of the e-value.
        #[serde(with = "crate::finite")]
        log10: f64,
        /// log10 of the threshold.
        #[serde(with = "crate::finite")]
        threshold_log10: f64,
    },
    /// Value over threshold of a rule without a probability.
    Ratio {
        /// How many times the threshold.
        #[serde(with = "crate::finite")]
        value: f64,
    },
}

/// Whether somebody must act now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Odd: shown, not acted upon.
    Odd,
    /// Page-worthy: it opens an incident.
    Page,
}

/// One detector's claim. Cheap; many expire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// Who claims.
    pub detector: String,
    /// Of which service; filled in by [`super::Detectors`].
    pub service: Option<ServiceName>,
    /// The release that deviates.
    pub release: ReleaseId,
    /// The route, where it is about one.
    pub route: Option<String>,
    /// When the claim was made, ms since the epoch.
    pub at_ms: i64,
    /// When it began, as far as the detector can tell.
    pub onset_ms: i64,
    /// How sure.
    pub score: Score,
    /// What it was compared with.
    pub baseline: String,
    /// Sentences with figures, for the incident page.
    pub evidence: Vec<String>,
    /// The identity of the failure, where there is one.
    pub fingerprint: Option<String>,
    /// Page or odd.
    pub severity: Severity,
    /// What kind.
    pub kind: AnomalyKind,
}
