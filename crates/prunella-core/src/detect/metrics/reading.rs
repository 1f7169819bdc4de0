//! A point is a reading: a level, or an increase over a time.
//!
//! *Method*: a gauge is its level, and so is a sum that may fall. A counter is its increase since the point before, a
//! histogram or summary the increase of its count and sum. A cumulative stream that went down, or whose start moved on,
//! was reset: what it shows then is the increase since. A first point that says since when it counts is an increase too:
//! counters of failures often begin to exist with the first failure.
//!
//! *Source*: OpenTelemetry metrics data model, "Resets and gaps", "Sums"; Prometheus' `rate` for streams without a start.

use super::cells::Cell;
use crate::signal::telemetry::{PointValue, PointView, Temporality};

/// A time this far back means that a clock was set, not that a point is late, ms.
const SET_BACK_MS: i64 = 300_000;
/// The longest time that a first point's increase may cover, ms.
const FIRST_COVERS_MS: i64 = 600_000;
/// Weight of a gap in the usual time between two points.
const CADENCE_WEIGHT: f64 = 0.1;

/// What one point tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reading {
    /// A level.
    Level(f64),
    /// So much more of it, in so many seconds; `sum` of the values where it counts observations.
    Increase {
        /// How many.
        count: f64,
        /// Their sum.
        sum: f64,
        /// In this time, s.
        seconds: f64,
        /// Whether the point's counts are the increase themselves.
        whole: bool,
    },
}

/// Why a point tells nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nothing {
    /// The first of its stream, or the first after the clock was set: there is nothing to compare it with.
    First,
    /// It is not newer than the one before.
    Late,
    /// It is no number, infinite, or a count that is negative.
    NoNumber,
    /// The sender says that there is no value.
    Absent,
}

