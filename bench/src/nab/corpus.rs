//! The data set's files: `data/<group>/<file>.csv` with `timestamp,value`, and `labels/combined_windows.json`.

use crate::report::BenchError;
use crate::{Options, data};
use std::collections::BTreeMap;
use std::path::Path;

/// One labelled series.
pub(super) struct Series {
    /// `<group>/<file>.csv`.
    pub(super) name: String,
    pub(super) group: String,
    pub(super) at_ms: Vec<i64>,
    pub(super) values: Vec<f64>,
    /// First and last index of each window.
    pub(super) windows: Vec<(usize, usize)>,
}

/// Every labelled series, sorted by name.
pub(super) fn load(options: &Options) -> Result<Vec<Series>, BenchError> {
    let root = data::root(options, "nab");
    let labels = data::text(&root.join("labels/combined_windows.json"))?;
    let labels: BTreeMap<String, Vec<(String, String)>> =
        serde_json::from_str(&labels).map_err(|e| BenchError::Unexpected(format!("combined_windows.json: {e}")))?;
    let mut all = Vec::new();
    for group in &data::folders(&root.join("data"))? {
        let files = data::files(group)?;
        for file in files.iter().filter(|p| p.extension().is_some_and(|e| e == "csv")) {
            let last = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let (group, name) = (last(group), format!("{}/{}", last(group), last(file)));
            let windows = labels
                .get(&name)
                .ok_or_else(|| BenchError::Unexpected(format!("{name} has no entry in combined_windows.json")))?;
            all.push(parse(name, group, &data::text(file)?, windows)?);
        }
    }
    if all.is_empty() {
        return Err(BenchError::Unexpected(format!("{}: no series", root.display())));
    }
    Ok(all)
}

fn parse(name: String, group: String, text: &str, labels: &[(String, String)]) -> Result<Series, BenchError> {
    let bad = |what: &str| BenchError::Unexpected(format!("{name}: {what}"));
    let (mut at_ms, mut values, mut index) = (Vec::new(), Vec::new(), BTreeMap::new());
    for line in text.lines().skip(1).filter(|l| !l.is_empty()) {
        let (time, value) = line.split_once(',').ok_or_else(|| bad("a line without a comma"))?;
        let at = parse_time(time).ok_or_else(|| bad(time))?;
        index.entry(at).or_insert(values.len());
        at_ms.push(at);
        values.push(value.trim().parse().map_err(|_| bad(value))?);
    }
    let find = |time: &String| {
        parse_time(time)
            .and_then(|at| index.get(&at).copied())
            .ok_or_else(|| bad(time))
    };
    let windows = labels
        .iter()
        .map(|(first, last)| Ok((find(first)?, find(last)?)))
        .collect::<Result<_, BenchError>>()?;
    Ok(Series {
        group,
        at_ms,
        values,
        windows,
        name,
    })
}

/// `2014-04-10 07:15:00` with or without a fraction, as UTC, in ms since the epoch.
fn parse_time(text: &str) -> Option<i64> {
    let (date, time) = text.trim().split_once(' ')?;
    let numbers = |text: &str, separator| {
        text.split(separator)
            .map(|n| n.parse::<i64>().ok())
            .collect::<Option<Vec<_>>>()
    };
    let date = numbers(date, '-')?;
    let time = numbers(time.split('.').next()?, ':')?;
    let (&[year, month, day], &[hour, minute, second]) = (date.as_slice(), time.as_slice()) else {
        return None;
    };
    Some((days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000)
}

/// Days since 1970-01-01 in the Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        assert_eq!(parse_time("1970-01-01 00:00:00"), Some(0));
        assert_eq!(parse_time("2014-04-10 07:15:00.000000"), Some(1_397_114_100_000));
        assert_eq!(parse_time("2014-02-29"), None);
    }

    #[test]
    fn windows_are_found_by_time() {
        let text = "timestamp,value\n2014-01-01 00:00:00,1\n2014-01-01 00:05:00,2.5\n2014-01-01 00:10:00,3\n";
        let label = (
            "2014-01-01 00:05:00.000000".to_owned(),
            "2014-01-01 00:10:00.000000".to_owned(),
        );
        let series = parse("g/f.csv".into(), "g".into(), text, std::slice::from_ref(&label)).unwrap();
        assert_eq!((series.values.len(), series.windows), (3, vec![(1, 2)]));
        let late = [(label.0, "2015-01-01 00:00:00".to_owned())];
        assert!(parse("g/f.csv".into(), "g".into(), text, &late).is_err());
    }
}
