//! The only place where a [`VerifiedPatch`] is made.
//!
//! *Method*: gates in a fixed order, each passed, failed, not applicable or not run, with the reason. One failed gate
//! fails the candidate; a gate that should have run and did not, or whose evidence is thin, leaves it inconclusive.
//! For an intermittent failure the number of passing trials must make chance an unlikely explanation: if the failure
//! was seen in a share f of the runs before, n passing runs after are explained by chance with probability (1 − f)ⁿ.

use serde::{Deserialize, Serialize};

use super::probability::probability;
use super::refuted::refutation;
use super::report::{Isolation, RunReport, Trial};
use super::{shadow, suite};
use crate::id::{BlobId, CommitId};

/// The largest probability with which chance may explain that a failure was not seen any more.
const CHANCE: f64 = 0.01;

/// What the gates add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Every gate that applies passed.
    Passed,
    /// At least one gate refuted the candidate.
    Failed,
    /// Nothing refuted it, but the evidence is too thin to ship.
    Inconclusive,
}

/// One gate's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateStatus {
    /// It let the candidate through.
    Passed,
    /// It refuted the candidate.
    Failed,
    /// The question does not arise for this candidate.
    NotApplicable,
    /// The question arises and was not answered.
    NotRun,
}

/// One gate with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateResult {
    /// The gate's name.
    pub gate: String,
    /// Its answer.
    pub status: GateStatus,
    /// The reason, as a sentence.
    pub why: String,
}

/// The decision and the gates that led to it. Printable and storable; it proves nothing by itself, only a
/// [`VerifiedPatch`] does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What the gates add up to.
    pub decision: Decision,
    /// Every gate, in order.
    pub gates: Vec<GateResult>,
    /// How likely a patch that passes is right, from 0 to 1; `None` where nobody tried to refute it.
    #[serde(default)]
    pub probability: Option<f64>,
}

/// A candidate that [`judge`] let through. Only `judge` makes one; it can be neither copied from text nor built by
/// hand, so whoever holds it holds a report that passed in this process.
#[derive(Debug)]
pub struct VerifiedPatch {
    candidate: String,
    base: CommitId,
    tree: String,
    report: BlobId,
    suite_ran: bool,
}

impl VerifiedPatch {
    /// The candidate's identifier.
    #[must_use]
    pub fn candidate(&self) -> &str {
        &self.candidate
    }

    /// The commit that was patched.
    #[must_use]
    pub fn base(&self) -> &CommitId {
        &self.base
    }

    /// The tree that was proven; what ships must have this tree.
    #[must_use]
    pub fn tree(&self) -> &str {
        &self.tree
    }

    /// The content address of the report that was judged.
    #[must_use]
    pub fn report(&self) -> &BlobId {
        &self.report
    }

    /// Whether the repository's own suite had its say.
    #[must_use]
    pub fn suite_ran(&self) -> bool {
        self.suite_ran
    }
}

/// Judges a stored run report.
///
/// The report comes as the bytes that were stored, so that the verdict is bound to their content address.
///
/// # Errors
/// If the bytes are not a run report.
pub fn judge(stored: &[u8]) -> Result<(Verdict, Option<VerifiedPatch>), serde_json::Error> {
    let report: RunReport = serde_json::from_slice(stored)?;
    let gates = vec![
        isolation(&report),
        protected_paths(&report),
        fails_before(&report.before),
        passes_after(&report),
        suite::gate_of(report.suite.as_ref()),
        replay(&report),
        shadow::gate_of(report.shadow.as_ref()),
        refutation(report.refutation.as_ref()),
    ];
    let decision = decide(&gates);
    let patch = (decision == Decision::Passed).then(|| VerifiedPatch {
        candidate: report.candidate.clone(),
        base: report.base.clone(),
        tree: report.tree.clone(),
        report: BlobId::of(stored),
        suite_ran: report.suite.is_some(),
    });
    let probability = report.refutation.as_ref().map(probability);
    let verdict = Verdict {
        decision,
        gates,
        probability,
    };
    Ok((verdict, patch))
}

fn decide(gates: &[GateResult]) -> Decision {
    let any = |status| gates.iter().any(|g| g.status == status);
    if any(GateStatus::Failed) {
        Decision::Failed
    } else if any(GateStatus::NotRun) {
        Decision::Inconclusive
    } else {
        Decision::Passed
    }
}

pub(super) fn gate(name: &str, status: GateStatus, why: impl Into<String>) -> GateResult {
    GateResult {
        gate: name.to_owned(),
        status,
        why: why.into(),
    }
}

fn isolation(report: &RunReport) -> GateResult {
    let status = match report.isolation {
        Isolation::Full | Isolation::Partial => GateStatus::Passed,
        Isolation::None => GateStatus::NotRun,
    };
    gate("isolation", status, format!("sandbox tier: {}", report.tier))
}

fn protected_paths(report: &RunReport) -> GateResult {
    if report.touched.is_empty() {
        gate("scope", GateStatus::Failed, "the candidate changes nothing")
    } else if report.protected.is_empty() {
        gate(
            "scope",
            GateStatus::Passed,
            format!("changes only {}", report.touched.join(", ")),
        )
    } else {
        gate(
            "scope",
            GateStatus::Failed,
            format!("a repair may not change {}", report.protected.join(", ")),
        )
    }
}

