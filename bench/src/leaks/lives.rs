//! Made-up lives of processes: leaks of several speeds and what only looks like one, under seasons, noise and no work.
//!
//! A leak here is material: from its beginning to the end of what is watched the level grows by at least two fifths.
//! Everything else is drawn: how long is watched (six hours to two weeks), the level, how much is leaked, the season.

use super::watch::{Case, Metric, Sample};
use crate::random::Random;
use std::f64::consts::TAU;

const MINUTE_MS: i64 = 60_000;
const MIB: f64 = 1_048_576.0;
const SEEDS: u64 = 3;
/// How long lives are watched, days.
const DAYS: [f64; 4] = [0.25, 1.5, 4.0, 14.0];

/// One moment of a life.
#[derive(Clone, Copy)]
struct Life {
    /// Share of what is watched that is over, and days since it began.
    t: f64,
    days: f64,
    /// Work per minute (1 is usual), and all work so far, in parts of what is usual for the whole.
    load: f64,
    work: f64,
    /// The same for work beyond what is usual.
    peak_work: f64,
    /// Noise with memory of minutes, and with memory of a twentieth of the life.
    noise: f64,
    slow_noise: f64,
    /// Drawn once: how much is leaked or cached in parts of the level; and a number between 0.6 and 1.6.
    growth: f64,
    scale: f64,
}

/// A kind of life; its level in parts of the usual one.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    leaks: bool,
    what: What,
    /// Whether it needs the seasons of several days.
    long: bool,
    shape: fn(Life) -> f64,
}

