//! Diagnosis → Candidate: one strategy a file. A candidate is untrusted whoever made it; only the judge decides.

pub mod answer;
pub mod ask;
mod draft;
mod full_revert;
mod guard;
mod message;
mod minimal_revert;
pub mod patterns;
pub mod synth;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use draft::{Draft, DraftFile, MAX_DRAFT_FILES};
pub use guard::{Guarded, guard};
pub use message::commit_message;

use crate::diagnose::Diagnosis;
use crate::diagnose::hunks::{CommitDiff, Edit, FileMode, HunkId, RevertError};
use crate::diagnose::merge3::{Conflict, HeadFiles};
use crate::diagnose::patch::render_patch;
use crate::diagnose::paths::PathKind;
use crate::id::{BlobId, CommitId, IncidentId, short_hash};

/// Longest patch, in bytes: it is stored in the ledger and read by people.
pub const MAX_PATCH_BYTES: usize = 4 * 1024 * 1024;

/// All strategies, in the order in which they are tried. A new one is a file and a line here.
pub static STRATEGIES: &[&dyn Strategy] = &[&minimal_revert::MinimalRevert, &full_revert::FullRevert];

/// A way to make a patch from a diagnosis.
pub trait Strategy: Sync {
    /// Its name, as in the ledger.
    fn name(&self) -> &'static str;

    /// Makes a candidate. Pure: the same input gives the same candidate, with the same id.
    ///
    /// # Errors
    /// Why this strategy has nothing to offer here.
    fn propose(&self, input: &RepairInput<'_>) -> Result<Candidate, Declined>;
}

/// What strategies work from.
#[derive(Clone, Copy, Debug)]
pub struct RepairInput<'a> {
    /// What did it.
    pub diagnosis: &'a Diagnosis,
    /// What the guilty commit changed, against the parent that passes.
    pub diff: &'a CommitDiff,
    /// The hunks whose reversal makes the failure go away; empty if they are not known.
    pub minimal: &'a BTreeSet<HunkId>,
    /// The newest commit: what the candidate is a child of.
    pub head_commit: &'a CommitId,
    /// Its files, as far as [`paths_needed`](crate::diagnose::merge3::paths_needed) asks for them, by their path at
    /// the guilty commit.
    pub head: &'a HeadFiles,
}

/// How a fix may change what the service does, beside ending the failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FixSafety {
    /// The files become exactly what they were before the guilty commit: that ran in production.
    Restores,
    /// Every changed line was there before, but this combination of old and new lines never ran.
    Mixes,
    /// Lines that never were there before.
    Writes,
}

/// Content in a candidate: text stays text, so that a ledger can be read by eye; anything else is stored as bytes.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// UTF-8.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl Content {
    /// The bytes to write.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|error| Self::Bytes(error.into_bytes()), Self::Text)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.as_bytes().len())
    }
}

/// One file that a candidate writes or deletes. A move is a deletion and a creation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileEdit {
    /// Repository-relative; never protected, never outside of the repository.
    pub path: String,
    /// What must be there before, `None` for nothing. Whoever applies the edit checks it.
    pub before: Option<BlobId>,
    /// What shall be there, `None` to delete.
    pub after: Option<Content>,
    /// Its kind afterwards.
    pub mode: FileMode,
}

/// An untrusted patch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// A hash of strategy, base and patch.
    pub id: String,
    /// Which strategy made it.
    pub strategy: String,
    /// What it writes, by path, each path once.
    pub files: Vec<FileEdit>,
    /// The same for people and `git apply`.
    pub patch: String,
    /// The commit that it applies to.
    pub base_commit: CommitId,
    /// The commit whose hunks it takes back; `None` for what is no revert.
    pub reverts: Option<CommitId>,
    /// How many hunks it takes back.
    pub hunks_reverted: u32,
    /// What it does and what it leaves, for people, a sentence a line.
    pub rationale: String,
    /// How it may change what the service does.
    pub fix_safety: FixSafety,
}

