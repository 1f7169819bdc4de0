//! The search while no outcome varies.

use super::graph::entropy;
use super::{Bisection, Step, Tally};

impl Bisection {
    pub(super) fn next_steady(&self) -> Step {
        if let Some(step) = self.check_ends() {
            return step;
        }
        let (fails, candidates) = self.narrow();
        let members: Vec<usize> = (0..candidates.len()).filter(|index| candidates[*index]).collect();
        if members.len() == 1 {
            return self.confirm(fails);
        }
        if self.runs() >= self.config.budget {
            return self.exhausted(self.masked(&candidates));
        }
        match self.most_telling(fails, &members, &candidates) {
            Some(commit) => self.test(self.graph.commit(commit), 1),
            // The others cannot be tested, so it is any of them, or the one that fails.
            None => Step::Narrowed {
                commits: self.names(&members),
            },
        }
    }

    /// The head must fail and the good commits must not: else there is nothing to search.
    fn check_ends(&self) -> Option<Step> {
        let head = self.at(self.head);
        if head == Tally::default() {
            return Some(self.test(self.graph.commit(self.head), 1));
        }
        if !head.failed() {
            return Some(Step::NotReproducible);
        }
        for good in &self.good {
            match self.tally(good) {
                tally if tally.failed() => return Some(Step::AlreadyBad { commit: good.clone() }),
                tally if tally == Tally::default() => return Some(self.test(good, 1)),
                _ => {}
            }
        }
        None
    }

    /// The failing commit nearest to the cause, and the commits that may be the cause: its ancestors and itself, less
    /// those that lead to a passing commit.
    fn narrow(&self) -> (usize, Vec<bool>) {
        let passing: Vec<Vec<bool>> = self
            .indices(Tally::passed)
            .into_iter()
            .map(|index| self.graph.ancestors(index))
            .collect();
        let failing = self.indices(Tally::failed);
        let mut fails = self.head;
        loop {
            let candidates = self.candidates(fails, &passing);
            // A failing parent explains its child whatever else passes.
            let earlier = failing
                .iter()
                .copied()
                .filter(|other| *other != fails && (candidates[*other] || self.graph.parents(fails).contains(other)));
            match earlier.min() {
                Some(other) => fails = other,
                None => return (fails, candidates),
            }
        }
    }

    fn candidates(&self, fails: usize, passing: &[Vec<bool>]) -> Vec<bool> {
        let mut candidates = self.graph.ancestors(fails);
        // A passing descendant of a failing commit contradicts it, and says nothing about what came before.
        for clean in passing.iter().filter(|ancestors| !ancestors[fails]) {
            candidates
                .iter_mut()
                .zip(clean)
                .for_each(|(candidate, clean)| *candidate &= !clean);
        }
        candidates
    }

    /// Guilty if every parent was executed and passes.
    fn confirm(&self, fails: usize) -> Step {
        let parents = self.graph.parent_names(fails);
        for parent in parents {
            let tally = self.tally(parent);
            if tally.failed() {
                // Only a parent outside of the range can be here: one inside would have been narrowed to.
                return Step::AlreadyBad { commit: parent.clone() };
            }
            if tally == Tally::default() {
                if self.runs() >= self.config.budget {
                    return Step::Exhausted {
                        remaining: vec![(self.graph.commit(fails).clone(), 1.0)],
                    };
                }
                return self.test(parent, 1);
            }
        }
        let all_pass = parents.iter().all(|parent| self.tally(parent).passed());
        let commit = self.graph.commit(fails).clone();
        if all_pass {
            Step::Guilty {
                commit,
                passing_parents: parents.to_vec(),
                confidence: 1.0,
            }
        } else {
            Step::Narrowed { commits: vec![commit] }
        }
    }

    /// Priors of the candidates, 0 elsewhere, summing to 1.
    fn masked(&self, candidates: &[bool]) -> Vec<f64> {
        let priors = self.graph.priors();
        let total: f64 = priors
            .iter()
            .zip(candidates)
            .filter(|(_, is)| **is)
            .map(|(prior, _)| prior)
            .sum();
        priors
            .iter()
            .zip(candidates)
            .map(|(prior, is)| if *is { prior / total } else { 0.0 })
            .collect()
    }

    /// The untested candidate with the most expected bits per cost.
    fn most_telling(&self, fails: usize, members: &[usize], candidates: &[bool]) -> Option<usize> {
        let sums = self.graph.ancestor_sums(&self.masked(candidates));
        let value = |index: &usize| entropy(sums[*index].clamp(0.0, 1.0)) / self.graph.cost(*index);
        let untested = members
            .iter()
            .copied()
            .filter(|index| *index != fails && self.at(*index) == Tally::default());
        // Of equals the later one: nearer to the failure, likelier to build.
        untested.max_by(|one, two| value(one).total_cmp(&value(two)).then(one.cmp(two)))
    }

    pub(super) fn exhausted(&self, probabilities: Vec<f64>) -> Step {
        let mut remaining: Vec<(usize, f64)> = probabilities
            .into_iter()
            .enumerate()
            .filter(|(_, p)| *p > 0.0)
            .collect();
        remaining.sort_by(|one, two| two.1.total_cmp(&one.1).then(two.0.cmp(&one.0)));
        remaining.truncate(10);
        let named = |(index, p): (usize, f64)| (self.graph.commit(index).clone(), p);
        Step::Exhausted {
            remaining: remaining.into_iter().map(named).collect(),
        }
    }
}
