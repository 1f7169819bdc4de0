//! What to do next for an incident: the whole story in one match.

use serde::{Deserialize, Serialize};

use crate::diagnose::{Cause, Grade};
use crate::id::{IncidentId, StepId};
use crate::incident::{Incident, Mitigation, Outcome, Stage};
use crate::policy::Policy;
use crate::release::{ReleaseEnd, ReleaseState, ServiceState};
use crate::verify::Decision;

/// The next thing to do for an incident. The daemon carries it out and appends what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Take the damage away.
    Mitigate,
    /// Freeze what a reproduction needs.
    Capture,
    /// Find the commit and the hunks.
    Diagnose,
    /// Ask this strategy for a candidate.
    Repair {
        /// The strategy's name.
        strategy: String,
    },
    /// Try this candidate.
    Verify {
        /// The candidate.
        candidate: String,
    },
    /// Put the verified candidate on a branch.
    Publish {
        /// The candidate.
        candidate: String,
    },
    /// Ask for a permit and send the verified candidate to production.
    Ship {
        /// The candidate.
        candidate: String,
    },
    /// End it.
    Close {
        /// How.
        outcome: Outcome,
        /// Why.
        why: String,
    },
    /// Nothing to do until something happens.
    Wait {
        /// For what.
        why: String,
    },
}

impl Step {
    /// The stage that this step belongs to, if it takes effort.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        match self {
            Self::Mitigate => Some(Stage::Mitigate),
            Self::Capture => Some(Stage::Capture),
            Self::Diagnose => Some(Stage::Diagnose),
            Self::Repair { .. } => Some(Stage::Repair),
            Self::Verify { .. } => Some(Stage::Verify),
            Self::Publish { .. } => Some(Stage::Publish),
            Self::Ship { .. } => Some(Stage::Ship),
            Self::Close { .. } | Self::Wait { .. } => None,
        }
    }

    /// Names this attempt at this step, so that carrying it out twice is recognised.
    #[must_use]
    pub fn id(&self, incident: &Incident) -> Option<StepId> {
        let stage = self.stage()?;
        let subject = match self {
            Self::Repair { strategy } => format!("{}/{strategy}", incident.id),
            Self::Verify { candidate } | Self::Publish { candidate } | Self::Ship { candidate } => {
                format!("{}/{candidate}", incident.id)
            }
            _ => incident.id.to_string(),
        };
        Some(StepId::derive(&subject, stage.name(), incident.attempts(stage)))
    }
}

/// What the planner has to know besides the incident.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The owner's rules.
    pub policy: &'a Policy,
    /// The service's releases.
    pub service: &'a ServiceState,
    /// The repair strategies, in the order in which they are asked.
    pub strategies: &'a [&'a str],
    /// Heals of the same cause directly before this incident.
    pub heals_in_a_row: u32,
    /// An incident that overlaps with this one and has the same proven cause ([`crate::ledger::World::duplicate_of`]), or
    /// that grouping found to be this one ([`crate::detect::Grouper::take_absorbed`]).
    pub duplicate_of: Option<&'a IncidentId>,
    /// Of an incident of a service that is only observed: whether nothing has been claimed of it for so long that it is over.
    pub is_quiet: bool,
}

/// Decides the next step.
#[must_use]
pub fn next_step(incident: &Incident, around: &Surroundings<'_>) -> Step {
    if incident.outcome.is_some() {
        return wait("it is closed");
    }
    if incident.observed {
        return watch(incident, around);
    }
    mitigate(incident, around)
        .or_else(|| capture(incident, around))
        .or_else(|| diagnose(incident, around))
        .or_else(|| leave_to_other(incident, around))
        .or_else(|| hand_over(incident, around))
        .or_else(|| find_fix(incident, around))
        .unwrap_or_else(|| release(incident, around))
}

fn wait(why: impl Into<String>) -> Step {
    Step::Wait { why: why.into() }
}

fn close(outcome: Outcome, why: impl Into<String>) -> Step {
    Step::Close {
        outcome,
        why: why.into(),
    }
}

