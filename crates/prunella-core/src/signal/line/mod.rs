//! A line of a log → a log view: JSON, logfmt or plain text, and the time that it names.
//!
//! *Method.* A line that is a JSON object, or that consists of `key=value` pairs with at least one that loggers always
//! write, is structured: its text, level, logger and time are taken from the keys that the common loggers use, the rest are
//! attributes. Any other line is plain: a time at its beginning is read and cut off.
//!
//! *Source.* logfmt as Go's `kr/logfmt` writes it; the field names of pino, bunyan, winston, zap, zerolog, logrus, structlog,
//! python-json-logger, Serilog, log4j's JSON layouts, Elastic Common Schema, Docker's `json-file` and
//! `journalctl -o json`.

mod fields;
mod json;
mod logfmt;
pub mod time;

use std::borrow::Cow;

use super::Severity;
use super::telemetry::{LogView, Value};

/// A value in a structured line.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// An integer.
    Int(i64),
    /// A number.
    Double(f64),
    /// A truth value.
    Bool(bool),
    /// An array or object, as it was written.
    Nested(String),
}

/// A line, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line<'a> {
    /// Whether it is JSON or logfmt.
    pub is_structured: bool,
    /// The time that it names, ns since the epoch.
    pub time_ns: Option<u64>,
    /// The level that it names in a field of its own.
    pub severity: Option<Severity>,
    /// The text.
    pub body: Cow<'a, str>,
    /// The logger that it names.
    pub logger: Cow<'a, str>,
    /// Everything else.
    pub attributes: Vec<(Cow<'a, str>, Scalar<'a>)>,
    /// The trace that it names.
    pub trace_id: Option<[u8; 16]>,
    /// The span that it names.
    pub span_id: Option<[u8; 8]>,
}

/// Attributes that are kept of one line.
const MAX_FIELDS: usize = 128;
/// Longer lines are taken as plain text.
const MAX_STRUCTURED: usize = 256 << 10;

/// Reads a line. A time without a year is one of 1970.
#[must_use]
pub fn parse(line: &str) -> Line<'_> {
    parse_in(line, 1970)
}

/// Reads a line; `year` is that of times that do not name theirs.
#[must_use]
pub fn parse_in(line: &str, year: i64) -> Line<'_> {
    let text = line.trim_end();
    if text.len() <= MAX_STRUCTURED {
        if text.trim_start().starts_with('{')
            && let Some(line) = json::parse(text)
        {
            return line;
        }
        if let Some(line) = logfmt::parse(text) {
            return line;
        }
    }
    let (time_ns, rest) = match time::leading(text, year) {
        Some((time_ns, end)) => (Some(time_ns), cut(&text[end..])),
        None => (time::bracketed(text), text),
    };
    Line {
        time_ns,
        body: Cow::Borrowed(rest),
        ..Line::default()
    }
}

/// What is left behind a time, without what separated them. A line that is nothing but a time stays one.
fn cut(rest: &str) -> &str {
    rest.trim_start_matches([' ', '\t', ']', ':', ',', '|', '-'])
}

impl Line<'_> {
    /// The line as a view. `at_ns` and `severity` are what is known otherwise; `attributes` is filled.
    pub fn view<'v>(
        &'v self,
        at_ns: u64,
        severity: Option<Severity>,
        attributes: &'v mut Vec<(&'v str, Value<'v>)>,
    ) -> LogView<'v> {
        attributes.extend(self.attributes.iter().map(|(key, value)| {
            let value = match value {
                Scalar::Text(text) => Value::Str(text),
                Scalar::Int(value) => Value::Int(*value),
                Scalar::Double(value) => Value::Double(*value),
                Scalar::Bool(value) => Value::Bool(*value),
                Scalar::Nested(text) => Value::Nested(text.as_bytes()),
            };
            (key.as_ref(), value)
        }));
        LogView {
            time_ns: self.time_ns.unwrap_or(at_ns),
            severity: self.severity.or(severity),
            body: &self.body,
            event_name: None,
            scope: &self.logger,
            attributes,
            trace_id: self.trace_id,
            span_id: self.span_id,
        }
    }
}

#[cfg(test)]
mod tests;
