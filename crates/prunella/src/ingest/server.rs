//! Accepts connections and hands requests on: both ports take gRPC and HTTP, so that a client that mixes them up works.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::gate::Gate;
use super::stats::add;
use super::{grpc, http as plain};

/// Connections at a time, over both ports.
const MAX_CONNECTIONS: usize = 1_024;
/// Requests at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// How long a client may take for a TLS handshake or a request's head.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// Requests that are unpacked and read at a time: each may take as much memory as the largest one.
const UNPACKING: usize = 4;
/// How long a request waits for its turn before the client is told to come again.
const TURN_PATIENCE: Duration = Duration::from_secs(2);

/// What an answer's body is.
pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) gate: Arc<Gate>,
    pub(super) alerts: tokio::sync::mpsc::Sender<prunella_core::detect::Anomaly>,
    pub(super) token: Option<String>,
    pub(super) max_request: u64,
    pub(super) max_unpacked: u64,
    turns: Semaphore,
    unpacking: Arc<Semaphore>,
    connections: Arc<Semaphore>,
}

impl Shared {
    pub(super) fn new(
        gate: Arc<Gate>,
        alerts: tokio::sync::mpsc::Sender<prunella_core::detect::Anomaly>,
        token: Option<String>,
        limits: (u64, u64, usize),
    ) -> Self {
        Self {
            gate,
            alerts,
            token,
            max_request: limits.0,
            max_unpacked: limits.1,
            turns: Semaphore::new(limits.2),
            unpacking: Arc::new(Semaphore::new(UNPACKING)),
            connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        }
    }

    /// Does blocking work for a request, a few at a time. `None` if it broke down.
    pub(super) async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let turn = self.unpacking.clone().acquire_owned().await.ok()?;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.ok()
    }

    /// Whether the request has the token, if one is needed.
    fn is_allowed(&self, request: &Request<Incoming>) -> bool {
        let Some(token) = &self.token else { return true };
        let said = request.headers().get(AUTHORIZATION).and_then(|v| v.to_str().ok());
        let said = said.and_then(|v| v.strip_prefix("Bearer ").or_else(|| v.strip_prefix("bearer ")));
        said.is_some_and(|said| same(said.trim().as_bytes(), token.as_bytes()))
    }
}

/// Compares in a time that does not tell how much of it is right.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (x, y)| differs | (x ^ y)) == 0
}

/// Accepts for ever. Connections end with it.
pub(super) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let Ok(place) = shared.connections.clone().acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: those that are open go on.
                tracing::warn!("the intake cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let (tls, shared) = (tls.clone(), shared.clone());
        open.spawn(async move {
            let _place = place;
            let _ = stream.set_nodelay(true);
            match tls {
                None => connection(TokioIo::new(stream), shared).await,
                Some(tls) => secured(stream, &tls, shared).await,
            }
        });
    }
}

async fn secured(stream: TcpStream, tls: &TlsAcceptor, shared: Arc<Shared>) {
    if let Ok(Ok(stream)) = tokio::time::timeout(HEAD_PATIENCE, tls.accept(stream)).await {
        connection(TokioIo::new(stream), shared).await;
    }
}

async fn connection<I>(io: I, shared: Arc<Shared>)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(Duration::from_secs(60))
        .keep_alive_timeout(Duration::from_secs(20));
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<Answer, Infallible>(answer(request, &shared).await) }
    });
    // A client that breaks off is its own affair.
    let _ = builder.serve_connection(io, service).await;
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Answer {
    let content = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let is_grpc = content.is_some_and(|c| c.starts_with("application/grpc"));
    if !shared.is_allowed(&request) {
        add(&shared.gate.stats().unauthorized, 1);
        return if is_grpc {
            grpc::unauthenticated()
        } else {
            plain::unauthorized()
        };
    }
    let turn = tokio::time::timeout(TURN_PATIENCE, shared.turns.acquire()).await;
    let Ok(Ok(_turn)) = turn else {
        add(&shared.gate.stats().busy, 1);
        return if is_grpc { grpc::busy() } else { plain::busy() };
    };
    if is_grpc {
        grpc::answer(request, shared).await
    } else {
        plain::answer(request, shared).await
    }
}
