//! What commits changed, in the form that the diagnosis wants.

use prunella_core::diagnose::hunks::{CommitDiff, FileChange, FileMode, FileState};
use prunella_core::id::CommitId;

use crate::git::{self, Base, CommitInfo, ContentLimits, GitError, Repo};

/// What a commit changed against its first parent.
///
/// # Errors
/// If git fails or the change is larger than the limits.
pub fn of(repo: &Repo, info: &CommitInfo) -> Result<CommitDiff, GitError> {
    read(repo, &info.id, &base_of(info))
}

fn base_of(info: &CommitInfo) -> Base {
    let first = info.parents.first();
    first.map_or(Base::Root, |parent| Base::Commit(parent.clone()))
}

/// What each commit changed against its first parent, told in turn: a few processes for many commits.
pub fn each<'a>(
    repo: &Repo,
    infos: &[&'a CommitInfo],
    told: &mut dyn FnMut(&'a CommitInfo, Result<CommitDiff, GitError>),
) {
    let commits: Vec<_> = infos.iter().map(|info| (info.id.clone(), base_of(info))).collect();
    repo.changes_of_many(&commits, ContentLimits::default(), &mut |place, changes| {
        told(infos[place], changes.map(diff));
    });
}

/// As [`of`], for a commit by name.
///
/// # Errors
/// As [`of`].
pub fn of_commit(repo: &Repo, commit: &CommitId) -> Result<CommitDiff, GitError> {
    of(repo, &repo.commit_info(commit)?)
}

/// What changed from `parent` to `commit`.
///
/// # Errors
/// As [`of`].
pub fn between(repo: &Repo, commit: &CommitId, parent: &CommitId) -> Result<CommitDiff, GitError> {
    read(repo, commit, &Base::Commit(parent.clone()))
}

fn read(repo: &Repo, commit: &CommitId, base: &Base) -> Result<CommitDiff, GitError> {
    repo.changes(commit, base, ContentLimits::default()).map(diff)
}

fn diff(changes: Vec<git::FileChange>) -> CommitDiff {
    CommitDiff::new(changes.into_iter().filter(|c| !c.too_large).map(change).collect())
}

fn change(change: git::FileChange) -> FileChange {
    let side = |path: Option<String>, mode: u32, content: Option<Vec<u8>>| {
        let mode = FileMode::from_git(&format!("{mode:06o}"))?;
        Some(FileState {
            path: path?,
            content: content.unwrap_or_default(),
            mode,
        })
    };
    FileChange::between(
        side(change.old_path, change.old_mode, change.old),
        side(change.new_path, change.new_mode, change.new),
    )
}

/// The mode of a file in a commit to be written.
#[must_use]
pub fn written_mode(mode: FileMode) -> git::FileMode {
    match mode {
        FileMode::Executable => git::FileMode::Executable,
        FileMode::Symlink => git::FileMode::Symlink,
        FileMode::Regular | FileMode::Submodule => git::FileMode::Regular,
    }
}
