//! Alertmanager's webhook → anomalies: what the outside says is a claim like any detector's.
//!
//! *Source.* Alertmanager, "Webhook" (version 4). The label `severity` is a convention of the Prometheus community.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::detect::text::quote;
use crate::detect::{Anomaly, AnomalyKind, Score, Severity};
use crate::id::{ReleaseId, ServiceName, short_hash};

/// Alerts of one message that are read.
const MAX_ALERTS: usize = 256;
/// Labels of an alert that are shown.
const MAX_LABELS: usize = 24;
/// Where an alert says whom it is about, the most exact first.
const SERVICE: [&str; 5] = ["service_name", "service", "app", "deployment", "job"];
const VERSION: [&str; 3] = ["service_version", "version", "release"];

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    alerts: Vec<Alert>,
}

#[derive(Deserialize)]
struct Alert {
    #[serde(default)]
    status: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default, rename = "startsAt")]
    starts_at: String,
}

/// The anomalies of a webhook message, one for each alert that fires. An alert that is resolved makes none.
///
/// # Errors
/// If the text is not such a message.
pub fn from_alertmanager(text: &[u8], now_ms: i64) -> Result<Vec<Anomaly>, serde_json::Error> {
    let message: Message = serde_json::from_slice(text)?;
    let firing = message.alerts.into_iter().filter(|alert| alert.status != "resolved");
    Ok(firing.take(MAX_ALERTS).map(|alert| anomaly(&alert, now_ms)).collect())
}

fn anomaly(alert: &Alert, now_ms: i64) -> Anomaly {
    let label = |names: &[&str]| names.iter().find_map(|name| alert.labels.get(*name));
    let name = alert.labels.get("alertname").map_or("", String::as_str);
    let service = label(&SERVICE).and_then(|text| ServiceName::parse(text.as_str()).ok());
    let release = label(&VERSION).and_then(|text| ReleaseId::parse(text.as_str()).ok());
    let onset = super::line::time::leading(&alert.starts_at, 1970).map(|(ns, _)| ns / 1_000_000);
    let onset_ms = onset
        .and_then(|ms| i64::try_from(ms).ok())
        .unwrap_or(now_ms)
        .min(now_ms);
    let mut evidence = vec![format!("alert {}", quote(name))];
    evidence.extend(
        ["summary", "description", "message"]
            .iter()
            .filter_map(|key| alert.annotations.get(*key))
            .map(|t| quote(t)),
    );
    let labels = alert
        .labels
        .iter()
        .take(MAX_LABELS)
        .map(|(key, value)| format!("{}={}", quote(key), quote(value)));
    evidence.push(labels.collect::<Vec<_>>().join(", "));
    let pairs: Vec<&str> = alert
        .labels
        .iter()
        .flat_map(|(k, v)| [k.as_str(), v.as_str()])
        .collect();
    let mild =
        label(&["severity"]).is_some_and(|s| ["info", "none", "warning", "low"].contains(&s.to_lowercase().as_str()));
    Anomaly {
        detector: "alertmanager".to_owned(),
        service,
        release: release.unwrap_or_else(|| ReleaseId::parse("unversioned").expect("a release")),
        route: label(&["route", "path", "handler"]).map(|r| quote(r)),
        at_ms: now_ms,
        onset_ms,
        score: Score::Certain,
        baseline: "a rule outside of Prunella".to_owned(),
        evidence,
        fingerprint: Some(format!("alert:{}", short_hash(&pairs, 16))),
        severity: if mild { Severity::Odd } else { Severity::Page },
        kind: AnomalyKind::Alert,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fires_is_claimed_and_what_is_resolved_is_not() {
        let text = r#"{"version":"4","status":"firing","alerts":[
            {"status":"firing","labels":{"alertname":"HighErrors","job":"shop","severity":"critical"},
             "annotations":{"summary":"5 % fail\u0007"},"startsAt":"2024-01-02T03:04:05.678Z","endsAt":"0001-01-01T00:00:00Z"},
            {"status":"firing","labels":{"alertname":"Slow","service":"../x","severity":"warning"}},
            {"status":"resolved","labels":{"alertname":"Old"}}]}"#;
        let found = from_alertmanager(text.as_bytes(), 2_000_000_000_000).unwrap();
        assert_eq!(found.len(), 2);
        let first = &found[0];
        assert_eq!(first.service.as_ref().map(ServiceName::as_str), Some("shop"));
        assert_eq!((first.onset_ms, first.severity), (1_704_164_645_678, Severity::Page));
        assert_eq!(first.evidence[..2], ["alert HighErrors", "5 % fail\u{fffd}"]);
        assert_eq!((&found[1].service, found[1].severity), (&None, Severity::Odd));
        assert_ne!(first.fingerprint, found[1].fingerprint);
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        assert!(from_alertmanager(b"7", 0).is_err());
        assert!(from_alertmanager(b"{\"alerts\":[{\"labels\":5}]}", 0).is_err());
        assert!(from_alertmanager(b"{}", 0).unwrap().is_empty());
    }
}
