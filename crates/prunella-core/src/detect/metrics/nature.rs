//! What a metric is about, by the words of its name, its unit and its kind; and whether a point counts failures.
//!
//! *Method*: names are cut into words at separators and capitals, in the conventions of OpenTelemetry, Prometheus and
//! their forerunners. A nature decides what a deviation is worth and which direction hurts; it never decides whether there
//! is one. A metric that nothing is known of is *other*: its deviations count as support for what is known to hurt.
//!
//! *Source*: the four golden signals of Beyer et al., "Site Reliability Engineering", ch. 6; OpenTelemetry semantic
//! conventions for HTTP, RPC and messaging metrics (`http.response.status_code`, `rpc.grpc.status_code`, `error.type`).

use crate::detect::words::words;
use crate::signal::telemetry::{Attributes, PointValue, PointView, Temporality, Value};

/// What a metric is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Nature {
    /// How much is asked of the service.
    Traffic,
    /// What goes wrong.
    Errors,
    /// How long what is asked takes.
    Latency,
    /// How full something is.
    Saturation,
    /// Anything else.
    Other,
}

/// The kind of a metric, which never changes within one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// A level.
    Level,
    /// A counter.
    Counter,
    /// A distribution.
    Distribution,
}

impl Kind {
    pub(super) fn of(value: &PointValue<'_>) -> Option<Self> {
        match value {
            PointValue::Gauge(_) => Some(Self::Level),
            PointValue::Sum {
                monotonic: false,
                temporality: Temporality::Cumulative,
                ..
            } => Some(Self::Level),
            PointValue::Sum { .. } => Some(Self::Counter),
            PointValue::Histogram { .. } | PointValue::ExponentialHistogram { .. } | PointValue::Summary { .. } => {
                Some(Self::Distribution)
            }
            PointValue::Absent => None,
        }
    }
}

const ERRORS: &[&str] = &[
    "error",
    "errors",
    "err",
    "fail",
    "failed",
    "failure",
    "failures",
    "exception",
    "exceptions",
    "timeout",
    "timeouts",
    "rejected",
    "rejections",
    "dropped",
    "drops",
    "aborted",
    "5xx",
    "unavailable",
    "panics",
    "deadlocks",
];
const REQUESTS: &[&str] = &[
    "request",
    "requests",
    "req",
    "reqs",
    "http",
    "rpc",
    "grpc",
    "call",
    "calls",
    "query",
    "queries",
    "transaction",
    "transactions",
    "order",
    "orders",
    "checkout",
    "checkouts",
    "payment",
    "payments",
    "login",
    "logins",
    "message",
    "messages",
    "operation",
    "operations",
    "command",
    "commands",
    "job",
    "jobs",
    "task",
    "tasks",
    "hits",
];
const TIMES: &[&str] = &[
    "duration",
    "latency",
    "seconds",
    "milliseconds",
    "microseconds",
    "elapsed",
    "time",
    "rtt",
    "ms",
];
const FULL: &[&str] = &[
    "queue",
    "queued",
    "backlog",
    "lag",
    "utilization",
    "utilisation",
    "usage",
    "pending",
    "waiting",
    "depth",
    "load",
    "memory",
    "heap",
    "cpu",
    "connections",
    "threads",
    "goroutines",
    "saturation",
    "inflight",
    "active",
];
/// Work that a service does for itself.
const INTERNAL: &[&str] = &[
    "gc",
    "garbage",
    "collector",
    "scrape",
    "sdk",
    "exporter",
    "otel",
    "compile",
];

impl Nature {
    /// Of a metric, by its first point.
    pub(super) fn of(point: &PointView<'_>) -> Self {
        let words = words(point.metric);
        let has = |any: &[&str]| words.iter().any(|word| any.contains(&word.as_str()));
        let kind = Kind::of(&point.value);
        let is_time = matches!(point.unit, "s" | "ms" | "us" | "ns" | "seconds" | "milliseconds") || has(TIMES);
        if has(INTERNAL) {
            Self::Other
        } else if has(ERRORS) {
            Self::Errors
        } else if is_time && has(REQUESTS) && kind != Some(Kind::Counter) {
            Self::Latency
        } else if kind == Some(Kind::Counter) && has(REQUESTS) && !is_time {
            Self::Traffic
        } else if kind == Some(Kind::Distribution) && is_time {
            Self::Latency
        } else if kind == Some(Kind::Level) && has(FULL) {
            Self::Saturation
        } else {
            Self::Other
        }
    }

