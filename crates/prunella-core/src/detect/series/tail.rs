//! How rare a value is among those seen: an online two-sided tail probability without a model of the distribution.
//!
//! *Method*: two histograms of |value|, one for each sign, with four logarithmic bins to an octave (as in HdrHistogram
//! and DDSketch), linear inside a bin. P(a value of this sign at least as large) is the share of the counts above, with
//! a tenth of a count for what was never seen (a plotting position, as Cunnane 1978 discusses them). Beyond the largest
//! value seen the tail is continued as a Pareto tail. The bins are placed around the typical size and follow it, so one
//! absurd value moves nothing; counts are halved when they are many, so the distant past fades.
//!
//! *Source*: conformal anomaly detection (Laxhammar & Falkman 2014) for ranks as scores; the "anomaly likelihood" of
//! Ahmad, Lavin, Purdy & Agha (2017) for scoring the rarity of a prediction's error instead of its size.

use serde::{Deserialize, Serialize};

/// Bins for each sign: twelve octaves.
const BINS: usize = 48;
/// Bins to an octave.
const PER_OCTAVE: f32 = 4.0;
/// Where the typical size is put: four octaves below it, eight above.
const CENTRE: usize = 16;
/// How far the typical size may wander from there before the bins follow, in bins.
const SLACK: usize = 8;
/// Values before the first bins are placed.
const EARLY: u32 = 20;
/// Counts at which all are halved.
const FULL: u32 = 16_384;
/// How often the place of the bins is checked, in values.
const CHECK_EVERY: u32 = 256;
/// Weight of a value in the typical size of late.
const RECENT: f32 = 1.0 / 256.0;
/// The count of what was never seen.
const UNSEEN: f32 = 0.1;
/// Decades of probability to an octave beyond the largest value: a Pareto tail with index 5/3.
const BEYOND: f32 = 0.5;

/// The values of one feature of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub(super) struct Tail {
    /// By sign (up, down), then by size.
    counts: [[u16; BINS]; 2],
    /// Sum of all counts.
    total: u32,
    /// log2 of the lower edge of bin 0 times [`PER_OCTAVE`]; `None` until a size is known.
    origin: Option<f32>,
    /// Values in [`Self::early_sum`]; stops at [`EARLY`].
    early: u32,
    /// Sum of the sizes before the bins are placed.
    early_sum: f32,
    /// Mean of log2 of the latest sizes that are not zero, times [`PER_OCTAVE`].
    typical: f32,
}

/// The form in which it is saved: empty bins left out.
#[derive(Serialize, Deserialize)]
struct Stored {
    bins: Vec<(u8, u16)>,
    origin: Option<f32>,
    early: u32,
    early_sum: f32,
    typical: f32,
}

/// A stored tail that cannot be one.
#[derive(Debug, thiserror::Error)]
#[error("stored counts of sizes are out of range")]
struct OutOfRange;

impl Default for Tail {
    fn default() -> Self {
        Self {
            counts: [[0; BINS]; 2],
            total: 0,
            origin: None,
            early: 0,
            early_sum: 0.0,
            typical: 0.0,
        }
    }
}

impl Tail {
    /// −log10 of the probability of a value with this sign and at least this size, as known before it; then learns it.
    /// At least 0. `value` must be finite.
    pub(super) fn observe(&mut self, value: f64) -> f32 {
        let size = value.abs() as f32;
        if self.early < EARLY {
            self.early += 1;
            self.early_sum += size;
            return 0.0;
        }
        let known = self.origin.is_some();
        if !known && !self.place(size) {
            self.count(0, 0);
            return 0.0;
        }
        let side = usize::from(value < 0.0);
        let at = self.position(size);
        let rarity = self.rarity(side, at, known);
        self.count(side, at as usize);
        if self.total.is_multiple_of(CHECK_EVERY) {
            self.follow();
        }
        rarity
    }

