//! The daemon's link to the gateway: a process of its own that carries the traffic and goes on without us.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use prunella_core::id::ReleaseId;
use prunella_core::signal::{FailureKind, LatencyHistogram, RequestBatch, RequestFailure, Role, Signal};
use prunella_gateway::control::{
    self, Canary, Capture, CaptureFilter, Client, Event, Hello, Reply, Request, RouteConfig, Totals, Upstream,
};
use tokio::sync::mpsc;

use crate::config::Config;
use crate::home::Home;
use crate::shapes;

/// How long a new gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Events that wait for the daemon; beyond that the gateway's own limit on slow subscribers holds.
pub(super) const EVENTS: usize = 4096;

/// What can be wrong with the gateway.
#[derive(Debug, thiserror::Error)]
pub enum TrafficError {
    /// The public address is taken.
    #[error(
        "cannot listen on {addr}: {source}\n  Another program has the port, or the address is not this machine's. Change `service.listen` in prunella.toml, or stop the other program."
    )]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The gateway does not start.
    #[error("the gateway did not start: {what}\n  {log} has its own words.")]
    Start {
        /// What was seen.
        what: String,
        /// Its output.
        log: PathBuf,
    },
    /// The gateway does not do what it is told.
    #[error("the gateway refused: {0}")]
    Refused(String),
    /// The control connection failed.
    #[error(transparent)]
    Control(#[from] control::ClientError),
}

/// The running gateway.
#[derive(Debug)]
pub struct Traffic {
    socket: PathBuf,
    client: Client,
    listener: TcpListener,
    epoch: u64,
    /// Its process.
    pub pid: u32,
    /// Where clients reach it.
    pub addr: SocketAddr,
}

impl Traffic {
    /// Finds the gateway that runs, or starts one.
    ///
    /// # Errors
    /// If the address cannot be had or the gateway does not answer.
    pub async fn open(home: &Home, config: &Config) -> Result<Self, TrafficError> {
        if let Ok(found) = Self::attach(&home.gateway()).await {
            return Ok(found);
        }
        let addr = config.service.listen;
        let listener = TcpListener::bind(addr).map_err(|source| TrafficError::Listen { addr, source })?;
        Self::start(home, config, listener).await
    }

