//! What the failing command does before anything is changed: which tests fail, what they run, what values look like.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use prunella_core::diagnose::paths::path_kind;
use prunella_core::repair::synth::{Executed, ObservedTypes, Spectrum, Symptoms};
use prunella_core::signal::Language;
use prunella_sandbox::CancelToken;

use super::NotSearched;
use super::session::Session;
use super::wire::{Compared, TestRow, rows};

/// What the driver says of a test that was stopped.
const HUNG: &str = "Hung";
/// The most tests that are run although it is not known whether they reach what was changed.
const MAX_UNTRACED: usize = 600;
/// The most compared pairs of each kind that are kept.
const MAX_COMPARED: usize = 16;

/// The state before.
pub(crate) struct Baseline {
    /// All tests by their index.
    pub(crate) tests: BTreeMap<usize, TestRow>,
    /// The failing ones, the quickest first.
    pub(crate) failing: Vec<usize>,
    /// The executed lines.
    pub(crate) spectrum: Spectrum,
    /// What the failing tests show.
    pub(crate) symptoms: Symptoms,
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
    pub(crate) fn of(rows: Vec<TestRow>) -> Self {
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
        let symptoms = symptoms(failing.iter().map(|index| &tests[index]));
        Self {
            failing,
            spectrum,
            symptoms,
            types,
            tests,
        }
    }

    /// The types that were seen in a file.
    pub(crate) fn types(&self, file: &str) -> ObservedTypes {
        self.types.get(file).cloned().unwrap_or_default()
    }

    /// The tests that a change of these lines has to pass, in the suite's order: the failing ones, those that run a line
    /// of them, and a number of those of which that is not known. The order matters: some tests pass only after others, or
    /// only before them.
    pub(crate) fn tests_for(&self, file: &str, lines: std::ops::RangeInclusive<u32>) -> Vec<usize> {
        let reaches = |row: &TestRow| {
            row.lines
                .get(file)
                .is_some_and(|seen| seen.iter().any(|line| lines.contains(line)))
        };
        let mut untraced = 0;
        let wanted = self.tests.values().filter(|row| {
            let is_unknown = row.passed && !row.traced && untraced < MAX_UNTRACED;
            untraced += usize::from(is_unknown);
            !row.skipped && (!row.passed || is_unknown || reaches(row))
        });
        wanted.map(|row| row.index).collect()
    }

    /// Whether every failing test ends with an exception of the code, or never; none with an assertion.
    pub(crate) fn crashed(&self) -> bool {
        const JUDGED: &[&str] = &["AssertionError", "Failed", "SystemExit"];
        let mut ends = self.symptoms.exceptions.iter();
        !self.symptoms.exceptions.is_empty() && ends.all(|end| !JUDGED.contains(&end.as_str()))
    }

    /// The longest time that a test took which ended by itself, in seconds: what fails by an assertion has done its work.
    pub(crate) fn longest(&self) -> f64 {
        let ended = self
            .tests
            .values()
            .filter(|row| row.passed || row.error.as_deref() != Some(HUNG));
        ended.map(|row| row.seconds).fold(0.0, f64::max)
    }
}

fn symptoms<'a>(failing: impl Iterator<Item = &'a TestRow>) -> Symptoms {
    let (mut exceptions, mut found) = (BTreeSet::new(), Symptoms::default());
    for row in failing {
        exceptions.extend(row.error.clone());
        for pair in &row.compared {
            match pair {
                Compared::Texts(left, right) if found.texts.len() < MAX_COMPARED => {
                    found.texts.push((left.clone(), right.clone()));
                }
                Compared::Numbers(left, right) if found.numbers.len() < MAX_COMPARED => {
                    found.numbers.push((*left, *right));
                }
                _ => {}
            }
        }
    }
    found.exceptions = exceptions.into_iter().collect();
    found
}

/// The language of a file, if its changes can be searched.
pub(crate) fn language(file: &str) -> Option<Language> {
    match Path::new(file).extension()?.to_str()? {
        "py" => Some(Language::Python),
        "js" | "cjs" | "mjs" => Some(Language::JavaScript),
        "rs" => Some(Language::Rust),
        _ => None,
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
    language(file).is_some() && !of_tests && !path_kind(file).is_protected()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(index: usize, passed: bool, lines: &[u32], raised: &[(u32, &str)]) -> TestRow {
        let file = "shop/cart.py";
        TestRow {
            index,
            passed,
            traced: true,
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
        assert_eq!(baseline.symptoms.exceptions, ["KeyError"]);
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
