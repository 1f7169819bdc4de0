//! Suites with failures for no reason: does the judge still say what is true, and what does that cost?
//!
//! Each trial has a suite of some size, reported as pytest reports it and read by the product's own reader. Every test of
//! every run fails with a chance of one in twenty, the failing test in question too. The candidate is right, or it also
//! breaks, skips or deletes one test. The judge is asked after as many runs as the product makes.

use std::fmt::Write as _;

use prunella_core::id::CommitId;
use prunella_core::verify::{
    Decision, Isolation, RunReport, SuiteComparison, SuiteExit, SuiteRun, TestOutcome, Trial, judge,
};
use prunella_lang::testreport;

use crate::random::Random;
use crate::report::{BenchError, Report};

const TRIALS: usize = 1000;
/// How often a test fails for no reason.
const CHANCE: f64 = 0.05;
const SIZES: &[usize] = &[10, 40, 150];

/// What a candidate does beside mending.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Harm {
    None,
    Breaks,
    Skips,
    Deletes,
}

/// Adds `flaky_right`, `flaky_extra_runs` and what they consist of.
pub(super) fn trials(report: &mut Report) -> Result<(), BenchError> {
    let mut random = Random::new(5);
    let (mut right, mut lost, mut missed, mut extra, mut plain) = (0, 0, 0, 0, 0);
    for number in 0..TRIALS {
        let harm = [
            Harm::None,
            Harm::Breaks,
            Harm::None,
            Harm::Skips,
            Harm::None,
            Harm::Deletes,
        ][number % 6];
        let mut trial = World {
            tests: SIZES[number % SIZES.len()],
            chance: CHANCE,
            harm,
            random: &mut random,
        };
        let (decision, runs) = trial.judged()?;
        let is_right = (decision == Decision::Passed) == (harm == Harm::None);
        right += usize::from(is_right);
        lost += usize::from(!is_right && harm == Harm::None);
        missed += usize::from(!is_right && harm != Harm::None);
        extra += runs - 2;
        trial.chance = 0.0;
        plain += trial.judged()?.1 - 2;
    }
    for (name, value) in [
        ("flaky_right", right),
        ("flaky_right_lost", lost),
        ("flaky_harm_missed", missed),
        ("flaky_extra_runs", extra),
        ("steady_extra_runs", plain),
    ] {
        report.figures.insert(name.to_owned(), value as f64 / TRIALS as f64);
    }
    Ok(())
}

struct World<'a> {
    tests: usize,
    chance: f64,
    harm: Harm,
    random: &'a mut Random,
}

impl World<'_> {
    /// The verdict, and how often the suite was run for it.
    fn judged(&mut self) -> Result<(Decision, usize), BenchError> {
        let mut suite = SuiteComparison {
            command: "pytest".into(),
            before: self.run(false)?,
            after: self.run(true)?,
            again: Vec::new(),
            before_again: Vec::new(),
        };
        while suite.is_worth_another_before() {
            let run = self.run(false)?;
            suite.before_again.push(run);
        }
        while suite.is_worth_another_run() {
            let run = self.run(true)?;
            suite.again.push(run);
        }
        let runs = 2 + suite.again.len() + suite.before_again.len();
        let report = RunReport {
            candidate: "c".into(),
            base: CommitId::parse("a".repeat(40)).map_err(|e| BenchError::Unexpected(e.to_string()))?,
            tree: "t".into(),
            touched: vec!["shop.py".into()],
            protected: Vec::new(),
            isolation: Isolation::Full,
            tier: "A".into(),
            before: (0..2).map(|_| self.before()).collect(),
            after: self.after(),
            suite: Some(suite),
            replay: None,
            refutation: None,
            shadow: None,
            wall_ms: 1,
        };
        let stored = serde_json::to_vec(&report).map_err(|e| BenchError::Unexpected(e.to_string()))?;
        let (verdict, _) = judge(&stored).map_err(|e| BenchError::Unexpected(e.to_string()))?;
        Ok((verdict.decision, runs))
    }

    fn unlucky(&mut self) -> bool {
        self.random.chance(self.chance)
    }

    fn before(&mut self) -> Trial {
        let seen = "test_0".to_owned();
        if self.unlucky() {
            Trial::OtherFailure { seen }
        } else {
            Trial::Failed { seen }
        }
    }

    /// As many runs as the product makes.
    fn after(&mut self) -> Vec<Trial> {
        let mut trials = Vec::new();
        while prunella_core::verify::is_worth_another_trial(&trials) {
            let seen = "test_0: RuntimeError".to_owned();
            trials.push(if self.unlucky() {
                Trial::OtherFailure { seen }
            } else {
                Trial::Passed
            });
        }
        trials
    }

    /// One run of the suite, by way of what pytest prints.
    fn run(&mut self, with: bool) -> Result<SuiteRun, BenchError> {
        let (mut out, mut failed, mut ran) = (String::from("============ test session starts ============\n"), 0, 0);
        for test in 0..self.tests {
            let harmed = with && test == self.tests / 2 && self.harm != Harm::None;
            if harmed && self.harm == Harm::Deletes {
                continue;
            }
            let bad = (test == 0 && !with) || (harmed && self.harm == Harm::Breaks) || self.unlucky();
            let word = match (harmed && self.harm == Harm::Skips, bad) {
                (true, _) => "SKIPPED",
                (_, true) => "FAILED",
                _ => "PASSED",
            };
            ran += 1;
            failed += usize::from(word == "FAILED");
            let _ = writeln!(
                out,
                "tests/test_shop.py::test_{test} {word} [{:>3}%]",
                100 * test / self.tests
            );
        }
        let _ = writeln!(out, "====== {failed} failed, {} passed in 0.12s ======", ran - failed);
        let read = testreport::parse(&out, "").ok_or_else(|| BenchError::Unexpected("pytest's report".into()))?;
        let core = |outcome: testreport::TestOutcome| match outcome {
            testreport::TestOutcome::Passed => TestOutcome::Passed,
            testreport::TestOutcome::Skipped => TestOutcome::Skipped,
            testreport::TestOutcome::Failed | testreport::TestOutcome::Error => TestOutcome::Failed,
        };
        Ok(SuiteRun {
            exit: SuiteExit::Exited {
                code: i32::from(failed > 0),
            },
            passed_unnamed: (!read.names_passed).then_some(read.passed),
            tests: Some(
                read.tests
                    .iter()
                    .map(|(name, outcome)| (name.clone(), core(*outcome)))
                    .collect(),
            ),
            wall_ms: 1,
        })
    }
}
