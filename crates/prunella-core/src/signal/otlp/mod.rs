//! OTLP bytes → borrowed views of log records, spans and metric points.
//!
//! *Method.* A pull reader of the protobuf wire format that touches each byte once, copies no text and allocates a few
//! vectors a request, which it uses again for each record. Fields may come in any order, so that what qualifies the rest
//! (resource, scope, a metric's name) is looked for first; skipping a length-delimited field costs nothing. Unknown fields
//! are skipped. Nothing recurses: nested attribute values stay encoded.
//!
//! *Source.* OTLP 1.x (`opentelemetry/proto`), the protobuf encoding specification.
//!
//! All bytes are hostile. A request that is not protobuf, or has text that is not UTF-8, is refused as a whole
//! ([`DecodeError`]); a record that is protobuf and makes no sense (a span without an identifier, a histogram with more
//! bounds than counts) is counted as rejected and left out.

mod census;
mod feed;
mod json;
mod logs;
mod metrics;
mod origins;
mod points;
mod schema;
mod severity;
mod traces;
mod value;
mod wire;
pub mod write;

pub use census::{Census, Priority, census};
pub use feed::{Feed, FeedCounts};
pub use json::{JsonError, from_json, kind_of_json};
pub use origins::{Known, OriginLimits, Origins};
pub use severity::severity_of;
pub use wire::DecodeError;
pub(crate) use wire::Fields;

use super::telemetry::{Attributes, LogView, PointView, SpanView};

/// Which of the three services of OTLP a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `ExportLogsServiceRequest`.
    Logs,
    /// `ExportTraceServiceRequest`.
    Traces,
    /// `ExportMetricsServiceRequest`.
    Metrics,
}

/// Attributes of one record that are read; what goes beyond is counted.
pub const MAX_ATTRIBUTES: usize = 512;
/// Buckets of one histogram, or quantiles of one summary; a point with more is rejected.
pub const MAX_BUCKETS: usize = 16_384;

/// Takes what a request holds, in the request's order.
pub trait Sink {
    /// A resource begins: what follows is its own, until the next one begins.
    fn resource(&mut self, attributes: &Attributes<'_>);
    /// A log record.
    fn log(&mut self, record: &LogView<'_>) {
        let _ = record;
    }
    /// A span.
    fn span(&mut self, span: &SpanView<'_>) {
        let _ = span;
    }
    /// A metric point.
    fn point(&mut self, point: &PointView<'_>) {
        let _ = point;
    }
}

/// What a request held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that were shown to the sink.
    pub records: u64,
    /// Records that make no sense, and were not.
    pub rejected: u64,
    /// Attributes beyond [`MAX_ATTRIBUTES`].
    pub attributes_dropped: u64,
}

/// Shows everything in an export request to a sink.
///
/// # Errors
/// If the bytes are not such a request. The sink may have seen a part of it: ask [`census`] first where that matters.
pub fn decode<S: Sink>(kind: Kind, request: &[u8], sink: &mut S) -> Result<Counts, DecodeError> {
    match kind {
        Kind::Logs => logs::decode(request, sink),
        Kind::Traces => traces::decode(request, sink),
        Kind::Metrics => metrics::decode(request, sink),
    }
}

#[cfg(test)]
mod tests;
