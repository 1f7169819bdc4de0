//! An incident, folded from its ledger stream.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::clock::Clock;
use super::event::{IncidentEvent, Mitigation, Outcome, Proposal, ReleaseRef, Stage};
use crate::detect::Anomaly;
use crate::diagnose::Diagnosis;
use crate::diagnose::failure::FailureIdentity;
use crate::id::{BlobId, CommitId, IncidentId, ReleaseId, ServiceName};
use crate::verify::Decision;

/// How many anomalies an incident keeps; later ones are counted.
pub const MAX_ANOMALIES: usize = 50;

/// A candidate and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateState {
    /// The candidate.
    pub proposal: Proposal,
    /// The stored run report, the decision and the reason, once it was tried.
    pub judged: Option<(BlobId, Decision, String)>,
}

/// An incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its identifier.
    pub id: IncidentId,
    /// Whose.
    pub service: ServiceName,
    /// The release that fails. Of a service that is only observed no commit is known: it is git's null name.
    pub failing: ReleaseRef,
    /// The release that does not, where there is one.
    pub good: Option<ReleaseRef>,
    /// It is about a service that is known by its telemetry and not run here: it is shown, and nothing is done.
    #[serde(default)]
    pub observed: bool,
    /// Where the cause is looked for if several services hurt, and why there.
    #[serde(default)]
    pub root: Option<(ServiceName, String)>,
    /// The claims, the first one first.
    pub anomalies: Vec<Anomaly>,
    /// How many claims were counted but not kept.
    pub more_anomalies: u64,
    /// When what happened.
    pub clock: Clock,
    /// What took the damage away.
    pub mitigation: Option<Mitigation>,
    /// What the reproduction needs, and what it holds.
    pub reproduction: Option<(BlobId, String)>,
    /// What makes two failures this failure.
    pub identity: Option<FailureIdentity>,
    /// The cause.
    pub diagnosis: Option<Diagnosis>,
    /// What a repair needs of the search for the cause.
    #[serde(default)]
    pub detail: Option<BlobId>,
    /// Strategies that have no candidate, and why.
    pub without_candidate: BTreeMap<String, String>,
    /// The candidates, in the order of proposal.
    pub candidates: Vec<CandidateState>,
    /// The branch and commit of the fix.
    pub branch: Option<(String, CommitId)>,
    /// The release that carries the fix.
    pub shipped: Option<ReleaseId>,
    /// Why policy did not let the fix ship.
    pub refused: Option<String>,
    /// How often each stage could not be carried out, and the last reason.
    pub failures: BTreeMap<Stage, (u32, String)>,
    /// Until when a person knows of it, ms since the epoch.
    #[serde(default)]
    pub acknowledged_until_ms: Option<i64>,
    /// Who that is.
    #[serde(default)]
    pub acknowledged_by: Option<String>,
    /// How it ended, and why.
    pub outcome: Option<(Outcome, String)>,
}

impl Incident {
    /// An incident begins with [`IncidentEvent::Opened`] or [`IncidentEvent::Observed`]; any other first event gives `None`.
    #[must_use]
    pub fn open(id: IncidentId, at_ms: i64, event: &IncidentEvent) -> Option<Self> {
        let (service, failing, good, anomaly, onset_ms) = match event {
            IncidentEvent::Opened {
                service,
                failing,
                good,
                anomaly,
                onset_ms,
            } => (service, failing.clone(), good.clone(), anomaly, *onset_ms),
            IncidentEvent::Observed {
                service,
                release,
                anomaly,
                onset_ms,
            } => {
                let failing = ReleaseRef {
                    release: release.clone(),
                    commit: CommitId::null(),
                };
                (service, failing, None, anomaly, *onset_ms)
            }
            _ => return None,
        };
        Some(Self {
            id,
            service: service.clone(),
            failing,
            good,
            observed: matches!(event, IncidentEvent::Observed { .. }),
            root: None,
            anomalies: vec![(**anomaly).clone()],
            more_anomalies: 0,
            clock: Clock {
                onset_ms,
                detected_ms: at_ms,
                ..Clock::default()
            },
            mitigation: None,
            reproduction: None,
            identity: None,
            diagnosis: None,
            detail: None,
            without_candidate: BTreeMap::new(),
            candidates: Vec::new(),
            branch: None,
            shipped: None,
            refused: None,
            failures: BTreeMap::new(),
            acknowledged_until_ms: None,
            acknowledged_by: None,
            outcome: None,
        })
    }

