//! Failures that raise no error status: found, missed and false, with delays.
//!
//! Two parts. *Answers*: the demo's shop, and the services of `--data DIR` (a directory for each, with a
//! `service.json`), are started and asked; then a new release gets three answers of ten, and on one route its answers
//! have a fault. *Telemetry*: a simulated shop whose metrics, spans and log lines go to all analyzers. Every fault has a
//! run of equal length without it as a control; a page in a control, or before the fault, is false.

pub(crate) mod bodies;
mod random;
mod service;
mod world;

use std::collections::BTreeSet;

use prunella_core::detect::{AnomalyKind, Context, Detectors, Severity};
use prunella_core::id::{ReleaseId, ServiceName};
use prunella_core::signal::{Place, ResponseShape, Role, Signal};
use prunella_gateway::shape::{Shaper, target_hash};
use serde_json::json;

use self::bodies::{Answer, Fault, is_invisible};
use self::random::Random;
use self::service::Service;
use self::world::World;
use crate::report::{BenchError, Report, median, say};
use crate::{Options, Suite};

pub(crate) const SUITE: Suite = Suite {
    name: "silent",
    about: "failures without an error status: found, missed, false",
    run,
};

/// Answers that are learned from, and answers of a run.
const LEARNED: usize = 1_600;
const RUN: usize = 1_200;
/// Answers in a second.
const RATE: f64 = 10.0;
/// The new release's share of them.
const SHARE: f64 = 0.3;
/// Seconds that the simulated shop is learned from, and of a run.
const LEARNED_S: u64 = 2_400;
const RUN_S: u64 = 900;

#[derive(Default)]
struct Sums {
    cases: usize,
    found: usize,
    visible: usize,
    false_controls: usize,
    controls: usize,
    delays: Vec<f64>,
}

fn run(options: &Options) -> Result<Report, BenchError> {
    let mut report = Report::default();
    let mut sums = Sums::default();
    let shop = Service::shop()?;
    answers(&shop, &mut sums, &mut report)?;
    for dir in directories(options)? {
        answers(&Service::of(&dir)?, &mut sums, &mut report)?;
    }
    telemetry(&mut sums, &mut report);
    let share = |n: usize, of: usize| n as f64 / of.max(1) as f64;
    report.cases = sums.cases;
    let figures = [
        ("found", share(sums.found, sums.cases)),
        ("found_of_visible", share(sums.found, sums.visible)),
        ("false", share(sums.false_controls, sums.controls)),
        ("delay_median_s", median(&sums.delays)),
        ("controls", sums.controls as f64),
        ("ns_per_span", World::new(1).cost_of_a_span(10)),
    ];
    report
        .figures
        .extend(figures.map(|(name, value)| (name.to_owned(), value)));
    Ok(report)
}

fn directories(options: &Options) -> Result<Vec<std::path::PathBuf>, BenchError> {
    let Some(dir) = &options.data else {
        return Ok(Vec::new());
    };
    if dir.join("service.json").is_file() {
        return Ok(vec![dir.clone()]);
    }
    let entries = std::fs::read_dir(dir).map_err(BenchError::io(format!("cannot read {}", dir.display())))?;
    let mut all: Vec<_> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.join("service.json").is_file())
        .collect();
    all.sort();
    Ok(all)
}

/// The faults in the answers of one service.
fn answers(service: &Service, sums: &mut Sums, report: &mut Report) -> Result<(), BenchError> {
    let name = &service.described.name;
    let mut learned = service.answers(0, LEARNED)?;
    let mut fresh = service.answers(LEARNED, RUN)?;
    // What the gateway takes structures of.
    learned.retain(|a| a.status < 400);
    fresh.retain(|a| a.status < 400);
    let routes: BTreeSet<&str> = fresh.iter().map(|a| a.route.as_str()).collect();
    for (i, fault) in bodies::FAULTS.iter().enumerate() {
        let applies = |route: &&&str| {
            let mut on = fresh.iter().filter(|a| a.route == **route);
            on.clone().count() > 0 && on.all(|a| (fault.make)(a, 1).is_some())
        };
        let Some(route) = routes.iter().find(applies) else {
            say(&format!("{name}: no route for: {}", fault.name));
            continue;
        };
        let seed = i as u64 + 1;
        let control = trial(name, &learned, &fresh, None, seed);
        sums.controls += 1;
        sums.false_controls += usize::from(control.page.is_some() || control.false_page);
        let got = trial(name, &learned, &fresh, Some((fault, route)), seed);
        sums.false_controls += usize::from(got.false_page && control.page.is_none() && !control.false_page);
        count(name, fault.name, &got, sums, report);
        if let Some(said) = control.said {
            say(&format!("{name}: FALSE: {said}"));
        }
    }
    Ok(())
}

