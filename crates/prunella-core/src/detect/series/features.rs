//! How a point differs from what was to be expected, in eight numbers.
//!
//! *Method*: the level (a mean over the last thousand points) and the season ([`super::season`]) each predict the point.
//! The two errors, the same two as a mean over the last dozen points, and the smaller of both (odd whichever way one
//! looks) make six features; the seventh is the size of the latest steps against their usual size, the eighth the drift
//! of the last four dozen points. What is learned is clipped (Huber 1964), and what is absurdly far is not learned until
//! it has come five times in a row: then it is the new normal.

use super::bits;
use super::season::{Hour, Season};
use serde::{Deserialize, Serialize};

/// How many features there are.
pub(super) const FEATURES: usize = 8;
/// Points in the level, in the latest mean and in the drift.
const LEVEL: f64 = 1_000.0;
const LATEST: f64 = 12.0;
const DRIFT: f64 = 48.0;
/// Weight of a point in the mean that steps are measured against.
const FAST: f64 = 0.3;
/// Typical deviations that a step of learning is clipped to, and after how many points.
const CLIP: f64 = 3.0;
const CLIP_AFTER: u32 = 30;
/// Typical deviations beyond which a point is absurd, and how many in a row make a new normal.
const ABSURD: f64 = 10_000.0;
const NEW_NORMAL: u8 = 5;
/// Longest and first guess of the time between two points, in ms.
const LONGEST_STEP_MS: f64 = 7_200_000.0;
const FIRST_STEP_MS: f64 = 300_000.0;
const HOUR_MS: f64 = 3_600_000.0;
/// Share of the usual step that counts as none: keeps the ratio of steps finite.
const QUIET: f64 = 0.02;

/// What is learned of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Features {
    /// The first value; everything else is relative to it, so that small changes of large values are not lost.
    #[serde(with = "bits")]
    anchor: f64,
    /// Points since the level was last started.
    count: u32,
    /// Absurd points in a row.
    absurd: u8,
    #[serde(with = "bits")]
    level: f64,
    #[serde(with = "bits")]
    fast: f64,
    /// Typical distance from the level.
    #[serde(with = "bits")]
    spread: f64,
    /// Mean of the latest errors against the level and against the season, and of more of those against the level.
    #[serde(with = "bits")]
    latest_level: f64,
    #[serde(with = "bits")]
    latest_season: f64,
    #[serde(with = "bits")]
    drift: f64,
    /// Mean size of steps, lately and usually.
    #[serde(with = "bits")]
    steps: f64,
    #[serde(with = "bits")]
    usual_steps: f64,
    /// Time between two points in ms.
    #[serde(with = "bits")]
    cadence_ms: f64,
    season: Box<Season>,
}

/// A point's features, and what was expected of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    /// Signed, in the order of the heading.
    pub(super) features: [f64; FEATURES],
    /// The value that the season and the level expect.
    pub(super) expected: f64,
}

impl Features {
    /// Bytes outside the structure itself.
    pub(super) const HEAP: usize = size_of::<Season>();

    pub(super) fn new(first: f64) -> Self {
        Self {
            anchor: first,
            count: 0,
            absurd: 0,
            level: 0.0,
            fast: 0.0,
            spread: 0.0,
            latest_level: 0.0,
            latest_season: 0.0,
            drift: 0.0,
            steps: 0.0,
            usual_steps: 0.0,
            cadence_ms: FIRST_STEP_MS,
            season: Box::new(Season::new()),
        }
    }

    /// The usual time between two points in ms.
    pub(super) fn cadence_ms(&self) -> f64 {
        self.cadence_ms
    }

    /// Measures a finite value at `at_ms`, `step_ms` after the one before, and learns it.
    pub(super) fn measure(&mut self, at_ms: i64, step_ms: u64, value: f64) -> Measured {
        self.count = self.count.saturating_add(1);
        let share = 1.0 / f64::from(self.count);
        if step_ms > 0 {
            self.cadence_ms += share.max(DRIFT.recip()) * ((step_ms as f64).min(LONGEST_STEP_MS) - self.cadence_ms);
        }
        let hour = Hour::at(at_ms);
        let value = value - self.anchor;
        let expected = self.season.expected(hour, self.level);
        let absurd = (value - self.level).abs() > self.reach();
        if !absurd {
            self.follow(value, expected, share);
        }
        let measured = self.compare(value, expected);
        if absurd {
            self.meet_absurd(value);
        } else {
            self.absurd = 0;
            self.learn(hour, value, share);
        }
        measured
    }

