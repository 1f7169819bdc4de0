//! The suite's gate: what passed before passes after, test by test, and a test that comes and goes is not lost.
//!
//! *Method*: a run that lost something is repeated until either the lost tests have passed once, or chance no longer
//! explains that they failed each time: with m tests, a share f of whose runs fail for no reason, k failing runs of one
//! and the same test are chance with probability m·fᵏ at most. f is what the runs themselves show: failures of tests
//! that also pass on the same tree. A red suite is run more than once before as well, for a test that failed by chance
//! there would hide that the candidate breaks it.
//! *Source*: reruns as in Bell et al., DeFlaker (ICSE 2018); Boole's inequality.

use std::collections::{BTreeMap, BTreeSet};

use super::judge::{GateResult, GateStatus, gate};
use super::report::{SuiteComparison, SuiteExit, SuiteRun, TestOutcome};
use crate::diagnose::failure::normalise_message;

/// Runs of the suite with the candidate beyond the first where its tests have no names.
const MAX_AGAIN: usize = 2;
/// The same where they have names and some come and go.
const MAX_NAMED: usize = 6;
/// The largest probability with which chance may explain that a test failed in each run.
const CHANCE: f64 = 0.002;
/// The share of runs that fail for no reason where none was seen yet: one in a thousand.
const UNSEEN: f64 = 0.001;

pub(super) fn gate_of(suite: Option<&SuiteComparison>) -> GateResult {
    let name = "test suite";
    let Some(suite) = suite else {
        return gate(name, GateStatus::NotApplicable, "no test command is configured");
    };
    if suite.again.is_empty() && suite.before_again.is_empty() {
        return one_run(name, suite, suite.after.is_green());
    }
    let best = SuiteComparison {
        before: suite.best_before(),
        after: suite.best_after(),
        again: Vec::new(),
        before_again: Vec::new(),
        command: suite.command.clone(),
    };
    let mut result = one_run(name, &best, suite.is_explained());
    let unsteady = suite.unsteady();
    if result.status == GateStatus::Passed && !unsteady.is_empty() {
        let first = unsteady.iter().next().map_or("", |t| t.as_str());
        let why = format!(
            "; {} came and went in {} runs, first {first}",
            unsteady.len(),
            suite.again.len() + suite.before_again.len() + 2
        );
        result.why.push_str(&why);
    }
    result
}

