//! A made-up service: traffic with seasons, instances that are replaced by deploys, and what they report each minute.
//!
//! Nothing here knows how it is watched. Parameters are drawn for each seed: traffic over two orders of magnitude, two to
//! five instances, seasons, error rates and latencies. Healthy events: deploys with cache warm-ups and changed levels,
//! surges, nightly batch jobs, scrapes that are missed for a point or for minutes, clocks that are set, counters that
//! begin again, heavy tails, noise with memory, collected heaps.

use super::faults::Effect;
use crate::random::Random;
use std::f64::consts::TAU;

pub(super) const DAY: i64 = 1_440;
/// Upper bounds of the service's explicit histograms, s: those of the OpenTelemetry conventions.
pub(super) const BOUNDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// Other gauges with noise of one kind or another, and counters of rare events.
pub(super) const GAUGES: usize = 14;
pub(super) const RARE: usize = 3;

/// What is drawn for a service once.
struct Nature {
    per_minute: f64,
    swing: f64,
    weekend: f64,
    peak_hour: f64,
    failing: f64,
    seconds: f64,
    tail: f64,
    memory_mib: f64,
}

/// A running process.
pub(super) struct Instance {
    pub(super) name: String,
    pub(super) release: u32,
    pub(super) born: i64,
    /// Its clock, ms off.
    pub(super) clock_ms: i64,
    /// Cumulative: requests by route and status, with the sum of their durations.
    pub(super) routes: Vec<[Histogram; 2]>,
    pub(super) peer: [Histogram; 2],
    pub(super) database: Histogram,
    pub(super) counters: [f64; 8],
    pub(super) rare: [f64; RARE],
    heap_mib: f64,
    leaked_mib: f64,
    leaked_fds: f64,
}

/// What a gateway sees of one instance and route in a minute.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) release: u32,
    pub(super) route: usize,
    pub(super) count: u64,
    pub(super) failed: u64,
    pub(super) seconds: f64,
}

/// A cumulative histogram.
#[derive(Clone, Default)]
pub(super) struct Histogram {
    pub(super) counts: [u64; 15],
    pub(super) sum: f64,
}

/// Names of [`Instance::counters`].
pub(super) const COUNTERS: [&str; 8] = [
    "orders.placed",
    "payments_total",
    "emails_sent_total",
    "cache.hits",
    "cache.misses",
    "network.io.receive",
    "process.cpu.time",
    "batch.rows.processed",
];

/// The levels of an instance at this minute.
pub(super) struct Levels {
    pub(super) memory: f64,
    pub(super) heap: f64,
    pub(super) fds: f64,
    pub(super) threads: f64,
    pub(super) cpu: f64,
    pub(super) queue: f64,
    pub(super) connections: f64,
    pub(super) lag: f64,
    pub(super) gauges: [f64; GAUGES],
}

