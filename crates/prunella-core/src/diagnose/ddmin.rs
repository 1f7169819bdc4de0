//! Shrinks a guilty commit to the smallest set of hunk groups whose reversal makes the failure go away.
//!
//! *Method*: first the single most suspicious groups, as long as one test of one is likelier to end the search than
//! what the search costs; then ddmin over all groups in the order of the diff; then a final pass that drops group by
//! group, so that the result is 1-minimal with respect to the dependencies: no group, with those that need it, can be
//! left out. Every set tried is closed under the dependencies. Outcomes are cached; the machine holds nothing else,
//! so it can be rebuilt from recorded outcomes after a restart.
//! *Source*: Zeller & Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (TSE 2002), algorithm ddmin.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::couple::{Coupling, GroupId, closure};

/// A set of reverted groups.
pub type GroupSet = BTreeSet<GroupId>;

/// What happened when a set of groups was reverted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The failure is gone and the acceptance tests pass.
    Gone,
    /// The same failure is still there.
    StillFails,
    /// Neither: it does not build, fails in another way, or an acceptance test fails.
    Unresolved,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Revert exactly these groups at the guilty commit, run, and [`Shrink::record`] the outcome.
    Try(GroupSet),
    /// Found.
    Done {
        /// The set; 1-minimal with respect to the dependencies unless the budget ended the search.
        minimal: GroupSet,
        /// Whether the final pass was completed.
        proven_minimal: bool,
        /// Experiments so far.
        runs: u32,
    },
    /// Not found.
    NotFound {
        /// Why.
        why: NotFound,
        /// Experiments so far.
        runs: u32,
    },
}

/// Why no set was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotFound {
    /// Even without the whole commit the failure stays: the cause is elsewhere.
    FailsWithoutAll,
    /// Without the whole commit something else is broken, so that nothing can be told.
    UnresolvedWithoutAll,
    /// The budget ended the search before any set worked.
    Budget,
    /// There is nothing to revert.
    NoHunks,
}

/// The search as a state machine.
#[derive(Clone, Debug)]
pub struct Shrink {
    order: Vec<GroupId>,
    suspicion: BTreeMap<GroupId, f64>,
    needs: BTreeMap<GroupId, GroupSet>,
    budget: u32,
    all_known_gone: bool,
    outcomes: BTreeMap<GroupSet, Outcome>,
}

/// Leaves the algorithm where an outcome is missing.
enum Stop {
    Missing(GroupSet),
    Budget,
}

impl Shrink {
    /// A search over the groups of `coupling`. `suspicion` weighs groups (any non-negative scale; missing is 0);
    /// `budget` is the most experiments to make.
    #[must_use]
    pub fn new(coupling: &Coupling, suspicion: &BTreeMap<GroupId, f64>, budget: u32) -> Self {
        let clean = |weight: f64| if weight.is_finite() { weight.max(0.0) } else { 0.0 };
        Self {
            order: coupling.ids().collect(),
            suspicion: suspicion.iter().map(|(id, weight)| (*id, clean(*weight))).collect(),
            needs: coupling.needs.clone(),
            budget,
            all_known_gone: false,
            outcomes: BTreeMap::new(),
        }
    }

    /// Spares the run without the whole commit: the parent is known to pass. Only where no hunk was left out of the
    /// coupling and the diff is against that parent.
    #[must_use]
    pub fn parent_passes(mut self) -> Self {
        self.all_known_gone = true;
        self
    }

    /// Records an outcome. Sets that were not asked for are welcome (cached runs of equal trees).
    pub fn record(&mut self, set: GroupSet, outcome: Outcome) {
        self.outcomes.insert(set, outcome);
    }

    /// Experiments recorded.
    #[must_use]
    pub fn runs(&self) -> u32 {
        self.outcomes.len() as u32
    }

    /// What to do next: the same answer until something is recorded.
    #[must_use]
    pub fn next(&self) -> Step {
        let runs = self.runs();
        match self.search() {
            Ok(Ok(minimal)) => Step::Done {
                minimal,
                proven_minimal: true,
                runs,
            },
            Ok(Err(why)) => Step::NotFound { why, runs },
            Err(Stop::Missing(set)) => Step::Try(set),
            Err(Stop::Budget) => match self.smallest_gone() {
                Some(minimal) => Step::Done {
                    minimal,
                    proven_minimal: false,
                    runs,
                },
                None => Step::NotFound {
                    why: NotFound::Budget,
                    runs,
                },
            },
        }
    }

    /// The algorithm from the beginning, over the cached outcomes.
    fn search(&self) -> Result<Result<GroupSet, NotFound>, Stop> {
        let all: GroupSet = self.order.iter().copied().collect();
        if all.is_empty() {
            return Ok(Err(NotFound::NoHunks));
        }
        if let Some(found) = self.singles(&all)? {
            return self.one_minimal(found).map(Ok);
        }
        match self.test_all(&all)? {
            Outcome::Gone => {}
            Outcome::StillFails => return Ok(Err(NotFound::FailsWithoutAll)),
            Outcome::Unresolved => return Ok(Err(NotFound::UnresolvedWithoutAll)),
        }
        let found = self.ddmin(all)?;
        self.one_minimal(found).map(Ok)
    }

