//! What happens next to an incident, and what a person can do.

use prunella_core::diagnose::{Diagnosis, plain};
use prunella_core::incident::{Incident, Outcome};
use prunella_core::ledger::World;
use prunella_core::plan::{Step, Surroundings, next_step};
use prunella_core::policy::Policy;
use prunella_core::repair::STRATEGIES;

/// What the planner would do next for an open incident: asked, not guessed.
#[must_use]
pub fn working_on(incident: &Incident, world: &World, policy: &Policy) -> String {
    let strategies: Vec<&str> = STRATEGIES.iter().map(|s| s.name()).collect();
    let around = Surroundings {
        policy,
        service: &world.service,
        strategies: &strategies,
        heals_in_a_row: world.heals_in_a_row(incident),
        duplicate_of: world.duplicate_of(incident),
        is_quiet: false,
    };
    match next_step(incident, &around) {
        Step::Mitigate => "taking the damage away".to_owned(),
        Step::Capture => "freezing what a reproduction needs".to_owned(),
        Step::Diagnose => "looking for the commit and the hunks".to_owned(),
        Step::Repair { strategy } => format!("asking {} for a candidate", plain(&strategy, 40)),
        Step::Verify { candidate } => format!("trying {} in the sandbox", plain(&candidate, 40)),
        Step::Publish { .. } => "putting the fix on a branch".to_owned(),
        Step::Ship { .. } => "sending the fix to production".to_owned(),
        Step::Close { outcome, .. } => format!("closing it: {outcome}"),
        Step::Wait { why } => format!("waiting: {}", plain(&why, 120)),
    }
}

/// What a person can run or do now, one sentence or command each, the most useful first.
#[must_use]
pub fn what_next(incident: &Incident, world: &World, daemon_runs: bool) -> Vec<String> {
    let Some((outcome, _)) = &incident.outcome else {
        return still_open(world, daemon_runs);
    };
    match outcome {
        Outcome::Healed => merge(incident),
        Outcome::Proposed | Outcome::RolledBack | Outcome::HandedOver if incident.branch.is_some() => {
            let mut steps = review(incident);
            steps.extend(merge(incident));
            steps.push("prunella deploy".to_owned());
            steps
        }
        Outcome::NoCodeCause | Outcome::NotOurs => {
            vec!["Look at what the cause names: no commit of this repository will mend it.".to_owned()]
        }
        Outcome::Duplicate | Outcome::Suppressed => Vec::new(),
        _ => by_hand(incident, world),
    }
}

fn still_open(world: &World, daemon_runs: bool) -> Vec<String> {
    let mut steps = Vec::new();
    if !daemon_runs {
        steps.push("prunella run     (nobody works on it: the daemon does not run)".to_owned());
    }
    if world.service.paused {
        steps.push("prunella resume  (paused: mitigation only)".to_owned());
    }
    steps
}

fn review(incident: &Incident) -> Vec<String> {
    let branch = incident.branch.as_ref();
    branch
        .map(|(_, commit)| format!("git show {}", commit.short()))
        .into_iter()
        .collect()
}

fn merge(incident: &Incident) -> Vec<String> {
    let branch = incident.branch.as_ref();
    branch
        .map(|(branch, _)| format!("git merge {}", plain(branch, 100)))
        .into_iter()
        .collect()
}

/// There is no fix to merge: a person mends it.
fn by_hand(incident: &Incident, world: &World) -> Vec<String> {
    let mut steps = Vec::new();
    let guilty = incident.diagnosis.as_ref().and_then(Diagnosis::commit);
    if let Some(commit) = guilty {
        steps.push(format!("git show {}", commit.short()));
        steps.push(format!("git revert {}  (or mend it)", commit.short()));
        steps.push("prunella deploy".to_owned());
    }
    let failing = world.service.releases.get(&incident.failing.release);
    let serves =
        failing.is_some_and(|r| r.is_live()) && !world.service.failed_over.contains_key(&incident.failing.release);
    let other_is_good = world
        .service
        .last_known_good
        .as_ref()
        .is_some_and(|good| *good != incident.failing.release);
    if serves && other_is_good {
        steps.push("prunella rollback  (the failing release still takes traffic)".to_owned());
    }
    steps
}
