//! A shop with telemetry, simulated: its requests, orders, mails, jobs and queue, and what can go wrong in silence.

use prunella_core::detect::{Anomaly, Observatory, Severity};
use prunella_core::id::{ReleaseId, ServiceName};
use prunella_core::signal::telemetry::{
    LogView, Origin, PointValue, PointView, SpanKind, SpanStatus, SpanView, Temporality, Value,
};

use super::random::Random;

/// How the shop behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour {
    /// Share of the requests that order.
    orders: f64,
    /// Mails for an order.
    mails: f64,
    /// Payments for an order, and amounts for a payment.
    payments: f64,
    amount: f64,
    /// Messages that the consumer takes from the queue in a second at most.
    consumed: u64,
    /// Rows that the cleaner finds; how often it runs when it is due; how long it takes, ms.
    cleaned: u64,
    runs: u32,
    takes_ms: u64,
    /// Mails that the nightly report's log line names.
    reported: u64,
    /// Calls of the stock service for an order; share of the first ones that fail and are repeated.
    stock_calls: u32,
    retried: f64,
    /// Share of the calls that fail for the caller only.
    unseen: f64,
    /// Whether an order is written to the journal, and whether the cache is asked.
    journal: bool,
    cache: bool,
    stock_ms: u64,
}

pub(crate) const HEALTHY: Behaviour = Behaviour {
    orders: 0.25,
    mails: 1.0,
    payments: 1.0,
    amount: 40.0,
    consumed: 30,
    cleaned: 6,
    runs: 1,
    takes_ms: 400,
    reported: 20,
    stock_calls: 2,
    retried: 0.01,
    unseen: 0.005,
    journal: true,
    cache: true,
    stock_ms: 8,
};

/// A fault by its name.
pub(crate) static FAULTS: &[(&str, Behaviour)] = &[
    (
        "orders fall by half while requests do not",
        Behaviour {
            orders: 0.12,
            ..HEALTHY
        },
    ),
    (
        "orders stop while requests do not",
        Behaviour { orders: 0.0, ..HEALTHY },
    ),
    ("one mail of five is lost", Behaviour { mails: 0.8, ..HEALTHY }),
    (
        "one payment of ten is not written",
        Behaviour {
            payments: 0.9,
            ..HEALTHY
        },
    ),
    (
        "payments are made twice",
        Behaviour {
            payments: 2.0,
            ..HEALTHY
        },
    ),
    (
        "amounts are in another currency",
        Behaviour {
            amount: 29.0,
            ..HEALTHY
        },
    ),
    ("the consumer is stuck", Behaviour { consumed: 0, ..HEALTHY }),
    ("the consumer is too slow", Behaviour { consumed: 2, ..HEALTHY }),
    ("the cleaner does not run", Behaviour { runs: 0, ..HEALTHY }),
    ("the cleaner runs twice", Behaviour { runs: 2, ..HEALTHY }),
    ("the cleaner finds nothing", Behaviour { cleaned: 0, ..HEALTHY }),
    ("the cleaner ends at once", Behaviour { takes_ms: 2, ..HEALTHY }),
    ("the report has no mails", Behaviour { reported: 0, ..HEALTHY }),
    (
        "each order asks the stock four times as often",
        Behaviour {
            stock_calls: 8,
            ..HEALTHY
        },
    ),
    (
        "each order asks the stock twice as often",
        Behaviour {
            stock_calls: 4,
            ..HEALTHY
        },
    ),
    (
        "the stock is no longer asked",
        Behaviour {
            stock_calls: 0,
            ..HEALTHY
        },
    ),
    (
        "retries hide one failure of five",
        Behaviour {
            retried: 0.2,
            ..HEALTHY
        },
    ),
    (
        "one call of ten fails for the caller only",
        Behaviour { unseen: 0.1, ..HEALTHY },
    ),
    (
        "orders are no longer journalled",
        Behaviour {
            journal: false,
            ..HEALTHY
        },
    ),
    (
        "the cache is bypassed",
        Behaviour {
            cache: false,
            ..HEALTHY
        },
    ),
    (
        "the stock answers well and slowly",
        Behaviour {
            stock_ms: 90,
            ..HEALTHY
        },
    ),
];

