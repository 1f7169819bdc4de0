//! The capture rings of one worker.
//!
//! Failures, state-changing requests and other successes each have a lane of their own, bounded by
//! count and bytes, so that a flood of one cannot push out the others. Half of the room belongs to
//! the failures. Everything is forgotten after a maximal age.

use crate::control::{Body, Capture, CaptureConfig, CaptureFilter, CaptureId};
use std::collections::VecDeque;

/// Bookkeeping bytes charged per capture and per header field.
const OVERHEAD: usize = 256;
const FIELD_OVERHEAD: usize = 48;

/// Which lane a capture belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Failure,
    Change,
    Sample,
}

#[derive(Debug, Default)]
struct Lane {
    entries: VecDeque<(Capture, usize)>,
    bytes: usize,
    max_count: usize,
    max_bytes: usize,
}

impl Lane {
    fn push(&mut self, c: Capture) {
        let size = size_of_capture(&c);
        self.bytes += size;
        self.entries.push_back((c, size));
        self.trim();
    }

    fn trim(&mut self) {
        while self.entries.len() > self.max_count || self.bytes > self.max_bytes {
            if self.pop_front().is_none() {
                break;
            }
        }
    }

    fn pop_front(&mut self) -> Option<Capture> {
        let (c, size) = self.entries.pop_front()?;
        self.bytes -= size;
        Some(c)
    }

    fn expire(&mut self, before_ms: u64) {
        while self.entries.front().is_some_and(|(c, _)| c.at_ms < before_ms) {
            self.pop_front();
        }
    }

    /// Numbers rise within a lane, so an entry is found by bisection.
    fn set_response_body(&mut self, number: u64, body: Body) {
        let Ok(i) = self.entries.binary_search_by_key(&number, |(c, _)| c.id.number) else {
            return;
        };
        let (c, size) = &mut self.entries[i];
        if let Some(r) = &mut c.response {
            self.bytes += body.size();
            *size += body.size();
            r.body = body;
        }
        self.trim();
    }

    /// Drops the oldest capture of `route` when `keep` newer ones are there.
    fn thin(&mut self, route: &str, keep: usize) {
        let of_route = |(c, _): &(Capture, usize)| c.route == route;
        if self.entries.iter().filter(|e| of_route(e)).count() < keep {
            return;
        }
        if let Some(i) = self.entries.iter().position(of_route)
            && let Some((_, size)) = self.entries.remove(i)
        {
            self.bytes -= size;
        }
    }
}

fn size_of_capture(c: &Capture) -> usize {
    let fields = |h: &[(String, String)]| h.iter().map(|(n, v)| n.len() + v.len() + FIELD_OVERHEAD).sum::<usize>();
    let response = c.response.as_ref().map_or(0, |r| fields(&r.headers) + r.body.size());
    OVERHEAD + c.route.len() + c.uri.len() + fields(&c.headers) + c.body.size() + response
}

/// All captures of one worker.
#[derive(Debug)]
pub(crate) struct Ring {
    lanes: [Lane; 3],
    per_route: usize,
    max_age_ms: u64,
    boot_ms: u64,
    worker: u16,
    next: u64,
}

impl Ring {
    pub(crate) fn new(boot_ms: u64, worker: u16) -> Self {
        Self {
            lanes: Default::default(),
            per_route: 0,
            max_age_ms: 0,
            boot_ms,
            worker,
            next: 0,
        }
    }

    /// Takes this worker's share of the limits.
    pub(crate) fn configure(&mut self, c: &CaptureConfig, workers: usize) {
        self.per_route = c.per_route;
        self.max_age_ms = c.max_age_ms;
        for (lane, part) in self.lanes.iter_mut().zip([2, 4, 4]) {
            lane.max_count = if c.enabled {
                c.max_count.div_ceil(workers * part)
            } else {
                0
            };
            lane.max_bytes = c.max_bytes / (workers * part);
            lane.trim();
        }
    }

    pub(crate) fn next_id(&mut self) -> CaptureId {
        self.next += 1;
        CaptureId {
            boot_ms: self.boot_ms,
            worker: self.worker,
            number: self.next,
        }
    }

    pub(crate) fn push(&mut self, kind: Kind, c: Capture) {
        let before = c.at_ms.saturating_sub(self.max_age_ms);
        let lane = &mut self.lanes[kind as usize];
        lane.expire(before);
        if kind == Kind::Sample {
            lane.thin(&c.route, self.per_route);
        }
        lane.push(c);
    }

