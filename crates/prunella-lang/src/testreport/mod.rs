//! Per-test outcomes from what test runners print.
//!
//! **Exit codes rule.** Test output can contain anything: a test may print what a runner would, and a patch may make
//! it do so. A report says *which* tests differ once the runner's exit code has said whether the run passed; it never
//! turns a failed run into a passed one. Prefer a structured report (JUnit XML) where the runner writes one.
//!
//! Formats belong to languages ([`LanguagePack::reports`](crate::languages::LanguagePack::reports)); TAP and JUnit XML
//! belong to none.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

mod compare;
mod junit;
mod tap;
mod xml;

pub use compare::{Comparison, compare};
pub use junit::parse_junit;

use crate::languages::PACKS;
use crate::stacktrace::strip_ansi;

/// Tests that one report names at most.
pub const MAX_TESTS: usize = 100_000;
/// Bytes of a test's name that are kept.
pub const MAX_NAME_BYTES: usize = 1024;
/// Bytes of each stream that are read: the last ones, for runners sum up at the end.
pub const MAX_OUTPUT_BYTES: usize = 16 * 1024 * 1024;

/// The runner whose format was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framework {
    /// pytest's terminal report.
    Pytest,
    /// `unittest`'s text runner, Django's included.
    Unittest,
    /// `node --test` with the spec reporter.
    NodeTest,
    /// The Test Anything Protocol, `node --test` with the tap reporter included.
    Tap,
    /// Mocha's spec reporter.
    Mocha,
    /// Jest's default and verbose reporters.
    Jest,
    /// Vitest's default and verbose reporters.
    Vitest,
    /// `cargo test`.
    CargoTest,
    /// `cargo nextest run`.
    Nextest,
    /// JUnit XML.
    Junit,
}

/// How one test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TestOutcome {
    /// It did not run, or was expected to fail and did.
    Skipped,
    /// It passed.
    Passed,
    /// An assertion failed.
    Failed,
    /// It could not run to its end: set-up, collection or tear-down failed.
    Error,
}

impl TestOutcome {
    /// Whether the test speaks against the code.
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Failed | Self::Error)
    }
}

/// What a runner said about its tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestReport {
    /// Whose format it is.
    pub framework: Framework,
    /// The tests that were named. Where a name occurs twice the worst outcome counts.
    pub tests: BTreeMap<String, TestOutcome>,
    /// How many passed, as the runner counts.
    pub passed: u64,
    /// How many failed, as the runner counts; errors included.
    pub failed: u64,
    /// How many were skipped or expected to fail, as the runner counts.
    pub skipped: u64,
    /// Whether passing tests are named too. Where not, only failing tests can be compared by name.
    pub names_passed: bool,
    /// Whether [`MAX_TESTS`] or [`MAX_OUTPUT_BYTES`] left tests out.
    pub truncated: bool,
}

impl TestReport {
    /// The tests that failed or could not run.
    pub fn bad(&self) -> impl Iterator<Item = &str> {
        self.tests
            .iter()
            .filter(|(_, outcome)| outcome.is_bad())
            .map(|(name, _)| name.as_str())
    }
}

/// What a run printed, without terminal escapes.
pub struct Output<'a> {
    /// Standard output.
    pub stdout: &'a str,
    /// Standard error.
    pub stderr: &'a str,
}

impl Output<'_> {
    /// The first stream that `read` can read.
    pub(crate) fn either(&self, read: impl Fn(&str) -> Option<TestReport>) -> Option<TestReport> {
        read(self.stdout).or_else(|| read(self.stderr))
    }
}

/// A test runner's output format.
pub trait ReportFormat: Sync {
    /// Reads the report; `None` when the output does not end as this runner's does.
    fn parse(&self, output: &Output<'_>) -> Option<TestReport>;
}

/// Reads whichever report the output of a test run holds. `None` when no known runner summed up: it may have crashed,
/// failed to build, or be unknown. See the module's warning: this is evidence about tests, not the verdict.
pub fn parse(stdout: &str, stderr: &str) -> Option<TestReport> {
    let (stdout, cut_out) = tail(stdout);
    let (stderr, cut_err) = tail(stderr);
    let (stdout, stderr) = (clean(stdout), clean(stderr));
    let output = Output {
        stdout: &stdout,
        stderr: &stderr,
    };
    let neutral: [&dyn ReportFormat; 2] = [&junit::Format, &tap::Format];
    let of_languages = PACKS.iter().flat_map(|pack| pack.reports().iter().copied());
    let mut report = std::iter::once(neutral[0])
        .chain(of_languages)
        .chain(std::iter::once(neutral[1]))
        .find_map(|format| format.parse(&output))?;
    report.truncated |= cut_out || cut_err;
    Some(report)
}

fn clean(text: &str) -> Cow<'_, str> {
    strip_ansi(text)
}

