//! Shrinks the guilty commit to the smallest set of hunks whose reversal makes the failure go away while the suite
//! still passes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use prunella_core::diagnose::couple::{Coupling, GroupId, HunkFacts, couple_with};
use prunella_core::diagnose::ddmin::{Outcome, Shrink, Step};
use prunella_core::diagnose::hunks::{self, CommitDiff, Hunk, HunkId, written};
use prunella_core::diagnose::{CounterfactualRow, RowOutcome, Side};
use prunella_core::id::CommitId;
use prunella_core::repair::guard;
use prunella_core::verify::{SuiteRun, Trial};
use prunella_lang::lexical::definitions_and_uses;
use prunella_lang::paths::language_of;
use serde::{Deserialize, Serialize};

use super::Bench;
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

/// Hunks that are tried alone before the coupling is searched.
const MAX_ALONE: usize = 24;

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
    let mut search = Search {
        lab,
        bench,
        commit,
        diff,
        deadline,
        facts: facts(diff),
        dependencies: dependencies(diff, &bench.config.build.lockfiles),
        suite_before: None,
        attempts: Vec::new(),
    };
    let (found, complete) = search.search(places);
    let attempts = std::mem::take(&mut search.attempts);
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

/// Hunks and the commit without them.
type Found = (BTreeSet<HunkId>, CommitId);

struct Search<'a> {
    lab: &'a mut Lab,
    bench: &'a Bench,
    commit: &'a CommitId,
    diff: &'a CommitDiff,
    deadline: Instant,
    facts: BTreeMap<HunkId, HunkFacts>,
    /// Hunks of the files that decide the dependencies: one unit, and dear to try, for each try builds them anew.
    dependencies: BTreeSet<HunkId>,
    suite_before: Option<Option<SuiteRun>>,
    attempts: Vec<(usize, String)>,
}

