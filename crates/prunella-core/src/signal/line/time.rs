//! The times that log lines begin with.
//!
//! *Source.* RFC 3339, RFC 3164 (syslog), Apache's common and error log formats, glog, log4j's and Python's defaults, the
//! forms of Hadoop and Spark. A form that does not name its zone is taken as UTC.

const NS: u64 = 1_000_000_000;
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Reads from left to right; each step says whether it fits.
#[derive(Clone, Copy)]
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    /// Exactly `count` digits.
    fn digits(&mut self, count: usize) -> Option<i64> {
        let digits = self.rest().get(..count)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.at += count;
        Some(
            digits
                .iter()
                .fold(0, |value, digit| value * 10 + i64::from(digit - b'0')),
        )
    }

    /// One or two digits, possibly after a blank.
    fn day(&mut self) -> Option<i64> {
        let _ = self.one(b" ");
        self.digits(2).or_else(|| self.digits(1))
    }

    fn one(&mut self, of: &[u8]) -> Option<u8> {
        let byte = *self.rest().first()?;
        of.contains(&byte).then(|| {
            self.at += 1;
            byte
        })
    }

    fn month(&mut self) -> Option<i64> {
        let name = self.rest().get(..3)?;
        let at = MONTHS.iter().position(|m| m.as_bytes().eq_ignore_ascii_case(name))?;
        self.at += 3;
        i64::try_from(at + 1).ok()
    }

    /// `HH:MM:SS`, possibly with a fraction: seconds of the day and ns.
    fn clock(&mut self) -> Option<(i64, u64)> {
        let hour = self.digits(2)?;
        self.one(b":")?;
        let minute = self.digits(2)?;
        self.one(b":")?;
        let second = self.digits(2)?;
        (hour < 24 && minute < 60 && second <= 60).then(|| (hour * 3600 + minute * 60 + second, self.fraction()))
    }

    fn fraction(&mut self) -> u64 {
        let rest = self.rest();
        if !matches!(rest, [b'.' | b',', digit, ..] if digit.is_ascii_digit()) {
            return 0;
        }
        let digits = rest[1..].iter().take_while(|b| b.is_ascii_digit());
        let (mut value, mut count) = (0, 0);
        for digit in digits {
            if count < 9 {
                value = value * 10 + u64::from(digit - b'0');
            }
            count += 1;
        }
        self.at += 1 + count;
        value * 10_u64.pow(9 - u32::try_from(count.min(9)).expect("at most nine"))
    }

    /// `Z`, `+02:00`, `-0700`, ` UTC`: seconds east. Nothing is 0.
    fn zone(&mut self) -> i64 {
        let before = *self;
        let _ = self.one(b" ");
        if self.one(b"Zz").is_some() {
            return 0;
        }
        for name in [&b"UTC"[..], b"GMT"] {
            if self.rest().starts_with(name) {
                self.at += 3;
                return 0;
            }
        }
        let zone = || {
            let sign = if self.one(b"+-")? == b'-' { -1 } else { 1 };
            let hours = self.digits(2)?;
            let _ = self.one(b":");
            let minutes = self.digits(2)?;
            (hours <= 15 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
        };
        let mut zone = zone;
        zone().unwrap_or_else(|| {
            *self = before;
            0
        })
    }
}

/// Days since the epoch of a date of the Gregorian calendar (H. Hinnant, `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1970..=2200).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

fn at(days: i64, seconds: i64, zone: i64, ns: u64) -> Option<u64> {
    let seconds = u64::try_from(days * 86_400 + seconds - zone).ok()?;
    seconds.checked_mul(NS)?.checked_add(ns)
}

/// Seconds, milliseconds, microseconds or nanoseconds since the epoch, told by their size; ns since the epoch. Only times
/// from 2001 on are taken for one.
#[must_use]
pub fn epoch(number: f64) -> Option<u64> {
    let scale = [(1e9, 1e9), (1e12, 1e6), (1e15, 1e3), (1e18, 1.0)];
    let (_, scale) = scale
        .into_iter()
        .find(|(least, _)| (*least..*least * 10.0).contains(&number))?;
    Some((number * scale) as u64)
}

/// As [`epoch`], for whole numbers, which are taken to the last digit.
#[must_use]
pub fn epoch_whole(number: i64) -> Option<u64> {
    let digits = number.checked_ilog10()? + 1;
    let scale = [10, 13, 16, 19].contains(&digits).then(|| 10_u64.pow(19 - digits))?;
    u64::try_from(number).ok()?.checked_mul(scale)
}

