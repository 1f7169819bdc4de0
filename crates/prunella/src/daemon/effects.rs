//! What is done beside the loop, and what comes back of it.

use std::net::SocketAddr;

use prunella_core::id::{IncidentId, ReleaseId};
use prunella_core::incident::{IncidentEvent, Stage};

use super::Daemon;
use crate::supervise::{Exit, Process};

/// An effect that has ended.
pub(super) enum Done {
    /// A release is checked out, built and, if it was to be started, ready.
    Prepared { key: String, release: ReleaseId, result: Result<Option<Started>, PrepareError> },
    /// A process was started again, or for the first time after its preparation.
    Started { key: String, release: ReleaseId, result: Result<Started, PrepareError> },
    /// A process ended.
    Exited { release: ReleaseId, run: String, exit: Option<Exit> },
    /// A process was stopped.
    Stopped { key: String, release: ReleaseId, run: String },
    /// A step of an incident.
    Step { key: String, incident: IncidentId, stage: Stage, result: Result<Vec<IncidentEvent>, String> },
    /// The gateway's event stream ended.
    EventsEnded,
    /// Nothing to tell: an output stream ended.
    Quiet,
}

/// A process that is ready.
pub(super) struct Started {
    pub(super) process: Process,
    pub(super) addr: Option<SocketAddr>,
}

/// Why a release does not serve.
pub(super) enum PrepareError {
    /// It could not be checked out or built.
    Build(String),
    /// It was started and did not become ready, or ended.
    NotReady { why: String, waited_ms: u64, exit: Option<Exit> },
}

impl PrepareError {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Build(why) => why.clone(),
            Self::NotReady { why, .. } => why.clone(),
        }
    }
}

impl Daemon {
    /// Starts an effect unless one of this name is under way.
    pub(super) fn begin(&mut self, key: &str, effect: impl Future<Output = Done> + Send + 'static) {
        if self.in_flight.insert(key.to_owned()) {
            self.effects.spawn(effect);
        }
    }

    /// Takes in what an effect has brought.
    pub(super) async fn finish(&mut self, done: Done) {
        match done {
            Done::Prepared { key, release, result } => {
                self.in_flight.remove(&key);
                self.prepared(release, result).await;
            }
            Done::Started { key, release, result } => {
                self.in_flight.remove(&key);
                self.started(release, result);
            }
            Done::Exited { release, run, exit } => self.exited(&release, &run, exit),
            Done::Stopped { key, release, run } => {
                self.in_flight.remove(&key);
                if self.running.get(&release).is_some_and(|r| r.run() == run) {
                    self.running.remove(&release);
                }
            }
            Done::Step { key, incident, stage, result } => {
                self.in_flight.remove(&key);
                self.step_done(&incident, stage, result).await;
            }
            Done::EventsEnded => self.gateway_lost().await,
            Done::Quiet => {}
        }
    }
}
