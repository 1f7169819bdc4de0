//! Why a release has no dependencies.

use std::io;
use std::path::PathBuf;

use prunella_sandbox::SandboxError;

use crate::copy::CopyError;
use crate::supervise::SuperviseError;

/// Dependencies could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum DepsError {
    /// The configuration cannot work.
    #[error("the configuration of the dependencies is not usable: {0}")]
    BadConfig(String),
    /// The command cannot be used.
    #[error(transparent)]
    Command(#[from] SuperviseError),
    /// The command failed.
    #[error("the dependency command `{command}` {how}; its output is in {}:\n{output}", log.display())]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        how: String,
        /// The last part of what it printed.
        output: String,
        /// All of it, as far as it was kept.
        log: PathBuf,
    },
    /// The command succeeded without making what it should.
    #[error("the dependency command `{command}` succeeded but did not make `{output}`; check `outputs`")]
    OutputMissing {
        /// The command.
        command: String,
        /// The output.
        output: String,
    },
    /// The release has something in the place of an output.
    #[error("{} is in the way: the repository holds what the dependency command should make; remove it from git or from `outputs`", .0.display())]
    InTheWay(PathBuf),
    /// The build was cancelled.
    #[error("the build of the dependencies was cancelled")]
    Cancelled,
    /// The sandbox does not work.
    #[error("the dependencies cannot be built in the sandbox: {0}")]
    Sandbox(#[from] SandboxError),
    /// A tree could not be copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// A file operation failed.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl DepsError {
    pub(super) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}
