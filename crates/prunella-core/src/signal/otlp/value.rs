//! Attributes, resources and scopes: `KeyValue`, `AnyValue`, `Resource`, `InstrumentationScope`.

use std::fmt::Write as _;

use super::super::telemetry::Value;
use super::wire::{DecodeError, Fields};
use super::{Counts, MAX_ATTRIBUTES, Sink};

/// What a rendered body may have, in bytes.
const MAX_RENDERED: usize = 4096;
/// The keys under which structured logs keep their text, the likeliest first.
const TEXT_KEYS: [&str; 6] = ["message", "msg", "body", "event", "log", "text"];

/// Reads an `AnyValue`. Of several values the last counts, as in protobuf.
#[inline]
pub(super) fn any_value(bytes: &[u8]) -> Result<Value<'_>, DecodeError> {
    let mut fields = Fields::new(bytes);
    let mut value = Value::Empty;
    while let Some(field) = fields.next()? {
        value = match field.number {
            1 => Value::Str(field.text()?),
            2 => Value::Bool(field.varint()? != 0),
            3 => Value::Int(field.varint()?.cast_signed()),
            4 => Value::Double(field.double()?),
            5 | 6 => {
                field.bytes()?;
                Value::Nested(bytes)
            }
            7 => Value::Bytes(field.bytes()?),
            _ => value,
        };
    }
    Ok(value)
}

/// Reads a `KeyValue`.
#[inline]
pub(super) fn key_value(bytes: &[u8]) -> Result<(&str, Value<'_>), DecodeError> {
    let mut fields = Fields::new(bytes);
    let (mut key, mut value) = ("", Value::Empty);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => key = field.text()?,
            2 => value = any_value(field.bytes()?)?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// Adds an attribute, unless there are enough.
#[inline]
pub(super) fn push<'a>(
    attributes: &mut Vec<(&'a str, Value<'a>)>,
    key_value_bytes: &'a [u8],
    counts: &mut Counts,
) -> Result<(), DecodeError> {
    let pair = key_value(key_value_bytes)?;
    if attributes.len() < MAX_ATTRIBUTES {
        attributes.push(pair);
    } else {
        counts.attributes_dropped += 1;
    }
    Ok(())
}

/// The attributes of field 1 of a message: a `Resource`.
fn resource<'a>(
    message: &'a [u8],
    into: &mut Vec<(&'a str, Value<'a>)>,
    counts: &mut Counts,
) -> Result<(), DecodeError> {
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        if field.number == 1 {
            push(into, field.bytes()?, counts)?;
        }
    }
    Ok(())
}

/// Walks a request of any signal, which all have the same two outer layers: tells the sink each resource, and gives
/// `record` each record with its scope's name.
pub(super) fn each_record<'a, S: Sink>(
    request: &'a [u8],
    sink: &mut S,
    mut record: impl FnMut(&'a [u8], &'a str, &mut S, &mut Counts) -> Result<(), DecodeError>,
) -> Result<Counts, DecodeError> {
    let (mut counts, mut attributes) = (Counts::default(), Vec::new());
    let mut of_request = Fields::new(request);
    while let Some(field) = of_request.next()? {
        if field.number != 1 {
            continue;
        }
        let message = field.bytes()?;
        resource_of(message, &mut attributes, &mut counts)?;
        sink.resource(&attributes);
        let mut of_resource = Fields::new(message);
        while let Some(field) = of_resource.next()? {
            if field.number != 2 {
                continue;
            }
            let message = field.bytes()?;
            let scope = scope_of(message)?;
            let mut of_scope = Fields::new(message);
            while let Some(field) = of_scope.next()? {
                if field.number == 2 {
                    record(field.bytes()?, scope, sink, &mut counts)?;
                }
            }
        }
    }
    Ok(counts)
}

/// Reads the resource out of a `ResourceLogs`, `ResourceSpans` or `ResourceMetrics`, wherever in it it is.
fn resource_of<'a>(
    message: &'a [u8],
    into: &mut Vec<(&'a str, Value<'a>)>,
    counts: &mut Counts,
) -> Result<(), DecodeError> {
    into.clear();
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        if field.number == 1 {
            resource(field.bytes()?, into, counts)?;
        }
    }
    Ok(())
}

