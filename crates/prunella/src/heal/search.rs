//! Finds the commit that brought the failure: gallops back to a commit that passes, then bisects between.
//!
//! *Method*: distances 1, 2, 4, … along the first parents until a commit passes; where old commits cannot be run, the
//! gap between the last failing one and the first that does not run is halved instead; at last the commits that touched
//! the failing test are tried. Then posterior bisection over
//! the whole graph between, with the ranking as prior. The culprit and its parents are run again before it is named.
//! *Source*: exponential search (Bentley & Yao 1976); `prunella_core::diagnose::bisect`; repeated verification of
//! culprit and parent: Google's culprit finding (ICST 2023).

use std::collections::BTreeSet;
use std::time::Duration;

use prunella_core::diagnose::bisect::{self, Bisection, Node, Step};
use prunella_core::diagnose::rank::Ranking;
use prunella_core::id::CommitId;
use prunella_core::verify::Trial;
use prunella_lang::runner::function_of;

use super::carry::{Carrier, Way};
use super::covered::Covered;
use super::oracle::{Strictness, Target};
use super::ranking::ranked;
use super::workshop::{Variant, Workshop};
use crate::git::CommitInfo;
use crate::steps::diagnose::as_outcome;

/// Steps of galloping that show nothing before older commits are given up.
const MAX_BLANK: usize = 4;
/// Commits that are tried because they touched the failing test.
const LANDMARKS: usize = 10;
/// Runs of the culprit and of its parents before it is named; fewer where one run takes longer than [`LONG`].
const CONFIRM: usize = 4;
const LONG: Duration = Duration::from_secs(15);

/// What is searched with.
pub(super) struct Search<'a> {
    /// Where experiments are made.
    pub(super) shop: &'a mut Workshop,
    /// The command, as fast as it may run.
    pub(super) variant: &'a Variant,
    /// The failure.
    pub(super) target: &'a Target,
    /// Lays today's tests over older commits.
    pub(super) carrier: &'a mut Carrier,
    /// The newest state.
    pub(super) head: &'a CommitId,
    /// The lines that the failing test runs there.
    pub(super) covered: &'a Covered,
}

/// A culprit.
#[derive(Clone, Debug)]
pub(super) struct Culprit {
    /// The commit that fails.
    pub(super) commit: CommitId,
    /// A parent that passes.
    pub(super) parent: CommitId,
    /// How commits were run.
    pub(super) way: Way,
    /// How strictly failures were compared.
    pub(super) strictness: Strictness,
    /// The posterior.
    pub(super) confidence: f64,
    /// Runs of the culprit and of the parent that were alike.
    pub(super) confirmed: usize,
    /// The ranking of the range before the search.
    pub(super) ranking: Ranking,
    /// Commits between the passing one and the newest.
    pub(super) range: usize,
}

/// How a search ended.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// With a culprit.
    Found(Box<Culprit>),
    /// It is one of these; those between cannot be run.
    Narrowed(Vec<CommitId>),
    /// No ancestor passes.
    NonePasses {
        /// Commits that were run and fail in the same way.
        fail: usize,
        /// Commits that show nothing.
        blank: usize,
        /// The oldest that fails.
        oldest: Option<CommitId>,
    },
    /// The outcome of the same tree changed.
    Flaky {
        /// The commit.
        commit: CommitId,
        /// Runs that failed.
        fails: usize,
        /// All runs.
        runs: usize,
    },
    /// The budget is spent, or it was stopped.
    Over(String),
}

