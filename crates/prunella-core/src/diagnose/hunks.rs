//! A commit as a set of hunks that can be reverted one by one.
//!
//! *Method*: histogram diff over lines kept byte for byte (line ends included), without context, so that every changed
//! region is one hunk. What has no lines (binary, too large, added, deleted, change of type, rename, mode) is a unit
//! of its own. Reverting a set of hunks rebuilds each file from the lines of both sides: exact, never fuzzy.
//! *Source*: Zeller, "Yesterday, my program worked. Today, it does not. Why?" (ESEC/FSE 1999), with hunks as changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};
use serde::{Deserialize, Serialize};

/// Files above this many bytes are one unit: nobody reads their hunks, and the diff would cost more than it tells.
pub const MAX_TEXT_BYTES: usize = 8 * 1024 * 1024;
/// A file with more hunks than this is one unit (a reformat, a generated file).
pub const MAX_HUNKS_PER_FILE: usize = 512;

/// What kind of tree entry a file is, as git distinguishes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileMode {
    /// `100644`.
    #[default]
    Regular,
    /// `100755`.
    Executable,
    /// `120000`; the content is the target.
    Symlink,
    /// `160000`; the content is the commit's name in hexadecimal.
    Submodule,
}

impl FileMode {
    /// Git's octal text.
    #[must_use]
    pub fn as_git(self) -> &'static str {
        match self {
            Self::Regular => "100644",
            Self::Executable => "100755",
            Self::Symlink => "120000",
            Self::Submodule => "160000",
        }
    }

    /// Reads git's octal text; `None` for anything that is not a file in a tree.
    #[must_use]
    pub fn from_git(text: &str) -> Option<Self> {
        match text {
            "100644" | "100664" => Some(Self::Regular),
            "100755" => Some(Self::Executable),
            "120000" => Some(Self::Symlink),
            "160000" => Some(Self::Submodule),
            _ => None,
        }
    }

    /// Whether it is a file with content of its own, executable or not.
    #[must_use]
    pub fn is_plain(self) -> bool {
        matches!(self, Self::Regular | Self::Executable)
    }
}

/// One file in one tree.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FileState {
    /// Repository-relative, with `/`.
    pub path: String,
    /// The bytes as git stores them.
    pub content: Vec<u8>,
    /// Its kind.
    pub mode: FileMode,
}

impl FileState {
    /// A regular file.
    #[must_use]
    pub fn regular(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            content: content.into(),
            mode: FileMode::Regular,
        }
    }
}

impl fmt::Debug for FileState {
    /// Without the content: it may be long, and logs are no place for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}, {} bytes)",
            self.path,
            self.mode.as_git(),
            self.content.len()
        )
    }
}

/// Names one hunk of a [`CommitDiff`]: stable for the same diff.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HunkId {
    /// Index of the file in [`CommitDiff::files`].
    pub file: u32,
    /// Index of the hunk in [`FileChange::hunks`].
    pub hunk: u32,
}

impl fmt::Display for HunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.file + 1, self.hunk + 1)
    }
}

impl fmt::Debug for HunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One change that can be reverted independently of the others in its file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hunk {
    /// Lines `old` became lines `new`. Line indices from 0, end exclusive; either may be empty.
    Lines {
        /// In the old file.
        old: Range<u32>,
        /// In the new file.
        new: Range<u32>,
    },
    /// The file was added.
    Added,
    /// The file was deleted.
    Deleted,
    /// The content was replaced as a whole: binary, too large, or another type of tree entry.
    Replaced,
    /// The file moved.
    Renamed,
    /// The executable bit changed.
    Mode,
}

/// How one file changed, and in which hunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    old: Option<FileState>,
    new: Option<FileState>,
    hunks: Vec<Hunk>,
}

impl FileChange {
    /// The change from `old` to `new`. A rename is a change whose paths differ: the caller found it.
    #[must_use]
    pub fn between(old: Option<FileState>, new: Option<FileState>) -> Self {
        let hunks = match (&old, &new) {
            (None, None) => vec![],
            (None, Some(_)) => vec![Hunk::Added],
            (Some(_), None) => vec![Hunk::Deleted],
            (Some(old), Some(new)) => hunks_between(old, new),
        };
        Self { old, new, hunks }
    }

    /// The file before, `None` if it was added.
    #[must_use]
    pub fn old(&self) -> Option<&FileState> {
        self.old.as_ref()
    }