    fn test(&self, set: &GroupSet) -> Result<Outcome, Stop> {
        match self.outcomes.get(set) {
            Some(outcome) => Ok(*outcome),
            // Reverting nothing is the guilty commit itself, which fails.
            None if set.is_empty() => Ok(Outcome::StillFails),
            None if self.runs() >= self.budget => Err(Stop::Budget),
            None => Err(Stop::Missing(set.clone())),
        }
    }

    fn test_all(&self, all: &GroupSet) -> Result<Outcome, Stop> {
        if self.all_known_gone && !self.outcomes.contains_key(all) {
            Ok(Outcome::Gone)
        } else {
            self.test(all)
        }
    }

    /// Tries single groups while the chance that one is the answer is worth the price: a ddmin run costs about
    /// 2·log2(n) experiments.
    fn singles(&self, all: &GroupSet) -> Result<Option<GroupSet>, Stop> {
        let cost = 2.0 * (self.order.len() as f64).log2().max(1.0);
        let weight = |id: &GroupId| self.suspicion.get(id).copied().unwrap_or(0.0);
        let mut ranked = self.order.clone();
        ranked.sort_by(|one, two| weight(two).total_cmp(&weight(one)).then(one.cmp(two)));
        let mut left: f64 = ranked.iter().map(weight).sum();
        for id in ranked {
            let chance = if left > 0.0 { weight(&id) / left } else { 0.0 };
            if chance * cost < 1.0 {
                break;
            }
            left -= weight(&id);
            let set = closure(&self.needs, &GroupSet::from([id]));
            if set.is_subset(all) && set.len() < all.len() && self.test(&set)? == Outcome::Gone {
                return Ok(Some(set));
            }
        }
        Ok(None)
    }

    /// Classic ddmin from a set that is known to work.
    fn ddmin(&self, mut current: GroupSet) -> Result<GroupSet, Stop> {
        let mut granularity = 2;
        while current.len() >= 2 {
            let parts = self.partition(&current, granularity);
            if let Some(smaller) = self.first_gone(parts.iter().map(|part| closure(&self.needs, part)), &current)? {
                (current, granularity) = (smaller, 2);
            } else if let Some(smaller) =
                self.first_gone(parts.iter().map(|part| self.without_part(&current, part)), &current)?
            {
                (current, granularity) = (smaller, (granularity - 1).max(2));
            } else if granularity < current.len() {
                granularity = (2 * granularity).min(current.len());
            } else {
                break;
            }
        }
        Ok(current)
    }

    fn first_gone(&self, sets: impl Iterator<Item = GroupSet>, of: &GroupSet) -> Result<Option<GroupSet>, Stop> {
        for set in sets {
            if set.len() < of.len() && set.is_subset(of) && self.test(&set)? == Outcome::Gone {
                return Ok(Some(set));
            }
        }
        Ok(None)
    }

    /// Neighbours stay together: hunks of one file and one purpose are near each other in a diff.
    fn partition(&self, set: &GroupSet, parts: usize) -> Vec<GroupSet> {
        let members: Vec<GroupId> = set.iter().copied().collect();
        let parts = parts.min(members.len());
        (0..parts)
            .map(|part| {
                members[part * members.len() / parts..(part + 1) * members.len() / parts]
                    .iter()
                    .copied()
                    .collect()
            })
            .collect()
    }

    /// `set` without `part` and without what needs any of it: still closed.
    fn without_part(&self, set: &GroupSet, part: &GroupSet) -> GroupSet {
        set.difference(&self.dependants(part, set)).copied().collect()
    }

    /// `part` and the members of `within` that need any of it.
    fn dependants(&self, part: &GroupSet, within: &GroupSet) -> GroupSet {
        let reaches = |id: &GroupId| !closure(&self.needs, &GroupSet::from([*id])).is_disjoint(part);
        within.iter().copied().filter(reaches).collect()
    }

    /// Drops group by group, least suspicious first, until none can be dropped.
    fn one_minimal(&self, mut current: GroupSet) -> Result<GroupSet, Stop> {
        let weight = |id: &GroupId| self.suspicion.get(id).copied().unwrap_or(0.0);
        loop {
            let mut members: Vec<GroupId> = current.iter().copied().collect();
            members.sort_by(|one, two| weight(one).total_cmp(&weight(two)).then(one.cmp(two)));
            let smaller = members
                .iter()
                .map(|id| self.without_part(&current, &GroupSet::from([*id])));
            match self.first_gone(smaller.collect::<Vec<_>>().into_iter(), &current)? {
                Some(set) => current = set,
                None => return Ok(current),
            }
        }
    }

    fn smallest_gone(&self) -> Option<GroupSet> {
        let gone = self
            .outcomes
            .iter()
            .filter(|(_, outcome)| **outcome == Outcome::Gone)
            .map(|(set, _)| set);
        gone.min_by_key(|set| set.len()).cloned()
    }
}

#[cfg(test)]
#[path = "ddmin_tests.rs"]
mod tests;
