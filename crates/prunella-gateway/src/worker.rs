//! A worker: one thread, one runtime, everything about its connections in its own memory.

use crate::capture::{Kind, Ring};
use crate::clock::{self, CoarseClock};
use crate::control::{Capture, CaptureFilter, FailureEvent, Limits, Role, RouteConfig};
use crate::gate::Bucket;
use crate::proxy::Routing;
use crate::route::{RouteId, RouteTable};
use crate::server::{self, ConnState, Permit, Reason};
use crate::stats::{Delta, Stats};
use std::cell::{Cell, RefCell};
use std::net::{SocketAddr, TcpStream as StdTcpStream};
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_rustls::TlsAcceptor;

/// How often changes are handed to the control thread, at most.
pub(crate) const TICK: Duration = Duration::from_millis(25);
/// How long until a worker that has more to say than is taken tries again.
const RETRY: Duration = Duration::from_millis(20);
/// Failure events per route and second, and at once.
const EVENTS: (f64, f64) = (50.0, 100.0);
/// State-changing requests and failures captured per second and worker, and at once.
const CAPTURES: (f64, f64) = (500.0, 1000.0);
/// A route's successes are sampled at most once in this time.
const SAMPLE_EVERY_MS: u64 = 250;

/// Structures of answers taken per route, role and second, and at once: enough for a comparison within seconds, and
/// of a busy route a small share.
const SHAPES: (f64, f64) = (20.0, 10.0);
/// The same for all routes of a worker together.
const SHAPES_OF_ALL: (f64, f64) = (200.0, 100.0);

/// What a worker is told.
pub(crate) enum ToWorker {
    Connection(StdTcpStream, SocketAddr, Permit),
    Configure(Arc<RouteConfig>, oneshot::Sender<()>),
    /// Hand over what has changed now; answered after that.
    Flush(oneshot::Sender<()>),
    Captures(CaptureFilter, oneshot::Sender<(Vec<Capture>, u64)>),
    Drain,
}

/// What a worker says.
pub(crate) enum FromWorker {
    Delta(Box<Delta>),
    Failure(Box<FailureEvent>),
    /// Everything said before has been taken once this is answered.
    Barrier(oneshot::Sender<()>),
}

/// What a worker is made with.
pub(crate) struct WorkerSetup {
    pub(crate) number: u16,
    pub(crate) workers: usize,
    pub(crate) booted: Instant,
    pub(crate) boot_ms: u64,
    pub(crate) config: Arc<RouteConfig>,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) inbox: mpsc::Receiver<ToWorker>,
    pub(crate) outbox: mpsc::Sender<FromWorker>,
}

/// Runs futures on the worker's own thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalExec;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExec
where
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// What is bounded per route.
struct RouteGate {
    events: Bucket,
    suppressed: u64,
    fallback: Bucket,
    sampled_ms: u64,
    /// By role.
    shapes: [Bucket; 3],
}

/// A worker's state. Requests share it through an `Rc`; no borrow is held over an `await`.
pub(crate) struct Worker {
    pub(crate) clock: Arc<CoarseClock>,
    pub(crate) booted: Instant,
    pub(crate) routes: RefCell<RouteTable>,
    pub(crate) stats: RefCell<Stats>,
    pub(crate) ring: RefCell<Ring>,
    /// Woken when there is something to hand over.
    pub(crate) tick: Notify,
    /// Woken when the configuration has changed.
    pub(crate) changed: Notify,
    /// Requests that wait for a release.
    pub(crate) held: Cell<usize>,
    workers: usize,
    routing: RefCell<Rc<Routing>>,
    next_uid: Cell<u32>,
    gates: RefCell<Vec<RouteGate>>,
    /// For changes and for failures, so that neither uses up the other's room.
    captures: RefCell<[Bucket; 2]>,
    not_recorded: Cell<u64>,
    shapes: RefCell<Bucket>,
    connections: RefCell<Vec<Weak<ConnState>>>,
    connected: Notify,
    draining: Cell<bool>,
    tls: Option<TlsAcceptor>,
    outbox: mpsc::Sender<FromWorker>,
}

