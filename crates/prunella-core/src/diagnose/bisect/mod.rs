//! Finds the guilty commit between a release that works and one that does not, by experiments.
//!
//! *Method*: the commits after the known-good ones that lead to the bad head, with a prior each. The next experiment
//! is the one with the most expected information per cost: with equal priors that is bisection, with a strong suspect
//! it is the suspect and its parent. A commit is guilty when it fails and *all* its parents pass, each by execution,
//! so a regression born in a merge is found too. Commits that cannot be tested are skipped, and end in a set rather
//! than in a wrong name. Outcomes that vary are probabilities: a posterior over commits and over "older than all
//! this", with runs repeated until it is sure.
//! *Source*: `git bisect` (its DAG rule and `skip`); posterior bisection: Ben-Or & Hassidim, "The Bayesian Learner is
//! Optimal for Noisy Binary Search" (FOCS 2008); verification of culprit and parents, and the no-culprit hypothesis:
//! Google's flake-aware culprit finding (ICST 2023).

mod flaky;
mod graph;
mod step;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::id::CommitId;
use graph::Graph;

/// One commit of the range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub commit: CommitId,
    /// All its parents, also those outside of the range.
    pub parents: Vec<CommitId>,
    /// How suspicious it is, on any non-negative scale. Mixed with equal priors, so that a wrong ranking costs a
    /// few experiments, not the result.
    pub prior: f64,
    /// What an experiment on it costs, in any unit; not above 0 counts as 1.
    pub cost: f64,
}

/// Limits and assumptions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Most experiments (a batch of runs on one commit counts each run).
    pub budget: u32,
    /// Posterior at which a guilty commit is named when outcomes vary.
    pub confidence: f64,
    /// Chance that a run on a commit without the regression fails in the same way.
    pub false_fail: f64,
    /// Prior of "the failure is older than the range", used when outcomes vary.
    pub older: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            budget: 200,
            confidence: 0.99,
            false_fail: 0.005,
            older: 0.1,
        }
    }
}

/// What an experiment on one commit showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The same failure.
    Fails,
    /// No failure.
    Passes,
    /// Another failure, which hides whether this one is there.
    Different,
    /// It does not build or start.
    Unbuildable,
    /// Repeated runs: this many of them showed the same failure. Adds up when recorded again.
    Flaky {
        /// Runs that failed in the same way.
        fails: u32,
        /// All runs.
        runs: u32,
    },
}

/// What to do next, or the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Run the reproduction on this commit, so many times, and [`Bisection::record`] the outcome. Where the outcomes
    /// of several runs differ or `runs` is above 1, record [`Outcome::Flaky`].
    Test {
        /// The commit.
        commit: CommitId,
        /// How many runs.
        runs: u32,
    },
    /// This commit did it: it fails and all its parents pass.
    Guilty {
        /// The commit.
        commit: CommitId,
        /// The parents, each executed and passing.
        passing_parents: Vec<CommitId>,
        /// 1 where no outcome varied, else the posterior.
        confidence: f64,
    },
    /// It is one of these, and no experiment can tell which: the others cannot be tested.
    Narrowed {
        /// The commits, oldest first.
        commits: Vec<CommitId>,
    },
    /// The head does not show the failure: there is nothing to search with.
    NotReproducible,
    /// This commit, which should be good, shows the failure: it is older than the range, or not of the code.
    AlreadyBad {
        /// The commit.
        commit: CommitId,
    },
    /// The budget is spent.
    Exhausted {
        /// What is left with its probability, likeliest first, at most ten.
        remaining: Vec<(CommitId, f64)>,
    },
}

/// Outcomes that contradict the assumption that one commit brought the failure and it stayed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Violation {
    /// This commit fails,
    pub fails: CommitId,
    /// and this descendant of it passes.
    pub passes: CommitId,
}

/// The range cannot be searched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRange {
    /// The head is not among the commits (it is good itself, or the caller forgot it).
    #[error("the failing commit {0} is not in the range between good and bad")]
    NoHead(CommitId),
    /// Not a history.
    #[error("commit {0} is its own ancestor")]
    Cycle(CommitId),
    /// One commit given twice.
    #[error("commit {0} is in the range twice")]
    Twice(CommitId),
    /// A good commit is in the range.
    #[error("commit {0} is both known good and in the range")]
    GoodInRange(CommitId),
}

