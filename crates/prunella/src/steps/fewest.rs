//! The search for the fewest hunks whose reversal makes a failure go away, wherever they are taken back and run.

use std::collections::{BTreeMap, BTreeSet};

use prunella_core::diagnose::couple::{Coupling, GroupId, HunkFacts, couple_with};
use prunella_core::diagnose::ddmin::{Outcome, Shrink, Step};
use prunella_core::diagnose::hunks::{CommitDiff, Hunk, HunkId};
use prunella_core::id::CommitId;
use prunella_core::repair::guard;
use prunella_core::verify::Trial;
use prunella_lang::lexical::definitions_and_uses;
use prunella_lang::paths::language_of;

/// Hunks that are tried alone before the coupling is searched.
const MAX_ALONE: usize = 24;

/// Where hunks are taken back and the reproduction is run: an incident's laboratory, or a failing command's workshop.
pub(crate) trait Ground {
    /// Takes these hunks back and runs the reproduction: what came of it, the commit without them, and a note.
    fn attempt(&mut self, hunks: &BTreeSet<HunkId>) -> (Outcome, Option<CommitId>, String);
    /// What else breaks without them, if anything.
    fn objection(&mut self, tree: &CommitId) -> Option<String>;
    /// Whether the search has to end.
    fn is_over(&self) -> bool;
    /// How many experiments may still be made.
    fn experiments_left(&self) -> u32;
}

/// What a search for hunks came to.
pub(crate) struct Searched {
    /// The smallest set and the commit without it.
    pub(crate) found: Option<Found>,
    /// Whether nothing smaller does.
    pub(crate) complete: bool,
    /// What was tried, in order.
    pub(crate) attempts: Vec<(usize, String)>,
}

/// Searches a diff for the smallest set of hunks whose reversal makes the failure go away.
pub(crate) fn search(
    ground: &mut dyn Ground,
    diff: &CommitDiff,
    places: &BTreeSet<(String, u32)>,
    lockfiles: &[String],
) -> Searched {
    let mut search = Search {
        ground,
        diff,
        facts: facts(diff),
        dependencies: dependencies(diff, lockfiles),
        attempts: Vec::new(),
    };
    let (found, complete) = search.search(places);
    Searched {
        found,
        complete,
        attempts: search.attempts,
    }
}

/// Hunks and the commit without them.
pub(crate) type Found = (BTreeSet<HunkId>, CommitId);

struct Search<'a> {
    ground: &'a mut dyn Ground,
    diff: &'a CommitDiff,
    facts: BTreeMap<HunkId, HunkFacts>,
    /// Hunks of the files that decide the dependencies: one unit, and dear to try, for each try builds them anew.
    dependencies: BTreeSet<HunkId>,
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
        self.ground.is_over()
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
        let mut shrink = Shrink::new(&coupling, &weights, self.ground.experiments_left());
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

    /// Takes these hunks back and runs the reproduction.
    fn attempt(&mut self, hunks: &BTreeSet<HunkId>) -> (Outcome, Option<CommitId>) {
        let (outcome, tree, note) = self.ground.attempt(hunks);
        self.attempts.push((hunks.len(), note.chars().take(300).collect()));
        (outcome, tree)
    }

    fn suite_agrees(&mut self, count: usize, tree: &CommitId) -> bool {
        match self.ground.objection(tree) {
            None => true,
            Some(why) => {
                self.attempts.push((count, format!("the suite objects: {why}")));
                false
            }
        }
    }
}

/// Several runs as one outcome.
pub(crate) fn as_outcome(trials: &[Trial]) -> Outcome {
    let all = |which: fn(&Trial) -> bool| !trials.is_empty() && trials.iter().all(which);
    if all(|t| matches!(t, Trial::Passed)) {
        Outcome::Gone
    } else if trials.iter().any(|t| matches!(t, Trial::Failed { .. })) {
        Outcome::StillFails
    } else {
        Outcome::Unresolved
    }
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
