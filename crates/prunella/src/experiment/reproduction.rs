//! A reproduction: everything that is needed to make a failure show again, frozen when it was seen.

use std::collections::BTreeMap;
use std::path::PathBuf;

use prunella_core::detect::shape::Trait;
use prunella_core::diagnose::failure::FailureIdentity;
use prunella_core::signal::{Exception, ResponseShape};
use serde::{Deserialize, Serialize};

use super::probe_wire::ProbeRequest;

/// What a trial has to show for the failure to be there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Symptom {
    /// A request is answered with an error, breaks off, or kills the process.
    Request,
    /// A request is answered too slowly.
    Slow {
        /// The latency in microseconds that tells slow from normal; `None` until both ends were measured.
        threshold_us: Option<u64>,
    },
    /// A request is answered well, and its answer has another structure than the last-known-good release gives it.
    Shape {
        /// What was said to be otherwise when the failure was seen.
        claims: Vec<(String, Trait)>,
        /// What is otherwise in the sandbox, by target; empty until both ends were asked.
        signs: Vec<Sign>,
        /// The last-known-good release's answers, by target.
        good: Vec<Option<ResponseShape>>,
    },
    /// The process ends by itself, or never becomes ready; no request is needed.
    Process {
        /// How long to watch it, in milliseconds.
        watch_ms: u64,
    },
}

/// Something that is otherwise in the answer to one of the targets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sign {
    /// Which target.
    pub target: usize,
    /// Where in the answer.
    pub at: String,
    /// What is so there and was not.
    pub what: Trait,
}

/// A file or directory that the service needs, as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateEntry {
    /// Where the service sees it: relative to the release if it is part of it, else absolute.
    pub place: PathBuf,
    /// The copy, relative to the incident's state directory.
    pub copy: PathBuf,
}

/// A healthy request and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healthy {
    /// The request.
    pub request: ProbeRequest,
    /// Its route, for people.
    pub route: String,
    /// The status of the answer.
    pub status: u16,
}

/// Everything that is needed to make a failure show again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reproduction {
    /// What a trial has to show.
    pub symptom: Symptom,
    /// Whether any failure of the targets counts, because the failure changes its form along the history.
    #[serde(default)]
    pub any_failure: bool,
    /// The failure as production showed it.
    pub identity: FailureIdentity,
    /// The exceptions that production logged with it.
    pub exceptions: Vec<Exception>,
    /// The requests that failed, each a target of its own.
    pub targets: Vec<ProbeRequest>,
    /// Requests that came before, oldest first, for a failure that needs what they left behind.
    pub before: Vec<ProbeRequest>,
    /// Healthy requests of other routes, to see whether a candidate breaks them.
    pub healthy: Vec<Healthy>,
    /// Files and databases.
    pub state: Vec<StateEntry>,
    /// The environment, without secrets.
    pub env: BTreeMap<String, String>,
    /// What was left out, and why: secrets, what was too large.
    pub left_out: Vec<String>,
}

impl Reproduction {
    /// What it holds, as a sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut parts = Vec::new();
        match &self.symptom {
            Symptom::Process { .. } => parts.push("the start of the process".to_owned()),
            Symptom::Request | Symptom::Slow { .. } | Symptom::Shape { .. } => {
                parts.push(count(self.targets.len(), "failing request"));
            }
        }
        if !self.before.is_empty() {
            parts.push(count(self.before.len(), "earlier request"));
        }
        if !self.state.is_empty() {
            parts.push(count(self.state.len(), "file or database") + " copied");
        }
        if !self.left_out.is_empty() {
            parts.push(count(self.left_out.len(), "item") + " left out");
        }
        parts.join(", ")
    }
}

fn count(n: usize, what: &str) -> String {
    if n == 1 {
        format!("1 {what}")
    } else {
        format!("{n} {what}s")
    }
}