/// Why a strategy has no candidate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Declined {
    /// The cause is not a commit.
    #[error("the cause is not a commit: there is nothing to revert")]
    NoGuiltyCommit,
    /// No hunks are known to be guilty.
    #[error("no hunks are known whose reversal makes the failure go away")]
    NotShrunk,
    /// All that would have to be reverted is protected.
    #[error("the revert would have to touch what a repair must not touch: {}", list(paths))]
    OnlyProtected {
        /// The files with what protects them.
        paths: Vec<(String, PathKind)>,
    },
    /// Later commits are in the way.
    #[error("later commits are in the way: {}", conflicts.iter().map(Conflict::to_string).collect::<Vec<_>>().join("; "))]
    Conflicts {
        /// Where.
        conflicts: Vec<Conflict>,
    },
    /// The hunks cannot be taken back without others.
    #[error("the hunks cannot be taken back alone: {reason}")]
    Entangled {
        /// Why.
        reason: String,
    },
    /// The patch is beyond [`MAX_PATCH_BYTES`].
    #[error("the patch would be {bytes} bytes long, beyond what a person can review: revert by hand")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// More files than [`MAX_DRAFT_FILES`].
    #[error("the patch would write {files} files, more than {MAX_DRAFT_FILES}")]
    TooManyFiles {
        /// How many.
        files: usize,
    },
    /// A draft for a file that is not there.
    #[error("the newest commit has no file {path}")]
    NoSuchFile {
        /// Which.
        path: String,
    },
    /// The newest commit already has the change.
    #[error("the newest commit already has this change: deploy it")]
    AlreadyDone,
    /// Submodules move with their own repository.
    #[error("the revert would move the submodule {path}: revert it in its own repository")]
    Submodule {
        /// Where it is mounted.
        path: String,
    },
}

fn list(paths: &[(String, PathKind)]) -> String {
    paths
        .iter()
        .map(|(path, kind)| format!("{path} ({})", kind.label()))
        .collect::<Vec<_>>()
        .join(", ")
}

impl From<RevertError> for Declined {
    fn from(error: RevertError) -> Self {
        Self::Entangled {
            reason: error.to_string(),
        }
    }
}

/// Asks each strategy in turn; the candidates in order of preference, and why the others declined.
#[must_use]
pub fn propose_all(input: &RepairInput<'_>) -> (Vec<Candidate>, Vec<(&'static str, Declined)>) {
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut declined = Vec::new();
    for strategy in STRATEGIES {
        match strategy.propose(input) {
            Ok(candidate) if candidates.iter().any(|other| other.patch == candidate.patch) => {}
            Ok(candidate) => candidates.push(candidate),
            Err(reason) => declined.push((strategy.name(), reason)),
        }
    }
    (candidates, declined)
}

/// What a strategy knows about its candidate beside the edits.
struct Made<'a> {
    strategy: &'a str,
    reverts: Option<&'a CommitId>,
    hunks: usize,
    rationale: String,
    fix_safety: FixSafety,
}

fn candidate(edits: &[Edit], head_commit: &CommitId, made: Made<'_>) -> Result<Candidate, Declined> {
    check_edits(edits)?;
    let patch = render_patch(edits);
    if patch.is_empty() {
        return Err(Declined::AlreadyDone);
    }
    if patch.len() > MAX_PATCH_BYTES {
        return Err(Declined::TooLarge {
            bytes: patch.len() as u64,
        });
    }
    let id = format!(
        "cand-{}",
        short_hash(&[made.strategy, head_commit.as_str(), &patch], 12)
    );
    Ok(Candidate {
        id,
        strategy: made.strategy.to_owned(),
        files: file_edits(edits),
        patch,
        base_commit: head_commit.clone(),
        reverts: made.reverts.cloned(),
        hunks_reverted: made.hunks as u32,
        rationale: made.rationale,
        fix_safety: made.fix_safety,
    })
}

/// The last door: whatever the strategy did, no protected path is written or deleted.
fn check_edits(edits: &[Edit]) -> Result<(), Declined> {
    let states = || edits.iter().flat_map(|edit| [&edit.before, &edit.after]).flatten();
    if let Some(submodule) = states().find(|state| state.mode == FileMode::Submodule) {
        return Err(Declined::Submodule {
            path: submodule.path.clone(),
        });
    }
    let mut paths: Vec<(String, PathKind)> = states()
        .map(|state| (state.path.clone(), crate::diagnose::paths::path_kind(&state.path)))
        .collect();
    paths.retain(|(_, kind)| kind.is_protected());
    paths.sort();
    paths.dedup();
    if paths.is_empty() {
        Ok(())
    } else {
        Err(Declined::OnlyProtected { paths })
    }
}

fn file_edits(edits: &[Edit]) -> Vec<FileEdit> {
    let before = |path: &str| {
        let state = edits
            .iter()
            .filter_map(|edit| edit.before.as_ref())
            .find(|state| state.path == path);
        state.map(|state| BlobId::of(&state.content))
    };
    crate::diagnose::hunks::written(edits)
        .into_iter()
        .map(|(path, after)| FileEdit {
            path: path.to_owned(),
            before: before(path),
            after: after.map(|state| Content::from(state.content.clone())),
            mode: after.map(|state| state.mode).unwrap_or_default(),
        })
        .collect()
}

/// The branch on which a candidate is proposed.
#[must_use]
pub fn branch_name(incident: &IncidentId) -> String {
    format!("prunella/{incident}")
}

#[cfg(test)]
mod tests;
