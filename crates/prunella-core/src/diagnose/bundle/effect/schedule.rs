//! When jobs run.
//!
//! *Method*: the five fields of a cron expression, as runs a day; more runs are a shorter interval.
//! *Source*: POSIX `crontab`.

use super::super::diff::{Hunk, Line};
use super::super::lexis::Token;
use super::{Effect, Finding};

pub(super) fn read(hunk: &Hunk, found: &mut Vec<Finding>) {
    for (old, new) in hunk.replaced() {
        let (Some(before), Some(after)) = (cron(old), cron(new)) else {
            continue;
        };
        let factor = (after.1 / before.1).max(before.1 / after.1);
        let told = format!(
            "runs a job {} times a day instead of {}",
            after.1.round(),
            before.1.round()
        );
        if factor > 1.5 {
            let risk = (factor.ln() / 6.0_f64.ln()).clamp(0.3, 1.0);
            let (effect, weight) = if after.1 > before.1 {
                (Effect::IntervalLowered, 0.9)
            } else {
                (Effect::IntervalRaised, 0.5)
            };
            found.push(Finding::new(effect, weight * risk, told));
        } else if before.0 != after.0 {
            found.push(Finding::new(
                Effect::IntervalLowered,
                0.4,
                format!("moves a job to another time: `{}`", after.0),
            ));
        }
    }
}

/// A cron expression on a line, and its runs a day.
fn cron(line: &Line) -> Option<(String, f64)> {
    let quoted = line.tokens.iter().filter_map(|token| match token {
        Token::Text(text) => Some(text.as_str()),
        _ => None,
    });
    let bare = line.text.split_once(':').map(|(_, rest)| rest);
    quoted
        .chain(bare)
        .find_map(|text| runs_a_day(text).map(|runs| (text.trim().to_owned(), runs)))
}

fn runs_a_day(text: &str) -> Option<f64> {
    let fields: Vec<&str> = text.trim().trim_matches(['"', '\'']).split_whitespace().collect();
    // Six fields begin with seconds.
    let fields = match fields.len() {
        5 => &fields[..],
        6 => &fields[1..],
        _ => return None,
    };
    let share = |field: &str, of: f64| times(field, of).map(|times| times / of);
    let days = share(fields[2], 31.0)?.min(share(fields[4], 7.0)?) * share(fields[3], 12.0)?;
    Some(times(fields[0], 60.0)? * times(fields[1], 24.0)? * days)
}

/// A number, or the name of a month or a day.
fn is_value(text: &str) -> bool {
    let name = text.len() == 3 && text.chars().all(char::is_alphabetic);
    name || !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

/// How many values of a field's range fit.
fn times(field: &str, of: f64) -> Option<f64> {
    let one = |part: &str| -> Option<f64> {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        let step: f64 = step.parse().ok().filter(|step| *step >= 1.0)?;
        let values = match (range, range.split_once('-')) {
            ("*" | "?", _) => of,
            (_, Some((from, to))) => to.parse::<f64>().ok()? - from.parse::<f64>().ok()? + 1.0,
            (value, None) if is_value(value) => 1.0,
            _ => return None,
        };
        Some((values / step).ceil().clamp(1.0, of))
    };
    field.split(',').map(one).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<f64>) {
        assert_eq!(
            runs_a_day(text).map(|runs| (runs * 100.0).round() / 100.0),
            expected,
            "{text}"
        );
    }

    #[test]
    fn runs_a_day_of_cron_expressions() {
        check("0 2 * * *", Some(1.0));
        check("* 3 * * *", Some(60.0));
        check("*/5 * * * *", Some(288.0));
        check("0 9-17 * * 1-5", Some(6.43));
        check("0 0 2 * * ?", Some(1.0));
        check("stock is taken at three", None);
        check("1 2", None);
    }
}