/// Runs a worker until its inbox is closed.
pub(crate) async fn run(setup: WorkerSetup) {
    let mut inbox = setup.inbox;
    let next_uid = Cell::new(0);
    let routing = Routing::new((*setup.config).clone(), None, &next_uid);
    let mut ring = Ring::new(setup.boot_ms, setup.number);
    ring.configure(&setup.config.capture, setup.workers);
    let w = Rc::new(Worker {
        clock: Arc::new(CoarseClock::new()),
        booted: setup.booted,
        routes: RefCell::new(RouteTable::new(setup.config.limits.routes)),
        stats: RefCell::default(),
        ring: RefCell::new(ring),
        tick: Notify::new(),
        changed: Notify::new(),
        held: Cell::new(0),
        workers: setup.workers,
        routing: RefCell::new(Rc::new(routing)),
        next_uid,
        gates: RefCell::default(),
        captures: RefCell::new([(); 2].map(|()| Bucket::new(CAPTURES.0, CAPTURES.1))),
        not_recorded: Cell::new(0),
        shapes: RefCell::new(Bucket::new(SHAPES_OF_ALL.0, SHAPES_OF_ALL.1)),
        connections: RefCell::default(),
        connected: Notify::new(),
        draining: Cell::new(false),
        tls: setup.tls,
        outbox: setup.outbox,
    });
    tokio::task::spawn_local(hand_over(w.clone()));
    tokio::task::spawn_local(sweep(w.clone()));
    while let Some(told) = inbox.recv().await {
        w.obey(told);
    }
}

/// Hands changes over, as soon as there are some and at most once a [`TICK`].
async fn hand_over(w: Rc<Worker>) {
    loop {
        w.tick.notified().await;
        while w.stats.borrow().is_dirty() && !w.flush() {
            tokio::time::sleep(RETRY).await;
        }
        tokio::time::sleep(TICK).await;
    }
}

/// Enforces the timeouts of connections, as long as there are any.
async fn sweep(w: Rc<Worker>) {
    loop {
        let routing = w.routing();
        let t = &routing.config.timeouts;
        if w.connections.borrow().is_empty() {
            w.connected.notified().await;
        }
        let shortest = t.header_ms.min(t.client_idle_ms).min(t.client_stall_ms);
        tokio::time::sleep(Duration::from_millis((shortest / 4).clamp(10, 250))).await;
        w.clock.advance(Instant::now());
        w.connections.borrow_mut().retain(|c| {
            let Some(c) = c.upgrade() else { return false };
            if let Some(reason) = c.overdue(t) {
                c.end(reason);
            }
            true
        });
        let oldest = w.clock.now_ms().saturating_sub(t.upstream_idle_ms);
        routing.targets().iter().for_each(|target| target.prune(oldest));
    }
}

impl Worker {
    pub(crate) fn routing(&self) -> Rc<Routing> {
        self.routing.borrow().clone()
    }

    fn obey(self: &Rc<Self>, told: ToWorker) {
        match told {
            ToWorker::Connection(stream, peer, permit) => self.connect(stream, peer, permit),
            ToWorker::Configure(config, done) => {
                self.configure(&config);
                let _ = done.send(());
            }
            ToWorker::Flush(done) => {
                if self.stats.borrow().is_dirty() {
                    self.flush();
                }
                // Dropped, and with it the answer, when the control thread is far behind.
                let _ = self.outbox.try_send(FromWorker::Barrier(done));
            }
            ToWorker::Captures(filter, answer) => {
                let found = self.ring.borrow_mut().find(&filter, clock::unix_ms());
                let _ = answer.send((found, self.not_recorded.get()));
            }
            ToWorker::Drain => {
                self.draining.set(true);
                let open: Vec<_> = self.connections.borrow().iter().filter_map(Weak::upgrade).collect();
                open.iter().for_each(|c| c.end(Reason::Drain));
            }
        }
    }

