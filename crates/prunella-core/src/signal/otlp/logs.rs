//! `ExportLogsServiceRequest`.

use super::super::telemetry::{LogView, Value, attribute};
use super::severity::severity_of;
use super::value::{Body, any_value, body, each_record, push};
use super::wire::{DecodeError, Fields};
use super::{Counts, Sink};

/// Vectors that are used again for each record.
#[derive(Default)]
struct Scratch<'a> {
    attributes: Vec<(&'a str, Value<'a>)>,
    text: String,
}

pub(super) fn decode<S: Sink>(request: &[u8], sink: &mut S) -> Result<Counts, DecodeError> {
    let mut scratch = Scratch::default();
    each_record(request, sink, |message, scope, sink, counts| {
        log_record(message, scope, &mut scratch, sink, counts)
    })
}

fn log_record<'a, S: Sink>(
    message: &'a [u8],
    scope: &'a str,
    scratch: &mut Scratch<'a>,
    sink: &mut S,
    counts: &mut Counts,
) -> Result<(), DecodeError> {
    scratch.attributes.clear();
    let (mut time_ns, mut observed_ns, mut number) = (0, 0, 0);
    let (mut severity_text, mut event_name) = ("", "");
    let (mut trace_id, mut span_id, mut value) = (None, None, Value::Empty);
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => time_ns = field.fixed64()?,
            2 => number = field.enumeration()?,
            3 => severity_text = field.text()?,
            5 => value = any_value(field.bytes()?)?,
            6 => push(&mut scratch.attributes, field.bytes()?, counts)?,
            9 => trace_id = field.id()?,
            10 => span_id = field.id()?,
            11 => observed_ns = field.fixed64()?,
            12 => event_name = field.text()?,
            _ => {}
        }
    }
    let named = || attribute(&scratch.attributes, "event.name").and_then(Value::as_str);
    let event_name = if event_name.is_empty() {
        named()
    } else {
        Some(event_name)
    };
    let text = match body(value, &mut scratch.text)? {
        Body::Borrowed(text) => text,
        Body::Rendered => scratch.text.as_str(),
    };
    counts.records += 1;
    sink.log(&LogView {
        time_ns: if time_ns == 0 { observed_ns } else { time_ns },
        severity: severity_of(number, severity_text),
        body: text,
        event_name,
        scope,
        attributes: &scratch.attributes,
        trace_id,
        span_id,
    });
    Ok(())
}
