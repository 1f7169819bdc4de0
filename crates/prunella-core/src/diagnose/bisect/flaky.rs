//! The search when outcomes vary: a posterior over commits instead of a set of candidates.
//!
//! A hypothesis is "this commit brought it"; one more is "it is older than the range". A commit is bad under a
//! hypothesis if it descends from the one that brought it. Runs on a bad commit fail with the rate seen on commits
//! that failed at all; runs on a good one fail in the same way with [`Config::false_fail`](super::Config).

use super::graph::entropy;
use super::{Bisection, Step, Tally};

/// Most runs to ask for at once.
const MAX_BATCH: u32 = 32;
/// Below this many bits an experiment is not worth its cost.
const NO_INFORMATION: f64 = 1e-3;

/// Probabilities of the hypotheses; they sum to 1.
struct Posterior {
    commits: Vec<f64>,
    older: f64,
}

impl Bisection {
    pub(super) fn next_flaky(&self) -> Step {
        let head = self.at(self.head);
        if !head.failed() {
            let runs = self.batch();
            let enough = head.passes >= 2 * runs || head.untestable;
            return if enough {
                Step::NotReproducible
            } else {
                self.test(self.graph.commit(self.head), runs)
            };
        }
        let posterior = self.posterior();
        if posterior.older >= self.config.confidence
            && let Some(commit) = self.outside().into_iter().find(|commit| self.tally(commit).failed())
        {
            return Step::AlreadyBad { commit };
        }
        let best = (0..posterior.commits.len()).max_by(|a, b| posterior.commits[*a].total_cmp(&posterior.commits[*b]));
        if let Some(best) = best.filter(|best| posterior.commits[*best] >= self.config.confidence) {
            return self.confirm_flaky(best, posterior.commits[best]);
        }
        if self.runs() >= self.config.budget {
            return self.exhausted(posterior.commits);
        }
        self.most_telling_runs(&posterior)
    }

    /// Chance that a run on a bad commit passes: from the commits that fail at all, with one pseudo-run each way.
    fn pass_rate(&self) -> f64 {
        let failing = self.tallies.values().filter(|tally| tally.failed());
        let (fails, passes) = failing.fold((0, 0), |(f, p), tally| (f + tally.fails, p + tally.passes));
        f64::from(passes + 1) / f64::from(fails + passes + 2)
    }

    /// Runs after which a bad commit that passes them all would be a one-in-a-hundred chance.
    fn batch(&self) -> u32 {
        let needed = (0.01f64.ln() / self.pass_rate().ln()).ceil();
        if needed.is_finite() {
            (needed as u32).clamp(1, MAX_BATCH)
        } else {
            MAX_BATCH
        }
    }

    /// log P(outcomes | bad) − log P(outcomes | good).
    fn evidence(&self, tally: Tally) -> f64 {
        let (pass, false_fail) = (self.pass_rate(), self.config.false_fail.clamp(1e-6, 0.5));
        f64::from(tally.fails) * ((1.0 - pass) / false_fail).ln()
            + f64::from(tally.passes) * (pass / (1.0 - false_fail)).ln()
    }

    fn posterior(&self) -> Posterior {
        let older = self.config.older.clamp(1e-6, 0.9);
        let mut logs: Vec<f64> = self
            .graph
            .priors()
            .iter()
            .map(|p| (p * (1.0 - older)).max(f64::MIN_POSITIVE).ln())
            .collect();
        let mut log_older = older.ln();
        for index in self.indices(|tally| tally.failed() || tally.passed()) {
            let evidence = self.evidence(self.at(index));
            let bad_if = self.graph.ancestors(index);
            logs.iter_mut()
                .zip(bad_if)
                .filter(|(_, bad)| *bad)
                .for_each(|(log, _)| *log += evidence);
            log_older += evidence;
        }
        log_older += self
            .outside()
            .iter()
            .map(|commit| self.evidence(self.tally(commit)))
            .sum::<f64>();
        let most = logs.iter().copied().fold(log_older, f64::max);
        let weights: Vec<f64> = logs.iter().map(|log| (log - most).exp()).collect();
        let total = weights.iter().sum::<f64>() + (log_older - most).exp();
        Posterior {
            commits: weights.iter().map(|weight| weight / total).collect(),
            older: (log_older - most).exp() / total,
        }
    }

