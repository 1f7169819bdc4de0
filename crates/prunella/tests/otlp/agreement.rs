//! Whatever prost encodes by OpenTelemetry's own definitions, the reader sees as it was meant.

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use proptest::prelude::*;
use prost::Message as _;
use prunella_core::signal::otlp::{Kind, Sink, decode, severity_of};
use prunella_core::signal::telemetry::{
    Attributes, LogView, PointValue, PointView, SpanKind, SpanStatus, SpanView, Temporality, Value,
};

/// One line for each thing that the reader shows.
#[derive(Default)]
struct Lines(Vec<String>);

impl Sink for Lines {
    fn resource(&mut self, attributes: &Attributes<'_>) {
        self.0.push(format!("resource {attributes:?}"));
    }
    fn log(&mut self, r: &LogView<'_>) {
        let head = format!(
            "{} {:?} {:?} {:?} {:?}",
            r.time_ns, r.severity, r.body, r.event_name, r.scope
        );
        self.0
            .push(format!("{head} {:?} {:?} {:?}", r.attributes, r.trace_id, r.span_id));
    }
    fn span(&mut self, s: &SpanView<'_>) {
        let head = format!(
            "{:?} {:?} {:?} {:?} {:?}",
            s.trace_id, s.span_id, s.parent_id, s.name, s.kind
        );
        let times = format!("{} {} {:?} {:?}", s.start_ns, s.end_ns, s.status, s.status_message);
        self.0.push(format!(
            "{head} {times} {:?} {:?} {:?}",
            s.attributes, s.exception_type, s.exception_message
        ));
    }
    fn point(&mut self, p: &PointView<'_>) {
        let head = format!("{} {} {} {} {}", p.metric, p.unit, p.scope, p.time_ns, p.start_ns);
        self.0.push(format!("{head} {:?} {:?}", p.value, p.attributes));
    }
}

fn shown(kind: Kind, request: &[u8]) -> Vec<String> {
    let mut lines = Lines::default();
    decode(kind, request, &mut lines).expect("prost encodes what can be read");
    lines.0
}

/// A value as the reader shows it. Nested ones are shown as they are encoded.
fn value<'a>(any: &'a AnyValue, encoded: &'a mut Vec<u8>) -> Value<'a> {
    use any_value::Value as V;
    match &any.value {
        None | Some(V::StringValueStrindex(_)) => Value::Empty,
        Some(V::StringValue(text)) => Value::Str(text),
        Some(V::BoolValue(value)) => Value::Bool(*value),
        Some(V::IntValue(value)) => Value::Int(*value),
        Some(V::DoubleValue(value)) => Value::Double(*value),
        Some(V::BytesValue(bytes)) => Value::Bytes(bytes),
        Some(V::ArrayValue(_) | V::KvlistValue(_)) => {
            *encoded = any.encode_to_vec();
            Value::Nested(encoded)
        }
    }
}

fn attributes(pairs: &[KeyValue]) -> String {
    let lines = pairs.iter().map(|pair| {
        let mut encoded = Vec::new();
        let empty = AnyValue::default();
        let value = value(pair.value.as_ref().unwrap_or(&empty), &mut encoded);
        format!("{:?}", (pair.key.as_str(), value))
    });
    format!("[{}]", lines.collect::<Vec<_>>().join(", "))
}

fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok().filter(|id| *id != [0; N])
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    use any_value::Value as V;
    let leaf = prop_oneof![
        "\\PC{0,12}".prop_map(V::StringValue),
        any::<bool>().prop_map(V::BoolValue),
        any::<i64>().prop_map(V::IntValue),
        any::<f64>().prop_map(V::DoubleValue),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(V::BytesValue),
    ];
    let leaf = prop::option::weighted(0.9, leaf).prop_map(|value| AnyValue { value });
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop::collection::vec(inner, 0..4).prop_map(|values| AnyValue {
            value: Some(V::ArrayValue(opentelemetry_proto::tonic::common::v1::ArrayValue {
                values,
            })),
        })
    })
}

fn pairs() -> impl Strategy<Value = Vec<KeyValue>> {
    let pair = ("[a-z.]{0,8}", prop::option::of(any_value())).prop_map(|(key, value)| KeyValue {
        key,
        value,
        ..KeyValue::default()
    });
    prop::collection::vec(pair, 0..5)
}

fn resource() -> impl Strategy<Value = Option<Resource>> {
    prop::option::of(pairs().prop_map(|attributes| Resource {
        attributes,
        ..Resource::default()
    }))
}

fn scope() -> impl Strategy<Value = Option<InstrumentationScope>> {
    prop::option::of(
        ("[a-z]{0,5}", pairs()).prop_map(|(name, attributes)| InstrumentationScope {
            name,
            attributes,
            version: "1".to_owned(),
            dropped_attributes_count: 3,
        }),
    )
}