    /// Folds one event. A closed incident does not change any more.
    pub fn apply(&mut self, at_ms: i64, event: &IncidentEvent) {
        // What a person says of it counts also when it is over: its cause may come back.
        if let IncidentEvent::Acknowledged { until_ms, by } = event {
            self.acknowledged_until_ms = Some(*until_ms);
            self.acknowledged_by.clone_from(by);
        }
        if self.outcome.is_some() {
            return;
        }
        match event {
            IncidentEvent::Opened { .. } | IncidentEvent::Observed { .. } | IncidentEvent::Acknowledged { .. } => {}
            IncidentEvent::Rooted { service, why } => self.root = Some((service.clone(), why.clone())),
            IncidentEvent::Joined { anomaly } => self.join(anomaly),
            IncidentEvent::Mitigated { mitigation } => {
                self.clock.mitigated_ms.get_or_insert(at_ms);
                self.mitigation.get_or_insert_with(|| mitigation.clone());
            }
            IncidentEvent::Captured {
                reproduction,
                identity,
                summary,
            } => {
                self.reproduction = Some((reproduction.clone(), summary.clone()));
                self.identity = Some(identity.clone());
            }
            IncidentEvent::Diagnosed { diagnosis, detail } => {
                self.clock.diagnosed_ms.get_or_insert(at_ms);
                if self.diagnosis.is_none() {
                    self.diagnosis = Some((**diagnosis).clone());
                    self.detail.clone_from(detail);
                }
            }
            IncidentEvent::Proposed { proposal } => {
                self.candidates.push(CandidateState {
                    proposal: proposal.clone(),
                    judged: None,
                });
            }
            IncidentEvent::NoCandidate { strategy, why } => {
                self.without_candidate.insert(strategy.clone(), why.clone());
            }
            IncidentEvent::Judged {
                candidate,
                report,
                decision,
                why,
            } => {
                self.judged(at_ms, candidate, report, *decision, why);
            }
            IncidentEvent::Published { branch, commit } => self.branch = Some((branch.clone(), commit.clone())),
            IncidentEvent::Shipped { release } => self.shipped = Some(release.clone()),
            IncidentEvent::Refused { why } => self.refused = Some(why.clone()),
            IncidentEvent::StepFailed { stage, why } => {
                let (count, last) = self.failures.entry(*stage).or_default();
                *count += 1;
                last.clone_from(why);
            }
            IncidentEvent::Closed { outcome, why } => self.close(at_ms, *outcome, why),
        }
    }

    fn join(&mut self, anomaly: &Anomaly) {
        if self.anomalies.len() < MAX_ANOMALIES {
            self.anomalies.push(anomaly.clone());
        } else {
            self.more_anomalies += 1;
        }
    }

    fn judged(&mut self, at_ms: i64, candidate: &str, report: &BlobId, decision: Decision, why: &str) {
        if let Some(state) = self.candidates.iter_mut().find(|c| c.proposal.candidate == candidate) {
            state.judged = Some((report.clone(), decision, why.to_owned()));
            if decision == Decision::Passed {
                self.clock.verified_ms.get_or_insert(at_ms);
            }
        }
    }

    fn close(&mut self, at_ms: i64, outcome: Outcome, why: &str) {
        self.outcome = Some((outcome, why.to_owned()));
        self.clock.closed_ms = Some(at_ms);
        if outcome == Outcome::Healed {
            self.clock.healed_ms = Some(at_ms);
        }
    }

    /// Whether it is about this release of the service that runs here. What a service that is only observed calls its release
    /// may have the same name.
    #[must_use]
    pub fn is_of(&self, release: &ReleaseId) -> bool {
        !self.observed && self.failing.release == *release
    }

    /// Whether it still wants something done.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.outcome.is_none()
    }

    /// How often this stage could not be carried out.
    #[must_use]
    pub fn attempts(&self, stage: Stage) -> u32 {
        self.failures.get(&stage).map_or(0, |(count, _)| *count)
    }

    /// The candidate that the judge let through, if there is one.
    #[must_use]
    pub fn verified(&self) -> Option<&CandidateState> {
        self.candidates
            .iter()
            .find(|c| matches!(c.judged, Some((_, Decision::Passed, _))))
    }

    /// What makes two incidents have one cause: the guilty commit and its hunks where they are known, otherwise the
    /// failure's identity, otherwise the first claim.
    #[must_use]
    pub fn cause_key(&self) -> String {
        if let Some(commit) = self.diagnosis.as_ref().and_then(Diagnosis::commit) {
            return format!("commit:{commit}");
        }
        if let Some(identity) = &self.identity {
            return format!("failure:{}", identity.fingerprint());
        }
        let first = self.anomalies.first();
        first.map_or_else(String::new, |a| {
            format!("anomaly:{}:{}", a.detector, a.route.as_deref().unwrap_or("-"))
        })
    }
}