/// Runs on one commit, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    fails: u32,
    passes: u32,
    untestable: bool,
}

impl Tally {
    fn failed(self) -> bool {
        self.fails > 0
    }

    fn passed(self) -> bool {
        self.fails == 0 && self.passes > 0
    }
}

/// The search as a state machine: what was recorded decides, in whatever order it came.
#[derive(Clone, Debug)]
pub struct Bisection {
    graph: Graph,
    head: usize,
    /// Known-good commits to check before trusting the range.
    good: Vec<CommitId>,
    config: Config,
    /// By index for commits of the range, by name for others (parents outside, good commits).
    tallies: BTreeMap<CommitId, Tally>,
}

impl Bisection {
    /// A search over `nodes`: the commits that lead to `head` and not to a known-good one (`git rev-list head ^good`).
    /// Nodes that do not lead to head are left out. Parents outside of the range count as good until tested.
    /// Each of `good` is tested once before the search; give none where that was done.
    ///
    /// # Errors
    /// If the range is not a history that contains the head.
    pub fn new(
        nodes: &[Node],
        good: &BTreeSet<CommitId>,
        head: &CommitId,
        config: Config,
    ) -> Result<Self, InvalidRange> {
        if let Some(node) = nodes.iter().find(|node| good.contains(&node.commit)) {
            return Err(InvalidRange::GoodInRange(node.commit.clone()));
        }
        let (graph, head) = Graph::new(nodes, head)?;
        Ok(Self {
            graph,
            head,
            good: good.iter().cloned().collect(),
            config,
            tallies: BTreeMap::new(),
        })
    }

    /// Records an outcome. Also of commits that were not asked for (earlier runs, cached trees).
    pub fn record(&mut self, commit: CommitId, outcome: Outcome) {
        let tally = self.tallies.entry(commit).or_default();
        match outcome {
            Outcome::Fails => tally.fails += 1,
            Outcome::Passes => tally.passes += 1,
            Outcome::Different | Outcome::Unbuildable => tally.untestable = true,
            Outcome::Flaky { fails, runs } => {
                tally.fails += fails;
                tally.passes += runs.saturating_sub(fails);
            }
        }
    }

    /// What to do next: the same answer until something is recorded.
    #[must_use]
    pub fn next(&self) -> Step {
        let varies = self.tallies.values().any(|tally| tally.failed() && tally.passes > 0);
        if varies { self.next_flaky() } else { self.next_steady() }
    }

    /// Runs recorded.
    #[must_use]
    pub fn runs(&self) -> u32 {
        self.tallies
            .values()
            .map(|tally| (tally.fails + tally.passes).max(u32::from(tally.untestable)))
            .sum()
    }

    /// Commits in the range.
    #[must_use]
    pub fn len(&self) -> usize {
        self.graph.len()
    }

    /// Whether the range is empty: never, the head is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.graph.len() == 0
    }

    /// Outcomes that contradict each other: a commit fails and a descendant passes. The search goes on with the
    /// failure nearest to the head, but a person should know.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        let passing: Vec<usize> = self.indices(Tally::passed);
        for fails in self.indices(Tally::failed) {
            for passes in &passing {
                if self.graph.ancestors(*passes)[fails] {
                    let name = |index: usize| self.graph.commit(index).clone();
                    found.push(Violation {
                        fails: name(fails),
                        passes: name(*passes),
                    });
                }
            }
        }
        found
    }

    fn tally(&self, commit: &CommitId) -> Tally {
        self.tallies.get(commit).copied().unwrap_or_default()
    }

    fn at(&self, index: usize) -> Tally {
        self.tally(self.graph.commit(index))
    }

    fn indices(&self, what: impl Fn(Tally) -> bool) -> Vec<usize> {
        (0..self.graph.len()).filter(|index| what(self.at(*index))).collect()
    }

    fn test(&self, commit: &CommitId, runs: u32) -> Step {
        Step::Test {
            commit: commit.clone(),
            runs,
        }
    }

    fn names(&self, indices: &[usize]) -> Vec<CommitId> {
        indices.iter().map(|index| self.graph.commit(*index).clone()).collect()
    }
}

#[cfg(test)]
mod tests;
