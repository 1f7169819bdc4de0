//! Requests → the observatory: the one way in for telemetry that comes as OTLP, live or recorded.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::telemetry::{Attributes, LogView, Origin, PointView, SpanView};
use super::census::Priority;
use super::origins::{Known, OriginLimits, Origins};
use super::wire::DecodeError;
use super::{Counts, Kind, Sink, decode};
use crate::detect::{Anomaly, Observatory};
use crate::id::{ReleaseId, ServiceName};
use crate::signal::Signal;

/// What became of a request's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedCounts {
    /// What the request held.
    pub counts: Counts,
    /// Records that were left out because they matter less than the floor.
    pub shed: u64,
    /// The latest time that a record names, ns since the epoch; 0 if none does.
    pub latest_ns: u64,
}

/// Feeds an observatory and remembers who emits.
#[derive(Debug, Default)]
pub struct Feed {
    origins: Origins,
}

impl Feed {
    /// Nobody has emitted yet.
    #[must_use]
    pub fn new(limits: OriginLimits) -> Self {
        Self {
            origins: Origins::new(limits),
        }
    }

    /// See [`Origins::know`].
    pub fn know(&mut self, known: Vec<Known>, good: BTreeMap<ServiceName, ReleaseId>) {
        self.origins.know(known, good);
    }

    /// Who emitted so far.
    #[must_use]
    pub fn origins(&self) -> &Origins {
        &self.origins
    }

    /// Shows a request to the observatory, but for what matters less than `floor`.
    ///
    /// # Errors
    /// If the bytes are no such request; what came before the fault was shown.
    pub fn request(
        &mut self,
        kind: Kind,
        request: &[u8],
        floor: Priority,
        sky: &mut Observatory,
        out: &mut Vec<Anomaly>,
    ) -> Result<FeedCounts, DecodeError> {
        let mut sink = Feeding {
            origins: &mut self.origins,
            origin: None,
            floor,
            sky,
            out,
            shed: 0,
            latest_ns: 0,
        };
        let counts = decode(kind, request, &mut sink)?;
        Ok(FeedCounts {
            counts,
            shed: sink.shed,
            latest_ns: sink.latest_ns,
        })
    }

    /// Shows a log record of a release that Prunella runs or that was read from a file.
    pub fn log(
        &mut self,
        service: &ServiceName,
        release: &ReleaseId,
        record: &LogView<'_>,
        sky: &mut Observatory,
        out: &mut Vec<Anomaly>,
    ) {
        let origin = self.release(service, release, sky);
        let before = out.len();
        sky.log(&origin, record, out);
        name(&origin, &mut out[before..]);
    }

    /// Shows what Prunella itself saw of a release.
    pub fn signal(&mut self, service: &ServiceName, signal: &Signal, sky: &mut Observatory, out: &mut Vec<Anomaly>) {
        let origin = self.release(service, signal.release(), sky);
        let before = out.len();
        sky.signal(&origin, signal, out);
        name(&origin, &mut out[before..]);
    }

    fn release(&mut self, service: &ServiceName, release: &ReleaseId, sky: &mut Observatory) -> Arc<Origin> {
        let (origin, new) = self.origins.of_release(service, release);
        if new {
            sky.origin(&origin);
        }
        origin
    }
}

/// An anomaly that was found at a record of an origin, and that does not say of whom it is, is of that origin.
fn name(origin: &Origin, found: &mut [Anomaly]) {
    for anomaly in found {
        anomaly.service.get_or_insert_with(|| origin.service.clone());
    }
}

struct Feeding<'f> {
    origins: &'f mut Origins,
    origin: Option<Arc<Origin>>,
    floor: Priority,
    sky: &'f mut Observatory,
    out: &'f mut Vec<Anomaly>,
    shed: u64,
    latest_ns: u64,
}

impl Feeding<'_> {
    #[inline]
    fn show(
        &mut self,
        priority: Priority,
        time_ns: u64,
        show: impl FnOnce(&Origin, &mut Observatory, &mut Vec<Anomaly>),
    ) {
        self.latest_ns = self.latest_ns.max(time_ns);
        if priority < self.floor {
            self.shed += 1;
            return;
        }
        let Some(origin) = &self.origin else { return };
        let before = self.out.len();
        show(origin, self.sky, self.out);
        if self.out.len() > before {
            name(origin, &mut self.out[before..]);
        }
    }
}

impl Sink for Feeding<'_> {
    fn resource(&mut self, attributes: &Attributes<'_>) {
        let (origin, new) = self.origins.of(attributes);
        if new {
            self.sky.origin(&origin);
        }
        self.origin = Some(origin);
    }

    fn log(&mut self, record: &LogView<'_>) {
        self.show(Priority::of_log(record), record.time_ns, |origin, sky, out| {
            sky.log(origin, record, out)
        });
    }

    fn span(&mut self, span: &SpanView<'_>) {
        self.show(Priority::of_span(span), span.end_ns, |origin, sky, out| {
            sky.span(origin, span, out)
        });
    }

    fn point(&mut self, point: &PointView<'_>) {
        self.show(Priority::of_point(point), point.time_ns, |origin, sky, out| {
            sky.point(origin, point, out)
        });
    }
}
