//! Takes back a part of the guilty hunks, where all of them would break what came with them.
//!
//! *Signals*: a minimal revert with which the failure is gone and the suite is not content.
//! *Method*: the revert on the newest state is split into atoms (lines, places in lines, blocks). Each atom alone, each
//! pair, and all but one are tried with the failing test; what passes goes on to the suite and the judge, fewest
//! first.
//! *Source*: hierarchical delta debugging (Misherghi & Su, ICSE 2006); partial reverts as a repair: Tan & Roychoudhury,
//! "relifix" (ICSE 2015).
//! *Fix safety*: every changed line was there before, but this combination never ran.

use std::collections::{BTreeMap, BTreeSet};

use prunella_core::diagnose::hunks::{CommitDiff, FileState, HunkId};
use prunella_core::diagnose::hunks_atoms::{Atom, apply, atoms};
use prunella_core::diagnose::merge3::revert_code_onto;
use prunella_core::id::CommitId;
use prunella_core::repair::{Draft, DraftFile, FixSafety, guard};
use prunella_core::verify::Trial;

use super::Helper;
use super::mend::{Bench, edits};
use super::oracle::Strictness;

/// The strategy's name for `--strategy`.
pub const NAME: &str = "partial_revert";
/// Atoms of which pairs are tried.
const MAX_PAIRED: usize = 8;
/// Sets of atoms that are run.
const MAX_TRIED: usize = 60;
/// Sets that pass the failing test and are tried in full.
const MAX_FULL: usize = 6;

/// An atom of one of the files.
type Piece = (String, usize);

impl Helper<'_> {
    /// The first part of the revert that the judge lets through.
    ///
    /// # Errors
    /// If git fails.
    pub(super) fn partly(
        &mut self,
        bench: &mut Bench<'_>,
        culprit: &CommitId,
        diff: &CommitDiff,
        minimal: &BTreeSet<HunkId>,
    ) -> Result<Option<usize>, String> {
        if self.request.strategy.as_deref().is_some_and(|asked| asked != NAME) {
            return Ok(None);
        }
        let (before, split) = split(bench, culprit, diff, minimal)?;
        let pieces: Vec<Piece> = split
            .iter()
            .flat_map(|(path, atoms)| (0..atoms.len()).map(|number| (path.clone(), number)))
            .collect();
        let drafts = choices(pieces.len()).into_iter().map(|chosen| {
            let pieces: BTreeSet<&Piece> = chosen.iter().map(|number| &pieces[*number]).collect();
            draft(&before, &split, &pieces)
        });
        self.first_of(bench, &before, drafts)
    }

    /// The first of some drafts that passes the failing test and that the judge lets through. `before` are the files of
    /// the newest state that they write.
    ///
    /// # Errors
    /// If git fails.
    pub(super) fn first_of(
        &mut self,
        bench: &mut Bench<'_>,
        before: &BTreeMap<String, FileState>,
        drafts: impl Iterator<Item = Draft>,
    ) -> Result<Option<usize>, String> {
        let (mut tried, mut full, mut name) = (0, 0, String::new());
        for draft in drafts {
            if bench.shop.over().is_some() || tried == MAX_TRIED || full == MAX_FULL {
                break;
            }
            let Ok(candidate) = draft.candidate(bench.head, before) else {
                continue;
            };
            if self.tried.iter().any(|tried| tried.candidate.patch == candidate.patch) {
                continue;
            }
            (tried, name) = (tried + 1, draft.strategy);
            let tree = bench.shop.write(bench.head, &edits(&candidate))?;
            let trials = bench
                .shop
                .trials(&tree, bench.quick, bench.target, Strictness::SameTest, 1);
            if trials.as_slice() != [Trial::Passed] {
                continue;
            }
            full += 1;
            if let Some(at) = self.attempt(bench, candidate)? {
                return Ok(Some(at));
            }
        }
        if tried > 0 {
            let pass = format!("{full} of them pass the failing test");
            self.notes.push(format!("{name}: tried {tried} candidates, {pass}"));
        }
        Ok(None)
    }
}

