//! A running service, as the daemon sees it.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Signal, pidfd_send_signal};
use tokio::io::unix::AsyncFd;

use super::adopt::conclude;
use super::error::SuperviseError;
use super::readable::readable;
use super::record::{Exit, Ident, RunState, STOP_FILE, StopRequest, write_record};
use super::sample::{self, ResourceSample};
use super::{listening, state_files};

/// How much longer than the grace a shim may take before it is killed itself.
const SHIM_PATIENCE: Duration = Duration::from_secs(12);

/// A service's process tree with its shim. Cheap to clone; dropping it stops nothing.
#[derive(Clone)]
pub struct Process {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    state: RunState,
    /// `None` where the process was gone already when this was made.
    shim: Option<AsyncFd<OwnedFd>>,
    service: Option<AsyncFd<OwnedFd>>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("dir", &self.inner.dir)
            .field("state", &self.inner.state)
            .finish()
    }
}

impl Process {
    pub(super) fn attach(dir: PathBuf, state: RunState) -> Result<Self, SuperviseError> {
        let open = |ident: Option<Ident>| -> io::Result<Option<AsyncFd<OwnedFd>>> {
            match ident.map(Ident::open).transpose()?.flatten() {
                None => Ok(None),
                Some(fd) => readable(fd).map(Some),
            }
        };
        let failed = SuperviseError::system("watch a process (pidfd, Linux 5.3 or newer)");
        let watched = || Ok((open(state.shim)?, open(state.service)?));
        let (shim, service) = watched().map_err(failed)?;
        Ok(Self {
            inner: Arc::new(Inner {
                dir,
                state,
                shim,
                service,
            }),
        })
    }

    /// What is known about the run.
    #[must_use]
    pub fn state(&self) -> &RunState {
        &self.inner.state
    }

    /// The run directory.
    #[must_use]
    pub fn run_dir(&self) -> &Path {
        &self.inner.dir
    }

    /// The shim's process id, which owns everything below it.
    #[must_use]
    pub fn shim_pid(&self) -> Option<i32> {
        self.inner.state.shim.map(|ident| ident.pid)
    }

    /// The main process's id.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.inner.state.service.map(|ident| ident.pid)
    }

    /// Returns as soon as the main process is dead, before anything is known about how: the first word for whoever
    /// must move traffic away. [`Process::wait`] has the rest a moment later.
    pub async fn died(&self) {
        ended(self.inner.service.as_ref()).await;
    }

    /// Waits until the service and its whole tree have ended and says how.
    ///
    /// # Errors
    /// If the run directory cannot be read.
    pub async fn wait(&self) -> Result<Exit, SuperviseError> {
        ended(self.inner.shim.as_ref()).await;
        let (dir, state) = (self.inner.dir.clone(), self.inner.state.clone());
        // A killed shim leaves a tree that has to be found and ended: not on an async thread.
        tokio::task::spawn_blocking(move || conclude(&dir, Some(&state)))
            .await
            .map_err(|error| SuperviseError::Handshake(error.to_string()))?
    }

    /// Stops the service: SIGTERM to its process group, SIGKILL to the whole tree after `grace`. Returns when nothing
    /// of the tree is left. Stopping twice is harmless.
    ///
    /// # Errors
    /// If the run directory cannot be used or the shim refuses signals.
    pub async fn stop(&self, grace: Duration) -> Result<Exit, SuperviseError> {
        let failed = |source| SuperviseError::RunDir {
            path: self.inner.dir.clone(),
            source,
        };
        let request = StopRequest {
            grace_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX),
        };
        if self.inner.shim.is_some() {
            write_record(&self.inner.dir, STOP_FILE, &request, false).map_err(failed)?;
        }
        self.signal_shim(Signal::TERM)?;
        match tokio::time::timeout(grace.saturating_add(SHIM_PATIENCE), self.wait()).await {
            Ok(exit) => exit,
            Err(_) => {
                // A stopped or stuck shim. Its death kills the service; what is left is found by its marker.
                self.signal_shim(Signal::KILL)?;
                self.wait().await
            }
        }
    }

    fn signal_shim(&self, signal: Signal) -> Result<(), SuperviseError> {
        let Some(shim) = &self.inner.shim else { return Ok(()) };
        match pidfd_send_signal(shim.get_ref(), signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(SuperviseError::system("signal the supervisor process")(error.into())),
        }
    }

    /// What the whole tree uses now. Reads `/proc`: milliseconds on a busy machine, so call it off the hot path.
    ///
    /// # Errors
    /// If `/proc` cannot be read. A tree that has ended is a sample of zero processes.
    pub fn sample(&self) -> Result<ResourceSample, SuperviseError> {
        sample::sample(&self.inner.state, false).map_err(SuperviseError::system("read /proc"))
    }

    /// Like [`Process::sample`], with the proportional set size, which costs a walk of the page tables.
    ///
    /// # Errors
    /// As [`Process::sample`].
    pub fn sample_with_pss(&self) -> Result<ResourceSample, SuperviseError> {
        sample::sample(&self.inner.state, true).map_err(SuperviseError::system("read /proc"))
    }

    /// The regular files below `roots` that the tree has open for writing now: databases and other state.
    ///
    /// # Errors
    /// If `/proc` cannot be read.
    pub fn open_state_files(&self, roots: &[&Path]) -> Result<Vec<PathBuf>, SuperviseError> {
        let tree = sample::tree(&self.inner.state).map_err(SuperviseError::system("read /proc"))?;
        Ok(state_files::open_for_writing(&tree, roots))
    }

    /// The TCP ports that the tree listens on now.
    ///
    /// # Errors
    /// If `/proc` cannot be read.
    pub fn listening_ports(&self) -> Result<Vec<u16>, SuperviseError> {
        let tree = sample::tree(&self.inner.state).map_err(SuperviseError::system("read /proc"))?;
        Ok(listening::ports(&tree))
    }
}

/// A pidfd becomes readable when its process ends, and stays so.
async fn ended(fd: Option<&AsyncFd<OwnedFd>>) {
    if let Some(fd) = fd {
        // An error means that the runtime is shutting down: then nobody looks at the answer.
        let _ = fd.readable().await;
    }
}
