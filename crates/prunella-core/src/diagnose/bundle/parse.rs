//! From documents to a [`Bundle`]: lenient on names and unknown fields, bounded in everything.
//!
//! *Method*: a document is a list of objects (a JSON array, an object with one list in it, or one object a line) or,
//! for metrics, a table with a heading. Each field has a few usual names. What cannot be read, or is beyond a limit,
//! is named in [`Bundle::unread`]; nothing here fails.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::model::{Alert, Bundle, Commit, Deploy, FlagChange, LogLine, Note, Pattern, Series, Span};
use super::{notes, time};

/// Items of one document beyond this many are not read.
pub const MAX_ITEMS: usize = 200_000;
/// Characters of a text beyond this many are not read.
pub const MAX_TEXT: usize = 2_000;
/// Characters of a diff beyond this many are not read.
pub const MAX_DIFF: usize = 128 * 1024;
/// Series beyond this many are not read.
pub const MAX_SERIES: usize = 5_000;
/// Commits beyond this many, the newest first, are not read.
pub const MAX_COMMITS: usize = 20_000;
const MAX_ATTRIBUTES: usize = 24;
const MAX_FILES: usize = 500;

/// A document and what it holds. Texts are as stored; an empty text is a missing document.
#[derive(Clone, Copy, Debug, Default)]
pub struct Documents<'a> {
    /// One JSON object.
    pub alert: &'a str,
    /// One JSON object a line.
    pub logs: &'a str,
    /// JSON.
    pub patterns: &'a str,
    /// Comma-separated with a heading: time, service, metric, value; or JSON with these fields.
    pub metrics: &'a str,
    /// JSON.
    pub traces: &'a str,
    /// JSON.
    pub commits: &'a str,
    /// JSON.
    pub deploys: &'a str,
    /// JSON.
    pub flags: &'a str,
    /// Anything else, by name: JSON or text.
    pub other: &'a [(String, String)],
}

const TIME: &[&str] = &[
    "timestamp",
    "time",
    "ts",
    "@timestamp",
    "start",
    "start_time",
    "at",
    "date",
    "committed_at",
    "deployed_at",
    "fired_at",
];
const SERVICE: &[&str] = &[
    "service",
    "service.name",
    "service_name",
    "app",
    "component",
    "subject",
    "resource",
];
const TEXT: &[&str] = &[
    "msg",
    "message",
    "body",
    "text",
    "log",
    "signature",
    "pattern",
    "template",
];
const LEVEL: &[&str] = &["severity_text", "severity", "level", "loglevel", "log.level"];
const SHA: &[&str] = &["sha", "commit_sha", "commit", "id", "hash", "revision"];
/// Identifiers that differ in every record and say nothing of the cause.
const NOISE: &[&str] = &[
    "trace_id",
    "span_id",
    "parent_id",
    "traceid",
    "spanid",
    "trace.id",
    "span.id",
];

impl Bundle {
    /// Reads the documents. Never fails: what could not be read is named in [`Bundle::unread`].
    #[must_use]
    pub fn parse(documents: &Documents<'_>) -> Self {
        let mut unread = Vec::new();
        let mut read = |name: &str, text: &str| objects(name, text, &mut unread);
        let alert = read("alert", documents.alert).first().map(alert).unwrap_or_default();
        let logs = read("logs", documents.logs).iter().map(log).collect();
        let patterns = read("patterns", documents.patterns).iter().map(pattern).collect();
        let spans = read("traces", documents.traces).iter().map(span).collect();
        let commits: Vec<Commit> = read("commits", documents.commits).iter().map(commit).collect();
        let deploys = read("deploys", documents.deploys).iter().map(deploy).collect();
        let flags = read("flags", documents.flags).iter().map(flag).collect();
        let metrics = metrics(documents.metrics, &mut unread);
        let notes = notes::read(documents.other, &mut unread);
        let commits = newest(commits, &mut unread);
        Self {
            alert,
            logs,
            patterns,
            metrics,
            spans,
            commits,
            deploys,
            flags,
            notes,
            unread,
        }
    }
}

/// The newest commits up to the limit, in the order given.
fn newest(mut commits: Vec<Commit>, unread: &mut Vec<String>) -> Vec<Commit> {
    let long = commits
        .iter()
        .filter(|commit| commit.diff.as_ref().is_some_and(|diff| diff.len() >= MAX_DIFF))
        .count();
    if long > 0 {
        unread.push(format!("the ends of {long} diffs longer than {MAX_DIFF} characters"));
    }
    if commits.len() > MAX_COMMITS {
        unread.push(format!(
            "{} older commits beyond {MAX_COMMITS}",
            commits.len() - MAX_COMMITS
        ));
        let mut times: Vec<Option<i64>> = commits.iter().map(|commit| commit.at_ms).collect();
        times.sort_unstable();
        let oldest = times[times.len() - MAX_COMMITS];
        commits.retain(|commit| commit.at_ms >= oldest);
        commits.truncate(MAX_COMMITS);
    }
    commits
}

type Object = Map<String, Value>;

