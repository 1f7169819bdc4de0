//! A latency histogram of one fixed bucket scheme, so that any two can be added and compared.
//!
//! Method: log-linear buckets as in HdrHistogram, eight to an octave, all in integers. Values 0–7 µs have a bucket each;
//! above, bucket `8 + 8·o + s` holds `(8+s)·2^o ..= (9+s)·2^o − 1` µs. A bound is at most 12.5 % above any value in its
//! bucket. The last bucket ends at 2^31 − 1 µs (36 min) and takes everything longer.

use serde::{Deserialize, Serialize};

/// How many buckets there are.
pub const BUCKETS: usize = 8 + 8 * 28;

/// Counts of durations in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u16, u64)>", into = "Vec<(u16, u64)>")]
pub struct LatencyHistogram {
    /// Counts by bucket; trailing empty buckets are not stored.
    counts: Vec<u64>,
}

/// A stored histogram with a bucket that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("latency bucket {0} does not exist: there are {BUCKETS}")]
pub struct NoSuchBucket(u16);

impl LatencyHistogram {
    /// The bucket of a duration in microseconds.
    #[must_use]
    pub fn bucket_of(micros: u64) -> usize {
        if micros < 8 {
            return usize::try_from(micros).expect("less than eight");
        }
        let octave = 60 - micros.leading_zeros() as usize;
        let sub = usize::try_from((micros >> octave) & 7).expect("three bits");
        (8 + 8 * octave + sub).min(BUCKETS - 1)
    }

    /// The longest duration, in microseconds, that bucket `index` holds; the last one holds longer ones too.
    #[must_use]
    pub fn upper_bound(index: usize) -> u64 {
        let index = index.min(BUCKETS - 1);
        if index < 8 {
            return index as u64;
        }
        let (octave, sub) = ((index - 8) / 8, (index - 8) % 8);
        ((9 + sub as u64) << octave) - 1
    }

    /// Counts one duration.
    pub fn record(&mut self, micros: u64) {
        self.record_many(micros, 1);
    }

    /// Counts `count` equal durations: how another scheme's bucket comes in, by its upper bound.
    pub fn record_many(&mut self, micros: u64, count: u64) {
        self.add(Self::bucket_of(micros), count);
    }

    /// Counts `count` durations in bucket `index`; an index past the last means the last.
    pub fn add(&mut self, index: usize, count: u64) {
        let index = index.min(BUCKETS - 1);
        if count == 0 {
            return;
        }
        if self.counts.len() <= index {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] = self.counts[index].saturating_add(count);
    }

    /// Adds another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (index, &count) in other.counts.iter().enumerate() {
            self.add(index, count);
        }
    }

    /// Halves every count, rounding down: how old samples fade.
    pub fn halve(&mut self) {
        for count in &mut self.counts {
            *count /= 2;
        }
        while self.counts.last() == Some(&0) {
            self.counts.pop();
        }
    }

    /// How many durations were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// How many lie in buckets above bucket `index`.
    #[must_use]
    pub fn above(&self, index: usize) -> u64 {
        self.counts
            .iter()
            .skip(index + 1)
            .fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// The bucket that holds quantile `q` (0 to 1, nearest rank), or `None` if nothing was counted.
    #[must_use]
    pub fn quantile_bucket(&self, q: f64) -> Option<usize> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let rank = ((q.clamp(0.0, 1.0) * total as f64).ceil() as u64).max(1);
        let mut seen = 0_u64;
        for (index, &count) in self.counts.iter().enumerate() {
            seen = seen.saturating_add(count);
            if seen >= rank {
                return Some(index);
            }
        }
        Some(self.counts.len() - 1)
    }

    /// Quantile `q` in microseconds, as the upper bound of its bucket.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        self.quantile_bucket(q).map(Self::upper_bound)
    }
}

impl TryFrom<Vec<(u16, u64)>> for LatencyHistogram {
    type Error = NoSuchBucket;
    fn try_from(pairs: Vec<(u16, u64)>) -> Result<Self, NoSuchBucket> {
        let mut histogram = Self::default();
        for (index, count) in pairs {
            if usize::from(index) >= BUCKETS {
                return Err(NoSuchBucket(index));
            }
            histogram.add(usize::from(index), count);
        }
        Ok(histogram)
    }
}

impl From<LatencyHistogram> for Vec<(u16, u64)> {
    fn from(histogram: LatencyHistogram) -> Self {
        let pairs = histogram.counts.into_iter().enumerate().filter(|&(_, count)| count > 0);
        pairs
            .map(|(index, count)| (u16::try_from(index).expect("fewer than 65,536 buckets"), count))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_tile_the_line_and_stay_narrow() {
        let mut next = 0_u64;
        for index in 0..BUCKETS {
            let upper = LatencyHistogram::upper_bound(index);
            assert!(upper >= next, "bucket {index} is empty");
            assert_eq!(LatencyHistogram::bucket_of(next), index);
            assert_eq!(LatencyHistogram::bucket_of(upper), index);
            assert!(
                (upper - next) as f64 <= 0.125 * next.max(1) as f64,
                "bucket {index} is too wide"
            );
            next = upper + 1;
        }
        assert_eq!(next, 1 << 31);
        assert_eq!(LatencyHistogram::bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_and_tails() {
        let mut histogram = LatencyHistogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for micros in 1..=1000 {
            histogram.record(micros);
        }
        for (q, exact) in [(0.0, 1), (0.5, 500), (0.95, 950), (1.0, 1000)] {
            let got = histogram.quantile(q).unwrap();
            assert!(got >= exact && got as f64 <= exact as f64 * 1.125, "{q}: {got}");
        }
        assert_eq!(histogram.above(LatencyHistogram::bucket_of(959)), 41);
        assert_eq!(histogram.above(BUCKETS), 0);
    }

    #[test]
    fn stored_form_is_checked() {
        let mut histogram = LatencyHistogram::default();
        histogram.record(3);
        histogram.record(70_000);
        let text = serde_json::to_string(&histogram).unwrap();
        assert_eq!(serde_json::from_str::<LatencyHistogram>(&text).unwrap(), histogram);
        assert!(serde_json::from_str::<LatencyHistogram>("[[9999,1]]").is_err());
    }

    #[test]
    fn halving_fades_and_trims() {
        let mut histogram = LatencyHistogram::default();
        histogram.add(4, 5);
        histogram.add(200, 1);
        histogram.halve();
        assert_eq!((histogram.total(), histogram.quantile_bucket(1.0)), (2, Some(4)));
    }
}
