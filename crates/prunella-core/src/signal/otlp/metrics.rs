//! `ExportMetricsServiceRequest`: what a metric is, and which points it has. The points are read in `points`.

use super::super::telemetry::Temporality;
use super::points::{Scratch, exponential, histogram, number, summary};
use super::value::each_record;
use super::wire::{DecodeError, Fields};
use super::{Counts, Sink};

/// What all points of a metric have in common.
#[derive(Clone, Copy)]
pub(super) struct Metric<'a> {
    pub(super) name: &'a str,
    pub(super) unit: &'a str,
    pub(super) scope: &'a str,
    pub(super) temporality: Temporality,
    /// Of a sum, whether it only rises; `None` for a gauge.
    pub(super) monotonic: Option<bool>,
}

pub(super) fn decode<S: Sink>(request: &[u8], sink: &mut S) -> Result<Counts, DecodeError> {
    let mut scratch = Scratch::default();
    each_record(request, sink, |message, scope, sink, counts| {
        metric(message, scope, &mut scratch, sink, counts)
    })
}

fn metric<'a, S: Sink>(
    message: &'a [u8],
    scope: &'a str,
    scratch: &mut Scratch<'a>,
    sink: &mut S,
    counts: &mut Counts,
) -> Result<(), DecodeError> {
    let (mut name, mut unit, mut data) = ("", "", None);
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => name = field.text()?,
            3 => unit = field.text()?,
            5 | 7 | 9 | 10 | 11 => data = Some((field.number, field.bytes()?)),
            _ => {}
        }
    }
    let Some((form, data)) = data else {
        return Ok(());
    };
    let (temporality, monotonic) = qualities(data)?;
    let metric = Metric {
        name,
        unit,
        scope,
        temporality,
        monotonic: (form == 7).then_some(monotonic),
    };
    let mut fields = Fields::new(data);
    while let Some(field) = fields.next()? {
        if field.number != 1 {
            continue;
        }
        let point = field.bytes()?;
        match form {
            9 => histogram(point, &metric, scratch, sink, counts)?,
            10 => exponential(point, &metric, scratch, sink, counts)?,
            11 => summary(point, &metric, scratch, sink, counts)?,
            _ => number(point, &metric, scratch, sink, counts)?,
        }
    }
    Ok(())
}

/// The temporality and monotonicity of a sum or histogram, which usually come behind the points. Unspecified is taken as
/// cumulative, as Prometheus means it.
fn qualities(data: &[u8]) -> Result<(Temporality, bool), DecodeError> {
    let (mut fields, mut found) = (Fields::new(data), (Temporality::Cumulative, false));
    while let Some(field) = fields.next()? {
        match field.number {
            2 if field.enumeration()? == 1 => found.0 = Temporality::Delta,
            2 => found.0 = Temporality::Cumulative,
            3 => found.1 = field.varint()? != 0,
            _ => {}
        }
    }
    Ok(found)
}
