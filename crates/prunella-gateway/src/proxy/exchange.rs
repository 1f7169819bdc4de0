//! A request that was taken in: who is asked, who is asked next, and what the client gets.

use super::attempt::{Attempt, Failed, Sent};
use super::body_in::{self, BodyFault, UpBody};
use super::body_out::OutBody;
use super::record::{self, BodyTrace, Look, Noted, NotedBody, Outcome, Recorded, Tap};
use super::reply::Refusal;
use super::target::{Routing, Target};
use super::{headers, upgrade};
use crate::control::{FailureKind, Role, TransportError};
use crate::server::ClientInfo;
use crate::stats::{Ending, status_for};
use crate::worker::Worker;
use http::{Response, StatusCode, response};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// First and longest pause between two attempts to connect while a request is held.
const PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));
/// How long, and of how many bytes, the body of a failed response is read for its capture.
const DRAIN: (Duration, u64) = (Duration::from_secs(1), 1 << 20);

/// A request on its way. Dropped before its end when the client gives up.
pub(super) struct Exchange {
    w: Rc<Worker>,
    client: Rc<ClientInfo>,
    noted: Noted,
    upgrade: Option<OnUpgrade>,
    asking: Option<(Rc<Target>, Role)>,
    over: bool,
}

/// The answer that a failed attempt left.
enum Bad {
    Status(Box<Sent>),
    Nothing(TransportError),
}

impl Exchange {
    pub(super) fn new(w: Rc<Worker>, client: Rc<ClientInfo>, noted: Noted, upgrade: OnUpgrade) -> Self {
        Self {
            w,
            client,
            noted,
            upgrade: Some(upgrade),
            asking: None,
            over: false,
        }
    }

    pub(super) async fn answer(mut self, body: UpBody) -> Response<OutBody> {
        let response = self.first_attempts(body).await;
        self.over = true;
        response
    }

    /// Asks the chosen release, waiting for one as long as `hold_ms` allows.
    async fn first_attempts(&mut self, mut body: UpBody) -> Response<OutBody> {
        let mut hold = Hold::new(self.w.clone(), self.noted.started);
        loop {
            let routing = self.w.routing();
            let Some((role, target)) = self.choose(&routing) else {
                match hold.wait(&routing).await {
                    Ok(()) => continue,
                    Err(refusal) => return self.nobody(&routing, refusal),
                }
            };
            let again = body.again();
            match self.ask(&routing, &target, role, body).await {
                Ok(sent) if !sent.response.status().is_server_error() => {
                    return self.deliver(&routing, &target, role, sent, false);
                }
                Ok(sent) => {
                    let again = again.filter(|_| self.noted.head.is_idempotent());
                    return self
                        .bad(&routing, (&target, role), Bad::Status(Box::new(sent)), again)
                        .await;
                }
                Err(failed) => {
                    if let Some(fault) = self.noted.watch.as_ref().and_then(|w| w.fault.get()) {
                        return self.client_fault(fault);
                    }
                    let refused = failed.kind == TransportError::ConnectRefused;
                    let alone = routing.second(&target, role).is_none();
                    match failed.unsent {
                        Some(unsent) if refused && alone && hold.wait(&routing).await.is_ok() => body = unsent,
                        unsent => {
                            let again = unsent.or_else(|| again.filter(|_| self.noted.head.is_idempotent()));
                            return self
                                .bad(&routing, (&target, role), Bad::Nothing(failed.kind), again)
                                .await;
                        }
                    }
                }
            }
        }
    }

    fn choose(&self, routing: &Routing) -> Option<(Role, Rc<Target>)> {
        if let Some((canary, dealer)) = &routing.canary
            && dealer.deal(&self.noted.head.headers, self.client.ip)
        {
            return Some((Role::Canary, canary.clone()));
        }
        let primary = routing.primary.clone().map(|t| (Role::Primary, t));
        primary.or_else(|| routing.fallback.clone().map(|t| (Role::Fallback, t)))
    }

    async fn ask(&mut self, routing: &Routing, target: &Rc<Target>, role: Role, body: UpBody) -> Result<Sent, Failed> {
        self.asking = Some((target.clone(), role));
        let attempt = Attempt {
            w: &self.w,
            target,
            head: &self.noted.head,
            watch: self.noted.watch.as_deref(),
            timeouts: &routing.config.timeouts,
        };
        attempt.run(body).await
    }

