//! A service and its releases: an aggregate folded from its ledger stream.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{CommitId, IncidentId, ReleaseId};

/// Why a release exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Origin {
    /// The first start of `prunella run`.
    Start,
    /// A person or a pipeline asked for it.
    Deploy,
    /// It carries a verified fix.
    Heal {
        /// The incident that it heals.
        incident: IncidentId,
    },
}

/// How a release ended. Every release that is not running has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum ReleaseEnd {
    /// A newer release took its place.
    Superseded,
    /// It was worse than the last-known-good one.
    RolledBack {
        /// What was seen.
        why: String,
    },
    /// It never came to serve: checkout, build, start or readiness failed.
    Failed {
        /// What was seen.
        why: String,
    },
    /// Its canary was never judged: too little traffic until the deadline.
    Inconclusive {
        /// What was missing.
        why: String,
    },
}

/// Where a release stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ReleaseState {
    /// Asked for; being checked out, built and started.
    Preparing,
    /// Takes a share of the traffic since `since_ms`.
    Canary {
        /// When the stage began.
        since_ms: i64,
    },
    /// Takes all the traffic since `since_ms`; the last-known-good one stands by.
    Probation {
        /// When the stage began.
        since_ms: i64,
    },
    /// Accepted by the canary judge: it is, or was, the last-known-good release.
    Good,
    /// Over.
    Ended(ReleaseEnd),
}

/// One release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its identifier.
    pub id: ReleaseId,
    /// What it runs.
    pub commit: CommitId,
    /// Why it exists.
    pub origin: Origin,
    /// Where it stands.
    pub state: ReleaseState,
    /// When it was asked for.
    pub requested_at_ms: i64,
    /// How often its process was started.
    pub starts: u32,
}

impl Release {
    /// Whether its process should run.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !matches!(self.state, ReleaseState::Ended(_))
    }
}

/// Which release the traffic goes to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Takes the traffic.
    pub primary: Option<ReleaseId>,
    /// The last-known-good release, where it is another one: answers what fails.
    pub fallback: Option<ReleaseId>,
    /// Takes a share of the traffic.
    pub canary: Option<(ReleaseId, f64)>,
}

/// What happened to a service's releases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ReleaseEvent {
    /// A release was asked for.
    Requested {
        /// The new release.
        release: ReleaseId,
        /// What it runs.
        commit: CommitId,
        /// Why.
        origin: Origin,
    },
    /// Its process was started and is ready.
    Ready {
        /// The release.
        release: ReleaseId,
    },
    /// It takes a share of the traffic now.
    CanaryStarted {
        /// The release.
        release: ReleaseId,
    },
    /// It takes all the traffic now.
    Promoted {
        /// The release.
        release: ReleaseId,
    },
    /// The canary judge accepted it: it is the last-known-good one now.
    Accepted {
        /// The release.
        release: ReleaseId,
        /// The judge's reason.
        why: String,
    },
    /// It is over.
    Ended {
        /// The release.
        release: ReleaseId,
        /// How.
        end: ReleaseEnd,
    },
    /// The traffic was moved to the last-known-good release although the newer one is still being looked at.
    FailedOver {
        /// The release that lost the traffic.
        from: ReleaseId,
        /// The incident.
        incident: IncidentId,
    },
    /// A person asked to go back to the last-known-good release.
    RollbackRequested,
    /// A commit was proven to cause an incident, or a release that carries it failed in production.
    MarkedBad {
        /// The commit.
        commit: CommitId,
        /// The incident.
        incident: IncidentId,
    },
    /// A fix for a bad commit reached production.
    MarkedHealed {
        /// The bad commit.
        commit: CommitId,
        /// The commit that heals it.
        by: CommitId,
    },
    /// The kill switch was turned on.
    Paused,
    /// The kill switch was turned off.
    Resumed,
    /// A process of a live release was started again after it died.
    Restarted {
        /// The release.
        release: ReleaseId,
    },
}

/// A commit that must not come back unhealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadCommit {
    /// The incident that proved it.
    pub incident: IncidentId,
    /// The commits that heal it.
    pub healed_by: Vec<CommitId>,
}

/// The releases of a service, folded from its stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceState {
    /// By identifier. Ended releases are kept: they are the history.
    pub releases: BTreeMap<ReleaseId, Release>,
    /// In the order of request.
    pub order: Vec<ReleaseId>,
    /// The last-known-good release.
    pub last_known_good: Option<ReleaseId>,
    /// Every release that was accepted, in that order.
    #[serde(default)]
    pub accepted: Vec<ReleaseId>,
    /// Whether the kill switch is on.
    pub paused: bool,
    /// A person asked for a roll-back that has not been carried out.
    pub rollback_requested: bool,
    /// Releases that lost their traffic to the last-known-good one, and the incident.
    pub failed_over: BTreeMap<ReleaseId, IncidentId>,
    /// Commits that were proven bad.
    pub bad: BTreeMap<CommitId, BadCommit>,
}

