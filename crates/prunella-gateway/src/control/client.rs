//! The daemon's side of the control protocol.

use super::{Event, MAX_REPLY_LINE, Reply, Request, fd};
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Why a control request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The gateway cannot be reached or the connection broke. A retry may help.
    #[error("cannot talk to the gateway: {0}")]
    Io(#[from] io::Error),
    /// The gateway closed the connection without an answer. A retry may help.
    #[error("the gateway closed the control connection")]
    Closed,
    /// The answer is not one that this version understands.
    #[error("the gateway's answer cannot be read ({0}): the gateway is of another version, restart it")]
    Malformed(String),
    /// The answer is longer than [`MAX_REPLY_LINE`].
    #[error("the gateway's answer is longer than {MAX_REPLY_LINE} bytes")]
    TooLong,
}

/// A control connection. One request at a time.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    lines: Lines,
}

impl Client {
    /// Connects to `gateway.sock`.
    ///
    /// # Errors
    /// When nobody listens on the socket.
    pub async fn connect(socket: &Path) -> Result<Self, ClientError> {
        Ok(Self {
            stream: UnixStream::connect(socket).await?,
            lines: Lines::default(),
        })
    }

    /// Sends a request and waits for its answer, without a timeout of its own.
    ///
    /// # Errors
    /// When the connection breaks or the answer cannot be read. A [`Reply::Refused`] is no error here.
    pub async fn call(&mut self, request: &Request) -> Result<Reply, ClientError> {
        Ok(self.call_with_fd(request).await?.0)
    }

    /// Asks for the gateway's listening socket, so that a restarted supervisor owns it again.
    ///
    /// # Errors
    /// As [`Client::call`]; also when the answer carries no descriptor.
    pub async fn listener(&mut self) -> Result<TcpListener, ClientError> {
        match self.call_with_fd(&Request::GetListener).await? {
            (Reply::Listener { .. }, Some(fd)) => Ok(TcpListener::from(fd)),
            (reply, _) => Err(ClientError::Malformed(format!("no descriptor in {reply:?}"))),
        }
    }

    /// Subscribes, and turns the connection into the stream of events.
    ///
    /// # Errors
    /// As [`Client::call`]; a refusal is [`ClientError::Malformed`] with the reason.
    pub async fn subscribe(mut self) -> Result<Events, ClientError> {
        match self.call(&Request::Subscribe).await? {
            Reply::Subscribed => Ok(Events {
                stream: self.stream,
                lines: self.lines,
            }),
            other => Err(ClientError::Malformed(format!(
                "expected a subscription, got {other:?}"
            ))),
        }
    }

    async fn call_with_fd(&mut self, request: &Request) -> Result<(Reply, Option<OwnedFd>), ClientError> {
        let mut line = serde_json::to_vec(request).map_err(|e| ClientError::Malformed(e.to_string()))?;
        line.push(b'\n');
        self.stream.write_all(&line).await?;
        let mut descriptor = None;
        let mut buf = vec![0; 64 * 1024];
        loop {
            if let Some(line) = self.lines.next()? {
                let reply = serde_json::from_slice(&line).map_err(|e| ClientError::Malformed(e.to_string()))?;
                return Ok((reply, descriptor));
            }
            let (n, fd) = fd::recv_with_fd(&self.stream, &mut buf).await?;
            descriptor = descriptor.or(fd);
            if n == 0 {
                return Err(ClientError::Closed);
            }
            self.lines.push(&buf[..n]);
        }
    }
}

/// The stream of events.
#[derive(Debug)]
pub struct Events {
    stream: UnixStream,
    lines: Lines,
}

impl Events {
    /// The next event; `None` when the stream has ended. Cancel-safe.
    ///
    /// # Errors
    /// When the connection breaks or a line cannot be read.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(line) = self.lines.next()? {
                return serde_json::from_slice(&line)
                    .map(Some)
                    .map_err(|e| ClientError::Malformed(e.to_string()));
            }
            if self.stream.read_buf(&mut self.lines.buf).await? == 0 {
                return Ok(None);
            }
        }
    }
}

/// Cuts received bytes into lines of bounded length.
#[derive(Debug, Default)]
struct Lines {
    buf: Vec<u8>,
    /// Bytes already searched for a line end, so that a long line is not searched again and again.
    searched: usize,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        if let Some(at) = self.buf[self.searched..].iter().position(|b| *b == b'\n') {
            let rest = self.buf.split_off(self.searched + at + 1);
            let line = std::mem::replace(&mut self.buf, rest);
            self.searched = 0;
            return Ok(Some(line));
        }
        self.searched = self.buf.len();
        if self.buf.len() > MAX_REPLY_LINE {
            Err(ClientError::TooLong)
        } else {
            Ok(None)
        }
    }
}
