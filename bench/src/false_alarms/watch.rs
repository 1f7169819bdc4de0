//! The whole of what watches: the observatory on OTLP-like points, the detectors on a gateway's batches and samples, and
//! the grouper that makes incidents of their claims.

use super::faults::Effect;
use super::world::{BOUNDS, COUNTERS, Histogram, Instance, Levels, Seen, World};
use prunella_core::detect::{Anomaly, Context, Decision, Detectors, Grouper, Observatory, Severity};
use prunella_core::id::{ReleaseId, ServiceName};
use prunella_core::signal::telemetry::{Attributes, Origin, PointValue, PointView, Temporality, Value};
use prunella_core::signal::{LatencyHistogram, RequestBatch, ResourceLimits, ResourceSample, Role, Signal};

const MINUTE_MS: i64 = 60_000;
/// 2025-01-06, a Monday.
const EPOCH_MS: i64 = 1_736_121_600_000;
const BUDGET: usize = 64 << 20;
/// Batches that a gateway would send each 100 ms come each 10 s here.
const BATCHES: i64 = 6;
/// Minutes after which a release is accepted.
const ACCEPTED: i64 = 30;

/// What was said at one minute.
pub(super) struct Said {
    pub(super) anomaly: Anomaly,
    /// Whether it opened an incident.
    pub(super) opened: bool,
}

pub(super) struct Watch {
    sky: Observatory,
    own: Detectors,
    grouper: Grouper,
    service: ServiceName,
    announced: u32,
    good: u32,
    since: i64,
    pub(super) points: u64,
}

fn release(n: u32) -> ReleaseId {
    ReleaseId::parse(format!("r{n}")).expect("a slug")
}

impl Watch {
    pub(super) fn new() -> Self {
        let service = ServiceName::parse("shop").expect("a slug");
        let mut watch = Self {
            sky: Observatory::new(BUDGET),
            own: Detectors::new(service.clone()),
            grouper: Grouper::default(),
            service,
            announced: 0,
            good: 0,
            since: 0,
            points: 0,
        };
        let first = watch.origin(0, "");
        watch.sky.origin(&first);
        watch
    }

    fn origin(&self, key: u32, instance: &str) -> Origin {
        Origin {
            service_key: 0,
            service: self.service.clone(),
            release_key: key,
            release: release(key),
            instance: instance.to_owned(),
            compare_with: (key != self.good).then(|| release(self.good)),
        }
    }

    /// Looks at one minute of the world.
    pub(super) fn minute(&mut self, world: &mut World, effect: &Effect) -> Vec<Said> {
        let mut out = Vec::new();
        if world.release > self.announced {
            (self.announced, self.since) = (world.release, world.minute);
            let newest = self.origin(world.release, "");
            self.sky.origin(&newest);
        }
        if world.minute - self.since > ACCEPTED {
            self.good = self.announced;
        }
        if !world.is_blind() && !effect.silent {
            for at in 0..world.instances.len() {
                let levels = world.levels(at, effect);
                if world.random.chance(0.999) {
                    self.report(&world.instances[at], world.minute, &levels, effect, &mut out);
                }
            }
        }
        let now_ms = EPOCH_MS + (world.minute + 1) * MINUTE_MS;
        for second in 1..=4 {
            self.sky.tick(now_ms - MINUTE_MS + second * 15_000, &mut out);
        }
        for anomaly in &mut out {
            anomaly.service = Some(self.service.clone());
        }
        self.gateway(world, effect, &mut out);
        let ctx = self.context();
        let mut said = |anomaly: Anomaly| Said {
            opened: matches!(self.grouper.decide(&anomaly, &ctx), Decision::Open { .. }),
            anomaly,
        };
        out.into_iter().map(&mut said).collect()
    }

    fn context(&self) -> Context {
        Context {
            lkg: Some(release(self.good)),
            active: Some(release(self.announced)),
            canary: None,
        }
    }

    fn gateway(&mut self, world: &mut World, effect: &Effect, out: &mut Vec<Anomaly>) {
        let ctx = self.context();
        let newest = release(self.announced);
        for part in 0..BATCHES {
            let at_ms = EPOCH_MS + world.minute * MINUTE_MS + (part + 1) * MINUTE_MS / BATCHES;
            for at in 0..world.seen.len() {
                let Seen {
                    release: number,
                    route,
                    count,
                    failed,
                    seconds,
                } = world.seen[at];
                let share = |n: u64| (n as i64 * (part + 1) / BATCHES - n as i64 * part / BATCHES) as u64;
                let count = share(count);
                // The parts of the two are rounded apart.
                let failed = share(failed).min(count);
                let mut latency = LatencyHistogram::default();
                for _ in 0..16 {
                    let micros = 1e6 * seconds * (0.6 * world.random.normal()).exp();
                    latency.record_many(micros as u64, (count - failed) / 16);
                }
                let batch = RequestBatch {
                    at_ms,
                    tick: ((world.minute * BATCHES + part) * 100) as u64,
                    release: release(number),
                    route: format!("/route{route}"),
                    role: Role::Primary,
                    safe: true,
                    count,
                    by_status_class: [0, count - failed, 0, 0, failed],
                    transport_errors: 0,
                    latency,
                };
                out.extend(self.own.observe(&Signal::RequestBatch(batch), &ctx));
            }
        }
        let levels = world.levels(0, effect);
        let sample = ResourceSample {
            release: newest,
            at_ms: EPOCH_MS + (world.minute + 1) * MINUTE_MS,
            rss_bytes: levels.memory as u64,
            cpu_ms: world.instances[0].counters[6] as u64,
            threads: levels.threads as u64,
            fds: levels.fds as u64,
            fds_of_worst: levels.fds as u64,
            processes: 1,
            limits: ResourceLimits {
                memory_bytes: Some(LIMIT_BYTES),
                fds: Some(1024),
                tasks: None,
            },
        };
        out.extend(self.own.observe(&Signal::ResourceSample(sample), &ctx));
    }

