//! A worker's own counters. Nothing here is shared: the worker hands out what changed since the
//! last batch and starts again from zero.

use crate::control::{BUCKETS, Histogram, Role, ShapeRow, StatRow, Totals, TransportError, bucket_of};
use crate::route::{RouteId, RouteTable};
use std::collections::HashMap;
use std::sync::Arc;

/// Structures of answers in one batch.
const MAX_SHAPES: usize = 32;

/// A release as the counters know it: a number that is cheap to compare, and its name.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    /// Unique within the worker for as long as anything refers to the release.
    pub(crate) uid: u32,
    pub(crate) name: Arc<str>,
}

/// How an attempt ended, as far as the counts go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Status(u16),
    NoResponse,
    /// After a counted response head, the body broke off.
    BodyBroke,
    Aborted,
}

#[derive(Debug)]
struct Row {
    release: Arc<str>,
    route: RouteId,
    role: Role,
    method_safe: bool,
    count: u32,
    by_class: [u32; 5],
    transport_errors: u32,
    aborted: u32,
    latency: [u32; BUCKETS],
}

/// What the client saw of one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) failed: bool,
    pub(crate) idempotent: bool,
    pub(crate) failed_over: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct PerRoute {
    requests: u32,
    failed: u32,
    failovers: u32,
}

/// Changes since the last batch.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    pub(crate) rows: Vec<StatRow>,
    /// Sampled structures of answers.
    pub(crate) shapes: Vec<ShapeRow>,
    /// Scalars, and `routes` of this worker.
    pub(crate) totals: Totals,
}

/// Counters of one worker.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    rows: Vec<Row>,
    index: HashMap<(u32, RouteId, Role), usize>,
    routes: Vec<PerRoute>,
    totals: Totals,
    shapes: Vec<ShapeRow>,
    dirty: bool,
}

impl Stats {
    /// Counts one attempt.
    pub(crate) fn attempt(
        &mut self,
        release: &Release,
        route: RouteId,
        role: Role,
        safe: bool,
        end: Ending,
        latency_us: u64,
    ) {
        self.dirty = true;
        let row = self.row(release, route, role, safe);
        match end {
            Ending::Status(status) => {
                row.count += 1;
                row.by_class[usize::from(status / 100).clamp(1, 5) - 1] += 1;
                row.latency[bucket_of(latency_us)] += 1;
            }
            Ending::NoResponse => {
                row.count += 1;
                row.transport_errors += 1;
            }
            Ending::BodyBroke => row.transport_errors += 1,
            Ending::Aborted => row.aborted += 1,
        }
    }

    fn row(&mut self, release: &Release, route: RouteId, role: Role, method_safe: bool) -> &mut Row {
        let i = *self.index.entry((release.uid, route, role)).or_insert_with(|| {
            self.rows.push(Row {
                release: release.name.clone(),
                route,
                role,
                method_safe,
                count: 0,
                by_class: [0; 5],
                transport_errors: 0,
                aborted: 0,
                latency: [0; BUCKETS],
            });
            self.rows.len() - 1
        });
        &mut self.rows[i]
    }

    /// Counts one answered request.
    pub(crate) fn answered(&mut self, route: RouteId, seen: Seen) {
        self.dirty = true;
        self.totals.requests += 1;
        let r = self.per_route(route);
        r.requests += 1;
        r.failovers += u32::from(seen.failed_over);
        r.failed += u32::from(seen.failed);
        self.totals.failovers += u64::from(seen.failed_over);
        self.totals.failed += u64::from(seen.failed);
        self.totals.failed_idempotent += u64::from(seen.failed && seen.idempotent);
    }

    /// Counts a response that was answered well and then broke off.
    pub(crate) fn broke_off(&mut self, route: RouteId, idempotent: bool) {
        self.dirty = true;
        self.per_route(route).failed += 1;
        self.totals.failed += 1;
        self.totals.failed_idempotent += u64::from(idempotent);
    }

