//! The analyzer as a whole, on services that are made up.

use super::*;
use crate::detect::testing::{Prng, release};
use crate::detect::{AnomalyKind, Severity};
use crate::signal::telemetry::{Attributes, Temporality, Value as Attribute};

const MINUTE_MS: i64 = 60_000;
const BOUNDS: [f64; 8] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

fn origin(release_key: u32, instance: &str) -> Origin {
    Origin {
        service_key: 3,
        service: ServiceName::parse("shop").unwrap(),
        release_key,
        release: release(&format!("r{release_key}")),
        instance: instance.to_owned(),
        compare_with: None,
    }
}

/// A shop whose requests, latency and queue are reported every minute by two instances.
struct Shop {
    metrics: Metrics,
    rng: Prng,
    minute: i64,
    requests: [[u64; 2]; 2],
    seconds: [([u64; 9], f64); 2],
}

#[derive(Clone, Copy)]
struct Health {
    failing: f64,
    slower: f64,
    traffic: f64,
    queue: f64,
}

const WELL: Health = Health {
    failing: 0.002,
    slower: 1.0,
    traffic: 1.0,
    queue: 5.0,
};

impl Shop {
    fn new() -> Self {
        Self {
            metrics: Metrics::new(8 << 20),
            rng: Prng::new(11),
            minute: 0,
            requests: [[0; 2]; 2],
            seconds: [([0; 9], 0.0); 2],
        }
    }

    fn minutes(&mut self, minutes: i64, health: Health) -> Vec<Anomaly> {
        let mut out = Vec::new();
        for _ in 0..minutes {
            for instance in 0..2 {
                self.report(instance, health, &mut out);
            }
            self.minute += 1;
            self.metrics.tick(self.minute * MINUTE_MS, &mut out);
        }
        out
    }

    fn report(&mut self, instance: usize, health: Health, out: &mut Vec<Anomaly>) {
        let day = (self.minute as f64 / 1440.0 * std::f64::consts::TAU).sin();
        let mean = health.traffic * (200.0 + 100.0 * day);
        let count = (mean * (0.9 + 0.2 * self.rng.uniform())) as u64;
        let failed = (0..count).filter(|_| self.rng.chance(health.failing)).count() as u64;
        self.requests[instance][0] += count - failed;
        self.requests[instance][1] += failed;
        for _ in 0..count {
            let seconds = health.slower * 0.02 * (0.5 + self.rng.uniform() + 0.2 / (0.02 + self.rng.uniform()));
            let bucket = BOUNDS
                .iter()
                .position(|bound| seconds <= *bound)
                .unwrap_or(BOUNDS.len());
            self.seconds[instance].0[bucket] += 1;
            self.seconds[instance].1 += seconds;
        }
        let origin = origin(0, ["a", "b"][instance]);
        let at = self.minute * MINUTE_MS + instance as i64 * 7_000;
        let counter = |value: u64| PointValue::Sum {
            value: value as f64,
            monotonic: true,
            temporality: Temporality::Cumulative,
        };
        let [well, bad] = self.requests[instance];
        point(
            &mut self.metrics,
            &origin,
            at,
            "http_requests_total",
            counter(well),
            &[("code", Attribute::Int(200))],
            out,
        );
        point(
            &mut self.metrics,
            &origin,
            at,
            "http_requests_total",
            counter(bad),
            &[("code", Attribute::Int(500))],
            out,
        );
        let (counts, sum) = self.seconds[instance];
        let histogram = PointValue::Histogram {
            temporality: Temporality::Cumulative,
            count: counts.iter().sum(),
            sum: Some(sum),
            bounds: &BOUNDS,
            counts: &counts,
        };
        point(
            &mut self.metrics,
            &origin,
            at,
            "http.server.request.duration",
            histogram,
            &[],
            out,
        );
        let queue = PointValue::Gauge(health.queue + self.rng.uniform());
        point(&mut self.metrics, &origin, at, "mail.queue.depth", queue, &[], out);
    }
}

fn point(
    metrics: &mut Metrics,
    origin: &Origin,
    at_ms: i64,
    metric: &str,
    value: PointValue<'_>,
    attributes: &Attributes<'_>,
    out: &mut Vec<Anomaly>,
) {
    let point = PointView {
        metric,
        unit: "",
        scope: "test",
        time_ns: u64::try_from(at_ms).unwrap() * 1_000_000,
        start_ns: 0,
        value,
        attributes,
    };
    metrics.point(origin, &point, out);
}

fn pages(found: &[Anomaly]) -> Vec<&Anomaly> {
    found
        .iter()
        .filter(|anomaly| anomaly.severity == Severity::Page)
        .collect()
}

#[test]
fn healthy_weeks_page_nobody_and_faults_do() {
    let mut shop = Shop::new();
    let healthy = shop.minutes(10 * 1440, WELL);
    assert!(pages(&healthy).is_empty(), "{healthy:#?}");
    let failing = Health { failing: 0.2, ..WELL };
    let found = shop.minutes(10, failing);
    let paged = pages(&found);
    assert_eq!(paged.len(), 1, "{found:#?}");
    assert_eq!(paged[0].kind, AnomalyKind::ErrorRate);
    assert!(
        paged[0]
            .evidence
            .iter()
            .any(|line| line.contains("http_requests_total")),
        "{paged:#?}"
    );
    assert!(
        pages(&shop.minutes(60, failing)).is_empty(),
        "what goes on is told once"
    );
    assert!(pages(&shop.minutes(1440, WELL)).is_empty());
    let slow = Health {
        slower: 4.0,
        queue: 60.0,
        ..WELL
    };
    let paged = shop.minutes(20, slow);
    let paged = pages(&paged);
    assert_eq!(paged.len(), 1);
    assert_eq!(paged[0].kind, AnomalyKind::Latency);
}