    fn report(&mut self, instance: &Instance, minute: i64, levels: &Levels, effect: &Effect, out: &mut Vec<Anomaly>) {
        let at_ms = EPOCH_MS + minute * MINUTE_MS + instance.clock_ms;
        let mut to = To {
            origin: self.origin(instance.release, &instance.name),
            sky: &mut self.sky,
            time_ns: at_ms as u64 * 1_000_000,
            mute: effect.mute,
            points: &mut self.points,
            out,
        };
        to.histograms(instance);
        to.counters(instance);
        to.gauges(levels);
    }
}

const LIMIT_BYTES: u64 = 3 << 30;

/// Where the points of one instance go.
struct To<'a> {
    origin: Origin,
    sky: &'a mut Observatory,
    time_ns: u64,
    mute: Option<&'static str>,
    points: &'a mut u64,
    out: &'a mut Vec<Anomaly>,
}

impl To<'_> {
    fn send(&mut self, metric: &str, unit: &str, value: PointValue<'_>, attributes: &Attributes<'_>) {
        if self.mute == Some(metric) {
            return;
        }
        *self.points += 1;
        let point = PointView {
            metric,
            unit,
            scope: "bench",
            time_ns: self.time_ns,
            start_ns: 0,
            value,
            attributes,
        };
        self.sky.point(&self.origin, &point, self.out);
    }

    fn gauge(&mut self, metric: &str, unit: &str, value: f64) {
        self.send(metric, unit, PointValue::Gauge(value), &[]);
    }

    fn counter(&mut self, metric: &str, value: f64, attributes: &Attributes<'_>) {
        let value = PointValue::Sum {
            value,
            monotonic: true,
            temporality: Temporality::Cumulative,
        };
        self.send(metric, "", value, attributes);
    }

    fn histogram(&mut self, metric: &str, histogram: &Histogram, attributes: &Attributes<'_>) {
        let count = histogram.counts.iter().sum();
        if count == 0 {
            return;
        }
        let value = PointValue::Histogram {
            temporality: Temporality::Cumulative,
            count,
            sum: Some(histogram.sum),
            bounds: &BOUNDS,
            counts: &histogram.counts,
        };
        self.send(metric, "s", value, attributes);
    }

    fn histograms(&mut self, instance: &Instance) {
        for (route, by_status) in instance.routes.iter().enumerate() {
            let name = format!("/route{route}");
            for (histogram, status) in by_status.iter().zip([200, 500]) {
                let attributes = [
                    ("http.route", Value::Str(&name)),
                    ("http.response.status_code", Value::Int(status)),
                ];
                self.histogram("http.server.request.duration", histogram, &attributes);
            }
        }
        for (histogram, status) in instance.peer.iter().zip([200, 503]) {
            let attributes = [
                ("server.address", Value::Str("payments")),
                ("http.response.status_code", Value::Int(status)),
            ];
            self.histogram("http.client.request.duration", histogram, &attributes);
        }
        self.histogram("db.client.operation.duration", &instance.database, &[]);
    }

    fn counters(&mut self, instance: &Instance) {
        for (name, value) in COUNTERS.iter().zip(instance.counters) {
            self.counter(name, value, &[]);
        }
        for (i, &value) in instance.rare.iter().enumerate() {
            self.counter(&format!("app.rare_{i}"), value, &[]);
        }
        let requests: u64 = instance.routes.iter().flatten().flat_map(|h| h.counts).sum();
        self.counter("http.server.requests", requests as f64, &[]);
    }

    fn gauges(&mut self, levels: &Levels) {
        self.gauge("process.memory.usage", "By", levels.memory);
        self.gauge("container.memory.limit", "By", LIMIT_BYTES as f64);
        self.gauge("runtime.heap.used", "By", levels.heap);
        self.gauge("process.open_file_descriptor.count", "{count}", levels.fds);
        self.gauge("process.max_fds", "", 1024.0);
        self.gauge("process.thread.count", "{thread}", levels.threads);
        self.gauge("process.cpu.utilization", "1", levels.cpu);
        self.gauge("mail.queue.depth", "", levels.queue);
        self.gauge("db.client.connection.count", "{connection}", levels.connections);
        self.gauge("eventloop.lag", "s", levels.lag);
        for (i, &value) in levels.gauges.iter().enumerate() {
            self.gauge(&format!("app.gauge_{i}"), "", value);
        }
    }
}

/// Whether this is an odd or paging claim about one of these.
pub(super) fn is_about(anomaly: &Anomaly, words: &[&str]) -> bool {
    anomaly
        .evidence
        .iter()
        .any(|line| words.iter().any(|word| line.contains(word)))
}

pub(super) fn is_page(anomaly: &Anomaly) -> bool {
    anomaly.severity == Severity::Page
}
