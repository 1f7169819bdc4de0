//! What happens to an incident, as it is written to the ledger.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::detect::Anomaly;
use crate::diagnose::Diagnosis;
use crate::diagnose::failure::FailureIdentity;
use crate::id::{BlobId, CommitId, ReleaseId, ServiceName};
use crate::verify::Decision;

/// A release and what it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRef {
    /// The release.
    pub release: ReleaseId,
    /// What it runs.
    pub commit: CommitId,
}

/// What took the damage away before there was a fix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Mitigation {
    /// All traffic goes to the last-known-good release.
    FailOver {
        /// That release.
        to: ReleaseId,
    },
    /// The canary lost its share.
    EndCanary,
    /// The process was started again.
    Restart,
    /// The release never took traffic: there is no damage to take away.
    NotNeeded {
        /// Why.
        why: String,
    },
    /// There is nothing to fall back to.
    Impossible {
        /// Why.
        why: String,
    },
}

/// The stages of an incident, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Taking the damage away.
    Mitigate,
    /// Freezing what a reproduction needs.
    Capture,
    /// Finding the commit and the hunks.
    Diagnose,
    /// Making a candidate.
    Repair,
    /// Trying it.
    Verify,
    /// Putting it on a branch.
    Publish,
    /// Sending it to production.
    Ship,
}

impl Stage {
    /// The name, as in the ledger.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mitigate => "mitigate",
            Self::Capture => "capture",
            Self::Diagnose => "diagnose",
            Self::Repair => "repair",
            Self::Verify => "verify",
            Self::Publish => "publish",
            Self::Ship => "ship",
        }
    }
}

/// How an incident ended. Exactly one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A verified fix was promoted.
    Healed,
    /// A verified fix waits on a branch; shipping it needs a person.
    Proposed,
    /// The damage was taken away; there is no fix.
    Mitigated,
    /// A fix was shipped and the canary judge sent it back.
    RolledBack,
    /// The failure could not be shown again.
    NotReproducible,
    /// Every repair strategy was tried and none was proven.
    NotFixed,
    /// The failure comes from something that is not this service.
    NotOurs,
    /// No commit causes it.
    NoCodeCause,
    /// Another incident has the same cause.
    Duplicate,
    /// The same cause was healed several times in a row: a person should look.
    HandedOver,
    /// A person closed it.
    Suppressed,
    /// A limit was reached.
    Dropped,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healed => "healed",
            Self::Proposed => "proposed",
            Self::Mitigated => "mitigated only",
            Self::RolledBack => "rolled back",
            Self::NotReproducible => "not reproducible",
            Self::NotFixed => "not fixed",
            Self::NotOurs => "not ours",
            Self::NoCodeCause => "no code cause",
            Self::Duplicate => "duplicate",
            Self::HandedOver => "handed to a person",
            Self::Suppressed => "suppressed",
            Self::Dropped => "dropped",
        })
    }
}

/// A candidate as the ledger knows it: the commit exists, the patch is a blob, nothing points to either yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The candidate's identifier.
    pub candidate: String,
    /// The strategy that made it.
    pub strategy: String,
    /// The commit that it patches.
    pub base: CommitId,
    /// The commit that carries it.
    pub commit: CommitId,
    /// That commit's tree.
    pub tree: String,
    /// The unified diff.
    pub patch: BlobId,
    /// Repository paths that it changes.
    pub touched: Vec<String>,
    /// How many hunks of the guilty commit it reverses.
    pub hunks: usize,
    /// Why it should help, as a sentence.
    pub rationale: String,
}

/// What happened to an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum IncidentEvent {
    /// It began.
    Opened {
        /// Whose.
        service: ServiceName,
        /// The release that fails.
        failing: ReleaseRef,
        /// The release that does not, where there is one.
        good: Option<ReleaseRef>,
        /// The first claim.
        anomaly: Box<Anomaly>,
        /// When the damage began, in milliseconds since the epoch.
        onset_ms: i64,
    },
    /// It began in a service that is only observed: known by its telemetry, not run here.
    Observed {
        /// Whose.
        service: ServiceName,
        /// The release that it says it is.
        release: ReleaseId,
        /// The first claim.
        anomaly: Box<Anomaly>,
        /// When the damage began, in milliseconds since the epoch.
        onset_ms: i64,
    },
    /// Several services hurt: where the cause is looked for.
    Rooted {
        /// The deepest callee that hurts.
        service: ServiceName,
        /// Why it is that one, as a sentence.
        why: String,
    },
    /// Another claim has the same cause.
    Joined {
        /// The claim.
        anomaly: Box<Anomaly>,
    },
    /// The damage was taken away, or cannot be.
    Mitigated {
        /// How.
        mitigation: Mitigation,
    },
    /// What a reproduction needs is frozen.
    Captured {
        /// The reproduction.
        reproduction: BlobId,
        /// The failure that it reproduces.
        identity: FailureIdentity,
        /// What it holds, as a sentence.
        summary: String,
    },
    /// The cause was looked for.
    Diagnosed {
        /// What was found.
        diagnosis: Box<Diagnosis>,
        /// What a repair needs of the search: hunks, the reduced reproduction.
        #[serde(default)]
        detail: Option<BlobId>,
    },
    /// A strategy made a candidate.
    Proposed {
        /// The candidate.
        proposal: Proposal,
    },
    /// A strategy has no candidate.
    NoCandidate {
        /// The strategy.
        strategy: String,
        /// Why.
        why: String,
    },
    /// A candidate was tried and judged. The report counts: it is judged again before anything ships.
    Judged {
        /// The candidate.
        candidate: String,
        /// The stored run report.
        report: BlobId,
        /// What the gates added up to.
        decision: Decision,
        /// The gate that decided, as a sentence.
        why: String,
    },
    /// The fix is on a branch.
    Published {
        /// The branch.
        branch: String,
        /// The commit.
        commit: CommitId,
    },
    /// The fix is on its way to production.
    Shipped {
        /// The release that carries it.
        release: ReleaseId,
    },
    /// Policy did not let the fix ship.
    Refused {
        /// Why.
        why: String,
    },
    /// A stage could not be carried out.
    StepFailed {
        /// The stage.
        stage: Stage,
        /// Why.
        why: String,
    },
    /// A person knows of it: until then its causes open no other incident.
    Acknowledged {
        /// Until when, ms since the epoch.
        until_ms: i64,
        /// Who, as the system knows them.
        #[serde(default)]
        by: Option<String>,
    },
    /// It is over.
    Closed {
        /// How.
        outcome: Outcome,
        /// Why, as a sentence.
        why: String,
    },
}
