//! Prometheus remote-write → an OTLP metrics request, so that there is one way in for metrics.
//!
//! *Method.* `job` becomes `service.name` and `instance` `service.instance.id`, as the Collector maps them; `__name__` is the
//! metric. A name that ends in `_total`, `_count`, `_sum` or `_bucket` is a cumulative monotonic sum by Prometheus' naming
//! rules; anything else is a gauge. The staleness marker becomes `NO_RECORDED_VALUE`.
//!
//! *Source.* Prometheus remote-write 1.0 (`prometheus.WriteRequest`); OpenTelemetry "Prometheus and OpenMetrics
//! Compatibility". Native histograms are left out.

use super::otlp::{DecodeError, Fields, write};

/// The bits of the NaN by which Prometheus says that a series has ended.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Turns an unpacked `WriteRequest` into an `ExportMetricsServiceRequest`.
///
/// # Errors
/// If the bytes are no such message.
pub fn to_otlp(request: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let (mut fields, mut out) = (Fields::new(request), Vec::with_capacity(request.len() * 2));
    while let Some(field) = fields.next()? {
        if field.number == 1 {
            series(field.bytes()?, &mut out)?;
        }
    }
    Ok(out)
}

fn label(message: &[u8]) -> Result<(&str, &str), DecodeError> {
    let (mut fields, mut pair) = (Fields::new(message), ("", ""));
    while let Some(field) = fields.next()? {
        match field.number {
            1 => pair.0 = field.text()?,
            2 => pair.1 = field.text()?,
            _ => {}
        }
    }
    Ok(pair)
}

/// A `KeyValue` with text, as field `number`.
fn attribute(out: &mut Vec<u8>, number: u32, key: &str, value: &str) {
    let (mut any, mut pair) = (Vec::new(), Vec::new());
    write::bytes(&mut any, 1, value.as_bytes());
    write::bytes(&mut pair, 1, key.as_bytes());
    write::bytes(&mut pair, 2, &any);
    write::bytes(out, number, &pair);
}

fn series(message: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let (mut resource, mut attributes, mut points) = (Vec::new(), Vec::new(), Vec::new());
    let mut name = "";
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        if field.number == 1 {
            match label(field.bytes()?)? {
                ("__name__", value) => name = value,
                ("job", value) => attribute(&mut resource, 1, "service.name", value),
                ("instance", value) => attribute(&mut resource, 1, "service.instance.id", value),
                (key, value) => attribute(&mut attributes, 7, key, value),
            }
        }
    }
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        if field.number == 2 {
            let mut point = sample(field.bytes()?)?;
            point.extend_from_slice(&attributes);
            write::bytes(&mut points, 1, &point);
        }
    }
    let rises = ["_total", "_count", "_sum", "_bucket"]
        .iter()
        .any(|end| name.ends_with(end));
    if rises {
        write::integer(&mut points, 2, 2);
        write::integer(&mut points, 3, 1);
    }
    let (mut metric, mut scope, mut all) = (Vec::new(), Vec::new(), Vec::new());
    write::bytes(&mut metric, 1, name.as_bytes());
    write::bytes(&mut metric, if rises { 7 } else { 5 }, &points);
    write::bytes(&mut scope, 2, &metric);
    write::bytes(&mut all, 1, &resource);
    write::bytes(&mut all, 2, &scope);
    write::bytes(out, 1, &all);
    Ok(())
}

/// A `Sample` as a `NumberDataPoint` without attributes.
fn sample(message: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let (mut fields, mut value, mut at_ms) = (Fields::new(message), 0, 0_i64);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => value = field.fixed64()?,
            2 => at_ms = field.varint()?.cast_signed(),
            _ => {}
        }
    }
    let mut point = Vec::new();
    let at_ns = u64::try_from(at_ms).unwrap_or(0).saturating_mul(1_000_000);
    write::fixed64(&mut point, 3, at_ns);
    if value == STALE {
        write::integer(&mut point, 8, 1);
    } else {
        write::fixed64(&mut point, 4, value);
    }
    Ok(point)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::signal::otlp::{Kind, Sink, census, decode};
    use crate::signal::telemetry::{Attributes, PointView};

    fn series_of(labels: &[(&str, &str)], samples: &[(u64, i64)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (key, value) in labels {
            let mut pair = Vec::new();
            write::bytes(&mut pair, 1, key.as_bytes());
            write::bytes(&mut pair, 2, value.as_bytes());
            write::bytes(&mut out, 1, &pair);
        }
        for (bits, at_ms) in samples {
            let mut sample = Vec::new();
            write::fixed64(&mut sample, 1, *bits);
            write::integer(&mut sample, 2, at_ms.cast_unsigned());
            write::bytes(&mut out, 2, &sample);
        }
        out
    }

    #[test]
    fn series_become_points_of_a_service() {
        #[derive(Default)]
        struct Lines(Vec<String>);
        impl Sink for Lines {
            fn resource(&mut self, attributes: &Attributes<'_>) {
                self.0.push(format!("{attributes:?}"));
            }
            fn point(&mut self, point: &PointView<'_>) {
                self.0.push(format!(
                    "{} {} {:?} {:?}",
                    point.metric, point.time_ns, point.value, point.attributes
                ));
            }
        }
        let labels = [
            ("__name__", "http_requests_total"),
            ("job", "api"),
            ("instance", "i:1"),
            ("code", "200"),
        ];
        let mut request = Vec::new();
        write::bytes(
            &mut request,
            1,
            &series_of(&labels, &[(5.0_f64.to_bits(), 7), (STALE, 8)]),
        );
        write::bytes(
            &mut request,
            1,
            &series_of(&[("__name__", "up")], &[(1.0_f64.to_bits(), -1)]),
        );
        let mut lines = Lines::default();
        decode(Kind::Metrics, &to_otlp(&request).unwrap(), &mut lines).unwrap();
        let expected = [
            "[(\"service.name\", Str(\"api\")), (\"service.instance.id\", Str(\"i:1\"))]",
            "http_requests_total 7000000 Sum { value: 5.0, monotonic: true, temporality: Cumulative } [(\"code\", Str(\"200\"))]",
            "http_requests_total 8000000 Absent [(\"code\", Str(\"200\"))]",
            "[]",
            "up 0 Gauge(1.0) []",
        ];
        assert_eq!(lines.0, expected);
    }

    proptest! {
        #[test]
        fn hostile_bytes_do_not_panic(request in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(otlp) = to_otlp(&request) {
                prop_assert!(census(Kind::Metrics, &otlp).is_ok());
            }
        }
    }
}
