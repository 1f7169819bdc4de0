use super::*;
use crate::detect::testing::Prng;
use crate::id::{ReleaseId, ServiceName};
use crate::signal::telemetry::SpanStatus;

fn origin() -> Origin {
    Origin {
        service_key: 0,
        service: ServiceName::parse("shop").unwrap(),
        release_key: 0,
        release: ReleaseId::parse("r").unwrap(),
        instance: String::new(),
        compare_with: None,
    }
}

fn span<'a>(name: &'a str, kind: SpanKind, attributes: &'a [(&'a str, Attribute<'a>)]) -> SpanView<'a> {
    SpanView {
        trace_id: [1; 16],
        span_id: [1; 8],
        parent_id: None,
        name,
        kind,
        start_ns: 0,
        end_ns: 40_000_000,
        status: SpanStatus::Ok,
        status_message: "",
        attributes,
        exception_type: None,
        exception_message: None,
        exception_stacktrace: None,
    }
}

/// A shop: requests, of which some order; each order sends a mail; a job and a queue.
struct Case {
    silent: Silent,
    rng: Prng,
    now_ms: i64,
    totals: [f64; 3],
    depth: f64,
}

#[derive(Clone, Copy)]
struct Behaviour {
    orders: f64,
    mails: f64,
    cleaned: u64,
    runs: u64,
    drains: bool,
}

const NORMAL: Behaviour = Behaviour {
    orders: 0.2,
    mails: 1.0,
    cleaned: 5,
    runs: 1,
    drains: true,
};

impl Case {
    fn new(seed: u64) -> Self {
        Self {
            silent: Silent::new(8 << 20),
            rng: Prng::new(seed),
            now_ms: 1_700_000_000_000,
            totals: [0.0; 3],
            depth: 0.0,
        }
    }

    fn point(&mut self, metric: &str, value: PointValue<'_>, out: &mut Vec<Anomaly>) {
        let point = PointView {
            metric,
            unit: "",
            scope: "",
            time_ns: 0,
            start_ns: 0,
            value,
            attributes: &[],
        };
        self.silent.point(&origin(), &point, out);
    }

    fn job(&mut self, rows: u64, out: &mut Vec<Anomaly>) {
        let attributes = [("rows", Attribute::Int(i64::try_from(rows).unwrap()))];
        let span = span("cleanup", SpanKind::Internal, &attributes);
        self.silent.span(&origin(), &span, out);
    }

    fn run(&mut self, seconds: i64, b: Behaviour) -> Vec<Anomaly> {
        let mut out = Vec::new();
        for second in 0..seconds {
            let requests = self.rng.binomial(20, 0.5);
            let orders = self.rng.binomial(requests, b.orders);
            let mails = self.rng.binomial(orders, b.mails);
            for (total, added) in self.totals.iter_mut().zip([requests, orders, mails]) {
                *total += added as f64;
            }
            self.depth += self.rng.uniform() * 2.0;
            if b.drains && self.rng.chance(0.3) {
                self.depth = (self.depth - 8.0).max(0.0);
            }
            if second % 5 == 0 {
                for (i, metric) in ["requests", "orders", "mails"].into_iter().enumerate() {
                    let value = PointValue::Sum {
                        value: self.totals[i],
                        monotonic: true,
                        temporality: Temporality::Cumulative,
                    };
                    self.point(metric, value, &mut out);
                }
                let depth = self.depth;
                self.point("depth", PointValue::Gauge(depth), &mut out);
            }
            if second % 30 == 7 {
                let rows = if b.cleaned == 0 {
                    0
                } else {
                    b.cleaned + self.rng.next() % 4
                };
                (0..b.runs).for_each(|_| self.job(rows, &mut out));
            }
            self.now_ms += 1_000;
            self.silent.tick(self.now_ms, &mut out);
        }
        out
    }
}