/// Which resource it is, and who tells it.
#[derive(Clone, Copy)]
enum What {
    Memory,
    Descriptors,
    Threads,
    /// Metrics with their unit, the words of their resource, and the range of their level.
    Reported(&'static str, &'static str, &'static str, [f64; 2]),
}

const HEAP: What = What::Reported("v8js.memory.heap.used", "By", "heap", [60.0 * MIB, 400.0 * MIB]);
const GOROUTINES: What = What::Reported("go_goroutines", "", "tasks", [30.0, 400.0]);
const CONNECTIONS: What = What::Reported(
    "db.client.connection.count",
    "{connection}",
    "connections",
    [15.0, 90.0],
);
const DISK: What = What::Reported("system.filesystem.usage", "By", "disk", [3_000.0 * MIB, 40_000.0 * MIB]);

const fn leak(name: &'static str, what: What, shape: fn(Life) -> f64) -> Kind {
    Kind {
        name,
        leaks: true,
        what,
        long: false,
        shape,
    }
}

const fn sound(name: &'static str, what: What, shape: fn(Life) -> f64) -> Kind {
    Kind {
        leaks: false,
        ..leak(name, what, shape)
    }
}

const fn long(kind: Kind) -> Kind {
    Kind { long: true, ..kind }
}

fn fills(x: f64, tau: f64) -> f64 {
    1.0 - (-x / tau).exp()
}

fn tooth(l: Life, per_life: f64) -> f64 {
    (l.t * per_life * l.scale + 0.3).fract()
}

const KINDS: &[Kind] = &[
    leak("leak by time", What::Memory, |l| 1.0 + l.growth * l.t + 0.015 * l.noise),
    leak("leak by work", What::Memory, |l| {
        1.0 + l.growth * l.work + 0.015 * l.noise
    }),
    leak("leak below teeth", What::Memory, |l| {
        1.0 + l.growth * l.t + 0.45 * tooth(l, 60.0)
    }),
    leak("leak in steps", What::Memory, |l| {
        1.0 + l.growth * (l.work * 14.0 * l.scale).floor() / (14.0 * l.scale) + 0.01 * l.noise
    }),
    leak("leak after a warm-up", What::Memory, |l| {
        1.0 + 0.6 * fills(l.t, 0.04) + 1.6 * l.growth * l.t + 0.015 * l.noise
    }),
    leak("leak that speeds up", What::Memory, |l| {
        1.0 + l.growth * l.t.powf(1.7) + 0.015 * l.noise
    }),
    leak("leak after a deploy", What::Memory, |l| {
        1.0 + if l.t < DEPLOYED {
            0.0
        } else {
            l.growth * (l.t - DEPLOYED) / (1.0 - DEPLOYED)
        } + 0.015 * l.noise
    }),
    long(leak("leak under a season", What::Memory, |l| {
        1.0 + 0.4 * l.load + l.growth * l.t + 0.015 * l.noise
    })),
    long(leak("leak only under load", What::Memory, |l| {
        1.0 + 0.1 * l.load + l.growth * l.peak_work + 0.01 * l.noise
    })),
    leak("descriptors leak", What::Descriptors, |l| {
        1.0 + 0.2 * l.load + 1.5 * l.growth * l.work + 0.02 * l.noise
    }),
    leak("threads leak", What::Threads, |l| 1.0 + 1.5 * l.growth * l.t),
    leak("goroutines leak", GOROUTINES, |l| {
        1.0 + 0.2 * l.load + 2.0 * l.growth * l.work + 0.05 * l.noise
    }),
    leak("connections leak", CONNECTIONS, |l| {
        1.0 + 0.3 * l.load + 2.0 * l.growth * l.t + 0.03 * l.noise
    }),
    leak("heap leaks below a collector", HEAP, |l| {
        1.0 + l.growth * l.work + 0.7 * tooth(l, 150.0) + 0.02 * l.noise
    }),
    leak("disk fills", DISK, |l| 1.0 + l.growth * l.t + 0.002 * l.noise),
    sound("level", What::Memory, |l| 1.0 + 0.02 * l.noise),
    sound("cache that fills", What::Memory, |l| {
        1.0 + l.growth * fills(l.work, 0.07 * l.scale) + 0.015 * l.noise
    }),
    sound("cache that fills slowly", What::Memory, |l| {
        1.0 + l.growth * fills(l.work, 0.3 * l.scale) + 0.015 * l.noise
    }),
    sound("cache that is full late", What::Memory, |l| {
        1.0 + l.growth * (l.work / (0.4 * l.scale)).min(1.0) + 0.01 * l.noise
    }),
    sound("teeth", What::Memory, |l| {
        1.0 + l.growth * tooth(l, 120.0) + 0.01 * l.noise
    }),
    sound("long teeth", What::Memory, |l| {
        1.0 + l.growth * tooth(l, 9.0) + 0.01 * l.noise
    }),
    sound("very long teeth", What::Memory, |l| {
        1.0 + 0.7 * l.growth * tooth(l, 2.3) + 0.01 * l.noise
    }),
    sound("heap below a collector", HEAP, |l| {
        1.0 + 0.3 * fills(l.t, 0.1) + 1.5 * tooth(l, 150.0) + 0.02 * l.noise
    }),
    sound("fragmented memory", What::Memory, |l| {
        1.0 + 0.4 * (1.0 + 9.0 * l.t).log10() + 0.2 * tooth(l, 70.0) + 0.02 * l.noise
    }),
    sound("memory by load", What::Memory, |l| {
        1.0 + l.growth * l.load + 0.02 * l.noise
    }),
    sound("batch job", What::Memory, |l| {
        1.0 + if (0.1..0.2).contains(&l.days.fract()) { 2.0 } else { 0.0 } + 0.015 * l.noise
    }),
    sound("batches of growing size", What::Memory, |l| {
        1.0 + (1.0 + l.t) * f64::from((l.t * 40.0 * l.scale).fract() < 0.3) + 0.015 * l.noise
    }),
    sound("one step", What::Memory, |l| {
        1.0 + if l.t > 0.35 * l.scale { l.growth } else { 0.0 } + 0.015 * l.noise
    }),
    sound("noise with memory", What::Memory, |l| 1.0 + 0.08 * l.noise),
    sound("noise with long memory", What::Memory, |l| {
        1.0 + 0.1 * l.slow_noise + 0.01 * l.noise
    }),
    sound("deploy with a warm-up", What::Memory, |l| {
        let age = if l.t < DEPLOYED { l.t } else { l.t - DEPLOYED };
        1.0 + l.growth * fills(age, 0.06 * l.scale) + 0.015 * l.noise
    }),
    sound("descriptors by load", What::Descriptors, |l| {
        1.0 + l.load + 0.05 * l.noise
    }),
    sound("threads of a pool", What::Threads, |l| {
        1.0 + l.growth * (l.work / 0.15).min(1.0) + 0.1 * l.load
    }),
    sound("connections of a pool", CONNECTIONS, |l| {
        1.0 + (1.4 * l.load).min(1.8) + 0.05 * l.noise
    }),
    sound("logs that rotate", DISK, |l| {
        1.0 + 0.4 * l.growth * (l.days * 3.0 * l.scale).fract() + 0.002 * l.noise
    }),
    sound("disk with clean-ups", DISK, |l| {
        1.0 + 0.2 * l.load + 0.4 * (l.t * 12.0 * l.scale).fract() + 0.01 * l.slow_noise
    }),
];

/// Healthy kinds that are a line for so long that nothing shows that they are no leaks.
pub(super) fn is_unclear(kind: &str) -> bool {
    matches!(
        kind,
        "cache that is full late" | "threads of a pool" | "very long teeth"
    )
}

/// When a release is deployed in those kinds, in parts of the life.
const DEPLOYED: f64 = 0.4;

pub(super) fn cases() -> Vec<Case> {
    cases_of(0..SEEDS)
}

/// The cases of these seeds.
pub(super) fn cases_of(seeds: std::ops::Range<u64>) -> Vec<Case> {
    let mut cases = Vec::new();
    for (n, kind) in (0..).zip(KINDS) {
        for (nth, days) in (0..).zip(DAYS).filter(|(_, days)| !kind.long || *days > 3.0) {
            for (seed, works) in seeds.clone().flat_map(|seed| [(seed, true), (seed, false)]) {
                cases.push(case(kind, days, seed * 1_000 + n * 10 + nth, works));
            }
        }
    }
    cases
}

fn case(kind: &Kind, days: f64, seed: u64, works: bool) -> Case {
    let (words, metric) = match kind.what {
        What::Memory => ("memory", None),
        What::Descriptors => ("file descriptors", None),
        What::Threads => ("threads", None),
        What::Reported(name, unit, words, _) => (words, Some(Metric { name, unit })),
    };
    let known = if works { "work known" } else { "work unknown" };
    Case {
        name: format!("{}, {days} days, {known}, seed {seed}", kind.name),
        kind: kind.name,
        real: false,
        leaks: kind.leaks.then_some(words),
        metric,
        samples: life(kind, days, seed),
        works,
    }
}

fn life(kind: &Kind, watched: f64, seed: u64) -> Vec<Sample> {
    let mut random = Random::new(77 + seed);
    let scale = random.between(0.6, 1.6);
    // What is worth a word after hours is more than what is after days.
    let growth = if watched < 1.0 {
        random.magnitude(1.2, 3.0)
    } else {
        random.magnitude(0.5, 2.5)
    };
    let (swing, start) = (random.between(0.3, 0.8), random.uniform());
    let level = match kind.what {
        What::Memory => random.magnitude(80.0, 900.0) * MIB,
        What::Descriptors | What::Threads => random.magnitude(30.0, 300.0),
        What::Reported(.., [low, high]) => random.magnitude(low, high),
    };
    let minutes = (watched * 1_440.0) as i64;
    let slowness = (-20.0 / minutes as f64).exp();
    let (mut noise, mut slow_noise, mut work, mut peak_work) = (0.0, 0.0, 0.0, 0.0);
    let samples = (0..minutes).map(|minute| {
        let days = minute as f64 / 1_440.0;
        let load = (1.0 + swing * ((days + start) * TAU).sin()) * (0.05 * random.normal()).exp();
        work += load / minutes as f64;
        peak_work += 4.0 * (load - 1.0).max(0.0) / minutes as f64;
        noise = 0.9 * noise + 0.43 * random.normal();
        slow_noise = slowness * slow_noise + (1.0 - slowness * slowness).sqrt() * random.normal();
        let life = Life {
            t: minute as f64 / minutes as f64,
            days,
            load,
            work,
            peak_work,
            noise,
            slow_noise,
            growth,
            scale,
        };
        let value = (level * (kind.shape)(life)).max(1.0) as u64;
        let mut sample = Sample {
            at_ms: minute * MINUTE_MS,
            memory: (300.0 * MIB) as u64,
            fds: (40.0 + 10.0 * load + random.normal()).max(3.0) as u64,
            threads: 12,
            requests: (load * 1_000.0) as u64,
            release: u8::from(kind.name.contains("deploy") && life.t >= DEPLOYED),
        };
        match kind.what {
            What::Memory | What::Reported(..) => sample.memory = value,
            What::Descriptors => sample.fds = value,
            What::Threads => sample.threads = value,
        }
        sample
    });
    samples.collect()
}
