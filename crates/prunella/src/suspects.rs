//! Reads the commits of a range for the ranking, as many as are worth it.
//!
//! The newest ones are read, and of older ones those that changed a file on the stack: a range of twenty thousand commits
//! costs no more than one of a few hundred. What is not read is told, searched by experiment, and never blamed.

use std::collections::BTreeSet;

use prunella_core::diagnose::failure::repository_path;
use prunella_core::diagnose::hunks::CommitDiff;
use prunella_core::diagnose::rank::{ChangedFile, Hints, SuspectInput, ignored_revisions};
use prunella_core::id::CommitId;
use prunella_core::signal::Exception;

use crate::diffs;
use crate::git::{CommitInfo, Repo};

/// Newest commits whose changes are read.
const MAX_READ: usize = 300;
/// Files on the stack of which older commits are read.
const MAX_FILES: usize = 8;
/// Older commits of such a file that are read.
const MAX_TOUCHING: usize = 40;
/// What `git blame` is told to leave out.
const IGNORED_REVISIONS: &str = ".git-blame-ignore-revs";

/// What was read of a range.
#[derive(Clone, Debug, Default)]
pub struct Suspects {
    /// The commits that were read, newest first.
    pub read: Vec<SuspectInput>,
    /// What was not looked at, in words.
    pub unread: Vec<String>,
}

/// Reads the commits of a range, which is newest first. `files` are on the stack, relative to the repository.
pub fn read(repo: &Repo, head: &CommitId, range: &[CommitInfo], files: &BTreeSet<String>) -> Suspects {
    let mut found = Suspects::default();
    let (newest, older) = range.split_at(range.len().min(MAX_READ));
    let touching = if older.is_empty() {
        BTreeSet::new()
    } else {
        touching(repo, head, files)
    };
    let older: Vec<&CommitInfo> = older.iter().filter(|info| touching.contains(&info.id)).collect();
    let skipped = range.len() - newest.len() - older.len();
    let wanted: Vec<&CommitInfo> = newest.iter().chain(older).collect();
    diffs::each(repo, &wanted, &mut |info, diff| match diff {
        Ok(diff) => found.read.push(suspect(info, &diff)),
        Err(_) => found
            .unread
            .push(format!("{}: its change could not be read", info.id.short())),
    });
    if skipped > 0 {
        found.unread.push(format!("the changes of {skipped} older commits"));
    }
    found
}

/// Files of the in-app frames of exceptions, relative to the repository: the innermost ones, where there are many.
#[must_use]
pub fn files_of(exceptions: &[Exception], roots: &[&str]) -> BTreeSet<String> {
    let frames = exceptions.iter().flat_map(|exception| exception.in_app_frames());
    frames
        .map(|frame| repository_path(&frame.file, roots))
        .take(MAX_FILES)
        .collect()
}

/// What the repository itself says of its commits.
#[must_use]
pub fn hints(repo: &Repo, head: &CommitId) -> Hints {
    let listed = repo.file_at(head, IGNORED_REVISIONS).ok().flatten();
    let listed = listed.map_or_else(String::new, |file| String::from_utf8_lossy(&file.content).into_owned());
    Hints {
        ignored: ignored_revisions(&listed),
        ..Hints::default()
    }
}

/// Commits of any age that changed one of the files.
fn touching(repo: &Repo, head: &CommitId, files: &BTreeSet<String>) -> BTreeSet<CommitId> {
    let commits = |file: &String| repo.touching(head, file, None, MAX_TOUCHING).unwrap_or_default();
    files.iter().take(MAX_FILES).flat_map(commits).collect()
}

/// A commit as the ranking reads it.
pub(crate) fn suspect(info: &CommitInfo, diff: &CommitDiff) -> SuspectInput {
    SuspectInput {
        commit: info.id.clone(),
        parents: info.parents.clone(),
        author_time_ms: info.authored_ms,
        subject: info.subject.clone(),
        files: diff
            .files()
            .iter()
            .map(|f| ChangedFile::from_change(f, prunella_lang::paths::is_generated_or_lock(f.path())))
            .collect(),
    }
}
