//! A queue whose consumer makes no progress: a level that always went down again, and does no longer.
//!
//! *Signals.* Gauges and sums that may fall.
//!
//! *Method.* In windows of ten seconds the longest run of rises without a fall is learned, and the greatest value. A level
//! that drained again and again is stuck when it has risen four times as often without a fall (and six times), and stands
//! higher than ever.
//!
//! *Source.* The progress rule of watchdogs: work waits and none is done (cf. "limping" and "stuck" states in Huang et al.,
//! "Gray failure", HotOS 2017).

use serde::{Deserialize, Serialize};

/// Windows that teach.
const LEARN: u32 = 30;
/// Falls that make it a level that drains.
const MIN_FALLS: u32 = 5;

/// A level that is watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Level {
    value: Option<f64>,
    last: f64,
    windows: u32,
    falls: u32,
    run: u32,
    longest: u32,
    highest: f64,
    told: bool,
}

/// A level that is stuck.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stuck {
    pub(super) value: f64,
    pub(super) highest: f64,
    pub(super) windows: u32,
    pub(super) longest: u32,
}

impl Level {
    pub(super) fn set(&mut self, value: f64) {
        if value.is_finite() {
            // Of several instances the one that holds most.
            self.value = Some(self.value.map_or(value, |most| most.max(value)));
        }
    }

    /// A window is over.
    pub(super) fn window(&mut self) -> Option<Stuck> {
        let value = self.value.take()?;
        let first = self.windows == 0;
        self.windows = self.windows.saturating_add(1);
        let before = std::mem::replace(&mut self.last, value);
        if first {
            self.highest = value;
            return None;
        }
        if value < before {
            self.falls = self.falls.saturating_add(1);
            if !self.told {
                self.longest = self.longest.max(self.run);
                self.highest = self.highest.max(before);
            }
            (self.run, self.told) = (0, false);
            return None;
        }
        // Standing still, at nothing for example, is no sign of anything.
        self.run = self.run.saturating_add(u32::from(value > before));
        let drains = self.windows > LEARN && self.falls >= MIN_FALLS;
        let long = self.run >= 6.max(4 * self.longest);
        let high = value > self.highest * 1.2 && value > self.highest + 1.0;
        if self.told || !(drains && long && high) {
            return None;
        }
        self.told = true;
        Some(Stuck {
            value,
            highest: self.highest,
            windows: self.run,
            longest: self.longest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::Prng;

    #[test]
    fn a_level_that_no_longer_drains_is_stuck_and_one_that_does_is_not() {
        for seed in 0..50 {
            let mut rng = Prng::new(seed);
            let (mut level, mut depth) = (Level::default(), 0.0_f64);
            for n in 0..2_000 {
                // Bursts come in and are worked off.
                depth += f64::from(u8::from(rng.chance(0.2))) * 40.0;
                depth = (depth - 12.0 - rng.uniform() * 8.0).max(0.0);
                level.set(depth);
                assert_eq!(level.window(), None, "{seed} {n}");
            }
            let stuck = (0..60).find(|_| {
                depth += rng.uniform() * 20.0;
                level.set(depth);
                level.window().is_some()
            });
            assert!(stuck.is_some_and(|n| n < 60), "{seed}");
        }
    }
}
