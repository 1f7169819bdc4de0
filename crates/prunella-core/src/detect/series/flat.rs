//! Flat lines: a value that repeats longer than it ever did.
//!
//! *Method*: with `c` the share of points that differ from the one before, a run of `n` equal values has the probability
//! (1 − c)ⁿ; it is claimed when that is small and the run is also four times the longest known. Judged once, when a run
//! reaches that length. A series that has hardly ever changed can have no flat line.
//!
//! *Source*: the geometric run-length model of sensor quality control ("stuck sensor" test, e.g. IOOS QARTOD Flat Line Test).

use serde::{Deserialize, Serialize};

/// Changes and points that must have been seen.
const CHANGES: u32 = 30;
/// A run shorter than this is none, whatever the series.
const SHORTEST: u32 = 12;
/// How much longer than the longest known run.
const LONGER: u32 = 4;

/// Runs of equal values of one series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Runs {
    /// The latest value's bits.
    latest: Option<u64>,
    run: u32,
    longest: u32,
    points: u32,
    changes: u32,
}

impl Runs {
    /// −log10 of the probability of so long a run when it has just become remarkable, else 0.
    pub(super) fn observe(&mut self, value: f64) -> f64 {
        let bits = value.to_bits();
        self.points = self.points.saturating_add(1);
        if self.latest == Some(bits) {
            self.run = self.run.saturating_add(1);
            return if self.run == self.remarkable() {
                self.rarity()
            } else {
                0.0
            };
        }
        if self.latest.is_some() {
            self.changes = self.changes.saturating_add(1);
        }
        self.longest = self.longest.max(self.run);
        self.latest = Some(bits);
        self.run = 1;
        0.0
    }

    fn remarkable(&self) -> u32 {
        self.longest.saturating_mul(LONGER).max(SHORTEST)
    }

    fn rarity(&self) -> f64 {
        if self.changes < CHANGES {
            return 0.0;
        }
        // Without the run itself, which is what is judged.
        let before = self.points.saturating_sub(self.run).max(1);
        let still = (1.0 - f64::from(self.changes) / f64::from(before)).max(0.05);
        -f64::from(self.run) * still.log10()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::Prng;
    use super::*;

    #[test]
    fn a_stuck_value_is_claimed_once() {
        let (mut rng, mut runs) = (Prng::new(7), Runs::default());
        assert!((0..500).all(|_| runs.observe(rng.uniform()) == 0.0));
        let claims = (0..500).filter(|_| runs.observe(0.5) > 6.0).count();
        assert_eq!(claims, 1);
    }

    #[test]
    fn what_is_often_flat_is_not_stuck() {
        let (mut rng, mut runs) = (Prng::new(8), Runs::default());
        // A count that is 0 but for one point in fifty.
        let claims = (0..20_000)
            .filter(|_| runs.observe(f64::from(u8::from(rng.chance(0.02)))) > 2.5)
            .count();
        assert!(claims <= 1, "{claims}");
        let mut constant = Runs::default();
        assert!((0..5_000).all(|_| constant.observe(4.0) == 0.0));
    }
}
