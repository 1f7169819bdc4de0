//! Is one route slower than its baseline? Shares of requests above limits that the baseline fixed.
//!
//! *Method.* From the baseline's past come its median, 95th and 99th percentile, and from each a limit: half as long again, or
//! 20 ms more, whichever is later. From then on only the *share* of requests above each limit counts, a Bernoulli stream
//! that [`super::sequential`] compares. A limit needs no model of the distribution, and a difference that nobody would
//! feel cannot cross it. Requests of one moment share its queue, so each weighs a quarter, and a claim needs slow
//! requests in several ticks.

use serde::{Deserialize, Serialize};

use super::sequential::{Counts, Margin};
use super::stream::{Baseline, against};
use crate::signal::LatencyHistogram;

/// The baseline needs this many responses before limits can be taken from it.
pub(super) const MIN_RESPONSES: u64 = 40;
const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];
const MARGIN: Margin = Margin {
    ratio: 1.5,
    excess: 0.03,
    most: 0.2,
};
const WEIGHT: f64 = 0.25;
const MIN_SLOW: f64 = 8.0;
const MIN_TICKS: u32 = 5;

/// One limit and what lies above it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Level {
    quantile: f64,
    bucket: usize,
    past: Counts,
    meanwhile: Counts,
    new: Counts,
    slow_ticks: u32,
    lowest: f64,
    onset_ms: Option<i64>,
}

/// One route's limits; fixed when made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Slowness {
    levels: Vec<Level>,
    baseline: LatencyHistogram,
    seen: LatencyHistogram,
}

/// A limit that too many requests exceed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slow {
    pub(super) ln_e: f64,
    pub(super) ln_threshold: f64,
    pub(super) quantile: f64,
    pub(super) limit_us: u64,
    pub(super) before_us: u64,
    pub(super) now_us: u64,
    pub(super) base: Counts,
    pub(super) new: Counts,
    pub(super) onset_ms: i64,
}

impl Slowness {
    /// Takes the limits from the baseline's past, or nothing if that is too short.
    pub(super) fn from_past(past: &LatencyHistogram) -> Option<Self> {
        if past.total() < MIN_RESPONSES {
            return None;
        }
        let level = |quantile| {
            let usual = past.quantile(quantile)?;
            let limit = (usual.saturating_add(usual / 2)).max(usual.saturating_add(20_000));
            let bucket = LatencyHistogram::bucket_of(limit);
            Some(Level {
                quantile,
                bucket,
                past: exceeding(past, bucket),
                meanwhile: Counts::default(),
                new: Counts::default(),
                slow_ticks: 0,
                lowest: 0.0,
                onset_ms: None,
            })
        };
        let levels = QUANTILES.into_iter().filter_map(level).collect();
        Some(Self {
            levels,
            baseline: past.clone(),
            seen: LatencyHistogram::default(),
        })
    }

    /// Adds what the baseline did meanwhile.
    pub(super) fn baseline(&mut self, tick: &LatencyHistogram) {
        for level in &mut self.levels {
            level.meanwhile = level.meanwhile.plus(exceeding(tick, level.bucket));
        }
    }

    /// Adds a tick of the release under test.
    pub(super) fn new_tick(&mut self, tick: &LatencyHistogram, at_ms: i64) {
        self.seen.merge(tick);
        for level in &mut self.levels {
            let counts = exceeding(tick, level.bucket);
            level.new = level.new.plus(counts);
            if counts.bad() > 0.0 {
                level.slow_ticks = level.slow_ticks.saturating_add(1);
                level.onset_ms.get_or_insert(at_ms);
            }
        }
    }

    /// Forgets the release under test, to look at a new window of it.
    pub(super) fn restart(&mut self) {
        self.seen = LatencyHistogram::default();
        for level in &mut self.levels {
            (level.new, level.slow_ticks, level.lowest, level.onset_ms) = (Counts::default(), 0, 0.0, None);
        }
    }

    /// The first limit that is exceeded more often than the baseline does, with an error probability of `alpha` for all
    /// limits and all time.
    pub(super) fn decide(&mut self, alpha: f64, at_ms: i64) -> Option<Slow> {
        let ln_threshold = -(alpha / QUANTILES.len() as f64).ln();
        let mut found = None;
        for level in &mut self.levels {
            let base = Baseline {
                past: level.past,
                meanwhile: level.meanwhile,
                own: Counts::default(),
            };
            let ln_e = against(base, level.new.weighted(WEIGHT), WEIGHT, MARGIN);
            if ln_e <= level.lowest {
                level.lowest = ln_e;
                level.onset_ms = None;
            }
            let enough = level.new.bad() >= MIN_SLOW && level.slow_ticks >= MIN_TICKS;
            if found.is_none() && enough && ln_e >= ln_threshold {
                found = Some(Slow {
                    ln_e,
                    ln_threshold,
                    quantile: level.quantile,
                    limit_us: LatencyHistogram::upper_bound(level.bucket),
                    before_us: self.baseline.quantile(level.quantile).unwrap_or(0),
                    now_us: self.seen.quantile(level.quantile).unwrap_or(0),
                    base: level.past.plus(level.meanwhile),
                    new: level.new,
                    onset_ms: level.onset_ms.unwrap_or(at_ms),
                });
            }
        }
        found
    }
}

fn exceeding(histogram: &LatencyHistogram, bucket: usize) -> Counts {
    Counts::new(histogram.total(), histogram.above(bucket))
}

impl Slow {
    /// A sentence with the figures.
    pub(super) fn sentence(&self) -> String {
        format!(
            "{} of {:.0} responses took longer than {} ({} of the baseline's {:.0}); the {} rose from {} to {}.",
            super::text::percent(self.new.share()),
            self.new.n(),
            millis(self.limit_us),
            super::text::percent(self.base.share()),
            self.base.n(),
            if self.quantile == 0.5 {
                "median".to_owned()
            } else {
                format!("p{:.0}", self.quantile * 100.0)
            },
            millis(self.before_us),
            millis(self.now_us),
        )
    }
}

fn millis(micros: u64) -> String {
    let millis = micros as f64 / 1000.0;
    if millis < 10.0 {
        format!("{millis:.1} ms")
    } else {
        format!("{millis:.0} ms")
    }
}
