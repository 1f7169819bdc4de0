//! What is noted of an exchange: counts, failures, captures.

use super::body_in::Watch;
use super::headers::RequestHead;
use super::target::{Routing, Target};
use crate::capture::Kind;
use crate::clock;
use crate::control::{
    Capture, CaptureId, CapturedResponse, FailureEvent, FailureKind, Role, ShapeRow, TransportError, is_state_changing,
};
use crate::route::{RouteId, RouteKey};
use crate::shape::{Shaper, media_of, target_hash};
use crate::stats::{Ending, Release, Seen};
use crate::worker::Worker;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode, response};
use std::rc::Rc;
use std::time::Instant;

/// A response or the lack of one, for the record.
pub(super) enum Outcome<'a> {
    Response(&'a response::Parts),
    Nothing(TransportError),
}

impl Outcome<'_> {
    pub(super) fn failure(&self) -> Option<FailureKind> {
        match self {
            Self::Response(r) if r.status.is_server_error() => Some(FailureKind::Status(r.status.as_u16())),
            Self::Response(_) => None,
            Self::Nothing(e) => Some(FailureKind::Transport(*e)),
        }
    }

    fn ending(&self) -> Ending {
        match self {
            Self::Response(r) => Ending::Status(r.status.as_u16()),
            Self::Nothing(_) => Ending::NoResponse,
        }
    }
}

/// What is remembered of a request for its record.
pub(super) struct Noted {
    pub(super) head: Rc<RequestHead>,
    pub(super) started: Instant,
    pub(super) route: RouteKey,
    /// The request body as far as it has gone by, if there is one.
    pub(super) watch: Option<Rc<Watch>>,
}

impl Noted {
    fn latency_us(&self) -> u64 {
        clock::micros(self.started.elapsed())
    }

    /// The route, which a release's first answer to it makes a known one: "not found" does not.
    pub(super) fn route(&mut self, w: &Worker, outcome: &Outcome<'_>) -> RouteId {
        let template = match &mut self.route {
            RouteKey::Known(id) => return *id,
            RouteKey::New(template) => template,
        };
        if let Outcome::Response(r) = outcome
            && matches!(
                r.status,
                StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::BAD_REQUEST
            )
        {
            return RouteId::UNMATCHED;
        }
        let id = w.routes.borrow_mut().intern(std::mem::take(template));
        self.route = RouteKey::Known(id);
        id
    }

    pub(super) fn known_route(&self) -> RouteId {
        match self.route {
            RouteKey::Known(id) => id,
            RouteKey::New(_) => RouteId::UNMATCHED,
        }
    }
}

/// One attempt's record: which capture was made of it, if any.
pub(super) struct Recorded {
    pub(super) route: RouteId,
    pub(super) capture: Option<(Kind, CaptureId)>,
    pub(super) latency_us: u64,
}

/// Counts an attempt and captures it if it is one to keep.
pub(super) fn attempt(
    w: &Worker,
    routing: &Routing,
    noted: &mut Noted,
    asked: Option<(&Target, Role)>,
    outcome: &Outcome<'_>,
) -> Recorded {
    let route = noted.route(w, outcome);
    let latency_us = noted.latency_us();
    if let Some((target, role)) = asked {
        let safe = noted.head.is_safe();
        w.stats
            .borrow_mut()
            .attempt(&target.release, route, role, safe, outcome.ending(), latency_us);
    }
    let kind = w.capture_kind(
        routing,
        route,
        is_state_changing(noted.head.method.as_str()),
        outcome.failure().is_some(),
    );
    let capture = kind.map(|kind| {
        (
            kind,
            capture(w, routing, noted, asked, outcome, (kind, route, latency_us)),
        )
    });
    w.tick.notify_one();
    Recorded {
        route,
        capture,
        latency_us,
    }
}

fn capture(
    w: &Worker,
    routing: &Routing,
    noted: &Noted,
    asked: Option<(&Target, Role)>,
    outcome: &Outcome<'_>,
    (kind, route, latency_us): (Kind, RouteId, u64),
) -> CaptureId {
    let head = &noted.head;
    let (kept, len) = noted.watch.as_ref().map(|w| w.tapped()).unwrap_or_default();
    let mut ring = w.ring.borrow_mut();
    let id = ring.next_id();
    let response = match outcome {
        Outcome::Response(r) => Some(CapturedResponse {
            status: r.status.as_u16(),
            headers: routing.redactor.headers(&r.headers),
            body: crate::control::Body::None,
        }),
        Outcome::Nothing(_) => None,
    };
    let capture = Capture {
        id,
        at_ms: clock::unix_ms_at(noted.started),
        order_us: clock::micros(noted.started.saturating_duration_since(w.booted)),
        release: asked.map(|(t, _)| t.release.name.to_string()),
        role: asked.map_or(Role::Primary, |(_, role)| role),
        route: w.routes.borrow().name(route).to_string(),
        method: head.method.as_str().to_owned(),
        uri: routing.redactor.uri(head.path_and_query()),
        headers: routing.redactor.headers(&head.headers),
        body: routing.redactor.body(&head.headers, &kept, len),
        response,
        failure: outcome.failure(),
        latency_us,
    };
    ring.push(kind, capture);
    id
}

