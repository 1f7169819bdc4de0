//! `false-alarms`: incidents on healthy traffic, and how long each kind of fault takes to be told at the same setting.
//!
//! Made-up services (see `world`): some healthy for a month, others for ten days and then struck by one fault. Everything that Prunella watches a service with runs on them, and what counts is what a person gets:
//! incidents. The first two weeks teach; incidents in them count too.

mod faults;
mod watch;
mod world;

use crate::report::{BenchError, Report, median, say};
use crate::{Options, Suite};
use faults::{Effect, FAULTS, Fault};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use watch::{Said, Watch, is_about, is_page};
use world::{DAY, World};

pub(crate) const SUITE: Suite = Suite {
    name: "false-alarms",
    about: "incidents on months of healthy, made-up traffic, and the delay until each kind of fault is told",
    run,
};

/// Services, and healthy days of each.
const SERVICES: u64 = 8;
const HEALTHY_DAYS: i64 = 30;
/// Services that are struck by each fault, and days before.
const FAULTY: u64 = 2;
const BEFORE_DAYS: i64 = 10;
const MONTH_DAYS: f64 = 30.0;
/// Threads.
const WORKERS: u64 = 2;

/// What healthy days brought.
#[derive(Default)]
struct Healthy {
    incidents: usize,
    odd: usize,
    what: Vec<String>,
    points: u64,
}

/// What became of one fault.
struct Told {
    fault: &'static Fault,
    page_min: Option<i64>,
    any_min: Option<i64>,
}

fn run(_: &Options) -> Result<Report, BenchError> {
    let start = std::time::Instant::now();
    let healthy = spread(SERVICES, |seed| healthy(1_000 + seed));
    let points: u64 = healthy.iter().map(|h| h.points).sum();
    let rate = points as f64 / start.elapsed().as_secs_f64();
    let told: Vec<Told> = spread(FAULTY * FAULTS.len() as u64, faulty);
    let mut report = Report {
        cases: (SERVICES + FAULTY * FAULTS.len() as u64) as usize,
        ..Report::default()
    };
    let months = SERVICES as f64 * HEALTHY_DAYS as f64 / MONTH_DAYS;
    let incidents: usize = healthy.iter().map(|h| h.incidents).sum();
    let odd: usize = healthy.iter().map(|h| h.odd).sum();
    let worst = healthy.iter().map(|h| h.incidents).max().unwrap_or(0);
    put(&mut report, "incidents_per_service_month", incidents as f64 / months);
    put(
        &mut report,
        "incidents_per_month_worst_service",
        worst as f64 * MONTH_DAYS / HEALTHY_DAYS as f64,
    );
    put(&mut report, "odd_per_service_month", odd as f64 / months);
    put(&mut report, "points_per_s_with_simulation", rate);
    for (seed, service) in healthy.iter().enumerate() {
        report
            .per_case
            .push(json!({"service": seed, "incidents": service.incidents, "odd": service.odd, "what": service.what}));
    }
    delays(&told, &mut report);
    Ok(report)
}

fn put(report: &mut Report, name: &str, value: f64) {
    report.figures.insert(name.to_owned(), value);
}

