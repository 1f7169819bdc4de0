//! Carries a revert from the guilty commit to a later version of the file.
//!
//! *Method*: three-way merge by lines with the guilty version as base: the change guilty → reverted is applied where
//! the change guilty → head leaves its lines, and the lines beside them, alone. As in git, changes that touch without
//! being equal conflict: a revert that needs guessing is not made.
//! *Source*: Khanna, Kunal, Pierce, "A Formal Investigation of Diff3" (FSTTCS 2007).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::hunks::{Edit, FileState, is_text, line_hunks, lines};
use super::paths::{PathKind, path_kind};

/// One place where both sides changed the same or adjoining lines. Line indices from 0, end exclusive.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Region {
    /// In the file at the guilty commit.
    pub guilty: Range<u32>,
    /// In the file at head.
    pub head: Range<u32>,
    /// In the file with the hunks reverted.
    pub reverted: Range<u32>,
}

/// Why a file could not be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// Later commits changed the same or adjoining lines.
    Lines,
    /// A later commit changed a file that has no lines to merge (binary, too large, link).
    Whole,
    /// A later commit deleted the file.
    Gone,
    /// The revert deletes a file that a later commit changed.
    ChangedSince,
    /// The revert creates a file at a path where head has another one.
    PathTaken,
    /// A later commit moved the file again.
    MovedAgain,
}

/// A file that the revert cannot be carried over to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Conflict {
    /// The path at the guilty commit, or the one that the revert would create.
    pub file: String,
    /// Why.
    pub kind: ConflictKind,
    /// Where, for [`ConflictKind::Lines`].
    pub regions: Vec<Region>,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.kind {
            ConflictKind::Lines => "later commits changed the same lines",
            ConflictKind::Whole => "a later commit changed it, and it cannot be merged by lines",
            ConflictKind::Gone => "a later commit deleted it",
            ConflictKind::ChangedSince => "the revert deletes it, but a later commit changed it",
            ConflictKind::PathTaken => "head has another file at this path",
            ConflictKind::MovedAgain => "a later commit moved it again",
        };
        write!(f, "{}: {why}", self.file)?;
        for region in &self.regions {
            write!(
                f,
                ", lines {}-{}",
                region.head.start + 1,
                region.head.end.max(region.head.start + 1)
            )?;
        }
        Ok(())
    }
}

/// The files of the newest commit that the edits are about, by their path *at the guilty commit* (or by the path that
/// the revert would create). A file that moved since keeps its key and has its new path in the state.
pub type HeadFiles = BTreeMap<String, FileState>;

/// The paths that [`revert_onto`] will ask head for: what the edits read and what they would create.
#[must_use]
pub fn paths_needed(edits: &[Edit]) -> Vec<String> {
    let states = edits.iter().flat_map(|edit| [&edit.before, &edit.after]).flatten();
    let mut paths: Vec<String> = states.map(|state| state.path.clone()).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// Carries edits made at the guilty commit over to head. Edits that head already has are left out, so an empty result
/// means that there is nothing to do.
///
/// # Errors
/// All conflicts, if there is any; then nothing may be applied.
pub fn revert_onto(edits: &[Edit], head: &HeadFiles) -> Result<Vec<Edit>, Vec<Conflict>> {
    let carrier = Carrier {
        head,
        left: paths_left(edits),
    };
    let mut merged: Vec<Edit> = Vec::new();
    let mut conflicts = Vec::new();
    for edit in edits {
        match carrier.carry(edit) {
            Ok(edit) => merged.extend(edit),
            Err(conflict) => conflicts.push(conflict),
        }
    }
    let mut taken = BTreeSet::new();
    for state in merged.iter().filter_map(|edit| edit.after.as_ref()) {
        if !taken.insert(&state.path) {
            conflicts.push(conflict(&state.path, ConflictKind::PathTaken));
        }
    }
    if conflicts.is_empty() {
        Ok(merged)
    } else {
        Err(conflicts)
    }
}

/// As [`revert_onto`], and documentation that later commits changed too stays as it is: nothing runs it, and a change
/// log that every commit writes to would be in the way of nearly each revert. With the edits come the conflicts that
/// were left alone.
///
/// # Errors
/// All conflicts, if one is in anything else or nothing else is to be done.
pub fn revert_code_onto(edits: &[Edit], head: &HeadFiles) -> Result<(Vec<Edit>, Vec<Conflict>), Vec<Conflict>> {
    let conflicts = match revert_onto(edits, head) {
        Ok(edits) => return Ok((edits, Vec::new())),
        Err(conflicts) => conflicts,
    };
    let is_docs = |path: &str| path_kind(path) == PathKind::Docs;
    let in_the_way: BTreeSet<&str> = conflicts.iter().map(|conflict| conflict.file.as_str()).collect();
    let goes = |edit: &&Edit| {
        let mut states = edit.before.iter().chain(&edit.after);
        !states.any(|state| is_docs(&state.path) && in_the_way.contains(state.path.as_str()))
    };
    let code: Vec<Edit> = edits.iter().filter(goes).cloned().collect();
    if code.len() == edits.len() {
        return Err(conflicts);
    }
    match revert_onto(&code, head) {
        Ok(edits) if !edits.is_empty() => Ok((edits, conflicts)),
        _ => Err(conflicts),
    }
}

/// Paths of the guilty commit where no file stays: another file may come there.
fn paths_left(edits: &[Edit]) -> BTreeSet<&str> {
    let moves = |edit: &&Edit| match (&edit.before, &edit.after) {
        (Some(before), Some(after)) => before.path != after.path,
        _ => true,
    };
    edits
        .iter()
        .filter(moves)
        .filter_map(|edit| edit.before.as_ref())
        .map(|state| state.path.as_str())
        .collect()
}

fn conflict(file: &str, kind: ConflictKind) -> Conflict {
    Conflict {
        file: file.to_owned(),
        kind,
        regions: vec![],
    }
}

struct Carrier<'a> {
    head: &'a HeadFiles,
    left: BTreeSet<&'a str>,
}