impl Search<'_> {
    fn search(&mut self, places: &BTreeSet<(String, u32)>) -> (Option<Found>, bool) {
        let all: BTreeSet<HunkId> = self.diff.hunk_ids().collect();
        let left_alone = guard(self.diff, &all).left_alone;
        let allowed: Vec<HunkId> = all.iter().filter(|id| !left_alone.contains(id)).copied().collect();
        if let Some(found) = self.alone(&allowed, places) {
            return (Some(found), true);
        }
        let (found, complete) = self.coupled(&left_alone, places);
        match found {
            Some(found) => self.thin_out(found, places, complete),
            None => (None, complete),
        }
    }

    fn is_over(&self) -> bool {
        Instant::now() > self.deadline
            || self.bench.cancel.is_cancelled()
            || self.lab.experiments >= self.bench.config.heal.experiments
    }

    /// Hunks that no other hunk needs and that need no other, one at a time.
    fn alone(&mut self, allowed: &[HunkId], places: &BTreeSet<(String, u32)>) -> Option<Found> {
        let mut single: Vec<HunkId> = allowed
            .iter()
            .filter(|id| !self.dependencies.contains(id) && self.stands_alone(**id))
            .copied()
            .collect();
        single.sort_by(|a, b| suspicion(self.diff, *b, places).total_cmp(&suspicion(self.diff, *a, places)));
        for id in single.into_iter().take(MAX_ALONE) {
            if self.is_over() {
                return None;
            }
            let hunks = BTreeSet::from([id]);
            if let (Outcome::Gone, Some(tree)) = self.attempt(&hunks)
                && self.suite_agrees(hunks.len(), &tree)
            {
                return Some((hunks, tree));
            }
        }
        None
    }

    /// Whether a hunk can be taken back without the others, as far as names tell: no other hunk uses what only this one
    /// defines, and what comes back uses nothing that another one has removed.
    fn stands_alone(&self, id: HunkId) -> bool {
        let Some(own) = self.facts.get(&id) else { return true };
        let defines: BTreeSet<&String> = own.defs_added.difference(&own.defs_removed).collect();
        let uses_again: BTreeSet<&String> = own.uses_removed.difference(&own.uses_added).collect();
        self.facts.iter().filter(|(other, _)| **other != id).all(|(_, other)| {
            !defines.iter().any(|name| other.uses_added.contains(*name))
                && !uses_again
                    .iter()
                    .any(|name| other.defs_removed.contains(*name) && !other.defs_added.contains(*name))
        })
    }

    /// Delta debugging over the coupled groups.
    fn coupled(&mut self, left_alone: &BTreeSet<HunkId>, places: &BTreeSet<(String, u32)>) -> (Option<Found>, bool) {
        let coupling = couple_with(self.diff, &self.facts, left_alone, &self.dependencies);
        let weights = weights(self.diff, &coupling, places);
        let left = self.bench.config.heal.experiments.saturating_sub(self.lab.experiments);
        let mut shrink = Shrink::new(&coupling, &weights, left);
        if left_alone.is_empty() {
            shrink = shrink.parent_passes();
        }
        let mut best: Option<Found> = None;
        loop {
            if self.is_over() {
                return (best, false);
            }
            match shrink.next() {
                Step::Try(set) => {
                    let hunks = coupling.hunks_of(&set);
                    let (outcome, tree) = self.attempt(&hunks);
                    if let (Outcome::Gone, Some(tree)) = (outcome, tree) {
                        best = Some((hunks, tree));
                    }
                    shrink.record(set, outcome);
                }
                Step::Done {
                    minimal,
                    proven_minimal,
                    ..
                } => {
                    let hunks = coupling.hunks_of(&minimal);
                    let (_, tree) = self.attempt(&hunks);
                    // The failure is gone; now the suite has its say, and if it objects the search goes on.
                    match tree {
                        Some(tree) if self.suite_agrees(hunks.len(), &tree) => {
                            return (Some((hunks, tree)), proven_minimal);
                        }
                        _ => {
                            best = None;
                            shrink.record(minimal, Outcome::Unresolved);
                        }
                    }
                }
                Step::NotFound { why, .. } => {
                    self.attempts.push((0, format!("{why:?}")));
                    return (None, true);
                }
            }
        }
    }

    /// Leaves out hunk by hunk, the least suspicious first, what was coupled by name only.
    fn thin_out(&mut self, found: Found, places: &BTreeSet<(String, u32)>, complete: bool) -> (Option<Found>, bool) {
        let (mut hunks, mut tree) = found;
        let mut order: Vec<HunkId> = hunks.difference(&self.dependencies).copied().collect();
        order.sort_by(|a, b| suspicion(self.diff, *a, places).total_cmp(&suspicion(self.diff, *b, places)));
        for id in order {
            if hunks.len() == 1 {
                break;
            }
            if self.is_over() {
                return (Some((hunks, tree)), false);
            }
            let fewer: BTreeSet<HunkId> = hunks.iter().filter(|h| **h != id).copied().collect();
            if let (Outcome::Gone, Some(without)) = self.attempt(&fewer)
                && self.suite_agrees(fewer.len(), &without)
            {
                (hunks, tree) = (fewer, without);
            }
        }
        (Some((hunks, tree)), complete)
    }

    /// Takes these hunks back at the guilty commit and runs the reproduction.
    fn attempt(&mut self, hunks: &BTreeSet<HunkId>) -> (Outcome, Option<CommitId>) {
        match without(self.bench, self.commit, self.diff, hunks) {
            Err(why) => {
                self.attempts.push((hunks.len(), why));
                (Outcome::Unresolved, None)
            }
            Ok(tree) => {
                let trials = self.lab.trials(&tree, 1);
                let outcome = as_outcome(&trials);
                self.attempts
                    .push((hunks.len(), format!("{trials:?}").chars().take(300).collect()));
                (outcome, Some(tree))
            }
        }
    }

    fn suite_agrees(&mut self, count: usize, tree: &CommitId) -> bool {
        if self.suite_before.is_none() {
            self.suite_before = Some(self.lab.suite(self.commit));
        }
        let before = self.suite_before.clone().flatten();
        match objection(self.lab, self.bench, before, tree) {
            None => true,
            Some(why) => {
                self.attempts.push((count, format!("the suite objects: {why}")));
                false
            }
        }
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

fn as_outcome(trials: &[Trial]) -> Outcome {
    let all = |which: fn(&Trial) -> bool| !trials.is_empty() && trials.iter().all(which);
    if all(|t| matches!(t, Trial::Passed)) {
        Outcome::Gone
    } else if trials.iter().any(|t| matches!(t, Trial::Failed { .. })) {
        Outcome::StillFails
    } else {
        Outcome::Unresolved
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
    if let Some(dangling) = dangling(diff, &edits) {
        return Err(dangling);
    }
    write_experiment(bench, commit, &edits)
}

/// Names that the edited files would use without a definition. Interpreted code fails by it only where it is run.
fn dangling(diff: &CommitDiff, edits: &[hunks::Edit]) -> Option<String> {
    written(edits).into_iter().find_map(|(path, state)| {
        let before = diff
            .files()
            .iter()
            .find_map(|f| f.new_state().filter(|s| s.path == path))?;
        names_left_over(path, &before.content, &state?.content)
    })
}

/// As a sentence, the names that a changed file uses and no longer defines, if there are any.
pub(super) fn names_left_over(path: &str, before: &[u8], after: &[u8]) -> Option<String> {
    let (before, after) = (String::from_utf8_lossy(before), String::from_utf8_lossy(after));
    let names = prunella_lang::lexical::dangling(language_of(path)?, &before, &after);
    let name = names.first()?;
    Some(format!("{path} would use `{name}`, which it no longer defines"))
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

/// The hunks of manifests and lock files.
fn dependencies(diff: &CommitDiff, lockfiles: &[String]) -> BTreeSet<HunkId> {
    let decides = |id: &HunkId| {
        diff.hunk(*id)
            .is_some_and(|(change, _)| lockfiles.iter().any(|file| file == change.path()))
    };
    diff.hunk_ids().filter(decides).collect()
}

/// The names that each hunk brings and takes, in languages that we can read.
fn facts(diff: &CommitDiff) -> BTreeMap<HunkId, HunkFacts> {
    let mut facts = BTreeMap::new();
    for id in diff.hunk_ids() {
        let Some((change, hunk)) = diff.hunk(id) else { continue };
        let Some(language) = language_of(change.path()) else {
            continue;
        };
        let (removed, added) = change.lines_of(hunk);
        let text = |lines: Vec<&[u8]>| -> Vec<String> {
            lines
                .into_iter()
                .map(|l| String::from_utf8_lossy(l).into_owned())
                .collect()
        };
        let (removed, added) = (text(removed), text(added));
        let (defs_added, uses_added) = definitions_and_uses(language, added.iter().map(String::as_str));
        let (defs_removed, uses_removed) = definitions_and_uses(language, removed.iter().map(String::as_str));
        facts.insert(
            id,
            HunkFacts {
                defs_added,
                uses_added,
                defs_removed,
                uses_removed,
            },
        );
    }
    facts
}

/// How near a hunk is to the frames of the failure, on any scale.
fn suspicion(diff: &CommitDiff, id: HunkId, places: &BTreeSet<(String, u32)>) -> f64 {
    let Some((change, hunk)) = diff.hunk(id) else {
        return 0.0;
    };
    let near = places
        .iter()
        .filter(|(file, _)| file == change.path())
        .map(|(_, line)| match hunk {
            Hunk::Lines { new, .. } => {
                let distance = if *line < new.start + 1 {
                    new.start + 1 - line
                } else {
                    line.saturating_sub(new.end)
                };
                1.0 + 10.0 / f64::from(1 + distance)
            }
            _ => 1.0,
        });
    near.fold(0.1, f64::max)
}

fn weights(diff: &CommitDiff, coupling: &Coupling, places: &BTreeSet<(String, u32)>) -> BTreeMap<GroupId, f64> {
    let of_group = |id: GroupId| {
        let hunks = coupling.hunks_of(&BTreeSet::from([id]));
        hunks
            .iter()
            .map(|hunk| suspicion(diff, *hunk, places))
            .fold(0.0, f64::max)
    };
    coupling.ids().map(|id| (id, of_group(id))).collect()
}
