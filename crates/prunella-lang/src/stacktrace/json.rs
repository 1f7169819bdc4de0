//! Loggers that print one JSON object a line and hide the stack trace in a string.

use prunella_core::signal::Exception;
use serde_json::Value;

use super::severity::level;
use super::{PathMapper, Severity, parse_trace};

/// Longer lines are not parsed as JSON.
const MAX_BYTES: usize = 256 * 1024;
/// How deep inside the object a stack is looked for: pino nests it as `err.stack`.
const MAX_DEPTH: usize = 3;
/// Where loggers put a stack trace.
const STACK_KEYS: &[&str] = &[
    "stack",
    "exc_info",
    "exception",
    "exc_text",
    "traceback",
    "stack_trace",
    "stacktrace",
    "exception.stacktrace",
    "error.stack_trace",
    "error.stack",
    "err.stack",
];

/// The severity and the exception of a JSON log line; `None` when the line is no JSON object.
pub(super) fn read(line: &str, paths: &PathMapper) -> Option<(Option<Severity>, Option<Exception>)> {
    let line = line.trim();
    if !line.starts_with('{') || !line.ends_with('}') || line.len() > MAX_BYTES {
        return None;
    }
    let value: Value = serde_json::from_str(line).ok()?;
    Some((severity(&value), exception(&value, paths, MAX_DEPTH)))
}

fn severity(value: &Value) -> Option<Severity> {
    let found = ["level", "severity", "lvl", "levelname", "log.level", "severity_text"]
        .iter()
        .find_map(|key| value.get(key))?;
    match found {
        Value::String(name) => level(name),
        // pino and bunyan count 10 (trace) to 60 (fatal).
        Value::Number(number) => Some(match number.as_u64()? {
            0..=19 => Severity::Trace,
            20..=29 => Severity::Debug,
            30..=39 => Severity::Info,
            40..=49 => Severity::Warn,
            50..=59 => Severity::Error,
            _ => Severity::Fatal,
        }),
        _ => None,
    }
}

fn exception(value: &Value, paths: &PathMapper, depth: usize) -> Option<Exception> {
    let object = value.as_object()?;
    let here = STACK_KEYS
        .iter()
        .filter_map(|key| object.get(*key))
        .find_map(|found| match found {
            Value::String(text) => parse_trace(text, paths),
            Value::Array(lines) => {
                let text: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
                parse_trace(&text.join("\n"), paths)
            }
            _ => None,
        });
    here.or_else(|| match depth {
        0 => None,
        _ => object.values().find_map(|inner| exception(inner, paths, depth - 1)),
    })
}
