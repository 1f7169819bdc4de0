//! When each request is due. Open loop: a slow answer delays no later request.

use std::time::Duration;

/// Requests at an even rate, the first one at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    rate: u32,
}

const NANOS: u128 = 1_000_000_000;

impl Schedule {
    /// At this many requests a second; at least one.
    pub(super) fn per_second(rate: u32) -> Self {
        Self { rate: rate.max(1) }
    }

    /// When request `number`, counted from zero, is due, from the beginning. Computed from the beginning each time, so
    /// that roundings do not add up.
    pub(super) fn due(self, number: u64) -> Duration {
        let nanos = u128::from(number) * NANOS / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rate: u32, number: u64, micros: u64) {
        let due = Schedule::per_second(rate).due(number);
        assert_eq!(due.as_micros(), u128::from(micros), "{number} at {rate}/s");
    }

    #[test]
    fn requests_are_due_at_absolute_times() {
        check(200, 0, 0);
        check(200, 1, 5_000);
        check(200, 200, 1_000_000);
        check(200, 36_000, 180_000_000);
        check(3, 1, 333_333);
        check(3, 3, 1_000_000);
        check(0, 2, 2_000_000);
    }

    #[test]
    fn roundings_do_not_add_up() {
        // A thirtieth of a second has no finite form, and a day later the request is due to the nanosecond all the same.
        let day = 24 * 3600;
        assert_eq!(Schedule::per_second(30).due(30 * day), Duration::from_secs(day));
    }

    #[test]
    fn the_rate_is_what_was_asked_for_in_every_second() {
        let schedule = Schedule::per_second(200);
        for second in 0..100 {
            let within = (0..30_000).filter(|n| schedule.due(*n).as_secs() == second).count();
            assert_eq!(within, 200);
        }
    }
}