impl Carrier<'_> {
    fn carry(&self, edit: &Edit) -> Result<Option<Edit>, Conflict> {
        match (&edit.before, &edit.after) {
            (Some(guilty), Some(reverted)) => self.carry_change(guilty, reverted),
            (Some(guilty), None) => self.carry_deletion(guilty),
            (None, Some(reverted)) => self.carry_creation(reverted),
            (None, None) => Ok(None),
        }
    }

    /// The file that is in the way of one at `path`, if any.
    fn occupant(&self, path: &str) -> Option<&FileState> {
        self.head
            .get(path)
            .filter(|there| there.path == path && !self.left.contains(path))
    }

    fn carry_creation(&self, reverted: &FileState) -> Result<Option<Edit>, Conflict> {
        match self.occupant(&reverted.path) {
            None => Ok(Some(Edit {
                before: None,
                after: Some(reverted.clone()),
            })),
            Some(there) if there == reverted => Ok(None),
            Some(_) => Err(conflict(&reverted.path, ConflictKind::PathTaken)),
        }
    }

    fn carry_deletion(&self, guilty: &FileState) -> Result<Option<Edit>, Conflict> {
        match self.head.get(&guilty.path) {
            None => Ok(None),
            Some(there) if there.content == guilty.content => Ok(Some(Edit {
                before: Some(there.clone()),
                after: None,
            })),
            Some(_) => Err(conflict(&guilty.path, ConflictKind::ChangedSince)),
        }
    }

    fn carry_change(&self, guilty: &FileState, reverted: &FileState) -> Result<Option<Edit>, Conflict> {
        let Some(there) = self.head.get(&guilty.path) else {
            let done = self.head.get(&reverted.path).is_some_and(|state| state == reverted);
            return if done {
                Ok(None)
            } else {
                Err(conflict(&guilty.path, ConflictKind::Gone))
            };
        };
        let path = self.carry_path(guilty, reverted, there)?;
        let modes = [guilty.mode, reverted.mode, there.mode];
        let mode = match modes {
            [base, new, head] if head == base || head == new => new,
            [base, new, head] if new == base => head,
            _ => return Err(conflict(&guilty.path, ConflictKind::Whole)),
        };
        let content =
            merge(&guilty.content, &there.content, &reverted.content).map_err(|(kind, regions)| Conflict {
                file: guilty.path.clone(),
                kind,
                regions,
            })?;
        let after = FileState { path, content, mode };
        Ok((after != *there).then(|| Edit {
            before: Some(there.clone()),
            after: Some(after),
        }))
    }

    fn carry_path(&self, guilty: &FileState, reverted: &FileState, there: &FileState) -> Result<String, Conflict> {
        if reverted.path == guilty.path || there.path == reverted.path {
            Ok(there.path.clone())
        } else if there.path != guilty.path {
            Err(conflict(&guilty.path, ConflictKind::MovedAgain))
        } else if self.occupant(&reverted.path).is_some() {
            Err(conflict(&reverted.path, ConflictKind::PathTaken))
        } else {
            Ok(reverted.path.clone())
        }
    }
}

