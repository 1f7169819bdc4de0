//! Healthy series made here: what must raise no alarm.
//!
//! Thirty days at five minutes, several seeds each: seasons of day and week, noise with and without memory, heavy
//! tails, trend, batch jobs, deploys that change the level by up to a fifth (told by `rebase` and not told), rare events.

use std::f64::consts::TAU;

/// Points of a series, and ms between them.
pub(super) const POINTS: usize = 30 * 288;
pub(super) const STEP_MS: i64 = 300_000;
pub(super) const SEEDS: u64 = 6;

/// A kind of healthy series.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Whether the detector is told of deploys.
    pub(super) told: bool,
    make: fn(&mut World, usize) -> f64,
}

/// A series, and where deploys were.
pub(super) struct Healthy {
    pub(super) values: Vec<f64>,
    pub(super) deploys: Vec<usize>,
}

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "daily and weekly season",
        told: false,
        make: |w, i| 100.0 + 80.0 * w.season(i) + 5.0 * w.normal(),
    },
    Kind {
        name: "request counts",
        told: false,
        make: |w, i| {
            let mean = 40.0 + 35.0 * w.season(i);
            (mean + mean.sqrt() * w.normal()).max(0.0).round()
        },
    },
    Kind {
        name: "noise",
        told: false,
        make: |w, _| 20.0 + w.normal(),
    },
    Kind {
        name: "noise with memory",
        told: false,
        make: |w, _| {
            w.state = 0.95 * w.state + w.normal();
            50.0 + w.state
        },
    },
    Kind {
        name: "heavy-tailed latency",
        told: false,
        make: |w, i| (3.0 + 0.2 * w.season(i) + 0.5 * w.normal()).exp(),
    },
    Kind {
        name: "trend",
        told: false,
        make: |w, i| 100.0 + i as f64 * 0.01 + 10.0 * w.season(i) + 2.0 * w.normal(),
    },
    Kind {
        name: "batch job every night",
        told: false,
        make: |w, i| {
            10.0 + w.normal()
                + if (24..30).contains(&(i % 288)) {
                    60.0 + 5.0 * w.normal()
                } else {
                    0.0
                }
        },
    },
    Kind {
        name: "rare events",
        told: false,
        make: |w, _| f64::from(u8::from(w.uniform() < 0.01)),
    },
    Kind {
        name: "deploys, told",
        told: true,
        make: deployed,
    },
    Kind {
        name: "deploys, not told",
        told: false,
        make: deployed,
    },
];

fn deployed(w: &mut World, i: usize) -> f64 {
    if i.is_multiple_of(3 * 288) {
        w.deploys.push(i);
        w.state = 40.0 * (w.uniform() - 0.5);
    }
    100.0 + w.state + 30.0 * w.season(i) + 3.0 * w.normal()
}

impl Kind {
    pub(super) fn series(&self, seed: u64) -> Healthy {
        let mut world = World {
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.name.len() as u64,
            state: 0.0,
            deploys: Vec::new(),
        };
        let values = (0..POINTS).map(|i| (self.make)(&mut world, i)).collect();
        Healthy {
            values,
            deploys: world.deploys,
        }
    }
}

struct World {
    random: u64,
    state: f64,
    deploys: Vec<usize>,
}

impl World {
    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn uniform(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Box and Muller.
    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.uniform()).ln()).sqrt() * (TAU * self.uniform()).cos()
    }

    /// From −1 to 1 in a day, half as much at the weekend.
    fn season(&self, i: usize) -> f64 {
        let day = (i as f64 / 288.0 * TAU).sin();
        if i / 288 % 7 < 5 { day } else { 0.5 * day }
    }
}