    /// Puts the bins around the sizes seen early, or else around the first that is not zero.
    fn place(&mut self, size: f32) -> bool {
        let typical = if self.early_sum > 0.0 {
            self.early_sum / EARLY as f32
        } else {
            size
        };
        if typical > 0.0 && typical.is_finite() {
            self.typical = PER_OCTAVE * typical.log2();
            self.origin = Some(self.typical - (CENTRE + 4) as f32);
        }
        self.origin.is_some()
    }

    /// The bin of a size with the place inside it as the fraction; past the last bin it goes on.
    fn position(&mut self, size: f32) -> f32 {
        if size <= 0.0 {
            return 0.0;
        }
        let log = PER_OCTAVE * size.log2();
        self.typical += RECENT * (log - self.typical);
        (log - self.origin.unwrap_or(0.0)).max(0.0)
    }

    fn rarity(&self, side: usize, at: f32, scale_known: bool) -> f32 {
        let bins = &self.counts[side];
        let inside = at.min((BINS - 1) as f32);
        let bin = inside as usize;
        if bin == 0 {
            return 0.0;
        }
        let above: u32 = bins[bin + 1..].iter().map(|&c| u32::from(c)).sum();
        let above = above as f32 + f32::from(bins[bin]) * (1.0 - (inside - bin as f32));
        let share = (above + UNSEEN) / (self.total as f32 + UNSEEN);
        let mut rarity = -share.min(1.0).log10();
        if above == 0.0 && scale_known {
            let top = bins.iter().rposition(|&c| c > 0).unwrap_or(0);
            rarity += BEYOND * (at - (top + 1) as f32).max(0.0) / PER_OCTAVE;
        }
        rarity
    }

    fn count(&mut self, side: usize, bin: usize) {
        self.counts[side][bin.min(BINS - 1)] += 1;
        self.total += 1;
        if self.total >= FULL {
            self.counts.iter_mut().flatten().for_each(|c| *c /= 2);
            self.total = self.counts.iter().flatten().map(|&c| u32::from(c)).sum();
        }
    }

    /// Moves the bins when the typical size has left their middle, and starts again when it has left them altogether:
    /// what was learned then tells nothing about what comes.
    fn follow(&mut self) {
        let shift = (self.typical - self.origin.unwrap_or(0.0)) as isize - CENTRE as isize;
        if shift.unsigned_abs() <= SLACK {
            return;
        }
        self.origin = Some(self.origin.unwrap_or(0.0) + shift as f32);
        let in_range = (0..BINS as isize).contains(&(CENTRE as isize + shift));
        for side in &mut self.counts {
            let old = std::mem::replace(side, [0; BINS]);
            for (bin, count) in old.into_iter().enumerate().filter(|_| in_range) {
                let to = (bin as isize - shift).clamp(0, BINS as isize - 1);
                side[usize::try_from(to).expect("clamped to the bins")] += count;
            }
        }
        if !in_range {
            self.total = 0;
        }
    }
}

impl From<Tail> for Stored {
    fn from(tail: Tail) -> Self {
        let bins = tail.counts.iter().flatten().enumerate().filter(|(_, c)| **c > 0);
        Self {
            bins: bins.map(|(i, &c)| (u8::try_from(i).expect("96 bins"), c)).collect(),
            origin: tail.origin,
            early: tail.early,
            early_sum: tail.early_sum,
            typical: tail.typical,
        }
    }
}

