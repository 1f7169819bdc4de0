//! What was measured when a candidate was tried. Facts only; the judgement is [`super::judge`]'s.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::refutation::Refutation;
use super::shadow::Shadow;
use crate::id::CommitId;

/// How far the sandbox that ran the trials kept the code under test from the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// No isolation: nothing may be run at this level.
    None,
    /// Landlock and seccomp on a private copy.
    Partial,
    /// Own namespaces, private overlay, resource limits.
    Full,
}

/// One run of the reproduction against one tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Trial {
    /// The failure under repair was seen: same class, message, frames and route.
    Failed {
        /// What was seen, for people.
        seen: String,
    },
    /// The reproduction ran to its end and the failure was not seen.
    Passed,
    /// Something else went wrong, which is not the failure under repair.
    OtherFailure {
        /// What was seen, for people.
        seen: String,
    },
    /// The tree could not be tried: it did not build, start or become ready, or a limit was reached.
    NotRun {
        /// Why.
        why: String,
    },
}

/// The outcome of one test of the repository's own suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestOutcome {
    /// It passed.
    Passed,
    /// It failed or stopped with an error.
    Failed,
    /// It was skipped.
    Skipped,
}

/// How the suite's process ended. The exit code rules: what a test prints can be made up by the code under test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum SuiteExit {
    /// It exited with this code.
    Exited {
        /// The exit code.
        code: i32,
    },
    /// It was killed by a signal, or by a limit that `what` names.
    Killed {
        /// The signal or limit.
        what: String,
    },
    /// It could not be started or its dependencies could not be built.
    NotRun {
        /// Why.
        why: String,
    },
}

impl SuiteExit {
    fn is_success(&self) -> bool {
        matches!(self, Self::Exited { code: 0 })
    }
}

/// One run of the repository's own test command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuiteRun {
    /// How it ended.
    pub exit: SuiteExit,
    /// Outcomes by test where the output's format is known; `None` where it is not.
    pub tests: Option<BTreeMap<String, TestOutcome>>,
    /// How many tests passed, by the runner's own count, where it names only those that did not.
    #[serde(default)]
    pub passed_unnamed: Option<u64>,
    /// Wall-clock time in milliseconds.
    pub wall_ms: u64,
}

impl SuiteRun {
    fn better_of(self, other: &Self) -> Self {
        let exit = if self.is_green() { self.exit } else { other.exit.clone() };
        let passed_unnamed = self.passed_unnamed.max(other.passed_unnamed);
        let tests = match (self.tests, &other.tests) {
            (Some(tests), Some(others)) => Some(better_tests(tests, others, passed_unnamed.is_some())),
            (tests, others) => tests.or_else(|| others.clone()),
        };
        Self {
            exit,
            tests,
            passed_unnamed,
            wall_ms: self.wall_ms + other.wall_ms,
        }
    }

    /// Whether the command said that all is well.
    #[must_use]
    pub fn is_green(&self) -> bool {
        self.exit.is_success()
    }

    /// Whether a test is known to have passed, by its name or by its number.
    #[must_use]
    pub fn has_a_pass(&self) -> bool {
        let named = self.tests.iter().flat_map(BTreeMap::values);
        self.passed_unnamed.is_some_and(|passed| passed > 0)
            || named.into_iter().any(|outcome| *outcome == TestOutcome::Passed)
    }
}

/// The better outcome of each test. A runner that does not name what passed has passed what the other run names.
fn better_tests(
    mut tests: BTreeMap<String, TestOutcome>,
    others: &BTreeMap<String, TestOutcome>,
    passes_are_unnamed: bool,
) -> BTreeMap<String, TestOutcome> {
    if passes_are_unnamed {
        tests.retain(|name, _| others.contains_key(name));
    }
    for (name, other) in others {
        match tests.get_mut(name) {
            Some(outcome) if *other == TestOutcome::Passed => *outcome = TestOutcome::Passed,
            Some(_) => {}
            None if passes_are_unnamed => {}
            None => {
                tests.insert(name.clone(), *other);
            }
        }
    }
    tests
}

/// The suite before and after the candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuiteComparison {
    /// The command, as configured.
    pub command: String,
    /// On the commit that the candidate patches.
    pub before: SuiteRun,
    /// With the candidate applied.
    pub after: SuiteRun,
    /// Further runs with the candidate, made because the ones before them lost something: a test that passes in one of
    /// them comes and goes, and is not lost.
    #[serde(default)]
    pub again: Vec<SuiteRun>,
    /// Further runs without the candidate, made because the first one was red: what passes in one of them passed before.
    #[serde(default)]
    pub before_again: Vec<SuiteRun>,
}

impl SuiteComparison {
    /// All runs without the candidate as one: each test as well as it came out in any of them.
    #[must_use]
    pub(super) fn best_before(&self) -> SuiteRun {
        self.before_again
            .iter()
            .fold(self.before.clone(), |best, run| best.better_of(run))
    }

    /// All runs with the candidate as one: each test as well as it came out in any of them.
    #[must_use]
    pub(super) fn best_after(&self) -> SuiteRun {
        self.again
            .iter()
            .fold(self.after.clone(), |best, run| best.better_of(run))
    }
}

/// Recorded healthy requests, answered by the last-known-good release and by the candidate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayComparison {
    /// How many requests were compared.
    pub requests: u64,
    /// Requests that the last-known-good release answers and the candidate does not, one sentence each.
    pub regressions: Vec<String>,
}

/// Everything measured about one candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// The candidate's identifier.
    pub candidate: String,
    /// The commit that the candidate patches.
    pub base: CommitId,
    /// The tree (as git names trees) that was tried, so that what ships is what was proven.
    pub tree: String,
    /// Repository paths that the candidate changes.
    pub touched: Vec<String>,
    /// Of those, the ones that a repair may never change: tests, CI, policy, Prunella's configuration.
    pub protected: Vec<String>,
    /// The sandbox's isolation, and its tier in its own words.
    pub isolation: Isolation,
    /// The sandbox's tier in its own words.
    pub tier: String,
    /// Runs of the reproduction on the base commit.
    pub before: Vec<Trial>,
    /// Runs of the reproduction with the candidate applied.
    pub after: Vec<Trial>,
    /// The repository's own suite; `None` if no test command is configured.
    pub suite: Option<SuiteComparison>,
    /// Recorded healthy requests; `None` if there was nothing to replay.
    pub replay: Option<ReplayComparison>,
    /// The attempt to refute it although it passes; `None` if that was not asked for.
    #[serde(default)]
    pub refutation: Option<Refutation>,
    /// Recorded traffic on the candidate beside last-known-good; `None` if there was none.
    #[serde(default)]
    pub shadow: Option<Shadow>,
    /// Wall-clock time of all of it, in milliseconds.
    pub wall_ms: u64,
}
