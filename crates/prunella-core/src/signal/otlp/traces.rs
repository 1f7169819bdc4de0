//! `ExportTraceServiceRequest`.

use super::super::telemetry::{SpanKind, SpanStatus, SpanView, Value, attribute};
use super::value::{each_record, push};
use super::wire::{DecodeError, Fields};
use super::{Counts, Sink};

type Pairs<'a> = Vec<(&'a str, Value<'a>)>;

/// Vectors that are used again for each span.
#[derive(Default)]
struct Scratch<'a> {
    attributes: Pairs<'a>,
    event: Pairs<'a>,
}

pub(super) fn decode<S: Sink>(request: &[u8], sink: &mut S) -> Result<Counts, DecodeError> {
    let mut scratch = Scratch::default();
    each_record(request, sink, |message, _, sink, counts| {
        span(message, &mut scratch, sink, counts)
    })
}

/// The first `exception` event of a span: type, message, stack trace.
#[derive(Clone, Copy, Default)]
struct Raised<'a> {
    class: Option<&'a str>,
    message: Option<&'a str>,
    stacktrace: Option<&'a str>,
}

fn span<'a, S: Sink>(
    message: &'a [u8],
    scratch: &mut Scratch<'a>,
    sink: &mut S,
    counts: &mut Counts,
) -> Result<(), DecodeError> {
    scratch.attributes.clear();
    let (mut trace_id, mut span_id, mut parent_id) = (None, None, None);
    let (mut name, mut kind, mut start_ns, mut end_ns) = ("", 0, 0, 0);
    let mut ended = (SpanStatus::Unset, "");
    let mut raised = None;
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => trace_id = field.id()?,
            2 => span_id = field.id()?,
            4 => parent_id = field.id()?,
            5 => name = field.text()?,
            6 => kind = field.enumeration()?,
            7 => start_ns = field.fixed64()?,
            8 => end_ns = field.fixed64()?,
            9 => push(&mut scratch.attributes, field.bytes()?, counts)?,
            11 if raised.is_none() => raised = exception(field.bytes()?, &mut scratch.event, counts)?,
            15 => ended = status(field.bytes()?)?,
            _ => {}
        }
    }
    let (Some(trace_id), Some(span_id)) = (trace_id, span_id) else {
        counts.rejected += 1;
        return Ok(());
    };
    let raised = raised.unwrap_or_default();
    counts.records += 1;
    sink.span(&SpanView {
        trace_id,
        span_id,
        parent_id,
        name,
        kind: kind_of(kind),
        start_ns,
        end_ns: end_ns.max(start_ns),
        status: ended.0,
        status_message: ended.1,
        attributes: &scratch.attributes,
        exception_type: raised.class,
        exception_message: raised.message,
        exception_stacktrace: raised.stacktrace,
    });
    Ok(())
}

fn kind_of(number: i32) -> SpanKind {
    match number {
        2 => SpanKind::Server,
        3 => SpanKind::Client,
        4 => SpanKind::Producer,
        5 => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

fn status(message: &[u8]) -> Result<(SpanStatus, &str), DecodeError> {
    let (mut fields, mut ended) = (Fields::new(message), (SpanStatus::Unset, ""));
    while let Some(field) = fields.next()? {
        match field.number {
            2 => ended.1 = field.text()?,
            3 => {
                ended.0 = match field.enumeration()? {
                    1 => SpanStatus::Ok,
                    2 => SpanStatus::Error,
                    _ => SpanStatus::Unset,
                };
            }
            _ => {}
        }
    }
    Ok(ended)
}

/// What an event says, if it is an exception.
fn exception<'a>(
    message: &'a [u8],
    attributes: &mut Pairs<'a>,
    counts: &mut Counts,
) -> Result<Option<Raised<'a>>, DecodeError> {
    let (mut fields, mut name) = (Fields::new(message), "");
    while let Some(field) = fields.next()? {
        if field.number == 2 {
            name = field.text()?;
        }
    }
    if name != "exception" {
        return Ok(None);
    }
    attributes.clear();
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        if field.number == 3 {
            push(attributes, field.bytes()?, counts)?;
        }
    }
    let of = |key| attribute(attributes, key).and_then(Value::as_str);
    Ok(Some(Raised {
        class: of("exception.type"),
        message: of("exception.message"),
        stacktrace: of("exception.stacktrace"),
    }))
}