    /// The file after, `None` if it was deleted.
    #[must_use]
    pub fn new_state(&self) -> Option<&FileState> {
        self.new.as_ref()
    }

    /// The path after the change, or before it if it was deleted.
    #[must_use]
    pub fn path(&self) -> &str {
        self.new.as_ref().or(self.old.as_ref()).map_or("", |state| &state.path)
    }

    /// The hunks, in the order of the file.
    #[must_use]
    pub fn hunks(&self) -> &[Hunk] {
        &self.hunks
    }

    /// The removed and the added lines of a hunk, line ends included; for a whole file, all its lines.
    #[must_use]
    pub fn lines_of(&self, hunk: &Hunk) -> (Vec<&[u8]>, Vec<&[u8]>) {
        let old = self.old.as_ref().map_or(&[][..], |state| &state.content);
        let new = self.new.as_ref().map_or(&[][..], |state| &state.content);
        match hunk {
            Hunk::Lines {
                old: removed,
                new: added,
            } => (slice(&lines(old), removed), slice(&lines(new), added)),
            Hunk::Added => (vec![], if is_text(new) { lines(new) } else { vec![] }),
            Hunk::Deleted => (if is_text(old) { lines(old) } else { vec![] }, vec![]),
            Hunk::Replaced | Hunk::Renamed | Hunk::Mode => (vec![], vec![]),
        }
    }

    /// The file with the hunks of these indices taken back.
    fn reverted(&self, chosen: &BTreeSet<u32>) -> Option<FileState> {
        let is_chosen = |kind: &Hunk| {
            self.hunks
                .iter()
                .zip(0..)
                .any(|(hunk, i)| hunk == kind && chosen.contains(&i))
        };
        let (Some(old), Some(new)) = (&self.old, &self.new) else {
            return if chosen.is_empty() {
                self.new.clone()
            } else {
                self.old.clone()
            };
        };
        let replaced = is_chosen(&Hunk::Replaced);
        Some(FileState {
            path: if is_chosen(&Hunk::Renamed) {
                old.path.clone()
            } else {
                new.path.clone()
            },
            content: if replaced {
                old.content.clone()
            } else {
                self.reverted_lines(&old.content, &new.content, chosen)
            },
            mode: if is_chosen(&Hunk::Mode) || (replaced && !(old.mode.is_plain() && new.mode.is_plain())) {
                old.mode
            } else {
                new.mode
            },
        })
    }

    fn reverted_lines(&self, old: &[u8], new: &[u8], chosen: &BTreeSet<u32>) -> Vec<u8> {
        if chosen.is_empty() {
            return new.to_vec();
        }
        let (old_lines, new_lines) = (lines(old), lines(new));
        let mut content = Vec::with_capacity(new.len().max(old.len()));
        let mut position = 0;
        for (index, hunk) in (0..).zip(&self.hunks) {
            let Hunk::Lines {
                old: removed,
                new: added,
            } = hunk
            else {
                continue;
            };
            if chosen.contains(&index) {
                content.extend(new_lines[position..added.start as usize].concat());
                content.extend(slice(&old_lines, removed).concat());
                position = added.end as usize;
            }
        }
        content.extend(new_lines[position..].concat());
        content
    }
}

fn hunks_between(old: &FileState, new: &FileState) -> Vec<Hunk> {
    let mut hunks = Vec::new();
    if old.path != new.path {
        hunks.push(Hunk::Renamed);
    }
    let same_type = old.mode.is_plain() && new.mode.is_plain();
    if same_type && old.mode != new.mode {
        hunks.push(Hunk::Mode);
    }
    if !same_type {
        if old.mode != new.mode || old.content != new.content {
            hunks.push(Hunk::Replaced);
        }
    } else if old.content != new.content {
        hunks.extend(content_hunks(&old.content, &new.content));
    }
    hunks
}

fn content_hunks(old: &[u8], new: &[u8]) -> Vec<Hunk> {
    if !is_text(old) || !is_text(new) {
        return vec![Hunk::Replaced];
    }
    let found = line_hunks(old, new);
    if found.len() > MAX_HUNKS_PER_FILE {
        return vec![Hunk::Replaced];
    }
    found.into_iter().map(|(old, new)| Hunk::Lines { old, new }).collect()
}

