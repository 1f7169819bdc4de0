//! What can go wrong between the daemon and a service, each with its remedy.

use std::io;
use std::path::PathBuf;

/// A service could not be started, adopted or stopped.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// The run directory cannot be used.
    #[error("cannot use the run directory {}: {source}; check that the state directory is writable", path.display())]
    RunDir {
        /// The directory or the file in it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is a run of this name already.
    #[error("the run directory {} exists already: a run is started once, choose a new name", path.display())]
    RunExists {
        /// The directory.
        path: PathBuf,
    },
    /// The executable that should become the shim could not be started.
    #[error("cannot start the supervisor process {}: {source}", program.display())]
    Launch {
        /// The executable.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The service's command could not be executed.
    #[error("cannot execute the start command `{program}` in {}: {reason}; {hint}", cwd.display())]
    Exec {
        /// The program that was looked for.
        program: String,
        /// Its working directory.
        cwd: PathBuf,
        /// What the system said.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
    /// The specification contradicts itself.
    #[error("the start command is not usable: {0}")]
    BadSpec(String),
    /// The shim did not answer, or not as agreed.
    #[error("the supervisor process did not start the service: {0}; a retry may help")]
    Handshake(String),
    /// A record in the run directory cannot be understood.
    #[error("the record {} is damaged: {reason}; the run counts as lost", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The system refused something that supervision needs.
    #[error("supervision failed: {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl SuperviseError {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