/// The service.
pub(super) struct World {
    nature: Nature,
    shares: Vec<f64>,
    pub(super) random: Random,
    pub(super) minute: i64,
    pub(super) instances: Vec<Instance>,
    pub(super) release: u32,
    /// Instances that the running deploy still has to replace.
    to_replace: usize,
    deployed: i64,
    surge: (i64, f64),
    blind_until: i64,
    drift: f64,
    states: [f64; GAUGES],
    stuck: Option<f64>,
    levels: [f64; GAUGES],
    backlog: f64,
    born: u32,
    /// This minute's requests, failures and median seconds by release, route and instance: what a gateway sees.
    pub(super) seen: Vec<Seen>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let nature = Nature {
            per_minute: random.magnitude(150.0, 20_000.0),
            swing: random.between(0.2, 0.8),
            weekend: random.between(0.4, 1.0),
            peak_hour: random.between(0.0, 24.0),
            failing: random.magnitude(0.000_1, 0.008),
            seconds: random.magnitude(0.01, 0.3),
            tail: random.between(0.5, 1.0),
            memory_mib: random.magnitude(150.0, 900.0),
        };
        let shares = (0..random.between(3.0, 8.0) as usize)
            .map(|_| random.magnitude(0.05, 1.0))
            .collect();
        let mut world = Self {
            nature,
            shares,
            minute: 0,
            instances: Vec::new(),
            release: 0,
            to_replace: 0,
            deployed: -DAY,
            surge: (0, 1.0),
            blind_until: 0,
            drift: 0.0,
            states: [0.0; GAUGES],
            stuck: None,
            levels: [100.0; GAUGES],
            backlog: 0.0,
            born: 0,
            seen: Vec::new(),
            random,
        };
        for _ in 0..world.random.between(2.0, 5.99) as usize {
            let instance = world.instance();
            world.instances.push(instance);
        }
        world
    }

    pub(super) fn routes(&self) -> usize {
        self.shares.len()
    }

    pub(super) fn per_minute(&self) -> f64 {
        self.nature.per_minute
    }

    fn instance(&mut self) -> Instance {
        self.born += 1;
        Instance {
            name: format!("pod-{}", self.born),
            release: self.release,
            born: self.minute,
            clock_ms: (2_000.0 * self.random.normal()) as i64,
            routes: vec![Default::default(); self.shares.len()],
            peer: Default::default(),
            database: Histogram::default(),
            counters: [0.0; 8],
            rare: [0.0; RARE],
            heap_mib: 50.0,
            leaked_mib: 0.0,
            leaked_fds: 0.0,
        }
    }

    /// Whether scrapes fail at this minute.
    pub(super) fn is_blind(&self) -> bool {
        self.minute < self.blind_until
    }

    /// Begins a deploy: instances are replaced one a minute.
    pub(super) fn deploy(&mut self) {
        self.release += 1;
        self.to_replace = self.instances.len();
        self.deployed = self.minute;
        for level in &mut self.levels {
            *level *= 1.0 + 0.08 * self.random.normal().clamp(-2.0, 2.0);
        }
    }

    /// Lives for a minute.
    pub(super) fn live(&mut self, effect: &Effect) {
        self.minute += 1;
        self.events(effect);
        if self.to_replace > 0 {
            self.to_replace -= 1;
            let fresh = self.instance();
            self.instances[self.to_replace] = fresh;
        }
        let load = self.load() * effect.traffic;
        self.seen.clear();
        for at in 0..self.instances.len() {
            self.serve(at, load / self.instances.len() as f64, effect);
        }
        self.wander(effect);
        let arrives = if effect.backlog { 0.05 * load } else { 0.0 };
        self.backlog = (self.backlog + arrives) * if effect.backlog { 1.0 } else { 0.5 };
    }

    fn events(&mut self, effect: &Effect) {
        let (hour, day) = (self.minute % DAY / 60, self.minute / DAY);
        let working = (9..17).contains(&hour) && day % 7 < 5;
        // About two deploys a week; while a fault is watched nothing else happens.
        if effect.is_none() {
            if working && self.minute - self.deployed > DAY / 2 && self.random.chance(1.0 / 1_200.0) {
                self.deploy();
            }
            if self.random.chance(1.0 / (6.0 * DAY as f64)) {
                let minutes = self.random.between(20.0, 120.0) as i64;
                self.surge = (self.minute + minutes, self.random.between(1.4, 3.0));
            }
            if self.random.chance(1.0 / (7.0 * DAY as f64)) {
                self.blind_until = self.minute + self.random.between(2.0, 9.0) as i64;
            }
            if self.random.chance(1.0 / (14.0 * DAY as f64)) {
                let at = (self.random.uniform() * self.instances.len() as f64) as usize;
                self.instances[at].clock_ms += if self.random.chance(0.5) { -400_000 } else { 90_000 };
            }
            // A crash that nobody notices behind the others: counters begin again.
            if self.random.chance(1.0 / (10.0 * DAY as f64)) {
                let at = (self.random.uniform() * self.instances.len() as f64) as usize;
                let name = self.instances[at].name.clone();
                self.instances[at] = Instance {
                    name,
                    ..self.instance()
                };
            }
        }
    }

    fn season(&self) -> f64 {
        let day = self.minute as f64 / DAY as f64;
        let hour = (day.fract() * 24.0 - self.nature.peak_hour) / 24.0 * TAU;
        let week = if self.minute / DAY % 7 < 5 {
            1.0
        } else {
            self.nature.weekend
        };
        week * (1.0 + self.nature.swing * hour.cos())
    }

    fn load(&mut self) -> f64 {
        self.drift = 0.98 * self.drift + 0.02 * self.random.normal();
        let surge = if self.minute < self.surge.0 { self.surge.1 } else { 1.0 };
        self.nature.per_minute * self.season() * (self.drift + 0.03 * self.random.normal()).exp() * surge
    }

    /// How cold an instance is: 1 at birth.
    fn cold(&self, at: usize) -> f64 {
        (-((self.minute - self.instances[at].born) as f64) / 6.0).exp()
    }

    fn serve(&mut self, at: usize, load: f64, effect: &Effect) {
        let busy = (load * self.instances.len() as f64 / self.nature.per_minute).min(4.0);
        let cold = if self.minute < DAY { 0.0 } else { self.cold(at) };
        let slower = (1.0 + 0.08 * busy * busy + 0.9 * cold) * (0.06 * self.random.normal()).exp() * effect.latency;
        let sum: f64 = self.shares.iter().sum();
        for route in 0..self.shares.len() {
            let hit = !effect.one_route || route == 0;
            let count = self.random.poisson(load * self.shares[route] / sum);
            let failing = self.nature.failing * (1.0 + 0.3 * self.random.normal()).max(0.0);
            let failing = failing + if hit { effect.failing } else { 0.0 };
            let failed = self.random.poisson(count as f64 * failing).min(count);
            let slow = if hit { slower } else { slower / effect.latency };
            let seconds = self.nature.seconds * (1.0 + 0.4 * route as f64) * slow;
            for (which, n) in [(0, count - failed), (1, failed)] {
                let mut histogram = std::mem::take(&mut self.instances[at].routes[route][which]);
                self.fill(&mut histogram, n, seconds, self.nature.tail);
                self.instances[at].routes[route][which] = histogram;
            }
            self.seen.push(Seen {
                release: self.instances[at].release,
                route,
                count,
                failed,
                seconds,
            });
        }
        self.depend(at, load, cold, effect);
        self.count(at, load, cold, effect);
    }

    fn depend(&mut self, at: usize, load: f64, cold: f64, effect: &Effect) {
        let calls = self.random.poisson(0.4 * load);
        let failed = self
            .random
            .poisson(calls as f64 * (0.000_5 + effect.peer_failing))
            .min(calls);
        for (which, n) in [(0, calls - failed), (1, failed)] {
            let mut histogram = std::mem::take(&mut self.instances[at].peer[which]);
            self.fill(&mut histogram, n, 0.04 * effect.peer_latency, 0.8);
            self.instances[at].peer[which] = histogram;
        }
        let misses = 0.1 + 0.5 * cold + effect.cache_misses;
        let queries = self.random.poisson(load * (1.0 + 2.0 * misses));
        let mut histogram = std::mem::take(&mut self.instances[at].database);
        self.fill(&mut histogram, queries, 0.006 * (1.0 + 0.5 * effect.cache_misses), 0.7);
        self.instances[at].database = histogram;
    }

    fn count(&mut self, at: usize, load: f64, cold: f64, effect: &Effect) {
        let night = (120..160).contains(&(self.minute % DAY));
        let misses = (0.1 + 0.5 * cold + effect.cache_misses).min(1.0);
        let means = [
            0.05 * load * effect.business,
            0.045 * load * effect.business,
            0.02 * load,
            2.0 * load * (1.0 - misses),
            2.0 * load * misses,
            900.0 * load,
            0.001 * load * effect.cpu + if night { 20.0 } else { 0.5 },
            if night && !effect.no_batch { 50_000.0 } else { 0.0 },
        ];
        for (i, mean) in means.into_iter().enumerate() {
            let more = self.random.poisson(mean) as f64;
            self.instances[at].counters[i] += more;
        }
        for i in 0..RARE {
            let more = self.random.poisson(0.004 * (1 + 3 * i) as f64) as f64;
            self.instances[at].rare[i] += more;
        }
        let instance = &mut self.instances[at];
        instance.leaked_mib += effect.leak_mib;
        instance.leaked_fds += effect.leak_fds;
        // A collected heap: teeth whose length depends on the load.
        instance.heap_mib += 2.0 + 0.001 * load;
        if instance.heap_mib > 250.0 {
            instance.heap_mib = 60.0 + 5.0 * self.random.normal() + instance.leaked_mib;
        }
    }

    /// Log-normal durations around a median: expected counts by bucket, each with its own noise.
    fn fill(&mut self, histogram: &mut Histogram, count: u64, median: f64, tail: f64) {
        if count < 60 {
            for _ in 0..count {
                let seconds = median * (tail * self.random.normal()).exp();
                let bucket = BOUNDS.iter().position(|b| seconds <= *b).unwrap_or(BOUNDS.len());
                histogram.counts[bucket] += 1;
                histogram.sum += seconds;
            }
            return;
        }
        let mut below = 0.0;
        for bucket in 0..=BOUNDS.len() {
            let share = BOUNDS
                .get(bucket)
                .map_or(1.0, |b| normal_below((b / median).ln() / tail));
            let n = self.random.poisson(count as f64 * (share - below));
            below = share;
            histogram.counts[bucket] += n;
        }
        let mean = median * (tail * tail / 2.0).exp();
        let error = mean * tail / (count as f64).sqrt() * self.random.normal();
        histogram.sum += count as f64 * (mean + error).max(median / 2.0);
    }

    /// Other gauges: with memory, heavy tails, seasons, steps.
    fn wander(&mut self, effect: &Effect) {
        for i in 0..GAUGES {
            let memory = [0.0, 0.5, 0.9, 0.97][i % 4];
            let shock = if i % 5 == 4 {
                self.random.normal().powi(3)
            } else {
                self.random.normal()
            };
            self.states[i] = memory * self.states[i] + shock;
        }
        if !effect.stuck {
            self.stuck = None;
        }
    }

    fn gauge(&mut self, i: usize, effect: &Effect) -> f64 {
        let season = if i.is_multiple_of(3) {
            20.0 * (self.season() - 1.0)
        } else {
            0.0
        };
        let (shift, noisier, drift) = if i == 1 {
            (effect.shift, effect.noisier, effect.drift)
        } else {
            (0.0, 1.0, 0.0)
        };
        let value = self.levels[i]
            + season
            + 3.0 * noisier * self.states[i]
            + 3.0 * self.random.normal() * (noisier - 1.0)
            + self.levels[i] * (shift + drift);
        if i == 2 && effect.stuck {
            return *self.stuck.get_or_insert(value);
        }
        value
    }

    pub(super) fn levels(&mut self, at: usize, effect: &Effect) -> Levels {
        let busy = self.seen.iter().map(|seen| seen.count).sum::<u64>() as f64 / self.nature.per_minute;
        let (age, leaked_mib, leaked_fds, heap) = {
            let i = &self.instances[at];
            ((self.minute - i.born) as f64, i.leaked_mib, i.leaked_fds, i.heap_mib)
        };
        let warm = 1.0 - (-age / 400.0).exp();
        let base = self.nature.memory_mib;
        let noise = 0.01 * base * self.random.normal();
        let mut gauges = [0.0; GAUGES];
        for (i, gauge) in gauges.iter_mut().enumerate() {
            *gauge = self.gauge(i, effect);
        }
        let night = (120..160).contains(&(self.minute % DAY));
        Levels {
            memory: 1_048_576.0 * (base * (1.0 + 0.3 * warm + 0.05 * busy) + noise + leaked_mib),
            heap: 1_048_576.0 * heap,
            fds: (40.0 + 20.0 * busy + 3.0 * self.random.normal() + leaked_fds)
                .max(5.0)
                .round(),
            threads: (24.0 + 4.0 * busy + self.random.normal()).round(),
            cpu: (0.2 * busy * effect.cpu + if night { 0.3 } else { 0.0 } + 0.02 * self.random.normal())
                .clamp(0.01, 1.0),
            queue: (self.random.poisson(3.0 * busy) as f64) + self.backlog,
            connections: (5.0 + 8.0 * busy + self.random.normal()).max(1.0).round(),
            lag: (0.002 + 0.003 * self.random.uniform() / (0.01 + self.random.uniform())) * effect.latency,
            gauges,
        }
    }
}

/// The standard normal distribution function (Abramowitz & Stegun 26.2.17).
fn normal_below(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let poly =
        t * (0.319_381_530 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let above = (-x * x / 2.0).exp() / TAU.sqrt() * poly;
    if x >= 0.0 { 1.0 - above } else { above }
}
