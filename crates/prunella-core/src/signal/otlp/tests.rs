//! What the reader does with requests made by hand. Agreement with another implementation is tested in
//! `crates/prunella/tests/otlp`.

use proptest::prelude::*;

use super::write::{bytes, fixed64, integer};
use super::*;
use crate::signal::Severity;
use crate::signal::telemetry::{PointValue, SpanStatus, Temporality};

/// Keeps a line for each thing it was shown.
#[derive(Default)]
struct Lines(Vec<String>);

impl Sink for Lines {
    fn resource(&mut self, attributes: &Attributes<'_>) {
        self.0.push(format!("resource {attributes:?}"));
    }
    fn log(&mut self, record: &LogView<'_>) {
        self.0.push(format!("{record:?}"));
    }
    fn span(&mut self, span: &SpanView<'_>) {
        self.0.push(format!("{span:?}"));
    }
    fn point(&mut self, point: &PointView<'_>) {
        self.0.push(format!("{point:?}"));
    }
}

fn message(parts: &[(u32, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    parts.iter().for_each(|(number, part)| bytes(&mut out, *number, part));
    out
}

fn string_attribute(key: &str, value: &str) -> Vec<u8> {
    message(&[(1, key.as_bytes()), (2, &message(&[(1, value.as_bytes())]))])
}

fn json_lines(kind: Kind, text: &str) -> Vec<String> {
    let request = from_json(kind, text.as_bytes()).unwrap();
    let mut lines = Lines::default();
    decode(kind, &request, &mut lines).unwrap();
    lines.0
}

#[test]
fn what_qualifies_the_rest_may_come_last() {
    let mut record = Vec::new();
    fixed64(&mut record, 11, 7);
    integer(&mut record, 2, 17);
    bytes(&mut record, 5, &message(&[(1, b"hello")]));
    let scope = message(&[(2, &record), (1, &message(&[(1, b"scope")]))]);
    let resource = message(&[(1, &string_attribute("service.name", "shop"))]);
    let request = message(&[(1, &message(&[(2, &scope), (1, &resource)]))]);

    struct Check(bool, bool);
    impl Sink for Check {
        fn resource(&mut self, attributes: &Attributes<'_>) {
            self.0 = attributes.len() == 1;
        }
        fn log(&mut self, record: &LogView<'_>) {
            self.1 = (record.scope, record.body, record.time_ns) == ("scope", "hello", 7)
                && record.severity == Some(Severity::Error);
        }
    }
    let mut check = Check(false, false);
    let counts = decode(Kind::Logs, &request, &mut check).unwrap();
    assert!(check.0 && check.1);
    assert_eq!(counts.records, 1);
}

#[test]
fn json_by_the_specification() {
    let lines = json_lines(
        Kind::Traces,
        r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}]},
        "scopeSpans":[{"scope":{"name":"lib"},"spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C",
        "spanId":"EEE19B7EC3C1B174","parentSpanId":"","name":"GET /","startTimeUnixNano":"1544712660000000000",
        "endTimeUnixNano":1544712661000000000,"kind":2,"unknown":{"x":[1,2]},"status":{"code":2,"message":"bad"},
        "events":[{"name":"exception","attributes":[{"key":"exception.type","value":{"stringValue":"E"}}]}],
        "attributes":[{"key":"n","value":{"intValue":"-3"}},{"key":"b","value":{"bytesValue":"aGk="}},
        {"key":"z","value":null}]}]}]}]}"#,
    );
    assert_eq!(lines.len(), 2);
    for part in [
        "trace_id: [91, 142,",
        "parent_id: None",
        "Server",
        "status: Error",
        "(\"n\", Int(-3))",
        "(\"b\", Bytes([104, 105]))",
        "exception_type: Some(\"E\")",
        "end_ns: 1544712661000000000",
    ] {
        assert!(lines[1].contains(part), "{part}: {}", lines[1]);
    }
}

#[test]
fn enumerations_by_name_as_old_recordings_have_them() {
    let lines = json_lines(
        Kind::Traces,
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C",
        "spanId":"EEE19B7EC3C1B174","kind":"SPAN_KIND_CLIENT","status":{"code":"STATUS_CODE_ERROR"}}]}]}]}"#,
    );
    assert!(
        lines[1].contains("Client") && lines[1].contains("status: Error"),
        "{}",
        lines[1]
    );
    let lines = json_lines(
        Kind::Logs,
        r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":"SEVERITY_NUMBER_ERROR2"}]}]}]}"#,
    );
    assert!(lines[1].contains("Some(Error)"), "{}", lines[1]);
}

