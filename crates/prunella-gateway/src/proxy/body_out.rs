//! Response bodies on their way to a client.

use super::record::BodyTrace;
use super::target::Lease;
use crate::control::TransportError;
use crate::server::Busy;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// Why a response body broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutError {
    #[error("the service's response broke off: {0}")]
    Upstream(#[from] hyper::Error),
    #[error("the service's response stalled")]
    Stalled,
}

/// A body as the client's connection takes it.
pub(crate) struct OutBody {
    kind: OutKind,
    /// Says that the connection is busy until this body is done with.
    _busy: Option<Busy>,
}

enum OutKind {
    Text(Option<Bytes>),
    Upstream(Box<Relay>),
}

/// A body that comes from an upstream.
pub(crate) struct Relay {
    inner: Incoming,
    /// Held until the body has ended, then back in the pool.
    lease: Option<Lease>,
    idle_limit: Duration,
    idle: Option<Pin<Box<Sleep>>>,
    trace: BodyTrace,
}

impl OutBody {
    /// One line of static text.
    pub(crate) fn text(line: &'static str) -> Self {
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        Self {
            kind: OutKind::Text(Some(bytes.into())),
            _busy: None,
        }
    }

    pub(crate) fn empty() -> Self {
        Self {
            kind: OutKind::Text(None),
            _busy: None,
        }
    }

    pub(crate) fn relay(inner: Incoming, lease: Option<Lease>, idle_limit: Duration, trace: BodyTrace) -> Self {
        let relay = Relay {
            inner,
            lease,
            idle_limit,
            idle: None,
            trace,
        };
        Self {
            kind: OutKind::Upstream(Box::new(relay)),
            _busy: None,
        }
    }

    pub(crate) fn keeping(mut self, busy: Busy) -> Self {
        self._busy = Some(busy);
        self
    }
}

impl Relay {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, OutError>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.idle = None;
                if let Some(data) = frame.data_ref() {
                    self.trace.note(data);
                }
                if self.inner.is_end_stream() {
                    self.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(e))) => {
                self.trace.broke(TransportError::BodyAborted);
                Poll::Ready(Some(Err(e.into())))
            }
            Poll::Pending => {
                let limit = self.idle_limit;
                let timer = self.idle.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.trace.broke(TransportError::BodyTimeout);
                Poll::Ready(Some(Err(OutError::Stalled)))
            }
        }
    }

    fn end(&mut self) {
        self.trace.ended();
        self.lease = None;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if self.inner.is_end_stream() {
            self.trace.ended();
        }
    }
}

impl Body for OutBody {
    type Data = Bytes;
    type Error = OutError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, OutError>>> {
        match &mut self.get_mut().kind {
            OutKind::Text(data) => Poll::Ready(data.take().map(|d| Ok(Frame::data(d)))),
            OutKind::Upstream(relay) => relay.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            OutKind::Text(data) => data.is_none(),
            OutKind::Upstream(relay) => relay.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            OutKind::Text(data) => SizeHint::with_exact(data.as_ref().map_or(0, Bytes::len) as u64),
            OutKind::Upstream(relay) => relay.inner.size_hint(),
        }
    }
}