    /// A failure: another release answers if it may and can, else the client gets what there is.
    async fn bad(
        &mut self,
        routing: &Rc<Routing>,
        (target, role): (&Rc<Target>, Role),
        bad: Bad,
        again: Option<UpBody>,
    ) -> Response<OutBody> {
        let (parts, rest) = match bad {
            Bad::Status(sent) => {
                let (parts, body) = sent.response.into_parts();
                (Ok(parts), Some((body, sent.lease)))
            }
            Bad::Nothing(kind) => (Err(kind), None),
        };
        let outcome = match &parts {
            Ok(p) => Outcome::Response(p),
            Err(kind) => Outcome::Nothing(*kind),
        };
        let recorded = record::attempt(&self.w, routing, &mut self.noted, Some((target, role)), &outcome);
        let kind = outcome
            .failure()
            .unwrap_or(FailureKind::Transport(TransportError::Closed));
        let second = match again {
            Some(body) => self.second_chance(routing, target, role, body, recorded.route).await,
            None => None,
        };
        let asked = Some((&**target, role));
        record::failure(
            &self.w,
            &self.noted,
            asked,
            kind,
            &recorded,
            second.as_ref().map(|(t, _)| &**t),
        );
        if let Some((other, sent)) = second {
            if let (Ok(p), Some(rest)) = (parts, rest) {
                self.drain_for_capture(routing, &recorded, p, rest);
            }
            return self.deliver(routing, &other, Role::Fallback, sent, true);
        }
        record::answered(&self.w, &self.noted, recorded.route, true, false);
        match (parts, rest) {
            (Ok(parts), Some((body, lease))) => self.relay(
                routing,
                (target, role),
                parts,
                Sent {
                    response: Response::new(body),
                    lease,
                },
                &recorded,
            ),
            (Err(kind), _) => self.without_answer(kind),
            (Ok(_), None) => self.without_answer(TransportError::Closed),
        }
    }

    /// Asks another release. Its answer counts only if it is better than the first one.
    async fn second_chance(
        &mut self,
        routing: &Rc<Routing>,
        failed: &Target,
        role: Role,
        body: UpBody,
        route: crate::route::RouteId,
    ) -> Option<(Rc<Target>, Sent)> {
        let other = routing.second(failed, role)?;
        if !self.w.may_fail_over(route) {
            self.w.stats.borrow_mut().totals_mut().failovers_suppressed += 1;
            return None;
        }
        let result = self.ask(routing, &other, Role::Fallback, body).await;
        let good = matches!(&result, Ok(s) if !s.response.status().is_server_error());
        self.w.failed_over(route, good);
        match result {
            Ok(sent) if good => Some((other, sent)),
            result => {
                let parts = result.map(|s| s.response.into_parts().0);
                let outcome = match &parts {
                    Ok(p) => Outcome::Response(p),
                    Err(f) => Outcome::Nothing(f.kind),
                };
                record::attempt(
                    &self.w,
                    routing,
                    &mut self.noted,
                    Some((&other, Role::Fallback)),
                    &outcome,
                );
                None
            }
        }
    }

    /// Reads the beginning of a failed response that the client does not get.
    fn drain_for_capture(
        &self,
        routing: &Rc<Routing>,
        recorded: &Recorded,
        parts: response::Parts,
        (body, lease): (Incoming, Option<super::target::Lease>),
    ) {
        let max = routing.config.capture.body_bytes;
        let (w, routing, capture) = (self.w.clone(), routing.clone(), recorded.capture);
        tokio::task::spawn_local(async move {
            let keep = if capture.is_some() { max } else { 0 };
            let read = tokio::time::timeout(DRAIN.0, body_in::drain(body, keep, DRAIN.1)).await;
            drop(lease);
            if let (Some(capture), Ok((kept, seen))) = (capture, read) {
                Tap {
                    capture,
                    headers: parts.headers,
                    kept,
                    seen,
                    max,
                }
                .store(&w, &routing);
            }
        });
    }

    /// Gives the client an answer below 500.
    fn deliver(
        &mut self,
        routing: &Rc<Routing>,
        target: &Rc<Target>,
        role: Role,
        sent: Sent,
        failed_over: bool,
    ) -> Response<OutBody> {
        let Sent { response, lease } = sent;
        let (parts, body) = response.into_parts();
        let outcome = Outcome::Response(&parts);
        let recorded = record::attempt(&self.w, routing, &mut self.noted, Some((target, role)), &outcome);
        record::answered(&self.w, &self.noted, recorded.route, false, failed_over);
        self.relay(
            routing,
            (target, role),
            parts,
            Sent {
                response: Response::new(body),
                lease,
            },
            &recorded,
        )
    }