/// The running simulation.
pub(crate) struct World {
    sky: Observatory,
    random: Random,
    now_ms: i64,
    second: u64,
    id: u64,
    depth: u64,
    totals: [f64; 6],
    deployed: u32,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            sky: Observatory::new(64 << 20),
            random: Random::new(seed),
            now_ms: 1_790_000_000_000,
            second: 0,
            id: 0,
            depth: 0,
            totals: [0.0; 6],
            deployed: 0,
        }
    }

    fn origin(&self, service: u32) -> Origin {
        let release = if service == 0 { self.deployed } else { 100 };
        Origin {
            service_key: service,
            service: ServiceName::parse(["shop", "stock"][service as usize]).expect("a plain name"),
            release_key: if service == 0 { self.deployed + 1 } else { 0 },
            release: ReleaseId::parse(format!("r{release}")).expect("a plain name"),
            instance: String::new(),
            compare_with: None,
        }
    }

    /// Another release of the shop begins.
    pub(crate) fn deploy(&mut self) {
        self.deployed += 1;
        let origin = self.origin(0);
        self.sky.origin(&origin);
    }

    /// So many seconds; the pages, and how many seconds after the beginning each came, and the number of odd ones.
    pub(crate) fn run(&mut self, seconds: u64, b: Behaviour) -> (Vec<(u64, Anomaly)>, usize) {
        let (mut pages, mut odd) = (Vec::new(), 0);
        for after in 0..seconds {
            let mut out = Vec::new();
            self.one_second(b, &mut out);
            self.now_ms += 1_000;
            self.second += 1;
            self.sky.tick(self.now_ms, &mut out);
            for anomaly in out {
                if anomaly.severity == Severity::Page {
                    pages.push((after + 1, anomaly));
                } else {
                    odd += 1;
                }
            }
        }
        (pages, odd)
    }

    /// Time that all analyzers take for so many spans of known operations, ticks included, ns for each span.
    pub(crate) fn cost_of_a_span(&mut self, seconds: u64) -> f64 {
        let (before, begun) = (self.id, std::time::Instant::now());
        for _ in 0..seconds {
            let mut out = Vec::new();
            // About two hundred thousand spans in a second of the simulation.
            (0..40_000).for_each(|n| self.request(HEALTHY, n % 4 == 0, &mut out));
            self.now_ms += 1_000;
            self.sky.tick(self.now_ms, &mut out);
        }
        begun.elapsed().as_nanos() as f64 / (self.id - before).max(1) as f64
    }

    fn one_second(&mut self, b: Behaviour, out: &mut Vec<Anomaly>) {
        // A day of twenty minutes, and a surge now and then.
        let day = (self.second as f64 / 1_200.0 * std::f64::consts::TAU).sin();
        let surge = if self.second / 400 % 5 == 3 { 1.6 } else { 1.0 };
        let requests = self.random.poisson(12.0 * (1.0 + 0.4 * day) * surge);
        let orders = self.random.binomial(requests, b.orders);
        let often = |random: &mut Random, n: u64, share: f64| {
            let whole = share.floor();
            n * whole as u64 + random.binomial(n, share - whole)
        };
        let mails = often(&mut self.random, orders, b.mails);
        let payments = often(&mut self.random, orders, b.payments);
        let amounts: f64 = (0..payments).map(|_| b.amount * (0.5 + self.random.uniform())).sum();
        self.depth += mails;
        let handled = if self.second.is_multiple_of(3) {
            self.depth.min(b.consumed)
        } else {
            0
        };
        self.depth -= handled;
        let added = [
            requests as f64,
            orders as f64,
            mails as f64,
            payments as f64,
            amounts,
            handled as f64,
        ];
        self.totals.iter_mut().zip(added).for_each(|(total, n)| *total += n);
        (0..requests).for_each(|n| self.request(b, n < orders, out));
        if self.second.is_multiple_of(5) {
            self.metrics(out);
        }
        if self.second % 60 == 13 {
            (0..b.runs).for_each(|_| self.job(b, out));
        }
        if self.second % 90 == 50 {
            let sent = if b.reported == 0 {
                0
            } else {
                b.reported + self.random.below(9)
            };
            self.line(&format!("report written, {sent} mails sent"), out);
        }
        if self.random.chance(0.3) {
            let n = self.random.below(1_000);
            self.line(&format!("customer {n} logged in"), out);
        }
    }

    fn metrics(&mut self, out: &mut Vec<Anomaly>) {
        let names = [
            "requests",
            "orders",
            "mails.queued",
            "payments",
            "payments.amount",
            "mails.handled",
        ];
        let origin = self.origin(0);
        let mut tell = |metric: &str, value: PointValue<'_>| {
            let point = PointView {
                metric,
                unit: "",
                scope: "shop",
                time_ns: 0,
                start_ns: 0,
                value,
                attributes: &[],
            };
            self.sky.point(&origin, &point, out);
        };
        for (name, value) in names.into_iter().zip(self.totals) {
            let (monotonic, temporality) = (true, Temporality::Cumulative);
            tell(
                name,
                PointValue::Sum {
                    value,
                    monotonic,
                    temporality,
                },
            );
        }
        tell("mails.waiting", PointValue::Gauge(self.depth as f64));
    }

    fn line(&mut self, body: &str, out: &mut Vec<Anomaly>) {
        let record = LogView {
            time_ns: 0,
            severity: None,
            body,
            event_name: None,
            scope: "shop",
            attributes: &[],
            trace_id: None,
            span_id: None,
        };
        let origin = self.origin(0);
        self.sky.log(&origin, &record, out);
    }

    fn job(&mut self, b: Behaviour, out: &mut Vec<Anomaly>) {
        let rows = if b.cleaned == 0 {
            0
        } else {
            b.cleaned + self.random.below(5)
        };
        let rows = [("rows", Value::Int(rows.cast_signed()))];
        let ms = b.takes_ms + self.random.below(50);
        self.id += 1;
        let span = Span {
            service: 0,
            trace: self.id,
            parent: 0,
            name: "cleaner",
            kind: SpanKind::Internal,
            ms,
            error: false,
        };
        self.span(&span, &rows, out);
    }

    fn request(&mut self, b: Behaviour, orders: bool, out: &mut Vec<Anomaly>) {
        let trace = self.id + 1;
        let of = |service, parent, name, kind, ms, error| Span {
            service,
            trace,
            parent,
            name,
            kind,
            ms,
            error,
        };
        let ms = 10 + self.random.below(20);
        if !orders {
            let root = self.span(&of(0, 0, "GET /products", SpanKind::Server, ms, false), &[], out);
            if b.cache {
                self.span(&of(0, root, "cache get", SpanKind::Client, 1, false), &[], out);
            }
            return;
        }
        let root = self.span(
            &of(0, 0, "POST /orders", SpanKind::Server, ms + 2 * b.stock_ms, false),
            &[],
            out,
        );
        let again = u32::from(self.random.chance(b.retried));
        for n in 0..b.stock_calls + again {
            let fails = (again == 1 && n == 0) || self.random.chance(b.unseen);
            let took = b.stock_ms + self.random.below(4);
            let client = self.span(&of(0, root, "stock", SpanKind::Client, took + 1, fails), &[], out);
            self.span(&of(1, client, "GET /stock", SpanKind::Server, took, false), &[], out);
        }
        if b.journal {
            self.span(&of(0, root, "journal", SpanKind::Internal, 1, false), &[], out);
        }
    }

    fn span(&mut self, s: &Span, attributes: &[(&str, Value<'_>)], out: &mut Vec<Anomaly>) -> u64 {
        self.id += 1;
        let mut trace_id = [0; 16];
        trace_id[..8].copy_from_slice(&s.trace.to_le_bytes());
        trace_id[8..].copy_from_slice(&s.trace.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        let start_ns = self.now_ms.unsigned_abs() * 1_000_000 + self.id;
        let span = SpanView {
            trace_id,
            span_id: self.id.to_le_bytes(),
            parent_id: (s.parent > 0).then(|| s.parent.to_le_bytes()),
            name: s.name,
            kind: s.kind,
            start_ns,
            end_ns: start_ns + s.ms * 1_000_000,
            status: if s.error { SpanStatus::Error } else { SpanStatus::Unset },
            status_message: "",
            attributes,
            exception_type: None,
            exception_message: None,
            exception_stacktrace: None,
        };
        let origin = self.origin(s.service);
        self.sky.span(&origin, &span, out);
        self.id
    }
}

struct Span<'a> {
    service: u32,
    trace: u64,
    parent: u64,
    name: &'a str,
    kind: SpanKind,
    ms: u64,
    error: bool,
}
