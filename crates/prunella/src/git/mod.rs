//! Git, by the `git` executable.
//!
//! Everything here leaves the user's work tree, index, HEAD and hooks alone: commits are made from temporary indexes,
//! branches by compare-and-swap. The calls block; run them off the async threads.

mod blame;
mod blobs;
mod bulk;
mod changes;
mod edited;
mod edits;
mod error;
mod export;
mod history;
mod owners;
mod patch;
mod repo;
mod run;
mod shadow;
mod write;

pub use blame::BlamedLine;
pub use changes::{Base, ContentLimits, FileChange, Status};
pub use edited::{Edited, EditedFile};
pub use edits::{Edit, FileMode, apply_edits};
pub use error::GitError;
pub use export::{Exported, remove_stale_exports};
pub use history::{CommitInfo, Dirty};
pub use owners::matches_pattern;
pub use patch::MAX_PATCH;
pub use repo::{FileAt, Repo, TreeId};
pub use shadow::{Listed, Snapshot};
pub use write::{NewCommit, Signature};
