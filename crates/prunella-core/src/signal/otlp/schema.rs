//! The messages of OTLP as tables: the JSON name, number and form of each field that is read.
//!
//! *Source.* `opentelemetry/proto` 1.x; OTLP specification, "JSON Protobuf Encoding".

/// How a field's value is written.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// An object.
    Message(&'static Message),
    /// Text.
    Text,
    /// Bytes in base64.
    Base64,
    /// Bytes in hexadecimal digits, in either case: identifiers.
    Hex,
    /// A truth value.
    Bool,
    /// An integer that protobuf writes as a varint, enumerations included; in JSON a number or a string.
    Varint,
    /// A `sint32`.
    Sint32,
    /// A `fixed64` or `sfixed64`; in JSON usually a string.
    Fixed64,
    /// A `fixed32`.
    Fixed32,
    /// A number; or `"NaN"`, `"Infinity"`, `"-Infinity"`.
    Double,
}

/// A field: JSON name, number, form, whether it is repeated.
pub(super) type FieldSpec = (&'static str, u32, Form, bool);

/// A message: its fields.
pub(super) struct Message(pub(super) &'static [FieldSpec]);

use Form::{Base64, Bool, Double, Fixed32, Fixed64, Hex, Sint32, Text, Varint};

const fn one(name: &'static str, number: u32, form: Form) -> FieldSpec {
    (name, number, form, false)
}
const fn many(name: &'static str, number: u32, form: Form) -> FieldSpec {
    (name, number, form, true)
}
const fn message(message: &'static Message) -> Form {
    Form::Message(message)
}

static ANY_VALUE: Message = Message(&[
    one("stringValue", 1, Text),
    one("boolValue", 2, Bool),
    one("intValue", 3, Varint),
    one("doubleValue", 4, Double),
    one("arrayValue", 5, message(&ARRAY_VALUE)),
    one("kvlistValue", 6, message(&KEY_VALUE_LIST)),
    one("bytesValue", 7, Base64),
]);
static ARRAY_VALUE: Message = Message(&[many("values", 1, message(&ANY_VALUE))]);
static KEY_VALUE_LIST: Message = Message(&[many("values", 1, message(&KEY_VALUE))]);
static KEY_VALUE: Message = Message(&[one("key", 1, Text), one("value", 2, message(&ANY_VALUE))]);
static RESOURCE: Message = Message(&[many("attributes", 1, message(&KEY_VALUE))]);
static SCOPE: Message = Message(&[
    one("name", 1, Text),
    one("version", 2, Text),
    many("attributes", 3, message(&KEY_VALUE)),
]);

/// `ExportLogsServiceRequest`
pub(super) static LOGS: Message = Message(&[many("resourceLogs", 1, message(&RESOURCE_LOGS))]);
static RESOURCE_LOGS: Message = Message(&[
    one("resource", 1, message(&RESOURCE)),
    many("scopeLogs", 2, message(&SCOPE_LOGS)),
]);
static SCOPE_LOGS: Message = Message(&[
    one("scope", 1, message(&SCOPE)),
    many("logRecords", 2, message(&LOG_RECORD)),
]);
static LOG_RECORD: Message = Message(&[
    one("timeUnixNano", 1, Fixed64),
    one("severityNumber", 2, Varint),
    one("severityText", 3, Text),
    one("body", 5, message(&ANY_VALUE)),
    many("attributes", 6, message(&KEY_VALUE)),
    one("flags", 8, Fixed32),
    one("traceId", 9, Hex),
    one("spanId", 10, Hex),
    one("observedTimeUnixNano", 11, Fixed64),
    one("eventName", 12, Text),
]);

/// `ExportTraceServiceRequest`
pub(super) static TRACES: Message = Message(&[many("resourceSpans", 1, message(&RESOURCE_SPANS))]);
static RESOURCE_SPANS: Message = Message(&[
    one("resource", 1, message(&RESOURCE)),
    many("scopeSpans", 2, message(&SCOPE_SPANS)),
]);
static SCOPE_SPANS: Message = Message(&[one("scope", 1, message(&SCOPE)), many("spans", 2, message(&SPAN))]);
static SPAN: Message = Message(&[
    one("traceId", 1, Hex),
    one("spanId", 2, Hex),
    one("traceState", 3, Text),
    one("parentSpanId", 4, Hex),
    one("name", 5, Text),
    one("kind", 6, Varint),
    one("startTimeUnixNano", 7, Fixed64),
    one("endTimeUnixNano", 8, Fixed64),
    many("attributes", 9, message(&KEY_VALUE)),
    many("events", 11, message(&EVENT)),
    one("status", 15, message(&STATUS)),
]);
static EVENT: Message = Message(&[
    one("timeUnixNano", 1, Fixed64),
    one("name", 2, Text),
    many("attributes", 3, message(&KEY_VALUE)),
]);
static STATUS: Message = Message(&[one("message", 2, Text), one("code", 3, Varint)]);

/// `ExportMetricsServiceRequest`
pub(super) static METRICS: Message = Message(&[many("resourceMetrics", 1, message(&RESOURCE_METRICS))]);
static RESOURCE_METRICS: Message = Message(&[
    one("resource", 1, message(&RESOURCE)),
    many("scopeMetrics", 2, message(&SCOPE_METRICS)),
]);
static SCOPE_METRICS: Message = Message(&[one("scope", 1, message(&SCOPE)), many("metrics", 2, message(&METRIC))]);
static METRIC: Message = Message(&[
    one("name", 1, Text),
    one("description", 2, Text),
    one("unit", 3, Text),
    one("gauge", 5, message(&GAUGE)),
    one("sum", 7, message(&SUM)),
    one("histogram", 9, message(&HISTOGRAM)),
    one("exponentialHistogram", 10, message(&EXPONENTIAL)),
    one("summary", 11, message(&SUMMARY)),
]);
static GAUGE: Message = Message(&[many("dataPoints", 1, message(&NUMBER_POINT))]);
static SUM: Message = Message(&[
    many("dataPoints", 1, message(&NUMBER_POINT)),
    one("aggregationTemporality", 2, Varint),
    one("isMonotonic", 3, Bool),
]);
static HISTOGRAM: Message = Message(&[
    many("dataPoints", 1, message(&HISTOGRAM_POINT)),
    one("aggregationTemporality", 2, Varint),
]);
static EXPONENTIAL: Message = Message(&[
    many("dataPoints", 1, message(&EXPONENTIAL_POINT)),
    one("aggregationTemporality", 2, Varint),
]);
static SUMMARY: Message = Message(&[many("dataPoints", 1, message(&SUMMARY_POINT))]);
static NUMBER_POINT: Message = Message(&[
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("asDouble", 4, Double),
    one("asInt", 6, Fixed64),
    many("attributes", 7, message(&KEY_VALUE)),
    one("flags", 8, Varint),
]);
static HISTOGRAM_POINT: Message = Message(&[
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("count", 4, Fixed64),
    one("sum", 5, Double),
    many("bucketCounts", 6, Fixed64),
    many("explicitBounds", 7, Double),
    many("attributes", 9, message(&KEY_VALUE)),
    one("flags", 10, Varint),
    one("min", 11, Double),
    one("max", 12, Double),
]);
static EXPONENTIAL_POINT: Message = Message(&[
    many("attributes", 1, message(&KEY_VALUE)),
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("count", 4, Fixed64),
    one("sum", 5, Double),
    one("scale", 6, Sint32),
    one("zeroCount", 7, Fixed64),
    one("positive", 8, message(&BUCKETS)),
    one("negative", 9, message(&BUCKETS)),
    one("flags", 10, Varint),
]);
static BUCKETS: Message = Message(&[one("offset", 1, Sint32), many("bucketCounts", 2, Varint)]);
static SUMMARY_POINT: Message = Message(&[
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("count", 4, Fixed64),
    one("sum", 5, Double),
    many("quantileValues", 6, message(&QUANTILE)),
    many("attributes", 7, message(&KEY_VALUE)),
    one("flags", 8, Varint),
]);
static QUANTILE: Message = Message(&[one("quantile", 1, Double), one("value", 2, Double)]);