fn count(service: &str, fault: &str, got: &Got, sums: &mut Sums, report: &mut Report) {
    sums.cases += 1;
    sums.visible += usize::from(!is_invisible(fault));
    sums.found += usize::from(got.page.is_some());
    sums.delays.extend(got.page);
    let outcome = match (got.page, got.odd) {
        (Some(delay), _) => format!("found after {delay:.0} s"),
        (None, true) => "only odd".to_owned(),
        (None, false) => "missed".to_owned(),
    };
    say(&format!("{service}: {fault}: {outcome}"));
    report.per_case.push(json!({
        "service": service, "fault": fault, "found": got.page.is_some(), "delay_s": got.page,
        "odd": got.odd, "says": got.said,
    }));
}

/// What a run said.
#[derive(Default)]
struct Got {
    /// Seconds until the first page about the fault.
    page: Option<f64>,
    odd: bool,
    /// A page about something else.
    false_page: bool,
    said: Option<String>,
}

fn trial(service: &str, learned: &[Answer], fresh: &[Answer], fault: Option<(&Fault, &str)>, seed: u64) -> Got {
    let word: String = service.chars().filter(char::is_ascii_alphanumeric).collect();
    let mut detectors = Detectors::new(ServiceName::parse(word).expect("letters and digits"));
    let release = |name: &str| ReleaseId::parse(name).expect("a plain name");
    let context = Context {
        lkg: Some(release("good")),
        active: Some(release("good")),
        canary: Some(release("new")),
    };
    let mut random = Random::new(seed);
    let mut at_ms = 1_790_000_000_000_i64;
    let step = (1_000.0 / RATE) as i64;
    let mut got = Got::default();
    for answer in learned {
        at_ms += step;
        let found = detectors.observe(&signal(answer, "good", at_ms), &context);
        got.false_page |= found.iter().any(|a| a.severity == Severity::Page);
    }
    let begun = at_ms;
    for (nth, answer) in fresh.iter().enumerate() {
        at_ms += step;
        let new = random.chance(SHARE);
        let made = fault.filter(|(_, route)| new && answer.route == *route);
        let made = made.and_then(|(fault, _)| (fault.make)(answer, nth / 8));
        let name = if new { "new" } else { "good" };
        for anomaly in detectors.observe(&signal(made.as_ref().unwrap_or(answer), name, at_ms), &context) {
            let about = fault.is_none_or(|(_, route)| anomaly.route.as_deref() == Some(route))
                && anomaly.release.as_str() == "new"
                && anomaly.kind == AnomalyKind::Silent;
            match (anomaly.severity, about) {
                (Severity::Odd, _) => got.odd = true,
                (Severity::Page, false) => got.false_page = true,
                (Severity::Page, true) if got.page.is_none() => {
                    got.page = Some((at_ms - begun) as f64 / 1_000.0);
                    got.said = anomaly.evidence.first().cloned();
                }
                (Severity::Page, true) => {}
            }
        }
    }
    got
}

fn signal(answer: &Answer, release: &str, at_ms: i64) -> Signal {
    let body = Shaper::of(&answer.media, &answer.body, true);
    let place = |node| {
        let value = serde_json::to_value(node).expect("numbers and texts");
        serde_json::from_value::<Place>(value).expect("the same fields")
    };
    Signal::ResponseShape(ResponseShape {
        at_ms,
        release: ReleaseId::parse(release).expect("a plain name"),
        route: answer.route.clone(),
        role: Role::Primary,
        status: answer.status,
        media: answer.media.clone(),
        target: target_hash(&answer.uri),
        bytes: body.bytes,
        complete: body.complete,
        sound: body.sound,
        hash: body.hash,
        places: body.nodes.into_iter().map(place).collect(),
    })
}

/// The faults of the simulated shop: each as a deploy, and beside it a deploy of the same length without one.
fn telemetry(sums: &mut Sums, report: &mut Report) {
    for (i, (fault, behaviour)) in world::FAULTS.iter().enumerate() {
        let seed = i as u64 + 1;
        let mut got = Got::default();
        let mut control = World::new(seed);
        let (learning, _) = control.run(LEARNED_S, world::HEALTHY);
        control.deploy();
        let (pages, _) = control.run(RUN_S, world::HEALTHY);
        sums.controls += 1;
        if let Some((_, anomaly)) = learning.iter().chain(&pages).next() {
            sums.false_controls += 1;
            say(&format!("simulated shop: FALSE: {:?}", anomaly.evidence));
        }
        let mut world = World::new(seed);
        world.run(LEARNED_S, world::HEALTHY);
        world.deploy();
        let (pages, odd) = world.run(RUN_S, *behaviour);
        got.odd = odd > 0;
        if let Some((after, anomaly)) = pages.first() {
            got.page = Some(*after as f64);
            got.said = anomaly.evidence.first().cloned();
        }
        count("simulated shop", fault, &got, sums, report);
    }
}