impl Search<'_> {
    /// Searches in one way.
    ///
    /// # Errors
    /// If git fails.
    pub(super) fn run(&mut self, way: Way) -> Result<End, String> {
        let line = self
            .shop
            .shadow
            .recent(self.head, usize::MAX)
            .map_err(|e| e.to_string())?;
        let strict = self.within(&line, way, Strictness::Exact)?;
        match &strict {
            // Nothing varies with the strictness if no run showed another failure of the same test.
            End::NonePasses { .. } | End::Narrowed(_) => match self.within(&line, way, Strictness::SameTest)? {
                found @ (End::Found(_) | End::Flaky { .. } | End::Over(_)) => Ok(found),
                _ => Ok(strict),
            },
            _ => Ok(strict),
        }
    }

    fn within(&mut self, line: &[CommitInfo], way: Way, strictness: Strictness) -> Result<End, String> {
        match self.gallop(line, way, strictness)? {
            Gallop::Passes(good) => self.between(&good, way, strictness),
            Gallop::End(end) => Ok(end),
        }
    }

    fn trials(
        &mut self,
        commit: &CommitId,
        way: Way,
        strictness: Strictness,
        runs: usize,
    ) -> Result<Vec<Trial>, String> {
        let placed = self
            .carrier
            .over(&self.shop.shadow, commit, way)
            .map_err(|e| e.to_string())?;
        let trials = self.shop.trials(&placed, self.variant, self.target, strictness, runs);
        tracing::debug!(commit = commit.short(), way = way.label(), ?strictness, "{trials:?}");
        Ok(trials)
    }

    fn trial(&mut self, commit: &CommitId, way: Way, strictness: Strictness) -> Result<Trial, String> {
        let trials = self.trials(commit, way, strictness, 1)?;
        Ok(trials
            .into_iter()
            .next()
            .unwrap_or(Trial::NotRun { why: String::new() }))
    }

    /// Looks for a commit that passes along the first parents.
    fn gallop(&mut self, line: &[CommitInfo], way: Way, strictness: Strictness) -> Result<Gallop, String> {
        let (mut fail, mut blank, mut in_a_row) = (0, 0, 0);
        let (mut last_fail, mut first_blank) = (0, None);
        let (mut at, mut step) = (0, 1);
        while at + 1 < line.len() && in_a_row < MAX_BLANK {
            if let Some(why) = self.shop.over() {
                return Ok(Gallop::End(End::Over(why)));
            }
            at = (at + step).min(line.len() - 1);
            step *= 2;
            match self.trial(&line[at].id, way, strictness)? {
                Trial::Passed => return Ok(Gallop::Passes(line[at].id.clone())),
                Trial::Failed { .. } => {
                    (last_fail, first_blank, in_a_row) = (at, None, 0);
                    fail += 1;
                }
                Trial::OtherFailure { .. } | Trial::NotRun { .. } => {
                    first_blank.get_or_insert(at);
                    blank += 1;
                    in_a_row += 1;
                }
            }
        }
        // A commit that passes may be hidden between the last that fails and the first that shows nothing.
        let mut until = first_blank.unwrap_or(last_fail);
        while until > last_fail + 1 {
            if let Some(why) = self.shop.over() {
                return Ok(Gallop::End(End::Over(why)));
            }
            let middle = last_fail + (until - last_fail) / 2;
            match self.trial(&line[middle].id, way, strictness)? {
                Trial::Passed => return Ok(Gallop::Passes(line[middle].id.clone())),
                Trial::Failed { .. } => {
                    last_fail = middle;
                    fail += 1;
                }
                Trial::OtherFailure { .. } | Trial::NotRun { .. } => {
                    until = middle;
                    blank += 1;
                }
            }
        }
        for commit in self.landmarks() {
            if let Some(why) = self.shop.over() {
                return Ok(Gallop::End(End::Over(why)));
            }
            match self.trial(&commit, way, strictness)? {
                Trial::Passed => return Ok(Gallop::Passes(commit)),
                Trial::Failed { .. } => fail += 1,
                Trial::OtherFailure { .. } | Trial::NotRun { .. } => blank += 1,
            }
        }
        let oldest = line.get(last_fail).map(|info| info.id.clone());
        Ok(Gallop::End(End::NonePasses { fail, blank, oldest }))
    }

    /// Commits at which the failing test most likely passed: the one that brought it, and those that changed its file.
    /// The stretch in which it passed can be too short for the gallop.
    fn landmarks(&self) -> Vec<CommitId> {
        let repo = &self.shop.shadow;
        // The innermost title, where tests are nested; a function's name otherwise.
        let words = self.target.test.as_deref().map(|test| match test.rsplit_once(" > ") {
            Some((_, title)) => title,
            None => function_of(test),
        });
        let mut found: Vec<CommitId> = Vec::new();
        for path in self.carrier.test_files().take(3) {
            if let Some(words) = words.filter(|words| words.len() > 3) {
                let brought = repo
                    .touching(self.head, path, Some(words), LANDMARKS)
                    .unwrap_or_default();
                found.extend(brought.into_iter().rev());
            }
            found.extend(repo.touching(self.head, path, None, LANDMARKS).unwrap_or_default());
        }
        let mut seen = BTreeSet::from([self.head.clone()]);
        found.retain(|commit| seen.insert(commit.clone()));
        found.truncate(LANDMARKS);
        found
    }

    fn between(&mut self, good: &CommitId, way: Way, strictness: Strictness) -> Result<End, String> {
        let range = self
            .shop
            .shadow
            .commits_between(good, self.head)
            .map_err(|e| e.to_string())?;
        let ranking = ranked(&self.shop.shadow, good, self.head, &range, self.target, self.covered);
        let prior = |commit: &CommitId| {
            let suspect = ranking.suspects.iter().find(|s| s.commit == *commit);
            suspect.map_or(0.0, |s| s.probability)
        };
        let nodes: Vec<Node> = range
            .iter()
            .map(|info| Node {
                commit: info.id.clone(),
                parents: info.parents.clone(),
                prior: prior(&info.id),
                cost: 1.0,
            })
            .collect();
        let known = BTreeSet::from([good.clone()]);
        let mut search =
            Bisection::new(&nodes, &known, self.head, bisect::Config::default()).map_err(|e| e.to_string())?;
        let step = loop {
            match search.next() {
                Step::Test { commit, runs } => {
                    if let Some(why) = self.shop.over() {
                        return Ok(End::Over(why));
                    }
                    let trials = self.trials(&commit, way, strictness, runs as usize)?;
                    search.record(commit, as_outcome(&trials));
                }
                end => break end,
            }
        };
        match step {
            Step::Guilty {
                commit,
                passing_parents,
                confidence,
            } => {
                let culprit = Culprit {
                    parent: passing_parents.first().cloned().unwrap_or_else(|| good.clone()),
                    commit,
                    way,
                    strictness,
                    confidence,
                    confirmed: 0,
                    ranking,
                    range: range.len(),
                };
                self.confirm(culprit, &passing_parents)
            }
            Step::Narrowed { commits } => Ok(End::Narrowed(commits)),
            Step::AlreadyBad { commit } => self.varying(&commit, way, strictness),
            Step::NotReproducible => {
                let head = self.head.clone();
                self.varying(&head, way, strictness)
            }
            Step::Exhausted { .. } | Step::Test { .. } => Ok(End::Over("the budget of experiments is spent".into())),
        }
    }

    /// Runs the culprit and its parents again: a commit is never accused by a failure that comes and goes.
    fn confirm(&mut self, mut culprit: Culprit, parents: &[CommitId]) -> Result<End, String> {
        let (way, strictness) = (culprit.way, culprit.strictness);
        let once = self.shop.wall_of_last();
        let runs = if once > LONG { 2 } else { CONFIRM };
        for commit in std::iter::once(&culprit.commit).chain(parents) {
            let trials = self.trials(commit, way, strictness, runs)?;
            let fails = trials.iter().filter(|t| matches!(t, Trial::Failed { .. })).count();
            let passes = trials.iter().filter(|t| matches!(t, Trial::Passed)).count();
            if fails > 0 && passes > 0 {
                return Ok(End::Flaky {
                    commit: commit.clone(),
                    fails,
                    runs: trials.len(),
                });
            }
            culprit.confirmed = trials.len();
        }
        Ok(End::Found(Box::new(culprit)))
    }

    fn varying(&mut self, commit: &CommitId, way: Way, strictness: Strictness) -> Result<End, String> {
        let trials = self.trials(commit, way, strictness, CONFIRM)?;
        let fails = trials.iter().filter(|t| matches!(t, Trial::Failed { .. })).count();
        Ok(End::Flaky {
            commit: commit.clone(),
            fails,
            runs: trials.len(),
        })
    }
}

enum Gallop {
    Passes(CommitId),
    End(End),
}
