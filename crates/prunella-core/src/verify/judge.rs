//! The only place where a [`VerifiedPatch`] is made.
//!
//! *Method*: gates in a fixed order, each passed, failed, not applicable or not run, with the reason. One failed gate
//! fails the candidate; a gate that should have run and did not, or whose evidence is thin, leaves it inconclusive.
//! For an intermittent failure the number of passing trials must make chance an unlikely explanation: if the failure
//! was seen in a share f of the runs before, n passing runs after are explained by chance with probability (1 − f)ⁿ.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::report::{Isolation, RunReport, SuiteComparison, SuiteExit, SuiteRun, TestOutcome, Trial};
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What the gates add up to.
    pub decision: Decision,
    /// Every gate, in order.
    pub gates: Vec<GateResult>,
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
        passes_after(&report.before, &report.after),
        suite(report.suite.as_ref()),
        replay(&report),
    ];
    let decision = decide(&gates);
    let patch = (decision == Decision::Passed).then(|| VerifiedPatch {
        candidate: report.candidate.clone(),
        base: report.base.clone(),
        tree: report.tree.clone(),
        report: BlobId::of(stored),
        suite_ran: report.suite.is_some(),
    });
    Ok((Verdict { decision, gates }, patch))
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

fn gate(name: &str, status: GateStatus, why: impl Into<String>) -> GateResult {
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

fn passes_after(before: &[Trial], after: &[Trial]) -> GateResult {
    let name = "passes after";
    let (failed, passed, other) = tally(after);
    if failed > 0 {
        return gate(
            name,
            GateStatus::Failed,
            format!("the failure was seen again in {failed} of {} runs", after.len()),
        );
    }
    if let Some(Trial::OtherFailure { seen }) = after.iter().find(|t| matches!(t, Trial::OtherFailure { .. })) {
        return gate(
            name,
            GateStatus::Failed,
            format!("another failure came in its place: {seen}"),
        );
    }
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
        format!("the failure was not seen in {passed} of {passed} runs"),
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

/// Runs of the suite with the candidate beyond the first.
const MAX_AGAIN: usize = 2;

fn suite(suite: Option<&SuiteComparison>) -> GateResult {
    let name = "test suite";
    let Some(suite) = suite else {
        return gate(name, GateStatus::NotApplicable, "no test command is configured");
    };
    if suite.again.is_empty() {
        return one_run(name, suite);
    }
    let best = SuiteComparison {
        after: suite.best_after(),
        again: Vec::new(),
        ..suite.clone()
    };
    let first = SuiteComparison {
        again: Vec::new(),
        ..suite.clone()
    };
    let mut result = one_run(name, &best);
    if result.status == GateStatus::Passed && one_run(name, &first).status != GateStatus::Passed {
        let why = format!(
            "; some came and went in {} runs with the candidate",
            suite.again.len() + 1
        );
        result.why.push_str(&why);
    }
    result
}

fn one_run(name: &str, suite: &SuiteComparison) -> GateResult {
    if let SuiteExit::NotRun { why } = &suite.after.exit {
        return gate(
            name,
            GateStatus::NotRun,
            format!("`{}` could not be run: {why}", suite.command),
        );
    }
    let unnamed = suite.before.passed_unnamed.zip(suite.after.passed_unnamed);
    match (&suite.before.tests, &suite.after.tests, unnamed) {
        (Some(before), Some(after), Some(passed)) => compare_counts(name, suite, (before, after), passed),
        (Some(before), Some(after), None) => compare_tests(name, suite, before, after),
        _ => compare_exits(name, suite),
    }
}

type Tests = BTreeMap<String, TestOutcome>;

/// For a runner that names only the tests that did not pass: no new name, and no fewer passes.
fn compare_counts(
    name: &str,
    suite: &SuiteComparison,
    (before, after): (&Tests, &Tests),
    (passed_before, passed_after): (u64, u64),
) -> GateResult {
    let worse = |(test, outcome): &(&String, &TestOutcome)| {
        **outcome != TestOutcome::Passed && before.get(*test) != Some(*outcome)
    };
    if let Some((test, outcome)) = after.iter().find(worse) {
        return gate(
            name,
            GateStatus::Failed,
            format!("{test} is {outcome:?} after and was not before").to_lowercase(),
        );
    }
    if passed_after < passed_before {
        let why = format!("{passed_before} tests passed before and {passed_after} pass after");
        return gate(name, GateStatus::Failed, why);
    }
    if suite.before.is_green() && !suite.after.is_green() {
        return gate(
            name,
            GateStatus::Failed,
            format!("`{}` passed before and fails after", suite.command),
        );
    }
    if passed_after == 0 {
        return gate(name, GateStatus::NotRun, format!("`{}` ran no test", suite.command));
    }
    gate(
        name,
        GateStatus::Passed,
        format!("{passed_after} tests pass, {passed_before} did before"),
    )
}

impl SuiteComparison {
    /// Whether one more run could show that what was lost only comes and goes: the runs so far lost something, but not
    /// the same twice.
    #[must_use]
    pub fn is_worth_another_run(&self) -> bool {
        let lost = |after: &SuiteRun| {
            let one = Self {
                command: self.command.clone(),
                before: self.before.clone(),
                after: after.clone(),
                again: Vec::new(),
            };
            let gate = suite(Some(&one));
            (gate.status == GateStatus::Failed).then_some(gate.why)
        };
        if suite(Some(self)).status != GateStatus::Failed || self.again.len() >= MAX_AGAIN {
            return false;
        }
        let all: Vec<_> = std::iter::once(&self.after).chain(&self.again).map(lost).collect();
        all.windows(2).all(|pair| pair[0] != pair[1])
    }

    /// What the suite lost, as a sentence; `None` if nothing was lost.
    #[must_use]
    pub fn regression(&self) -> Option<String> {
        let gate = suite(Some(self));
        (gate.status != GateStatus::Passed).then_some(gate.why)
    }
}

fn compare_exits(name: &str, suite: &SuiteComparison) -> GateResult {
    match (suite.before.is_green(), suite.after.is_green()) {
        (_, true) => gate(name, GateStatus::Passed, format!("`{}` passes", suite.command)),
        (true, false) => gate(
            name,
            GateStatus::Failed,
            format!("`{}` passed before and fails after", suite.command),
        ),
        (false, false) => gate(
            name,
            GateStatus::NotRun,
            format!(
                "`{}` failed before already, and its output cannot be compared test by test",
                suite.command
            ),
        ),
    }
}

fn compare_tests(
    name: &str,
    suite: &SuiteComparison,
    before: &BTreeMap<String, TestOutcome>,
    after: &BTreeMap<String, TestOutcome>,
) -> GateResult {
    let passed_before = before.iter().filter(|(_, o)| **o == TestOutcome::Passed);
    let mut lost: Vec<&str> = Vec::new();
    for (test, _) in passed_before {
        match after.get(test) {
            Some(TestOutcome::Passed) => {}
            Some(TestOutcome::Failed | TestOutcome::Skipped) | None => lost.push(test),
        }
    }
    let new_red: Vec<&str> = after
        .iter()
        .filter(|(t, o)| **o == TestOutcome::Failed && !before.contains_key(*t))
        .map(|(t, _)| t.as_str())
        .collect();
    lost.extend(new_red);
    if let Some(first) = lost.first() {
        let why = format!(
            "{} test(s) passed before and fail, are skipped or are missing after, first {first}",
            lost.len()
        );
        return gate(name, GateStatus::Failed, why);
    }
    // The code under test can print what a harness prints, so a red exit that no named test explains counts.
    if suite.before.is_green() && !suite.after.is_green() {
        return gate(
            name,
            GateStatus::Failed,
            format!("`{}` passed before and fails after", suite.command),
        );
    }
    let count = after.values().filter(|o| **o == TestOutcome::Passed).count();
    let red = after.values().filter(|o| **o == TestOutcome::Failed).count();
    if count == 0 {
        return gate(name, GateStatus::NotRun, format!("`{}` ran no test", suite.command));
    }
    gate(
        name,
        GateStatus::Passed,
        format!("{count} tests pass, none that passed before is lost; {red} failed before and still do"),
    )
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
