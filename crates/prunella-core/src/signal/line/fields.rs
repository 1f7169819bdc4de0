//! What the fields of a structured line mean.

use std::borrow::Cow;

use super::super::Severity;
use super::super::otlp::severity_of;
use super::time::{epoch, epoch_whole, leading};
use super::{Line, MAX_FIELDS, Scalar};

/// Where the text is, the likeliest first.
const TEXT: &[&str] = &["message", "msg", "event", "body", "log", "text", "@m", "MESSAGE"];
const LEVEL: &[&str] = &[
    "level",
    "severity",
    "lvl",
    "levelname",
    "log.level",
    "severity_text",
    "loglevel",
    "@l",
    "PRIORITY",
];
const TIME: &[&str] = &[
    "time",
    "timestamp",
    "ts",
    "@timestamp",
    "asctime",
    "@t",
    "datetime",
    "t",
    "__REALTIME_TIMESTAMP",
];
const LOGGER: &[&str] = &["logger", "logger_name", "log.logger", "name", "SYSLOG_IDENTIFIER"];
const TRACE: &[&str] = &["trace_id", "traceId", "trace.id", "otelTraceID"];
const SPAN: &[&str] = &["span_id", "spanId", "span.id", "otelSpanID"];

/// Whether loggers always write a field of this name, so that a line that has it is a logger's.
pub(super) fn is_telling(key: &str) -> bool {
    TEXT[..2].contains(&key) || LEVEL.contains(&key) || TIME[..4].contains(&key)
}

/// Puts fields where they belong.
pub(super) fn arrange<'a>(fields: Vec<(Cow<'a, str>, Scalar<'a>)>) -> Line<'a> {
    let mut line = Line {
        is_structured: true,
        ..Line::default()
    };
    let at = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| fields.iter().position(|(key, _)| key == name))
    };
    let (text, level, time, logger) = (at(TEXT), at(LEVEL), at(TIME), at(LOGGER));
    let (trace, span) = (at(TRACE), at(SPAN));
    let value = |at: Option<usize>| at.map(|at| &fields[at].1);
    let severity = value(level).and_then(severity);
    let time_ns = value(time).and_then(time_of);
    let text = text.filter(|at| matches!(fields[*at].1, Scalar::Text(_)));
    let logger = logger.filter(|at| matches!(fields[*at].1, Scalar::Text(_)));
    line.severity = severity;
    line.time_ns = time_ns;
    line.trace_id = value(trace).and_then(id);
    line.span_id = value(span).and_then(id);
    // What could not be understood stays an attribute.
    let taken = [
        text,
        logger,
        level.filter(|_| severity.is_some()),
        time.filter(|_| time_ns.is_some()),
        trace.filter(|_| line.trace_id.is_some()),
        span.filter(|_| line.span_id.is_some()),
    ];
    for (at, (key, value)) in fields.into_iter().enumerate() {
        match value {
            Scalar::Text(value) if Some(at) == text => line.body = trimmed(value),
            Scalar::Text(value) if Some(at) == logger => line.logger = value,
            _ if taken.contains(&Some(at)) => {}
            value if line.attributes.len() < MAX_FIELDS => line.attributes.push((key, value)),
            _ => {}
        }
    }
    line
}

fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_end()),
        Cow::Owned(mut text) => {
            text.truncate(text.trim_end().len());
            Cow::Owned(text)
        }
    }
}

fn severity(value: &Scalar<'_>) -> Option<Severity> {
    match value {
        Scalar::Text(text) => text.parse().ok().and_then(numbered).or_else(|| severity_of(0, text)),
        Scalar::Int(number) => numbered(*number),
        _ => None,
    }
}

/// bunyan and pino count from 10 (trace) to 60 (fatal), syslog from 7 (debug) down to 0 (emergency).
fn numbered(number: i64) -> Option<Severity> {
    Some(match number {
        0..=2 | 60.. => Severity::Fatal,
        3 | 50..=59 => Severity::Error,
        4 | 40..=49 => Severity::Warn,
        5 | 6 | 30..=39 => Severity::Info,
        7 | 20..=29 => Severity::Debug,
        10..=19 => Severity::Trace,
        _ => return None,
    })
}

fn time_of(value: &Scalar<'_>) -> Option<u64> {
    match value {
        Scalar::Text(text) => leading(text, 1970).map(|(time_ns, _)| time_ns),
        Scalar::Int(number) => epoch_whole(*number),
        Scalar::Double(number) => epoch(*number),
        _ => None,
    }
}

fn id<const N: usize>(value: &Scalar<'_>) -> Option<[u8; N]> {
    let Scalar::Text(text) = value else { return None };
    let digit = |byte: u8| (byte as char).to_digit(16).map(|d| d as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut id = [0; N];
    for (byte, pair) in id.iter_mut().zip(pairs) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    (id != [0; N]).then_some(id)
}
