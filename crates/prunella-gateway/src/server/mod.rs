//! Client connections: HTTP/1.1 and HTTP/2 (by ALPN or prior knowledge), with their timeouts.

mod io;
mod state;

pub(crate) use state::{Busy, ConnState, Permit, Reason};

use crate::control::RouteConfig;
use crate::proxy::{self, OutBody, Peer, Refusal};
use crate::worker::{LocalExec, Worker};
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use io::{ClientIo, Stream};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// How every HTTP/2 connection begins (RFC 9113 §3.4); no HTTP/1 method is called `PRI`.
const PREFACE_START: &[u8] = b"PRI ";
/// After an answer that leaves request bytes unread, this much is read and discarded, so that the
/// answer is not destroyed by a reset (RFC 9112 §9.6).
const LINGER: (Duration, usize) = (Duration::from_secs(1), 1 << 20);

/// What requests of one connection have in common.
pub(crate) struct ClientInfo {
    pub(crate) ip: IpAddr,
    pub(crate) peer: Peer,
    pub(crate) state: Arc<ConnState>,
}

/// Serves a connection to its end.
pub(crate) async fn serve(
    w: Rc<Worker>,
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    state: Arc<ConnState>,
) {
    let ip = peer.ip().to_canonical();
    let scheme = HeaderValue::from_static(if tls.is_some() { "https" } else { "http" });
    let address = HeaderValue::from_str(&ip.to_string()).unwrap_or(HeaderValue::from_static("unknown"));
    let client = Rc::new(ClientInfo {
        ip,
        peer: Peer { address, scheme },
        state: state.clone(),
    });
    let config = w.routing();
    let opened = tokio::select! {
        opened = open(stream, tls, &config.config) => opened,
        _ = state.killed() => None,
    };
    match opened {
        Some((stream, true)) => serve_http2(w, client, ClientIo::new(stream, state), &config.config).await,
        Some((stream, false)) => serve_http1(w, client, ClientIo::new(stream, state), &config.config).await,
        None => {}
    }
}

/// Shakes hands and finds out whether the client speaks HTTP/2; `None` when it says nothing in time.
async fn open(stream: TcpStream, tls: Option<TlsAcceptor>, config: &RouteConfig) -> Option<(Stream, bool)> {
    let t = &config.timeouts;
    match tls {
        Some(acceptor) => {
            let handshake = timeout(Duration::from_millis(t.header_ms), acceptor.accept(stream)).await;
            let stream = handshake
                .ok()?
                .inspect_err(|error| tracing::debug!(%error, "no TLS handshake"))
                .ok()?;
            let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            Some((Stream::Tls(Box::new(stream)), h2))
        }
        None => {
            timeout(Duration::from_millis(t.client_idle_ms), stream.readable())
                .await
                .ok()?
                .ok()?;
            let h2 = timeout(Duration::from_millis(t.header_ms), begins_http2(&stream))
                .await
                .ok()?
                .ok()?;
            Some((Stream::Plain(stream), h2))
        }
    }
}

async fn begins_http2(stream: &TcpStream) -> std::io::Result<bool> {
    let mut buf = [0; PREFACE_START.len()];
    loop {
        let n = stream.peek(&mut buf).await?;
        if n == buf.len() || n == 0 || buf[..n] != PREFACE_START[..n] {
            return Ok(buf == *PREFACE_START);
        }
        // A peek does not wait for more than is there; such beginnings do not occur in earnest.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn answer(
    w: Rc<Worker>,
    client: Rc<ClientInfo>,
    request: Request<Incoming>,
) -> Result<Response<OutBody>, Infallible> {
    Ok(proxy::handle(w, client, request).await)
}

async fn serve_http1(w: Rc<Worker>, client: Rc<ClientInfo>, io: ClientIo, config: &RouteConfig) {
    let mut builder = http1::Builder::new();
    // The worker's sweep watches over the head's time, at no cost per request.
    builder
        .header_read_timeout(None)
        .max_header_size(config.limits.header_bytes);
    if config.limits.header_count > 100 {
        builder.max_headers(config.limits.header_count);
    }
    let state = client.state.clone();
    let service = hyper::service::service_fn(move |r| answer(w.clone(), client.clone(), r));
    let mut connection = builder.serve_connection(TokioIo::new(io), service).with_upgrades();
    loop {
        let reason = tokio::select! {
            biased;
            _ = &mut connection => break,
            reason = state.killed() => reason,
        };
        match reason {
            Reason::Drain | Reason::Idle => Pin::new(&mut connection).graceful_shutdown(),
            Reason::Stalled => return,
            Reason::HeadTimeout => {
                if let Some(parts) = connection.into_parts() {
                    let late = Refusal::code(408, "the request head did not arrive in time");
                    say_and_close(parts.io.into_inner().into_inner(), late).await;
                }
                return;
            }
        }
    }
    if state.lingers()
        && let Some(parts) = connection.into_parts()
    {
        linger(parts.io.into_inner().into_inner()).await;
    }
}

async fn serve_http2(w: Rc<Worker>, client: Rc<ClientInfo>, io: ClientIo, config: &RouteConfig) {
    let state = client.state.clone();
    state.speaks_http2();
    let mut builder = http2::Builder::new(LocalExec);
    builder
        .max_concurrent_streams(config.limits.h2_streams)
        .max_header_list_size(config.limits.header_bytes as u32)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20);
    let service = hyper::service::service_fn(move |r| answer(w.clone(), client.clone(), r));
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(io), service));
    loop {
        let reason = tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            reason = state.killed() => reason,
        };
        match reason {
            Reason::Drain | Reason::Idle => connection.as_mut().graceful_shutdown(),
            Reason::Stalled | Reason::HeadTimeout => return,
        }
    }
}

async fn say_and_close(mut stream: Stream, refusal: Refusal) {
    let said = timeout(LINGER.0, stream.write_all(refusal.raw().as_bytes())).await;
    if matches!(said, Ok(Ok(()))) && matches!(timeout(LINGER.0, stream.shutdown()).await, Ok(Ok(()))) {
        linger(stream).await;
    }
}

/// Answers a connection that is one too many. The protocol is not known yet, so over TLS nothing
/// can be said.
pub(crate) async fn turn_away(stream: TcpStream) {
    say_and_close(
        Stream::Plain(stream),
        Refusal::code(503, "this gateway has too many connections"),
    )
    .await;
}

async fn linger(mut stream: Stream) {
    let discard = async {
        let (mut buf, mut seen) = ([0; 4096], 0);
        while let Ok(n) = stream.read(&mut buf).await {
            seen += n;
            if n == 0 || seen > LINGER.1 {
                return;
            }
        }
    };
    // Whoever still sends after that loses the answer.
    let _ = timeout(LINGER.0, discard).await;
}