    fn per_route(&mut self, route: RouteId) -> &mut PerRoute {
        let i = route.0 as usize;
        if self.routes.len() <= i {
            self.routes.resize_with(i + 1, PerRoute::default);
        }
        &mut self.routes[i]
    }

    /// Adds an answer's structure, if there is room in this batch.
    pub(crate) fn shape(&mut self, row: ShapeRow) {
        if self.shapes.len() < MAX_SHAPES {
            self.dirty = true;
            self.shapes.push(row);
        }
    }

    /// The scalars that have no function of their own.
    pub(crate) fn totals_mut(&mut self) -> &mut Totals {
        self.dirty = true;
        &mut self.totals
    }

    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Takes what changed. Idle rows are forgotten, so old releases do not pile up.
    pub(crate) fn take(&mut self, routes: &RouteTable) -> Delta {
        self.dirty = false;
        self.index.clear();
        let rows = self.rows.drain(..).map(|r| wire_row(&r, routes)).collect();
        let mut totals = std::mem::take(&mut self.totals);
        for (i, r) in self
            .routes
            .iter_mut()
            .enumerate()
            .filter(|(_, r)| r.requests + r.failed > 0)
        {
            totals.routes.push(crate::control::RouteTotals {
                route: routes.name(RouteId(i as u32)).to_string(),
                requests: r.requests.into(),
                failed: r.failed.into(),
                failovers: r.failovers.into(),
            });
            *r = PerRoute::default();
        }
        let shapes = std::mem::take(&mut self.shapes);
        Delta { rows, shapes, totals }
    }
}

fn wire_row(r: &Row, routes: &RouteTable) -> StatRow {
    StatRow {
        release: r.release.to_string(),
        route: routes.name(r.route).to_string(),
        role: r.role,
        method_safe: r.method_safe,
        count: r.count.into(),
        by_status_class: r.by_class.map(u64::from),
        transport_errors: r.transport_errors.into(),
        aborted: r.aborted.into(),
        latency: Histogram::from_dense(&r.latency),
    }
}

/// The status that a client sees for an upstream that gave no answer.
pub(crate) fn status_for(error: TransportError) -> (u16, &'static str) {
    match error {
        TransportError::ConnectRefused => (502, "the service refuses connections"),
        TransportError::ConnectFailed => (502, "the service cannot be connected to"),
        TransportError::ConnectTimeout => (504, "connecting to the service took too long"),
        TransportError::Closed => (502, "the service closed the connection without an answer"),
        TransportError::HeadTimeout => (504, "the service did not answer in time"),
        TransportError::Malformed => (502, "the service's answer is not valid HTTP"),
        TransportError::BodyAborted => (502, "the service's answer broke off"),
        TransportError::BodyTimeout => (504, "the service's answer stalled"),
        TransportError::NoRelease => (503, "no release of the service is active"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_holds_what_changed_since_the_last() {
        let mut routes = RouteTable::new(10);
        let route = routes.intern("GET /a".into());
        let mut s = Stats::default();
        let rel = &Release {
            uid: 1,
            name: "r1".into(),
        };
        s.attempt(rel, route, Role::Primary, true, Ending::Status(204), 150);
        s.attempt(rel, route, Role::Primary, true, Ending::NoResponse, 9);
        s.answered(
            route,
            Seen {
                failed: true,
                idempotent: true,
                failed_over: false,
            },
        );
        assert!(s.is_dirty());
        let d = s.take(&routes);
        assert_eq!(d.rows.len(), 1);
        let r = &d.rows[0];
        assert_eq!(
            (r.count, r.by_status_class, r.transport_errors),
            (2, [0, 1, 0, 0, 0], 1)
        );
        assert_eq!(r.latency.count(), 1);
        assert_eq!((d.totals.requests, d.totals.failed_idempotent), (1, 1));
        assert_eq!(d.totals.routes[0].route, "GET /a");
        assert!(!s.is_dirty());
        assert!(s.take(&routes).rows.is_empty());
    }
}
