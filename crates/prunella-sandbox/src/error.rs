//! Why a run did not take place.

use serde::{Deserialize, Serialize};

use crate::Tier;

/// A run that did not take place, or whose result cannot be trusted. What the untrusted command itself did wrong
/// is never an error but an [`crate::Exit`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum SandboxError {
    /// The caller's specification contradicts itself or asks for the impossible. A retry does not help.
    #[error("invalid jail specification: {0}")]
    InvalidSpec(String),
    /// This host offers less isolation than the specification demands. See `prunella doctor`.
    #[error("this host offers sandbox tier {found} but {wanted} is required: {why}")]
    TierTooLow {
        /// What the host offers.
        found: Tier,
        /// What the specification asked for.
        wanted: Tier,
        /// The layers that are missing and how to get them.
        why: String,
    },
    /// The back end's program or kernel feature is missing on this host.
    #[error("sandbox back end {backend} is not available: {why}")]
    Unavailable {
        /// The back end's name.
        backend: String,
        /// What is missing and how to get it.
        why: String,
    },
    /// The supervisor could not be started or died before it answered. A retry may help.
    #[error("the jail's supervisor failed: {0}")]
    Supervisor(String),
    /// The jail could not be built. `stage` says which step; nothing untrusted has run.
    #[error("the jail could not be built ({stage}): {reason}")]
    Setup {
        /// The step that failed, for example `mount /usr`.
        stage: String,
        /// The operating system's reason.
        reason: String,
    },
    /// The jail stands but the command could not be started in it: not found, not executable.
    #[error("cannot start {program:?} in the jail: {reason}")]
    Start {
        /// `argv[0]`.
        program: String,
        /// The operating system's reason.
        reason: String,
    },
}

impl SandboxError {
    /// A failed step with the operating system's reason.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "errors are handed over where they are mapped"
    )]
    pub(crate) fn setup(stage: impl Into<String>, reason: impl ToString) -> Self {
        Self::Setup {
            stage: stage.into(),
            reason: reason.to_string(),
        }
    }
}
