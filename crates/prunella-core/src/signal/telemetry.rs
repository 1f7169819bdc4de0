//! Telemetry as detectors see it: log records, spans and metric points that borrow from the bytes that they came in.
//!
//! The data model is OpenTelemetry's (specification 1.x, "Logs Data Model", "Tracing API", "Metrics Data Model"). Nothing
//! here owns text: at line rate a copy of each string would cost more than everything that is done with it. What a
//! detector keeps, it copies within its own limit. All text is hostile input.

use super::Severity;
use crate::id::{ReleaseId, ServiceName};

/// Who emits: one release of one service, on one instance. Made once for each distinct resource, not for each record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// A small number that is this service's for as long as the process lives: an index for tables. Dense from 0.
    pub service_key: u32,
    /// The service.
    pub service: ServiceName,
    /// A small number that is this release's, and no other's of any service. Dense from 0.
    pub release_key: u32,
    /// The release: Prunella's own, or made from `service.version`; `unversioned` where nothing says.
    pub release: ReleaseId,
    /// The instance (`service.instance.id`, else host and process id), shortened; empty if nothing says.
    pub instance: String,
    /// The release to compare with: the last-known-good one, where one is known and it is another.
    pub compare_with: Option<ReleaseId>,
}

/// An attribute's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Text.
    Str(&'a str),
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number.
    Double(f64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// An array or a map, as it was encoded: of interest as *changed or not* only.
    Nested(&'a [u8]),
    /// No value.
    Empty,
}

impl<'a> Value<'a> {
    /// The text, if it is text.
    #[must_use]
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one.
    #[must_use]
    pub fn as_f64(self) -> Option<f64> {
        match self {
            Self::Int(i) => Some(i as f64),
            Self::Double(d) => Some(d),
            _ => None,
        }
    }
}

/// Attributes in the order in which they came. Keys may repeat in hostile input; the first counts.
pub type Attributes<'a> = [(&'a str, Value<'a>)];

/// The value of the first attribute of this name.
#[must_use]
pub fn attribute<'a>(attributes: &Attributes<'a>, name: &str) -> Option<Value<'a>> {
    attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
}

/// A log record.
#[derive(Clone, Copy, Debug)]
pub struct LogView<'a> {
    /// When it happened, else when it was observed; ns since the epoch.
    pub time_ns: u64,
    /// How bad, if it says so.
    pub severity: Option<Severity>,
    /// The text; of a structured body its first text field, or its JSON.
    pub body: &'a str,
    /// The event's name, if it is an event.
    pub event_name: Option<&'a str>,
    /// The instrumentation scope or logger.
    pub scope: &'a str,
    /// Its attributes.
    pub attributes: &'a Attributes<'a>,
    /// The trace, if it was written inside one.
    pub trace_id: Option<[u8; 16]>,
    /// The span, if it was written inside one.
    pub span_id: Option<[u8; 8]>,
}

/// A span's kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SpanKind {
    /// Work inside of a service; also what is not said.
    #[default]
    Internal,
    /// Answers a request.
    Server,
    /// Makes a request.
    Client,
    /// Sends a message.
    Producer,
    /// Handles a message.
    Consumer,
}

/// How a span ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SpanStatus {
    /// Nobody said: no error.
    #[default]
    Unset,
    /// Well, somebody said so.
    Ok,
    /// In error.
    Error,
}

/// A finished span.
#[derive(Clone, Copy, Debug)]
pub struct SpanView<'a> {
    /// The trace.
    pub trace_id: [u8; 16],
    /// The span.
    pub span_id: [u8; 8],
    /// Its parent; `None` for a root.
    pub parent_id: Option<[u8; 8]>,
    /// The operation.
    pub name: &'a str,
    /// Its kind.
    pub kind: SpanKind,
    /// Start, ns since the epoch.
    pub start_ns: u64,
    /// End, ns since the epoch; never before the start.
    pub end_ns: u64,
    /// How it ended.
    pub status: SpanStatus,
    /// What the status says.
    pub status_message: &'a str,
    /// Its attributes.
    pub attributes: &'a Attributes<'a>,
    /// The type of the first `exception` event, if there is one.
    pub exception_type: Option<&'a str>,
    /// The message of that exception.
    pub exception_message: Option<&'a str>,
    /// The stack trace of that exception.
    pub exception_stacktrace: Option<&'a str>,
}

impl SpanView<'_> {
    /// How long it took, ns.
    #[must_use]
    pub fn duration_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }
}

/// What a sum or histogram counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Temporality {
    /// Since the last report.
    Delta,
    /// Since the start of the stream.
    Cumulative,
}

/// A metric point's value.
#[derive(Clone, Copy, Debug)]
pub enum PointValue<'a> {
    /// A value as it is now.
    Gauge(f64),
    /// A sum; a counter if it is monotonic.
    Sum {
        /// The value.
        value: f64,
        /// Whether it only rises.
        monotonic: bool,
        /// What it counts from.
        temporality: Temporality,
    },
    /// Counts by explicit upper bounds; one count more than bounds.
    Histogram {
        /// What it counts from.
        temporality: Temporality,
        /// Observations.
        count: u64,
        /// Their sum, if it is known.
        sum: Option<f64>,
        /// Upper bounds, rising.
        bounds: &'a [f64],
        /// Counts.
        counts: &'a [u64],
    },
    /// Counts by powers of 2^(2^-scale).
    ExponentialHistogram {
        /// What it counts from.
        temporality: Temporality,
        /// Observations.
        count: u64,
        /// Their sum, if it is known.
        sum: Option<f64>,
        /// The scale.
        scale: i32,
        /// Observations that are (nearly) 0.
        zero_count: u64,
        /// The index of the first positive bucket, and the counts.
        positive: (i32, &'a [u64]),
        /// The index of the first negative bucket, and the counts.
        negative: (i32, &'a [u64]),
    },
    /// Quantiles made elsewhere.
    Summary {
        /// Observations since the start.
        count: u64,
        /// Their sum.
        sum: f64,
        /// Pairs of quantile and value.
        quantiles: &'a [(f64, f64)],
    },
    /// The sender says that there is no value now (the data point flag `NO_RECORDED_VALUE`).
    Absent,
}

/// A point of a metric series. A series is a metric, a set of attributes and an origin.
#[derive(Clone, Copy, Debug)]
pub struct PointView<'a> {
    /// The metric's name.
    pub metric: &'a str,
    /// Its unit (UCUM), or nothing.
    pub unit: &'a str,
    /// The instrumentation scope.
    pub scope: &'a str,
    /// When, ns since the epoch.
    pub time_ns: u64,
    /// Since when it counts, ns since the epoch; 0 if nothing says.
    pub start_ns: u64,
    /// Its value.
    pub value: PointValue<'a>,
    /// Its attributes.
    pub attributes: &'a Attributes<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_two_attributes_of_one_name_counts() {
        let attributes = [("a", Value::Int(1)), ("b", Value::Str("x")), ("a", Value::Int(2))];
        assert_eq!(attribute(&attributes, "a").and_then(Value::as_f64), Some(1.0));
        assert_eq!(attribute(&attributes, "b").and_then(Value::as_str), Some("x"));
        assert_eq!(attribute(&attributes, "c"), None);
    }
}