fn tail(text: &str) -> (&str, bool) {
    if text.len() <= MAX_OUTPUT_BYTES {
        return (text, false);
    }
    let mut start = text.len() - MAX_OUTPUT_BYTES;
    while !text.is_char_boundary(start) {
        start += 1;
    }
    (&text[start..], true)
}

/// Collects the tests of a report within its limits.
pub(crate) struct Builder {
    report: TestReport,
    counted: bool,
    repeated: BTreeSet<String>,
}

impl Builder {
    pub(crate) fn new(framework: Framework) -> Self {
        let report = TestReport {
            framework,
            tests: BTreeMap::new(),
            passed: 0,
            failed: 0,
            skipped: 0,
            names_passed: true,
            truncated: false,
        };
        Self {
            report,
            counted: false,
            repeated: BTreeSet::new(),
        }
    }

    /// Notes a test; of two outcomes of one name the worse counts.
    pub(crate) fn record(&mut self, name: &str, outcome: TestOutcome) {
        let name = cut_name(name.trim());
        if let Some(known) = self.report.tests.get_mut(name) {
            *known = (*known).max(outcome);
        } else if self.report.tests.len() < MAX_TESTS {
            self.report.tests.insert(name.to_owned(), outcome);
        } else {
            self.report.truncated = true;
        }
    }

    /// Notes a test that may have namesakes which are other tests: the second is called `name #2`.
    pub(crate) fn record_distinct(&mut self, name: &str, outcome: TestOutcome) {
        let name = cut_name(name.trim()).to_owned();
        if !self.report.tests.contains_key(&name) {
            self.record(&name, outcome);
            return;
        }
        let again = (2..100)
            .map(|count| format!("{name} #{count}"))
            .find(|again| !self.repeated.contains(again));
        if let Some(again) = again {
            self.record(&again, outcome);
            self.repeated.insert(again);
        }
    }

    /// Notes a result that may be of a suite, its tests already noted as `name > …`. A suite is not a test: it counts
    /// only when it fails without a failing test in it.
    pub(crate) fn record_test_or_suite(&mut self, name: &str, outcome: TestOutcome) {
        let prefix = format!("{} > ", name.trim());
        let from = self.report.tests.range(prefix.clone()..);
        let mut inner = from
            .take_while(|(name, _)| name.starts_with(&prefix))
            .map(|(_, outcome)| *outcome)
            .peekable();
        let is_suite = inner.peek().is_some();
        let explained = inner.any(TestOutcome::is_bad);
        if !is_suite || (outcome.is_bad() && !explained) {
            self.record(name, outcome);
        }
    }

    /// The totals as the runner printed them.
    pub(crate) fn totals(&mut self, passed: u64, failed: u64, skipped: u64) {
        self.report.passed = self.report.passed.saturating_add(passed);
        self.report.failed = self.report.failed.saturating_add(failed);
        self.report.skipped = self.report.skipped.saturating_add(skipped);
        self.counted = true;
    }

    pub(crate) fn names_passed(&mut self, names_passed: bool) {
        self.report.names_passed = names_passed;
    }

    pub(crate) fn has_passed(&self) -> bool {
        self.report
            .tests
            .values()
            .any(|outcome| *outcome == TestOutcome::Passed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.report.tests.is_empty()
    }

    /// The report; totals that the runner did not print are counted.
    pub(crate) fn finish(mut self) -> TestReport {
        if !self.counted {
            for outcome in self.report.tests.values() {
                match outcome {
                    TestOutcome::Passed => self.report.passed += 1,
                    TestOutcome::Skipped => self.report.skipped += 1,
                    TestOutcome::Failed | TestOutcome::Error => self.report.failed += 1,
                }
            }
        }
        self.report
    }
}

fn cut_name(name: &str) -> &str {
    let mut end = name.len().min(MAX_NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// How many spaces a line is indented.
pub(crate) fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Sums the counts of `words` in a summary such as `1 failed, 4 passed, 2 skipped`.
pub(crate) fn count_of(summary: &str, words: &[&str]) -> u64 {
    let tokens: Vec<&str> = summary
        .split(|c: char| c.is_whitespace() || ",;|()".contains(c))
        .filter(|t| !t.is_empty())
        .collect();
    tokens
        .windows(2)
        .filter(|pair| words.contains(&pair[1].trim_end_matches('.')))
        .filter_map(|pair| pair[0].parse::<u64>().ok())
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests;