/// Tells the daemon of a failure, unless the route has failed too often within the second.
pub(super) fn failure(
    w: &Worker,
    noted: &Noted,
    asked: Option<(&Target, Role)>,
    kind: FailureKind,
    recorded: &Recorded,
    answered_by: Option<&Target>,
) {
    let Some(suppressed) = w.may_report(recorded.route) else {
        return;
    };
    w.report(FailureEvent {
        capture_id: recorded.capture.map(|(_, id)| id),
        at_ms: clock::unix_ms_at(noted.started),
        release: asked.map(|(t, _)| t.release.name.to_string()),
        role: asked.map_or(Role::Primary, |(_, role)| role),
        route: w.routes.borrow().name(recorded.route).to_string(),
        method: noted.head.method.as_str().to_owned(),
        kind,
        latency_us: recorded.latency_us,
        answered_by: answered_by.map(|t| t.release.name.to_string()),
        client_saw_failure: answered_by.is_none(),
        idempotent: noted.head.is_idempotent(),
        suppressed,
    });
}

/// Follows a response body to its end.
pub(crate) struct BodyTrace {
    pub(super) w: Rc<Worker>,
    pub(super) routing: Rc<Routing>,
    pub(super) noted: NotedBody,
    pub(super) release: Release,
    pub(super) role: Role,
    pub(super) tap: Option<Box<Tap>>,
    pub(super) look: Option<Box<Look>>,
    pub(super) over: bool,
}

/// What is left of the request's record while the body is on its way.
pub(super) struct NotedBody {
    pub(super) route: RouteId,
    pub(super) head: Rc<RequestHead>,
    pub(super) started: Instant,
    pub(super) client_saw_failure: bool,
}

/// Looks at the structure of an answer.
pub(super) struct Look {
    status: u16,
    media: String,
    shaper: Shaper,
}

impl Look {
    /// For an answer with this head, if it is one whose structure is to be taken: whole answers that claim success, a
    /// small share of them.
    pub(super) fn at(
        w: &Worker,
        route: RouteId,
        role: Role,
        head: &RequestHead,
        answer: &response::Parts,
    ) -> Option<Box<Self>> {
        let status = answer.status.as_u16();
        let partial = matches!(status, 206 | 226 | 304);
        if !(200..400).contains(&status) || partial || head.method == Method::HEAD || !w.may_shape(route, role) {
            return None;
        }
        let text = |name| answer.headers.get(name).and_then(|v| v.to_str().ok());
        let encoded = text(CONTENT_ENCODING).is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"));
        let media = media_of(text(CONTENT_TYPE));
        let shaper = Shaper::new(&media, encoded);
        Some(Box::new(Self { status, media, shaper }))
    }
}

/// Keeps the beginning of a response body for its capture.
pub(super) struct Tap {
    pub(super) capture: (Kind, CaptureId),
    pub(super) headers: HeaderMap,
    pub(super) kept: Vec<u8>,
    pub(super) seen: u64,
    pub(super) max: usize,
}

impl Tap {
    pub(super) fn store(&self, w: &Worker, routing: &Routing) {
        let body = routing.redactor.body(&self.headers, &self.kept, self.seen);
        w.ring
            .borrow_mut()
            .set_response_body(self.capture.0, self.capture.1, body);
    }
}

impl BodyTrace {
    pub(super) fn note(&mut self, data: &Bytes) {
        if let Some(look) = &mut self.look {
            look.shaper.feed(data);
        }
        if let Some(tap) = &mut self.tap {
            tap.seen += data.len() as u64;
            let room = tap.max.saturating_sub(tap.kept.len()).min(data.len());
            tap.kept.extend_from_slice(&data[..room]);
        }
    }

    pub(super) fn ended(&mut self) {
        self.over = true;
        self.store_tap();
        let Some(look) = self.look.take() else { return };
        let row = ShapeRow {
            release: self.release.name.to_string(),
            route: self.w.routes.borrow().name(self.noted.route).to_string(),
            role: self.role,
            status: look.status,
            media: look.media,
            target: target_hash(self.noted.head.path_and_query()),
            body: look.shaper.finish(true),
        };
        self.w.stats.borrow_mut().shape(row);
        self.w.tick.notify_one();
    }

    fn store_tap(&mut self) {
        if let Some(tap) = self.tap.take() {
            tap.store(&self.w, &self.routing);
        }
    }

    /// The upstream did not end the body: the client sees that, whatever the status was.
    pub(super) fn broke(&mut self, error: TransportError) {
        self.over = true;
        let capture = self.tap.as_ref().map(|t| t.capture);
        self.store_tap();
        let n = &self.noted;
        let (safe, idempotent) = (n.head.is_safe(), n.head.is_idempotent());
        let latency_us = clock::micros(n.started.elapsed());
        {
            let mut stats = self.w.stats.borrow_mut();
            stats.attempt(&self.release, n.route, self.role, safe, Ending::BodyBroke, latency_us);
            if !n.client_saw_failure {
                stats.broke_off(n.route, idempotent);
            }
        }
        self.w.tick.notify_one();
        let Some(suppressed) = self.w.may_report(n.route) else {
            return;
        };
        self.w.report(FailureEvent {
            capture_id: capture.map(|(_, id)| id),
            at_ms: clock::unix_ms_at(n.started),
            release: Some(self.release.name.to_string()),
            role: self.role,
            route: self.w.routes.borrow().name(n.route).to_string(),
            method: n.head.method.as_str().to_owned(),
            kind: FailureKind::Transport(error),
            latency_us,
            answered_by: None,
            client_saw_failure: true,
            idempotent,
            suppressed,
        });
    }
}

impl Drop for BodyTrace {
    fn drop(&mut self) {
        if !self.over {
            self.store_tap();
            self.w.stats.borrow_mut().totals_mut().aborted += 1;
        }
    }
}

/// Counts what the client got in the end.
pub(super) fn answered(w: &Worker, noted: &Noted, route: RouteId, failed: bool, failed_over: bool) {
    let seen = Seen {
        failed,
        idempotent: noted.head.is_idempotent(),
        failed_over,
    };
    w.stats.borrow_mut().answered(route, seen);
}
