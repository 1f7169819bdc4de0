//! What is known of a client connection: its phase, and whether it must end.
//!
//! A sweep over all connections a few times a second enforces the timeouts, so that a request sets
//! no timer. The state is shared with the connection's I/O, which hyper wants to be `Send`; all of
//! it lives on one thread, so relaxed atomics are enough.

use crate::clock::CoarseClock;
use crate::control::Timeouts;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize};
use tokio::sync::Notify;

const IDLE: u8 = 0;
const HEAD: u8 = 1;
const BUSY: u8 = 2;
const UPGRADED: u8 = 3;

/// Why a connection must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The gateway ends: after the requests that are open.
    Drain,
    /// Nothing was asked for too long.
    Idle,
    /// A request head took too long.
    HeadTimeout,
    /// The client does not read.
    Stalled,
}

/// A place among the connections that may be open.
#[derive(Debug)]
pub(crate) struct Permit(Arc<AtomicUsize>);

impl Permit {
    /// Takes a place if fewer than `max` are taken.
    pub(crate) fn take(open: &Arc<AtomicUsize>, max: usize) -> Option<Self> {
        let taken = open.fetch_add(1, Relaxed);
        let permit = Self(open.clone());
        (taken < max).then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// One connection's state.
#[derive(Debug)]
pub(crate) struct ConnState {
    clock: Arc<CoarseClock>,
    phase: AtomicU8,
    since_ms: AtomicU64,
    /// Requests being answered; more than one in HTTP/2.
    open: AtomicU32,
    /// When a write first had to wait; 0 when none waits.
    blocked_ms: AtomicU64,
    http2: AtomicBool,
    linger: AtomicBool,
    /// Whether bytes of an answer by the service may still be on their way out.
    owes_answer: AtomicBool,
    kill: Notify,
    reason: AtomicU8,
    _permit: Permit,
}

/// Marks a request as being answered while it lives.
#[derive(Debug)]
pub(crate) struct Busy(Arc<ConnState>);

impl Drop for Busy {
    fn drop(&mut self) {
        let s = &self.0;
        if s.open.fetch_sub(1, Relaxed) == 1 && s.phase.load(Relaxed) == BUSY {
            s.enter(IDLE);
        }
    }
}

impl ConnState {
    pub(crate) fn new(clock: Arc<CoarseClock>, permit: Permit) -> Arc<Self> {
        let since_ms = AtomicU64::new(clock.now_ms());
        Arc::new(Self {
            clock,
            phase: AtomicU8::new(IDLE),
            since_ms,
            open: AtomicU32::new(0),
            blocked_ms: AtomicU64::new(0),
            http2: AtomicBool::new(false),
            linger: AtomicBool::new(false),
            owes_answer: AtomicBool::new(false),
            kill: Notify::new(),
            reason: AtomicU8::new(0),
            _permit: permit,
        })
    }

    fn enter(&self, phase: u8) {
        self.phase.store(phase, Relaxed);
        self.since_ms.store(self.clock.now_ms(), Relaxed);
    }

    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.open.fetch_add(1, Relaxed);
        self.owes_answer.store(true, Relaxed);
        self.phase.store(BUSY, Relaxed);
        Busy(self.clone())
    }

    /// Bytes came from the client.
    pub(super) fn received(&self) {
        if self.phase.load(Relaxed) == IDLE && !self.http2.load(Relaxed) {
            self.owes_answer.store(false, Relaxed);
            self.enter(HEAD);
        }
    }

    /// A write went through (`true`) or has to wait.
    pub(super) fn wrote(&self, done: bool) {
        if done {
            if self.blocked_ms.load(Relaxed) != 0 {
                self.blocked_ms.store(0, Relaxed);
            }
        } else if self.blocked_ms.load(Relaxed) == 0 {
            self.blocked_ms.store(self.clock.now_ms(), Relaxed);
        }
    }

    pub(super) fn owes_answer(&self) -> bool {
        self.owes_answer.load(Relaxed) || self.http2.load(Relaxed)
    }

    pub(super) fn speaks_http2(&self) {
        self.http2.store(true, Relaxed);
    }

    pub(crate) fn upgraded(&self) {
        self.phase.store(UPGRADED, Relaxed);
    }

    /// The rest of the request is read and discarded before the connection is closed.
    pub(crate) fn linger(&self) {
        self.linger.store(true, Relaxed);
    }

    pub(super) fn lingers(&self) -> bool {
        self.linger.load(Relaxed)
    }

    /// Which timeout has passed, if any.
    pub(crate) fn overdue(&self, t: &Timeouts) -> Option<Reason> {
        let now = self.clock.now_ms();
        let longer = |since: u64, limit: u64| now.saturating_sub(since) > limit;
        let blocked = self.blocked_ms.load(Relaxed);
        if blocked != 0 && longer(blocked, t.client_stall_ms) {
            return Some(Reason::Stalled);
        }
        let since = self.since_ms.load(Relaxed);
        match self.phase.load(Relaxed) {
            IDLE if longer(since, t.client_idle_ms) => Some(Reason::Idle),
            HEAD if longer(since, t.header_ms) => Some(Reason::HeadTimeout),
            _ => None,
        }
    }

    pub(crate) fn end(&self, reason: Reason) {
        self.reason.store(reason as u8, Relaxed);
        self.kill.notify_one();
    }

    /// Resolves when the connection must end.
    pub(super) async fn killed(&self) -> Reason {
        self.kill.notified().await;
        match self.reason.load(Relaxed) {
            r if r == Reason::Idle as u8 => Reason::Idle,
            r if r == Reason::HeadTimeout as u8 => Reason::HeadTimeout,
            r if r == Reason::Stalled as u8 => Reason::Stalled,
            _ => Reason::Drain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn state() -> (Arc<CoarseClock>, Arc<ConnState>, Instant) {
        let clock = Arc::new(CoarseClock::new());
        let open = Arc::new(AtomicUsize::new(0));
        let s = ConnState::new(clock.clone(), Permit::take(&open, 1).unwrap());
        (clock, s, Instant::now())
    }

    #[test]
    fn each_phase_has_its_timeout() {
        let (clock, s, t0) = state();
        let t = Timeouts {
            header_ms: 100,
            client_idle_ms: 1000,
            client_stall_ms: 500,
            ..Timeouts::default()
        };
        let at = |ms| clock.advance(t0 + Duration::from_millis(ms));
        at(900);
        assert_eq!(s.overdue(&t), None);
        at(1100);
        assert_eq!(s.overdue(&t), Some(Reason::Idle));
        s.received();
        at(1150);
        assert_eq!(s.overdue(&t), None);
        at(1300);
        assert_eq!(s.overdue(&t), Some(Reason::HeadTimeout));
        let busy = s.busy();
        at(9000);
        assert_eq!(s.overdue(&t), None);
        s.wrote(false);
        at(9600);
        assert_eq!(s.overdue(&t), Some(Reason::Stalled));
        s.wrote(true);
        drop(busy);
        assert_eq!(s.overdue(&t), None);
        at(11_000);
        assert_eq!(s.overdue(&t), Some(Reason::Idle));
    }

    #[test]
    fn permits_are_given_back() {
        let open = Arc::new(AtomicUsize::new(0));
        let one = Permit::take(&open, 1);
        assert!(one.is_some() && Permit::take(&open, 1).is_none());
        drop(one);
        assert!(Permit::take(&open, 1).is_some());
    }
}
