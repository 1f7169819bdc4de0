//! Where a command works: a repository, its configuration and its state directory.

use std::path::{Path, PathBuf};

use prunella_core::ledger::World;
use prunella_core::policy::Policy;

use crate::config::{self, Config, ConfigError};
use crate::git::Repo;
use crate::home::Home;
use crate::journal::Journal;
use crate::ui::Problem;

/// Where a command works.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) repo: Repo,
    pub(super) config: Option<Config>,
    pub(super) home: Home,
}

/// The directory that was asked for, or the current one.
pub(super) fn directory(asked: Option<&Path>) -> PathBuf {
    asked.map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// The configuration, or nothing if there is no file. A file with a mistake is an error: it may say where the ledger is.
pub(super) fn configured(root: &Path) -> Result<Option<Config>, Problem> {
    match config::load(root) {
        Ok(config) => Ok(Some(config)),
        Err(ConfigError::Missing(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Site {
    /// Opens the repository that holds the directory.
    pub(super) fn open(asked: Option<&Path>) -> Result<Self, Problem> {
        let repo = Repo::open(&directory(asked))?;
        let config = configured(repo.root())?;
        let home = Home::of(repo.root(), config.as_ref());
        Ok(Self { repo, config, home })
    }

    /// What is true now. Nothing is created: where there is no ledger nothing has happened.
    pub(super) async fn world(&self) -> Result<World, Problem> {
        if !self.home.ledger().exists() {
            return Ok(World::default());
        }
        Ok(Journal::open(&self.home).await?.world().clone())
    }

    /// The ledger, to append to. Makes the state directory if it is not there.
    pub(super) async fn journal(&self) -> Result<Journal, Problem> {
        self.home.create()?;
        Ok(Journal::open(&self.home).await?)
    }

    /// The owner's rules, with the kill switch as the ledger has it.
    pub(super) fn policy(&self, world: &World) -> Policy {
        let policy = self.config.as_ref().map(Config::policy).unwrap_or_default();
        Policy {
            paused: world.service.paused,
            ..policy
        }
    }

    /// A sentence about the daemon, for commands that leave work to it.
    pub(super) fn daemon_sentence(&self) -> String {
        match self.home.daemon() {
            Some(pid) => format!("The daemon (process {pid}) carries it out."),
            None => "The daemon does not run; `prunella run` carries it out.".to_owned(),
        }
    }
}