fn resource_line(resource: Option<&Resource>) -> String {
    format!("resource {}", attributes(resource.map_or(&[], |r| &r.attributes)))
}

fn scope_name(scope: Option<&InstrumentationScope>) -> &str {
    scope.map_or("", |scope| &scope.name)
}

fn bytes_of(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), length),
        prop::collection::vec(any::<u8>(), 0..length),
        Just(vec![0; length]),
    ]
}

prop_compose! {
    fn log()(
        time_unix_nano in any::<u64>(), observed_time_unix_nano in any::<u64>(), severity_number in -1..30_i32,
        severity_text in "(|INFO|error|x)", text in prop::option::of("\\PC{0,20}"), attributes in pairs(),
        trace_id in bytes_of(16), span_id in bytes_of(8), flags in any::<u32>(), event_name in "[a-z]{0,3}"
    ) -> LogRecord {
        let body = text.map(|text| AnyValue { value: Some(any_value::Value::StringValue(text)) });
        LogRecord {
            time_unix_nano, observed_time_unix_nano, severity_number, severity_text, body, attributes, trace_id, span_id,
            flags, event_name, dropped_attributes_count: 1,
        }
    }
}

fn log_line(r: &LogRecord, scope: &str) -> String {
    let time = if r.time_unix_nano == 0 {
        r.observed_time_unix_nano
    } else {
        r.time_unix_nano
    };
    let body = match r.body.as_ref().and_then(|b| b.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.as_str(),
        _ => "",
    };
    let event = (!r.event_name.is_empty()).then_some(r.event_name.as_str());
    let severity = severity_of(r.severity_number, &r.severity_text);
    let ids = (id::<16>(&r.trace_id), id::<8>(&r.span_id));
    format!(
        "{time} {severity:?} {body:?} {event:?} {scope:?} {} {:?} {:?}",
        attributes(&r.attributes),
        ids.0,
        ids.1
    )
}

prop_compose! {
    fn one_span()(
        trace_id in bytes_of(16), span_id in bytes_of(8), parent_span_id in bytes_of(8), name in "\\PC{0,9}", kind in -1..8_i32,
        start_time_unix_nano in any::<u64>(), end_time_unix_nano in any::<u64>(), attributes in pairs(),
        events in prop::collection::vec(("(exception|x)", "[A-Z]{1,3}"), 0..4), status in prop::option::of(("[a-z]{0,4}", -1..4_i32))
    ) -> Span {
        let text = |text: String| Some(AnyValue { value: Some(any_value::Value::StringValue(text)) });
        let events = events.into_iter().map(|(name, class)| span::Event {
            name,
            attributes: vec![KeyValue { key: "exception.type".to_owned(), value: text(class), ..KeyValue::default() }],
            ..span::Event::default()
        });
        Span {
            trace_id, span_id, parent_span_id, name, kind, start_time_unix_nano, end_time_unix_nano, attributes,
            events: events.collect(), status: status.map(|(message, code)| Status { message, code }),
            trace_state: "a=b".to_owned(), flags: 257, ..Span::default()
        }
    }
}

fn span_line(s: &Span) -> Option<String> {
    let (trace_id, span_id) = (id::<16>(&s.trace_id)?, id::<8>(&s.span_id)?);
    let kinds = [
        SpanKind::Server,
        SpanKind::Client,
        SpanKind::Producer,
        SpanKind::Consumer,
    ];
    let at = usize::try_from(s.kind - 2).ok();
    let kind = at.and_then(|at| kinds.get(at)).copied().unwrap_or(SpanKind::Internal);
    let head = format!(
        "{trace_id:?} {span_id:?} {:?} {:?} {kind:?}",
        id::<8>(&s.parent_span_id),
        s.name
    );
    let status = s.status.clone().unwrap_or_default();
    let ended = match status.code {
        1 => SpanStatus::Ok,
        2 => SpanStatus::Error,
        _ => SpanStatus::Unset,
    };
    let end = s.end_time_unix_nano.max(s.start_time_unix_nano);
    let times = format!("{} {end} {ended:?} {:?}", s.start_time_unix_nano, status.message);
    let raised = s.events.iter().find(|e| e.name == "exception").map(|e| {
        match e.attributes[0].value.as_ref().and_then(|v| v.value.as_ref()) {
            Some(any_value::Value::StringValue(text)) => text.as_str(),
            _ => "",
        }
    });
    Some(format!("{head} {times} {} {raised:?} None", attributes(&s.attributes)))
}

