//! One HTTP request to a service that may not be there yet.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How long one probe may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// The status of the answer, or why there is none.
pub(super) async fn status(addr: SocketAddr, path: &str) -> Result<u16, String> {
    match tokio::time::timeout(PATIENCE, get(addr, path)).await {
        Ok(result) => result,
        Err(_) => Err(format!("no answer from {addr} within {} s", PATIENCE.as_secs())),
    }
}

async fn get(addr: SocketAddr, path: &str) -> Result<u16, String> {
    let stream = TcpStream::connect(addr)
        .await
        .map_err(|error| format!("cannot connect to {addr}: {error}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| format!("{addr}: {error}"))?;
    let request = Request::get(path)
        .header("host", addr.to_string())
        .header("user-agent", "prunella-readiness")
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("`{path}` is not a path: {error}"))?;
    tokio::pin!(connection);
    let response = sender.send_request(request);
    tokio::pin!(response);
    // The connection makes progress only while it is polled; it may end in the same moment as the answer arrives.
    let answer = tokio::select! {
        biased;
        answer = &mut response => answer,
        _ = &mut connection => response.await,
    };
    answer
        .map(|answer| answer.status().as_u16())
        .map_err(|error| format!("{addr} does not speak HTTP/1.1: {error}"))
}