#[test]
fn every_kind_of_metric_in_json() {
    let point = r#""timeUnixNano":"2","startTimeUnixNano":"1""#;
    let metric = |data: &str| {
        let text =
            format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"m","unit":"1",{data}}}]}}]}}]}}"#);
        json_lines(Kind::Metrics, &text).pop().unwrap()
    };
    let check = |data: &str, expected: &str| {
        let line = metric(data);
        assert!(line.contains(expected), "{expected}: {line}");
    };
    check(
        &format!(r#""gauge":{{"dataPoints":[{{{point},"asDouble":"NaN"}}]}}"#),
        "Gauge(NaN)",
    );
    check(
        &format!(r#""gauge":{{"dataPoints":[{{{point},"asDouble":4,"flags":1}}]}}"#),
        "value: Absent",
    );
    check(
        &format!(r#""sum":{{"dataPoints":[{{{point},"asInt":"-5"}}],"isMonotonic":true,"aggregationTemporality":1}}"#),
        "Sum { value: -5.0, monotonic: true, temporality: Delta }",
    );
    check(
        &format!(
            r#""histogram":{{"aggregationTemporality":2,"dataPoints":[{{{point},"count":"3","sum":6.5,
            "bucketCounts":["1","2"],"explicitBounds":[5]}}]}}"#
        ),
        "Histogram { temporality: Cumulative, count: 3, sum: Some(6.5), bounds: [5.0], counts: [1, 2] }",
    );
    check(
        &format!(
            r#""exponentialHistogram":{{"aggregationTemporality":1,"dataPoints":[{{{point},"count":"5","scale":-2,
            "zeroCount":"1","positive":{{"offset":-3,"bucketCounts":["4"]}}}}]}}"#
        ),
        "scale: -2, zero_count: 1, positive: (-3, [4]), negative: (0, [])",
    );
    check(
        &format!(
            r#""summary":{{"dataPoints":[{{{point},"count":"9","sum":3,"quantileValues":[{{"quantile":0.5,"value":7}}]}}]}}"#
        ),
        "Summary { count: 9, sum: 3.0, quantiles: [(0.5, 7.0)] }",
    );
}

#[test]
fn json_that_is_not_otlp_says_where() {
    let check = |text: &str, expected: &str| {
        let error = from_json(Kind::Logs, text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check("[]", "expected an object");
    check("{\"resourceLogs\":{}}", "an array for `resourceLogs`");
    let record = |field: &str| format!("{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{{{field}}}]}}]}}]}}");
    check(&record("\"traceId\":\"xyz\""), "hexadecimal");
    check(&record("\"timeUnixNano\":\"soon\""), "an integer");
    check(&record("\"severityText\":7"), "a string");
    check("{} x", "trailing");
    assert_eq!(kind_of_json(b"{\"a\":1,\"resourceMetrics\":[]}"), Some(Kind::Metrics));
    assert_eq!(kind_of_json(b"{\"level\":\"info\"}"), None);
}

#[test]
fn bodies_of_every_form_have_a_text() {
    let body = |value: &str| {
        let text = format!("{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{{\"body\":{value}}}]}}]}}]}}");
        let request = from_json(Kind::Logs, text.as_bytes()).unwrap();
        struct Body(String);
        impl Sink for Body {
            fn resource(&mut self, _: &Attributes<'_>) {}
            fn log(&mut self, record: &LogView<'_>) {
                self.0 = record.body.to_owned();
            }
        }
        let mut found = Body(String::new());
        decode(Kind::Logs, &request, &mut found).unwrap();
        found.0
    };
    assert_eq!(body(r#"{"stringValue":"as it is"}"#), "as it is");
    assert_eq!(body(r#"{"intValue":"5"}"#), "5");
    assert_eq!(body("{}"), "");
    let pair = |key: &str, value: &str| format!("{{\"key\":\"{key}\",\"value\":{value}}}");
    let (user, text) = (
        pair("user", "{\"stringValue\":\"u\"}"),
        pair("msg", "{\"stringValue\":\"said\"}"),
    );
    assert_eq!(
        body(&format!("{{\"kvlistValue\":{{\"values\":[{user},{text}]}}}}")),
        "said"
    );
    assert_eq!(body(&format!("{{\"kvlistValue\":{{\"values\":[{user}]}}}}")), "u");
    let number = pair("n", "{\"doubleValue\":1.5}");
    assert_eq!(
        body(&format!("{{\"kvlistValue\":{{\"values\":[{number}]}}}}")),
        "{\"n\":1.5}"
    );
    assert_eq!(
        body(r#"{"arrayValue":{"values":[{"intValue":1},{"boolValue":true}]}}"#),
        "[1,true]"
    );
}

#[test]
fn records_that_make_no_sense_are_rejected_and_the_others_are_taken() {
    let spans = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"00","spanId":"EEE19B7EC3C1B174"},
        {"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","startTimeUnixNano":"9"},
        {"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"0000000000000000"}]}]}]}"#;
    let counts = census(Kind::Traces, &from_json(Kind::Traces, spans.as_bytes()).unwrap())
        .unwrap()
        .counts;
    assert_eq!((counts.records, counts.rejected), (1, 2));
    let metric = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","histogram":{"dataPoints":[
        {"count":"1","bucketCounts":["1"],"explicitBounds":[1,2]},{"count":"1","bucketCounts":["0","1","0"],"explicitBounds":[2,1]},
        {"count":"4"},{"count":"1","bucketCounts":["0","1"],"explicitBounds":["NaN"]}]}}]}]}]}"#;
    let counts = census(Kind::Metrics, &from_json(Kind::Metrics, metric.as_bytes()).unwrap())
        .unwrap()
        .counts;
    assert_eq!((counts.records, counts.rejected), (1, 3));
}

