//! The data points of each kind of metric.

use super::super::telemetry::{PointValue, PointView, Value};
use super::metrics::Metric;
use super::value::push;
use super::wire::{DecodeError, Field, Fields};
use super::{Counts, MAX_BUCKETS, Sink};

/// `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`.
const NO_RECORDED_VALUE: u64 = 1;

/// Vectors that are used again for each point.
#[derive(Default)]
pub(super) struct Scratch<'a> {
    pub(super) attributes: Vec<(&'a str, Value<'a>)>,
    counts: Vec<u64>,
    negative: Vec<u64>,
    bounds: Vec<f64>,
    quantiles: Vec<(f64, f64)>,
}

impl Scratch<'_> {
    fn clear(&mut self) {
        self.attributes.clear();
        self.counts.clear();
        self.negative.clear();
        self.bounds.clear();
        self.quantiles.clear();
    }
}

/// What a point of any kind has.
#[derive(Clone, Copy, Default)]
struct Common {
    start_ns: u64,
    time_ns: u64,
    flags: u64,
}

impl Common {
    /// Takes a field that all kinds have under the same number.
    fn take(&mut self, field: Field<'_>) -> Result<(), DecodeError> {
        match field.number {
            2 => self.start_ns = field.fixed64()?,
            3 => self.time_ns = field.fixed64()?,
            _ => {}
        }
        Ok(())
    }
}

fn emit<S: Sink>(
    metric: &Metric<'_>,
    common: Common,
    value: PointValue<'_>,
    attributes: &[(&str, Value<'_>)],
    sink: &mut S,
    counts: &mut Counts,
) {
    let absent = common.flags & NO_RECORDED_VALUE != 0;
    counts.records += 1;
    sink.point(&PointView {
        metric: metric.name,
        unit: metric.unit,
        scope: metric.scope,
        time_ns: common.time_ns,
        start_ns: common.start_ns,
        value: if absent { PointValue::Absent } else { value },
        attributes,
    });
}

/// A point of a gauge or a sum.
pub(super) fn number<'a, S: Sink>(
    message: &'a [u8],
    metric: &Metric<'a>,
    scratch: &mut Scratch<'a>,
    sink: &mut S,
    counts: &mut Counts,
) -> Result<(), DecodeError> {
    scratch.attributes.clear();
    let (mut common, mut value) = (Common::default(), None);
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        match field.number {
            4 => value = Some(field.double()?),
            6 => value = Some(field.fixed64()?.cast_signed() as f64),
            7 => push(&mut scratch.attributes, field.bytes()?, counts)?,
            8 => common.flags = field.varint()?,
            _ => common.take(field)?,
        }
    }
    let value = match (value, metric.monotonic) {
        (None, _) => PointValue::Absent,
        (Some(value), None) => PointValue::Gauge(value),
        (Some(value), Some(monotonic)) => PointValue::Sum {
            value,
            monotonic,
            temporality: metric.temporality,
        },
    };
    emit(metric, common, value, &scratch.attributes, sink, counts);
    Ok(())
}

/// Whether bounds rise, are numbers, and are one less than the counts.
fn fits(bounds: &[f64], counts: &[u64]) -> bool {
    counts.len() == bounds.len() + 1
        && counts.len() <= MAX_BUCKETS
        && bounds.windows(2).all(|pair| pair[0] < pair[1])
        && !bounds.first().is_some_and(|bound| bound.is_nan())
}

