//! Finds a run again after the daemon was killed, stopped or upgraded.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use super::error::SuperviseError;
use super::orphans::kill_remains;
use super::process::Process;
use super::procfs;
use super::record::{
    EXIT_FILE, Exit, ExitCause, LOCK_FILE, RunState, STATE_FILE, STATE_VERSION, read_record, write_record,
};
use crate::clock::now_ms;

/// How long a shim that holds its lock may take to write its first record, and how often that is looked for. Only a
/// daemon that was killed within the first milliseconds of a start leaves such a run.
const FIRST_RECORD: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(10);

/// What became of a run.
#[derive(Debug)]
pub enum Adopted {
    /// It runs, or is about to be recorded as ended: [`Process::wait`] tells.
    Running(Process),
    /// It has ended and this is how.
    Exited(Exit),
    /// Shim and service are gone without a record: both were killed, or the machine was restarted. What was left of
    /// the tree has been killed.
    Lost {
        /// What is known, for people.
        reason: String,
        /// The record of the run, if it got so far.
        state: Option<Box<RunState>>,
    },
}

pub(super) async fn adopt(run_dir: &Path) -> Result<Adopted, SuperviseError> {
    let deadline = tokio::time::Instant::now() + FIRST_RECORD;
    loop {
        if !is_locked(run_dir)? {
            let dir = run_dir.to_owned();
            return tokio::task::spawn_blocking(move || look_at_remains(&dir))
                .await
                .map_err(|error| SuperviseError::Handshake(error.to_string()))?;
        }
        match read_record::<RunState>(run_dir, STATE_FILE)? {
            Some(state) if state.version != STATE_VERSION => {
                let reason = format!("it was written by another version ({})", state.version);
                return Err(SuperviseError::Record {
                    path: run_dir.join(STATE_FILE),
                    reason,
                });
            }
            Some(state) if state.service.is_some() => {
                return Process::attach(run_dir.to_owned(), state).map(Adopted::Running);
            }
            _ if tokio::time::Instant::now() >= deadline => {
                let reason = "its supervisor process lives but has not started anything".to_owned();
                return Err(SuperviseError::Record {
                    path: run_dir.join(STATE_FILE),
                    reason,
                });
            }
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Whether the run's shim lives: it holds the lock until its last breath, whatever its process id is.
pub(super) fn is_locked(run_dir: &Path) -> Result<bool, SuperviseError> {
    let path = run_dir.join(LOCK_FILE);
    let failed = |source| SuperviseError::RunDir {
        path: path.clone(),
        source,
    };
    // Shared, so that two who look do not take each other for a shim.
    match File::open(&path).map_err(failed)?.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn look_at_remains(dir: &Path) -> Result<Adopted, SuperviseError> {
    let exit = read_record::<Exit>(dir, EXIT_FILE);
    let state = read_record::<RunState>(dir, STATE_FILE).ok().flatten();
    if let Some(state) = &state {
        kill_remains(state);
    }
    if let Ok(Some(exit)) = exit {
        return Ok(Adopted::Exited(exit));
    }
    let boot = procfs::boot_id().unwrap_or_default();
    let reason = match (&state, exit) {
        (_, Err(error)) => error.to_string(),
        (None, _) => "it was given up before its service started".to_owned(),
        (Some(state), _) if state.boot_id != boot => "the machine was restarted".to_owned(),
        (Some(_), _) => "its supervisor process was killed".to_owned(),
    };
    Ok(Adopted::Lost {
        reason,
        state: state.map(Box::new),
    })
}

/// The end of a run whose shim has ended. Without a record the shim was killed: then the rest of the tree is killed,
/// and the end is recorded as unknown.
pub(super) fn conclude(dir: &Path, state: Option<&RunState>) -> Result<Exit, SuperviseError> {
    if let Some(state) = state {
        kill_remains(state);
    }
    if let Ok(Some(exit)) = read_record::<Exit>(dir, EXIT_FILE) {
        return Ok(exit);
    }
    let exit = Exit {
        cause: ExitCause::Unknown,
        at_ms: now_ms(),
        requested: false,
        dropped_log_bytes: 0,
    };
    write_record(dir, EXIT_FILE, &exit, true).map_err(|source| SuperviseError::RunDir {
        path: dir.to_owned(),
        source,
    })?;
    Ok(exit)
}
