//! Times for people. Absolute times are in UTC: the ledger is read on other machines than it was written on.

use crate::calendar::date;

const DAY_MS: i64 = 86_400_000;

/// `2026-03-01 10:00:00Z` from milliseconds since the epoch.
#[must_use]
pub fn utc(at_ms: i64) -> String {
    let (year, month, day) = date(at_ms.div_euclid(DAY_MS));
    format!("{year:04}-{month:02}-{day:02} {}Z", time_of_day(at_ms))
}

fn time_of_day(at_ms: i64) -> String {
    let seconds = at_ms.rem_euclid(DAY_MS) / 1000;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `10:00:00.250Z` from milliseconds since the epoch.
#[must_use]
pub fn clock_time(at_ms: i64) -> String {
    format!("{}.{:03}Z", time_of_day(at_ms), at_ms.rem_euclid(1000))
}

/// `0.250 s`, `12.3 s`, `3 min 20 s`, `2 h 5 min` from seconds.
#[must_use]
pub fn seconds(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match seconds {
        s if s < 10.0 => format!("{s:.3} s"),
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_over_leap_days_and_before_the_epoch() {
        for (ms, text) in [
            (0, "1970-01-01 00:00:00Z"),
            (-1, "1969-12-31 23:59:59Z"),
            (951_782_400_000, "2000-02-29 00:00:00Z"),
            (1_772_323_199_999, "2026-02-28 23:59:59Z"),
            (1_772_323_200_000, "2026-03-01 00:00:00Z"),
            (4_107_542_400_000, "2100-03-01 00:00:00Z"),
        ] {
            assert_eq!(utc(ms), text);
        }
        assert_eq!(clock_time(1_772_323_200_042), "00:00:00.042Z");
        // No instant of the ledger makes it panic.
        assert!(utc(i64::MAX).ends_with('Z') && utc(i64::MIN).ends_with('Z'));
    }

    #[test]
    fn durations_get_coarser() {
        for (s, text) in [
            (0.0, "0.000 s"),
            (9.87654, "9.877 s"),
            (41.04, "41.0 s"),
            (200.4, "3 min 20 s"),
            (7500.0, "2 h 5 min"),
        ] {
            assert_eq!(seconds(s), text);
        }
    }
}