fn check(b: Behaviour, said: &str) {
    for seed in 0..3 {
        let mut case = Case::new(seed);
        let quiet = case.run(1_800, NORMAL);
        assert!(quiet.is_empty(), "{quiet:#?}");
        let found = case.run(600, b);
        let says = |a: &Anomaly| a.evidence.iter().any(|e| e.contains(said));
        assert!(found.iter().any(says), "{said}: {found:#?}");
        assert!(found.len() <= 24, "{found:#?}");
    }
}

#[test]
fn what_reports_no_error_is_found() {
    check(Behaviour { orders: 0.05, ..NORMAL }, "`orders` per `requests`");
    check(Behaviour { mails: 0.5, ..NORMAL }, "`mails` per");
    check(Behaviour { cleaned: 0, ..NORMAL }, "ran and did nothing");
    check(Behaviour { runs: 2, ..NORMAL }, "came again after");
    check(Behaviour { runs: 0, ..NORMAL }, "overdue");
    check(
        Behaviour {
            drains: false,
            ..NORMAL
        },
        "and not fallen in between",
    );
}

/// What is said when orders, and five counters that follow them, stop while a busier route is answered as before.
fn orders_stop(seed: u64) -> Vec<Anomaly> {
    let mut case = Case::new(seed);
    let (mut out, mut told) = (Vec::new(), Vec::new());
    for second in 0..2_400 {
        let views = case.rng.binomial(40, 0.5);
        let orders = if second < 1_800 {
            case.rng.binomial(views, 0.3)
        } else {
            0
        };
        for (route, count) in [("GET /products", views), ("POST /orders", orders)] {
            for _ in 0..count {
                let span = SpanView {
                    parent_id: Some([2; 8]),
                    ..span(route, SpanKind::Server, &[])
                };
                case.silent.span(&origin(), &span, &mut out);
            }
        }
        for metric in ["orders", "payments", "mails", "parcels", "invoices"] {
            let value = PointValue::Sum {
                value: orders as f64,
                monotonic: true,
                temporality: Temporality::Delta,
            };
            case.point(metric, value, &mut out);
        }
        case.now_ms += 1_000;
        case.silent.tick(case.now_ms, &mut out);
        told.append(&mut out);
    }
    told
}

#[test]
fn what_left_the_busiest_route_pages_however_many_went_along() {
    for seed in 0..3 {
        let told = orders_stop(seed);
        let pages = told
            .iter()
            .filter(|claim| claim.severity == crate::detect::Severity::Page);
        assert!(pages.count() > 0, "{seed}: {told:#?}");
    }
}

#[test]
fn a_healthy_day_says_nothing() {
    for seed in 10..13 {
        let mut case = Case::new(seed);
        let found = case.run(20_000, NORMAL);
        assert!(found.is_empty(), "{seed}: {found:#?}");
    }
}

#[test]
fn state_survives_a_restart_and_is_bounded() {
    let mut case = Case::new(1);
    case.run(1_800, NORMAL);
    let saved = serde_json::to_string(&case.silent.snapshot().unwrap()).unwrap();
    let mut restored = Silent::new(8 << 20);
    restored.restore(&serde_json::from_str(&saved).unwrap()).unwrap();
    restored.now_ms = case.silent.now_ms;
    restored.windows_from = case.silent.windows_from;
    case.silent = restored;
    let found = case.run(300, Behaviour { cleaned: 0, ..NORMAL });
    assert!(!found.is_empty());
    let mut out = Vec::new();
    for n in 0..5_000 {
        let value = PointValue::Sum {
            value: 1.0,
            monotonic: true,
            temporality: Temporality::Delta,
        };
        case.point(&format!("series {n}"), value, &mut out);
    }
    assert!(case.silent.bytes() < SERVICE_BYTES);
    assert!(case.silent.overflows()[1].count > 4_000);
}

/// Three processes of a service that tell their totals once a minute.
struct Pods {
    silent: Silent,
    rng: Prng,
    totals: [[f64; 2]; 3],
    minute: i64,
}

impl Pods {
    fn new() -> Self {
        Self {
            silent: Silent::new(8 << 20),
            rng: Prng::new(4),
            totals: [[1_000.0, 200.0], [50_000.0, 9_000.0], [7.0, 1.0]],
            minute: 0,
        }
    }

