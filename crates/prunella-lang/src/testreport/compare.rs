//! What changed between two runs of the same tests.

use std::collections::BTreeSet;

use super::{TestOutcome, TestReport};

/// What the second run shows that the first did not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Tests that fail now and did not fail before (new tests that fail included).
    pub newly_failing: BTreeSet<String>,
    /// Tests that ran before and are not there now. Empty when the second report does not name passing tests; see
    /// `fewer`.
    pub missing: BTreeSet<String>,
    /// Tests that failed before and pass now (or are no longer among the failing, where passing ones are not named).
    pub newly_passing: BTreeSet<String>,
    /// Tests that ran before and are skipped now.
    pub newly_skipped: BTreeSet<String>,
    /// By how much the number of tests that ran fell, by the runners' own counts: a way to lose tests that names
    /// cannot show.
    pub fewer: u64,
}

impl Comparison {
    /// Whether the second run is no worse: nothing fails, is missing or is skipped that was not so before.
    pub fn is_no_worse(&self) -> bool {
        self.newly_failing.is_empty() && self.missing.is_empty() && self.newly_skipped.is_empty() && self.fewer == 0
    }
}

/// Compares two reports of the same test command.
pub fn compare(before: &TestReport, after: &TestReport) -> Comparison {
    let mut result = Comparison::default();
    for (name, outcome) in &after.tests {
        let was = before.tests.get(name);
        let was_bad = was.is_some_and(|was| was.is_bad());
        if outcome.is_bad() && !was_bad {
            result.newly_failing.insert(name.clone());
        }
        if *outcome == TestOutcome::Skipped && was.is_some_and(|was| *was != TestOutcome::Skipped) {
            result.newly_skipped.insert(name.clone());
        }
    }
    for (name, was) in &before.tests {
        match after.tests.get(name) {
            Some(TestOutcome::Passed) if was.is_bad() => {
                result.newly_passing.insert(name.clone());
            }
            None if !after.names_passed && was.is_bad() => {
                result.newly_passing.insert(name.clone());
            }
            None if after.names_passed && *was != TestOutcome::Skipped => {
                result.missing.insert(name.clone());
            }
            _ => {}
        }
    }
    let ran = |report: &TestReport| report.passed.saturating_add(report.failed);
    result.fewer = ran(before).saturating_sub(ran(after));
    result
}
