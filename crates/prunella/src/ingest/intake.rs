//! The intake as the daemon holds it: observer, spool and listeners, started and ended together.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prunella_core::detect::Anomaly;
use prunella_core::id::{ReleaseId, ServiceName};
use prunella_core::signal::Signal;
use prunella_core::signal::otlp::Known;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::files::follow;
use super::gate::Gate;
use super::observer::{Backpressure, Observer, ObserverHandle, status};
use super::saved::Saved;
use super::scrape::scrape;
use super::server::{Shared, serve};
use super::spool::{Spool, SpoolError};
use super::stats::{IntakeStatus, Stats, set};
use super::{journald, tls};
use crate::config;
use crate::statements::Checkouts;

/// Anomalies that wait for the daemon.
const ANOMALIES: usize = 4_096;
/// How often what `status` reads is written.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// How long the end of the daemon may wait for the state to be saved.
const SAVE_PATIENCE: Duration = Duration::from_secs(20);
/// What `status` reads, in the intake's directory.
const STATUS_FILE: &str = "status.json";
/// The addresses of the last start: a service that was started then still sends there.
const PORTS_FILE: &str = "listens.json";

/// How far log files have been read.
const MARKS_FILE: &str = "files.json";

/// What can be wrong with the intake.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The address cannot be had.
    #[error(
        "cannot listen on {addr}: {source}\n  Another program has the port, or the address is not this machine's. Change `{key}` in prunella.toml, or stop the other program."
    )]
    Listen {
        /// The key of the configuration.
        key: &'static str,
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The spool cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The token cannot be read.
    #[error(
        "cannot read `intake.token_file` {path}: {source}\n  The file must hold the token that senders have, alone on a line."
    )]
    Token {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Certificate or key cannot be used.
    #[error("{0}")]
    Tls(String),
    /// The system gives no thread.
    #[error("cannot start the observer: {0}")]
    Thread(io::Error),
}

/// Where a service sends its telemetry, in the variables of the OpenTelemetry specification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub url: String,
    /// `OTEL_EXPORTER_OTLP_HEADERS`, if a token is needed.
    pub headers: Option<String>,
    /// `OTEL_EXPORTER_OTLP_CERTIFICATE`, if TLS is on.
    pub certificate: Option<PathBuf>,
}

/// The running intake.
#[derive(Debug)]
pub struct Intake {
    dir: PathBuf,
    observer: ObserverHandle,
    gate: Arc<Gate>,
    stats: Arc<Stats>,
    overflows: Arc<Mutex<Vec<(String, String, u64)>>>,
    calls: Arc<Mutex<Vec<(ServiceName, ServiceName)>>>,
    checkouts: Arc<Checkouts>,
    listens: Vec<SocketAddr>,
    endpoint: Option<Endpoint>,
    tasks: JoinSet<()>,
}

impl Intake {
    /// Starts everything in the intake's directory. Returns what anomalies come out of.
    ///
    /// # Errors
    /// If an address, the spool, the token or the certificate cannot be used.
    pub async fn start(
        dir: &Path,
        service: ServiceName,
        config: &config::Intake,
        root: &Path,
    ) -> Result<(Self, mpsc::Receiver<Anomaly>), IntakeError> {
        let stats = Arc::new(Stats::default());
        let state = dir.join("analyzers.json");
        let before = Saved::read(&state);
        let (spool, backlog, damaged) = Spool::open(&dir.join("spool"), config.spool.0, before.first(), before.next)?;
        set(&stats.spool_damaged, damaged);
        let spool = Arc::new(Mutex::new(spool));
        let waiting = Arc::new(Backpressure::new(config.queue.0));
        let overflows = Arc::new(Mutex::new(Vec::new()));
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (anomalies, found) = mpsc::channel(ANOMALIES);
        let checkouts = Arc::new(Checkouts::default());
        let observer = Observer {
            service,
            memory: usize::try_from(config.memory.0).unwrap_or(usize::MAX),
            state,
            every: config.save.0,
            spool: spool.clone(),
            waiting: waiting.clone(),
            stats: stats.clone(),
            anomalies: anomalies.clone(),
            overflows: overflows.clone(),
            calls: calls.clone(),
            checkouts: checkouts.clone(),
        };
        let sync_each = config.sync.0.is_zero();
        let observer = observer.start(before, backlog).map_err(IntakeError::Thread)?;
        let gate = Arc::new(Gate::new(spool, observer.work(), waiting, sync_each, stats.clone()));
        let mut intake = Self {
            dir: dir.to_owned(),
            observer,
            gate,
            stats,
            overflows,
            calls,
            checkouts,
            listens: Vec::new(),
            endpoint: None,
            tasks: JoinSet::new(),
        };
        intake.gather(config);
        if config.enabled {
            intake.listen(config, root, anomalies).await?;
        }
        intake.report();
        Ok((intake, found))
    }

    /// Follows files and asks exporters.
    fn gather(&mut self, config: &config::Intake) {
        for target in &config.scrape {
            self.tasks.spawn(scrape(target.clone(), self.gate.clone()));
        }
        for source in &config.journald {
            let door = self.observer.door().clone();
            self.tasks.spawn(journald::follow(source.clone(), door));
        }
        if !config.files.is_empty() {
            let door = self.observer.door().clone();
            let marks = self.dir.join(MARKS_FILE);
            self.tasks.spawn(follow(config.files.clone(), marks, door));
        }
    }

