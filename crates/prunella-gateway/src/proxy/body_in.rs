//! Request bodies on their way to an upstream: none, buffered for a retry, or streaming.

use super::reply::Refusal;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// What went wrong with a request body on the client's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyFault {
    #[error("the request body is longer than the limit")]
    TooLarge,
    #[error("the request body made no progress in time")]
    Stalled,
    #[error("the client broke off the request body")]
    BrokenOff,
}

impl BodyFault {
    pub(crate) fn refusal(self) -> Refusal {
        match self {
            Self::TooLarge => Refusal::code(413, "the request body is longer than this gateway takes"),
            Self::Stalled => Refusal::code(408, "the request body made no progress in time"),
            Self::BrokenOff => Refusal::code(400, "the request body is malformed or broke off"),
        }
    }
}

/// What others may know of a body while it streams.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) fault: Cell<Option<BodyFault>>,
    pub(crate) progress: Cell<Instant>,
    pub(crate) ended: Cell<bool>,
    seen: Cell<u64>,
    tap: RefCell<Vec<u8>>,
    tap_max: usize,
}

impl Watch {
    pub(crate) fn new(tap_max: usize) -> Rc<Self> {
        Rc::new(Self {
            fault: Cell::new(None),
            progress: Cell::new(Instant::now()),
            ended: Cell::new(false),
            seen: Cell::new(0),
            tap: RefCell::default(),
            tap_max,
        })
    }

    /// The beginning of the body as far as it was kept, and how many bytes went by.
    pub(crate) fn tapped(&self) -> (Vec<u8>, u64) {
        (self.tap.borrow().clone(), self.seen.get())
    }

    fn note(&self, data: &Bytes) {
        self.seen.set(self.seen.get() + data.len() as u64);
        self.progress.set(Instant::now());
        let mut tap = self.tap.borrow_mut();
        let room = self.tap_max.saturating_sub(tap.len()).min(data.len());
        tap.extend_from_slice(&data[..room]);
    }
}

/// How far a body may go and how long it may pause.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    pub(crate) bytes: u64,
    pub(crate) stall: Duration,
}

/// A request body as the upstream connection takes it.
#[derive(Debug)]
pub(crate) enum UpBody {
    Empty,
    Full(Option<Bytes>),
    Stream(Box<Stream>),
}

/// A body that comes in while it goes out.
#[derive(Debug)]
pub(crate) struct Stream {
    /// What was read in the hope that the body is short.
    prefix: Option<Bytes>,
    /// Trailers that came right after the prefix.
    trailers: Option<HeaderMap>,
    inner: Incoming,
    watch: Rc<Watch>,
    limits: BodyLimits,
    seen: u64,
    stall: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    pub(crate) fn new(inner: Incoming, watch: Rc<Watch>, limits: BodyLimits) -> Self {
        Self {
            prefix: None,
            trailers: None,
            inner,
            watch,
            limits,
            seen: 0,
            stall: None,
        }
    }

    fn fail(&self, fault: BodyFault) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        self.watch.fault.set(Some(fault));
        Poll::Ready(Some(Err(fault)))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        if let Some(data) = self.prefix.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if let Some(trailers) = self.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.stall = None;
                if let Some(data) = frame.data_ref() {
                    self.seen += data.len() as u64;
                    self.watch.note(data);
                }
                if self.seen > self.limits.bytes {
                    self.fail(BodyFault::TooLarge)
                } else {
                    Poll::Ready(Some(Ok(frame)))
                }
            }
            Poll::Ready(Some(Err(_))) => self.fail(BodyFault::BrokenOff),
            Poll::Ready(None) => {
                self.watch.progress.set(Instant::now());
                self.watch.ended.set(true);
                Poll::Ready(None)
            }
            Poll::Pending => {
                let limit = self.limits.stall;
                let timer = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
                match timer.as_mut().poll(cx) {
                    Poll::Ready(()) => self.fail(BodyFault::Stalled),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }
}

impl UpBody {
    /// Reads a body of up to `keep` bytes whole, so that it can be sent again. A longer one becomes
    /// a stream that begins with what was read.
    pub(crate) async fn buffer(mut stream: Stream, keep: usize) -> Result<Self, BodyFault> {
        let mut kept = BytesMut::new();
        while let Some(frame) = std::future::poll_fn(|cx| stream.poll(cx)).await {
            match frame?.into_data() {
                Ok(data) if kept.is_empty() && stream.inner.is_end_stream() && data.len() <= keep => {
                    stream.watch.ended.set(true);
                    return Ok(Self::Full(Some(data)));
                }
                Ok(data) => kept.extend_from_slice(&data),
                Err(frame) => stream.trailers = frame.into_trailers().ok(),
            }
            if kept.len() > keep || stream.trailers.is_some() {
                stream.prefix = Some(kept.freeze());
                return Ok(Self::Stream(Box::new(stream)));
            }
        }
        Ok(Self::Full(Some(kept.freeze())))
    }

    /// A second copy, if the body was kept.
    pub(crate) fn again(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Full(data) => Some(Self::Full(data.clone())),
            Self::Stream(_) => None,
        }
    }

    /// Whether only chunked coding can frame it in HTTP/1.1.
    pub(crate) fn has_unknown_length(&self) -> bool {
        matches!(self, Self::Stream(_)) && self.size_hint().exact().is_none()
    }
}

impl Body for UpBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Full(data) => Poll::Ready(data.take().filter(|d| !d.is_empty()).map(|d| Ok(Frame::data(d)))),
            Self::Stream(s) => s.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(data) => data.as_ref().is_none_or(Bytes::is_empty),
            Self::Stream(s) => s.prefix.is_none() && s.trailers.is_none() && s.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(data) => SizeHint::with_exact(data.as_ref().map_or(0, Bytes::len) as u64),
            Self::Stream(s) => {
                let prefix = s.prefix.as_ref().map_or(0, Bytes::len) as u64;
                let inner = s.inner.size_hint();
                let mut hint = SizeHint::new();
                hint.set_lower(prefix + inner.lower());
                if let Some(upper) = inner.upper() {
                    hint.set_upper(prefix + upper);
                }
                hint
            }
        }
    }
}

/// Reads and discards the rest of a response body so that its connection can be used again, keeping
/// the first `keep` bytes. Gives up on bodies longer than `max`.
pub(crate) async fn drain(mut body: Incoming, keep: usize, max: u64) -> (Vec<u8>, u64) {
    let (mut kept, mut seen) = (Vec::new(), 0);
    while let Some(Ok(frame)) = body.frame().await {
        let Some(data) = frame.data_ref() else { continue };
        seen += data.len() as u64;
        let room = keep.saturating_sub(kept.len()).min(data.len());
        kept.extend_from_slice(&data[..room]);
        if seen > max {
            break;
        }
    }
    (kept, seen)
}