#[test]
fn traffic_that_stops_pages_and_a_lone_queue_is_odd() {
    let mut shop = Shop::new();
    shop.minutes(3 * 1440, WELL);
    let found = shop.minutes(30, Health { queue: 60.0, ..WELL });
    assert!(pages(&found).is_empty());
    assert!(
        found.iter().any(|a| a.evidence[0].contains("mail.queue.depth")),
        "{found:#?}"
    );
    let found = shop.minutes(20, Health { traffic: 0.02, ..WELL });
    assert_eq!(pages(&found).len(), 1, "{found:#?}");
}

#[test]
fn a_service_that_falls_silent_is_missing() {
    let mut shop = Shop::new();
    shop.minutes(2 * 1440, WELL);
    let mut out = Vec::new();
    for _ in 0..30 {
        shop.minute += 1;
        shop.metrics.tick(shop.minute * MINUTE_MS, &mut out);
    }
    assert_eq!(out.len(), 1, "{out:#?}");
    assert_eq!((out[0].kind, out[0].severity), (AnomalyKind::Missing, Severity::Page));
}

#[test]
fn releases_are_compared_while_both_emit() {
    let mut metrics = Metrics::new(8 << 20);
    let mut rng = Prng::new(5);
    let mut out = Vec::new();
    let mut totals = [[0_u64; 2]; 2];
    for minute in 0..300_i64 {
        for (side, total) in totals.iter_mut().enumerate() {
            if side == 1 && minute < 240 {
                continue;
            }
            let failing = if side == 1 { 0.08 } else { 0.01 };
            let failed = rng.binomial(100, failing);
            total[0] += 100 - failed;
            total[1] += failed;
            for (code, total) in [(200, total[0]), (500, total[1])] {
                let value = PointValue::Sum {
                    value: total as f64,
                    monotonic: true,
                    temporality: Temporality::Cumulative,
                };
                let origin = origin(side as u32, "");
                let code = [("code", Attribute::Int(code))];
                point(
                    &mut metrics,
                    &origin,
                    minute * MINUTE_MS,
                    "requests",
                    value,
                    &code,
                    &mut out,
                );
            }
        }
        metrics.tick((minute + 1) * MINUTE_MS, &mut out);
    }
    let paged = pages(&out);
    assert_eq!(paged.len(), 1, "{out:#?}");
    assert_eq!(paged[0].release.as_str(), "r1");
    assert!(paged[0].baseline.contains("r0"), "{paged:#?}");
}

#[test]
fn a_label_explosion_is_counted_and_costs_the_budget_at_most() {
    let budget = 4 << 20;
    let mut metrics = Metrics::new(budget);
    let mut out = Vec::new();
    for i in 0..200_000_i64 {
        let id = [("user", Attribute::Int(i))];
        let name = format!("m{}", i % 10_000);
        point(
            &mut metrics,
            &origin(0, "a"),
            1_000,
            &name,
            PointValue::Gauge(1.0),
            &id,
            &mut out,
        );
    }
    for minute in 1..10 {
        metrics.tick(minute * MINUTE_MS, &mut out);
    }
    assert!(metrics.bytes() <= budget, "{}", metrics.bytes());
    let lost: Vec<&str> = metrics
        .overflows()
        .iter()
        .filter(|o| o.count > 0)
        .map(|o| o.limit)
        .collect();
    assert!(lost.contains(&"metrics"), "{lost:?}");
    let mut metrics = Metrics::new(budget);
    for i in 0..200_000_i64 {
        let id = [("user", Attribute::Int(i))];
        point(
            &mut metrics,
            &origin(0, "a"),
            1_000,
            "logins",
            PointValue::Gauge(1.0),
            &id,
            &mut out,
        );
    }
    let lost: Vec<&str> = metrics
        .overflows()
        .iter()
        .filter(|o| o.count > 0)
        .map(|o| o.limit)
        .collect();
    assert!(
        lost.contains(&"series") && metrics.bytes() <= budget,
        "{lost:?} {}",
        metrics.bytes()
    );
    assert!(metrics.series() > 10_000);
    // Series that are gone give their place back.
    for minute in 1..600 {
        metrics.tick(minute * MINUTE_MS, &mut out);
    }
    assert_eq!(metrics.series(), 0);
}

#[test]
fn what_was_learned_survives_a_restart_whatever_the_keys() {
    let mut shop = Shop::new();
    shop.minutes(2 * 1440, WELL);
    let saved = shop.metrics.snapshot().unwrap();
    let mut metrics = Metrics::new(8 << 20);
    metrics
        .restore(&serde_json::from_str(&saved.to_string()).unwrap())
        .unwrap();
    shop.metrics = metrics;
    shop.minutes(3, WELL);
    let found = shop.minutes(10, Health { failing: 0.3, ..WELL });
    assert_eq!(pages(&found).len(), 1, "{found:#?}");
    assert!(
        Metrics::new(1 << 20)
            .restore(&serde_json::json!({"groups": [1]}))
            .is_err()
    );
}