impl TryFrom<Stored> for Tail {
    type Error = OutOfRange;
    fn try_from(stored: Stored) -> Result<Self, OutOfRange> {
        let mut tail = Self {
            origin: stored.origin,
            early: stored.early,
            early_sum: stored.early_sum,
            typical: stored.typical,
            ..Self::default()
        };
        for (index, count) in stored.bins {
            let (side, bin) = (usize::from(index) / BINS, usize::from(index) % BINS);
            let place = tail.counts.get_mut(side).ok_or(OutOfRange)?;
            place[bin] = count;
            tail.total += u32::from(count);
        }
        let finite = stored.origin.is_none_or(f32::is_finite) && stored.typical.is_finite() && stored.early_sum >= 0.0;
        if finite && tail.total < FULL && stored.early <= EARLY {
            Ok(tail)
        } else {
            Err(OutOfRange)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::Prng;
    use super::*;

    fn normal(rng: &mut Prng) -> f64 {
        (0..12).map(|_| rng.uniform()).sum::<f64>() - 6.0
    }

    #[test]
    fn rarities_are_tail_probabilities() {
        let (mut rng, mut tail) = (Prng::new(1), Tail::default());
        for _ in 0..10_000 {
            tail.observe(normal(&mut rng));
        }
        // P(Z > 1), P(Z > 2), P(Z > 3) of the sum of twelve uniforms, to a tenth of a decade where counts abound.
        for (value, p, within) in [(1.0, 0.1599_f32, 0.05), (-2.0, 0.0221, 0.1), (3.0, 0.0011, 0.35)] {
            let got = tail.clone().observe(value);
            assert!((got + p.log10()).abs() < within, "{value}: {got} {}", -p.log10());
        }
    }

    #[test]
    fn the_unseen_is_rarer_than_anything_seen_and_the_farther_the_rarer() {
        let (mut rng, mut tail) = (Prng::new(2), Tail::default());
        for _ in 0..2_000 {
            tail.observe(normal(&mut rng).abs());
        }
        let rarity = |v: f64| tail.clone().observe(v);
        assert!(rarity(20.0) > 4.0 && rarity(200.0) > rarity(20.0));
        assert!(rarity(-1.0) > 4.0, "no value ever went down");
        assert!(rarity(1e30).is_finite());
    }

    #[test]
    fn absurd_values_do_not_blind_and_a_new_size_is_learned() {
        let (mut rng, mut tail) = (Prng::new(3), Tail::default());
        for i in 0..5_000 {
            tail.observe(if i % 500 == 499 { 1e30 } else { normal(&mut rng) });
        }
        assert!(tail.clone().observe(3.0) > 2.0);
        for _ in 0..12_000 {
            tail.observe(1e6 * normal(&mut rng));
        }
        let got = tail.clone().observe(2e6);
        assert!((1.3..2.3).contains(&got), "{got}");
    }

    #[test]
    fn a_size_far_below_the_first_ones_is_learned() {
        let (mut rng, mut tail) = (Prng::new(4), Tail::default());
        for _ in 0..50 {
            tail.observe(1e9 * normal(&mut rng));
        }
        for _ in 0..3_000 {
            tail.observe(normal(&mut rng));
        }
        let got = tail.clone().observe(2.0);
        assert!((1.3..2.0).contains(&got), "{got}");
    }

    #[test]
    fn a_constant_is_never_rare_and_its_first_change_is() {
        let mut tail = Tail::default();
        assert!((0..1_000).all(|_| tail.observe(0.0) == 0.0));
        assert!(tail.observe(7.0) > 3.0);
        assert_eq!(tail.observe(0.0), 0.0);
    }

    #[test]
    fn old_counts_fade_within_the_limit() {
        let mut tail = Tail::default();
        for i in 0..200_000_u32 {
            tail.observe(f64::from(i % 100) + 1.0);
        }
        assert!(tail.total < FULL);
    }

    #[test]
    fn stored_counts_are_checked() {
        for text in [
            r#"{"bins":[[96,1]],"origin":0.0,"early":20,"early_sum":1.0,"typical":0.0}"#,
            r#"{"bins":[[0,65535]],"origin":0.0,"early":20,"early_sum":1.0,"typical":0.0}"#,
            r#"{"bins":[],"origin":0.0,"early":21,"early_sum":1.0,"typical":0.0}"#,
            r#"{"bins":[],"origin":0.0,"early":20,"early_sum":-1.0,"typical":0.0}"#,
        ] {
            assert!(serde_json::from_str::<Tail>(text).is_err(), "{text}");
        }
    }
}
