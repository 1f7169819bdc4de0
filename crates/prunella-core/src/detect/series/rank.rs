//! The p-value of a point's rarity among the rarities of its own series.
//!
//! *Method*: the conformal p-value (1 + #{earlier rarities ≥ this}) / (1 + n), from counts in bins of a tenth of a
//! decade, halved when they are many. It is super-uniform as long as the series goes on as before, whatever the features
//! behind the rarity are: calibrated again, because features depend on each other.
//!
//! *Source*: Vovk, Gammerman & Shafer, *Algorithmic Learning in a Random World* (2005), ch. 2; Laxhammar & Falkman (2014).

use serde::{Deserialize, Serialize};

const BINS: usize = 64;
const PER_DECADE: f64 = 10.0;
const FULL: u32 = 16_384;

/// Counts of rarities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u8, u16)>", into = "Vec<(u8, u16)>")]
pub(super) struct Ranks {
    counts: [u16; BINS],
    total: u32,
}

/// Stored counts that cannot be counts.
#[derive(Debug, thiserror::Error)]
#[error("stored ranks are out of range")]
pub(super) struct OutOfRange;

impl Default for Ranks {
    fn default() -> Self {
        Self {
            counts: [0; BINS],
            total: 0,
        }
    }
}

impl Ranks {
    /// The p-value of a rarity given those before it; then learns it.
    pub(super) fn observe(&mut self, rarity: f64) -> f64 {
        let bin = ((rarity.max(0.0) * PER_DECADE) as usize).min(BINS - 1);
        let above: u32 = self.counts[bin..].iter().map(|&c| u32::from(c)).sum();
        let p = f64::from(1 + above) / f64::from(1 + self.total);
        self.counts[bin] += 1;
        self.total += 1;
        if self.total >= FULL {
            self.counts.iter_mut().for_each(|c| *c /= 2);
            self.total = self.counts.iter().map(|&c| u32::from(c)).sum();
        }
        p
    }
}

impl From<Ranks> for Vec<(u8, u16)> {
    fn from(ranks: Ranks) -> Self {
        let bins = ranks.counts.into_iter().enumerate().filter(|&(_, c)| c > 0);
        bins.map(|(i, c)| (u8::try_from(i).expect("64 bins"), c)).collect()
    }
}

impl TryFrom<Vec<(u8, u16)>> for Ranks {
    type Error = OutOfRange;
    fn try_from(bins: Vec<(u8, u16)>) -> Result<Self, OutOfRange> {
        let mut ranks = Self::default();
        for (bin, count) in bins {
            *ranks.counts.get_mut(usize::from(bin)).ok_or(OutOfRange)? = count;
        }
        ranks.total = ranks.counts.iter().map(|&c| u32::from(c)).sum();
        (ranks.total < FULL).then_some(ranks).ok_or(OutOfRange)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::Prng;
    use super::*;

    #[test]
    fn p_values_of_a_steady_series_are_super_uniform() {
        let (mut rng, mut ranks) = (Prng::new(5), Ranks::default());
        let p: Vec<f64> = (0..50_000)
            .map(|_| ranks.observe(-rng.uniform().max(1e-12).log10()))
            .collect();
        for level in [0.5, 0.1, 0.01, 0.001] {
            let share = p.iter().filter(|&&p| p <= level).count() as f64 / p.len() as f64;
            assert!(share <= level * 1.25 + 0.0005, "{level}: {share}");
            assert!(share >= level * 0.4 - 0.0005, "{level}: {share} has no power");
        }
    }

    #[test]
    fn stored_ranks_are_checked() {
        for text in ["[[64,1]]", "[[0,20000]]"] {
            assert!(serde_json::from_str::<Ranks>(text).is_err(), "{text}");
        }
    }
}
