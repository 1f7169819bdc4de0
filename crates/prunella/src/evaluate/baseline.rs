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
pub(super) struct Baseline {
    /// All tests by their index.
    pub(super) tests: BTreeMap<usize, TestRow>,
    /// The failing ones, the quickest first.
    pub(super) failing: Vec<usize>,
    /// The executed lines.
    pub(super) spectrum: Spectrum,
    /// The exceptions that failing tests end with.
    pub(super) exceptions: Vec<String>,
    types: BTreeMap<String, ObservedTypes>,
}

/// Runs the command once under the driver.
pub(super) fn run(session: &mut Session<'_>, until: f64, wall: Duration, cancel: &CancelToken) -> Result<Baseline, NotSearched> {
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

fn run_as(session: &mut Session<'_>, mode: &'static str, until: f64, wall: Duration, cancel: &CancelToken) -> Result<Vec<TestRow>, NotSearched> {
    session.mode = mode;
    let mut job = session.job("baseline", until);
    if mode == "process" {
        job.limit = 20.0;
        job.passing_traced = 0;
    }
    let ran = session.run(job, &[], wall, cancel)?;
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
            for (key, names) in &row.types {
                let Some((file, function)) = key.split_once("::") else { continue };
                let of = types.entry(file.to_owned()).or_default().entry(function.to_owned()).or_default();
                for (name, kinds) in names {
                    of.entry(name.clone()).or_default().extend(kinds.iter().cloned());
                }
            }
        }
        let mut failing: Vec<usize> = tests.values().filter(|t| !t.passed && !t.skipped).map(|t| t.index).collect();
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
    pub(super) fn types(&self, file: &str) -> ObservedTypes {
        self.types.get(file).cloned().unwrap_or_default()
    }

    /// The tests that a change of these lines has to pass: the failing ones, then those that run a line of them, quick
    /// ones first. Tests that were not traced may run anything.
    pub(super) fn tests_for(&self, file: &str, lines: std::ops::RangeInclusive<u32>) -> Vec<usize> {
        let reaches = |row: &&TestRow| row.lines.get(file).is_some_and(|seen| seen.iter().any(|line| lines.contains(line)));
        let mut passing: Vec<&TestRow> = self.tests.values().filter(|row| row.passed).filter(reaches).collect();
        passing.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        self.failing.iter().copied().chain(passing.iter().map(|row| row.index)).collect()
    }

    /// The longest time that a passing test took, in seconds.
    pub(super) fn longest(&self) -> f64 {
        self.tests.values().filter(|row| row.passed).map(|row| row.seconds).fold(0.0, f64::max)
    }
}

/// Whether a file may be repaired.
pub(super) fn is_ours(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|e| e == "py") && !path_kind(file).is_protected()
}
