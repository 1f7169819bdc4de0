//! What a case is, and how it is shown to the detectors: what the supervisor samples to [`Leak`], what services report of
//! themselves to [`Leaks`].

use prunella_core::detect::{Analyzer, Anomaly, Context, Detector, Leak, Leaks};
use prunella_core::id::{ReleaseId, ServiceName};
use prunella_core::signal::telemetry::{Origin, PointValue, PointView, Temporality};
use prunella_core::signal::{LatencyHistogram, RequestBatch, ResourceLimits, ResourceSample, Role, Signal};

const LIMIT_BYTES: u64 = 4 << 30;
const BUDGET: usize = 1 << 20;

/// What a resource sample holds.
#[derive(Clone, Copy, Default)]
pub(super) struct Sample {
    pub(super) at_ms: i64,
    pub(super) memory: u64,
    pub(super) fds: u64,
    pub(super) threads: u64,
    /// Requests since the sample before.
    pub(super) requests: u64,
    /// Which release runs.
    pub(super) release: u8,
}

/// A metric that a service reports, of which [`Sample::memory`] is the value.
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
}

/// One case with its truth: the words of the evidence that must be said, if it leaks.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) real: bool,
    pub(super) leaks: Option<&'static str>,
    /// If the service reports it; else it is sampled.
    pub(super) metric: Option<Metric>,
    pub(super) samples: Vec<Sample>,
    /// Whether the work is told.
    pub(super) works: bool,
}

/// All that is said while this case lives.
pub(super) fn watch(case: &Case) -> Vec<Anomaly> {
    match &case.metric {
        Some(metric) => reported(case, metric),
        None => sampled(case),
    }
}

fn release(n: u8) -> ReleaseId {
    ReleaseId::parse(format!("r{n}")).expect("a slug")
}

fn sampled(case: &Case) -> Vec<Anomaly> {
    let mut detector = Leak::default();
    let ctx = Context::default();
    let mut found = Vec::new();
    for (tick, sample) in (0..).zip(&case.samples) {
        if case.works {
            let batch = RequestBatch {
                at_ms: sample.at_ms,
                tick,
                release: release(sample.release),
                route: "/".to_owned(),
                role: Role::Primary,
                safe: true,
                count: sample.requests,
                by_status_class: [0, sample.requests, 0, 0, 0],
                transport_errors: 0,
                latency: LatencyHistogram::default(),
            };
            found.extend(detector.observe(&Signal::RequestBatch(batch), &ctx));
        }
        let sample = ResourceSample {
            release: release(sample.release),
            at_ms: sample.at_ms,
            rss_bytes: sample.memory,
            cpu_ms: tick,
            threads: sample.threads,
            fds: sample.fds,
            fds_of_worst: sample.fds,
            processes: 1,
            limits: ResourceLimits {
                memory_bytes: Some(LIMIT_BYTES),
                fds: Some(65_536),
                tasks: None,
            },
        };
        found.extend(detector.observe(&Signal::ResourceSample(sample), &ctx));
    }
    found
}

fn reported(case: &Case, metric: &Metric) -> Vec<Anomaly> {
    let mut leaks = Leaks::new(BUDGET);
    let mut found = Vec::new();
    let mut requests = 0;
    for sample in &case.samples {
        let origin = Origin {
            service_key: 0,
            service: ServiceName::parse("made-up").expect("a slug"),
            release_key: u32::from(sample.release),
            release: release(sample.release),
            instance: format!("pod-{}", sample.release),
            compare_with: None,
        };
        leaks.tick(sample.at_ms, &mut found);
        let mut show = |metric: &Metric, value: PointValue<'_>| {
            let point = PointView {
                metric: metric.name,
                unit: metric.unit,
                scope: "",
                time_ns: sample.at_ms.unsigned_abs() * 1_000_000,
                start_ns: 0,
                value,
                attributes: &[],
            };
            leaks.point(&origin, &point, &mut found);
        };
        requests += sample.requests;
        if case.works {
            let sum = PointValue::Sum {
                value: requests as f64,
                monotonic: true,
                temporality: Temporality::Cumulative,
            };
            show(&WORK, sum);
        }
        show(metric, PointValue::Gauge(sample.memory as f64));
    }
    found
}

const WORK: Metric = Metric {
    name: "http.server.requests",
    unit: "",
};
