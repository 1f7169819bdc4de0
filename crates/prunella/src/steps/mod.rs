//! The steps of an incident that take time. Each gets what it needs, does its work beside the daemon's loop and gives
//! back the events that say what came of it. Running one twice is harmless: it writes nothing that an attempt before it
//! could have written differently.

pub mod capture;
mod compare;
pub mod diagnose;
pub(crate) mod fewest;
mod form;
pub(crate) mod names;
pub mod publish;
pub mod repair;
pub mod shrink;
pub mod verify;

use std::path::PathBuf;

use prunella_core::id::{BlobId, CommitId};
use prunella_core::incident::Incident;
use prunella_core::signal::{Exception, ProcessExit};
use prunella_sandbox::CancelToken;

use crate::checkout::Checkouts;
use crate::config::Config;
use crate::experiment::lab::Lab;
use crate::experiment::reproduction::Reproduction;
use crate::git::Repo;
use crate::home::Home;
use crate::store::Blobs;
use crate::supervise::Process;

/// What a step may use.
#[derive(Clone)]
pub struct Bench {
    /// Where things are kept.
    pub home: Home,
    /// The owner's configuration.
    pub config: Config,
    /// The repository.
    pub repo: Repo,
    /// Reports, reproductions, patches.
    pub blobs: Blobs,
    /// The incident as it was when the step began.
    pub incident: Incident,
    /// The gateway's control socket, for recorded requests.
    pub gateway: Option<PathBuf>,
    /// A process of the service whose open files show its state.
    pub process: Option<Process>,
    /// Exceptions that the failing release logged lately, newest first.
    pub exceptions: Vec<Exception>,
    /// How its process last ended by itself, if that was seen.
    pub exit: Option<ProcessExit>,
    /// Where the failing release stands, to make frames' files relative.
    pub failing_root: String,
    /// Ends the step's sandboxes.
    pub cancel: CancelToken,
}

impl Bench {
    /// The directory that holds this incident's copies of state.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.home.incidents().join(self.incident.id.as_str()).join("state")
    }

    /// The frozen reproduction.
    ///
    /// # Errors
    /// If it is missing or damaged.
    pub fn reproduction(&self) -> Result<Reproduction, String> {
        let (blob, _) = self.incident.reproduction.as_ref().ok_or("nothing was captured")?;
        let text = self.blobs.get(blob).map_err(|e| e.to_string())?;
        serde_json::from_slice(&text).map_err(|e| format!("reproduction {blob}: {e}"))
    }

    /// A laboratory for the frozen reproduction.
    ///
    /// # Errors
    /// If the reproduction is missing or damaged.
    pub fn lab(&self) -> Result<Lab, String> {
        let checkouts =
            Checkouts::new(self.repo.clone(), self.config.clone(), self.home.clone()).cancelled_by(self.cancel.clone());
        let scratch = self.home.incidents().join(self.incident.id.as_str()).join("scratch");
        Ok(Lab::new(
            checkouts,
            self.config.clone(),
            self.reproduction()?,
            self.state_dir(),
            scratch,
            self.cancel.clone(),
        ))
    }

    /// Stores a value as JSON.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn store(&self, value: &impl serde::Serialize) -> Result<BlobId, String> {
        let text = serde_json::to_vec(value).map_err(|e| e.to_string())?;
        self.blobs.put(&text).map_err(|e| e.to_string())
    }

    /// The newest commit of the failing line: what a fix goes on top of.
    #[must_use]
    pub fn head(&self) -> &CommitId {
        &self.incident.failing.commit
    }
}
