//! What the detectors' tests share.

use super::{Anomaly, Context, Detector};
use crate::id::ReleaseId;
use crate::signal::{
    ExceptionSeen, FailureKind, LatencyHistogram, ProcessExit, ReadinessFailed, RequestBatch, RequestFailure,
    ResourceSample, ResponseShape, Role, Signal,
};

/// SplitMix64 (Steele, Lea, Flood 2014): a small generator with fixed seeds, so that every run is the same.
pub(crate) struct Prng(u64);

impl Prng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    pub(crate) fn binomial(&mut self, n: u64, p: f64) -> u64 {
        (0..n).map(|_| u64::from(self.chance(p))).sum()
    }
}

/// A detector, the releases of its service and the time.
pub(crate) struct World<D> {
    pub(crate) detector: D,
    pub(crate) ctx: Context,
    pub(crate) tick: u64,
}

impl<D: Detector> World<D> {
    pub(crate) fn new(detector: D) -> Self {
        let ctx = Context {
            lkg: Some(release("lkg")),
            active: Some(release("new")),
            canary: None,
        };
        Self { detector, ctx, tick: 0 }
    }

    pub(crate) fn see(&mut self, signal: impl Into<Signal>) -> Vec<Anomaly> {
        self.detector.observe(&signal.into(), &self.ctx)
    }
}

macro_rules! signals {
    ($($name:ident)*) => {$(
        impl From<$name> for Signal {
            fn from(signal: $name) -> Self {
                Self::$name(signal)
            }
        }
    )*};
}
signals!(RequestBatch RequestFailure ProcessExit ReadinessFailed ResourceSample ResponseShape ExceptionSeen);

pub(crate) fn release(name: &str) -> ReleaseId {
    ReleaseId::parse(name).unwrap()
}

/// A tick of 100 ms with requests that took 5 ms.
pub(crate) fn batch(release_name: &str, route: &str, tick: u64, count: u64, failures: u64) -> RequestBatch {
    let mut latency = LatencyHistogram::default();
    latency.add(LatencyHistogram::bucket_of(5_000), count);
    RequestBatch {
        at_ms: 1_000_000 + i64::try_from(tick).unwrap() * 100,
        tick,
        release: release(release_name),
        route: route.to_owned(),
        role: Role::Primary,
        safe: true,
        count,
        by_status_class: [0, count - failures, 0, 0, failures],
        transport_errors: 0,
        latency,
    }
}

/// A 500 in the given tick, without a fallback and without the tick's totals.
pub(crate) fn failure(release_name: &str, route: &str, tick: u64) -> RequestFailure {
    RequestFailure {
        at_ms: 1_000_000 + i64::try_from(tick).unwrap() * 100,
        tick,
        release: release(release_name),
        route: route.to_owned(),
        role: Role::Primary,
        method: "GET".to_owned(),
        kind: FailureKind::Status(500),
        open: None,
        capture_id: None,
        answered_by: None,
        fallback_failed: false,
        client_saw_failure: true,
    }
}