    /// Adds the response body of a capture that is still there.
    pub(crate) fn set_response_body(&mut self, kind: Kind, id: CaptureId, body: Body) {
        self.lanes[kind as usize].set_response_body(id.number, body);
    }

    /// What matches and is young enough, oldest first.
    pub(crate) fn find(&mut self, filter: &CaptureFilter, now_ms: u64) -> Vec<Capture> {
        let before = now_ms.saturating_sub(self.max_age_ms);
        let mut found = Vec::new();
        for lane in &mut self.lanes {
            lane.expire(before);
            found.extend(
                lane.entries
                    .iter()
                    .map(|(c, _)| c)
                    .filter(|c| filter.matches(c))
                    .cloned(),
            );
        }
        found.sort_by_key(|c| c.order_us);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Role;

    fn ring(max_count: usize, max_bytes: usize) -> Ring {
        let mut r = Ring::new(1, 0);
        let c = CaptureConfig {
            max_count,
            max_bytes,
            max_age_ms: 1000,
            per_route: 2,
            ..CaptureConfig::default()
        };
        r.configure(&c, 1);
        r
    }

    fn put(r: &mut Ring, kind: Kind, route: &str, at_ms: u64, body: usize) -> CaptureId {
        let id = r.next_id();
        let capture = Capture {
            id,
            at_ms,
            order_us: at_ms * 1000 + id.number,
            release: Some("r".into()),
            role: Role::Primary,
            route: route.into(),
            method: "GET".into(),
            uri: "/".into(),
            headers: vec![],
            body: Body::Utf8 {
                data: "x".repeat(body),
                truncated: false,
            },
            response: Some(crate::control::CapturedResponse {
                status: 200,
                headers: vec![],
                body: Body::None,
            }),
            failure: None,
            latency_us: 1,
        };
        r.push(kind, capture);
        id
    }

    fn ids(r: &mut Ring, now: u64) -> Vec<u64> {
        r.find(&CaptureFilter::default(), now)
            .iter()
            .map(|c| c.id.number)
            .collect()
    }

    #[test]
    fn successes_never_push_out_failures() {
        let mut r = ring(8, 1 << 20);
        let failed = put(&mut r, Kind::Failure, "a", 10, 0);
        for i in 0..100 {
            put(&mut r, Kind::Sample, &format!("r{i}"), 10, 0);
            put(&mut r, Kind::Change, "c", 10, 0);
        }
        let left = ids(&mut r, 10);
        assert!(left.contains(&failed.number));
        assert_eq!(left.len(), 1 + 2 + 2);
    }

    #[test]
    fn a_route_keeps_its_newest_samples() {
        let mut r = ring(40, 1 << 20);
        for _ in 0..5 {
            put(&mut r, Kind::Sample, "a", 10, 0);
        }
        put(&mut r, Kind::Sample, "b", 10, 0);
        assert_eq!(ids(&mut r, 10), [4, 5, 6]);
    }

    #[test]
    fn age_and_bytes_are_limits() {
        let mut r = ring(100, 8000);
        put(&mut r, Kind::Failure, "a", 10, 0);
        put(&mut r, Kind::Failure, "a", 900, 0);
        assert_eq!(ids(&mut r, 1500), [2]);
        put(&mut r, Kind::Failure, "a", 1500, 3000);
        put(&mut r, Kind::Failure, "a", 1500, 3000);
        assert_eq!(ids(&mut r, 1500), [4]);
    }

    #[test]
    fn a_late_response_body_counts_and_is_found() {
        let mut r = ring(100, 8000);
        let a = put(&mut r, Kind::Failure, "a", 10, 0);
        let b = put(&mut r, Kind::Failure, "a", 10, 0);
        let body = |n: usize| Body::Utf8 {
            data: "y".repeat(n),
            truncated: false,
        };
        r.set_response_body(Kind::Failure, a, body(5));
        assert_eq!(
            r.find(&CaptureFilter::default(), 10)[0].response.as_ref().unwrap().body,
            body(5)
        );
        r.set_response_body(Kind::Failure, b, body(3500));
        assert_eq!(
            ids(&mut r, 10),
            Vec::<u64>::new().into_iter().chain([b.number]).collect::<Vec<_>>()
        );
    }
}