    /// Beyond this distance a point is absurd.
    fn reach(&self) -> f64 {
        if self.count > CLIP_AFTER {
            ABSURD * self.spread
        } else {
            f64::INFINITY
        }
    }

    /// Brings the means of the latest errors and steps up to date.
    fn follow(&mut self, value: f64, expected: f64, share: f64) {
        let (by_level, by_season) = (value - self.level, value - expected);
        blend(&mut self.latest_level, by_level, share.max(LATEST.recip()));
        blend(&mut self.latest_season, by_season, share.max(LATEST.recip()));
        blend(&mut self.drift, by_level, share.max(DRIFT.recip()));
        let step = value - self.fast;
        self.fast += share.max(FAST) * step;
        blend(&mut self.steps, step.abs(), share.max(LATEST.recip()));
        blend(&mut self.usual_steps, step.abs(), share.max(LEVEL.recip()));
    }

    fn compare(&self, value: f64, expected: f64) -> Measured {
        let (by_level, by_season) = (value - self.level, value - expected);
        Measured {
            features: [
                by_level,
                self.latest_level,
                by_season,
                self.latest_season,
                smaller(by_level, by_season),
                smaller(self.latest_level, self.latest_season),
                self.step_ratio(),
                self.drift,
            ],
            expected: self.anchor + expected,
        }
    }

    /// ln of the latest steps' size over the usual one.
    fn step_ratio(&self) -> f64 {
        if self.usual_steps > 0.0 {
            ((self.steps + QUIET * self.usual_steps) / ((1.0 + QUIET) * self.usual_steps)).ln()
        } else {
            0.0
        }
    }

    fn learn(&mut self, hour: Hour, value: f64, share: f64) {
        let weight = share.max(LEVEL.recip());
        let error = value - self.level;
        let clip = if self.count > CLIP_AFTER {
            CLIP * self.spread
        } else {
            f64::INFINITY
        };
        blend(&mut self.spread, error.abs(), weight);
        self.level += weight * error.clamp(-clip, clip);
        let visit = (self.cadence_ms / HOUR_MS).min(1.0);
        self.season.learn(hour, value, visit, clip);
    }

    fn meet_absurd(&mut self, value: f64) {
        self.absurd += 1;
        if self.absurd >= NEW_NORMAL {
            self.start_level(value);
        }
    }

    /// How far a value is from what is expected at this time, without learning it.
    pub(super) fn error(&self, at_ms: i64, value: f64) -> f64 {
        let value = value - self.anchor;
        value - self.season.expected(Hour::at(at_ms), self.level)
    }

    /// Moves what is expected by as much, as after a deploy; `value` is the latest one. The season keeps its shape.
    pub(super) fn move_by(&mut self, by: f64, value: f64) {
        self.season.shift(by);
        self.level += by;
        self.fast = value - self.anchor;
        self.latest_season = 0.0;
        self.absurd = 0;
    }

    fn start_level(&mut self, level: f64) {
        self.season.shift(level - self.level);
        self.count = 1;
        self.absurd = 0;
        (self.level, self.fast) = (level, level);
        (self.latest_level, self.latest_season, self.drift) = (0.0, 0.0, 0.0);
    }

    /// Whether all of it is finite: a saved state may have been damaged.
    pub(super) fn is_sound(&self) -> bool {
        let all = [
            self.anchor,
            self.level,
            self.fast,
            self.spread,
            self.latest_level,
            self.latest_season,
            self.drift,
            self.steps,
            self.usual_steps,
            self.cadence_ms,
        ];
        all.iter().all(|x| x.is_finite())
    }
}

fn blend(mean: &mut f64, value: f64, weight: f64) {
    *mean += weight * (value - *mean);
}

/// The one nearer to zero in size, with the sign of the second.
fn smaller(a: f64, b: f64) -> f64 {
    a.abs().min(b.abs()).copysign(b)
}
