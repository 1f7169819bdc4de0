//! Waits until a service is ready, or says why it is not.

use std::net::SocketAddr;
use std::time::Duration;

use regex::Regex;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::error::SuperviseError;
use super::http_probe;
use super::process::Process;
use super::record::Exit;
use super::tail::{LogTail, TailEvent, TailOffsets};

/// The pause between two probes: short at first, so that a fast start is seen at once.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Which HTTP statuses mean "ready", both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusExpect {
    /// The lowest.
    pub from: u16,
    /// The highest.
    pub to: u16,
}

impl Default for StatusExpect {
    /// Success and redirection.
    fn default() -> Self {
        Self { from: 200, to: 399 }
    }
}

/// How a service shows that it is ready.
#[derive(Clone, Debug)]
pub enum Readiness {
    /// It answers `GET path` with an expected status.
    Http {
        /// The path, beginning with `/`.
        path: String,
        /// The expected statuses.
        expect: StatusExpect,
    },
    /// It accepts a TCP connection.
    Tcp,
    /// A line of its output matches.
    LogLine(Regex),
    /// It still runs after a while: for workers that listen on nothing. Zero means at once.
    Settle(Duration),
}

/// The service is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// How long that took from the call.
    pub took: Duration,
}

/// The service is not ready.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// Time is up.
    #[error("not ready within {} s: {last}{}", after.as_secs_f32(), elsewhere(listening))]
    Timeout {
        /// The limit.
        after: Duration,
        /// What the last probe said.
        last: String,
        /// The ports that the service does listen on.
        listening: Vec<u16>,
    },
    /// It ended.
    #[error("it {} before it was ready", .0.cause)]
    Exited(Exit),
    /// The check itself failed.
    #[error(transparent)]
    Supervise(#[from] SuperviseError),
}

fn elsewhere(ports: &[u16]) -> String {
    match ports {
        [] => String::new(),
        ports => {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            format!(
                " (the service listens on port {}; it must use PORT or `{{port}}`)",
                ports.join(", ")
            )
        }
    }
}

/// Waits until `process` is ready at `addr`, has ended, or `timeout` is over.
///
/// # Errors
/// [`NotReady`].
pub async fn wait_ready(
    readiness: &Readiness,
    addr: SocketAddr,
    timeout: Duration,
    process: &Process,
) -> Result<Ready, NotReady> {
    let begin = Instant::now();
    let mut last = "nothing was tried yet".to_owned();
    let outcome = tokio::select! {
        biased;
        // First, so that an answer from somebody else's process on this port does not count for a dead service.
        () = process.died() => None,
        outcome = tokio::time::timeout(timeout, until_ready(readiness, addr, process, &mut last)) => Some(outcome),
    };
    match outcome {
        None => Err(NotReady::Exited(process.wait().await?)),
        Some(Ok(ready)) => ready.map(|()| Ready { took: begin.elapsed() }),
        Some(Err(_)) => {
            let mut listening = process.listening_ports()?;
            if listening.contains(&addr.port()) {
                listening.clear();
            }
            Err(NotReady::Timeout {
                after: timeout,
                last,
                listening,
            })
        }
    }
}

async fn until_ready(
    readiness: &Readiness,
    addr: SocketAddr,
    process: &Process,
    last: &mut String,
) -> Result<(), NotReady> {
    match readiness {
        Readiness::Settle(time) => {
            *last = "the service is still settling".to_owned();
            tokio::time::sleep(*time).await;
            Ok(())
        }
        Readiness::LogLine(pattern) => until_line(pattern, process, last).await,
        Readiness::Tcp | Readiness::Http { .. } => {
            let mut pause = FIRST_PAUSE;
            while let Err(reason) = probe(readiness, addr).await {
                *last = reason;
                tokio::time::sleep(pause).await;
                pause = (pause * 3 / 2).min(LONGEST_PAUSE);
            }
            Ok(())
        }
    }
}

async fn probe(readiness: &Readiness, addr: SocketAddr) -> Result<(), String> {
    match readiness {
        Readiness::Http { path, expect } => match http_probe::status(addr, path).await? {
            status if (expect.from..=expect.to).contains(&status) => Ok(()),
            status => Err(format!(
                "GET {path} answered {status}, expected {} to {}",
                expect.from, expect.to
            )),
        },
        _ => match TcpStream::connect(addr).await {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("cannot connect to {addr}: {error}")),
        },
    }
}

async fn until_line(pattern: &Regex, process: &Process, last: &mut String) -> Result<(), NotReady> {
    let failed = |source| {
        NotReady::Supervise(SuperviseError::RunDir {
            path: process.run_dir().to_owned(),
            source,
        })
    };
    *last = format!("no line of output matches `{pattern}`");
    let mut tail = LogTail::open(process.run_dir(), TailOffsets::default()).map_err(failed)?;
    loop {
        match tail.next().await.map_err(failed)? {
            Some(TailEvent::Line(line)) if pattern.is_match(&line.line) => return Ok(()),
            Some(_) => {}
            // The reader was never told to finish, so it has no end.
            None => std::future::pending().await,
        }
    }
}
