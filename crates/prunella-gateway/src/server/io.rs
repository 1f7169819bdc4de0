//! A client's byte stream, watched: when bytes come, when writes have to wait, and what hyper says
//! of its own accord.
//!
//! hyper answers a malformed request head itself, with an empty body. Such an answer is replaced
//! by one whose text names the reason.

use super::state::ConnState;
use crate::proxy::Refusal;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Plain or encrypted.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

macro_rules! each {
    ($self:ident, $s:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Plain(s) => {
                let $s = Pin::new(s);
                $call
            }
            Stream::Tls(s) => {
                let $s = Pin::new(&mut **s);
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, s => s.poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, s => s.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, s => s.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(s) => s.is_write_vectored(),
            Self::Tls(s) => s.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, s => s.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, s => s.poll_shutdown(cx))
    }
}

/// A stream together with its connection's state.
pub(crate) struct ClientIo {
    stream: Stream,
    state: Arc<ConnState>,
    /// An answer written in place of hyper's, and how much of it is out.
    instead: Vec<u8>,
    out: usize,
}

impl ClientIo {
    pub(crate) fn new(stream: Stream, state: Arc<ConnState>) -> Self {
        Self {
            stream,
            state,
            instead: Vec::new(),
            out: 0,
        }
    }

    pub(crate) fn into_inner(self) -> Stream {
        self.stream
    }

    /// Takes hyper's own answer out of its hands.
    fn replace(&mut self, written: &[u8]) -> bool {
        if self.state.owes_answer() {
            return false;
        }
        let Some(refusal) = hypers_own_answer(written) else {
            return false;
        };
        self.instead = refusal.raw().into_bytes();
        self.state.linger();
        true
    }

    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.out < self.instead.len() {
            let n = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.instead[self.out..]))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out += n;
        }
        Poll::Ready(Ok(()))
    }
}

/// The reason behind an answer that hyper makes itself, with `content-length: 0`.
fn hypers_own_answer(written: &[u8]) -> Option<Refusal> {
    let status = written.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    if !written.ends_with(b"\r\n\r\n") || !written.windows(19).any(|w| w == b"content-length: 0\r\n") {
        return None;
    }
    match status {
        b"400" => Some(Refusal::code(400, "the request is not valid HTTP")),
        b"414" => Some(Refusal::code(
            414,
            "the request target is longer than this gateway takes",
        )),
        b"431" => Some(Refusal::code(431, "the request head is longer than this gateway takes")),
        _ => None,
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.state.received();
        }
        polled
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.replace(buf) {
            return Poll::Ready(Ok(buf.len()));
        }
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.state.wrote(polled.is_ready());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = bufs
            && self.replace(only)
        {
            return Poll::Ready(Ok(only.len()));
        }
        let polled = crate::gather::poll_write(Pin::new(&mut self.stream), cx, bufs);
        self.state.wrote(polled.is_ready());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hypers_own_answers_are_recognised() {
        let own = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(hypers_own_answer(own).unwrap().0, 431);
        assert!(hypers_own_answer(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").is_none());
        assert!(hypers_own_answer(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\nno").is_none());
        assert!(hypers_own_answer(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n").is_none());
    }
}
