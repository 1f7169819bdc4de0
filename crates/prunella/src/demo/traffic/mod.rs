//! Customers: an open-loop load over loopback.
//!
//! Requests are due at absolute times whatever the answers do, and a latency counts from the time at which its request
//! was due, so that a service that stands still is seen to do so (Tene's "coordinated omission").

mod plan;
mod random;
mod schedule;
mod tally;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub(crate) use plan::{PlanError, TrafficPlan};
pub(crate) use tally::{Answer, Tally, Window};

use crate::clock;
use plan::Drawn;
use random::Random;
use schedule::Schedule;

/// How long a customer waits for a whole answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests under way at one time. More are not sent and count as failed.
const MAX_IN_FLIGHT: usize = 2_000;
/// The largest body that is read.
const MAX_BODY: usize = 1 << 20;
/// Any number will do; a fixed one makes runs alike.
const SEED: u64 = 1;

/// The running load.
#[derive(Debug)]
pub(crate) struct Load {
    phase: Arc<AtomicUsize>,
    tally: Arc<Mutex<Tally>>,
    generator: JoinSet<()>,
}

/// What each request needs.
#[derive(Clone)]
struct Customers {
    client: Client<HttpConnector, Full<Bytes>>,
    addr: SocketAddr,
    plan: Arc<TrafficPlan>,
    tally: Arc<Mutex<Tally>>,
}

impl Load {
    /// Begins to send at `rate` requests a second, those of `phase`.
    pub(crate) fn start(plan: Arc<TrafficPlan>, addr: SocketAddr, rate: u32, phase: usize) -> Self {
        let tally = Arc::new(Mutex::new(Tally::new(plan.templates())));
        let phase = Arc::new(AtomicUsize::new(phase));
        let customers = Customers {
            client: client(),
            addr,
            plan,
            tally: Arc::clone(&tally),
        };
        let mut generator = JoinSet::new();
        generator.spawn(generate(customers, Schedule::per_second(rate), Arc::clone(&phase)));
        Self {
            phase,
            tally,
            generator,
        }
    }

    /// Sends requests of another phase from now on, and begins a window with them.
    pub(crate) fn phase(&self, phase: usize) -> usize {
        self.phase.store(phase, Ordering::Relaxed);
        self.mark()
    }

    /// Begins a window, and returns its index.
    pub(crate) fn mark(&self) -> usize {
        lock(&self.tally).mark()
    }

    /// What was counted so far.
    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.tally)
    }

    /// Sends no more, and waits for the answers that are under way.
    pub(crate) async fn stop(mut self) -> Tally {
        self.phase.store(STOPPED, Ordering::Relaxed);
        while self.generator.join_next().await.is_some() {}
        lock(&self.tally).clone()
    }
}

/// The phase in which nothing is sent.
const STOPPED: usize = usize::MAX;

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

fn client() -> Client<HttpConnector, Full<Bytes>> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(PATIENCE));
    // Like every client, it sends a request again when the idle connection that it chose turns out to be closed before
    // a byte of it was sent; anything later is a failure.
    Client::builder(TokioExecutor::new()).build(connector)
}

async fn generate(customers: Customers, schedule: Schedule, phase: Arc<AtomicUsize>) {
    let mut random = Random::new(SEED);
    let mut under_way = JoinSet::new();
    let began = Instant::now();
    for number in 0.. {
        let due = began + schedule.due(number);
        tokio::time::sleep_until(due).await;
        let phase = phase.load(Ordering::Relaxed);
        if phase == STOPPED {
            break;
        }
        while under_way.try_join_next().is_some() {}
        let drawn = customers.plan.draw(phase, &mut random);
        let window = lock(&customers.tally).current();
        if under_way.len() >= MAX_IN_FLIGHT {
            let none = Duration::ZERO;
            lock(&customers.tally).record(window, drawn.template, &Answer::NotSent, none, clock::now_ms());
        } else {
            under_way.spawn(customers.clone().visit(drawn, window, due));
        }
    }
    while under_way.join_next().await.is_some() {}
}

impl Customers {
    async fn visit(self, drawn: Drawn, window: usize, due: Instant) {
        let template = drawn.template;
        let answer = match tokio::time::timeout(PATIENCE, self.ask(drawn)).await {
            Ok(answer) => answer,
            Err(_) => Answer::TimedOut,
        };
        lock(&self.tally).record(window, template, &answer, due.elapsed(), clock::now_ms());
    }

    async fn ask(&self, drawn: Drawn) -> Answer {
        let method = self.plan.templates()[drawn.template].method.clone();
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("http://{}{}", self.addr, drawn.target))
            .header(HOST, self.addr.to_string());
        if drawn.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = match request.body(Full::new(drawn.body.unwrap_or_default())) {
            Ok(request) => request,
            Err(error) => return Answer::Broken(format!("the request has no valid form: {error}")),
        };
        match self.client.request(request).await {
            Ok(response) => {
                let status = response.status().as_u16();
                match Limited::new(response.into_body(), MAX_BODY).collect().await {
                    Ok(_) => Answer::Status(status),
                    Err(error) => Answer::Broken(format!("the answer broke off: {error}")),
                }
            }
            Err(error) => Answer::Broken(with_cause(&error)),
        }
    }
}

fn with_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// Asks once with GET; the status, or what went wrong.
pub(super) async fn status_of(addr: SocketAddr, path: &str, patience: Duration) -> Result<u16, String> {
    let uri = format!("http://{addr}{path}").parse().map_err(|e| format!("{e}"))?;
    match tokio::time::timeout(patience, client().get(uri)).await {
        Ok(Ok(response)) => Ok(response.status().as_u16()),
        Ok(Err(error)) => Err(with_cause(&error)),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

#[cfg(test)]
mod tests;