/// Runs seeds on a few threads, in the order of the seeds.
fn spread<T: Send>(seeds: u64, run: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let mut all: Vec<(u64, T)> = std::thread::scope(|scope| {
        let run = &run;
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                scope.spawn(move || {
                    let mine = (0..seeds).filter(|seed| seed % WORKERS == worker);
                    mine.map(|seed| (seed, run(seed))).collect::<Vec<_>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("a seed does not panic"))
            .collect()
    });
    all.sort_by_key(|(seed, _)| *seed);
    all.into_iter().map(|(_, found)| found).collect()
}

fn healthy(seed: u64) -> Healthy {
    let mut world = World::new(seed);
    let mut watch = Watch::new();
    let mut found = Healthy::default();
    while world.minute < HEALTHY_DAYS * DAY {
        world.live(&Effect::NONE);
        for said in watch.minute(&mut world, &Effect::NONE) {
            count(&mut found, &said, world.minute);
        }
    }
    found.points = watch.points;
    let (routes, traffic) = (world.routes(), world.per_minute());
    say(&format!(
        "healthy service {seed} ({routes} routes, {traffic:.0} requests a minute): {} incidents, {} odd, in {HEALTHY_DAYS} days {:#?}",
        found.incidents, found.odd, found.what
    ));
    found
}

fn count(found: &mut Healthy, said: &Said, minute: i64) {
    found.odd += usize::from(!is_page(&said.anomaly));
    if said.opened {
        found.incidents += 1;
        let a = &said.anomaly;
        let day = minute as f64 / DAY as f64;
        found.what.push(format!(
            "day {day:.2} {} {:?}: {}",
            a.detector,
            a.kind,
            a.evidence.join(" | ")
        ));
    }
}

/// One fault after a healthy while that ends at any hour.
fn faulty(case: u64) -> Told {
    let (fault, seed) = (&FAULTS[case as usize % FAULTS.len()], 2_000 + case);
    let mut world = World::new(seed);
    let mut watch = Watch::new();
    let minutes = BEFORE_DAYS * DAY + world.random.between(0.0, DAY as f64) as i64;
    for _ in 0..minutes {
        world.live(&Effect::NONE);
        watch.minute(&mut world, &Effect::NONE);
    }
    suffer(fault, &mut world, &mut watch)
}

fn suffer(fault: &'static Fault, world: &mut World, watch: &mut Watch) -> Told {
    let mut told = Told {
        fault,
        page_min: None,
        any_min: None,
    };
    if fault.effect.deployed {
        world.deploy();
    }
    for minute in 1..=fault.minutes {
        let mut effect = fault.effect.clone();
        effect.drift *= minute as f64 / fault.minutes as f64;
        world.live(&effect);
        for Said { anomaly, .. } in watch.minute(world, &effect) {
            // What is about something else was a false alarm, whenever it came.
            if !is_about(&anomaly, fault.about) {
                continue;
            }
            told.any_min.get_or_insert(minute);
            if is_page(&anomaly) {
                told.page_min.get_or_insert(minute);
            }
        }
    }
    told
}

fn delays(told: &[Told], report: &mut Report) {
    let mut by_fault: BTreeMap<&str, Vec<&Told>> = BTreeMap::new();
    for one in told {
        by_fault.entry(one.fault.name).or_default().push(one);
    }
    let (mut needed, mut got) = (0, 0);
    for fault in FAULTS {
        let all = &by_fault[fault.name];
        let figures = |minutes: &dyn Fn(&Told) -> Option<i64>| {
            let known: Vec<f64> = all.iter().filter_map(|t| minutes(t)).map(|m| m as f64).collect();
            (known.len() as f64 / all.len() as f64, median(&known))
        };
        let (paged, page_delay) = figures(&|t| t.page_min);
        let (said, delay) = figures(&|t| t.any_min);
        needed += all.len();
        got += all
            .iter()
            .filter(|t| if fault.page { t.page_min } else { t.any_min }.is_some())
            .count();
        put(report, &format!("paged/{}", fault.name), paged);
        put(report, &format!("told/{}", fault.name), said);
        if said > 0.0 {
            put(report, &format!("delay_min/{}", fault.name), delay);
        }
        report.per_case.push(line(fault, paged, page_delay, said, delay));
        say(&format!(
            "{:<28} paged {paged:.2} (median {page_delay:.0} min), told {said:.2} (median {delay:.0} min){}",
            fault.name,
            if fault.page { "" } else { ", need not page" }
        ));
    }
    put(
        report,
        "found",
        f64::from(got as u32) / f64::from((needed as u32).max(1)),
    );
}

fn line(fault: &Fault, paged: f64, page_delay: f64, said: f64, delay: f64) -> Value {
    json!({
        "fault": fault.name, "must_page": fault.page, "paged": paged, "page_delay_median_min": page_delay,
        "told": said, "delay_median_min": delay,
    })
}