/// One run before, one after. `explained`: the exit code after is zero, or tests that are named explain it.
fn one_run(name: &str, suite: &SuiteComparison, explained: bool) -> GateResult {
    if let SuiteExit::NotRun { why } = &suite.after.exit {
        return gate(
            name,
            GateStatus::NotRun,
            format!("`{}` could not be run: {why}", suite.command),
        );
    }
    let unnamed = suite.before.passed_unnamed.zip(suite.after.passed_unnamed);
    match (&suite.before.tests, &suite.after.tests, unnamed) {
        (Some(before), Some(after), Some(passed)) => compare_counts(name, suite, (before, after), passed, explained),
        (Some(before), Some(after), None) => compare_tests(name, suite, (before, after), explained),
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
    explained: bool,
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
    if let Some(objection) = without_names(name, suite, passed_after, explained) {
        return objection;
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
                before_again: Vec::new(),
            };
            let gate = gate_of(Some(&one));
            (gate.status == GateStatus::Failed).then_some(gate.why)
        };
        if gate_of(Some(self)).status != GateStatus::Failed || self.again.len() >= MAX_NAMED {
            return false;
        }
        if let Some(chance) = self.chance_of_loss() {
            return self.again.is_empty() || chance > CHANCE;
        }
        let all: Vec<_> = std::iter::once(&self.after).chain(&self.again).map(lost).collect();
        self.again.len() < MAX_AGAIN && all.windows(2).all(|pair| pair[0] != pair[1])
    }

    /// Whether one more run before the candidate could show that a test which fails there only comes and goes: it is red
    /// by tests that have names, and not by the same ones twice.
    #[must_use]
    pub fn is_worth_another_before(&self) -> bool {
        let all: Vec<_> = std::iter::once(&self.before)
            .chain(&self.before_again)
            .map(failing)
            .collect();
        let known = all.iter().all(Option::is_some) && all.iter().any(|f| f.as_ref().is_some_and(|f| !f.is_empty()));
        known && self.before_again.len() < MAX_AGAIN && all.windows(2).all(|pair| pair[0] != pair[1])
    }

    /// Tests that both passed and failed on one and the same tree.
    #[must_use]
    pub fn unsteady(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for runs in [self.runs_before(), self.runs_after()] {
            let red: BTreeSet<&String> = runs.iter().filter_map(|r| failing(r)).flatten().collect();
            let passes = |test: &String| runs.iter().any(|r| passed(r, test));
            found.extend(red.into_iter().filter(|test| passes(test)).cloned());
        }
        found
    }

    fn runs_before(&self) -> Vec<&SuiteRun> {
        std::iter::once(&self.before).chain(&self.before_again).collect()
    }

    fn runs_after(&self) -> Vec<&SuiteRun> {
        std::iter::once(&self.after).chain(&self.again).collect()
    }

    /// The probability that what failed in each run with the candidate did so by chance, at most; `None` where tests have
    /// no names.
    fn chance_of_loss(&self) -> Option<f64> {
        let runs = self.runs_after();
        let named = runs
            .iter()
            .map(|r| r.tests.as_ref().filter(|_| r.passed_unnamed.is_none()));
        let named: Option<Vec<&Tests>> = named.collect();
        let before = self
            .best_before()
            .tests
            .filter(|_| self.before.passed_unnamed.is_none())?;
        let named = named?;
        let tests = before.values().filter(|o| **o == TestOutcome::Passed).count();
        let is_lost = |test: &&String| named.iter().all(|run| run.get(*test) != Some(&TestOutcome::Passed));
        let wanted = before
            .iter()
            .filter(|(_, o)| **o == TestOutcome::Passed)
            .map(|(t, _)| t);
        if !wanted.clone().any(|test| is_lost(&test)) {
            // Nothing is lost test by test: the exit code is.
            return None;
        }
        let share = self.share_of_chance().max(UNSEEN);
        let runs = i32::try_from(named.len()).unwrap_or(i32::MAX);
        Some((tests as f64 * share.powi(runs)).min(1.0))
    }

    /// The share of runs of tests that fail for no reason.
    fn share_of_chance(&self) -> f64 {
        let unsteady = self.unsteady();
        let all: Vec<&SuiteRun> = self.runs_before().into_iter().chain(self.runs_after()).collect();
        let red: usize = all
            .iter()
            .filter_map(|run| failing(run))
            .map(|names| names.iter().filter(|n| unsteady.contains(**n)).count())
            .sum();
        let ran: usize = all.iter().filter_map(|run| run.tests.as_ref()).map(BTreeMap::len).sum();
        red as f64 / ran.max(1) as f64
    }

    /// Whether each run with the candidate ended well, or names tests that failed, so that what became of those tests in
    /// all runs says what the exit code meant. The code under test can print what a harness prints: a red exit that no
    /// named test explains counts.
    fn is_explained(&self) -> bool {
        let runs = self.runs_after();
        runs.iter().any(|run| run.is_green())
            || runs
                .iter()
                .all(|run| failing(run).is_some_and(|names| !names.is_empty()))
    }

    /// What the suite lost, as a sentence; `None` if nothing was lost.
    #[must_use]
    pub fn regression(&self) -> Option<String> {
        let gate = gate_of(Some(self));
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
    (before, after): (&Tests, &Tests),
    explained: bool,
) -> GateResult {
    let renamed = renamed(before, after);
    let mut lost: Vec<&str> = Vec::new();
    for (test, was) in before {
        let is = after.get(renamed.get(test.as_str()).copied().unwrap_or(test));
        if *was == TestOutcome::Passed && is != Some(&TestOutcome::Passed) {
            lost.push(test);
        }
    }
    let known: BTreeSet<&str> = renamed.into_values().collect();
    let new_red = after
        .iter()
        .filter(|(t, o)| **o == TestOutcome::Failed && !before.contains_key(*t) && !known.contains(t.as_str()));
    lost.extend(new_red.map(|(t, _)| t.as_str()));
    if let Some(first) = lost.first() {
        let why = format!(
            "{} test(s) passed before and fail, are skipped or are missing after, first {first}",
            lost.len()
        );
        return gate(name, GateStatus::Failed, why);
    }
    let count = after.values().filter(|o| **o == TestOutcome::Passed).count();
    let red = after.values().filter(|o| **o == TestOutcome::Failed).count();
    if let Some(objection) = without_names(name, suite, count as u64, explained) {
        return objection;
    }
    gate(
        name,
        GateStatus::Passed,
        format!("{count} tests pass, none that passed before is lost; {red} failed before and still do"),
    )
}

/// Tests whose parameters are called otherwise in each run, as the time or an address is: names before that are gone, and
/// new names after in their place, of the same function and the same form. There have to be as many, or more that all pass,
/// as several runs together have.
fn renamed<'a>(before: &'a Tests, after: &'a Tests) -> BTreeMap<&'a str, &'a str> {
    let form = |test: &str| {
        let (function, parameters) = test.split_once('[')?;
        Some((function.to_owned(), normalise_message(parameters)))
    };
    let only = |of: &'a Tests, other: &Tests| {
        let mut forms: BTreeMap<(String, String), Vec<&'a str>> = BTreeMap::new();
        for test in of.keys().filter(|test| !other.contains_key(*test)) {
            if let Some(form) = form(test) {
                forms.entry(form).or_default().push(test);
            }
        }
        forms
    };
    let (gone, mut new) = (only(before, after), only(after, before));
    let pairs = gone.into_iter().filter_map(|(form, gone)| {
        let new = new.remove(&form)?;
        let all_pass = new.iter().all(|test| after.get(*test) == Some(&TestOutcome::Passed));
        (gone.len() == new.len() || gone.len() < new.len() && all_pass).then(|| gone.into_iter().zip(new))
    });
    pairs.flatten().collect()
}

/// What speaks against the run after although no named test does: its exit code, or that nothing passed. The code under
/// test can print what a harness prints, so a red exit that no named test explains counts.
fn without_names(name: &str, suite: &SuiteComparison, passed: u64, explained: bool) -> Option<GateResult> {
    if suite.before.is_green() && !explained {
        let why = format!("`{}` passed before and fails after", suite.command);
        return Some(gate(name, GateStatus::Failed, why));
    }
    (passed == 0).then(|| gate(name, GateStatus::NotRun, format!("`{}` ran no test", suite.command)))
}

fn failing(run: &SuiteRun) -> Option<BTreeSet<&String>> {
    let tests = run.tests.as_ref()?;
    Some(
        tests
            .iter()
            .filter(|(_, o)| **o == TestOutcome::Failed)
            .map(|(t, _)| t)
            .collect(),
    )
}

fn passed(run: &SuiteRun, test: &String) -> bool {
    run.tests.as_ref().and_then(|tests| tests.get(test)) == Some(&TestOutcome::Passed)
}