type Failed = (ConflictKind, Vec<Region>);

fn merge(guilty: &[u8], head: &[u8], reverted: &[u8]) -> Result<Vec<u8>, Failed> {
    if head == guilty || head == reverted {
        return Ok(reverted.to_vec());
    }
    if reverted == guilty {
        return Ok(head.to_vec());
    }
    if ![guilty, head, reverted].into_iter().all(is_text) {
        return Err((ConflictKind::Whole, vec![]));
    }
    merge_lines(guilty, head, reverted).map_err(|regions| (ConflictKind::Lines, regions))
}

/// Merges by lines the changes `base` → `ours` and `base` → `theirs`.
///
/// # Errors
/// The regions where both changed the same or adjoining lines differently.
pub fn merge_lines(base: &[u8], ours: &[u8], theirs: &[u8]) -> Result<Vec<u8>, Vec<Region>> {
    let (our_hunks, their_hunks) = (line_hunks(base, ours), line_hunks(base, theirs));
    let (base_lines, our_lines, their_lines) = (lines(base), lines(ours), lines(theirs));
    let mut merged: Vec<u8> = Vec::with_capacity(ours.len().max(theirs.len()));
    let mut regions = Vec::new();
    let mut position = 0;
    for cluster in clusters(&our_hunks, &their_hunks) {
        let region = Region {
            head: project(&our_hunks, &cluster.base),
            reverted: project(&their_hunks, &cluster.base),
            guilty: cluster.base,
        };
        merged.extend(at(&base_lines, &(position..region.guilty.start)));
        position = region.guilty.end;
        let (mine, other) = (at(&our_lines, &region.head), at(&their_lines, &region.reverted));
        match (cluster.ours, cluster.theirs) {
            (true, true) if mine != other => regions.push(region),
            (true, _) => merged.extend(mine),
            (false, _) => merged.extend(other),
        }
    }
    merged.extend(at(&base_lines, &(position..base_lines.len() as u32)));
    if regions.is_empty() { Ok(merged) } else { Err(regions) }
}

fn at(lines: &[&[u8]], range: &Range<u32>) -> Vec<u8> {
    lines[range.start as usize..range.end as usize].concat()
}

type LineHunk = (Range<u32>, Range<u32>);

/// A maximal run of touching changes.
struct Cluster {
    base: Range<u32>,
    ours: bool,
    theirs: bool,
}

fn clusters(ours: &[LineHunk], theirs: &[LineHunk]) -> Vec<Cluster> {
    let tagged = |hunks: &[LineHunk], mine: bool| -> Vec<(Range<u32>, bool)> {
        hunks.iter().map(|(base, _)| (base.clone(), mine)).collect()
    };
    let mut all = tagged(ours, true);
    all.extend(tagged(theirs, false));
    all.sort_by_key(|(base, mine)| (base.start, base.end, !mine));
    let mut found: Vec<Cluster> = Vec::new();
    for (base, mine) in all {
        match found.last_mut() {
            Some(last) if base.start <= last.base.end => {
                last.base.end = last.base.end.max(base.end);
                last.ours |= mine;
                last.theirs |= !mine;
            }
            _ => found.push(Cluster {
                base,
                ours: mine,
                theirs: !mine,
            }),
        }
    }
    found
}

/// The lines of a changed side that stand for a cluster of the base. A hunk that touches a cluster is part of it, so
/// every hunk ends before the cluster, lies inside, or starts after it.
fn project(hunks: &[LineHunk], base: &Range<u32>) -> Range<u32> {
    let shifted = |line: u32, before: &dyn Fn(&Range<u32>) -> bool| {
        let hunks = hunks.iter().filter(|(old, _)| before(old));
        let shifted = hunks.fold(i64::from(line), |line, (old, new)| {
            line + new.len() as i64 - old.len() as i64
        });
        u32::try_from(shifted).expect("a line of the base maps to a line of the side")
    };
    shifted(base.start, &|old| old.end < base.start)..shifted(base.end, &|old| old.end <= base.end)
}

#[cfg(test)]
#[path = "merge3_tests.rs"]
mod tests;
