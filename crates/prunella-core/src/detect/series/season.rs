//! What is usual at this hour: a profile of the day and one of the week, learned online.
//!
//! *Method*: a mean for each hour of the day and for each hour of the week (UTC), forgetting exponentially by *visits*
//! of the hour, so that one configuration serves points every second and every hour. The hour of the week is shrunk
//! towards the hour of the day while it has been visited little (empirical Bayes), and the hour of the day falls back to
//! the level. Steps are clipped, so that one incident does not become next week's expectation.
//!
//! *Source*: seasonal naive and Holt–Winters' seasonal means (Hyndman & Athanasopoulos, *Forecasting*, ch. 8), Huber's
//! clipped influence (1964).

use serde::{Deserialize, Serialize};

const HOURS: usize = 24;
const WEEK: usize = 7 * HOURS;
const HOUR_MS: i64 = 3_600_000;
/// Weight of a whole visit once the hour is known: of the day, of the week.
const DAY_RATE: f64 = 0.1;
const WEEK_RATE: f64 = 0.3;
/// Visits that the hour of the day counts for in the hour of the week.
const SHRINK: f64 = 0.5;
/// Visits are counted in this fraction.
const VISIT: f64 = 1.0 / 4096.0;

/// Both profiles. About 1.2 kB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub(super) struct Season {
    day: [Slot; HOURS],
    week: [Slot; WEEK],
}

/// The mean of one hour, relative to the series' anchor, and how often it was visited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Slot(f32, u16);

#[derive(Serialize, Deserialize)]
struct Stored {
    day: Vec<Slot>,
    week: Vec<Slot>,
}

/// A stored profile that cannot be one.
#[derive(Debug, thiserror::Error)]
#[error("a stored season has 24 hours of the day and 168 of the week, all finite")]
struct NotASeason;

/// Which hour a point is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hour {
    of_day: usize,
    of_week: usize,
}

impl Hour {
    pub(super) fn at(at_ms: i64) -> Self {
        let hours = at_ms.div_euclid(HOUR_MS);
        let index = |n: usize| usize::try_from(hours.rem_euclid(n as i64)).expect("a remainder is not negative");
        Self {
            of_day: index(HOURS),
            of_week: index(WEEK),
        }
    }
}

impl Slot {
    fn visits(self) -> f64 {
        f64::from(self.1) * VISIT
    }

    /// Learns a value that is a share `visit` of a visit; `clip` bounds the step.
    fn learn(&mut self, value: f64, visit: f64, rate: f64, clip: f64) {
        let fresh = self.1 == 0;
        self.1 = self.1.saturating_add((visit / VISIT).clamp(1.0, 4096.0) as u16);
        if fresh {
            self.0 = value as f32;
            return;
        }
        let weight = (visit / self.visits()).max(rate * visit).min(1.0);
        let step = (value - f64::from(self.0)).clamp(-clip, clip);
        self.0 += (weight * step) as f32;
    }
}

impl Season {
    pub(super) fn new() -> Self {
        Self {
            day: [Slot::default(); HOURS],
            week: [Slot::default(); WEEK],
        }
    }

    /// What to expect in this hour; `level` where the hour is unknown.
    pub(super) fn expected(&self, hour: Hour, level: f64) -> f64 {
        let (day, week) = (self.day[hour.of_day], self.week[hour.of_week]);
        let of_day = if day.1 > 0 { f64::from(day.0) } else { level };
        let visits = week.visits();
        (visits * f64::from(week.0) + SHRINK * of_day) / (visits + SHRINK)
    }

    /// Learns a value; `visit` is the share of an hour that it stands for.
    pub(super) fn learn(&mut self, hour: Hour, value: f64, visit: f64, clip: f64) {
        self.day[hour.of_day].learn(value, visit, DAY_RATE, clip);
        self.week[hour.of_week].learn(value, visit, WEEK_RATE, clip);
    }

    /// Moves every known hour by as much: the level has changed and the shape has not.
    pub(super) fn shift(&mut self, by: f64) {
        for slot in self.day.iter_mut().chain(&mut self.week).filter(|s| s.1 > 0) {
            slot.0 = (f64::from(slot.0) + by) as f32;
        }
    }
}

impl From<Season> for Stored {
    fn from(season: Season) -> Self {
        Self {
            day: season.day.to_vec(),
            week: season.week.to_vec(),
        }
    }
}

impl TryFrom<Stored> for Season {
    type Error = NotASeason;
    fn try_from(stored: Stored) -> Result<Self, NotASeason> {
        let finite = stored.day.iter().chain(&stored.week).all(|s| s.0.is_finite());
        let day = stored.day.try_into().map_err(|_| NotASeason)?;
        let week = stored.week.try_into().map_err(|_| NotASeason)?;
        finite.then_some(Self { day, week }).ok_or(NotASeason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three weeks of points: `step_ms` apart, high in the office hours of working days.
    fn office(step_ms: i64) -> Season {
        let mut season = Season::new();
        for i in 0..21 * 24 * HOUR_MS / step_ms {
            let at = i * step_ms;
            season.learn(Hour::at(at), load(at), step_ms as f64 / HOUR_MS as f64, f64::INFINITY);
        }
        season
    }

    fn load(at_ms: i64) -> f64 {
        let (day, hour) = (at_ms / HOUR_MS / 24 % 7, at_ms / HOUR_MS % 24);
        if day < 5 && (8..18).contains(&hour) {
            100.0
        } else {
            10.0
        }
    }

    #[test]
    fn days_and_weeks_are_learned_at_any_cadence() {
        for step_ms in [10_000, 300_000, HOUR_MS] {
            let season = office(step_ms);
            for hour in 0..7 * 24 {
                let at = hour * HOUR_MS;
                let expected = season.expected(Hour::at(at), 0.0);
                assert!((expected - load(at)).abs() < 15.0, "{step_ms} {hour}: {expected}");
            }
        }
    }

    #[test]
    fn unknown_hours_fall_back_to_the_day_and_then_to_the_level() {
        let mut season = Season::new();
        assert!((season.expected(Hour::at(0), 7.0) - 7.0).abs() < 1e-9);
        season.learn(Hour::at(0), 50.0, 1.0, f64::INFINITY);
        let tomorrow = 24 * HOUR_MS;
        assert!((season.expected(Hour::at(tomorrow), 7.0) - 50.0).abs() < 1e-9);
        assert!((season.expected(Hour::at(-tomorrow), 7.0) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn a_shift_moves_what_is_known() {
        let mut season = office(HOUR_MS);
        season.shift(5.0);
        assert!((season.expected(Hour::at(0), 0.0) - 15.0).abs() < 1.0);
    }

    #[test]
    fn stored_profiles_are_checked() {
        let season = office(HOUR_MS);
        let text = serde_json::to_string(&season).unwrap();
        assert_eq!(serde_json::from_str::<Season>(&text).unwrap(), season);
        assert!(serde_json::from_str::<Season>(r#"{"day":[],"week":[]}"#).is_err());
        assert!(serde_json::from_str::<Season>(&text.replacen("10.0", "1e39", 1)).is_err());
    }
}
