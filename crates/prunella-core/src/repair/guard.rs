//! What a revert leaves alone: tests, CI, policy, and paths that leave the repository.

use std::collections::BTreeSet;

use crate::diagnose::hunks::{CommitDiff, HunkId};
use crate::diagnose::paths::{PathKind, path_kind};

/// The hunks of a diff, parted by whether a repair may touch their file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guarded {
    /// Free to revert.
    pub allowed: BTreeSet<HunkId>,
    /// Left alone: give them to [`couple`](crate::diagnose::couple::couple).
    pub left_alone: BTreeSet<HunkId>,
    /// The files of those, with what protects them, by path.
    pub paths: Vec<(String, PathKind)>,
}

/// Parts these hunks. A file counts as protected if its path before or after the change is. Hunks that the diff does
/// not have are in neither part.
#[must_use]
pub fn guard(diff: &CommitDiff, hunks: &BTreeSet<HunkId>) -> Guarded {
    let mut guarded = Guarded::default();
    for id in hunks {
        let Some((change, _)) = diff.hunk(*id) else { continue };
        let states = change.old().into_iter().chain(change.new_state());
        let protected = states
            .map(|state| (&state.path, path_kind(&state.path)))
            .find(|(_, kind)| kind.is_protected());
        match protected {
            Some((path, kind)) => {
                guarded.left_alone.insert(*id);
                guarded.paths.push((path.clone(), kind));
            }
            None => {
                guarded.allowed.insert(*id);
            }
        }
    }
    guarded.paths.sort();
    guarded.paths.dedup();
    guarded
}
