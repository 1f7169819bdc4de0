//! Where the demo takes place, and how it is left: every process ended and the directory gone, however it went.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::error::DemoError;
use super::leftovers::Belongings;
use super::process::Daemon;
use crate::home::Home;

/// How long the daemon may take to stop the service, the gateway and itself.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// How long what the daemon has told to end, such as the gateway with its last connections, may take after it.
const REST_PATIENCE: Duration = Duration::from_secs(3);

/// The temporary directory and what runs in it. Dropping it ends and removes everything at once.
pub(super) struct Stage {
    dir: Option<TempDir>,
    program: PathBuf,
    home: Option<Home>,
    addr: Option<SocketAddr>,
    daemon: Option<Daemon>,
}

/// How the stage was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Left {
    /// The daemon had to be killed.
    pub(super) daemon_was_killed: bool,
    /// The command lines of processes that were still there after the daemon had ended.
    pub(super) orphans: Vec<String>,
}

impl Stage {
    /// # Errors
    /// If there is no place for a temporary directory.
    pub(super) fn new() -> Result<Self, DemoError> {
        let system = |what| move |source| DemoError::System { what, source };
        let program = std::env::current_exe().map_err(system("find prunella's own executable"))?;
        let dir = tempfile::Builder::new()
            .prefix("prunella-demo-")
            .tempdir()
            .map_err(system("make a temporary directory"))?;
        Ok(Self {
            dir: Some(dir),
            program,
            home: None,
            addr: None,
            daemon: None,
        })
    }

    /// The directory.
    pub(super) fn dir(&self) -> &Path {
        self.dir.as_ref().expect("it is there until the stage is left").path()
    }

    /// This executable, to be run as a user would run it.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// Starts `prunella run` in a repository.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(super) fn start(&mut self, repository: &Path, home: Home, addr: SocketAddr) -> Result<(), DemoError> {
        let log = self.dir().join("daemon.log");
        self.home = Some(home);
        self.addr = Some(addr);
        self.daemon = Some(Daemon::start(&self.program, repository, log)?);
        Ok(())
    }

    /// Where customers reach the service, once it was started.
    pub(super) fn addr(&self) -> Option<SocketAddr> {
        self.addr
    }

    /// The daemon, once it was started.
    pub(super) fn daemon(&mut self) -> Option<&mut Daemon> {
        self.daemon.as_mut()
    }

    /// # Errors
    /// If the daemon has ended.
    pub(super) fn check(&mut self) -> Result<(), DemoError> {
        self.daemon.as_mut().map_or(Ok(()), Daemon::check)
    }

    /// The end of the daemon's output, to be shown under a message.
    pub(super) fn words(&self) -> String {
        self.daemon.as_ref().map(Daemon::words).unwrap_or_default()
    }

    /// Stops everything in order and removes the directory.
    pub(super) async fn leave(mut self) -> Left {
        let stopped = match &mut self.daemon {
            Some(daemon) => daemon.stop(STOP_PATIENCE).await.is_some(),
            None => true,
        };
        let until = tokio::time::Instant::now() + REST_PATIENCE;
        while stopped
            && self.belongings().is_some_and(|b| !b.running().is_empty())
            && tokio::time::Instant::now() < until
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Left {
            daemon_was_killed: !stopped,
            orphans: self.sweep(),
        }
    }

    /// Leaves everything as it is. Returns the directory.
    pub(super) fn keep(mut self) -> PathBuf {
        self.daemon = None;
        self.home = None;
        self.dir.take().expect("it is there until the stage is left").keep()
    }

    fn belongings(&self) -> Option<Belongings> {
        let home = self.home.as_ref()?;
        Some(Belongings::of(self.dir.as_ref()?.path(), home.dir(), &self.program))
    }

    fn sweep(&mut self) -> Vec<String> {
        self.daemon = None;
        let ended = self.belongings().map(|b| b.end()).unwrap_or_default();
        self.home = None;
        ended
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            daemon.kill();
        }
        self.sweep();
    }
}