/// The time at the beginning of a text in ns since the epoch, and where it ends. `year` is that of forms without one.
#[must_use]
pub fn leading(text: &str, year: i64) -> Option<(u64, usize)> {
    let start = Scan {
        text: text.as_bytes(),
        at: text.len() - text.trim_start_matches(['[', ' ', '\t', '"']).len(),
    };
    let forms: [fn(&mut Scan<'_>, i64) -> Option<u64>; 8] =
        [iso, syslog, weekday, apache, compact, short, glog, number];
    forms.iter().find_map(|form| {
        let mut scan = start;
        let time = form(&mut scan, year)?;
        let ends = !scan.rest().first().is_some_and(u8::is_ascii_alphanumeric);
        ends.then_some((time, scan.at))
    })
}

/// The time in brackets somewhere in a line, as in Apache's and nginx's access logs.
pub(super) fn bracketed(text: &str) -> Option<u64> {
    let at = text.bytes().take(256).position(|b| b == b'[')?;
    let mut scan = Scan {
        text: text.as_bytes(),
        at: at + 1,
    };
    apache(&mut scan, 0)
}

/// `2024-01-02T03:04:05.678Z`, also with `/` or a blank.
fn iso(scan: &mut Scan<'_>, _: i64) -> Option<u64> {
    let year = scan.digits(4)?;
    let separator = scan.one(b"-/.")?;
    let month = scan.digits(2)?;
    scan.one(&[separator])?;
    let day = days(year, month, scan.digits(2)?)?;
    scan.one(b"T t_-")?;
    let (seconds, ns) = scan.clock()?;
    at(day, seconds, scan.zone(), ns)
}

/// `Jan  2 03:04:05`
fn syslog(scan: &mut Scan<'_>, year: i64) -> Option<u64> {
    let month = scan.month()?;
    scan.one(b" ")?;
    let day = days(year, month, scan.day()?)?;
    scan.one(b" ")?;
    let (seconds, ns) = scan.clock()?;
    at(day, seconds, 0, ns)
}

/// `Sun Dec 04 04:47:44.123 2005`
fn weekday(scan: &mut Scan<'_>, _: i64) -> Option<u64> {
    let name = scan.rest().get(..3)?;
    if !name.iter().all(u8::is_ascii_alphabetic) {
        return None;
    }
    scan.at += 3;
    scan.one(b" ")?;
    let month = scan.month()?;
    scan.one(b" ")?;
    let day = scan.day()?;
    scan.one(b" ")?;
    let (seconds, ns) = scan.clock()?;
    scan.one(b" ")?;
    at(days(scan.digits(4)?, month, day)?, seconds, 0, ns)
}

/// `10/Oct/2000:13:55:36 -0700`
fn apache(scan: &mut Scan<'_>, _: i64) -> Option<u64> {
    let day = scan.digits(2)?;
    scan.one(b"/-")?;
    let month = scan.month()?;
    scan.one(b"/-")?;
    let day = days(scan.digits(4)?, month, day)?;
    scan.one(b": ")?;
    let (seconds, ns) = scan.clock()?;
    at(day, seconds, scan.zone(), ns)
}

/// `081109 203615` or `17/06/09 20:10:40`
fn short(scan: &mut Scan<'_>, _: i64) -> Option<u64> {
    let year = 2000 + scan.digits(2)?;
    let slash = scan.one(b"/").is_some();
    let month = scan.digits(2)?;
    if slash {
        scan.one(b"/")?;
    }
    let day = days(year, month, scan.digits(2)?)?;
    scan.one(b" ")?;
    if slash {
        let (seconds, ns) = scan.clock()?;
        return at(day, seconds, 0, ns);
    }
    let (hour, minute, second) = (scan.digits(2)?, scan.digits(2)?, scan.digits(2)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    at(day, hour * 3600 + minute * 60 + second, 0, 0)
}

/// `20171223-22:15:29:606`
fn compact(scan: &mut Scan<'_>, _: i64) -> Option<u64> {
    let (year, month) = (scan.digits(4)?, scan.digits(2)?);
    let day = days(year, month, scan.digits(2)?)?;
    scan.one(b"-T _")?;
    let (seconds, mut ns) = scan.clock()?;
    if scan.one(b":").is_some() {
        let digits = scan.rest().iter().take_while(|b| b.is_ascii_digit()).count();
        ns = u64::try_from(scan.digits(digits.min(3))?).ok()? * 1_000_000;
    }
    at(day, seconds, scan.zone(), ns)
}

/// `I0102 03:04:05.678901`: only the time is read, for the letter is the level.
fn glog(scan: &mut Scan<'_>, year: i64) -> Option<u64> {
    scan.one(b"IWEFD")?;
    let month = scan.digits(2)?;
    let day = days(year, month, scan.digits(2)?)?;
    scan.one(b" ")?;
    let (seconds, ns) = scan.clock()?;
    at(day, seconds, 0, ns)
}

/// `1117838570`, `1117838570.123`, `1117838570123`, possibly after `- `.
fn number(scan: &mut Scan<'_>, _: i64) -> Option<u64> {
    if scan.rest().starts_with(b"- ") {
        scan.at += 2;
    }
    let count = scan.rest().iter().take_while(|b| b.is_ascii_digit()).count();
    if ![10, 13, 16, 19].contains(&count) {
        return None;
    }
    let whole = u64::try_from(scan.digits(count)?).ok()?;
    let ns = if count == 10 { scan.fraction() } else { 0 };
    let scale = 10_u64.pow(u32::try_from(19 - count).ok()?);
    whole
        .checked_mul(scale)?
        .checked_add(ns)
        .filter(|time| *time >= NS * NS)
}