fn number_point() -> impl Strategy<Value = NumberDataPoint> {
    let value = prop_oneof![
        any::<f64>().prop_map(number_data_point::Value::AsDouble),
        any::<i64>().prop_map(number_data_point::Value::AsInt),
    ];
    (pairs(), any::<u64>(), any::<u64>(), prop::option::of(value), 0..3_u32).prop_map(
        |(attributes, start, time, value, flags)| NumberDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: time,
            value,
            flags,
            ..NumberDataPoint::default()
        },
    )
}

fn histogram_point() -> impl Strategy<Value = HistogramDataPoint> {
    let buckets = prop::collection::btree_set(-1000..1000_i32, 0..6);
    (
        pairs(),
        any::<u64>(),
        buckets,
        any::<u64>(),
        prop::option::of(any::<f64>()),
    )
        .prop_map(|(attributes, time, bounds, count, sum)| HistogramDataPoint {
            attributes,
            time_unix_nano: time,
            count,
            sum,
            bucket_counts: (0..=bounds.len() as u64).map(|n| n * 1_000_003).collect(),
            explicit_bounds: bounds.into_iter().map(f64::from).collect(),
            min: Some(1.0),
            ..HistogramDataPoint::default()
        })
}

fn exponential_point() -> impl Strategy<Value = ExponentialHistogramDataPoint> {
    let buckets = || {
        let buckets = (any::<i32>(), prop::collection::vec(any::<u64>(), 0..5));
        prop::option::of(buckets.prop_map(|(offset, bucket_counts)| Buckets { offset, bucket_counts }))
    };
    (pairs(), any::<i32>(), any::<u64>(), buckets(), buckets(), 0..2_u32).prop_map(
        |(attributes, scale, zero_count, positive, negative, flags)| ExponentialHistogramDataPoint {
            attributes,
            scale,
            zero_count,
            positive,
            negative,
            flags,
            count: 9,
            zero_threshold: 0.5,
            ..ExponentialHistogramDataPoint::default()
        },
    )
}

fn data() -> impl Strategy<Value = metric::Data> {
    let numbers = || prop::collection::vec(number_point(), 0..3);
    let summary = (
        pairs(),
        any::<u64>(),
        any::<f64>(),
        prop::collection::vec((any::<f64>(), any::<f64>()), 0..3),
    );
    let summary = summary.prop_map(|(attributes, count, sum, quantiles)| SummaryDataPoint {
        attributes,
        count,
        sum,
        quantile_values: quantiles
            .into_iter()
            .map(|(quantile, value)| ValueAtQuantile { quantile, value })
            .collect(),
        ..SummaryDataPoint::default()
    });
    prop_oneof![
        numbers().prop_map(|data_points| metric::Data::Gauge(Gauge { data_points })),
        (numbers(), 0..3_i32, any::<bool>()).prop_map(|(data_points, aggregation_temporality, is_monotonic)| {
            metric::Data::Sum(Sum {
                data_points,
                aggregation_temporality,
                is_monotonic,
            })
        }),
        (prop::collection::vec(histogram_point(), 0..3), 0..3_i32).prop_map(
            |(data_points, aggregation_temporality)| {
                metric::Data::Histogram(Histogram {
                    data_points,
                    aggregation_temporality,
                })
            }
        ),
        (prop::collection::vec(exponential_point(), 0..3), 0..3_i32).prop_map(
            |(data_points, aggregation_temporality)| {
                metric::Data::ExponentialHistogram(ExponentialHistogram {
                    data_points,
                    aggregation_temporality,
                })
            }
        ),
        prop::collection::vec(summary, 0..3).prop_map(|data_points| metric::Data::Summary(Summary { data_points })),
    ]
}

fn temporality(number: i32) -> Temporality {
    if number == 1 {
        Temporality::Delta
    } else {
        Temporality::Cumulative
    }
}

