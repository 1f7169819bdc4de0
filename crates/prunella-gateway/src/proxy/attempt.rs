//! One attempt to get an answer from one upstream.

use super::body_in::{UpBody, Watch};
use super::headers::RequestHead;
use super::target::{Lease, Target};
use crate::control::{Protocol, Timeouts, TransportError};
use crate::gather::Gathering;
use crate::worker::Worker;
use http::header::{CONNECTION, HOST, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, Scheme, Uri};
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::TokioIo;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

/// A response head, and the connection that its body comes over.
pub(crate) struct Sent {
    pub(crate) response: Response<Incoming>,
    pub(crate) lease: Option<Lease>,
}

/// No response head.
pub(crate) struct Failed {
    pub(crate) kind: TransportError,
    /// The body, when nothing of the request was sent: any method may then be tried elsewhere.
    pub(crate) unsent: Option<UpBody>,
}

/// What one attempt needs to know.
pub(crate) struct Attempt<'a> {
    pub(crate) w: &'a Worker,
    pub(crate) target: &'a Rc<Target>,
    pub(crate) head: &'a RequestHead,
    /// The request body's progress, if it streams.
    pub(crate) watch: Option<&'a Watch>,
    pub(crate) timeouts: &'a Timeouts,
}

impl Attempt<'_> {
    pub(crate) async fn run(&self, body: UpBody) -> Result<Sent, Failed> {
        match self.target.protocol {
            Protocol::Http1 => self.http1(body).await,
            Protocol::H2c => self.h2c(body).await,
        }
    }

    /// A pooled connection may have been closed by the upstream without our knowing. A request that
    /// was not sent, or may be sent again, then goes over a new connection (RFC 9112 §9.3.1); any
    /// other request is put only on connections that are fresh and quiet (see `Target::checkout`).
    async fn http1(&self, mut body: UpBody) -> Result<Sent, Failed> {
        let resendable = self.head.is_idempotent();
        let mut may_reuse = true;
        loop {
            let again = if resendable { body.again() } else { None };
            let pooled = if may_reuse {
                self.target
                    .checkout(self.w.clock.now_ms(), resendable && again.is_some())
            } else {
                None
            };
            let reused = pooled.is_some();
            let (sender, fd) = match pooled {
                Some(c) => c,
                None => match self.connect_http1().await {
                    Ok(c) => c,
                    Err(kind) => {
                        return Err(Failed {
                            kind,
                            unsent: Some(body),
                        });
                    }
                },
            };
            let mut lease = Lease::new(self.target.clone(), sender, fd, self.w.clock.clone());
            let request = self.http1_request(body);
            let answer = self.head_in_time(lease.sender().try_send_request(request)).await;
            let mut error = match answer {
                Ok(Ok(response)) => {
                    return Ok(Sent {
                        response,
                        lease: Some(lease),
                    });
                }
                Ok(Err(e)) => e,
                Err(kind) => return Err(Failed { kind, unsent: None }),
            };
            let kind = classify(error.error());
            body = match (error.take_message(), again) {
                (Some(request), _) if reused => request.into_body(),
                (Some(request), _) => {
                    return Err(Failed {
                        kind,
                        unsent: Some(request.into_body()),
                    });
                }
                (None, Some(copy)) if reused && kind == TransportError::Closed => copy,
                (None, _) => return Err(Failed { kind, unsent: None }),
            };
            may_reuse = false;
        }
    }

    async fn h2c(&self, body: UpBody) -> Result<Sent, Failed> {
        let open = self.target.h2.borrow().clone().filter(|s| !s.is_closed());
        let sender = match open {
            Some(s) => Ok(s),
            None => self.connect_http2().await,
        };
        let mut sender = match sender {
            Ok(s) => s,
            Err(kind) => {
                return Err(Failed {
                    kind,
                    unsent: Some(body),
                });
            }
        };
        if sender.ready().await.is_err() {
            return Err(Failed {
                kind: TransportError::Closed,
                unsent: Some(body),
            });
        }
        let request = self.http2_request(body);
        match self.head_in_time(sender.try_send_request(request)).await {
            Ok(Ok(response)) => Ok(Sent { response, lease: None }),
            Ok(Err(mut e)) => {
                let kind = classify(e.error());
                Err(Failed {
                    kind,
                    unsent: e.take_message().map(Request::into_body),
                })
            }
            Err(kind) => Err(Failed { kind, unsent: None }),
        }
    }

    /// Waits for a response head for `head_ms` from the last progress of the request body.
    async fn head_in_time(
        &self,
        answer: impl Future<Output = Result<Response<Incoming>, TrySendError<Request<UpBody>>>>,
    ) -> Result<Result<Response<Incoming>, TrySendError<Request<UpBody>>>, TransportError> {
        let limit = Duration::from_millis(self.timeouts.head_ms);
        let mut answer = std::pin::pin!(answer);
        let mut deadline = Instant::now() + limit;
        loop {
            match timeout_at(deadline, answer.as_mut()).await {
                Ok(answer) => return Ok(answer),
                Err(_) => {
                    let progress = self.watch.map(|w| w.progress.get() + limit);
                    match progress.filter(|later| *later > deadline) {
                        Some(later) => deadline = later,
                        None => return Err(TransportError::HeadTimeout),
                    }
                }
            }
        }
    }

    async fn connect(&self) -> Result<TcpStream, TransportError> {
        let limit = Duration::from_millis(self.timeouts.connect_ms);
        let stream = match timeout(limit, TcpStream::connect(self.target.addr)).await {
            Ok(Ok(s)) => s,
            Ok(Err(e)) if e.kind() == io::ErrorKind::ConnectionRefused => return Err(TransportError::ConnectRefused),
            Ok(Err(e)) => {
                tracing::debug!(upstream = %self.target.addr, error = %e, "cannot connect");
                return Err(TransportError::ConnectFailed);
            }
            Err(_) => return Err(TransportError::ConnectTimeout),
        };
        // Small requests must not wait for acknowledgements of earlier ones.
        stream.set_nodelay(true).map_err(|_| TransportError::ConnectFailed)?;
        Ok(stream)
    }

    async fn connect_http1(&self) -> Result<(http1::SendRequest<UpBody>, RawFd), TransportError> {
        let stream = self.connect().await?;
        let fd = stream.as_raw_fd();
        let handshake = http1::handshake(TokioIo::new(Gathering(stream))).await;
        let (sender, connection) = handshake.map_err(|_| TransportError::ConnectFailed)?;
        tokio::task::spawn_local(async move {
            // Its errors reach the request that is on it; an idle connection has none to tell.
            let _ = connection.with_upgrades().await;
        });
        Ok((sender, fd))
    }

    async fn connect_http2(&self) -> Result<http2::SendRequest<UpBody>, TransportError> {
        let stream = self.connect().await?;
        let mut builder = http2::Builder::new(crate::worker::LocalExec);
        builder
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20);
        let handshake = builder.handshake(TokioIo::new(Gathering(stream))).await;
        let (sender, connection) = handshake.map_err(|_| TransportError::ConnectFailed)?;
        tokio::task::spawn_local(async move {
            let _ = connection.await;
        });
        self.target.h2.replace(Some(sender.clone()));
        Ok(sender)
    }

    fn http1_request(&self, body: UpBody) -> Request<UpBody> {
        let chunked = body.has_unknown_length();
        let mut request = Request::new(body);
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = self.head.uri.clone();
        let headers = request.headers_mut();
        headers.clone_from(&self.head.headers);
        if chunked {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        if let Some(protocol) = &self.head.upgrade {
            headers.insert(UPGRADE, protocol.clone());
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        } else if self.head.te_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
            headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
        request
    }

    fn http2_request(&self, body: UpBody) -> Request<UpBody> {
        let mut request = Request::new(body);
        *request.method_mut() = self.head.method.clone();
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self.absolute_uri();
        let headers = request.headers_mut();
        headers.clone_from(&self.head.headers);
        headers.remove(HOST);
        if self.head.te_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
        request
    }

    fn absolute_uri(&self) -> Uri {
        let host = self
            .head
            .headers
            .get(HOST)
            .and_then(|h| Authority::try_from(h.as_bytes()).ok());
        let authority = host
            .or_else(|| Authority::try_from(self.target.addr.to_string()).ok())
            .unwrap_or_else(|| Authority::from_static("localhost"));
        let mut parts = self.head.uri.clone().into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(authority);
        Uri::from_parts(parts).unwrap_or_else(|_| self.head.uri.clone())
    }
}

fn classify(e: &hyper::Error) -> TransportError {
    if e.is_parse() {
        TransportError::Malformed
    } else {
        TransportError::Closed
    }
}