/// A point of a histogram with explicit bounds.
pub(super) fn histogram<'a, S: Sink>(
    message: &'a [u8],
    metric: &Metric<'a>,
    scratch: &mut Scratch<'a>,
    sink: &mut S,
    counts: &mut Counts,
) -> Result<(), DecodeError> {
    scratch.clear();
    let (mut common, mut count, mut sum) = (Common::default(), 0, None);
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        match field.number {
            4 => count = field.fixed64()?,
            5 => sum = Some(field.double()?),
            6 => field.repeated_fixed64(&mut scratch.counts, |bits| bits)?,
            7 => field.repeated_fixed64(&mut scratch.bounds, f64::from_bits)?,
            9 => push(&mut scratch.attributes, field.bytes()?, counts)?,
            10 => common.flags = field.varint()?,
            _ => common.take(field)?,
        }
    }
    if scratch.counts.is_empty() && scratch.bounds.is_empty() {
        // Without buckets there is one, which holds everything.
        scratch.counts.push(count);
    }
    if !fits(&scratch.bounds, &scratch.counts) {
        counts.rejected += 1;
        return Ok(());
    }
    let value = PointValue::Histogram {
        temporality: metric.temporality,
        count,
        sum,
        bounds: &scratch.bounds,
        counts: &scratch.counts,
    };
    emit(metric, common, value, &scratch.attributes, sink, counts);
    Ok(())
}

/// Buckets of an exponential histogram: the index of the first, and their counts.
fn buckets(message: &[u8], into: &mut Vec<u64>) -> Result<i32, DecodeError> {
    let (mut fields, mut offset) = (Fields::new(message), 0);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => offset = field.sint32()?,
            2 => field.repeated_varint(into)?,
            _ => {}
        }
    }
    Ok(offset)
}

/// A point of an exponential histogram.
pub(super) fn exponential<'a, S: Sink>(
    message: &'a [u8],
    metric: &Metric<'a>,
    scratch: &mut Scratch<'a>,
    sink: &mut S,
    counts: &mut Counts,
) -> Result<(), DecodeError> {
    scratch.clear();
    let (mut common, mut count, mut sum) = (Common::default(), 0, None);
    let (mut scale, mut zero_count, mut positive, mut negative) = (0, 0, 0, 0);
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => push(&mut scratch.attributes, field.bytes()?, counts)?,
            4 => count = field.fixed64()?,
            5 => sum = Some(field.double()?),
            6 => scale = field.sint32()?,
            7 => zero_count = field.fixed64()?,
            8 => positive = buckets(field.bytes()?, &mut scratch.counts)?,
            9 => negative = buckets(field.bytes()?, &mut scratch.negative)?,
            10 => common.flags = field.varint()?,
            _ => common.take(field)?,
        }
    }
    if scratch.counts.len().max(scratch.negative.len()) > MAX_BUCKETS {
        counts.rejected += 1;
        return Ok(());
    }
    let value = PointValue::ExponentialHistogram {
        temporality: metric.temporality,
        count,
        sum,
        scale,
        zero_count,
        positive: (positive, &scratch.counts),
        negative: (negative, &scratch.negative),
    };
    emit(metric, common, value, &scratch.attributes, sink, counts);
    Ok(())
}

fn quantile(message: &[u8]) -> Result<(f64, f64), DecodeError> {
    let (mut fields, mut pair) = (Fields::new(message), (0.0, 0.0));
    while let Some(field) = fields.next()? {
        match field.number {
            1 => pair.0 = field.double()?,
            2 => pair.1 = field.double()?,
            _ => {}
        }
    }
    Ok(pair)
}

/// A point of a summary.
pub(super) fn summary<'a, S: Sink>(
    message: &'a [u8],
    metric: &Metric<'a>,
    scratch: &mut Scratch<'a>,
    sink: &mut S,
    counts: &mut Counts,
) -> Result<(), DecodeError> {
    scratch.clear();
    let (mut common, mut count, mut sum) = (Common::default(), 0, 0.0);
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        match field.number {
            4 => count = field.fixed64()?,
            5 => sum = field.double()?,
            6 => scratch.quantiles.push(quantile(field.bytes()?)?),
            7 => push(&mut scratch.attributes, field.bytes()?, counts)?,
            8 => common.flags = field.varint()?,
            _ => common.take(field)?,
        }
    }
    if scratch.quantiles.len() > MAX_BUCKETS {
        counts.rejected += 1;
        return Ok(());
    }
    let value = PointValue::Summary {
        count,
        sum,
        quantiles: &scratch.quantiles,
    };
    emit(metric, common, value, &scratch.attributes, sink, counts);
    Ok(())
}