/// What is not run here is watched until it is over, a person knows of it, or it turns out to be another incident. Nothing
/// is done to it, whatever the ladder says: there is nothing here to do it with.
fn watch(incident: &Incident, around: &Surroundings<'_>) -> Step {
    if let Some(other) = around.duplicate_of {
        return close(Outcome::Duplicate, format!("{other} has the same cause"));
    }
    if incident.acknowledged_until_ms.is_some() {
        let by = incident.acknowledged_by.as_deref().unwrap_or("a person");
        return close(Outcome::Suppressed, format!("{by} acknowledged it"));
    }
    let service = &incident.service;
    let root = incident.root.as_ref().filter(|(root, _)| root != service);
    let root = root.map_or_else(String::new, |(root, _)| format!(", and {root} is the root"));
    if around.is_quiet {
        let why = format!("nothing is claimed of it any more; {service} is not run here{root}");
        return close(Outcome::NotOurs, why);
    }
    wait(format!(
        "for its end, or for `prunella ack`: {service} is not run here{root}"
    ))
}

/// Whether a stage has failed as often as policy lets it, and the last reason.
fn given_up(incident: &Incident, stage: Stage, policy: &Policy) -> Option<String> {
    let (count, why) = incident.failures.get(&stage)?;
    (*count >= policy.attempts_per_stage.max(1)).then(|| format!("{} was tried {count} times: {why}", stage.name()))
}

/// Damage first. A mitigation that fails is tried again without an end: there is nothing more important to do.
fn mitigate(incident: &Incident, around: &Surroundings<'_>) -> Option<Step> {
    (incident.mitigation.is_none() && around.policy.may_mitigate()).then_some(Step::Mitigate)
}

/// The outcome of an incident for which nothing more can be done: the damage may have been taken away all the same.
fn without_fix(incident: &Incident, otherwise: Outcome) -> Outcome {
    match incident.mitigation {
        Some(Mitigation::FailOver { .. } | Mitigation::EndCanary) => Outcome::Mitigated,
        _ => otherwise,
    }
}

fn capture(incident: &Incident, around: &Surroundings<'_>) -> Option<Step> {
    if incident.reproduction.is_some() {
        return None;
    }
    Some(match given_up(incident, Stage::Capture, around.policy) {
        Some(why) => close(Outcome::NotReproducible, why),
        None => Step::Capture,
    })
}

fn diagnose(incident: &Incident, around: &Surroundings<'_>) -> Option<Step> {
    let Some(diagnosis) = &incident.diagnosis else {
        return Some(match given_up(incident, Stage::Diagnose, around.policy) {
            Some(why) => close(without_fix(incident, Outcome::NotFixed), why),
            None => Step::Diagnose,
        });
    };
    if diagnosis.is_proven() {
        return None;
    }
    // Only what an experiment has proven is repaired; the rest is for a person to read.
    Some(match (&diagnosis.grade, &diagnosis.cause) {
        (_, Cause::NoCodeCause { reason }) => close(Outcome::NoCodeCause, reason.clone()),
        (Grade::Inconclusive { why }, _) => close(without_fix(incident, Outcome::NotFixed), why.clone()),
        (Grade::Likely { probability }, Cause::Commit { commit, .. }) => {
            let why = format!(
                "{} is likely ({:.0} %), and no experiment proves it",
                commit.short(),
                probability * 100.0
            );
            close(without_fix(incident, Outcome::NotFixed), why)
        }
        (Grade::Likely { .. } | Grade::Proven, _) => {
            close(without_fix(incident, Outcome::NotFixed), "the cause is not known")
        }
    })
}

/// One cause is healed once, however many releases it has hurt meanwhile.
fn leave_to_other(incident: &Incident, around: &Surroundings<'_>) -> Option<Step> {
    let other = around.duplicate_of.filter(|_| incident.shipped.is_none())?;
    Some(close(Outcome::Duplicate, format!("{other} has the same cause")))
}

fn hand_over(incident: &Incident, around: &Surroundings<'_>) -> Option<Step> {
    let limit = around.policy.heals_in_a_row;
    (around.heals_in_a_row >= limit && incident.shipped.is_none()).then(|| {
        let why = format!("the same cause was healed {} times in a row", around.heals_in_a_row);
        close(Outcome::HandedOver, why)
    })
}

