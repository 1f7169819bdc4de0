//! From OTLP bytes to the detectors' verdicts, on one core.
//!
//! What is measured is what the daemon does with a request after it was unpacked: read it to its end and count
//! (`census`), then decode it and show each record to every analyzer. Requests are made before the clock starts, hold 512
//! records each as SDKs batch them, and are shown again and again with new times. The published anchors, one core each:
//! otel-arrow 273 k logs/s for decode, one attribute, encode; the Go Collector 100 to 140 k; Vector 34 k events.

mod data;

use std::time::{Duration, Instant};

use prunella_core::detect::{ANALYZERS, Observatory};
use prunella_core::signal::otlp::{Feed, Kind, OriginLimits, Priority, census};

use crate::report::{BenchError, Report, say};
use crate::{Options, Suite};

/// The suite.
pub(crate) const SUITE: Suite = Suite {
    name: "throughput",
    about: "logs, spans and points per second on one core, and memory at a million series",
    run,
};

/// How long each kind is measured; the best of [`ROUNDS`] counts, for the machine has other work.
const FOR: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;
/// What the analyzers may keep, as the daemon's default is.
const MEMORY: usize = 256 << 20;
/// What they may keep where the memory at a million series is the question.
const PLENTY: usize = 2 << 30;
const SERIES: usize = 1_000_000;

fn run(_: &Options) -> Result<Report, BenchError> {
    say(&format!("{} analyzers", ANALYZERS.len()));
    let mut report = Report::default();
    for (name, kind, target) in [
        ("logs", Kind::Logs, 400_000.0),
        ("spans", Kind::Traces, 300_000.0),
        ("points", Kind::Metrics, 1_000_000.0),
    ] {
        let requests = data::requests(kind);
        let records = 512 * requests.len();
        let bytes: usize = requests.iter().map(Vec::len).sum();
        let read = best(|| reading(kind, &requests));
        let all = best(|| verdicts(kind, &requests, MEMORY));
        let size = bytes as f64 / records as f64;
        say(&format!(
            "{name:<8} {all:>12.0}/s  ({target:.0} wanted)  reading alone {read:.0}/s, {size:.0} bytes each"
        ));
        report.figures.insert(format!("{name}_per_s_core"), all);
        report.figures.insert(format!("{name}_read_per_s_core"), read);
        report.figures.insert(format!("{name}_bytes"), size);
        report.cases += 1;
    }
    let (mib, said) = memory()?;
    say(&format!(
        "{SERIES} series: {mib:.0} MiB resident, the analyzers say {said:.0} MiB"
    ));
    report.figures.insert("mib_at_1m_series".to_owned(), mib);
    report.figures.insert("mib_said_at_1m_series".to_owned(), said);
    report.cases += 1;
    Ok(report)
}

fn best(measure: impl Fn() -> f64) -> f64 {
    (0..ROUNDS).map(|_| measure()).fold(0.0, f64::max)
}

/// Records per second that are read and counted.
fn reading(kind: Kind, requests: &[Vec<u8>]) -> f64 {
    let (begun, mut records) = (Instant::now(), 0);
    while begun.elapsed() < FOR {
        for request in requests {
            records += census(kind, request).expect("the suite's own requests").counts.records;
        }
    }
    records as f64 / begun.elapsed().as_secs_f64()
}

/// Records per second from bytes to verdicts, a second of recorded time for each pass. The first pass, in which analyzers
/// learn what there is, is not counted: a daemon lives for weeks.
fn verdicts(kind: Kind, requests: &[Vec<u8>], memory: usize) -> f64 {
    let (mut feed, mut sky, mut found) = (Feed::new(OriginLimits::default()), Observatory::new(memory), Vec::new());
    let mut now_ms = data::BEGIN_NS as i64 / 1_000_000;
    let mut pass = |requests: &[Vec<u8>]| {
        let mut records = 0;
        for request in requests {
            let counted = census(kind, request).expect("the suite's own requests");
            feed.request(kind, request, Priority::Detail, &mut sky, &mut found)
                .expect("the suite's own requests");
            records += counted.counts.records;
            found.clear();
        }
        now_ms += 1_000;
        sky.tick(now_ms, &mut found);
        records
    };
    pass(requests);
    let (begun, mut records) = (Instant::now(), 0);
    while begun.elapsed() < FOR {
        records += pass(requests);
    }
    records as f64 / begun.elapsed().as_secs_f64()
}

/// Resident memory that a million series take, each with four points; and what the analyzers say of it. MiB.
fn memory() -> Result<(f64, f64), BenchError> {
    let (mut feed, mut sky, mut found) = (Feed::new(OriginLimits::default()), Observatory::new(PLENTY), Vec::new());
    let before = resident()?;
    for pass in 0..4_u64 {
        for first in (0..SERIES).step_by(512) {
            let request = data::points(first..(first + 512).min(SERIES), pass);
            feed.request(Kind::Metrics, &request, Priority::Detail, &mut sky, &mut found)
                .expect("the suite's own requests");
            found.clear();
        }
        sky.tick((data::BEGIN_NS / 1_000_000 + pass * 10_000) as i64, &mut found);
    }
    for (analyzer, overflow) in sky.overflows() {
        say(&format!("  {analyzer}: {} beyond {}", overflow.count, overflow.limit));
    }
    let mib = |bytes: f64| bytes / f64::from(1 << 20);
    Ok((mib(resident()? - before), mib(sky.bytes() as f64)))
}

/// Resident memory of this process, bytes.
fn resident() -> Result<f64, BenchError> {
    let text = std::fs::read_to_string("/proc/self/statm").map_err(BenchError::io("/proc/self/statm"))?;
    let pages = text.split(' ').nth(1).and_then(|field| field.parse::<f64>().ok());
    let pages = pages.ok_or_else(|| BenchError::Unexpected(format!("/proc/self/statm says {text}")))?;
    Ok(pages * rustix::param::page_size() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suites_requests_hold_what_they_should() {
        for kind in [Kind::Logs, Kind::Traces, Kind::Metrics] {
            for request in data::requests(kind).iter().take(3) {
                let counts = census(kind, request).unwrap().counts;
                assert_eq!(
                    (counts.records, counts.rejected, counts.attributes_dropped),
                    (512, 0, 0)
                );
            }
        }
    }
}