    async fn listen(
        &mut self,
        config: &config::Intake,
        root: &Path,
        alerts: mpsc::Sender<Anomaly>,
    ) -> Result<(), IntakeError> {
        let token = config
            .token_file
            .as_ref()
            .map(|path| token(&root.join(path)))
            .transpose()?;
        let tls = match (&config.tls_cert, &config.tls_key) {
            (Some(cert), Some(key)) => {
                Some(tls::acceptor(&root.join(cert), &root.join(key)).map_err(IntakeError::Tls)?)
            }
            _ => None,
        };
        let limits = (config.max_request.0, config.max_unpacked.0, config.concurrency);
        let shared = Arc::new(Shared::new(self.gate.clone(), alerts, token.clone(), limits));
        let before = last_listens(&self.dir);
        for (key, addr) in [("intake.grpc", config.grpc), ("intake.http", config.http)] {
            let before = before.get(key).copied();
            let listener = bind(key, addr, before).await?;
            let addr = listener
                .local_addr()
                .map_err(|source| IntakeError::Listen { key, addr, source })?;
            self.listens.push(addr);
            self.tasks.spawn(serve(listener, tls.clone(), shared.clone()));
        }
        let at: BTreeMap<&str, SocketAddr> = ["intake.grpc", "intake.http"]
            .into_iter()
            .zip(self.listens.clone())
            .collect();
        let _ = std::fs::write(self.dir.join(PORTS_FILE), serde_json::to_vec(&at).unwrap_or_default());
        self.endpoint = Some(Endpoint {
            url: url(self.listens[1], tls.is_some()),
            headers: token.map(|token| format!("authorization=Bearer%20{}", crate::supervise::percent_encode(&token))),
            certificate: tls.and(config.tls_cert.as_ref().map(|path| root.join(path))),
        });
        Ok(())
    }

    /// Where gRPC and HTTP are listened for; each port takes both.
    #[must_use]
    pub fn listens(&self) -> &[SocketAddr] {
        &self.listens
    }

    /// Where the service is told to send; nothing if nothing is listened for.
    #[must_use]
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }

    /// Takes requests that come another way than by the listeners.
    #[must_use]
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Shows the analyzers what Prunella itself saw.
    pub fn signal(&self, signal: &Signal) {
        self.observer.door().signal(signal);
    }

    /// Reads the statements of a release's checkout in the background, so that what is claimed of its logs names the file
    /// and the line. A claim that is made before that names none.
    pub fn learn(&self, release: ReleaseId, dir: PathBuf) {
        let checkouts = self.checkouts.clone();
        tokio::task::spawn_blocking(move || checkouts.learn(&release, &dir));
    }

    /// Which service was seen to call which, since this was last asked; each pair once.
    pub fn take_calls(&self) -> Vec<(ServiceName, ServiceName)> {
        std::mem::take(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says which releases there are, and which are good.
    pub fn know(&self, known: Vec<Known>, good: BTreeMap<ServiceName, ReleaseId>) {
        self.observer.door().know(known, good);
    }

    /// What came in so far.
    #[must_use]
    pub fn status(&self) -> IntakeStatus {
        let listens: Vec<String> = self.listens.iter().map(ToString::to_string).collect();
        status(&self.stats, &listens, &self.overflows)
    }

    /// Writes down what `status` reads. A file that is not written is a status that is old.
    pub fn report(&self) {
        let text = serde_json::to_vec(&self.status()).unwrap_or_default();
        let new = self.dir.join(format!("{STATUS_FILE}.new"));
        if std::fs::write(&new, text).is_ok() {
            let _ = std::fs::rename(new, self.dir.join(STATUS_FILE));
        }
    }

    /// Between two reports.
    pub const REPORT_EVERY: Duration = REPORT_EVERY;

    /// Saves what the analyzers know.
    pub fn save(&self) {
        self.observer.door().save(SAVE_PATIENCE);
        self.report();
    }
}

/// What the daemon's intake last said of itself.
#[must_use]
pub fn last_status(dir: &Path) -> Option<IntakeStatus> {
    serde_json::from_slice(&std::fs::read(dir.join(STATUS_FILE)).ok()?).ok()
}

fn last_listens(dir: &Path) -> BTreeMap<String, SocketAddr> {
    let text = std::fs::read(dir.join(PORTS_FILE)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Listens where it is asked to. On the loopback interface any other port will do if that one is taken, for several
/// Prunellas may run on one machine: first the one of the last start.
async fn bind(key: &'static str, addr: SocketAddr, before: Option<SocketAddr>) -> Result<TcpListener, IntakeError> {
    let again = before.filter(|before| before.ip() == addr.ip() && *before != addr);
    if let Some(before) = again
        && let Ok(listener) = TcpListener::bind(before).await
    {
        return Ok(listener);
    }
    let failed = |source| IntakeError::Listen { key, addr, source };
    match TcpListener::bind(addr).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && addr.ip().is_loopback() => {
            TcpListener::bind((addr.ip(), 0)).await.map_err(failed)
        }
        other => other.map_err(failed),
    }
}

fn url(addr: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    let local = if addr.ip().is_unspecified() {
        SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, addr.port()))
    } else {
        addr
    };
    if tls && local.ip().is_loopback() {
        return format!("{scheme}://localhost:{}", local.port());
    }
    format!("{scheme}://{local}")
}

fn token(path: &Path) -> Result<String, IntakeError> {
    let failed = |source| IntakeError::Token {
        path: path.to_owned(),
        source,
    };
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let text = text.trim();
    if text.is_empty() || text.contains(char::is_whitespace) {
        let what = io::Error::new(io::ErrorKind::InvalidData, "it must hold one word");
        return Err(failed(what));
    }
    Ok(text.to_owned())
}
