//! Times in which nothing is said: of each day, and once.

use prunella_core::detect;
use prunella_core::id::ServiceName;
use serde::{Deserialize, Serialize};

use crate::calendar::{date, days};

const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;

/// A time of each day, UTC: `22:30-01:00`. It may go over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Daily {
    from_min: u16,
    until_min: u16,
}

/// A time that comes once, UTC, as ISO 8601 writes intervals: `2026-03-01T22:00/2026-03-02T01:30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Once {
    from_min: i64,
    until_min: i64,
}

/// `[[maintenance.of]]`: as `[maintenance]`, of one service alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfService {
    /// The service, run here or observed.
    pub service: String,
    /// Times of each day.
    #[serde(default)]
    pub daily: Vec<Daily>,
    /// Times that come once.
    #[serde(default)]
    pub once: Vec<Once>,
}

/// When nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Maintenance {
    /// Times of each day.
    pub daily: Vec<Daily>,
    /// Times that come once.
    pub once: Vec<Once>,
    /// Times of one service.
    pub of: Vec<OfService>,
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

/// Minutes since the epoch of `2026-03-01T22:00`, with `Z` or without.
fn minute(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, time) = text.strip_suffix('Z').unwrap_or(text).split_once('T')?;
    let mut parts = date.split('-');
    let mut next = |len: usize| parts.next().filter(|part| part.len() == len)?.parse::<i64>().ok();
    let (year, month, day) = (next(4)?, next(2)?, next(2)?);
    let last = [
        31,
        if is_leap(year) { 29 } else { 28 },
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let index = usize::try_from(month - 1).ok()?;
    let valid = parts.next().is_none() && year >= 1970 && (1..=*last.get(index)?).contains(&day);
    let minutes = i64::from(minutes(time).filter(|_| time.len() == 5)?);
    valid.then(|| days(year, month, day) * 1_440 + minutes)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

impl Once {
    /// From and until a minute since the epoch; `None` if the first is not before the second.
    #[must_use]
    pub fn between(from_min: i64, until_min: i64) -> Option<Self> {
        (from_min < until_min).then_some(Self { from_min, until_min })
    }
}

impl TryFrom<String> for Once {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parsed = text
            .split_once('/')
            .and_then(|(from, until)| Self::between(minute(from)?, minute(until)?));
        parsed.ok_or_else(|| {
            format!("`{text}` is no time such as \"2026-03-01T22:00/2026-03-02T01:30\" (UTC, the later one last)")
        })
    }
}

impl From<Once> for String {
    fn from(once: Once) -> Self {
        let at = |min: i64| {
            let (year, month, day) = date(min.div_euclid(1_440));
            let of_day = min.rem_euclid(1_440);
            format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}", of_day / 60, of_day % 60)
        };
        format!("{}/{}", at(once.from_min), at(once.until_min))
    }
}

impl Maintenance {
    /// The windows around this moment.
    #[must_use]
    pub fn windows(&self, now_ms: i64) -> Vec<detect::Maintenance> {
        let of = self.of.iter().flat_map(|of| {
            // The configuration was checked: a name that is none would be no window of any service.
            let service = ServiceName::parse(of.service.clone()).ok();
            service.map(|service| windows(&of.daily, &of.once, Some(&service), now_ms))
        });
        let all = windows(&self.daily, &self.once, None, now_ms);
        all.into_iter().chain(of.flatten()).collect()
    }
}

/// What cannot be right, by key.
pub(super) fn check(maintenance: &Maintenance) -> Result<(), (&'static str, String)> {
    for of in &maintenance.of {
        ServiceName::parse(of.service.clone())
            .map_err(|e| ("maintenance.of", format!("has a wrong `service`: {e}")))?;
        if of.daily.is_empty() && of.once.is_empty() {
            let what = format!("of `{}` says no time: give `daily` or `once`", of.service);
            return Err(("maintenance.of", what));
        }
    }
    Ok(())
}

fn windows(daily: &[Daily], once: &[Once], service: Option<&ServiceName>, now_ms: i64) -> Vec<detect::Maintenance> {
    let midnight = now_ms.div_euclid(DAY_MS) * DAY_MS;
    let window = |from_ms, until_ms, name: String| detect::Maintenance {
        service: service.cloned(),
        from_ms,
        until_ms,
        name: format!("{name} UTC, by prunella.toml"),
    };
    let of_day = |day: i64, daily: &Daily| {
        let at = |min: u16| midnight + day * DAY_MS + i64::from(min) * MINUTE_MS;
        let over_midnight = if daily.until_min < daily.from_min { DAY_MS } else { 0 };
        window(
            at(daily.from_min),
            at(daily.until_min) + over_midnight,
            format!("{} of each day", String::from(*daily)),
        )
    };
    // The window of yesterday may go on.
    let of_days = [-1, 0].into_iter();
    let of_days = of_days.flat_map(|day| daily.iter().map(move |daily| of_day(day, daily)));
    let at_once = once.iter().map(|once| {
        let (from, until) = (once.from_min * MINUTE_MS, once.until_min * MINUTE_MS);
        window(from, until, String::from(*once))
    });
    of_days.chain(at_once).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_may_go_over_midnight() {
        let daily = Daily::try_from("22:30-01:00".to_owned()).unwrap();
        assert_eq!(String::from(daily), "22:30-01:00");
        let maintenance = Maintenance {
            daily: vec![daily],
            ..Maintenance::default()
        };
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

    #[test]
    fn a_time_comes_once_and_of_one_service() {
        let once = Once::try_from("2026-02-28T23:59Z/2026-03-01T00:01".to_owned()).unwrap();
        let of = OfService {
            service: "stock".into(),
            daily: Vec::new(),
            once: vec![once],
        };
        let maintenance = Maintenance {
            of: vec![of],
            ..Maintenance::default()
        };
        check(&maintenance).unwrap();
        let all = maintenance.windows(0);
        // 2026-02-28T23:59:00Z, and two minutes later.
        assert_eq!(
            (all[0].from_ms, all[0].until_ms),
            (1_772_323_140_000, 1_772_323_260_000)
        );
        assert_eq!(all[0].service.as_ref().map(ServiceName::as_str), Some("stock"));
        assert_eq!(all[0].name, "2026-02-28T23:59/2026-03-01T00:01 UTC, by prunella.toml");
        for bad in [
            "",
            "2026-03-01T22:00",
            "2026-03-01T22:00/2026-03-01T22:00",
            "2026-03-02T22:00/2026-03-01T22:00",
            "2026-02-29T22:00/2026-03-01T22:00",
            "2026-13-01T22:00/2027-03-01T22:00",
            "2026-3-01T22:00/2027-03-01T22:00",
            "2026-03-01T2:00/2027-03-01T22:00",
            "2026-03-01-01T02:00/2027-03-01T22:00",
            "2026-00-01T02:00/2027-03-01T22:00",
        ] {
            assert!(Once::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        let nothing = OfService {
            service: "stock".into(),
            daily: Vec::new(),
            once: Vec::new(),
        };
        let maintenance = Maintenance {
            of: vec![nothing],
            ..Maintenance::default()
        };
        assert!(check(&maintenance).is_err());
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_what_is_read(from in 0_i64..200_000_000, len in 1_i64..100_000, text in "\\PC{0,40}") {
            let once = Once { from_min: from, until_min: from + len };
            proptest::prop_assert_eq!(Once::try_from(String::from(once)), Ok(once));
            let _ = Once::try_from(text);
        }
    }
}
