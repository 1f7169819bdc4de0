//! A histogram is its rate, mean and quantiles: how it becomes series.
//!
//! *Method*: the difference of two cumulative histograms is the histogram of the interval; a count that went down or
//! bounds that changed mean a reset, and then the histogram itself is the interval's. A quantile is found in its bucket
//! by linear interpolation. Exponential histograms are brought to bounds first.
//!
//! *Source*: OpenTelemetry metrics data model (explicit and exponential histograms); Prometheus' `histogram_quantile`.

use super::counter::delta_rate;
use serde::{Deserialize, Serialize};

/// The most buckets that are looked at; a histogram with more is refused.
pub const MAX_BUCKETS: usize = 1_024;

/// Counts between ascending bounds: the first up to the first bound, the last above the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Buckets {
    bounds: Vec<f64>,
    counts: Vec<u64>,
    sum: Option<f64>,
}

/// Why a histogram cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BucketsError {
    /// Over [`MAX_BUCKETS`].
    #[error("a histogram of {0} buckets is refused: {MAX_BUCKETS} is the limit")]
    TooMany(usize),
    /// One more count than bounds is needed.
    #[error("{bounds} bounds need {needed} counts, not {counts}", needed = bounds + 1)]
    Counts {
        /// How many bounds.
        bounds: usize,
        /// How many counts.
        counts: usize,
    },
    /// Bounds must be finite and ascend.
    #[error("the bounds of a histogram must be finite and ascend")]
    Bounds,
    /// The scale of an exponential histogram is not one of the protocol's.
    #[error("the scale of an exponential histogram lies between -10 and 20, not {0}")]
    Scale(i32),
}

/// One interval of a histogram, as values of gauges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Observations per second.
    pub rate: f64,
    /// Mean, where the sum is known and anything was observed.
    pub mean: Option<f64>,
    /// Median.
    pub p50: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
}

impl Buckets {
    /// An explicit histogram; an infinite last bound is taken for the overflow bucket's.
    ///
    /// # Errors
    /// See [`BucketsError`].
    pub fn explicit(mut bounds: Vec<f64>, counts: Vec<u64>, sum: Option<f64>) -> Result<Self, BucketsError> {
        if bounds.last() == Some(&f64::INFINITY) {
            bounds.pop();
        }
        if counts.len() > MAX_BUCKETS {
            return Err(BucketsError::TooMany(counts.len()));
        }
        if counts.len() != bounds.len() + 1 {
            return Err(BucketsError::Counts {
                bounds: bounds.len(),
                counts: counts.len(),
            });
        }
        if !bounds.iter().all(|b| b.is_finite()) || !bounds.windows(2).all(|w| w[0] < w[1]) {
            return Err(BucketsError::Bounds);
        }
        let sum = sum.filter(|s| s.is_finite());
        Ok(Self { bounds, counts, sum })
    }

    /// The positive range of an exponential histogram, with its zero bucket first: bucket i ends at base^(offset+i+1)
    /// with base = 2^(2^−scale).
    ///
    /// # Errors
    /// See [`BucketsError`]; bounds that a double cannot hold are [`BucketsError::Bounds`].
    pub fn exponential(
        scale: i32,
        offset: i32,
        zero_count: u64,
        positive: &[u64],
        sum: Option<f64>,
    ) -> Result<Self, BucketsError> {
        if !(-10..=20).contains(&scale) {
            return Err(BucketsError::Scale(scale));
        }
        if positive.len() > MAX_BUCKETS - 2 {
            return Err(BucketsError::TooMany(positive.len()));
        }
        let width = f64::from(-scale).exp2();
        let bound = |i: usize| ((f64::from(offset) + i as f64) * width).exp2();
        let bounds: Vec<f64> = (0..=positive.len()).map(bound).collect();
        if !bounds.iter().all(|b| b.is_finite()) {
            return Err(BucketsError::Bounds);
        }
        let counts = std::iter::once(zero_count)
            .chain(positive.iter().copied())
            .chain(std::iter::once(0))
            .collect();
        Self::explicit(bounds, counts, sum)
    }

    /// How many observations there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, &c| sum.saturating_add(c))
    }

    /// Quantile `q` (0 to 1); the last bound for what lies above it. `None` without observations or bounds.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let last = *self.bounds.last()?;
        let total = self.total();
        let rank = q.clamp(0.0, 1.0) * total as f64;
        let mut below = 0.0;
        for (i, &count) in self.counts.iter().enumerate().filter(|(_, c)| **c > 0) {
            let through = below + count as f64;
            if rank <= through {
                let Some(&upper) = self.bounds.get(i) else {
                    return Some(last);
                };
                let lower = if i == 0 { upper.min(0.0) } else { self.bounds[i - 1] };
                return Some(lower + (upper - lower) * (rank - below) / count as f64);
            }
            below = through;
        }
        (total > 0).then_some(last)
    }

    /// The observations since `before`, a moment of the same cumulative histogram.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let same = self.bounds == before.bounds;
        let went_down = || self.counts.iter().zip(&before.counts).any(|(now, then)| now < then);
        if !same || went_down() {
            return self.clone();
        }
        Self {
            bounds: self.bounds.clone(),
            counts: self.counts.iter().zip(&before.counts).map(|(a, b)| a - b).collect(),
            sum: self.sum.zip(before.sum).map(|(a, b)| a - b),
        }
    }

    /// What was observed in an interval, as values; `None` without an interval.
    #[must_use]
    pub fn summary(&self, interval_ms: u64) -> Option<Summary> {
        let total = self.total();
        Some(Summary {
            rate: delta_rate(total as f64, interval_ms)?,
            mean: self.sum.filter(|_| total > 0).map(|sum| sum / total as f64),
            p50: self.quantile(0.5),
            p99: self.quantile(0.99),
        })
    }
}

