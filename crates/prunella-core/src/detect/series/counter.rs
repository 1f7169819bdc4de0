//! A counter is its rate: how it becomes a series.
//!
//! *Method*: the increase since the point before over the time between, per second. A counter that went down, or whose
//! start time moved on, was reset; what it shows then is the increase since the reset, at least as much as is known.
//!
//! *Source*: OpenTelemetry metrics data model, "Resets and gaps" and sums; Prometheus' `rate` for resets without a start time.

use serde::{Deserialize, Serialize};

/// Turns a monotonic cumulative counter into its rate per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CounterRate {
    before: Option<Point>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    at_ms: i64,
    started_ms: Option<i64>,
    value: f64,
}

impl CounterRate {
    /// The rate since the point before, per second. `started_ms` is the counter's start time where the protocol has one.
    ///
    /// `None` for the first point, for a time that is not after the one before (such a point is not learned), and for a
    /// value that is negative or not finite.
    pub fn observe(&mut self, at_ms: i64, started_ms: Option<i64>, value: f64) -> Option<f64> {
        if !value.is_finite() || value < 0.0 {
            return None;
        }
        let point = Point {
            at_ms,
            started_ms,
            value,
        };
        let Some(before) = self.before else {
            self.before = Some(point);
            return None;
        };
        if at_ms <= before.at_ms {
            return None;
        }
        self.before = Some(point);
        let increase = if was_reset(&before, &point) {
            value
        } else {
            value - before.value
        };
        per_second(increase, at_ms.abs_diff(before.at_ms))
    }
}

fn was_reset(before: &Point, now: &Point) -> bool {
    let restarted = matches!((before.started_ms, now.started_ms), (Some(a), Some(b)) if b > a);
    restarted || now.value < before.value
}

/// The rate of a delta counter: what happened in `interval_ms`, per second.
///
/// `None` without an interval, or for a delta that is negative or not finite.
#[must_use]
pub fn delta_rate(delta: f64, interval_ms: u64) -> Option<f64> {
    (delta.is_finite() && delta >= 0.0)
        .then(|| per_second(delta, interval_ms))
        .flatten()
}

fn per_second(increase: f64, interval_ms: u64) -> Option<f64> {
    (interval_ms > 0).then(|| increase / (interval_ms as f64 / 1_000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(points: &[(i64, Option<i64>, f64)], expected: &[Option<f64>]) {
        let mut rate = CounterRate::default();
        let got: Vec<_> = points
            .iter()
            .map(|&(at, start, v)| rate.observe(at, start, v))
            .collect();
        assert_eq!(got, expected, "{points:?}");
    }

    #[test]
    fn rates_are_per_second() {
        check(
            &[(0, None, 10.0), (10_000, None, 30.0), (20_000, None, 30.0)],
            &[None, Some(2.0), Some(0.0)],
        );
    }

    #[test]
    fn resets_are_seen_by_the_value_or_by_the_start_time() {
        check(
            &[(0, None, 100.0), (1_000, None, 5.0), (2_000, None, 9.0)],
            &[None, Some(5.0), Some(4.0)],
        );
        // Grown past its old value within one interval: only the start time tells.
        check(&[(0, Some(0), 100.0), (1_000, Some(500), 120.0)], &[None, Some(120.0)]);
        check(&[(0, Some(0), 100.0), (1_000, Some(0), 120.0)], &[None, Some(20.0)]);
    }

    #[test]
    fn what_is_no_count_or_comes_too_late_is_left_out() {
        check(
            &[
                (5_000, None, 1.0),
                (5_000, None, 9.0),
                (4_000, None, 9.0),
                (6_000, None, f64::NAN),
                (6_000, None, -1.0),
                (i64::MAX, None, f64::INFINITY),
                (7_000, None, 3.0),
            ],
            &[None, None, None, None, None, None, Some(1.0)],
        );
        check(&[(i64::MIN, None, 0.0), (i64::MAX, None, 0.0)], &[None, Some(0.0)]);
    }

    #[test]
    fn deltas() {
        assert_eq!(delta_rate(30.0, 10_000), Some(3.0));
        assert_eq!(delta_rate(30.0, 0), None);
        assert_eq!(delta_rate(-1.0, 1_000), None);
        assert_eq!(delta_rate(f64::NAN, 1_000), None);
    }
}
