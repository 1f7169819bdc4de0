//! Made-up lives of processes: leaks of several speeds and what only looks like one, under seasons, noise and no work.

use super::{Case, Sample};
use crate::random::Random;
use std::f64::consts::TAU;

const MINUTE_MS: i64 = 60_000;
const DAYS: f64 = 4.0;
const MIB: f64 = 1_048_576.0;
const SEEDS: u64 = 4;

/// Memory in MiB at a time in days, when so much work (1 is usual) has been done per minute and in all.
type Shape = fn(&mut Random, Life) -> f64;

#[derive(Clone, Copy)]
struct Life {
    days: f64,
    load: f64,
    /// Days of usual work.
    work: f64,
    /// Noise with memory.
    noise: f64,
    scale: f64,
}

const SHAPES: &[(&str, bool, Shape)] = &[
    ("leak by time", true, |_, l| {
        200.0 + 60.0 * l.scale * l.days + 3.0 * l.noise
    }),
    ("leak by work", true, |_, l| {
        200.0 + 80.0 * l.scale * l.work + 3.0 * l.noise
    }),
    ("leak below teeth", true, |_, l| {
        200.0 + 80.0 * l.scale * l.days + 90.0 * (l.days * 17.0 * l.scale).fract()
    }),
    ("leak in steps", true, |_, l| {
        200.0 + 15.0 * (l.work * 6.0 * l.scale).floor() + 2.0 * l.noise
    }),
    ("slow leak of a large process", true, |_, l| {
        900.0 + 110.0 * l.scale * l.days + 30.0 * l.load + 5.0 * l.noise
    }),
    ("level", false, |_, l| 300.0 + 6.0 * l.noise),
    ("cache that fills", false, |_, l| {
        200.0 + 400.0 * (1.0 - (-l.work * 5.0 * l.scale).exp()) + 4.0 * l.noise
    }),
    ("cache that fills slowly", false, |_, l| {
        200.0 + 400.0 * (1.0 - (-l.work / l.scale).exp()) + 4.0 * l.noise
    }),
    ("teeth", false, |_, l| {
        150.0 + 200.0 * (l.days * 30.0 * l.scale).fract() + 2.0 * l.noise
    }),
    ("long teeth", false, |_, l| {
        150.0 + 200.0 * (l.days * 5.0 * l.scale).fract() + 2.0 * l.noise
    }),
    ("memory by load", false, |_, l| {
        150.0 + 200.0 * l.scale * l.load + 4.0 * l.noise
    }),
    ("batch job", false, |_, l| {
        200.0
            + if (0.1..0.2).contains(&l.days.fract()) {
                500.0
            } else {
                0.0
            }
            + 3.0 * l.noise
    }),
    ("one step", false, |_, l| {
        200.0 + if l.days > 1.0 + l.scale { 250.0 } else { 0.0 } + 3.0 * l.noise
    }),
    ("noise with memory", false, |_, l| 300.0 + 25.0 * l.noise),
];

pub(super) fn cases() -> Vec<Case> {
    let all = SHAPES
        .iter()
        .flat_map(|shape| (0..SEEDS).flat_map(move |seed| [true, false].map(|works| (shape, seed, works))));
    all.map(|((name, leaks, shape), seed, works)| Case {
        name: format!(
            "{name}, {}, seed {seed}",
            if works { "work known" } else { "work unknown" }
        ),
        real: false,
        leaks: leaks.then_some("memory"),
        samples: life(*shape, seed),
        works,
    })
    .collect()
}

fn life(shape: Shape, seed: u64) -> Vec<Sample> {
    let mut random = Random::new(77 + seed);
    let scale = random.between(0.6, 1.6);
    let swing = random.between(0.3, 0.8);
    let start = random.uniform();
    let (mut noise, mut work) = (0.0, 0.0);
    let minutes = (DAYS * 1_440.0) as i64;
    let samples = (0..minutes).map(|minute| {
        let days = minute as f64 / 1_440.0;
        let load = (1.0 + swing * ((days + start) * TAU).sin()) * (0.05 * random.normal()).exp();
        work += load / 1_440.0;
        noise = 0.9 * noise + 0.43 * random.normal();
        let life = Life {
            days,
            load,
            work,
            noise,
            scale,
        };
        Sample {
            at_ms: minute * MINUTE_MS,
            memory: (shape(&mut random, life).max(1.0) * MIB) as u64,
            fds: (40.0 + 10.0 * load + random.normal()).max(3.0) as u64,
            threads: 12,
            requests: (load * 1_000.0) as u64,
        }
    });
    samples.collect()
}
