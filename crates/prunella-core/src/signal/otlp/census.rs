//! What a request holds, before anything is done with it: whether it can be read at all, and how much of it matters how much.

use super::super::Severity;
use super::super::telemetry::{Attributes, LogView, PointView, SpanKind, SpanStatus, SpanView};
use super::wire::DecodeError;
use super::{Counts, Kind, Sink, decode};

/// How much a record matters when not all can be looked at: the least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// Trace and debug logs; spans inside of a service that are not in error.
    #[default]
    Detail,
    /// Other logs and spans that are not in error.
    Plain,
    /// Warnings and metric points: few bytes that say much.
    Notable,
    /// Errors: shed never, at most refused with a request to come again.
    Error,
}

impl Priority {
    /// Of a log record.
    #[must_use]
    pub fn of_log(record: &LogView<'_>) -> Self {
        match record.severity {
            Some(Severity::Trace | Severity::Debug) => Self::Detail,
            Some(Severity::Info) | None => Self::Plain,
            Some(Severity::Warn) => Self::Notable,
            Some(Severity::Error | Severity::Fatal) => Self::Error,
        }
    }

    /// Of a span.
    #[must_use]
    pub fn of_span(span: &SpanView<'_>) -> Self {
        if span.status == SpanStatus::Error || span.exception_type.is_some() {
            Self::Error
        } else if span.kind == SpanKind::Internal && span.parent_id.is_some() {
            Self::Detail
        } else {
            Self::Plain
        }
    }

    /// Of a metric point.
    #[must_use]
    pub fn of_point(_: &PointView<'_>) -> Self {
        Self::Notable
    }
}

/// What a request holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Records and what is wrong with some.
    pub counts: Counts,
    /// Records by [`Priority`].
    by_priority: [u64; 4],
}

impl Census {
    /// Records that matter less than this.
    #[must_use]
    pub fn below(&self, floor: Priority) -> u64 {
        self.by_priority[..floor as usize].iter().sum()
    }

    /// Records of this priority.
    #[must_use]
    pub fn of(&self, priority: Priority) -> u64 {
        self.by_priority[priority as usize]
    }
}

impl Sink for Census {
    fn resource(&mut self, _: &Attributes<'_>) {}
    fn log(&mut self, record: &LogView<'_>) {
        self.by_priority[Priority::of_log(record) as usize] += 1;
    }
    fn span(&mut self, span: &SpanView<'_>) {
        self.by_priority[Priority::of_span(span) as usize] += 1;
    }
    fn point(&mut self, point: &PointView<'_>) {
        self.by_priority[Priority::of_point(point) as usize] += 1;
    }
}

/// Reads a request to its end and counts. What this accepts, [`decode`] accepts.
///
/// # Errors
/// If the bytes are not such a request.
pub fn census(kind: Kind, request: &[u8]) -> Result<Census, DecodeError> {
    let mut census = Census::default();
    census.counts = decode(kind, request, &mut census)?;
    Ok(census)
}