/// Reads a point with what its series' cell remembers, and remembers it there.
pub(super) fn read(cell: &mut Cell, point: &PointView<'_>) -> Result<Reading, Nothing> {
    let at_ms = milliseconds(point.time_ns);
    let start_ms = milliseconds(point.start_ns);
    let Some((kind, count, sum)) = amounts(point.value) else {
        cell.absent = matches!(point.value, PointValue::Absent);
        return Err(if cell.absent {
            Nothing::Absent
        } else {
            Nothing::NoNumber
        });
    };
    let since = step(cell, at_ms)?;
    let before = Before {
        start_ms: cell.start_ms,
        count: cell.count,
        sum: cell.sum,
    };
    (cell.at_ms, cell.start_ms, cell.count, cell.sum) = (at_ms, start_ms, count, sum);
    match kind {
        Kind::Level => Ok(Reading::Level(count)),
        Kind::Delta => delta(since, at_ms - start_ms, start_ms > 0, count, sum),
        Kind::Cumulative => cumulative(&before, since, at_ms - start_ms, start_ms, (count, sum)),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Level,
    Delta,
    Cumulative,
}

struct Before {
    start_ms: i64,
    count: f64,
    sum: f64,
}

fn milliseconds(ns: u64) -> i64 {
    i64::try_from(ns / 1_000_000).expect("a 64-bit number over a million")
}

/// What is counted or measured, and the sum of what was observed; `None` for what is no number.
fn amounts(value: PointValue<'_>) -> Option<(Kind, f64, f64)> {
    let of = |temporality| match temporality {
        Temporality::Delta => Kind::Delta,
        Temporality::Cumulative => Kind::Cumulative,
    };
    let (kind, count, sum) = match value {
        PointValue::Gauge(value) => (Kind::Level, value, 0.0),
        PointValue::Sum {
            value,
            monotonic: false,
            temporality: Temporality::Cumulative,
        } => (Kind::Level, value, 0.0),
        PointValue::Sum { value, temporality, .. } => (of(temporality), value, 0.0),
        PointValue::Histogram {
            temporality,
            count,
            sum,
            ..
        }
        | PointValue::ExponentialHistogram {
            temporality,
            count,
            sum,
            ..
        } => (of(temporality), count as f64, sum.unwrap_or(0.0)),
        PointValue::Summary { count, sum, .. } => (Kind::Cumulative, count as f64, sum),
        PointValue::Absent => return None,
    };
    let counts = matches!(value, PointValue::Sum { monotonic: true, .. });
    let sound = count.is_finite() && sum.is_finite() && !(counts && count < 0.0);
    sound.then_some((kind, count, sum))
}

/// ms since the point before, if there is one to go by.
fn step(cell: &mut Cell, at_ms: i64) -> Result<Option<i64>, Nothing> {
    if cell.is_new() {
        return Ok(None);
    }
    let step = at_ms.saturating_sub(cell.at_ms);
    if step <= -SET_BACK_MS {
        return Ok(None);
    }
    if step <= 0 {
        return Err(Nothing::Late);
    }
    let step_ms = u32::try_from(step).unwrap_or(u32::MAX);
    let blended = f64::from(cell.cadence_ms) * (1.0 - CADENCE_WEIGHT) + f64::from(step_ms) * CADENCE_WEIGHT;
    cell.cadence_ms = if cell.cadence_ms == 0 { step_ms } else { blended as u32 };
    Ok(Some(step))
}

fn delta(since: Option<i64>, own: i64, has_start: bool, count: f64, sum: f64) -> Result<Reading, Nothing> {
    let covers = if has_start && own > 0 { Some(own) } else { since };
    let ms = covers.ok_or(Nothing::First)?;
    Ok(increase(count, sum, ms, true))
}

fn cumulative(
    before: &Before,
    since: Option<i64>,
    covers: i64,
    start_ms: i64,
    (count, sum): (f64, f64),
) -> Result<Reading, Nothing> {
    let has_start = start_ms > 0 && covers > 0;
    let Some(since) = since else {
        return if has_start && covers <= FIRST_COVERS_MS {
            Ok(increase(count, sum, covers, true))
        } else {
            Err(Nothing::First)
        };
    };
    let restarted = before.start_ms > 0 && start_ms > before.start_ms;
    if restarted || count < before.count {
        let ms = if has_start { covers.min(since) } else { since };
        return Ok(increase(count, sum, ms, true));
    }
    Ok(increase(count - before.count, sum - before.sum, since, false))
}

fn increase(count: f64, sum: f64, ms: i64, whole: bool) -> Reading {
    Reading::Increase {
        count,
        sum,
        seconds: ms.max(1) as f64 / 1_000.0,
        whole,
    }
}

#[cfg(test)]
mod tests {
    use super::super::cells::NONE;
    use super::*;

    fn check(points: &[(u64, u64, PointValue<'_>)], expected: &[Result<Reading, Nothing>]) {
        let mut cell = Cell::new(1, 0, NONE, false);
        let got: Vec<_> = points
            .iter()
            .map(|&(at_s, start_s, value)| {
                let point = PointView {
                    metric: "m",
                    unit: "",
                    scope: "",
                    time_ns: at_s * 1_000_000_000,
                    start_ns: start_s * 1_000_000_000,
                    value,
                    attributes: &[],
                };
                read(&mut cell, &point)
            })
            .collect();
        assert_eq!(got, expected);
    }

    fn sum(value: f64, monotonic: bool, temporality: Temporality) -> PointValue<'static> {
        PointValue::Sum {
            value,
            monotonic,
            temporality,
        }
    }

    fn more(count: f64, seconds: f64, whole: bool) -> Result<Reading, Nothing> {
        Ok(Reading::Increase {
            count,
            sum: 0.0,
            seconds,
            whole,
        })
    }

    #[test]
    fn counters_with_resets_gaps_and_clocks_that_are_set() {
        let counter = |v| sum(v, true, Temporality::Cumulative);
        check(
            &[
                (1_000, 0, counter(500.0)),
                (1_010, 0, counter(520.0)),
                (1_010, 0, counter(520.0)),
                (1_030, 0, counter(5.0)),
                (100, 0, counter(25.0)),
                (110, 0, counter(26.0)),
                (120, 0, counter(f64::NAN)),
                (120, 0, counter(-4.0)),
                (130, 0, PointValue::Absent),
                (130, 0, counter(28.0)),
            ],
            &[
                Err(Nothing::First),
                more(20.0, 10.0, false),
                Err(Nothing::Late),
                more(5.0, 20.0, true),
                Err(Nothing::First),
                more(1.0, 10.0, false),
                Err(Nothing::NoNumber),
                Err(Nothing::NoNumber),
                Err(Nothing::Absent),
                more(2.0, 20.0, false),
            ],
        );
    }

    #[test]
    fn start_times_are_believed() {
        let counter = |v| sum(v, true, Temporality::Cumulative);
        check(
            &[(1_060, 1_000, counter(3.0)), (1_120, 1_100, counter(4.0))],
            &[more(3.0, 60.0, true), more(4.0, 20.0, true)],
        );
        let delta = |v| sum(v, true, Temporality::Delta);
        check(
            &[(60, 0, delta(3.0)), (120, 0, delta(6.0)), (180, 150, delta(6.0))],
            &[Err(Nothing::First), more(6.0, 60.0, true), more(6.0, 30.0, true)],
        );
    }

    #[test]
    fn what_may_fall_is_a_level() {
        let up_and_down = |v| sum(v, false, Temporality::Cumulative);
        check(
            &[(1, 0, up_and_down(-3.0)), (2, 0, PointValue::Gauge(4.0))],
            &[Ok(Reading::Level(-3.0)), Ok(Reading::Level(4.0))],
        );
    }
}