fn objects(name: &str, text: &str, unread: &mut Vec<String>) -> Vec<Object> {
    let text = text.trim();
    if text.is_empty() {
        return vec![];
    }
    let found = match serde_json::from_str::<Value>(text) {
        Ok(value) => list(value),
        Err(_) => text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .take(MAX_ITEMS + 1)
            .collect(),
    };
    if found.is_empty() && !matches!(text, "[]" | "{}") {
        unread.push(format!("{name}: no readable objects"));
    }
    cut(found, MAX_ITEMS, name, unread)
}

/// The objects of a value: of a list, of the one list that an object wraps, or the object itself.
fn list(value: Value) -> Vec<Object> {
    match value {
        Value::Array(items) => items
            .into_iter()
            .filter_map(|item| {
                if let Value::Object(object) = item {
                    Some(object)
                } else {
                    None
                }
            })
            .collect(),
        Value::Object(mut object) => {
            let lists: Vec<String> = object
                .iter()
                .filter(|(_, value)| is_objects(value))
                .map(|(key, _)| key.clone())
                .collect();
            match &lists[..] {
                [one] if object.len() <= 4 => list(object.remove(one).unwrap_or_default()),
                _ => vec![object],
            }
        }
        _ => vec![],
    }
}

fn is_objects(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|items| items.first().is_some_and(Value::is_object))
}

fn cut<T>(mut items: Vec<T>, limit: usize, name: &str, unread: &mut Vec<String>) -> Vec<T> {
    if items.len() > limit {
        items.truncate(limit);
        unread.push(format!("{name}: what comes after the first {limit}"));
    }
    items
}

/// At most `limit` characters.
pub(super) fn clip(text: &str, limit: usize) -> String {
    text.chars().take(limit).collect()
}

/// A scalar as a text.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(clip(text, MAX_TEXT)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        _ => None,
    }
}

fn field(object: &Object, names: &[&str]) -> String {
    names
        .iter()
        .find_map(|name| object.get(*name).and_then(scalar))
        .unwrap_or_default()
}

fn number(object: &Object, names: &[&str]) -> f64 {
    let value = field(object, names);
    value
        .trim_start_matches('+')
        .trim_end_matches('%')
        .parse()
        .ok()
        .filter(|n: &f64| n.is_finite())
        .unwrap_or(0.0)
}

fn at(object: &Object) -> Option<i64> {
    TIME.iter().find_map(|name| object.get(*name).and_then(time::parse))
}

/// Scalars that are not among the known names, and those of objects one level down.
fn attributes(object: &Object, known: &[&[&str]]) -> Vec<(String, String)> {
    let is_known = |key: &str| NOISE.contains(&key) || known.iter().any(|names| names.contains(&key));
    let mut found = Vec::new();
    for (key, value) in object.iter().filter(|(key, _)| !is_known(key)) {
        match value {
            Value::Object(inner) => found.extend(
                inner
                    .iter()
                    .filter(|(key, _)| !NOISE.contains(&key.as_str()))
                    .filter_map(|(key, value)| Some((clip(key, 100), scalar(value)?))),
            ),
            value => found.extend(scalar(value).map(|value| (clip(key, 100), value))),
        }
        if found.len() >= MAX_ATTRIBUTES {
            break;
        }
    }
    found.truncate(MAX_ATTRIBUTES);
    found
}

fn alert(object: &Object) -> Alert {
    let known: &[&[&str]] = &[
        SERVICE,
        &["metric", "threshold", "observed", "severity", "status"],
        TIME,
    ];
    let text: Vec<String> = attributes(object, known).into_iter().map(|(_, value)| value).collect();
    Alert {
        service: field(object, SERVICE),
        metric: field(object, &["metric", "metric_name"]),
        at_ms: at(object),
        text: text.join(". "),
    }
}

fn log(object: &Object) -> LogLine {
    let level = field(object, LEVEL).to_lowercase();
    LogLine {
        at_ms: at(object),
        service: field(object, SERVICE),
        bad: ["warn", "err", "fatal", "crit", "panic", "alert", "emerg"]
            .iter()
            .any(|word| level.contains(word)),
        text: field(object, TEXT),
        attributes: attributes(object, &[TIME, SERVICE, TEXT, LEVEL]),
    }
}

fn pattern(object: &Object) -> Pattern {
    Pattern {
        service: field(object, SERVICE),
        text: field(object, TEXT),
        count: number(object, &["count", "total", "occurrences"]),
        delta: number(object, &["delta_vs_baseline", "delta", "change"]),
    }
}

fn span(object: &Object) -> Span {
    let status = field(object, &["status", "status_code", "status.code", "otel.status_code"]).to_lowercase();
    let error = object
        .get("error")
        .is_some_and(|error| !matches!(error, Value::Bool(false) | Value::Null));
    let parent = field(object, &["parent_id", "parent_span_id", "parentSpanId", "parent"]);
    Span {
        trace: field(object, &["trace_id", "traceId", "trace"]),
        id: field(object, &["span_id", "spanId", "id"]),
        parent: Some(parent).filter(|parent| !parent.is_empty()),
        service: field(object, SERVICE),
        name: field(object, &["name", "operation", "operation_name"]),
        at_ms: at(object),
        duration_ms: number(object, &["duration_ms", "duration", "elapsed_ms"]),
        failed: error || status.contains("err") || status == "2" || status.starts_with('5'),
        attributes: attributes(object, &[TIME, SERVICE, &["name", "duration_ms", "status", "id"]]),
    }
}

