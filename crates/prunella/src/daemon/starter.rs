//! From a commit to a process that is ready to serve.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Instant;

use prunella_core::id::{CommitId, ReleaseId, ServiceName};

use super::effects::{PrepareError, Started};
use crate::checkout::Checkouts;
use crate::config::Config;
use crate::home::Home;
use crate::supervise::{
    LogLimits, NotReady, Process, Readiness, RunName, StartSpec, StatusExpect, Supervisor, Telemetry, base_env,
    free_port, wait_ready,
};

/// In a run's directory once its process was ready.
const READY_MARK: &str = "ready";

/// Checks out, builds and starts one release.
#[derive(Clone)]
pub(super) struct Starter {
    pub(super) supervisor: Supervisor,
    pub(super) checkouts: Checkouts,
    pub(super) home: Home,
    pub(super) config: Config,
    pub(super) release: ReleaseId,
    pub(super) commit: CommitId,
    pub(super) run: RunName,
    pub(super) telemetry: Telemetry,
}

impl Starter {
    /// Checks out and builds.
    pub(super) async fn prepare(&self) -> Result<PathBuf, PrepareError> {
        let (checkouts, commit, name) = (self.checkouts.clone(), self.commit.clone(), self.release.to_string());
        let done = tokio::task::spawn_blocking(move || checkouts.for_release(&commit, &name)).await;
        match done {
            Ok(Ok(checkout)) => Ok(checkout.dir),
            Ok(Err(error)) => Err(PrepareError::Build(error.to_string())),
            Err(error) => Err(PrepareError::Build(error.to_string())),
        }
    }

    /// Starts the process and waits until it is ready.
    pub(super) async fn start(&self) -> Result<Started, PrepareError> {
        let build = |e: &dyn std::fmt::Display| PrepareError::Build(e.to_string());
        let service = &self.config.service;
        let mut listener = None;
        let mut lease = None;
        let port = if !service.http {
            None
        } else if service.socket_activation {
            let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| build(&e))?;
            let port = socket.local_addr().map_err(|e| build(&e))?.port();
            listener = Some(socket);
            Some(port)
        } else {
            let free = free_port().map_err(|e| build(&e))?;
            let port = free.port();
            lease = Some(free);
            Some(port)
        };
        let spec = StartSpec {
            run: self.run.clone(),
            service: ServiceName::parse(service.name.clone()).map_err(|e| build(&e))?,
            release: self.release.clone(),
            version: self.commit.to_string(),
            command: service.start.line(),
            cwd: self.home.releases().join(self.release.as_str()),
            port,
            listener,
            env: self.environment(),
            base_env: base_env(),
            telemetry: self.telemetry.clone(),
            logs: LogLimits::default(),
            grace: service.stop_grace.0,
        };
        let process = self.supervisor.start(spec).await.map_err(|e| build(&e))?;
        let started = self.await_ready(process).await;
        drop(lease);
        started
    }

    /// Waits until a process that was started is ready; stops it if it does not come to be.
    pub(super) async fn await_ready(&self, process: Process) -> Result<Started, PrepareError> {
        let began = Instant::now();
        let addr = address(&process);
        let asked = addr.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let not_ready = match wait_ready(&self.readiness()?, asked, self.config.ready.timeout.0, &process).await {
            Ok(_) => {
                // Whoever adopts the process need not wait again; a lost mark costs one more look.
                let _ = std::fs::write(process.run_dir().join(READY_MARK), "");
                return Ok(Started { process, addr });
            }
            Err(not_ready) => not_ready,
        };
        let exit = match &not_ready {
            NotReady::Exited(exit) => Some(exit.clone()),
            _ => None,
        };
        let said = last_words(process.run_dir());
        let why = if said.is_empty() {
            not_ready.to_string()
        } else {
            format!("{not_ready}\n{said}")
        };
        let _ = process.stop(self.config.service.stop_grace.0).await;
        let waited_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let _ = std::fs::remove_dir_all(process.run_dir());
        Err(PrepareError::NotReady { why, waited_ms, exit })
    }

    fn environment(&self) -> Vec<(String, String)> {
        let service = &self.config.service;
        let passed = service
            .pass_env
            .iter()
            .filter_map(|name| Some((name.clone(), crate::config::passed_variable(name)?)));
        passed
            .chain(service.env.iter().map(|(k, v)| (k.clone(), v.clone())))
            .collect()
    }

    fn readiness(&self) -> Result<Readiness, PrepareError> {
        let ready = &self.config.ready;
        Ok(match (&ready.path, &ready.log, self.config.service.http) {
            (Some(path), _, _) => Readiness::Http {
                path: path.clone(),
                expect: StatusExpect { from: 200, to: 399 },
            },
            (None, Some(pattern), _) => Readiness::LogLine(
                regex::Regex::new(pattern).map_err(|e| PrepareError::Build(format!("`ready.log`: {e}")))?,
            ),
            (None, None, true) => Readiness::Tcp,
            (None, None, false) => Readiness::Settle(ready.settle.0),
        })
    }
}

/// Where a process that listens can be asked.
pub(super) fn address(process: &Process) -> Option<SocketAddr> {
    let port = process.state().port?;
    Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// Whether a process has been ready once.
pub(super) fn was_ready(process: &Process) -> bool {
    process.run_dir().join(READY_MARK).exists()
}

/// The end of a process's output, for an error message.
fn last_words(run_dir: &std::path::Path) -> String {
    let Ok(entries) = std::fs::read_dir(run_dir) else {
        return String::new();
    };
    let mut logs: Vec<PathBuf> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("std")))
        .collect();
    logs.sort();
    let text: String = logs
        .iter()
        .filter_map(|p| std::fs::read(p).ok())
        .map(|b| String::from_utf8_lossy(&b).into_owned())
        .collect();
    let lines: Vec<&str> = text.trim().lines().rev().take(12).collect();
    lines
        .into_iter()
        .rev()
        .map(|l| format!("    {l}"))
        .collect::<Vec<_>>()
        .join("\n")
}