/// Failed, passed, and all others.
fn tally(trials: &[Trial]) -> (usize, usize, Option<&str>) {
    let failed = trials.iter().filter(|t| matches!(t, Trial::Failed { .. })).count();
    let passed = trials.iter().filter(|t| matches!(t, Trial::Passed)).count();
    let other = trials.iter().find_map(|t| match t {
        Trial::OtherFailure { seen } => Some(seen.as_str()),
        Trial::NotRun { why } => Some(why.as_str()),
        Trial::Failed { .. } | Trial::Passed => None,
    });
    (failed, passed, other)
}

fn fails_before(before: &[Trial]) -> GateResult {
    let name = "fails before";
    let (failed, passed, other) = tally(before);
    match (failed, other) {
        (0, Some(what)) => gate(
            name,
            GateStatus::NotRun,
            format!("the failure was not reproduced: {what}"),
        ),
        (0, None) => gate(
            name,
            GateStatus::NotRun,
            "the failure was not reproduced on the base commit",
        ),
        _ => gate(
            name,
            GateStatus::Passed,
            format!(
                "the failure was seen in {failed} of {} runs on the base commit",
                failed + passed
            ),
        ),
    }
}

/// Passing trials that are made where nothing speaks against the candidate.
const PASSES: usize = 3;
/// The same, and the most trials in all, where other failures came between them.
const PASSES_BETWEEN: usize = 5;
const MAX_TRIALS: usize = 12;

/// Whether one more trial of a candidate can tell something, after these. The failure itself ends it; another failure
/// may come and go for reasons that are not the candidate's.
#[must_use]
pub fn is_worth_another_trial(after: &[Trial]) -> bool {
    let of = |wanted: fn(&Trial) -> bool| after.iter().filter(|t| wanted(t)).count();
    let others = of(|t| matches!(t, Trial::OtherFailure { .. }));
    let passed = of(|t| *t == Trial::Passed);
    let ended = after.len() > others + passed || after.len() >= MAX_TRIALS || others > passed + 1;
    let wanted = if others == 0 { PASSES } else { PASSES_BETWEEN };
    !ended && passed < wanted
}

/// Whether other failures than the one in question come and go here anyway, so that some of them between passing trials
/// are no sign: tests of the suite do on one and the same tree, or the trials before ended in other failures too.
fn comes_and_goes(report: &RunReport) -> bool {
    let unsteady = report.suite.as_ref().is_some_and(|suite| !suite.unsteady().is_empty());
    unsteady || report.before.iter().any(|t| matches!(t, Trial::OtherFailure { .. }))
}

fn passes_after(report: &RunReport) -> GateResult {
    let name = "passes after";
    let (before, after) = (&report.before[..], &report.after[..]);
    let (failed, passed, _) = tally(after);
    if failed > 0 {
        return gate(
            name,
            GateStatus::Failed,
            format!("the failure was seen again in {failed} of {} runs", after.len()),
        );
    }
    let others = after.iter().filter(|t| matches!(t, Trial::OtherFailure { .. })).count();
    let tolerated = passed >= PASSES_BETWEEN && 3 * others <= after.len() && comes_and_goes(report);
    if let Some(Trial::OtherFailure { seen }) = after.iter().find(|t| matches!(t, Trial::OtherFailure { .. }))
        && !tolerated
    {
        return gate(
            name,
            GateStatus::Failed,
            format!("another failure came in its place: {seen}"),
        );
    }
    let other = after.iter().find_map(|t| match t {
        Trial::NotRun { why } => Some(why.as_str()),
        _ => None,
    });
    if passed == 0 || other.is_some() {
        let why = other.unwrap_or("the reproduction was not run with the candidate");
        return gate(name, GateStatus::NotRun, why);
    }
    let (before_failed, before_passed, _) = tally(before);
    let chance = chance_of_silence(before_failed, before_passed, passed);
    if chance > CHANCE {
        let why = format!(
            "the failure is intermittent ({before_failed} of {} runs before): {passed} passing runs after can be chance (probability {chance:.2})",
            before_failed + before_passed
        );
        return gate(name, GateStatus::NotRun, why);
    }
    gate(
        name,
        GateStatus::Passed,
        if others == 0 {
            format!("the failure was not seen in {passed} of {passed} runs")
        } else {
            format!(
                "the failure was not seen in {} runs, of which {passed} passed and {others} ended in failures that come and go here",
                after.len()
            )
        },
    )
}

/// The probability that `after` runs pass although nothing was mended, given the runs before.
fn chance_of_silence(failed: usize, passed: usize, after: usize) -> f64 {
    if passed == 0 {
        return 0.0;
    }
    let share = failed as f64 / (failed + passed) as f64;
    (1.0 - share).powi(i32::try_from(after).unwrap_or(i32::MAX))
}

fn replay(report: &RunReport) -> GateResult {
    let name = "healthy requests";
    match &report.replay {
        None => gate(name, GateStatus::NotApplicable, "no healthy request was recorded"),
        Some(replay) => match replay.regressions.first() {
            None => gate(
                name,
                GateStatus::Passed,
                format!("{} recorded requests are answered as before", replay.requests),
            ),
            Some(first) => gate(
                name,
                GateStatus::Failed,
                format!(
                    "{} of {} recorded requests fail now, first {first}",
                    replay.regressions.len(),
                    replay.requests
                ),
            ),
        },
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
