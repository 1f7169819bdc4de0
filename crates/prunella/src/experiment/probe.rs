//! The probe: `prunella probe`, which runs inside the sandbox. It starts the service, sends it requests over the
//! sandbox's own loopback, watches it, stops it and reports.
//!
//! The report goes to a descriptor that the service does not inherit.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd as _, FromRawFd as _, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use regex::Regex;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use super::inside::TURNS_FD;
use super::probe_wire::{
    MAX_LINE, MAX_LINES, ProbeAnswer, ProbeExit, ProbeReady, ProbeReply, ProbeRequest, ProbeResult, ProbeSpec,
};

/// How long the output must be still after a failed answer before the next request is sent, so that a stack trace can
/// be told to belong to its request; and the longest wait for it.
const STILL: Duration = Duration::from_millis(15);
const STILL_AT_MOST: Duration = Duration::from_millis(300);
/// How long a process may take to end after a connection broke off, to be seen as the reason.
const DYING_AT_MOST: Duration = Duration::from_secs(2);
/// Between two looks at whether the service is ready.
const READY_EVERY: Duration = Duration::from_millis(10);

/// Runs the probe: reads its specification from one descriptor and writes its result to another.
///
/// # Errors
/// If either descriptor does not work or the specification is not one.
pub fn main(spec_fd: RawFd, result_fd: RawFd) -> io::Result<()> {
    // SAFETY: the sandbox hands over both descriptors for this one use; nothing else in this process owns them.
    let (mut spec, mut result) = unsafe { (File::from_raw_fd(spec_fd), File::from_raw_fd(result_fd)) };
    for file in [&spec, &result] {
        rustix::io::fcntl_setfd(file, rustix::io::FdFlags::CLOEXEC)?;
    }
    let mut text = Vec::new();
    spec.read_to_end(&mut text)?;
    let spec: ProbeSpec = serde_json::from_slice(&text)?;
    let turns = if spec.turns { Some(turns_socket()?) } else { None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seen = runtime.block_on(probe(&spec, turns));
    result.write_all(&serde_json::to_vec(&seen)?)?;
    result.flush()
}

/// The socket on which the turns are given.
fn turns_socket() -> io::Result<UnixStream> {
    // SAFETY: the sandbox hands this descriptor over for this one use; nothing else in this process owns it.
    let socket = unsafe { UnixStream::from_raw_fd(TURNS_FD) };
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The turns, where somebody gives them.
struct Turns(Option<tokio::net::UnixStream>);

impl Turns {
    /// Says that this side is ready for the next request.
    async fn say(&mut self) {
        if let Some(socket) = &mut self.0 {
            let _ = socket.write_all(b"+").await;
        }
    }

    /// Waits for the turn; `false` if there will be none.
    async fn wait(&mut self) -> bool {
        match &mut self.0 {
            None => true,
            Some(socket) => socket.read_u8().await.is_ok(),
        }
    }
}

/// The service's output as it comes in.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<(Vec<String>, u64)>>);

impl Output {
    fn push(&self, line: String) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.0.len() < MAX_LINES {
            inner.0.push(line);
        } else {
            inner.1 += 1;
        }
    }

    fn len(&self) -> usize {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0.len() + usize::try_from(inner.1).unwrap_or(0)
    }

    fn matches(&self, pattern: &Regex, from: usize) -> bool {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0.iter().skip(from).any(|line| pattern.is_match(line))
    }

    fn take(&self) -> (Vec<String>, u64) {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn probe(spec: &ProbeSpec, turns: Option<UnixStream>) -> ProbeResult {
    let mut turns = Turns(turns.and_then(|socket| tokio::net::UnixStream::from_std(socket).ok()));
    let output = Output::default();
    let mut readers = JoinSet::new();
    let mut seen = ProbeResult::default();
    match start(spec, &output, &mut readers) {
        Err(error) => seen.not_ready = Some(format!("cannot start `{}`: {error}", spec.argv.join(" "))),
        Ok(mut child) => {
            converse(spec, &mut child, &output, &mut turns, &mut seen).await;
            if seen.exit.is_none() {
                seen.exit = stop(&mut child, Duration::from_millis(spec.stop_grace_ms)).await;
            }
            // The pipes end when the last process that holds them does; a grandchild may keep them open for ever.
            let _ = tokio::time::timeout(Duration::from_millis(200), async {
                while readers.join_next().await.is_some() {}
            })
            .await;
        }
    }
    (seen.lines, seen.lines_dropped) = output.take();
    seen
}

#[allow(
    clippy::disallowed_methods,
    reason = "inside the sandbox the probe is the one that starts the service"
)]
fn start(spec: &ProbeSpec, output: &Output, readers: &mut JoinSet<()>) -> io::Result<Child> {
    let argv = if spec.socket_activation {
        activated(&spec.argv)
    } else {
        spec.argv.clone()
    };
    let (program, args) = argv
        .split_first()
        .ok_or_else(|| io::Error::other("the command is empty"))?;
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(&spec.env).current_dir(&spec.cwd);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let listener = match spec.port {
        Some(port) if spec.socket_activation => Some(TcpListener::bind((Ipv4Addr::LOCALHOST, port))?),
        _ => None,
    };
    if let Some(listener) = &listener {
        let fd = listener.as_raw_fd();
        command.env("LISTEN_FDS", "1");
        // SAFETY: between fork and exec only async-signal-safe calls are made: dup2 and fcntl.
        unsafe {
            command.pre_exec(move || {
                if fd == 3 {
                    if libc::fcntl(3, libc::F_SETFD, 0) < 0 {
                        return Err(io::Error::last_os_error());
                    }
                } else if libc::dup2(fd, 3) < 0 {
                    return Err(io::Error::last_os_error());
                }
                Ok(())
            });
        }
    }
    let mut child = command.spawn()?;
    let pipes = (child.stdout.take(), child.stderr.take());
    if let (Some(stdout), Some(stderr)) = pipes {
        readers.spawn(read_lines(stdout, output.clone()));
        readers.spawn(read_lines(stderr, output.clone()));
    }
    Ok(child)
}

/// systemd's protocol wants the process's own number in `LISTEN_PID`; a shell that becomes the command knows it.
fn activated(argv: &[String]) -> Vec<String> {
    let shell = ["/bin/sh", "-c", "LISTEN_PID=$$ exec \"$@\"", "sh"].map(ToOwned::to_owned);
    shell.into_iter().chain(argv.iter().cloned()).collect()
}

async fn read_lines(pipe: impl AsyncRead + Unpin, output: Output) {
    let mut reader = BufReader::with_capacity(MAX_LINE, pipe);
    let mut line = Vec::new();
    loop {
        let (taken, ended) = match reader.fill_buf().await {
            Ok([]) | Err(_) => break,
            Ok(buffer) => match buffer.iter().position(|b| *b == b'\n') {
                Some(at) => {
                    line.extend_from_slice(&buffer[..at]);
                    (at + 1, true)
                }
                None => {
                    line.extend_from_slice(buffer);
                    (buffer.len(), false)
                }
            },
        };
        reader.consume(taken);
        if ended || line.len() >= MAX_LINE {
            line.truncate(MAX_LINE);
            output.push(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned());
            line.clear();
        }
    }
    if !line.is_empty() {
        output.push(String::from_utf8_lossy(&line).into_owned());
    }
}

/// Waits until the service is ready, sends the requests and watches.
async fn converse(spec: &ProbeSpec, child: &mut Child, output: &Output, turns: &mut Turns, seen: &mut ProbeResult) {
    let began = Instant::now();
    if let Err(why) = wait_ready(spec, child, output, seen).await {
        seen.not_ready = Some(why);
        return;
    }
    seen.ready_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    turns.say().await;
    for _ in 0..spec.rounds.max(1) {
        for (index, request) in spec.requests.iter().enumerate() {
            if !turns.wait().await {
                return;
            }
            let reply = ask(spec, index, request, output).await;
            // A process that dies closes its connections before its end can be seen.
            let patience = match reply.answer {
                ProbeAnswer::Broken { .. } => DYING_AT_MOST,
                _ => Duration::ZERO,
            };
            seen.replies.push(reply);
            if let Some(exit) = exited_within(child, patience).await {
                seen.exit = Some(exit);
                return;
            }
            turns.say().await;
        }
    }
    let watch = Duration::from_millis(spec.watch_ms);
    if let Ok(Ok(status)) = tokio::time::timeout(watch, child.wait()).await {
        seen.exit = Some(exit_of(status));
    }
}

async fn exited_within(child: &mut Child, patience: Duration) -> Option<ProbeExit> {
    if patience.is_zero() {
        return exited(child);
    }
    let ended = tokio::time::timeout(patience, child.wait()).await;
    ended.ok()?.ok().map(exit_of)
}

fn exited(child: &mut Child) -> Option<ProbeExit> {
    child.try_wait().ok().flatten().map(exit_of)
}

fn exit_of(status: std::process::ExitStatus) -> ProbeExit {
    ProbeExit {
        code: status.code(),
        signal: status.signal(),
    }
}

async fn wait_ready(
    spec: &ProbeSpec,
    child: &mut Child,
    output: &Output,
    seen: &mut ProbeResult,
) -> Result<(), String> {
    let pattern = match &spec.ready {
        ProbeReady::Line { pattern } => Some(Regex::new(pattern).map_err(|e| format!("`{pattern}`: {e}"))?),
        _ => None,
    };
    let began = Instant::now();
    let limit = Duration::from_millis(spec.ready_timeout_ms);
    loop {
        if let Some(exit) = exited(child) {
            seen.exit = Some(exit);
            return Err("the process ended before it was ready".to_owned());
        }
        let ready = match (&spec.ready, spec.port, &pattern) {
            (ProbeReady::Path { path }, Some(port), _) => answers(port, path).await,
            (ProbeReady::Port, Some(port), _) => connect(port).await.is_ok(),
            (ProbeReady::Line { .. }, _, Some(pattern)) => output.matches(pattern, 0),
            (ProbeReady::Settled { ms }, ..) => began.elapsed() >= Duration::from_millis(*ms),
            _ => true,
        };
        if ready {
            return Ok(());
        }
        if began.elapsed() >= limit {
            return Err(format!("it was not ready after {} s", limit.as_secs_f64()));
        }
        tokio::time::sleep(READY_EVERY).await;
    }
}

async fn connect(port: u16) -> io::Result<tokio::net::TcpStream> {
    tokio::net::TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
}

async fn answers(port: u16, path: &str) -> bool {
    let request = ProbeRequest {
        method: "GET".into(),
        uri: path.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    let answer = tokio::time::timeout(Duration::from_secs(2), exchange(port, &request, 0)).await;
    matches!(answer, Ok(Ok(ProbeAnswer::Response { status, .. })) if status < 400)
}

async fn ask(spec: &ProbeSpec, index: usize, request: &ProbeRequest, output: &Output) -> ProbeReply {
    let lines_before = output.len();
    let began = Instant::now();
    let limit = Duration::from_millis(spec.request_timeout_ms);
    let answer = match spec.port {
        None => ProbeAnswer::Broken {
            what: "the service has no port".to_owned(),
        },
        Some(port) => match tokio::time::timeout(limit, exchange(port, request, spec.max_body)).await {
            Err(_) => ProbeAnswer::TimedOut,
            Ok(Err(what)) => ProbeAnswer::Broken { what },
            Ok(Ok(answer)) => answer,
        },
    };
    let latency_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    if !matches!(answer, ProbeAnswer::Response { status, .. } if status < 500) {
        come_to_rest(output).await;
    }
    ProbeReply {
        request: index,
        answer,
        latency_us,
        lines_before,
        lines_after: output.len(),
    }
}

/// Waits until the output has been still for a moment.
async fn come_to_rest(output: &Output) {
    let began = Instant::now();
    let mut last = usize::MAX;
    while output.len() != last && began.elapsed() < STILL_AT_MOST {
        last = output.len();
        tokio::time::sleep(STILL).await;
    }
}

/// One request on a connection of its own, so that no trial depends on the one before.
async fn exchange(port: u16, request: &ProbeRequest, max_body: usize) -> Result<ProbeAnswer, String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let stream = connect(port).await.map_err(|e| text(&e))?;
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| text(&e))?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        let _ = connection.await;
    });
    let mut builder = http::Request::builder()
        .method(request.method.as_str())
        .uri(request.uri.as_str());
    let mut has_host = false;
    for (name, value) in &request.headers {
        has_host |= name.eq_ignore_ascii_case("host");
        builder = builder.header(name.as_str(), value.as_str());
    }
    if !has_host {
        builder = builder.header("host", format!("127.0.0.1:{port}"));
    }
    let message = builder
        .body(Full::new(Bytes::from(request.body.clone())))
        .map_err(|e| text(&e))?;
    let response = sender.send_request(message).await.map_err(|e| text(&e))?;
    let status = response.status().as_u16();
    let content_type = response
        .headers()
        .get(http::header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .map(ToOwned::to_owned);
    let headers = response
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let mut body = response.into_body();
    let (mut kept, mut body_len, mut digest) = (Vec::new(), 0_u64, Sha256::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| text(&e))?;
        if let Some(data) = frame.data_ref() {
            body_len += data.len() as u64;
            digest.update(data);
            kept.extend_from_slice(&data[..data.len().min(max_body - kept.len())]);
        }
    }
    let is_whole = body_len <= max_body as u64;
    Ok(ProbeAnswer::Response {
        status,
        content_type,
        headers,
        body: kept,
        body_len,
        digest: (!is_whole).then(|| format!("{:x}", digest.finalize())),
    })
}

/// Asks the process to stop, and kills it if it does not. Reports an exit only if it was not asked for.
async fn stop(child: &mut Child, grace: Duration) -> Option<ProbeExit> {
    if let Some(exit) = exited(child) {
        return Some(exit);
    }
    if let Some(pid) = child
        .id()
        .and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()))
    {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    if tokio::time::timeout(grace, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
    None
}
