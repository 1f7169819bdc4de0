//! What the failing command does before anything is changed: which tests fail, what they run, what values look like.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use prunella_core::diagnose::paths::path_kind;
use prunella_core::repair::synth::{Executed, ObservedTypes, Spectrum};
use prunella_sandbox::CancelToken;

use super::NotSearched;
use super::session::Session;
use super::wire::{TestRow, rows};

/// The state before.
pub(crate) struct Baseline {
    /// All tests by their index.
    pub(crate) tests: BTreeMap<usize, TestRow>,
    /// The failing ones, the quickest first.
    pub(crate) failing: Vec<usize>,
    /// The executed lines.
    pub(crate) spectrum: Spectrum,
    /// The exceptions that failing tests end with.
    pub(crate) exceptions: Vec<String>,
    types: BTreeMap<String, ObservedTypes>,
}

/// Runs the command once under the driver.
pub(crate) fn run(
    session: &mut Session<'_>,
    until: f64,
    wall: Duration,
    cancel: &CancelToken,
) -> Result<Baseline, NotSearched> {
    let mut tests = run_as(session, "harness", until, wall, cancel)?;
    if tests.is_empty() {
        tests = run_as(session, "process", until, wall, cancel)?;
    }
    if tests.is_empty() {
        return Err(NotSearched::NoPython);
    }
    let baseline = Baseline::of(tests);
    if baseline.failing.is_empty() {
        return Err(NotSearched::NothingFails);
    }
    Ok(baseline)
}

fn run_as(
    session: &mut Session<'_>,
    mode: &'static str,
    until: f64,
    wall: Duration,
    cancel: &CancelToken,
) -> Result<Vec<TestRow>, NotSearched> {
    session.mode = mode;
    let mut job = session.job("baseline", until);
    if mode == "process" {
        job.limit = 20.0;
        job.passing_traced = 0;
    }
    let ran = session.run::<()>(job, &[], wall, cancel)?;
    let tests: Vec<TestRow> = rows(ran.out.path(), "tests.jsonl");
    tracing::debug!(mode, tests = tests.len(), exit = ?ran.report.exit, errors = ?rows::<serde_json::Value>(ran.out.path(), "error.jsonl"), "baseline");
    Ok(tests)
}

impl Baseline {
    fn of(rows: Vec<TestRow>) -> Self {
        let tests: BTreeMap<usize, TestRow> = rows.into_iter().map(|row| (row.index, row)).collect();
        let mut spectrum = Spectrum::default();
        let mut types: BTreeMap<String, ObservedTypes> = BTreeMap::new();
        for row in tests.values().filter(|row| !row.lines.is_empty()) {
            let executed: Executed = row
                .lines
                .iter()
                .filter(|(file, _)| is_ours(file))
                .map(|(file, lines)| (file.clone(), lines.iter().copied().collect()))
                .collect();
            spectrum.add(&executed, row.passed);
            let ending = row
                .raised
                .iter()
                .filter(|(_, _, kind)| !row.passed && Some(kind) == row.error.as_ref());
            for (file, line, _) in ending.filter(|(file, ..)| is_ours(file)) {
                spectrum.mark(file, *line);
            }
            for (key, names) in &row.types {
                let Some((file, function)) = key.split_once("::") else {
                    continue;
                };
                let of = types
                    .entry(file.to_owned())
                    .or_default()
                    .entry(function.to_owned())
                    .or_default();
                for (name, kinds) in names {
                    of.entry(name.clone()).or_default().extend(kinds.iter().cloned());
                }
            }
        }
        let mut failing: Vec<usize> = tests
            .values()
            .filter(|t| !t.passed && !t.skipped)
            .map(|t| t.index)
            .collect();
        failing.sort_by(|a, b| tests[a].seconds.total_cmp(&tests[b].seconds));
        let exceptions: BTreeSet<String> = failing.iter().filter_map(|index| tests[index].error.clone()).collect();
        Self {
            failing,
            spectrum,
            exceptions: exceptions.into_iter().collect(),
            types,
            tests,
        }
    }

    /// The types that were seen in a file.
    pub(crate) fn types(&self, file: &str) -> ObservedTypes {
        self.types.get(file).cloned().unwrap_or_default()
    }

    /// The tests that a change of these lines has to pass, in the suite's order: the failing ones and those that run a
    /// line of them. The order matters: some tests pass only after others, or only before them.
    pub(crate) fn tests_for(&self, file: &str, lines: std::ops::RangeInclusive<u32>) -> Vec<usize> {
        let reaches = |row: &TestRow| {
            row.lines
                .get(file)
                .is_some_and(|seen| seen.iter().any(|line| lines.contains(line)))
        };
        let wanted = self
            .tests
            .values()
            .filter(|row| !row.skipped && (!row.passed || reaches(row)));
        wanted.map(|row| row.index).collect()
    }

    /// The longest time that a passing test took, in seconds.
    pub(crate) fn longest(&self) -> f64 {
        self.tests
            .values()
            .filter(|row| row.passed)
            .map(|row| row.seconds)
            .fold(0.0, f64::max)
    }
}

/// Whether a file may be repaired: not what is protected, nor what lies beside tests in a folder named after them.
pub(crate) fn is_ours(file: &str) -> bool {
    const WORDS: &[&str] = &[
        "test",
        "tests",
        "testcase",
        "testcases",
        "testing",
        "testdata",
        "testsuite",
    ];
    let path = Path::new(file);
    let of_tests = path
        .components()
        .filter_map(|part| part.as_os_str().to_str())
        .any(|part| part.split(['_', '-', '.']).any(|word| WORDS.contains(&word)));
    path.extension().is_some_and(|e| e == "py") && !of_tests && !path_kind(file).is_protected()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(index: usize, passed: bool, lines: &[u32], raised: &[(u32, &str)]) -> TestRow {
        let file = "shop/cart.py";
        TestRow {
            index,
            passed,
            error: (!passed).then(|| "KeyError".to_owned()),
            #[allow(clippy::cast_precision_loss, reason = "a handful of tests")]
            seconds: 0.1 * index as f64,
            lines: BTreeMap::from([(file.to_owned(), lines.to_vec())]),
            raised: raised
                .iter()
                .map(|(line, kind)| (file.to_owned(), *line, (*kind).to_owned()))
                .collect(),
            ..TestRow::default()
        }
    }

    #[test]
    fn only_what_reaches_the_lines_is_run_in_the_order_of_the_suite() {
        let baseline = Baseline::of(vec![
            row(0, true, &[1, 2], &[]),
            row(1, true, &[1, 9], &[]),
            row(2, false, &[1, 2], &[(2, "KeyError"), (1, "StopIteration")]),
        ]);
        assert_eq!(baseline.failing, [2]);
        assert_eq!(baseline.tests_for("shop/cart.py", 2..=3), [0, 2]);
        assert_eq!(baseline.exceptions, ["KeyError"]);
        let of = |line| baseline.spectrum.ochiai("shop/cart.py", line);
        assert!(of(2) > 0.89 && of(2) > of(1) && of(9) < 1e-9, "{} {}", of(2), of(1));
    }

    #[test]
    fn tests_and_what_lies_beside_them_are_left_alone() {
        let check = |file: &str, ours: bool| assert_eq!(is_ours(file), ours, "{file}");
        check("shop/cart.py", true);
        check("shop/latest/contest.py", true);
        check("python_testcases/node.py", false);
        check("tests/helpers.py", false);
        check("shop/cart_test.py", false);
        check("shop/cart.txt", false);
    }
}