fn find_fix(incident: &Incident, around: &Surroundings<'_>) -> Option<Step> {
    if incident.verified().is_some() {
        return None;
    }
    if !around.policy.may_propose() {
        return Some(if around.policy.paused {
            wait("Prunella is paused")
        } else {
            close(
                without_fix(incident, Outcome::NotFixed),
                format!("autonomy is `{:?}`: no fix is made", around.policy.autonomy).to_lowercase(),
            )
        });
    }
    if let Some(untried) = incident.candidates.iter().find(|c| c.judged.is_none()) {
        return Some(match given_up(incident, Stage::Verify, around.policy) {
            Some(why) => close(Outcome::NotFixed, why),
            None => Step::Verify {
                candidate: untried.proposal.candidate.clone(),
            },
        });
    }
    if let Some(why) = given_up(incident, Stage::Repair, around.policy) {
        return Some(close(Outcome::NotFixed, why));
    }
    let asked = |name: &str| {
        incident.without_candidate.contains_key(name) || incident.candidates.iter().any(|c| c.proposal.strategy == name)
    };
    let next = around.strategies.iter().find(|name| !asked(name));
    Some(match next {
        Some(strategy) => Step::Repair {
            strategy: (*strategy).to_owned(),
        },
        None => close(Outcome::NotFixed, nothing_left(incident)),
    })
}

fn nothing_left(incident: &Incident) -> String {
    let refuted = incident.candidates.iter().filter_map(|c| {
        let (_, decision, why) = c.judged.as_ref()?;
        let what = if *decision == Decision::Failed {
            "was refuted"
        } else {
            "was not proven"
        };
        Some(format!("{} {what}: {why}", c.proposal.strategy))
    });
    let without = incident
        .without_candidate
        .iter()
        .map(|(name, why)| format!("{name} has no candidate: {why}"));
    let reasons: Vec<String> = refuted.chain(without).collect();
    if reasons.is_empty() {
        "there is no strategy to ask".to_owned()
    } else {
        reasons.join("; ")
    }
}

/// From a verified candidate to production.
fn release(incident: &Incident, around: &Surroundings<'_>) -> Step {
    let Some(verified) = incident.verified() else {
        return wait("there is no verified candidate");
    };
    let candidate = verified.proposal.candidate.clone();
    if around.policy.paused && incident.shipped.is_none() {
        return wait("Prunella is paused");
    }
    let Some((branch, _)) = &incident.branch else {
        return match given_up(incident, Stage::Publish, around.policy) {
            Some(why) => close(Outcome::NotFixed, why),
            None => Step::Publish { candidate },
        };
    };
    if let Some(release) = &incident.shipped {
        return follow(around.service, release);
    }
    if let Some(why) = &incident.refused {
        return close(Outcome::Proposed, format!("the fix is on branch {branch}: {why}"));
    }
    match given_up(incident, Stage::Ship, around.policy) {
        Some(why) => close(Outcome::Proposed, format!("the fix is on branch {branch}: {why}")),
        None => Step::Ship { candidate },
    }
}

/// The fate of the release that carries the fix is the fate of the incident.
fn follow(service: &ServiceState, release: &crate::id::ReleaseId) -> Step {
    let Some(release) = service.releases.get(release) else {
        return wait("the release that carries the fix is not known yet");
    };
    match &release.state {
        ReleaseState::Preparing => wait("the fix is being started"),
        ReleaseState::Canary { .. } => wait("the fix is in the canary"),
        ReleaseState::Probation { .. } | ReleaseState::Good => close(
            Outcome::Healed,
            format!("release {} carries the fix and was promoted", release.id),
        ),
        ReleaseState::Ended(ReleaseEnd::Superseded) => close(
            Outcome::Proposed,
            format!("release {} was superseded before the fix was promoted", release.id),
        ),
        ReleaseState::Ended(ReleaseEnd::RolledBack { why }) => close(Outcome::RolledBack, why.clone()),
        ReleaseState::Ended(ReleaseEnd::Failed { why } | ReleaseEnd::Inconclusive { why }) => close(
            Outcome::Proposed,
            format!("the fix is on its branch, but was not promoted: {why}"),
        ),
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
