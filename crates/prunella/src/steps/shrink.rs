//! Shrinks the guilty commit to the smallest set of hunks whose reversal makes the failure go away while the suite
//! still passes.

use std::collections::BTreeSet;
use std::time::Instant;

use prunella_core::diagnose::ddmin::Outcome;
use prunella_core::diagnose::hunks::{self, CommitDiff, HunkId, written};
use prunella_core::diagnose::{CounterfactualRow, RowOutcome, Side};
use prunella_core::id::CommitId;
use prunella_core::verify::SuiteRun;
use serde::{Deserialize, Serialize};

use super::Bench;
use super::fewest::{Ground, Searched, as_outcome, search};
use super::names::left_over_by;
use crate::diffs;
use crate::experiment::lab::Lab;
use crate::experiment::reproduction::Reproduction;
use crate::git::{Edit, NewCommit, Signature};

/// What the search for hunks found; kept beside the diagnosis for the repair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shrunk {
    /// The parent that the hunks are relative to.
    pub parent: CommitId,
    /// The smallest set; empty if none was found.
    pub minimal: Vec<HunkId>,
    /// Whether nothing smaller does.
    pub complete: bool,
    /// The run that shows it.
    pub row: Option<CounterfactualRow>,
    /// What was tried, in order: how many hunks were taken back, and what came of it.
    pub attempts: Vec<(usize, String)>,
    /// The reproduction as it was reduced.
    pub reproduction: Reproduction,
    /// The class of status that the good release answers with.
    pub good_class: Option<u16>,
}

/// Searches: hunks that can stand alone first, the most suspicious of them first; then the coupled groups by delta
/// debugging; then hunk by hunk inside of what that has found. Every answer has passed the reproduction and the suite.
///
/// # Errors
/// If git cannot be used.
pub fn run(
    lab: &mut Lab,
    bench: &Bench,
    commit: &CommitId,
    parent: &CommitId,
    diff: &CommitDiff,
    places: &BTreeSet<(String, u32)>,
    deadline: Instant,
) -> Result<Shrunk, String> {
    let mut ground = OnLab {
        lab,
        bench,
        commit,
        diff,
        deadline,
        suite_before: None,
    };
    let lockfiles = &bench.config.build.lockfiles;
    let Searched {
        found,
        complete,
        attempts,
    } = search(&mut ground, diff, places, lockfiles);
    let minimal = found.as_ref().map(|(hunks, _)| hunks.clone()).unwrap_or_default();
    let total = diff.hunk_ids().count();
    let row = found.map(|(_, tree)| row(lab, bench, &minimal, total, &tree));
    Ok(Shrunk {
        parent: parent.clone(),
        minimal: minimal.into_iter().collect(),
        complete,
        row,
        attempts,
        reproduction: lab.reproduction.clone(),
        good_class: lab.good_class,
    })
}

/// The guilty commit of an incident.
struct OnLab<'a> {
    lab: &'a mut Lab,
    bench: &'a Bench,
    commit: &'a CommitId,
    diff: &'a CommitDiff,
    deadline: Instant,
    suite_before: Option<Option<SuiteRun>>,
}

impl Ground for OnLab<'_> {
    fn attempt(&mut self, hunks: &BTreeSet<HunkId>) -> (Outcome, Option<CommitId>, String) {
        match without(self.bench, self.commit, self.diff, hunks) {
            Err(why) => (Outcome::Unresolved, None, why),
            Ok(tree) => {
                let trials = self.lab.trials(&tree, 1);
                (as_outcome(&trials), Some(tree), format!("{trials:?}"))
            }
        }
    }

    fn objection(&mut self, tree: &CommitId) -> Option<String> {
        if self.suite_before.is_none() {
            self.suite_before = Some(self.lab.suite(self.commit));
        }
        let before = self.suite_before.clone().flatten();
        objection(self.lab, self.bench, before, tree)
    }

    fn is_over(&self) -> bool {
        Instant::now() > self.deadline || self.bench.cancel.is_cancelled() || self.experiments_left() == 0
    }

    fn experiments_left(&self) -> u32 {
        self.bench.config.heal.experiments.saturating_sub(self.lab.experiments)
    }
}

fn row(lab: &mut Lab, bench: &Bench, minimal: &BTreeSet<HunkId>, total: usize, tree: &CommitId) -> CounterfactualRow {
    let what = format!("without {} of its {total} hunks", minimal.len());
    let trials = lab.trials(tree, 1);
    let runs = u32::try_from(trials.len()).unwrap_or(u32::MAX);
    let tree = bench
        .repo
        .tree_of(tree)
        .map(|t| t.as_str().to_owned())
        .unwrap_or_default();
    CounterfactualRow {
        side: Side::Without,
        what,
        tree,
        outcome: RowOutcome::Passes,
        runs,
    }
}

/// What the suite loses by this tree, if anything.
fn objection(lab: &mut Lab, bench: &Bench, before: Option<SuiteRun>, tree: &CommitId) -> Option<String> {
    let command = bench.config.test.command.as_ref()?.text();
    lab.suites(command, before?, tree)?.regression()
}

/// The guilty commit without these hunks, as a commit that nothing points to.
fn without(bench: &Bench, commit: &CommitId, diff: &CommitDiff, hunks: &BTreeSet<HunkId>) -> Result<CommitId, String> {
    let edits = diff.revert(hunks).map_err(|e| e.to_string())?;
    if let Some(why) = left_over_by(&edits) {
        return Err(why);
    }
    write_experiment(bench, commit, &edits)
}

/// A commit on top of another that nothing points to.
pub(super) fn write_experiment(bench: &Bench, parent: &CommitId, edits: &[hunks::Edit]) -> Result<CommitId, String> {
    let edits: Vec<Edit> = written(edits)
        .into_iter()
        .map(|(path, state)| Edit {
            path: path.to_owned(),
            content: state.map(|s| (diffs::written_mode(s.mode), s.content.clone())),
        })
        .collect();
    let who = Signature {
        name: "Prunella".to_owned(),
        email: "prunella@localhost".to_owned(),
    };
    let parents = [parent.clone()];
    // A fixed time makes the same experiment the same commit.
    let new = NewCommit {
        parents: &parents,
        edits: &edits,
        message: "Experiment\n",
        author: &who,
        committer: &who,
        when_ms: 0,
    };
    bench.repo.write_commit(&new).map_err(|e| e.to_string())
}