    /// Whether users feel it at once.
    pub(super) fn is_golden(self) -> bool {
        matches!(self, Self::Traffic | Self::Errors | Self::Latency)
    }
}

/// Whether what the point counts failed, by its attributes.
pub(super) fn counts_failures(attributes: &Attributes<'_>) -> bool {
    attributes.iter().any(|&(key, value)| match key {
        "http.response.status_code" | "http.status_code" | "status_code" | "status" | "code" | "status_class" => {
            is_failure(value)
        }
        "rpc.grpc.status_code" | "grpc_code" | "grpc_status" | "rpc.response.status_code" => is_grpc_failure(value),
        "error.type" | "exception" | "exception.type" => {
            let blames_client = |text: &str| text.len() == 3 && text.starts_with('4');
            value
                .as_str()
                .is_some_and(|text| !text.is_empty() && !text.eq_ignore_ascii_case("none") && !blames_client(text))
        }
        "error" => value == Value::Bool(true) || value.as_str() == Some("true"),
        "outcome" | "result" | "otel.status_code" => is_failure(value),
        _ => false,
    })
}

fn is_failure(value: Value<'_>) -> bool {
    match value {
        Value::Int(code) => (500..600).contains(&code),
        Value::Str(text) => {
            let number = text.len() == 3 && text.starts_with('5') && text.bytes().all(|b| b.is_ascii_digit());
            let word = [
                "error",
                "failure",
                "failed",
                "server_error",
                "exception",
                "5xx",
                "timeout",
            ];
            number || word.iter().any(|w| text.eq_ignore_ascii_case(w))
        }
        _ => false,
    }
}

/// The codes of gRPC that blame the server: unknown, deadline exceeded, unimplemented, internal, unavailable, data loss.
fn is_grpc_failure(value: Value<'_>) -> bool {
    let names = [
        "UNKNOWN",
        "DEADLINE_EXCEEDED",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
    ];
    let squeezed = |text: &str| text.replace('_', "");
    match value {
        Value::Int(code) => matches!(code, 2 | 4 | 12..=15),
        Value::Str(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
            matches!(text, "2" | "4" | "12" | "13" | "14" | "15")
        }
        Value::Str(text) => names
            .iter()
            .any(|name| squeezed(name).eq_ignore_ascii_case(&squeezed(text))),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTER: PointValue<'static> = PointValue::Sum {
        value: 1.0,
        monotonic: true,
        temporality: Temporality::Cumulative,
    };
    const HISTOGRAM: PointValue<'static> = PointValue::Histogram {
        temporality: Temporality::Delta,
        count: 1,
        sum: None,
        bounds: &[],
        counts: &[1],
    };

    fn check(metric: &str, unit: &str, value: PointValue<'_>, expected: Nature) {
        let point = PointView {
            metric,
            unit,
            scope: "",
            time_ns: 0,
            start_ns: 0,
            value,
            attributes: &[],
        };
        assert_eq!(Nature::of(&point), expected, "{metric}");
    }

    #[test]
    fn names_of_several_conventions() {
        check("http.server.request.duration", "s", HISTOGRAM, Nature::Latency);
        check("http_requests_total", "", COUNTER, Nature::Traffic);
        check("OrdersPlaced", "", COUNTER, Nature::Traffic);
        check("jvm.gc.duration", "s", HISTOGRAM, Nature::Other);
        check("db_client_errors_total", "", COUNTER, Nature::Errors);
        check("kafka.consumer.lag", "", PointValue::Gauge(1.0), Nature::Saturation);
        check("process.cpu.time", "s", COUNTER, Nature::Other);
        check("room.temperature", "Cel", PointValue::Gauge(1.0), Nature::Other);
        check("requestLatencyMs", "", PointValue::Gauge(1.0), Nature::Latency);
    }

    #[test]
    fn failures_are_the_servers() {
        let failed = |key, value| counts_failures(&[(key, value)]);
        assert!(failed("http.response.status_code", Value::Int(503)));
        assert!(failed("status", Value::Str("500")));
        assert!(failed("code", Value::Str("5xx")));
        assert!(failed("error.type", Value::Str("TimeoutError")));
        assert!(failed("rpc.grpc.status_code", Value::Int(14)));
        assert!(failed("grpc_code", Value::Str("DeadlineExceeded")));
        assert!(!failed("http.response.status_code", Value::Int(404)));
        assert!(!failed("rpc.grpc.status_code", Value::Int(5)));
        assert!(!failed("status", Value::Str("5000")));
        assert!(!failed("route", Value::Str("error")));
    }
}