    /// Starts a gateway again on the listening socket of the one that died: clients wait in the socket's queue and
    /// none is refused.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn reopen(self, home: &Home, config: &Config) -> Result<Self, (TrafficError, TcpListener)> {
        let spare = self.listener.try_clone();
        match (Self::start(home, config, self.listener).await, spare) {
            (Ok(traffic), _) => Ok(traffic),
            (Err(error), Ok(listener)) => Err((error, listener)),
            (Err(error), Err(_)) => Err((
                error,
                TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).expect("a loopback port"),
            )),
        }
    }

    async fn attach(dir: &Path) -> Result<Self, TrafficError> {
        let socket = dir.join(control::SOCKET_NAME);
        let mut client = Client::connect(&socket).await?;
        let hello = hello(&mut client).await?;
        if hello.draining {
            return Err(TrafficError::Refused("it is draining".to_owned()));
        }
        let listener = client.listener().await?;
        Ok(Self {
            socket,
            client,
            listener,
            epoch: hello.epoch.unwrap_or(0),
            pid: hello.pid,
            addr: hello.listen,
        })
    }

    /// Starts a gateway on this socket.
    ///
    /// # Errors
    /// If it does not answer in time.
    pub async fn start(home: &Home, config: &Config, listener: TcpListener) -> Result<Self, TrafficError> {
        let dir = home.gateway();
        let log = dir.join("gateway.log");
        let failed = |what: String| TrafficError::Start { what, log: log.clone() };
        let mut child = spawn(&dir, config, &listener).map_err(|e| failed(e.to_string()))?;
        let began = tokio::time::Instant::now();
        loop {
            if let Ok(found) = Self::attach(&dir).await {
                return Ok(Self { listener, ..found });
            }
            if let Ok(Some(status)) = child.try_wait() {
                return Err(failed(format!("it ended with {status}")));
            }
            if began.elapsed() > PATIENCE {
                return Err(failed(format!("no answer within {} s", PATIENCE.as_secs())));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends all requests that begin from now on where the route says.
    ///
    /// # Errors
    /// If the gateway refuses or is gone.
    pub async fn configure(&mut self, mut route: RouteConfig) -> Result<(), TrafficError> {
        route.epoch = self.epoch + 1;
        match self.client.call(&Request::Configure(Box::new(route))).await? {
            Reply::Configured { epoch } => {
                self.epoch = epoch;
                Ok(())
            }
            other => Err(refused(&other)),
        }
    }

    /// Counts since the gateway began.
    ///
    /// # Errors
    /// If the gateway is gone.
    pub async fn totals(&mut self) -> Result<Totals, TrafficError> {
        match self.client.call(&Request::Stats).await? {
            Reply::Stats(totals) => Ok(totals),
            other => Err(refused(&other)),
        }
    }

    /// Ends the gateway when its open requests are done.
    ///
    /// # Errors
    /// If the gateway is gone.
    pub async fn drain(&mut self) -> Result<(), TrafficError> {
        self.client.call(&Request::Drain).await?;
        Ok(())
    }

    /// The control socket, for a second connection.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

async fn hello(client: &mut Client) -> Result<Hello, TrafficError> {
    match client.call(&Request::Hello).await? {
        Reply::Hello(hello) => Ok(hello),
        other => Err(refused(&other)),
    }
}

fn refused(reply: &Reply) -> TrafficError {
    match reply {
        Reply::Refused { message, .. } => TrafficError::Refused(message.clone()),
        other => TrafficError::Refused(
            format!("an answer that does not fit: {other:?}")
                .chars()
                .take(200)
                .collect(),
        ),
    }
}

/// The gateway is its own session, so that neither the terminal's Ctrl-C nor our end reaches it, and it gets the
/// listening socket as descriptor 3 and nothing else.
#[allow(
    clippy::disallowed_methods,
    reason = "the gateway's process is started here and nowhere else"
)]
fn spawn(dir: &Path, config: &Config, listener: &TcpListener) -> io::Result<tokio::process::Child> {
    std::fs::create_dir_all(dir)?;
    let log = std::fs::File::create(dir.join("gateway.log"))?;
    let mut command = tokio::process::Command::new("/proc/self/exe");
    command
        .arg("gateway")
        .arg("--state-dir")
        .arg(dir)
        .args(["--listen-fd", "3"]);
    command.args(["--workers", &config.gateway.workers.to_string()]);
    if let (Some(cert), Some(key)) = (&config.gateway.tls_cert, &config.gateway.tls_key) {
        command.arg("--tls-cert").arg(cert).arg("--tls-key").arg(key);
    }
    command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    let fd = listener.as_raw_fd();
    // SAFETY: between fork and exec only setsid, dup2 and fcntl are called, which are async-signal-safe.
    unsafe {
        command.pre_exec(move || {
            if libc::setsid() < 0 {
                return Err(io::Error::last_os_error());
            }
            let done = if fd == 3 {
                libc::fcntl(3, libc::F_SETFD, 0)
            } else {
                libc::dup2(fd, 3)
            };
            if done < 0 {
                Err(io::Error::last_os_error())
            } else {
                Ok(())
            }
        });
    }
    command.spawn()
}

/// Reads recorded requests over a connection of its own.
///
/// # Errors
/// If the gateway is gone.
pub async fn captures(socket: &Path, filter: CaptureFilter) -> Result<Vec<Capture>, TrafficError> {
    let mut client = Client::connect(socket).await?;
    match client.call(&Request::Captures { filter }).await? {
        Reply::Captures(captures) => Ok(captures.captures),
        other => Err(refused(&other)),
    }
}

/// Passes the gateway's events on as signals until the gateway closes the stream.
///
/// # Errors
/// If the gateway is gone or sends what cannot be read.
pub async fn follow(socket: PathBuf, signals: mpsc::Sender<Signal>) -> Result<(), TrafficError> {
    let mut events = Client::connect(&socket).await?.subscribe().await?;
    let mut tick = 0_u64;
    while let Some(event) = events.next().await? {
        match event {
            Event::Batch { at_ms, rows, shapes } => {
                tick += 1;
                for row in rows {
                    if let Some(batch) = batch(at_ms.cast_signed(), tick, row) {
                        let _ = signals.send(Signal::RequestBatch(batch)).await;
                    }
                }
                for shape in shapes
                    .into_iter()
                    .filter_map(|row| shapes::of_row(at_ms.cast_signed(), row))
                {
                    let _ = signals.send(Signal::ResponseShape(shape)).await;
                }
            }
            Event::Failure(failure) => {
                if let Some(failure) = failed(tick, *failure) {
                    let _ = signals.send(Signal::RequestFailure(failure)).await;
                }
            }
            Event::Closed { .. } => break,
        }
    }
    Ok(())
}

fn role(role: control::Role) -> Role {
    match role {
        control::Role::Primary => Role::Primary,
        control::Role::Canary => Role::Canary,
        control::Role::Fallback => Role::Fallback,
    }
}

fn batch(at_ms: i64, tick: u64, row: control::StatRow) -> Option<RequestBatch> {
    let mut latency = LatencyHistogram::default();
    for (bucket, count) in &row.latency.0 {
        // Both schemes are log-linear; the gateway's is the coarser one, and its upper bound the safer reading.
        let upper = control::bucket_upper_us(usize::from(*bucket));
        latency.add(LatencyHistogram::bucket_of(upper), u64::from(*count));
    }
    Some(RequestBatch {
        at_ms,
        tick,
        release: ReleaseId::parse(row.release).ok()?,
        route: row.route,
        role: role(row.role),
        safe: row.method_safe,
        count: row.count,
        by_status_class: row.by_status_class,
        transport_errors: row.transport_errors,
        latency,
    })
}

fn failed(tick: u64, failure: control::FailureEvent) -> Option<RequestFailure> {
    use control::TransportError as T;
    let kind = match failure.kind {
        control::FailureKind::Status(status) => FailureKind::Status(status),
        control::FailureKind::Transport(error) => match error {
            T::ConnectRefused | T::ConnectFailed | T::ConnectTimeout | T::NoRelease => FailureKind::Connect,
            T::HeadTimeout | T::BodyTimeout => FailureKind::Timeout,
            T::Closed | T::BodyAborted => FailureKind::Reset,
            T::Malformed => FailureKind::Protocol,
        },
    };
    let release = ReleaseId::parse(failure.release?).ok()?;
    let answered_by = failure.answered_by.and_then(|r| ReleaseId::parse(r).ok());
    Some(RequestFailure {
        at_ms: failure.at_ms.cast_signed(),
        tick,
        route: failure.route,
        role: role(failure.role),
        method: failure.method,
        kind,
        open: None,
        capture_id: failure.capture_id.map(|id| id.to_string()),
        fallback_failed: answered_by.as_ref() == Some(&release) && failure.idempotent && failure.client_saw_failure,
        answered_by,
        client_saw_failure: failure.client_saw_failure,
        release,
    })
}

/// Which process a release listens on.
#[must_use]
pub fn upstream(release: &ReleaseId, addr: SocketAddr) -> Upstream {
    Upstream {
        release: release.to_string(),
        addr,
        protocol: control::Protocol::Http1,
    }
}

/// A route to these upstreams with the limits of the configuration.
#[must_use]
pub fn route(
    config: &Config,
    primary: Option<Upstream>,
    fallback: Option<Upstream>,
    canary: Option<(Upstream, f64)>,
) -> RouteConfig {
    let gateway = &config.gateway;
    let ms = |span: crate::config::Span| span.as_ms().unsigned_abs();
    let mut route = RouteConfig {
        service: config.service.name.clone(),
        primary,
        fallback,
        canary: canary.map(|(upstream, share)| Canary {
            upstream,
            share,
            sticky: control::Stickiness::default(),
        }),
        hold_ms: ms(gateway.hold),
        ..RouteConfig::default()
    };
    route.limits.body_bytes = gateway.max_body.0;
    route.limits.retry_body_bytes = usize::try_from(gateway.retry_buffer.0).unwrap_or(usize::MAX);
    route.timeouts.head_ms = ms(gateway.response_timeout);
    route.capture.max_count = gateway.capture_requests;
    route.capture.max_bytes = usize::try_from(gateway.capture_bytes.0).unwrap_or(usize::MAX);
    route.capture.max_age_ms = ms(gateway.capture_age);
    route.capture.keep_headers.clone_from(&gateway.capture_keep_headers);
    route
}
