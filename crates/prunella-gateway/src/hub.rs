//! Totals of all workers, and the subscribers who are told of what happens.

use crate::clock;
use crate::control::{CloseReason, Event, RouteTotals, ShapeRow, StatRow, Totals};
use crate::route::{OVERFLOW, UNMATCHED};
use crate::stats::Delta;
use crate::worker::FromWorker;
use bytes::Bytes;
use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use tokio::sync::mpsc;

/// Lines that wait for a subscriber; one who lets more pile up is dropped.
const QUEUE: usize = 1024;
/// Subscribers at a time.
const MAX_SUBSCRIBERS: usize = 32;

/// One subscriber's end of its queue.
pub(crate) struct Subscription {
    pub(crate) lines: mpsc::Receiver<Bytes>,
    /// Why the queue was closed.
    pub(crate) reason: Rc<Cell<CloseReason>>,
}

struct Subscriber {
    lines: mpsc::Sender<Bytes>,
    reason: Rc<Cell<CloseReason>>,
}

/// The sum of all workers.
#[derive(Default)]
pub(crate) struct Hub {
    totals: Totals,
    routes: HashMap<String, RouteTotals>,
    max_routes: usize,
    subscribers: Vec<Subscriber>,
}

impl Hub {
    pub(crate) fn set_max_routes(&mut self, max: usize) {
        self.max_routes = max;
    }

    /// `None` when there are too many.
    pub(crate) fn subscribe(&mut self) -> Option<Subscription> {
        self.subscribers.retain(|s| !s.lines.is_closed());
        if self.subscribers.len() >= MAX_SUBSCRIBERS {
            return None;
        }
        let (lines, receiver) = mpsc::channel(QUEUE);
        let reason = Rc::new(Cell::new(CloseReason::Stopping));
        self.subscribers.push(Subscriber {
            lines,
            reason: reason.clone(),
        });
        Some(Subscription {
            lines: receiver,
            reason,
        })
    }

    pub(crate) fn take(&mut self, from: FromWorker) {
        let event = match from {
            FromWorker::Barrier(done) => {
                let _ = done.send(());
                return;
            }
            FromWorker::Failure(f) => Event::Failure(f),
            FromWorker::Delta(delta) => {
                let (rows, shapes) = self.add(*delta);
                if rows.is_empty() && shapes.is_empty() {
                    return;
                }
                Event::Batch {
                    at_ms: clock::unix_ms(),
                    rows,
                    shapes,
                }
            }
        };
        self.tell(&event);
    }

    fn add(&mut self, delta: Delta) -> (Vec<StatRow>, Vec<ShapeRow>) {
        let d = delta.totals;
        let t = &mut self.totals;
        t.requests += d.requests;
        t.failed += d.failed;
        t.failed_idempotent += d.failed_idempotent;
        t.failovers += d.failovers;
        t.failovers_suppressed += d.failovers_suppressed;
        t.aborted += d.aborted;
        t.refused += d.refused;
        t.events_suppressed += d.events_suppressed;
        t.connections += d.connections;
        for r in d.routes {
            let known = self.routes.contains_key(&r.route) || is_shared(&r.route);
            let room = || self.routes.keys().filter(|k| !is_shared(k)).count() < self.max_routes;
            let route = if known || room() { r.route } else { OVERFLOW.to_owned() };
            let sum = self.routes.entry(route.clone()).or_insert(RouteTotals {
                route,
                ..RouteTotals::default()
            });
            sum.requests += r.requests;
            sum.failed += r.failed;
            sum.failovers += r.failovers;
        }
        (delta.rows, delta.shapes)
    }

    fn tell(&mut self, event: &Event) {
        if self.subscribers.is_empty() {
            return;
        }
        let Ok(mut line) = serde_json::to_vec(event) else {
            return;
        };
        line.push(b'\n');
        let line = Bytes::from(line);
        let totals = &mut self.totals;
        self.subscribers.retain(|s| match s.lines.try_send(line.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(_)) => {
                tracing::warn!("a subscriber reads too slowly and is dropped");
                s.reason.set(CloseReason::SlowSubscriber);
                totals.subscribers_dropped += 1;
                false
            }
        });
    }

    pub(crate) fn connection_refused(&mut self) {
        self.totals.connections_refused += 1;
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut routes: Vec<RouteTotals> = self.routes.values().cloned().collect();
        routes.sort_by(|a, b| a.route.cmp(&b.route));
        Totals {
            routes,
            ..self.totals.clone()
        }
    }

    /// Ends all subscriptions.
    pub(crate) fn close(&mut self) {
        self.subscribers.clear();
    }
}

/// Whether a name stands for many routes, and so does not count towards their bound.
fn is_shared(route: &str) -> bool {
    route == OVERFLOW || route == UNMATCHED
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Histogram, Role};

    fn delta(route: &str) -> FromWorker {
        let row = StatRow {
            release: "r".into(),
            route: route.into(),
            role: Role::Primary,
            method_safe: true,
            count: 1,
            by_status_class: [0, 1, 0, 0, 0],
            transport_errors: 0,
            aborted: 0,
            latency: Histogram::default(),
        };
        let mut totals = Totals {
            requests: 1,
            ..Totals::default()
        };
        totals.routes.push(RouteTotals {
            route: route.into(),
            requests: 1,
            failed: 0,
            failovers: 0,
        });
        FromWorker::Delta(Box::new(Delta {
            rows: vec![row],
            totals,
            ..Delta::default()
        }))
    }

    #[test]
    fn workers_add_up_within_the_bound_of_routes() {
        let mut h = Hub::default();
        h.set_max_routes(1);
        for route in ["a", "a", "b", "c"] {
            h.take(delta(route));
        }
        let t = h.totals();
        let routes: Vec<_> = t.routes.iter().map(|r| (r.route.as_str(), r.requests)).collect();
        assert_eq!((t.requests, routes), (4, vec![("a", 2), (OVERFLOW, 2)]));
    }

    #[test]
    fn a_slow_subscriber_is_dropped_by_name_and_others_are_not() {
        let mut h = Hub::default();
        let slow = h.subscribe().unwrap();
        let mut quick = h.subscribe().unwrap();
        for _ in 0..=QUEUE {
            h.take(delta("a"));
            quick.lines.try_recv().unwrap();
        }
        assert_eq!(slow.reason.get(), CloseReason::SlowSubscriber);
        assert_eq!(h.totals().subscribers_dropped, 1);
        h.take(delta("a"));
        assert!(quick.lines.try_recv().is_ok());
        h.close();
        assert_eq!(quick.reason.get(), CloseReason::Stopping);
    }

    #[test]
    fn subscribers_are_limited() {
        let mut h = Hub::default();
        let mut all: Vec<_> = (0..MAX_SUBSCRIBERS).map(|_| h.subscribe().unwrap()).collect();
        assert!(h.subscribe().is_none());
        all.pop();
        assert!(h.subscribe().is_some());
    }
}