/// The values of a metric as they should be shown: start, time, value, attributes.
fn points(data: &metric::Data) -> Vec<(u64, u64, String, String)> {
    let line = |start, time, flags: u32, value: PointValue<'_>, pairs: &[KeyValue]| {
        let value = if flags & 1 == 1 { PointValue::Absent } else { value };
        (start, time, format!("{value:?}"), attributes(pairs))
    };
    let number = |p: &NumberDataPoint| match p.value {
        None => None,
        Some(number_data_point::Value::AsDouble(value)) => Some(value),
        Some(number_data_point::Value::AsInt(value)) => Some(value as f64),
    };
    let numbers = |points: &[NumberDataPoint], make: &dyn Fn(f64) -> PointValue<'static>| {
        let lines = points.iter().map(|p| {
            let value = number(p).map_or(PointValue::Absent, make);
            line(p.start_time_unix_nano, p.time_unix_nano, p.flags, value, &p.attributes)
        });
        lines.collect::<Vec<_>>()
    };
    match data {
        metric::Data::Gauge(g) => numbers(&g.data_points, &PointValue::Gauge),
        metric::Data::Sum(s) => numbers(&s.data_points, &|value| PointValue::Sum {
            value,
            monotonic: s.is_monotonic,
            temporality: temporality(s.aggregation_temporality),
        }),
        metric::Data::Histogram(h) => {
            let lines = h.data_points.iter().map(|p| {
                let value = PointValue::Histogram {
                    temporality: temporality(h.aggregation_temporality),
                    count: p.count,
                    sum: p.sum,
                    bounds: &p.explicit_bounds,
                    counts: &p.bucket_counts,
                };
                line(p.start_time_unix_nano, p.time_unix_nano, p.flags, value, &p.attributes)
            });
            lines.collect()
        }
        metric::Data::ExponentialHistogram(h) => {
            let buckets = |b: &Option<Buckets>| b.clone().map_or((0, Vec::new()), |b| (b.offset, b.bucket_counts));
            let lines = h.data_points.iter().map(|p| {
                let (positive, negative) = (buckets(&p.positive), buckets(&p.negative));
                let value = PointValue::ExponentialHistogram {
                    temporality: temporality(h.aggregation_temporality),
                    count: p.count,
                    sum: p.sum,
                    scale: p.scale,
                    zero_count: p.zero_count,
                    positive: (positive.0, &positive.1),
                    negative: (negative.0, &negative.1),
                };
                line(p.start_time_unix_nano, p.time_unix_nano, p.flags, value, &p.attributes)
            });
            lines.collect()
        }
        metric::Data::Summary(s) => {
            let lines = s.data_points.iter().map(|p| {
                // A negative zero is encoded as nothing, and read as zero.
                let quantiles: Vec<(f64, f64)> = p
                    .quantile_values
                    .iter()
                    .map(|q| (q.quantile + 0.0, q.value + 0.0))
                    .collect();
                let value = PointValue::Summary {
                    count: p.count,
                    sum: p.sum + 0.0,
                    quantiles: &quantiles,
                };
                line(p.start_time_unix_nano, p.time_unix_nano, p.flags, value, &p.attributes)
            });
            lines.collect()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn logs(all in prop::collection::vec((resource(), scope(), prop::collection::vec(log(), 0..4)), 0..3)) {
        let mut expected = Vec::new();
        let resource_logs = all.into_iter().map(|(resource, scope, log_records)| {
            expected.push(resource_line(resource.as_ref()));
            expected.extend(log_records.iter().map(|r| log_line(r, scope_name(scope.as_ref()))));
            ResourceLogs {
                resource,
                scope_logs: vec![ScopeLogs { scope, log_records, schema_url: "s".to_owned() }],
                schema_url: "u".to_owned(),
            }
        });
        let request = ExportLogsServiceRequest { resource_logs: resource_logs.collect() };
        prop_assert_eq!(shown(Kind::Logs, &request.encode_to_vec()), expected);
    }

    #[test]
    fn traces(all in prop::collection::vec((resource(), scope(), prop::collection::vec(one_span(), 0..4)), 0..3)) {
        let mut expected = Vec::new();
        let resource_spans = all.into_iter().map(|(resource, scope, spans)| {
            expected.push(resource_line(resource.as_ref()));
            expected.extend(spans.iter().filter_map(span_line));
            ResourceSpans {
                resource,
                scope_spans: vec![ScopeSpans { scope, spans, schema_url: "s".to_owned() }],
                schema_url: "u".to_owned(),
            }
        });
        let request = ExportTraceServiceRequest { resource_spans: resource_spans.collect() };
        prop_assert_eq!(shown(Kind::Traces, &request.encode_to_vec()), expected);
    }

    #[test]
    fn metrics(resource in resource(), scope in scope(), all in prop::collection::vec(("[a-z]{1,5}", "[a-z]{0,2}", data()), 0..4)) {
        let name = scope_name(scope.as_ref()).to_owned();
        let mut expected = vec![resource_line(resource.as_ref())];
        let metrics = all.into_iter().map(|(metric, unit, data)| {
            expected.extend(points(&data).into_iter().map(|(start, time, value, attributes)| {
                format!("{metric} {unit} {name} {time} {start} {value} {attributes}")
            }));
            Metric { name: metric, unit, description: "d".to_owned(), data: Some(data), ..Metric::default() }
        });
        let metrics = metrics.collect();
        let scope_metrics = vec![ScopeMetrics { scope, metrics, schema_url: "s".to_owned() }];
        let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, schema_url: "u".to_owned() }];
        let request = ExportMetricsServiceRequest { resource_metrics };
        prop_assert_eq!(shown(Kind::Metrics, &request.encode_to_vec()), expected);
    }
}
