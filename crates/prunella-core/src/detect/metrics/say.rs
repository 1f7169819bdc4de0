//! What is said of metrics: text from outside comes in by [`quote`] only.

use super::facet::{Claim, Facet};
use super::group::Group;
use super::{NAME, Service};
use crate::detect::series::Change;
use crate::detect::text::{percent, quote};
use crate::detect::{Anomaly, AnomalyKind, Score, Severity};
use crate::signal::telemetry::{Attributes, Value};

/// Attributes and characters of a label.
const MAX_ATTRIBUTES: usize = 8;
const MAX_LABEL: usize = 160;

/// Attributes as one harmless line.
pub(super) fn labels(attributes: &Attributes<'_>) -> Box<str> {
    let one = |(key, value): &(&str, Value<'_>)| match value {
        Value::Str(text) => format!("{key}={text}"),
        Value::Bool(b) => format!("{key}={b}"),
        Value::Int(i) => format!("{key}={i}"),
        Value::Double(d) => format!("{key}={d}"),
        Value::Bytes(_) | Value::Nested(_) | Value::Empty => (*key).to_owned(),
    };
    let parts: Vec<String> = attributes.iter().take(MAX_ATTRIBUTES).map(one).collect();
    let line: String = parts.join(", ").chars().take(MAX_LABEL).collect();
    quote(&line).into_boxed_str()
}

/// A value in a sentence.
pub(super) fn figure(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (0.01..100_000.0).contains(&size) {
        let digits = if size >= 100.0 { 0 } else { 3 };
        format!("{value:.digits$}")
    } else {
        format!("{value:.2e}")
    }
}

fn change_words(change: Change, upwards: bool) -> &'static str {
    match (change, upwards) {
        (Change::Spike, true) => "jumped up",
        (Change::Spike, false) => "dropped",
        (Change::Shift, true) => "has moved up",
        (Change::Shift, false) => "has moved down",
        (Change::Drift, true) => "is drifting up",
        (Change::Drift, false) => "is drifting down",
        (Change::Unseasonal, _) => "is unusual for this hour",
        (Change::MoreVariance, _) => "varies more than usual",
        (Change::LessVariance, _) => "varies less than usual",
        (Change::FlatLine, _) => "has stopped to move",
    }
}

/// What a facet claims, in a sentence.
pub(super) fn sentence(group: &Group, facet: &Facet, claim: Option<&Claim>) -> String {
    let seen = facet.seen;
    let words = claim.map_or("is far from what is usual", |claim| {
        change_words(claim.alarm.change, claim.alarm.upwards)
    });
    let (value, expected) = if facet.measure == super::facet::Measure::Failures {
        (percent(seen.value), percent(seen.expected))
    } else {
        (figure(seen.value), figure(seen.expected))
    };
    let unit = if group.unit.is_empty() {
        String::new()
    } else {
        format!(" {}", group.unit)
    };
    format!(
        "{} ({}) {words}: {value}{unit} where {expected}{unit} was expected.",
        group.title(),
        facet.measure.words()
    )
}

/// An anomaly of a service's metrics.
pub(super) fn anomaly(service: &Service, at_ms: i64, kind: AnomalyKind, severity: Severity) -> Anomaly {
    Anomaly {
        detector: NAME.to_owned(),
        service: Some(service.name.clone()),
        release: service.release.clone(),
        route: None,
        at_ms,
        onset_ms: at_ms,
        score: Score::Ratio { value: 1.0 },
        baseline: "the metric's own past".to_owned(),
        evidence: Vec::new(),
        fingerprint: None,
        severity,
        kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_one_harmless_bounded_line() {
        let long = "x".repeat(5_000);
        let label = labels(&[
            ("route", Value::Str("/a\n\u{202e}b")),
            ("n", Value::Int(4)),
            ("z", Value::Str(&long)),
        ]);
        assert!(label.starts_with("route=/a\u{fffd}\u{fffd}b, n=4, z=xxx"), "{label}");
        assert!(label.chars().count() <= MAX_LABEL);
        assert_eq!(
            (figure(0.0), figure(1234.5), figure(1e9)),
            ("0.000".into(), "1234".into(), "1.00e9".into())
        );
    }
}
