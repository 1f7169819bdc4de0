//! What is known of one service.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::job::{Job, Wrong};
use super::queue::Level;
use super::ratio::{Broken, Pair};
use super::report;
use crate::detect::key::{mix, of_bytes};
use crate::detect::recur::Recurring;
use crate::detect::{Anomaly, Severity};
use crate::id::{ReleaseId, ServiceName};
use crate::signal::telemetry::{Origin, SpanKind};

/// Counters of a service that are compared with each other.
const MAX_COUNTERS: usize = 48;
const MAX_LEVELS: usize = 64;
/// Events that may be periodic.
const MAX_EVENTS: usize = 128;
/// Log lines that are looked at in a tick of a second; a job does not log more.
const MAX_LINES: u32 = 200;
/// What a service may take, about: its pairs, mostly.
pub(super) const SERVICE_BYTES: usize =
    2 * MAX_COUNTERS * MAX_COUNTERS / 2 * 120 + MAX_EVENTS * 400 + MAX_LEVELS * 200 + MAX_STREAMS * 24;
const REPEAT_MS: i64 = 600_000;
/// Cumulative streams of a service: its counters in thirty-two processes.
const MAX_STREAMS: usize = 32 * MAX_COUNTERS;
/// How long after a process began a ratio must have been broken for longer, and for how long.
const COLD_MS: i64 = 900_000;
const LASTING_MS: i64 = 240_000;
/// How the key of an event begins that is known by a log line, and by a counter that moves in bursts.
pub(super) const LINE: &str = "log line ";
/// How the name of a counter begins that counts the requests of a route.
const ANSWERED: &str = "answered ";
pub(super) const BURST: &str = "counter ";
/// Long windows without a count that end a burst: half an hour.
const STILL: u32 = 10;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Counter {
    /// In the present window of each length.
    now: [f64; 2],
    /// Long windows in a row in which nothing was counted.
    #[serde(default)]
    still: u32,
    claimed_ms: Option<i64>,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Service {
    name: ServiceName,
    release: ReleaseId,
    pub(super) heard_ms: i64,
    /// By name; a counter's place in the order of coming is its number.
    numbers: BTreeMap<String, usize>,
    counters: Vec<Counter>,
    /// The last value of each counter that goes on, by counter and process.
    #[serde(default)]
    streams: BTreeMap<u64, f64>,
    /// When a process last began: for a while its caches are cold.
    #[serde(default)]
    began_ms: i64,
    /// Pairs by the numbers of both, the smaller first, for each length of window.
    pairs: [BTreeMap<u32, Pair>; 2],
    levels: BTreeMap<String, Level>,
    events: BTreeMap<String, Job>,
    /// Odd ratios that come at the same hour again and again.
    #[serde(default)]
    habits: Recurring,
    #[serde(skip)]
    lines: u32,
    pub(super) left_out: u64,
}

impl Service {
    pub(super) fn new(origin: &Origin) -> Self {
        Self {
            name: origin.service.clone(),
            release: origin.release.clone(),
            heard_ms: 0,
            numbers: BTreeMap::new(),
            counters: Vec::new(),
            streams: BTreeMap::new(),
            began_ms: i64::MIN,
            pairs: Default::default(),
            levels: BTreeMap::new(),
            events: BTreeMap::new(),
            habits: Recurring::default(),
            lines: 0,
            left_out: 0,
        }
    }

    fn number(&mut self, name: &str) -> Option<usize> {
        if let Some(number) = self.numbers.get(name) {
            return Some(*number);
        }
        if self.counters.len() >= MAX_COUNTERS {
            self.left_out += 1;
            return None;
        }
        self.counters.push(Counter::default());
        self.numbers.insert(name.to_owned(), self.counters.len() - 1);
        Some(self.counters.len() - 1)
    }

    /// A counter's value, or what was added since the last. A cumulative one is told by a `process`.
    pub(super) fn counter(&mut self, name: &str, value: f64, process: Option<u64>) {
        if !value.is_finite() || value < 0.0 {
            return;
        }
        let Some(number) = self.number(name) else { return };
        let added = match process {
            Some(process) => self.added(mix(process, number as u64), value),
            None => value,
        };
        let counter = &mut self.counters[number];
        counter.now.iter_mut().for_each(|now| *now += added);
    }

    /// What a cumulative stream grew by since its last value.
    fn added(&mut self, stream: u64, value: f64) -> f64 {
        if self.streams.len() >= MAX_STREAMS && !self.streams.contains_key(&stream) {
            // Full of processes that may be gone: the others tell again with their next values.
            self.streams.clear();
        }
        match self.streams.insert(stream, value) {
            // After a restart it begins at zero.
            Some(before) if value < before => {
                self.began_ms = self.heard_ms;
                value
            }
            Some(before) => value - before,
            None => 0.0,
        }
    }

    pub(super) fn add(&mut self, name: &str, added: f64) {
        self.counter(name, added, None);
    }

    pub(super) fn count_span(&mut self, kind: SpanKind, name: &str) {
        let kind = match kind {
            SpanKind::Server => "answered",
            SpanKind::Producer => "sent",
            SpanKind::Consumer => "handled",
            SpanKind::Internal | SpanKind::Client => "did",
        };
        self.add(&format!("{kind} {}", name.chars().take(120).collect::<String>()), 1.0);
    }

    pub(super) fn level(&mut self, name: &str, value: f64) {
        if self.levels.len() >= MAX_LEVELS && !self.levels.contains_key(name) {
            self.left_out += 1;
            return;
        }
        self.levels.entry(name.to_owned()).or_default().set(value);
    }

    /// Whether another log line may be looked at in this second.
    pub(super) fn may_look_at_line(&mut self) -> bool {
        self.lines += 1;
        self.lines <= MAX_LINES
    }

    /// Something happened that may be a job's run.
    pub(super) fn ran(
        &mut self,
        key: &str,
        now_ms: i64,
        amount: Option<u64>,
        took_ms: Option<i64>,
        release: &ReleaseId,
        out: &mut Vec<Anomaly>,
    ) {
        if !self.events.contains_key(key) {
            if self.events.len() >= MAX_EVENTS {
                // What has no period makes room for what may have one.
                let irregular = self.events.iter().find(|(_, job)| job.period_ms().is_none());
                let Some(name) = irregular.map(|(name, _)| name.clone()) else {
                    self.left_out += 1;
                    return;
                };
                self.events.remove(&name);
            }
            self.events.insert(key.to_owned(), Job::known_by(key.starts_with(LINE)));
        }
        self.release = release.clone();
        let job = self.events.get_mut(key).expect("inserted above");
        let period = job.period_ms().unwrap_or(0);
        for wrong in job.ran(now_ms, amount, took_ms) {
            let weak = job.line && matches!(wrong, Wrong::Twice { .. });
            let claim = report::job(&self.name, &self.release, key, period, wrong, now_ms);
            out.push(if weak { report::odd(claim, "a log line") } else { claim });
        }
    }

    pub(super) fn overdue(&mut self, now_ms: i64, out: &mut Vec<Anomaly>) {
        self.lines = 0;
        for (key, job) in &mut self.events {
            let period = job.period_ms().unwrap_or(0);
            if let Some(wrong) = job.overdue(now_ms, self.heard_ms) {
                let claim = report::job(&self.name, &self.release, key, period, wrong, now_ms);
                let weak = key.starts_with(BURST);
                out.push(if weak { report::odd(claim, "a counter") } else { claim });
            }
        }
    }

    /// Another release emits from now on.
    pub(super) fn deployed(&mut self, release: ReleaseId, now_ms: i64) {
        self.release = release;
        self.began_ms = now_ms;
        self.events.values_mut().for_each(|job| job.restart(now_ms));
    }

    /// A window of this length is over.
    pub(super) fn window(&mut self, length: usize, now_ms: i64, out: &mut Vec<Anomaly>) {
        if length == 0 {
            for (name, level) in &mut self.levels {
                if let Some(stuck) = level.window() {
                    out.push(report::queue(&self.name, &self.release, name, stuck, now_ms));
                }
            }
        }
        let counts: Vec<f64> = self
            .counters
            .iter_mut()
            .map(|c| std::mem::take(&mut c.now[length]))
            .collect();
        if length == 1 {
            self.bursts(&counts, now_ms);
        }
        let cold = now_ms.saturating_sub(self.began_ms) < COLD_MS;
        let mut broken: Vec<(usize, usize, Broken)> = Vec::new();
        for (a, count) in counts.iter().enumerate() {
            for (b, other) in counts.iter().enumerate().skip(a + 1) {
                if *count == 0.0 && *other == 0.0 {
                    continue;
                }
                let key = u32::try_from(a * MAX_COUNTERS + b).unwrap_or(u32::MAX);
                let pair = self.pairs[length].entry(key).or_default();
                if let Some(found) = pair.window(*count, *other, cold) {
                    broken.push((a, b, found));
                }
            }
        }
        if cold {
            let lasts = |found: &Broken| i64::from(found.windows) * super::WINDOWS_MS[length] >= LASTING_MS;
            broken.retain(|(_, _, found)| lasts(found));
        }
        self.blame(length, &broken, now_ms, out);
    }

    /// Counters that stand still for most of the time and then move for a while: what moves them may be a job. It is weak
    /// evidence, so that what is wrong with it is odd.
    fn bursts(&mut self, counts: &[f64], now_ms: i64) {
        let mut began = Vec::new();
        for (number, count) in counts.iter().enumerate() {
            let still = &mut self.counters[number].still;
            if *count == 0.0 {
                *still = still.saturating_add(1);
                continue;
            }
            if std::mem::take(still) >= STILL {
                began.push(number);
            }
        }
        for number in began {
            let name = self
                .numbers
                .iter()
                .find(|(_, n)| **n == number)
                .map(|(name, _)| name.clone());
            let Some(name) = name else { continue };
            let release = self.release.clone();
            let mut found = Vec::new();
            self.ran(&format!("{BURST}{name}"), now_ms, None, None, &release, &mut found);
            // A burst with a pause in it is no second run.
            drop(found);
        }
    }

    /// Of the counters whose ratios broke, the one that moved most: what depends on it moves with it, and what it depends
    /// on does not move.
    fn blame(&mut self, length: usize, broken: &[(usize, usize, Broken)], now_ms: i64, out: &mut Vec<Anomaly>) {
        let sides = broken
            .iter()
            .flat_map(|(a, b, found)| [(*a, found.moved.0), (*b, found.moved.1)]);
        let most = sides.max_by(|x, y| x.1.abs().total_cmp(&y.1.abs()).then(y.0.cmp(&x.0)));
        let Some((culprit, _)) = most else { return };
        let repeated = |at: i64| now_ms.saturating_sub(at) < REPEAT_MS;
        let told = broken.iter().any(|(a, b, _)| {
            [a, b]
                .iter()
                .any(|c| self.counters[**c].claimed_ms.is_some_and(repeated))
        });
        for (a, b, _) in broken {
            self.counters[*a].claimed_ms = Some(now_ms);
            self.counters[*b].claimed_ms = Some(now_ms);
        }
        if told {
            return;
        }
        let by_itself = !self.goes_with_others(length, culprit, broken);
        let name = |number: usize| {
            let found = self.numbers.iter().find(|(_, n)| **n == number);
            found.map_or("", |(name, _)| name.as_str())
        };
        let mut pairs: Vec<(&str, &str, Broken)> = broken
            .iter()
            .filter(|(a, b, _)| *a == culprit || *b == culprit)
            .map(|(a, b, found)| (name(*a), name(*b), *found))
            .collect();
        // Against what stood still, it shows most clearly.
        let other = |(a, _, found): &(&str, &str, Broken)| {
            if *a == name(culprit) {
                found.moved.1
            } else {
                found.moved.0
            }
        };
        pairs.sort_by(|x, y| other(x).abs().total_cmp(&other(y).abs()));
        let claim = report::ratio(&self.name, &self.release, name(culprit), &pairs, by_itself, now_ms);
        let thing = of_bytes(name(culprit).as_bytes());
        if claim.severity > Severity::Odd || !self.habits.recurs(thing, now_ms) {
            out.push(claim);
        }
    }

    /// Whether most of the ratios of this counter go on as ever: then it moved with the traffic, and it is others that
    /// moved by themselves. Where requests are counted, that is known: what left the busiest route did not go with it,
    /// however many others went along.
    fn goes_with_others(&self, length: usize, counter: usize, broken: &[(usize, usize, Broken)]) -> bool {
        let own = || {
            let of = broken.iter().filter(|(a, b, _)| *a == counter || *b == counter);
            of.map(|(a, b, _)| a + b - counter)
        };
        if let Some(route) = self.busiest_route(length, counter)
            && own().any(|other| other == route)
        {
            return false;
        }
        let holding = self.pairs_of(length, counter).filter(|(_, pair, _)| pair.holds());
        holding.count() > 2 * own().count()
    }

    /// The counter of the route that is answered most, other than this counter.
    fn busiest_route(&self, length: usize, counter: usize) -> Option<usize> {
        let routes = self.numbers.iter().filter(|(name, _)| name.starts_with(ANSWERED));
        let routes: BTreeSet<usize> = routes.map(|(_, number)| *number).collect();
        let often = self.pairs_of(length, counter).filter_map(|(other, pair, is_first)| {
            let (first, second) = pair.often();
            let often = if is_first { second } else { first };
            routes.contains(&other).then_some((other, often))
        });
        often.max_by(|x, y| x.1.total_cmp(&y.1)).map(|(other, _)| other)
    }

    /// The pairs of a counter: the other one, the pair, and whether this one is the first of the two.
    fn pairs_of(&self, length: usize, counter: usize) -> impl Iterator<Item = (usize, &Pair, bool)> {
        self.pairs[length].iter().filter_map(move |(key, pair)| {
            let (a, b) = (*key as usize / MAX_COUNTERS, *key as usize % MAX_COUNTERS);
            (a == counter || b == counter).then(|| (a + b - counter, pair, a == counter))
        })
    }

    /// How many pairs of counters it compares.
    pub(super) fn pairs(&self) -> usize {
        self.pairs.iter().map(BTreeMap::len).sum()
    }

    /// The same service, to which no counters have been compared.
    pub(super) fn without_pairs(&self) -> Self {
        Self {
            name: self.name.clone(),
            release: self.release.clone(),
            heard_ms: self.heard_ms,
            numbers: self.numbers.clone(),
            counters: self.counters.clone(),
            streams: BTreeMap::new(),
            began_ms: self.began_ms,
            pairs: Default::default(),
            levels: self.levels.clone(),
            events: self.events.clone(),
            habits: self.habits.clone(),
            lines: 0,
            left_out: self.left_out,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.pairs() * 140
            + self.counters.len() * 200
            + self.events.len() * 500
            + self.levels.len() * 200
            + self.streams.len() * 24
            + self.habits.bytes()
    }
}