    /// Commits outside of the range that can be or were tested: the known-good ones, then parents.
    fn outside(&self) -> Vec<crate::id::CommitId> {
        let mut outside = self.good.clone();
        for index in 0..self.graph.len() {
            if self.graph.parents(index).len() < self.graph.parent_names(index).len() {
                let inside = self.names(self.graph.parents(index));
                outside.extend(
                    self.graph
                        .parent_names(index)
                        .iter()
                        .filter(|name| !inside.contains(name))
                        .cloned(),
                );
            }
        }
        outside.sort();
        outside.dedup();
        outside
    }

    /// The commit was seen to fail and each parent passed a full batch.
    fn confirm_flaky(&self, guilty: usize, confidence: f64) -> Step {
        let commit = self.graph.commit(guilty);
        let batch = self.batch();
        let spent = self.runs() >= self.config.budget;
        let own = self.at(guilty);
        if own.untestable {
            return Step::Narrowed {
                commits: vec![commit.clone()],
            };
        }
        if !own.failed() {
            return if spent {
                self.exhausted(self.posterior().commits)
            } else {
                self.test(commit, batch)
            };
        }
        for parent in self.graph.parent_names(guilty) {
            let tally = self.tally(parent);
            if tally.untestable {
                return Step::Narrowed {
                    commits: vec![commit.clone()],
                };
            }
            if !tally.failed() && tally.passes < batch {
                return if spent {
                    self.exhausted(self.posterior().commits)
                } else {
                    self.test(parent, batch - tally.passes)
                };
            }
            if tally.failed() {
                // The posterior outvoted a failing parent: too strange for a verdict.
                return self.exhausted(self.posterior().commits);
            }
        }
        let passing_parents = self.graph.parent_names(guilty).to_vec();
        Step::Guilty {
            commit: commit.clone(),
            passing_parents,
            confidence,
        }
    }

    /// The batch of runs that is expected to tell most: what a batch says about a commit is whether any run fails.
    fn most_telling_runs(&self, posterior: &Posterior) -> Step {
        let batch = self.batch();
        let detects = 1.0 - self.pass_rate().powi(i32::try_from(batch).unwrap_or(i32::MAX));
        let noise = 1.0 - (1.0 - self.config.false_fail).powi(i32::try_from(batch).unwrap_or(i32::MAX));
        let bits = |bad: f64| {
            let bad = bad.clamp(0.0, 1.0);
            let fails = bad * detects + (1.0 - bad) * noise;
            entropy(fails) - bad * entropy(detects) - (1.0 - bad) * entropy(noise)
        };
        let sums = self.graph.ancestor_sums(&posterior.commits);
        let inside = (0..self.graph.len())
            .filter(|index| !self.at(*index).untestable)
            .map(|index| {
                (
                    bits(sums[index] + posterior.older) / self.graph.cost(index),
                    self.graph.commit(index).clone(),
                )
            });
        let outside = self
            .outside()
            .into_iter()
            .filter(|commit| !self.tally(commit).untestable)
            .map(|commit| (bits(posterior.older), commit));
        let best = outside.chain(inside).max_by(|one, two| one.0.total_cmp(&two.0));
        match best {
            Some((value, commit)) if value > NO_INFORMATION => self.test(&commit, batch),
            _ => {
                let likely: Vec<usize> = (0..posterior.commits.len())
                    .filter(|index| posterior.commits[*index] >= 0.01)
                    .collect();
                Step::Narrowed {
                    commits: self.names(&likely),
                }
            }
        }
    }
}