fn commit(object: &Object) -> Commit {
    let files = ["files_changed", "files", "paths"]
        .iter()
        .find_map(|name| object.get(*name)?.as_array());
    let file = |value: &Value| {
        let named = || {
            value
                .get("path")
                .or_else(|| value.get("filename"))
                .and_then(Value::as_str)
        };
        value.as_str().or_else(named).map(|path| clip(path, 512))
    };
    let diff = ["diff", "patch"].iter().find_map(|name| object.get(*name)?.as_str());
    Commit {
        sha: field(object, SHA),
        author: field(object, &["author", "author_name", "author_email"]),
        at_ms: at(object),
        message: field(object, &["message", "subject", "title"]),
        files: files.into_iter().flatten().take(MAX_FILES).filter_map(file).collect(),
        diff: diff
            .filter(|diff| !diff.trim().is_empty())
            .map(|diff| clip(diff, MAX_DIFF)),
    }
}

fn deploy(object: &Object) -> Deploy {
    Deploy {
        at_ms: at(object),
        service: field(object, SERVICE),
        sha: field(object, &["commit_sha", "sha", "commit", "revision"]),
    }
}

fn flag(object: &Object) -> FlagChange {
    FlagChange {
        at_ms: at(object),
        flag: field(object, &["flag", "name", "key"]),
        service: field(object, SERVICE),
    }
}

fn metrics(text: &str, unread: &mut Vec<String>) -> Vec<Series> {
    let mut series: BTreeMap<(String, String), Vec<(i64, f64)>> = BTreeMap::new();
    let (mut beyond, mut bad) = (0usize, 0usize);
    let mut add = |subject: &str, metric: &str, at: Option<i64>, value: Option<f64>| match (at, value) {
        (Some(at), Some(value)) if value.is_finite() => {
            let key = (clip(subject, 200), clip(metric, 200));
            if series.len() >= MAX_SERIES && !series.contains_key(&key) {
                beyond += 1;
            } else {
                series.entry(key).or_default().push((at, value));
            }
        }
        _ => bad += 1,
    };
    if text.trim_start().starts_with(['[', '{']) {
        for object in objects("metrics", text, unread) {
            let value = field(&object, &["value", "v"]).parse().ok();
            add(
                &field(&object, SERVICE),
                &field(&object, &["metric", "name"]),
                at(&object),
                value,
            );
        }
    } else {
        table(text, &mut add, unread);
    }
    if beyond > 0 {
        unread.push(format!(
            "metrics: {beyond} points of series beyond the first {MAX_SERIES}"
        ));
    }
    if bad > 0 {
        unread.push(format!("metrics: {bad} points without a time or a value"));
    }
    let series = series.into_iter().map(|((subject, metric), mut points)| {
        points.sort_by_key(|point| point.0);
        Series {
            subject,
            metric,
            points,
        }
    });
    series.collect()
}

fn table(text: &str, add: &mut impl FnMut(&str, &str, Option<i64>, Option<f64>), unread: &mut Vec<String>) {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let Some(heading) = lines.next() else { return };
    let names: Vec<String> = cells(heading).iter().map(|cell| cell.to_lowercase()).collect();
    let column = |wanted: &[&str]| names.iter().position(|name| wanted.contains(&name.as_str()));
    let columns = (
        column(TIME),
        column(SERVICE),
        column(&["metric", "name", "metric_name"]),
        column(&["value", "v"]),
    );
    let (Some(time), Some(subject), Some(metric), Some(value)) = columns else {
        unread.push("metrics: a table without the columns timestamp, service, metric, value".to_owned());
        return;
    };
    for (number, line) in lines.enumerate() {
        if number >= MAX_ITEMS {
            unread.push(format!("metrics: what comes after the first {MAX_ITEMS} rows"));
            return;
        }
        let row = cells(line);
        let cell = |at: usize| row.get(at).map_or("", String::as_str);
        add(
            cell(subject),
            cell(metric),
            time::parse_text(cell(time)),
            cell(value).trim().parse().ok(),
        );
    }
}

/// The cells of one row of comma-separated values (RFC 4180, without line breaks in cells).
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    for c in line.trim_end_matches('\r').chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted && cells.len() < 64 => cells.push(String::new()),
            c => cells.last_mut().expect("never empty").push(c),
        }
    }
    cells
}

/// A note of a document of unknown shape.
pub(super) fn note(source: &str, object: &Object) -> Note {
    let parts: Vec<String> = attributes(object, &[TIME, SERVICE])
        .into_iter()
        .map(|(key, value)| format!("{key}: {value}"))
        .collect();
    Note {
        source: clip(source, 100),
        at_ms: at(object),
        service: field(object, SERVICE),
        text: clip(&parts.join(". "), MAX_TEXT),
    }
}
