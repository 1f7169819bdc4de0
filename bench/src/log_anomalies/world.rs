//! A service that writes logs, healthy or not.

use prunella_core::detect::{Anomaly, AnomalyKind, Observatory, Severity as Weight};
use prunella_core::id::{ReleaseId, ServiceName};
use prunella_core::signal::Severity;
use prunella_core::signal::telemetry::{LogView, Origin};
use std::time::Instant;

const DAY_S: i64 = 86_400;
/// 2026-01-01, a Thursday.
const START_S: i64 = 1_767_225_600;
const BUDGET: usize = 64 << 20;
const USERS: [&str; 16] = [
    "ada", "bela", "chuck", "dora", "emil", "fritz", "gus", "hanna", "ida", "jo", "kim", "lea", "max", "nora", "otto",
    "pia",
];

/// What is broken, and what should be said of it.
pub(super) struct Fault {
    pub(super) name: &'static str,
    kind: AnomalyKind,
    /// Text of the template that should be named.
    says: &'static str,
    pub(super) pages: bool,
    deploys: bool,
}

/// Faults by name; [`World::second`] says what each does.
pub(super) static FAULTS: &[Fault] = &[
    fault(
        "new error after deploy",
        AnomalyKind::NewTemplate,
        "cannot price",
        true,
        true,
    ),
    fault(
        "new error at any time",
        AnomalyKind::NewTemplate,
        "pool exhausted",
        true,
        false,
    ),
    fault(
        "new warning",
        AnomalyKind::NewTemplate,
        "retrying upstream",
        false,
        false,
    ),
    fault("end missing", AnomalyKind::Order, "request", true, false),
    fault(
        "heartbeat stops",
        AnomalyKind::VanishedTemplate,
        "heartbeat",
        true,
        false,
    ),
    fault(
        "frequent line stops",
        AnomalyKind::VanishedTemplate,
        "cache hit",
        false,
        false,
    ),
    fault("known error rises", AnomalyKind::LogRate, "timeout", true, false),
    fault("line falls to a tenth", AnomalyKind::LogRate, "cache hit", false, false),
    fault("severity drifts", AnomalyKind::LogRate, "cache hit", false, false),
];

const fn fault(name: &'static str, kind: AnomalyKind, says: &'static str, pages: bool, deploys: bool) -> Fault {
    Fault {
        name,
        kind,
        says,
        pages,
        deploys,
    }
}

/// What was claimed.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) pages: Vec<Anomaly>,
    pub(super) odd: Vec<Anomaly>,
    /// Seconds from the onset to the first right claim.
    pub(super) delay_s: Option<f64>,
    pub(super) paged: bool,
    /// First sentences of claims of other kinds.
    pub(super) others: Vec<String>,
}