/// The files of the newest state that the revert changes, and the atoms of each change.
type Split = (BTreeMap<String, FileState>, BTreeMap<String, Vec<Atom>>);

fn split(
    bench: &Bench<'_>,
    culprit: &CommitId,
    diff: &CommitDiff,
    minimal: &BTreeSet<HunkId>,
) -> Result<Split, String> {
    let allowed = guard(diff, minimal).allowed;
    let at_culprit = diff.revert(&allowed).map_err(|e| e.to_string())?;
    // Where later work is in the way there is nothing to split.
    let (onto, _) = revert_code_onto(&at_culprit, &bench.head_files(culprit, diff)?).unwrap_or_default();
    let (mut files, mut split) = (BTreeMap::new(), BTreeMap::new());
    for edit in onto {
        let (Some(before), Some(after)) = (edit.before, edit.after) else {
            continue;
        };
        if before.path == after.path {
            split.insert(before.path.clone(), atoms(&before.content, &after.content));
            files.insert(before.path.clone(), before);
        }
    }
    Ok((files, split))
}

/// Sets of numbers below `count`, fewest first: each alone, pairs, all but one.
fn choices(count: usize) -> Vec<BTreeSet<usize>> {
    if count < 2 {
        return Vec::new();
    }
    let mut sets: Vec<BTreeSet<usize>> = (0..count).map(|one| BTreeSet::from([one])).collect();
    if count <= MAX_PAIRED {
        for a in 0..count {
            sets.extend((a + 1..count).map(|b| BTreeSet::from([a, b])));
        }
    }
    sets.extend((0..count).map(|out| (0..count).filter(|number| *number != out).collect()));
    let mut seen = BTreeSet::new();
    sets.retain(|set| seen.insert(set.clone()));
    sets
}

fn draft(
    before: &BTreeMap<String, FileState>,
    split: &BTreeMap<String, Vec<Atom>>,
    pieces: &BTreeSet<&Piece>,
) -> Draft {
    let mut files = Vec::new();
    for (path, atoms) in split {
        let own = pieces.iter().filter(|(of, _)| of == path);
        let chosen: BTreeSet<usize> = own.map(|(_, number)| *number).collect();
        if let Some(state) = before.get(path).filter(|_| !chosen.is_empty()) {
            files.push(DraftFile {
                path: path.clone(),
                content: apply(&state.content, atoms, &chosen),
            });
        }
    }
    let all: usize = split.values().map(Vec::len).sum();
    Draft {
        strategy: NAME.to_owned(),
        files,
        rationale: format!(
            "Takes back {} of {all} pieces of the guilty hunks: all of them break other tests.",
            pieces.len()
        ),
        fix_safety: FixSafety::Mixes,
        swallows_symptom: false,
        prior: 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_pieces_come_first_and_no_set_twice() {
        let shown: Vec<Vec<usize>> = choices(3).into_iter().map(|set| set.into_iter().collect()).collect();
        assert_eq!(shown, [vec![0], vec![1], vec![2], vec![0, 1], vec![0, 2], vec![1, 2]]);
        assert!(choices(1).is_empty());
        assert_eq!(choices(20).len(), 40);
    }

    #[test]
    fn a_draft_makes_only_the_chosen_pieces() {
        let state = FileState::regular("a.py", "x = 1\ny = 2\n");
        let atoms = atoms(b"x = 1\ny = 2\n", b"x = 3\ny = 4\n");
        let piece = ("a.py".to_owned(), 1);
        let made = draft(
            &[("a.py".to_owned(), state)].into(),
            &[("a.py".to_owned(), atoms)].into(),
            &[&piece].into(),
        );
        assert_eq!(made.files[0].content, b"x = 1\ny = 4\n");
        assert!(made.rationale.contains("1 of 2"), "{}", made.rationale);
    }
}
