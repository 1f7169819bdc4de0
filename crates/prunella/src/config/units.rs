//! Durations and sizes as people write them: `250ms`, `10s`, `5m`, `1h`; `64KiB`, `512MiB`, `2GiB`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration in `prunella.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// From whole milliseconds.
    #[must_use]
    pub const fn ms(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// In milliseconds, as timestamps are.
    #[must_use]
    pub fn as_ms(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }
}

/// A size in bytes in `prunella.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const DURATIONS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
const SIZES: &[(&str, u64)] = &[
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("B", 1),
];

/// Splits `10s` into a number and the factor of its unit.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let (unit, factor) = units
        .iter()
        .filter(|(unit, _)| {
            text.strip_suffix(unit)
                .is_some_and(|n| n.trim_end().ends_with(|c: char| c.is_ascii_digit()))
        })
        .max_by_key(|(unit, _)| unit.len())?;
    let number = text.strip_suffix(unit)?.trim_end();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 6 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(*factor)?;
    let parts = fraction.parse::<u64>().unwrap_or(0).checked_mul(*factor)?;
    let scale = 10_u64.pow(u32::try_from(fraction.len()).ok()?);
    whole.checked_add(parts / scale)
}

fn render(value: u64, units: &[(&str, u64)]) -> String {
    let fits = units
        .iter()
        .filter(|(_, factor)| value.is_multiple_of(*factor))
        .max_by_key(|(_, factor)| *factor);
    match fits {
        Some((unit, factor)) if value > 0 => format!("{}{unit}", value / factor),
        _ => format!("0{}", units[0].0),
    }
}

impl std::str::FromStr for Span {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let ms = parse(text, DURATIONS);
        ms.map(Self::ms)
            .ok_or_else(|| format!("`{text}` is not a duration; write it like `250ms`, `10s`, `5m` or `1h`"))
    }
}

impl std::str::FromStr for Size {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        parse(text, SIZES)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a size; write it like `64KiB`, `512MiB` or `2GiB`"))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render(
            u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX),
            DURATIONS,
        ))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render(self.0, SIZES))
    }
}

macro_rules! as_text {
    ($type:ty) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

as_text!(Span);
as_text!(Size);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in [
            ("250ms", 250),
            ("10s", 10_000),
            ("1.5s", 1500),
            ("5m", 300_000),
            ("1 h", 3_600_000),
        ] {
            assert_eq!(text.parse::<Span>(), Ok(Span::ms(ms)), "{text}");
        }
        for text in [
            "",
            "s",
            "10",
            "-1s",
            "1e9s",
            "10 parsecs",
            "99999999999999999999s",
            "1.1234567s",
            "1.s2s",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_printed_is_read_back() {
        for ms in [0, 1, 250, 1000, 90_000, 3_600_000, 86_400_000] {
            assert_eq!(Span::ms(ms).to_string().parse::<Span>(), Ok(Span::ms(ms)));
        }
        for bytes in [0, 1, 1000, 1024, 1 << 30, 3 * (1 << 20)] {
            assert_eq!(Size(bytes).to_string().parse::<Size>(), Ok(Size(bytes)));
        }
    }
}