    fn connect(self: &Rc<Self>, stream: StdTcpStream, peer: SocketAddr, permit: Permit) {
        let stream = match tokio::net::TcpStream::from_std(stream) {
            Ok(s) => s,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken over");
                return;
            }
        };
        // Small responses must not wait for acknowledgements of earlier ones.
        let _ = stream.set_nodelay(true);
        self.clock.advance(Instant::now());
        let state = ConnState::new(self.clock.clone(), permit);
        if self.draining.get() {
            state.end(Reason::Drain);
        }
        self.connections.borrow_mut().push(Arc::downgrade(&state));
        self.connected.notify_one();
        self.stats.borrow_mut().totals_mut().connections += 1;
        self.tick.notify_one();
        tokio::task::spawn_local(server::serve(self.clone(), stream, peer, self.tls.clone(), state));
    }

    fn configure(&self, config: &RouteConfig) {
        let before = self.routing();
        let routing = Routing::new(config.clone(), Some(&before), &self.next_uid);
        self.ring.borrow_mut().configure(&config.capture, self.workers);
        self.routes.borrow_mut().set_max(config.limits.routes);
        for gate in self.gates.borrow_mut().iter_mut() {
            gate.fallback = fallback_bucket(&config.limits);
        }
        self.routing.replace(Rc::new(routing));
        self.changed.notify_waiters();
    }

    /// Hands over what has changed; `false` when nobody takes it now.
    fn flush(&self) -> bool {
        match self.outbox.try_reserve() {
            Ok(place) => {
                let delta = self.stats.borrow_mut().take(&self.routes.borrow());
                place.send(FromWorker::Delta(Box::new(delta)));
                true
            }
            Err(mpsc::error::TrySendError::Full(())) => false,
            Err(mpsc::error::TrySendError::Closed(())) => true,
        }
    }

    fn gate<T>(&self, route: RouteId, f: impl FnOnce(&mut RouteGate) -> T) -> T {
        let mut gates = self.gates.borrow_mut();
        let i = route.0 as usize;
        if gates.len() <= i {
            let limits = &self.routing.borrow().config.limits;
            gates.resize_with(i + 1, || RouteGate {
                events: Bucket::new(EVENTS.0, EVENTS.1),
                suppressed: 0,
                fallback: fallback_bucket(limits),
                sampled_ms: 0,
                shapes: [(); 3].map(|()| Bucket::new(SHAPES.0, SHAPES.1)),
            });
        }
        f(&mut gates[i])
    }

    /// Whether a failure of this route may be reported now, and how many were not since the last.
    pub(crate) fn may_report(&self, route: RouteId) -> Option<u64> {
        let now = self.clock.now_ms();
        let allowed = self.gate(route, |g| {
            if g.events.take(now) {
                return Some(std::mem::take(&mut g.suppressed));
            }
            g.suppressed += 1;
            None
        });
        if allowed.is_none() {
            self.stats.borrow_mut().totals_mut().events_suppressed += 1;
        }
        allowed
    }

    pub(crate) fn report(&self, event: FailureEvent) {
        if self.outbox.try_send(FromWorker::Failure(Box::new(event))).is_err() {
            self.stats.borrow_mut().totals_mut().events_suppressed += 1;
        }
    }

    /// Whether the fallback may be asked: not when its own failures on this route used up the budget.
    pub(crate) fn may_fail_over(&self, route: RouteId) -> bool {
        let now = self.clock.now_ms();
        self.gate(route, |g| g.fallback.has_token(now))
    }

    pub(crate) fn failed_over(&self, route: RouteId, good: bool) {
        self.gate(route, |g| if good { g.fallback.refund() } else { g.fallback.charge() });
    }

    /// Whether the structure of this answer is to be looked at.
    pub(crate) fn may_shape(&self, route: RouteId, role: Role) -> bool {
        let now = self.clock.now_ms();
        let due = self.gate(route, |g| g.shapes[role as usize].has_token(now));
        if !due || !self.shapes.borrow_mut().take(now) {
            return false;
        }
        self.gate(route, |g| g.shapes[role as usize].take(now))
    }

    /// Whether, and in which lane, an exchange is to be captured.
    pub(crate) fn capture_kind(&self, routing: &Routing, route: RouteId, change: bool, failed: bool) -> Option<Kind> {
        if !routing.config.capture.enabled {
            return None;
        }
        let now = self.clock.now_ms();
        if failed || change {
            if self.captures.borrow_mut()[usize::from(failed)].take(now) {
                return Some(if failed { Kind::Failure } else { Kind::Change });
            }
            self.not_recorded.set(self.not_recorded.get() + 1);
            return None;
        }
        let due = self.gate(route, |g| {
            let due = g.sampled_ms == 0 || now.saturating_sub(g.sampled_ms) >= SAMPLE_EVERY_MS;
            if due {
                g.sampled_ms = now;
            }
            due
        });
        due.then_some(Kind::Sample)
    }
}

fn fallback_bucket(limits: &Limits) -> Bucket {
    let per_second = f64::from(limits.fallback_failures_per_s);
    Bucket::new(per_second, per_second)
}