    /// Passes head and body on. `sent.response` carries the body, `parts` the head.
    fn relay(
        &mut self,
        routing: &Rc<Routing>,
        (target, role): (&Rc<Target>, Role),
        mut parts: response::Parts,
        sent: Sent,
        recorded: &Recorded,
    ) -> Response<OutBody> {
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return self.switch_protocols(parts, sent);
        }
        let tap = recorded.capture.map(|capture| {
            let max = routing.config.capture.body_bytes;
            Box::new(Tap {
                capture,
                headers: parts.headers.clone(),
                kept: Vec::new(),
                seen: 0,
                max,
            })
        });
        let look = Look::at(&self.w, recorded.route, role, &self.noted.head, &parts);
        headers::response(&mut parts.headers);
        parts.version = http::Version::HTTP_11;
        let noted = NotedBody {
            route: recorded.route,
            head: self.noted.head.clone(),
            started: self.noted.started,
            client_saw_failure: parts.status.is_server_error(),
        };
        let release = target.release.clone();
        let trace = BodyTrace {
            w: self.w.clone(),
            routing: routing.clone(),
            noted,
            release,
            role,
            tap,
            look,
            over: false,
        };
        let idle = Duration::from_millis(routing.config.timeouts.body_idle_ms);
        let body = OutBody::relay(sent.response.into_body(), sent.lease, idle, trace);
        Response::from_parts(parts, body)
    }

    fn switch_protocols(&mut self, parts: response::Parts, sent: Sent) -> Response<OutBody> {
        let protocol = parts.headers.get(http::header::UPGRADE).cloned();
        let (Some(client), Some(_), Some(protocol)) = (self.upgrade.take(), &self.noted.head.upgrade, protocol) else {
            return Refusal::code(502, "the service switched protocols without being asked").response();
        };
        let mut to_client = Response::new(OutBody::empty());
        *to_client.status_mut() = parts.status;
        *to_client.headers_mut() = parts.headers.clone();
        headers::response(to_client.headers_mut());
        to_client.headers_mut().insert(http::header::UPGRADE, protocol);
        let connection = http::HeaderValue::from_static("upgrade");
        to_client.headers_mut().insert(http::header::CONNECTION, connection);
        let (_, body) = sent.response.into_parts();
        let mut from_upstream = Response::from_parts(parts, body);
        let upstream = hyper::upgrade::on(&mut from_upstream);
        self.client.state.upgraded();
        let guard = self.client.state.clone();
        tokio::task::spawn_local(async move {
            upgrade::relay(client, upstream).await;
            drop(guard);
        });
        to_client
    }

    fn without_answer(&self, kind: TransportError) -> Response<OutBody> {
        let (status, reason) = status_for(kind);
        Refusal::code(status, reason).response()
    }

    /// No release came up in time.
    fn nobody(&mut self, routing: &Rc<Routing>, refusal: Refusal) -> Response<OutBody> {
        let outcome = Outcome::Nothing(TransportError::NoRelease);
        let recorded = record::attempt(&self.w, routing, &mut self.noted, None, &outcome);
        let kind = FailureKind::Transport(TransportError::NoRelease);
        record::failure(&self.w, &self.noted, None, kind, &recorded, None);
        record::answered(&self.w, &self.noted, recorded.route, true, false);
        refusal.response()
    }

    fn client_fault(&self, fault: BodyFault) -> Response<OutBody> {
        self.w.stats.borrow_mut().totals_mut().refused += 1;
        self.client.state.linger();
        fault.refusal().response()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let route = self.noted.known_route();
        let mut stats = self.w.stats.borrow_mut();
        stats.totals_mut().aborted += 1;
        if let Some((target, role)) = &self.asking {
            stats.attempt(
                &target.release,
                route,
                *role,
                self.noted.head.is_safe(),
                Ending::Aborted,
                0,
            );
        }
        drop(stats);
        self.w.tick.notify_one();
    }
}

/// A request's waiting for a release.
struct Hold {
    w: Rc<Worker>,
    started: Instant,
    pause: Duration,
    counted: bool,
}

impl Hold {
    fn new(w: Rc<Worker>, started: Instant) -> Self {
        Self {
            w,
            started,
            pause: PAUSE.0,
            counted: false,
        }
    }

    /// Waits for a change of the configuration or a pause, whichever is first.
    async fn wait(&mut self, routing: &Routing) -> Result<(), Refusal> {
        let left = Duration::from_millis(routing.config.hold_ms).saturating_sub(self.started.elapsed());
        if left.is_zero() {
            return Err(Refusal::code(503, "no release of the service is active"));
        }
        if !self.counted {
            if self.w.held.get() >= routing.config.limits.held {
                return Err(Refusal::code(
                    503,
                    "too many requests wait for a release of the service",
                ));
            }
            self.w.held.set(self.w.held.get() + 1);
            self.counted = true;
        }
        let changed = self.w.changed.notified();
        // Without anybody to ask, only a change can help; a refusing release may come up by itself.
        let pause = if routing.primary.is_some() {
            self.pause.min(left)
        } else {
            left
        };
        self.pause = (self.pause * 2).min(PAUSE.1);
        let _ = tokio::time::timeout(pause, changed).await;
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.counted {
            self.w.held.set(self.w.held.get() - 1);
        }
    }
}
