//! Points in time, as telemetry writes them.
//!
//! *Source*: RFC 3339 section 5.6; days from a civil date after Hinnant, "chrono-compatible low-level date algorithms".

use serde_json::Value;

/// Milliseconds since 1970 of an RFC 3339 text (`T` or a blank between; without an offset it is UTC) or of a number of
/// seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by magnitude. `None` for anything else.
pub(super) fn parse(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => epoch(number.as_f64()?),
        Value::String(text) => parse_text(text),
        _ => None,
    }
}

/// As [`parse`], of a text.
pub(super) fn parse_text(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.len() > 64 {
        return None;
    }
    rfc3339(text).or_else(|| epoch(text.parse::<f64>().ok()?))
}

fn epoch(number: f64) -> Option<i64> {
    let milliseconds = match number {
        n if !n.is_finite() || n <= 0.0 => return None,
        n if n < 1e11 => n * 1e3,
        n if n < 1e14 => n,
        n if n < 1e17 => n / 1e3,
        n => n / 1e6,
    };
    (milliseconds < 1e14).then_some(milliseconds as i64)
}

fn rfc3339(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = bytes.get(from..to)?;
        let valid = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        valid.then(|| digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
    };
    let is = |at: usize, any: &[u8]| bytes.get(at).is_some_and(|byte| any.contains(byte));
    if !(is(4, b"-/") && is(7, b"-/") && is(10, b"Tt _") && is(13, b":")) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute) = (number(11, 13)?, number(14, 16)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 24 || minute > 59 {
        return None;
    }
    let (mut at, mut second, mut milliseconds) = (16, 0, 0);
    if is(16, b":") {
        (second, at) = (number(17, 19)?, 19);
        if is(19, b".,") {
            let digits = bytes[20..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let shown = digits.min(3);
            milliseconds = number(20, 20 + shown)? * 10_i64.pow(3 - shown as u32);
            at = 20 + digits;
        }
    }
    let offset = offset(bytes.get(at..)?)?;
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute - offset) * 60 + second.min(60);
    Some(seconds * 1000 + milliseconds)
}

/// Minutes east of UTC.
fn offset(rest: &[u8]) -> Option<i64> {
    match rest {
        [] | [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), digits @ ..] => {
            let digits: Vec<i64> = digits
                .iter()
                .filter(|byte| **byte != b':')
                .map(|byte| byte.is_ascii_digit().then(|| i64::from(byte - b'0')))
                .collect::<Option<_>>()?;
            let minutes = match digits[..] {
                [a, b] => (a * 10 + b) * 60,
                [a, b, c, d] => (a * 10 + b) * 60 + c * 10 + d,
                _ => return None,
            };
            Some(if *sign == b'-' { -minutes } else { minutes })
        }
        _ => None,
    }
}

fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(parse_text(text), expected, "{text}");
    }

    #[test]
    fn reads_what_telemetry_writes() {
        check("1970-01-01T00:00:00Z", Some(0));
        check("2026-07-11T13:46:00Z", Some(1_783_777_560_000));
        check("2026-07-11 13:46:00", Some(1_783_777_560_000));
        check("2026-07-11T15:46:00.250+02:00", Some(1_783_777_560_250));
        check("2026-07-11T13:46Z", Some(1_783_777_560_000));
        check("1783777560", Some(1_783_777_560_000));
        check("1783777560000", Some(1_783_777_560_000));
        check("1783777560000000000", Some(1_783_777_560_000));
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "yesterday",
            "2026-13-01T00:00:00Z",
            "2026-07-11T13:46:00+2",
            "-5",
            "NaN",
            "2026-07-11",
        ] {
            check(text, None);
        }
    }
}