/// Turns a cumulative histogram into the summaries of its intervals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HistogramRate {
    before: Option<(i64, Buckets)>,
}

impl HistogramRate {
    /// The summary since the point before; `None` for the first and for a time that is not after the one before.
    pub fn observe(&mut self, at_ms: i64, now: Buckets) -> Option<Summary> {
        let Some((before_ms, before)) = &self.before else {
            self.before = Some((at_ms, now));
            return None;
        };
        if at_ms <= *before_ms {
            return None;
        }
        let summary = now.since(before).summary(at_ms.abs_diff(*before_ms));
        self.before = Some((at_ms, now));
        summary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(counts: [u64; 4], sum: f64) -> Buckets {
        Buckets::explicit(vec![1.0, 2.0, 4.0], counts.to_vec(), Some(sum)).unwrap()
    }

    #[test]
    fn intervals_are_differences_and_resets_are_seen() {
        let mut rate = HistogramRate::default();
        assert_eq!(rate.observe(0, buckets([10, 0, 0, 0], 5.0)), None);
        let got = rate.observe(10_000, buckets([10, 20, 0, 0], 35.0)).unwrap();
        assert_eq!((got.rate, got.mean), (2.0, Some(1.5)));
        assert_eq!((got.p50, got.p99), (Some(1.5), Some(1.99)));
        // A restart: the new counts are all there is.
        let got = rate.observe(20_000, buckets([0, 0, 10, 0], 30.0)).unwrap();
        assert_eq!((got.rate, got.mean, got.p50), (1.0, Some(3.0), Some(3.0)));
        assert_eq!(rate.observe(20_000, buckets([0, 0, 11, 0], 33.0)), None);
        // Nothing happened: a rate, and no quantiles.
        let got = rate.observe(30_000, buckets([0, 0, 10, 0], 30.0)).unwrap();
        assert_eq!((got.rate, got.mean, got.p50), (0.0, None, None));
    }

    #[test]
    fn quantiles_stay_inside_the_bounds() {
        assert_eq!(buckets([0, 0, 0, 5], 50.0).quantile(0.5), Some(4.0));
        assert_eq!(buckets([4, 0, 0, 0], 2.0).quantile(0.0), Some(0.0));
        assert_eq!(Buckets::explicit(vec![], vec![7], None).unwrap().quantile(0.5), None);
    }

    #[test]
    fn exponential_buckets_have_the_protocols_bounds() {
        // Scale 0: powers of two; offset 1: the first positive bucket is (2, 4].
        let b = Buckets::exponential(0, 1, 3, &[5, 2], None).unwrap();
        assert_eq!(b.bounds, [2.0, 4.0, 8.0]);
        assert_eq!(b.counts, [3, 5, 2, 0]);
        let fine = Buckets::exponential(1, 0, 0, &[1, 1], None).unwrap();
        assert!((fine.bounds[1] - 2_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn hostile_histograms_are_refused_by_name() {
        let refused =
            |bounds: &[f64], counts: usize| Buckets::explicit(bounds.to_vec(), vec![1; counts], None).unwrap_err();
        assert_eq!(refused(&[1.0, 1.0], 3), BucketsError::Bounds);
        assert_eq!(refused(&[f64::NAN], 2), BucketsError::Bounds);
        assert_eq!(refused(&[1.0], 5), BucketsError::Counts { bounds: 1, counts: 5 });
        assert_eq!(refused(&[1.0], 2_000), BucketsError::TooMany(2_000));
        assert!(Buckets::explicit(vec![1.0, f64::INFINITY], vec![1, 2], None).is_ok());
        assert_eq!(
            Buckets::exponential(99, 0, 0, &[1], None).unwrap_err(),
            BucketsError::Scale(99)
        );
        assert_eq!(
            Buckets::exponential(-10, i32::MAX, 0, &[1], None).unwrap_err(),
            BucketsError::Bounds
        );
        let full = Buckets::explicit(vec![1.0], vec![u64::MAX, u64::MAX], Some(f64::NAN)).unwrap();
        assert_eq!((full.total(), full.summary(1_000).unwrap().mean), (u64::MAX, None));
    }
}