#[test]
fn attributes_have_a_limit() {
    let attribute = string_attribute("k", "v");
    let record = message(&vec![(6, attribute.as_slice()); MAX_ATTRIBUTES + 5]);
    let request = message(&[(1, &message(&[(2, &message(&[(2, &record)]))]))]);
    let counts = census(Kind::Logs, &request).unwrap().counts;
    assert_eq!((counts.records, counts.attributes_dropped), (1, 5));
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let record = message(&[(3, b"\xff")]);
    let request = message(&[(1, &message(&[(2, &message(&[(2, &record)]))]))]);
    assert_eq!(census(Kind::Logs, &request), Err(DecodeError::Utf8(3)));
}

#[test]
fn what_matters_less_than_the_floor_is_shed_and_counted() {
    use crate::detect::Observatory;
    let text = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":5},{"severityNumber":9},
        {"severityNumber":13},{"severityNumber":17},{"severityNumber":21}]}]}]}"#;
    let request = from_json(Kind::Logs, text.as_bytes()).unwrap();
    let counted = census(Kind::Logs, &request).unwrap();
    let mut feed = Feed::default();
    let mut sky = Observatory::of(&[], 0);
    for (floor, shed) in [
        (Priority::Detail, 0),
        (Priority::Plain, 1),
        (Priority::Notable, 2),
        (Priority::Error, 3),
    ] {
        assert_eq!(counted.below(floor), shed);
        let done = feed
            .request(Kind::Logs, &request, floor, &mut sky, &mut Vec::new())
            .unwrap();
        assert_eq!(done.shed, shed);
    }
}

#[test]
fn a_sum_is_what_it_says_wherever_it_says_it() {
    struct Check(Vec<(f64, bool, bool)>);
    impl Sink for Check {
        fn resource(&mut self, _: &Attributes<'_>) {}
        fn point(&mut self, point: &PointView<'_>) {
            if let PointValue::Sum {
                value,
                monotonic,
                temporality,
            } = point.value
            {
                self.0.push((value, monotonic, temporality == Temporality::Delta));
            }
        }
    }
    let mut point = Vec::new();
    fixed64(&mut point, 4, 2.5_f64.to_bits());
    let mut sum = message(&[(1, &point)]);
    integer(&mut sum, 2, 1);
    integer(&mut sum, 3, 1);
    let request = message(&[(1, &message(&[(2, &message(&[(2, &message(&[(7, &sum), (1, b"m")]))]))]))]);
    let mut check = Check(Vec::new());
    decode(Kind::Metrics, &request, &mut check).unwrap();
    assert_eq!(check.0, [(2.5, true, true)]);
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Logs), Just(Kind::Traces), Just(Kind::Metrics)]
}

/// Bytes that look like messages inside of messages, so that the reader comes far.
fn likely() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        (1_u32..16, any::<u64>()).prop_map(|(number, value)| {
            let mut out = Vec::new();
            integer(&mut out, number, value);
            out
        }),
        (1_u32..16, any::<u64>()).prop_map(|(number, value)| {
            let mut out = Vec::new();
            fixed64(&mut out, number, value);
            out
        }),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop::collection::vec((1_u32..16, inner), 0..6).prop_map(|parts| {
            let parts: Vec<(u32, &[u8])> = parts.iter().map(|(n, p)| (*n, p.as_slice())).collect();
            message(&parts)
        })
    })
}

proptest! {
    #[test]
    fn hostile_bytes_do_not_panic(kind in kinds(), request in likely()) {
        let mut lines = Lines::default();
        let shown = decode(kind, &request, &mut lines);
        let counted = census(kind, &request);
        prop_assert_eq!(shown, counted.map(|c| c.counts));
    }

    #[test]
    fn hostile_json_does_not_panic(kind in kinds(), text in "[\\[\\]{}\":,a-z0-9.-]{0,80}") {
        if let Ok(request) = from_json(kind, text.as_bytes()) {
            prop_assert!(census(kind, &request).is_ok());
        }
    }
}

#[test]
fn statuses_are_read() {
    let lines = json_lines(
        Kind::Traces,
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C",
        "spanId":"EEE19B7EC3C1B174","status":{"code":1}}]}]}]}"#,
    );
    assert!(
        lines[1].contains(&format!("status: {:?}", SpanStatus::Ok)),
        "{}",
        lines[1]
    );
}
