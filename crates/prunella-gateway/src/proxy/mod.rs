//! One request's way through the gateway.
//!
//! ```text
//! open ─▶ choose ─▶ attempt ─▶ good ────────────────────────────▶ relay to the client
//!           ▲          │
//!           │          └▶ bad ─▶ another release may answer? ─yes▶ attempt there ─▶ relay
//!           │                      │no
//!           └── hold ◀─ refused ───┴─▶ the first answer, or 502/503/504
//! ```
//!
//! An upstream fails when it gives no response head in time or one with a status of 500 or above. A
//! failed request is tried on another release if its method is idempotent (RFC 9110 §9.2.2) and its
//! body was kept, or if nothing of it was sent. The answer of the second release is taken if it is
//! below 500; otherwise the first one's stands.

mod attempt;
mod body_in;
mod body_out;
mod choose;
mod exchange;
mod headers;
mod record;
mod reply;
mod target;
mod upgrade;

pub(crate) use body_out::OutBody;
pub(crate) use headers::Peer;
pub(crate) use reply::Refusal;
pub(crate) use target::Routing;

use crate::server::ClientInfo;
use crate::worker::Worker;
use body_in::{BodyLimits, Stream, UpBody, Watch};
use exchange::Exchange;
use http::header::CONTENT_LENGTH;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use record::Noted;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Answers one request. Never fails: what goes wrong becomes an answer.
pub(crate) async fn handle(w: Rc<Worker>, client: Rc<ClientInfo>, request: Request<Incoming>) -> Response<OutBody> {
    let started = Instant::now();
    w.clock.advance(started);
    let busy = client.state.busy();
    let routing = w.routing();
    let response = match open(&w, &client, &routing, request, started).await {
        Ok((exchange, body)) => exchange.answer(body).await,
        Err(refusal) => {
            w.stats.borrow_mut().totals_mut().refused += 1;
            w.tick.notify_one();
            client.state.linger();
            refusal.response()
        }
    };
    response.map(|body| body.keeping(busy))
}

/// Checks a request and makes it ready to be sent.
async fn open(
    w: &Rc<Worker>,
    client: &Rc<ClientInfo>,
    routing: &Rc<Routing>,
    mut request: Request<Incoming>,
    started: Instant,
) -> Result<(Exchange, UpBody), Refusal> {
    check_limits(routing, &request)?;
    // Taken before the extensions go; awaited only if an upstream agrees.
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, body) = request.into_parts();
    let route = w.routes.borrow_mut().find(parts.method.as_str(), parts.uri.path());
    let head = Rc::new(headers::request(parts, &client.peer, routing.config.forwarded)?);
    let (body, watch) = take_body(routing, &head, body).await?;
    let noted = Noted {
        head,
        started,
        route,
        watch,
    };
    Ok((Exchange::new(w.clone(), client.clone(), noted, upgrade), body))
}

fn check_limits(routing: &Routing, request: &Request<Incoming>) -> Result<(), Refusal> {
    let limits = &routing.config.limits;
    let headers = request.headers();
    if headers.len() > limits.header_count {
        return Err(Refusal::code(
            431,
            "the request has more header fields than this gateway takes",
        ));
    }
    let bytes: usize = headers.iter().map(|(n, v)| n.as_str().len() + v.len() + 4).sum();
    let target = request.uri().path_and_query().map_or(0, |p| p.as_str().len());
    if bytes + target > limits.header_bytes {
        return Err(Refusal::code(431, "the request head is longer than this gateway takes"));
    }
    let length = request.body().size_hint().lower();
    if length > limits.body_bytes {
        return Err(body_in::BodyFault::TooLarge.refusal());
    }
    Ok(())
}

/// Decides how a body travels: not at all, kept for a retry, or as a stream.
async fn take_body(
    routing: &Routing,
    head: &headers::RequestHead,
    body: Incoming,
) -> Result<(UpBody, Option<Rc<Watch>>), Refusal> {
    if body.is_end_stream() {
        return Ok((UpBody::Empty, None));
    }
    let config = &routing.config;
    let tap_max = if config.capture.enabled {
        config.capture.body_bytes
    } else {
        0
    };
    let watch = Watch::new(tap_max);
    let limits = BodyLimits {
        bytes: config.limits.body_bytes,
        stall: Duration::from_millis(config.timeouts.client_stall_ms),
    };
    let keep = config.limits.retry_body_bytes;
    let short = head.headers.get(CONTENT_LENGTH).is_none() || body.size_hint().lower() <= keep as u64;
    let stream = Stream::new(body, watch.clone(), limits);
    if !head.is_idempotent() || keep == 0 || !short {
        return Ok((UpBody::Stream(Box::new(stream)), Some(watch)));
    }
    let body = UpBody::buffer(stream, keep)
        .await
        .map_err(body_in::BodyFault::refusal)?;
    Ok((body, Some(watch)))
}