impl ServiceState {
    /// Folds one event. Events that do not fit are ignored: the writer's compare-and-swap made them impossible, and a
    /// reader must not fail on what an older version wrote.
    pub fn apply(&mut self, at_ms: i64, event: &ReleaseEvent) {
        match event {
            ReleaseEvent::Requested {
                release,
                commit,
                origin,
            } => self.request(at_ms, release, commit, origin),
            ReleaseEvent::Ready { release } => self.with(release, |r| r.starts += 1),
            ReleaseEvent::Restarted { release } => self.with(release, |r| r.starts += 1),
            ReleaseEvent::CanaryStarted { release } => {
                self.with(release, |r| r.state = ReleaseState::Canary { since_ms: at_ms });
            }
            ReleaseEvent::Promoted { release } => self.promote(at_ms, release),
            ReleaseEvent::Accepted { release, .. } => self.accept(release),
            ReleaseEvent::Ended { release, end } => {
                self.failed_over.remove(release);
                self.with(release, |r| r.state = ReleaseState::Ended(end.clone()));
                self.rollback_requested = false;
            }
            ReleaseEvent::FailedOver { from, incident } => {
                self.failed_over.insert(from.clone(), incident.clone());
            }
            ReleaseEvent::RollbackRequested => self.rollback_requested = true,
            ReleaseEvent::MarkedBad { commit, incident } => {
                let healed_by = Vec::new();
                self.bad.entry(commit.clone()).or_insert_with(|| BadCommit {
                    incident: incident.clone(),
                    healed_by,
                });
            }
            ReleaseEvent::MarkedHealed { commit, by } => {
                if let Some(bad) = self.bad.get_mut(commit) {
                    bad.healed_by.push(by.clone());
                }
            }
            ReleaseEvent::Paused => self.paused = true,
            ReleaseEvent::Resumed => self.paused = false,
        }
    }

    fn with(&mut self, release: &ReleaseId, change: impl FnOnce(&mut Release)) {
        if let Some(release) = self.releases.get_mut(release) {
            change(release);
        }
    }

    fn request(&mut self, at_ms: i64, id: &ReleaseId, commit: &CommitId, origin: &Origin) {
        let release = Release {
            id: id.clone(),
            commit: commit.clone(),
            origin: origin.clone(),
            state: ReleaseState::Preparing,
            requested_at_ms: at_ms,
            starts: 0,
        };
        if self.releases.insert(id.clone(), release).is_none() {
            self.order.push(id.clone());
        }
    }

    fn promote(&mut self, at_ms: i64, release: &ReleaseId) {
        let lkg = self.last_known_good.clone();
        for other in self.releases.values_mut() {
            let serves = matches!(
                other.state,
                ReleaseState::Canary { .. } | ReleaseState::Probation { .. }
            );
            if other.id != *release && Some(&other.id) != lkg.as_ref() && serves {
                other.state = ReleaseState::Ended(ReleaseEnd::Superseded);
                self.failed_over.remove(&other.id);
            }
        }
        self.with(release, |r| r.state = ReleaseState::Probation { since_ms: at_ms });
    }

    fn accept(&mut self, release: &ReleaseId) {
        if let Some(old) = self.last_known_good.take()
            && old != *release
        {
            self.with(&old, |r| r.state = ReleaseState::Ended(ReleaseEnd::Superseded));
        }
        self.with(release, |r| r.state = ReleaseState::Good);
        self.failed_over.remove(release);
        self.accepted.push(release.clone());
        self.last_known_good = Some(release.clone());
    }

    /// The release that was last accepted before this one: what to compare the last-known-good release with when that
    /// one itself fails.
    #[must_use]
    pub fn good_before(&self, release: &ReleaseId) -> Option<&Release> {
        let before = self.accepted.iter().rev().skip_while(|id| *id != release).find(|id| *id != release);
        before.and_then(|id| self.releases.get(id))
    }

    /// The newest release in probation, if one is.
    #[must_use]
    pub fn on_probation(&self) -> Option<&Release> {
        self.newest(|r| matches!(r.state, ReleaseState::Probation { .. }))
    }

    /// The newest canary, if one is.
    #[must_use]
    pub fn canary(&self) -> Option<&Release> {
        self.newest(|r| matches!(r.state, ReleaseState::Canary { .. }))
    }

    /// The newest release that is being prepared, if one is.
    #[must_use]
    pub fn preparing(&self) -> Option<&Release> {
        self.newest(|r| r.state == ReleaseState::Preparing)
    }

    /// The last-known-good release.
    #[must_use]
    pub fn good(&self) -> Option<&Release> {
        self.last_known_good.as_ref().and_then(|id| self.releases.get(id))
    }

    /// The release that takes the traffic now.
    #[must_use]
    pub fn active(&self) -> Option<&Release> {
        self.on_probation()
            .filter(|r| !self.failed_over.contains_key(&r.id))
            .or_else(|| self.good())
    }

    fn newest(&self, which: impl Fn(&Release) -> bool) -> Option<&Release> {
        self.order
            .iter()
            .rev()
            .filter_map(|id| self.releases.get(id))
            .find(|r| which(r))
    }

    /// The identifier for the next release of this commit.
    #[must_use]
    pub fn next_id(&self, commit: &CommitId) -> ReleaseId {
        ReleaseId::parse(format!("r{}-{}", self.order.len() + 1, commit.short()))
            .expect("digits, a dash and a short hash")
    }
}
