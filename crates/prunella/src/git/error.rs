//! What can go wrong with git, each with its remedy.

use std::io;
use std::path::PathBuf;

/// A git operation failed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no git.
    #[error("cannot run `git`: {0}; install git 2.31 or newer and put it on PATH")]
    NoGit(io::Error),
    /// There is no such directory.
    #[error("{} is not a directory", .0.display())]
    NoDirectory(PathBuf),
    /// The directory is not in a repository.
    #[error("{} is not in a git repository; run `git init` and commit the code, or go to the repository", .0.display())]
    NotARepository(PathBuf),
    /// The repository has no work tree.
    #[error("{} is a bare repository; use a clone with a work tree", .0.display())]
    Bare(PathBuf),
    /// Nothing was committed yet.
    #[error("{} has no commits yet; commit the code once: a release is a commit", .0.display())]
    NoCommits(PathBuf),
    /// Git does not trust the owner of the repository.
    #[error(
        "{path} belongs to another user, so git refuses it; if you trust it, run `git config --global --add safe.directory {path}`",
        path = .0.display()
    )]
    DubiousOwnership(PathBuf),
    /// A revision that cannot be one.
    #[error("`{0}` is not a revision")]
    BadRevision(String),
    /// A revision that is not there.
    #[error("there is no commit `{0}` in this repository; if the clone is shallow, run `git fetch --unshallow`")]
    UnknownRevision(String),
    /// A path or content that may not be in a commit.
    #[error("cannot write `{path}`: {reason}")]
    BadEdit {
        /// The path.
        path: String,
        /// Why.
        reason: String,
    },
    /// The edits change nothing.
    #[error("the edits change nothing: the tree is that of the parent")]
    NothingChanged,
    /// A name that no branch can have.
    #[error("`{0}` cannot name a branch")]
    BadBranch(String),
    /// The branch is not in the expected state.
    #[error("branch `{branch}` is not where it was expected: {reason}")]
    BranchMoved {
        /// The branch.
        branch: String,
        /// What git said.
        reason: String,
    },
    /// A limit was reached.
    #[error("{what} is larger than the limit of {limit}")]
    TooLarge {
        /// What.
        what: String,
        /// The limit, in the unit that `what` names.
        limit: usize,
    },
    /// A git process took too long and was killed.
    #[error("`git {command}` took longer than {seconds} s and was stopped; a retry may help on a busy machine")]
    Timeout {
        /// The subcommand.
        command: String,
        /// The limit.
        seconds: u64,
    },
    /// A git process failed.
    #[error("`git {command}` failed with code {code}: {stderr}")]
    Failed {
        /// The subcommand.
        command: String,
        /// Its exit code, -1 if a signal killed it.
        code: i32,
        /// What it said, shortened.
        stderr: String,
    },
    /// Git printed something unexpected.
    #[error("`git {command}` printed something unexpected: {detail}")]
    Protocol {
        /// The subcommand.
        command: &'static str,
        /// What.
        detail: String,
    },
    /// A file operation failed.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl GitError {
    pub(super) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }

    pub(super) fn protocol(command: &'static str, detail: impl Into<String>) -> Self {
        Self::Protocol {
            command,
            detail: detail.into().chars().take(200).collect(),
        }
    }
}