/// Git's rule (no NUL in the first 8,000 bytes), and not larger than [`MAX_TEXT_BYTES`].
#[must_use]
pub fn is_text(content: &[u8]) -> bool {
    content.len() <= MAX_TEXT_BYTES && !content[..content.len().min(8000)].contains(&0)
}

/// The lines with their line ends; the last may have none.
#[must_use]
pub fn lines(content: &[u8]) -> Vec<&[u8]> {
    content.split_inclusive(|byte| *byte == b'\n').collect()
}

fn slice<'a>(lines: &[&'a [u8]], range: &Range<u32>) -> Vec<&'a [u8]> {
    lines[range.start as usize..range.end as usize].to_vec()
}

/// The changed regions between two texts as line ranges, in order, never touching each other.
#[must_use]
pub fn line_hunks(old: &[u8], new: &[u8]) -> Vec<(Range<u32>, Range<u32>)> {
    let input = InternedInput::new(old, new);
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_lines(&input);
    diff.hunks().map(|hunk| (hunk.before, hunk.after)).collect()
}

/// Everything one commit changed against one parent. For a merge, take the parent whose lineage passes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitDiff {
    files: Vec<FileChange>,
}

/// Why a set of hunks cannot be reverted at the guilty commit itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevertError {
    /// The set names a hunk that this diff does not have: a bug of the caller.
    #[error("the diff has no hunk {0}")]
    NoSuchHunk(HunkId),
    /// Two files would have the same path: reverting only a part of a move needs the rest too.
    #[error("reverting these hunks would put two files at `{0}`")]
    PathTaken(String),
}

/// The change of one file that a revert asks for, relative to the guilty commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The file as it is; `None` to create one.
    pub before: Option<FileState>,
    /// The file as it shall be; `None` to delete it. Its path may differ: a move.
    pub after: Option<FileState>,
}

impl CommitDiff {
    /// A diff of these files. The order fixes the [`HunkId`]s.
    #[must_use]
    pub fn new(files: Vec<FileChange>) -> Self {
        Self { files }
    }

    /// The files.
    #[must_use]
    pub fn files(&self) -> &[FileChange] {
        &self.files
    }

    /// All hunks, in order.
    pub fn hunk_ids(&self) -> impl Iterator<Item = HunkId> {
        (0..)
            .zip(&self.files)
            .flat_map(|(file, change)| (0..change.hunks.len() as u32).map(move |hunk| HunkId { file, hunk }))
    }

    /// The file and the hunk of this name.
    #[must_use]
    pub fn hunk(&self, id: HunkId) -> Option<(&FileChange, &Hunk)> {
        let change = self.files.get(id.file as usize)?;
        Some((change, change.hunks.get(id.hunk as usize)?))
    }

    /// The edits that turn the guilty commit's tree into the one without these hunks: exact. All hunks give the
    /// parent byte for byte, none gives no edit.
    ///
    /// # Errors
    /// If a hunk is not of this diff, or two files would end at one path.
    pub fn revert(&self, hunks: &BTreeSet<HunkId>) -> Result<Vec<Edit>, RevertError> {
        if let Some(unknown) = hunks.iter().find(|id| self.hunk(**id).is_none()) {
            return Err(RevertError::NoSuchHunk(*unknown));
        }
        let mut taken = BTreeSet::new();
        let mut edits = Vec::new();
        for (index, change) in (0..).zip(&self.files) {
            let chosen = hunks.iter().filter(|id| id.file == index).map(|id| id.hunk).collect();
            let after = change.reverted(&chosen);
            if let Some(state) = &after
                && !taken.insert(state.path.clone())
            {
                return Err(RevertError::PathTaken(state.path.clone()));
            }
            if after != change.new {
                edits.push(Edit {
                    before: change.new.clone(),
                    after,
                });
            }
        }
        Ok(edits)
    }
}

/// The files of a tree that a set of edits writes, by path: `None` deletes. Writes win over deletions, so that files
/// may swap their paths.
#[must_use]
pub fn written(edits: &[Edit]) -> BTreeMap<&str, Option<&FileState>> {
    let deleted = edits
        .iter()
        .filter_map(|edit| edit.before.as_ref())
        .map(|state| (state.path.as_str(), None));
    let kept = edits
        .iter()
        .filter_map(|edit| edit.after.as_ref())
        .map(|state| (state.path.as_str(), Some(state)));
    deleted.chain(kept).collect()
}

#[cfg(test)]
#[path = "hunks_tests.rs"]
mod tests;
