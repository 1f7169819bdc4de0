//! What comes at the same hour again and again is how it is: the nightly batch, the backup, the morning's first customers.
//!
//! *Method*: for each thing that is claimed the times of its latest claims are kept, told or not, claims within two hours
//! counting as one. A claim *recurs* if there was one at this hour, give or take one, on two of the three days before, or
//! on two of the three same days of the week before. Whoever holds a recurring claim back goes on asking, so that a habit
//! lives as long as it is kept; what is worth a page is not to be asked about.
//!
//! *Source*: habituation to recurring alarms in ANSI/ISA-18.2 (no annunciation of what is expected in a known operating
//! state), with the state learned from the clock.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Claims within this time are one.
const ONE_MS: i64 = 2 * HOUR_MS;
/// How far from the same hour, and of how many days or weeks before how many must have it.
const NEAR_MS: i64 = HOUR_MS;
const BEFORE: i64 = 3;
const ENOUGH: usize = 2;
/// Claims of one thing that are kept, and things.
const MAX_TIMES: usize = 28;
const MAX_THINGS: usize = 512;

/// When what was claimed, ms since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Recurring(BTreeMap<u64, VecDeque<i64>>);

impl Recurring {
    /// Takes a claim about this thing, and says whether it recurs.
    pub(super) fn recurs(&mut self, thing: u64, now_ms: i64) -> bool {
        if self.0.len() >= MAX_THINGS && !self.0.contains_key(&thing) {
            self.make_room();
        }
        let times = self.0.entry(thing).or_default();
        let before = |period: i64| {
            let had = |n: &i64| times.iter().any(|at| (now_ms - at - n * period).abs() <= NEAR_MS);
            (1..=BEFORE).filter(had).count() >= ENOUGH
        };
        let recurs = before(DAY_MS) || before(7 * DAY_MS);
        if times.back().is_none_or(|last| now_ms.saturating_sub(*last) > ONE_MS) {
            if times.len() == MAX_TIMES {
                times.pop_front();
            }
            times.push_back(now_ms);
        }
        recurs
    }

    /// Forgets what was claimed the longest ago.
    fn make_room(&mut self) {
        let latest = |times: &VecDeque<i64>| times.back().copied().unwrap_or(i64::MIN);
        let oldest = self
            .0
            .iter()
            .min_by_key(|(_, times)| latest(times))
            .map(|(thing, _)| *thing);
        oldest.map(|thing| self.0.remove(&thing));
    }

    /// How much it keeps, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.0.values().map(|times| 64 + 8 * times.capacity()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_each_night_recurs_from_the_third_on_and_another_hour_does_not() {
        let mut seen = Recurring::default();
        for day in 0..10 {
            let night = day * DAY_MS + 2 * HOUR_MS + day % 3 * 600_000;
            assert_eq!(seen.recurs(1, night), day >= 2, "{day}");
            // The same event again, a little later.
            assert_eq!(seen.recurs(1, night + 600_000), day >= 2, "{day}");
        }
        assert!(!seen.recurs(1, 9 * DAY_MS + 14 * HOUR_MS));
        assert!(!seen.recurs(2, 10 * DAY_MS + 2 * HOUR_MS));
        // A night without it is forgiven, weeks without it are not.
        assert!(seen.recurs(1, 11 * DAY_MS + 2 * HOUR_MS));
        assert!(!seen.recurs(1, 30 * DAY_MS + 2 * HOUR_MS));
    }

    #[test]
    fn weeks_recur_and_room_is_bounded() {
        let mut seen = Recurring::default();
        let told = (0..5).map(|week| seen.recurs(7, week * 7 * DAY_MS)).collect::<Vec<_>>();
        assert_eq!(told, [false, false, true, true, true]);
        for thing in 0..3 * MAX_THINGS as u64 {
            seen.recurs(thing, 40 * DAY_MS + i64::try_from(thing).unwrap());
        }
        assert_eq!(seen.0.len(), MAX_THINGS);
        assert!(seen.bytes() < 200 * MAX_THINGS);
    }
}