    fn minute(&mut self, share: f64) -> Vec<Anomaly> {
        let mut out = Vec::new();
        for (instance, totals) in self.totals.iter_mut().enumerate() {
            let requests = self.rng.binomial(2_000, 0.5);
            totals[0] += requests as f64;
            totals[1] += self.rng.binomial(requests, share) as f64;
            let origin = Origin {
                instance: format!("pod-{instance}"),
                ..origin()
            };
            for (metric, value) in ["requests", "orders"].into_iter().zip(*totals) {
                let point = PointView {
                    metric,
                    unit: "",
                    scope: "",
                    time_ns: 0,
                    start_ns: 0,
                    value: PointValue::Sum {
                        value,
                        monotonic: true,
                        temporality: Temporality::Cumulative,
                    },
                    attributes: &[],
                };
                self.silent.point(&origin, &point, &mut out);
            }
        }
        for part in 1..=4 {
            let now_ms = 1_700_000_000_000 + self.minute * 60_000 + part * 15_000;
            self.silent.tick(now_ms, &mut out);
        }
        self.minute += 1;
        out
    }
}

#[test]
fn counters_of_several_processes_are_not_one() {
    let mut pods = Pods::new();
    for minute in 0..600 {
        let out = pods.minute(0.2);
        assert!(out.is_empty(), "minute {minute}: {out:#?}");
    }
    let found = (0..60).find(|_| !pods.minute(0.05).is_empty());
    assert!(found.is_some_and(|minutes| minutes < 30), "{found:?}");
}

#[test]
fn fewer_failures_are_no_failure() {
    let check = |metric: &str, attributes: &[(&str, Attribute<'_>)], expected: bool| {
        let point = PointView {
            metric,
            unit: "",
            scope: "",
            time_ns: 0,
            start_ns: 0,
            value: PointValue::Gauge(1.0),
            attributes,
        };
        assert_eq!(is_of_failures(&point), expected, "{metric} {attributes:?}");
    };
    check("http.server.request.duration", &[], false);
    check("app.errors", &[], true);
    check("requests", &[("http.response.status_code", Attribute::Int(503))], true);
    check("requests", &[("http.response.status_code", Attribute::Int(200))], false);
    check("http_requests_total", &[("status", Attribute::Str("404"))], true);
    check("http_requests_total", &[("status", Attribute::Str("ok"))], false);
}

/// What is said of a counter that moves from two o'clock each night but on those days, minute by minute, with deploys.
fn nights(days: i64, without: &[i64]) -> Vec<Anomaly> {
    let mut case = Case::new(1);
    let mut out = Vec::new();
    let mut rows = 0.0;
    for minute in 0..days * 1_440 {
        let (day, of_day) = (minute / 1_440, minute % 1_440);
        if (120..150).contains(&of_day) && !without.contains(&day) {
            rows += 100.0;
        }
        case.now_ms += 60_000;
        case.silent.tick(case.now_ms, &mut out);
        if of_day == 900 && day % 3 == 1 {
            case.silent.deployed(&origin(), case.now_ms);
        }
        for (metric, value) in [("rows", rows), ("beats", minute as f64)] {
            let value = PointValue::Sum {
                value,
                monotonic: true,
                temporality: Temporality::Cumulative,
            };
            case.point(metric, value, &mut out);
        }
    }
    out.retain(|claim| claim.fingerprint.as_ref().is_some_and(|about| about.starts_with("job")));
    out
}

#[test]
fn a_nightly_job_that_only_a_counter_shows_is_missed_in_the_morning() {
    assert_eq!(nights(20, &[]), []);
    let told = nights(10, &[9]);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0].severity, crate::detect::Severity::Odd);
    assert!(
        told[0].evidence[0].contains("`counter rows` came every 1440 min"),
        "{told:#?}"
    );
    let of_day = (told[0].at_ms - 1_700_000_000_000) / 60_000 % 1_440;
    assert!((240..360).contains(&of_day), "{of_day}");
}
