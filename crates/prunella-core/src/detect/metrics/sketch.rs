//! The distribution of one interval, from histograms of any bounds.
//!
//! *Method*: eight logarithmic bins to an octave. The counts of a bucket are spread evenly over the values that it
//! covers, which is the assumption of linear interpolation; so explicit and exponential histograms, of any bounds and
//! scale, of any number of instances, add up. Quantiles err by at most a bin (9 %) beside what the buckets lost already.
//!
//! *Source*: Masson, Rim & Lee, "DDSketch", VLDB 2019; OpenTelemetry metrics data model for the buckets' bounds.

/// Bins to an octave, octaves, and the exponent of the lowest bound.
const PER_OCTAVE: i32 = 8;
const OCTAVES: i32 = 60;
const LOWEST: i32 = -30;
const BINS: usize = (PER_OCTAVE * OCTAVES) as usize;
/// The ratio of a bin's bounds: 2^(1/8).
const STEP: f64 = 1.090_507_732_665_257_7;
/// The most bins that a bucket is spread over.
const SPREAD: usize = 4 * PER_OCTAVE as usize;

/// Counts by value; what is not positive lies in the lowest bin.
#[derive(Clone, Debug)]
pub(super) struct Sketch {
    bins: [f32; BINS],
    total: f64,
}

impl Default for Sketch {
    fn default() -> Self {
        Self {
            bins: [0.0; BINS],
            total: 0.0,
        }
    }
}

fn bin_of(value: f64) -> usize {
    if value <= 0.0 || value.is_nan() {
        return 0;
    }
    let place = (value.log2() - f64::from(LOWEST)) * f64::from(PER_OCTAVE);
    place.clamp(0.0, (BINS - 1) as f64) as usize
}

fn lower_bound(bin: usize) -> f64 {
    (bin as f64 / f64::from(PER_OCTAVE) + f64::from(LOWEST)).exp2()
}

impl Sketch {
    /// `count` observations between `low` and `high`; without an upper bound they are at the lower one.
    pub(super) fn add(&mut self, low: f64, high: f64, count: f64) {
        if count.is_nan() || count <= 0.0 {
            return;
        }
        self.total += count;
        let (first, last) = (bin_of(low), bin_of(high));
        if !high.is_finite() || !low.is_finite() || first >= last {
            let at = if high.is_finite() { last } else { first };
            self.bins[at] += count as f32;
            return;
        }
        let low = low.max(0.0);
        // Of an even spread from 0, fifteen sixteenths lie in the upper four octaves: the rest goes into their first bin.
        let first = first.max(last.saturating_sub(SPREAD));
        let density = count / (high - low);
        let (mut begin, mut end) = (low, lower_bound(first + 1));
        for bin in &mut self.bins[first..=last] {
            *bin += (density * (end.min(high) - begin).max(0.0)) as f32;
            (begin, end) = (end, end * STEP);
        }
    }

    /// How many.
    pub(super) fn total(&self) -> f64 {
        self.total
    }

    /// Quantile `q`; `None` without observations.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        let sum: f64 = self.bins.iter().map(|&c| f64::from(c)).sum();
        let rank = q * sum;
        let mut below = 0.0;
        for (bin, &count) in self.bins.iter().enumerate().filter(|(_, c)| **c > 0.0) {
            let count = f64::from(count);
            if below + count >= rank {
                let (low, high) = (lower_bound(bin), lower_bound(bin + 1));
                return Some(if bin == 0 {
                    0.0
                } else {
                    low + (high - low) * (rank - below) / count
                });
            }
            below += count;
        }
        None
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_linear_interpolation() {
        let mut sketch = Sketch::default();
        for (low, high, count) in [(0.0, 0.1, 50.0), (0.1, 0.5, 40.0), (0.5, 1.0, 10.0)] {
            sketch.add(low, high, count);
        }
        for (q, exact) in [(0.25, 0.05), (0.7, 0.3), (0.95, 0.75)] {
            let got = sketch.quantile(q).unwrap();
            assert!((got / exact - 1.0).abs() < 0.1, "{q}: {got} {exact}");
        }
    }

    #[test]
    fn hostile_bounds_and_counts() {
        let mut sketch = Sketch::default();
        assert_eq!(sketch.quantile(0.5), None);
        sketch.add(f64::NAN, f64::NAN, 1.0);
        sketch.add(f64::NEG_INFINITY, -5.0, 1.0);
        sketch.add(10.0, f64::INFINITY, 2.0);
        sketch.add(5.0, 1.0, 1.0);
        sketch.add(1e300, 1e308, 1.0);
        sketch.add(0.0, 1.0, f64::NAN);
        sketch.add(0.0, 1.0, -3.0);
        assert!((sketch.total() - 6.0).abs() < 1e-9);
        assert!(sketch.quantile(0.99).unwrap().is_finite());
    }
}
