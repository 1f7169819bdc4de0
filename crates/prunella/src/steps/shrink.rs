//! Shrinks the guilty commit to the smallest set of hunks whose reversal makes the failure go away while the suite
//! still passes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use prunella_core::diagnose::couple::{Coupling, GroupId, HunkFacts, couple};
use prunella_core::diagnose::ddmin::{GroupSet, Outcome, Shrink, Step};
use prunella_core::diagnose::hunks::{CommitDiff, Hunk, HunkId, written};
use prunella_core::diagnose::{CounterfactualRow, RowOutcome, Side};
use prunella_core::id::CommitId;
use prunella_core::repair::guard;
use prunella_core::verify::{SuiteComparison, SuiteRun, Trial};
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
    /// The reproduction as it was reduced.
    pub reproduction: Reproduction,
    /// The class of status that the good release answers with.
    pub good_class: Option<u16>,
}

/// Searches.
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
    let all: BTreeSet<HunkId> = diff.hunk_ids().collect();
    let left_alone = guard(diff, &all).left_alone;
    let coupling = couple(diff, &facts(diff), &left_alone);
    let suspicion = suspicion(diff, &coupling, places);
    let left = bench.config.heal.experiments.saturating_sub(lab.experiments);
    let mut shrink = Shrink::new(&coupling, &suspicion, left);
    if left_alone.is_empty() {
        shrink = shrink.parent_passes();
    }
    let mut suite_before: Option<Option<SuiteRun>> = None;
    let mut best: Option<(GroupSet, CommitId)> = None;
    let mut accepted: BTreeSet<GroupSet> = BTreeSet::new();
    let complete = loop {
        if Instant::now() > deadline || bench.cancel.is_cancelled() {
            break false;
        }
        match shrink.next() {
            Step::Try(set) => {
                let outcome = match without(bench, commit, diff, &coupling, &set) {
                    Err(_) => Outcome::Unresolved,
                    Ok(tree) => {
                        let outcome = as_outcome(&lab.trials(&tree, 1));
                        if outcome == Outcome::Gone {
                            best = Some((set.clone(), tree));
                        }
                        outcome
                    }
                };
                shrink.record(set, outcome);
            }
            Step::Done { minimal, proven_minimal, .. } if accepted.contains(&minimal) => {
                best = best.filter(|(set, _)| *set == minimal);
                break proven_minimal;
            }
            Step::Done { minimal, .. } => {
                // The failure is gone; now the suite has its say, and if it objects the search goes on.
                let tree = without(bench, commit, diff, &coupling, &minimal)?;
                let before = suite_before.get_or_insert_with(|| lab.suite(commit)).clone();
                let objection = objection(lab, bench, before, &tree);
                if objection.is_some() {
                    shrink.record(minimal, Outcome::Unresolved);
                    best = None;
                } else {
                    best = Some((minimal.clone(), tree));
                    accepted.insert(minimal);
                }
            }
            Step::NotFound { .. } => {
                best = None;
                break true;
            }
        }
    };
    let minimal = best.as_ref().map(|(set, _)| coupling.hunks_of(set)).unwrap_or_default();
    let row = best.map(|(_, tree)| row(lab, bench, &minimal, all.len(), &tree));
    Ok(Shrunk {
        parent: parent.clone(),
        minimal: minimal.into_iter().collect(),
        complete,
        row,
        reproduction: lab.reproduction.clone(),
        good_class: lab.good_class,
    })
}

fn row(lab: &mut Lab, bench: &Bench, minimal: &BTreeSet<HunkId>, total: usize, tree: &CommitId) -> CounterfactualRow {
    let what = format!("without {} of its {total} hunks", minimal.len());
    let trials = lab.trials(tree, 1);
    let runs = u32::try_from(trials.len()).unwrap_or(u32::MAX);
    let tree = bench.repo.tree_of(tree).map(|t| t.as_str().to_owned()).unwrap_or_default();
    CounterfactualRow { side: Side::Without, what, tree, outcome: RowOutcome::Passes, runs }
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
    let comparison = SuiteComparison { command, before: before?, after: lab.suite(tree)? };
    comparison.regression()
}

/// The guilty commit without these groups of hunks, as a commit that nothing points to.
fn without(
    bench: &Bench,
    commit: &CommitId,
    diff: &CommitDiff,
    coupling: &Coupling,
    set: &GroupSet,
) -> Result<CommitId, String> {
    let hunks = coupling.hunks_of(set);
    let edits = diff.revert(&hunks).map_err(|e| e.to_string())?;
    let edits: Vec<Edit> = written(&edits)
        .into_iter()
        .map(|(path, state)| Edit {
            path: path.to_owned(),
            content: state.map(|s| (diffs::written_mode(s.mode), s.content.clone())),
        })
        .collect();
    let who = Signature { name: "Prunella".to_owned(), email: "prunella@localhost".to_owned() };
    let parents = [commit.clone()];
    // A fixed time makes the same experiment the same commit.
    let new =
        NewCommit { parents: &parents, edits: &edits, message: "Experiment\n", author: &who, committer: &who, when_ms: 0 };
    bench.repo.write_commit(&new).map_err(|e| e.to_string())
}

/// The names that each hunk brings and takes, in languages that we can read.
fn facts(diff: &CommitDiff) -> BTreeMap<HunkId, HunkFacts> {
    let mut facts = BTreeMap::new();
    for id in diff.hunk_ids() {
        let Some((change, hunk)) = diff.hunk(id) else { continue };
        let Some(language) = language_of(change.path()) else { continue };
        let (removed, added) = change.lines_of(hunk);
        let text = |lines: Vec<&[u8]>| -> Vec<String> {
            lines.into_iter().map(|l| String::from_utf8_lossy(l).into_owned()).collect()
        };
        let (removed, added) = (text(removed), text(added));
        let (defs_added, uses_added) = definitions_and_uses(language, added.iter().map(String::as_str));
        let (defs_removed, uses_removed) = definitions_and_uses(language, removed.iter().map(String::as_str));
        facts.insert(id, HunkFacts { defs_added, uses_added, defs_removed, uses_removed });
    }
    facts
}

/// Hunks near the frames of the failure first.
fn suspicion(diff: &CommitDiff, coupling: &Coupling, places: &BTreeSet<(String, u32)>) -> BTreeMap<GroupId, f64> {
    let of_hunk = |id: &HunkId| -> f64 {
        let Some((change, hunk)) = diff.hunk(*id) else { return 0.0 };
        let near = places.iter().filter(|(file, _)| file == change.path()).map(|(_, line)| match hunk {
            Hunk::Lines { new, .. } => {
                let distance = if *line < new.start + 1 { new.start + 1 - line } else { line.saturating_sub(new.end) };
                1.0 + 10.0 / f64::from(1 + distance)
            }
            _ => 1.0,
        });
        near.fold(0.1, f64::max)
    };
    coupling
        .ids()
        .map(|id| {
            let hunks = coupling.hunks_of(&BTreeSet::from([id]));
            (id, hunks.iter().map(of_hunk).fold(0.0, f64::max))
        })
        .collect()
}
