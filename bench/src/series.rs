//! `series`: a million metric series at a time through the metrics analyzers: points per second of one core, and memory.
//!
//! Views are made from strings that exist already, as a decoder would hand them over: decoding itself is not in the figure.
//! A million gauges, counters and histogram streams of a hundred metrics, ten pods and a thousand label values report
//! once a minute for five minutes; then a label explosion ten times that size must not grow the memory past the budget.

use crate::report::{BenchError, Report};
use crate::{Options, Suite};
use prunella_core::detect::Observatory;
use prunella_core::id::{ReleaseId, ServiceName};
use prunella_core::signal::telemetry::{Origin, PointValue, PointView, Temporality, Value};
use std::time::Instant;

pub(crate) const SUITE: Suite = Suite {
    name: "series",
    about: "a million active metric series: points per second of one core, memory, and what a label explosion costs",
    run,
};

const BUDGET: usize = 512 << 20;
const METRICS: usize = 100;
const PODS: u32 = 10;
const LABELS: usize = 1_000;
const MINUTES: u64 = 5;
const EPOCH_MS: u64 = 1_736_121_600_000;
const MIB: f64 = 1_048_576.0;

fn run(_: &Options) -> Result<Report, BenchError> {
    let resident_before = resident();
    let mut sky = Observatory::new(BUDGET);
    let names: Vec<String> = (0..METRICS)
        .map(|i| format!("app.module_{i}.thing_{}", i % 7))
        .collect();
    let labels: Vec<String> = (0..LABELS).map(|i| format!("/customer/{i}/orders")).collect();
    let origins: Vec<Origin> = (0..PODS).map(origin).collect();
    let mut found = Vec::new();
    let (mut points, mut seconds, mut looks) = (0_u64, 0.0, 0.0);
    for minute in 1..=MINUTES {
        let start = Instant::now();
        for origin in &origins {
            for (m, name) in names.iter().enumerate() {
                for label in &labels {
                    send(&mut sky, origin, name, m, label, minute, &mut found);
                    points += 1;
                }
            }
        }
        let before_look = Instant::now();
        // The first minute makes the series; the others are what a running system pays.
        if minute > 1 {
            seconds += (before_look - start).as_secs_f64();
        }
        sky.tick((EPOCH_MS + minute * 60_000) as i64, &mut found);
        looks += before_look.elapsed().as_secs_f64();
    }
    let mut report = Report {
        cases: 1,
        ..Report::default()
    };
    let mut put = |name: &str, value: f64| {
        report.figures.insert(name.to_owned(), value);
    };
    let steady = points as f64 * (MINUTES - 1) as f64 / MINUTES as f64;
    put("points_per_s_core", steady / seconds);
    put(
        "points_per_s_core_with_looks",
        steady / (seconds + looks * (MINUTES - 1) as f64 / MINUTES as f64),
    );
    put("look_s", looks / MINUTES as f64);
    put("mib_at_1m_series", resident() - resident_before);
    put("mib_accounted", sky.bytes() as f64 / MIB);
    for i in 0..10_000_000_u64 {
        let label = format!("hostile-{i}");
        send(&mut sky, &origins[0], &names[0], 0, &label, MINUTES + 1, &mut found);
    }
    put("mib_after_explosion", resident() - resident_before);
    put("budget_mib", BUDGET as f64 / MIB);
    let refused: u64 = sky.overflows().iter().map(|(_, overflow)| overflow.count).sum();
    put("refused_and_counted", refused as f64);
    Ok(report)
}

fn origin(pod: u32) -> Origin {
    Origin {
        service_key: 0,
        service: ServiceName::parse("shop").expect("a slug"),
        release_key: 0,
        release: ReleaseId::parse("r1").expect("a slug"),
        instance: format!("shop-7d9f-{pod}"),
        compare_with: None,
    }
}

fn send(
    sky: &mut Observatory,
    origin: &Origin,
    name: &str,
    number: usize,
    label: &str,
    minute: u64,
    found: &mut Vec<prunella_core::detect::Anomaly>,
) {
    let wave = ((minute * 37 + label.len() as u64 * 11) % 17) as f64;
    let counts = [minute * 3, minute * 5, minute, 0];
    let value = match number % 4 {
        0 => PointValue::Gauge(50.0 + wave),
        3 => PointValue::Histogram {
            temporality: Temporality::Cumulative,
            count: minute * 9,
            sum: Some(minute as f64),
            bounds: &[0.1, 0.5, 1.0],
            counts: &counts,
        },
        _ => PointValue::Sum {
            value: (minute * 100) as f64 + wave,
            monotonic: true,
            temporality: Temporality::Cumulative,
        },
    };
    let attributes = [
        ("http.route", Value::Str(label)),
        ("http.request.method", Value::Str("GET")),
        ("http.response.status_code", Value::Int(200)),
    ];
    let point = PointView {
        metric: name,
        unit: "1",
        scope: "bench",
        time_ns: (EPOCH_MS + minute * 60_000) * 1_000_000,
        start_ns: 0,
        value,
        attributes: &attributes,
    };
    sky.point(origin, &point, found);
}

/// Resident memory of this process, MiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line
        .and_then(|l| l.split_whitespace().next()?.parse().ok())
        .unwrap_or(0.0);
    kib / 1_024.0
}