/// The service and who watches it.
pub(super) struct World {
    rng: u64,
    watch: Option<Observatory>,
    origin: Origin,
    now_s: i64,
    deployed_s: i64,
    request: u64,
    ends: Vec<(i64, u64, u64)>,
    out: Vec<Anomaly>,
    records: u64,
    surge_until: i64,
    active: Option<&'static str>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            watch: Some(Observatory::new(BUDGET)),
            origin: Origin {
                service_key: 0,
                service: ServiceName::parse("shop").expect("a name"),
                release_key: 0,
                release: ReleaseId::parse("r0").expect("an identifier"),
                instance: String::new(),
                compare_with: None,
            },
            now_s: START_S + (seed as i64 % 7) * DAY_S,
            deployed_s: 0,
            request: 10_000 + seed * 1_000_000,
            ends: Vec::new(),
            out: Vec::new(),
            records: 0,
            surge_until: 0,
            active: None,
        }
    }

    pub(super) fn healthy(mut self, days: i64) -> Outcome {
        self.deploy();
        self.live(days * DAY_S);
        let (pages, odd) = self.out.into_iter().partition(|a| a.severity == Weight::Page);
        Outcome {
            pages,
            odd,
            ..Outcome::default()
        }
    }

    pub(super) fn broken(mut self, days: i64, fault: &'static Fault) -> Outcome {
        self.deploy();
        self.live(days * DAY_S + 13 * 3_600);
        self.out.clear();
        if fault.deploys {
            self.deploy();
        }
        (self.active, self.deployed_s) = (Some(fault.name), self.now_s.max(self.deployed_s));
        let onset_ms = self.now_s * 1_000;
        self.live(3_600);
        let right = |a: &&Anomaly| a.kind == fault.kind && a.evidence[0].contains(fault.says);
        let first = self
            .out
            .iter()
            .find(right)
            .map(|a| (a.at_ms - onset_ms) as f64 / 1_000.0);
        Outcome {
            delay_s: first,
            paged: self.out.iter().filter(right).any(|a| a.severity == Weight::Page),
            others: self
                .out
                .iter()
                .filter(|a| !right(a))
                .map(|a| a.evidence[0].clone())
                .take(4)
                .collect(),
            ..Outcome::default()
        }
    }

    fn live(&mut self, seconds: i64) {
        let until = self.now_s + seconds;
        while self.now_s < until {
            self.now_s += 1;
            let mut out = std::mem::take(&mut self.out);
            if let Some(watch) = &mut self.watch {
                watch.tick(self.now_s * 1_000, &mut out);
            }
            self.out = out;
            self.second();
            if self.active.is_none() && self.now_s - self.deployed_s >= 3 * DAY_S && self.now_s % DAY_S == 10 * 3_600 {
                self.deploy();
            }
        }
    }

    fn deploy(&mut self) {
        self.deployed_s = self.now_s;
        self.origin.release_key += 1;
        let name = format!("r{}", self.origin.release_key);
        self.origin.release = ReleaseId::parse(name).expect("an identifier");
        if let Some(watch) = &mut self.watch {
            watch.origin(&self.origin);
        }
        self.ends.clear();
        let n = self.origin.release_key;
        for line in [
            format!("starting version {n}.0 with pid {}", 1_000 + n),
            format!(
                "feature flags of wave {} loaded",
                ["alpha", "beta", "gamma", "delta"][n as usize % 4]
            ),
            format!("connected to database on db-{}", n % 3),
            "listening on port 8080".to_owned(),
        ] {
            self.say(Severity::Info, &line);
        }
        self.say(Severity::Warn, "configuration key `legacy` is deprecated");
    }

    /// Traffic by the day and the week, with surges.
    fn load(&mut self) -> f64 {
        let day = (self.now_s % DAY_S) as f64 / DAY_S as f64;
        let weekend = (self.now_s / DAY_S + 4) % 7 % 6 == 0;
        if self.chance(1.0 / (2.0 * DAY_S as f64)) {
            self.surge_until = self.now_s + 1_200;
        }
        let season = 0.65 - 0.35 * (std::f64::consts::TAU * day).cos();
        let surge = if self.now_s < self.surge_until { 3.0 } else { 1.0 };
        season * surge * if weekend { 0.4 } else { 1.0 }
    }

    fn second(&mut self) {
        let active = self.active.unwrap_or("");
        let load = self.load();
        if self.chance(0.3 * load) {
            self.request += 1;
            let (id, user) = (self.request, self.next() % 16);
            self.say(
                Severity::Info,
                &format!("request req-{id} of user {} started", USERS[user as usize]),
            );
            let delay = 1 + (self.next() % 3) as i64;
            self.ends.push((self.now_s + delay, id, user));
        }
        let (done, open): (Vec<_>, Vec<_>) = self.ends.drain(..).partition(|e| e.0 <= self.now_s);
        self.ends = open;
        for (_, id, _) in done {
            let lost = active == "end missing" && self.chance(0.5) || self.chance(0.0005);
            if !lost {
                let ms = self.next() % 900;
                self.say(Severity::Info, &format!("request req-{id} finished in {ms} ms"));
            }
        }
        self.chatter(load, active);
        self.timers(active);
        self.faults(active);
    }

    fn chatter(&mut self, load: f64, active: &str) {
        let rate = match active {
            "frequent line stops" => 0.0,
            "line falls to a tenth" => 0.03,
            _ => 0.3,
        };
        if self.chance(rate * load) {
            let n = self.next() % 5_000;
            let severity = if active == "severity drifts" {
                Severity::Error
            } else {
                Severity::Info
            };
            self.say(severity, &format!("cache hit for key item:{n}"));
        }
        if self.chance(0.02 * load) {
            let n = self.next() % 90;
            self.say(Severity::Warn, &format!("slow query took {n}00 ms on table orders"));
        }
        let errors = if active == "known error rises" {
            0.1
        } else {
            0.0004 * load
        };
        if self.chance(errors) {
            self.say(Severity::Error, "timeout while calling the payment provider");
        }
        // Rare errors of a dozen kinds: each healthy service has some, and new ones appear for weeks.
        if self.chance(1.5 / DAY_S as f64) {
            let kinds = [
                "parse", "decode", "render", "encode", "resize", "notify", "invoice", "refund", "export", "import",
                "sync", "merge",
            ];
            let kind = kinds[self.next() as usize % 12];
            for _ in 0..1 + self.next() % 3 {
                self.say(Severity::Error, &format!("{kind} failed: unexpected end of input"));
            }
        }
    }

    fn timers(&mut self, active: &str) {
        let time = self.now_s % DAY_S;
        if self.now_s % 30 == 0 && active != "heartbeat stops" {
            let n = self.next() % 40;
            self.say(Severity::Info, &format!("heartbeat ok, {n} connections"));
        }
        if self.now_s % 3_600 == 17 {
            let n = self.next() % 900;
            self.say(Severity::Info, &format!("hourly cleanup removed {n} sessions"));
        }
        if time == 0 {
            self.say(Severity::Info, "log rotated");
        }
        if (7_200..7_500).contains(&time) {
            let n = self.next() % 100_000;
            self.say(Severity::Info, &format!("nightly report wrote row {n}"));
        }
        // Two hours of debug logging a week.
        if self.now_s / DAY_S % 7 == 3 && (50_000..57_200).contains(&time) {
            for what in ["acquired", "released", "checked", "refreshed"] {
                let n = self.next() % 1_000;
                self.say(Severity::Debug, &format!("connection {n} {what} by the pool"));
            }
        }
    }

    fn faults(&mut self, active: &str) {
        if active == "new error after deploy" && self.chance(0.05) {
            let n = self.next() % 5_000;
            self.say(
                Severity::Error,
                &format!("cannot price item {n}: no rate for its tax class"),
            );
        }
        if active == "new error at any time" && self.chance(0.1) {
            self.say(Severity::Error, "pool exhausted while waiting for a connection");
        }
        if active == "new warning" && self.chance(0.05) {
            let n = self.next() % 9;
            self.say(Severity::Warn, &format!("retrying upstream catalogue, attempt {n}"));
        }
    }

    fn say(&mut self, severity: Severity, body: &str) {
        self.records += 1;
        let record = LogView {
            time_ns: self.now_s.unsigned_abs() * 1_000_000_000,
            severity: Some(severity),
            body,
            event_name: None,
            scope: "shop",
            attributes: &[],
            trace_id: None,
            span_id: None,
        };
        if let Some(watch) = &mut self.watch {
            watch.log(&self.origin, &record, &mut self.out);
        }
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.rng = self.rng.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.rng;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn chance(&mut self, p: f64) -> bool {
        ((self.next() >> 11) as f64 / (1_u64 << 53) as f64) < p
    }
}

/// Records per second of one thread: lines of a warmed-up service, made before the clock starts.
pub(super) fn speed() -> f64 {
    let mut world = World::new(77);
    world.deploy();
    world.live(DAY_S / 4);
    let lines: Vec<String> = (0..20_000_u64)
        .map(|i| match i % 4 {
            0 => format!(
                "request req-{} of user {} started",
                900_000 + i / 4,
                USERS[(i % 16) as usize]
            ),
            1 => format!("cache hit for key item:{}", i % 5_000),
            2 => format!("request req-{} finished in {} ms", 900_000 + i / 4, i % 900),
            _ => format!("slow query took {}00 ms on table orders", i % 90),
        })
        .collect();
    let mut best: f64 = 0.0;
    for round in 0..8 {
        let started = Instant::now();
        for line in &lines {
            world.say(Severity::Info, line);
        }
        best = best.max(lines.len() as f64 / started.elapsed().as_secs_f64());
        world.now_s += 60 * (round + 1);
    }
    best
}
