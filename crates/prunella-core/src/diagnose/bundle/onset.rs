//! When a series changed, how much, and which way.
//!
//! *Signals*: metric series.
//! *Method*: the split that explains most of the series' squared deviation; the part before it is the baseline, with
//! the median and the median absolute deviation as its centre and width, which a ramp's beginning does not move. The
//! onset is then walked back to the first point from which the smoothed series stays outside of the baseline's band:
//! a slow ramp is dated by its beginning, not by its middle.
//! *Source*: binary segmentation (Scott, Knott 1974); the median absolute deviation (Hampel 1974).

use super::model::Series;

/// Points of a series needed before anything is said.
const LEAST: usize = 8;
/// Deviations that count as a change.
const CLEAR: f64 = 6.0;
/// Relative change below which nothing has happened, however quiet the series was.
const RELATIVE: f64 = 0.15;

/// A change of one series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shift {
    /// When it began, milliseconds since 1970.
    pub(super) at_ms: i64,
    /// The median before.
    pub(super) before: f64,
    /// The typical extreme after.
    pub(super) after: f64,
    /// The change in robust standard deviations of the time before; positive when it rose.
    pub(super) z: f64,
}

impl Shift {
    /// How many times the value before; capped at 1000, also where there was nothing before.
    pub(super) fn ratio(&self) -> f64 {
        if self.before.abs() < 1e-9 {
            1000.0
        } else {
            (self.after / self.before).clamp(-1000.0, 1000.0)
        }
    }

    pub(super) fn rises(&self) -> bool {
        self.z > 0.0
    }
}

/// The change of a series, if there is a clear one.
pub(super) fn shift(series: &Series) -> Option<Shift> {
    let values: Vec<f64> = series.points.iter().map(|point| point.1).collect();
    if values.len() < LEAST {
        return None;
    }
    let split = split(&values);
    let (centre, width) = spread(&values[..split]);
    let smooth = |at: usize| median(&values[at.saturating_sub(1)..(at + 2).min(values.len())]);
    let rises = median(&values[split..]) > centre;
    let after = quantile(&values[split..], if rises { 0.75 } else { 0.25 });
    let band = (3.0 * width).max(0.05 * centre.abs());
    let outside = |at: usize| {
        if rises {
            smooth(at) > centre + band
        } else {
            smooth(at) < centre - band
        }
    };
    let mut onset = (split..values.len()).find(|at| outside(*at))?;
    while onset > 0 && outside(onset - 1) {
        onset -= 1;
    }
    let shift = Shift {
        at_ms: series.points[onset].0,
        before: centre,
        after,
        z: (after - centre) / width,
    };
    let change = (after - centre).abs() / centre.abs().max(after.abs()).max(1e-12);
    (shift.z.abs() >= CLEAR && change >= RELATIVE).then_some(shift)
}

/// The index that splits the series into the two parts with the least squared deviation; at least four before it.
fn split(values: &[f64]) -> usize {
    let total: f64 = values.iter().sum();
    let n = values.len() as f64;
    let (mut sum, mut best) = (0.0, (f64::MIN, 4));
    for (at, value) in values.iter().enumerate() {
        if at >= 4 && at + 2 <= values.len() {
            let (left, right) = (sum / at as f64, (total - sum) / (n - at as f64));
            let gain = at as f64 * (n - at as f64) / n * (left - right).powi(2);
            if gain > best.0 {
                best = (gain, at);
            }
        }
        sum += value;
    }
    best.1
}

/// Median and robust standard deviation, which is never zero.
pub(super) fn spread(values: &[f64]) -> (f64, f64) {
    let centre = median(values);
    let deviations: Vec<f64> = values.iter().map(|value| (value - centre).abs()).collect();
    let width = 1.4826 * median(&deviations);
    // A series that never moved says nothing of its noise: assume a hundredth of its level.
    (centre, width.max(0.01 * centre.abs()).max(1e-6))
}

pub(super) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = q * sorted.len().saturating_sub(1) as f64;
    match (sorted.get(at.floor() as usize), sorted.get(at.ceil() as usize)) {
        (Some(low), Some(high)) => low + (high - low) * at.fract(),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: impl IntoIterator<Item = f64>) -> Series {
        let points = values
            .into_iter()
            .enumerate()
            .map(|(at, value)| (at as i64, value))
            .collect();
        Series {
            subject: String::new(),
            metric: String::new(),
            points,
        }
    }

    fn noise(at: usize) -> f64 {
        [0.0, 0.6, -0.4, 0.2, -0.7, 0.5, -0.1][at % 7]
    }

    #[test]
    fn a_step_is_dated_by_its_first_point() {
        let found = shift(&series((0..60).map(|at| noise(at) + if at < 40 { 10.0 } else { 30.0 }))).unwrap();
        assert!((39..=41).contains(&found.at_ms), "{found:?}");
        assert!(found.rises() && (2.5..3.5).contains(&found.ratio()), "{found:?}");
    }

    #[test]
    fn a_ramp_is_dated_by_its_beginning() {
        let ramp = |at: usize| noise(at) + 100.0 - 2.0 * (at as f64 - 40.0).max(0.0);
        let found = shift(&series((0..70).map(ramp))).unwrap();
        assert!((41..=46).contains(&found.at_ms), "{found:?}");
        assert!(!found.rises());
    }

    #[test]
    fn noise_and_short_series_have_no_change() {
        assert_eq!(shift(&series((0..60).map(|at| 10.0 + noise(at)))), None);
        assert_eq!(shift(&series([1.0, 9.0, 9.0])), None);
        assert_eq!(shift(&series([0.0; 30])), None);
    }

    #[test]
    fn the_first_events_after_silence_are_a_change() {
        let found = shift(&series((0..30).map(|at| if at < 20 { 0.0 } else { 5.0 }))).unwrap();
        assert_eq!(found.at_ms, 20);
        assert!((found.ratio() - 1000.0).abs() < 1e-9);
    }
}
