//! Times of the day in which nothing is said.

use prunella_core::detect;
use serde::{Deserialize, Serialize};

const DAY_MS: i64 = 86_400_000;

/// A time of each day, UTC: `22:30-01:00`. It may go over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Daily {
    from_min: u16,
    until_min: u16,
}

/// When nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Maintenance {
    /// Times of each day.
    pub daily: Vec<Daily>,
}

fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

impl TryFrom<String> for Daily {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parsed = text.split_once('-').and_then(|(from, until)| {
            Some(Self {
                from_min: minutes(from)?,
                until_min: minutes(until)?,
            })
        });
        parsed
            .filter(|daily| daily.from_min != daily.until_min)
            .ok_or_else(|| format!("`{text}` is no time of the day such as \"22:30-01:00\" (UTC)"))
    }
}

impl From<Daily> for String {
    fn from(d: Daily) -> Self {
        let clock = |min: u16| format!("{:02}:{:02}", min / 60, min % 60);
        format!("{}-{}", clock(d.from_min), clock(d.until_min))
    }
}

impl Maintenance {
    /// The windows around this moment.
    #[must_use]
    pub fn windows(&self, now_ms: i64) -> Vec<detect::Maintenance> {
        let midnight = now_ms.div_euclid(DAY_MS) * DAY_MS;
        let window = |day: i64, daily: &Daily| {
            let at = |min: u16| midnight + day * DAY_MS + i64::from(min) * 60_000;
            let over_midnight = if daily.until_min < daily.from_min { DAY_MS } else { 0 };
            detect::Maintenance {
                service: None,
                from_ms: at(daily.from_min),
                until_ms: at(daily.until_min) + over_midnight,
            }
        };
        let days = [-1, 0];
        days.iter()
            .flat_map(|day| self.daily.iter().map(move |daily| window(*day, daily)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_may_go_over_midnight() {
        let daily = Daily::try_from("22:30-01:00".to_owned()).unwrap();
        assert_eq!(String::from(daily), "22:30-01:00");
        let maintenance = Maintenance { daily: vec![daily] };
        let within = |hour: i64| {
            let now = 20_000 * DAY_MS + hour * 3_600_000;
            let windows = maintenance.windows(now);
            windows.iter().any(|w| (w.from_ms..w.until_ms).contains(&now))
        };
        assert_eq!(
            [within(0), within(1), within(12), within(22), within(23)],
            [true, false, false, false, true]
        );
        for bad in ["", "22", "22:30", "24:00-01:00", "1:60-2:00", "01:00-01:00"] {
            assert!(Daily::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