/// Reads the scope's name out of a `ScopeLogs`, `ScopeSpans` or `ScopeMetrics`, wherever in it it is.
fn scope_of(message: &[u8]) -> Result<&str, DecodeError> {
    let (mut fields, mut name) = (Fields::new(message), "");
    while let Some(field) = fields.next()? {
        if field.number == 1 {
            let mut scope = Fields::new(field.bytes()?);
            while let Some(field) = scope.next()? {
                if field.number == 1 {
                    name = field.text()?;
                }
            }
        }
    }
    Ok(name)
}

/// A log record's text.
pub(super) enum Body<'a> {
    /// As it was encoded.
    Borrowed(&'a str),
    /// In the buffer that was given.
    Rendered,
}

/// The text of a body: text as it is; of a map the field that usually has the text, else its first text; anything else
/// written out.
pub(super) fn body<'a>(value: Value<'a>, buffer: &mut String) -> Result<Body<'a>, DecodeError> {
    Ok(match value {
        Value::Str(text) => Body::Borrowed(text),
        Value::Nested(bytes) => match text_of_map(bytes)? {
            Some(text) => Body::Borrowed(text),
            None => {
                buffer.clear();
                render(value, buffer, 0)?;
                Body::Rendered
            }
        },
        Value::Empty => Body::Borrowed(""),
        other => {
            buffer.clear();
            render(other, buffer, 0)?;
            Body::Rendered
        }
    })
}

/// The pairs or items of a nested value, which is an `AnyValue` with an `ArrayValue` or a `KeyValueList`.
fn items(any: &[u8]) -> Result<(bool, &[u8]), DecodeError> {
    let (mut fields, mut found) = (Fields::new(any), (false, &[][..]));
    while let Some(field) = fields.next()? {
        if let 5 | 6 = field.number {
            found = (field.number == 6, field.bytes()?);
        }
    }
    Ok(found)
}

fn text_of_map(any: &[u8]) -> Result<Option<&str>, DecodeError> {
    let (is_map, list) = items(any)?;
    if !is_map {
        return Ok(None);
    }
    let (mut fields, mut best): (_, Option<(usize, &str)>) = (Fields::new(list), None);
    while let Some(field) = fields.next()? {
        if field.number != 1 {
            continue;
        }
        if let (key, Value::Str(text)) = key_value(field.bytes()?)? {
            let rank = TEXT_KEYS.iter().position(|k| *k == key).unwrap_or(TEXT_KEYS.len());
            if best.is_none_or(|(so_far, _)| rank < so_far) {
                best = Some((rank, text));
            }
        }
    }
    Ok(best.map(|(_, text)| text))
}

/// How deep a value is written out.
const MAX_DEPTH: usize = 8;

/// Writes a value as JSON, up to the limits.
fn render(value: Value<'_>, out: &mut String, depth: usize) -> Result<(), DecodeError> {
    const TO_STRING: &str = "writing to a String cannot fail";
    if out.len() > MAX_RENDERED || depth > MAX_DEPTH {
        out.push('…');
        return Ok(());
    }
    match value {
        Value::Str(text) => write!(out, "{text:?}").expect(TO_STRING),
        Value::Bool(value) => write!(out, "{value}").expect(TO_STRING),
        Value::Int(value) => write!(out, "{value}").expect(TO_STRING),
        Value::Double(value) => write!(out, "{value}").expect(TO_STRING),
        Value::Bytes(bytes) => write!(out, "\"{} bytes\"", bytes.len()).expect(TO_STRING),
        Value::Empty => out.push_str("null"),
        Value::Nested(bytes) => return render_nested(bytes, out, depth),
    }
    Ok(())
}

fn render_nested(any: &[u8], out: &mut String, depth: usize) -> Result<(), DecodeError> {
    let (is_map, list) = items(any)?;
    out.push(if is_map { '{' } else { '[' });
    let (mut fields, mut first) = (Fields::new(list), true);
    while let Some(field) = fields.next()? {
        if field.number != 1 {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        if out.len() > MAX_RENDERED {
            out.push('…');
            break;
        }
        if is_map {
            let (key, value) = key_value(field.bytes()?)?;
            write!(out, "{key:?}:").expect("writing to a String cannot fail");
            render(value, out, depth + 1)?;
        } else {
            render(any_value(field.bytes()?)?, out, depth + 1)?;
        }
    }
    out.push(if is_map { '}' } else { ']' });
    Ok(())
}
