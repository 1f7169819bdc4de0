//! Anomalies of log templates: false alarms on healthy services, and what is found of injected faults.
//!
//! # Method
//! A simulated service writes about fifty lines a minute: requests with their start and end, user names, a heartbeat, an
//! hourly job, rare warnings and errors of several kinds. Its traffic has a day and a week (a third at night and at
//! weekends) and surges. It is deployed every third day with start-up lines and a changed message; debug logging is on for
//! two hours a week; log files rotate nightly; a batch writes a burst each night. All analyzers that are registered see it,
//! with a tick each second of simulated time.
//!
//! - `pages_per_service_month`, `odd_per_service_month`: claims on healthy services, per thirty days.
//! - `found`, `delay_median_s`: the share of faults claimed with the right kind within an hour, after three healthy days,
//!   and how long after their onset. `page_share`: how many of these were pages, where a page is due.
//! - `records_per_s_core`: records through the analyzers on one thread, generation subtracted.

mod world;

use crate::report::{BenchError, Report, median, say};
use crate::{Options, Suite};
use serde_json::json;
use world::{FAULTS, Outcome, World};

pub(crate) const SUITE: Suite = Suite {
    name: "log-anomalies",
    about: "log templates: false alarms of healthy services, faults found, records per second",
    run,
};

const SERVICES: u64 = 6;
const DAYS: i64 = 30;
const BEFORE_DAYS: i64 = 3;

fn run(_: &Options) -> Result<Report, BenchError> {
    let mut report = Report::default();
    let (mut pages, mut odd) = (0, 0);
    for seed in 0..SERVICES {
        let outcome = World::new(seed).healthy(DAYS);
        let found: Vec<&str> = outcome.pages.iter().map(|a| a.evidence[0].as_str()).collect();
        say(&format!(
            "healthy service {seed}: {} pages, {} odd {found:?}",
            outcome.pages.len(),
            outcome.odd.len()
        ));
        report.per_case.push(json!({
            "healthy": seed, "pages": outcome.pages.len(), "odd": outcome.odd.len(),
            "odd_said": outcome.odd.iter().map(|a| &a.evidence[0]).take(20).collect::<Vec<_>>(),
        }));
        pages += outcome.pages.len();
        odd += outcome.odd.len();
    }
    let (mut delays, mut found, mut paged, mut due) = (Vec::new(), 0, 0, 0);
    let mut cases = 0;
    for (at, fault) in FAULTS.iter().enumerate() {
        for seed in 0..3 {
            let outcome = World::new(100 + seed + 10 * at as u64).broken(BEFORE_DAYS, fault);
            cases += 1;
            due += usize::from(fault.pages);
            paged += usize::from(fault.pages && outcome.paged);
            found += usize::from(outcome.delay_s.is_some());
            delays.extend(outcome.delay_s);
            one(fault.name, seed, &outcome, &mut report);
        }
    }
    let months = SERVICES as f64 * DAYS as f64 / 30.0;
    report.cases = cases + SERVICES as usize;
    for (name, value) in [
        ("pages_per_service_month", pages as f64 / months),
        ("odd_per_service_month", odd as f64 / months),
        ("found", found as f64 / cases as f64),
        ("page_share", paged as f64 / due.max(1) as f64),
        ("delay_median_s", median(&delays)),
        ("records_per_s_core", world::speed()),
    ] {
        report.figures.insert(name.to_owned(), value);
    }
    Ok(report)
}

fn one(name: &str, seed: u64, outcome: &Outcome, report: &mut Report) {
    let delay = outcome
        .delay_s
        .map_or_else(|| "missed".to_owned(), |d| format!("{d:.0} s"));
    say(&format!(
        "{name:<28} {seed} {delay:>8} paged {} others {:?}",
        outcome.paged, outcome.others
    ));
    report.per_case.push(json!({
        "fault": name, "seed": seed, "delay_s": outcome.delay_s, "paged": outcome.paged, "others": outcome.others,
    }));
}
