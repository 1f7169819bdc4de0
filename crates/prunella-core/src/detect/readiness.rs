//! A release did not become ready in time, or is ready no longer.
//!
//! *Signals.* [`ReadinessFailed`](crate::signal::ReadinessFailed).
//!
//! *Method.* The supervisor has waited and retried already; its verdict is a fact.
//!
//! *Source.* The readiness probe of Kubernetes: failing it takes a release out of the traffic's way.

use serde_json::Value;

use super::text::quote;
use super::{Anomaly, AnomalyKind, Context, Detector, Overflow, Score, Severity, SnapshotError};
use crate::signal::{ReadinessFailed, Signal};

/// The detector. It has no state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Readiness;

impl Detector for Readiness {
    fn name(&self) -> &'static str {
        "readiness"
    }

    fn observe(&mut self, signal: &Signal, _: &Context) -> Vec<Anomaly> {
        let Signal::ReadinessFailed(failed) = signal else {
            return Vec::new();
        };
        vec![Anomaly {
            detector: self.name().to_owned(),
            service: None,
            release: failed.release.clone(),
            route: None,
            at_ms: failed.at_ms,
            onset_ms: failed.at_ms.saturating_sub_unsigned(failed.waited_ms),
            score: Score::Certain,
            baseline: "the configured readiness check".to_owned(),
            evidence: evidence(failed),
            fingerprint: None,
            severity: Severity::Page,
            kind: AnomalyKind::Readiness,
        }]
    }

    fn snapshot(&self) -> Result<Value, SnapshotError> {
        Ok(Value::Null)
    }

    fn restore(&mut self, _: &Value) -> Result<(), SnapshotError> {
        Ok(())
    }

    fn overflows(&self) -> Vec<Overflow> {
        Vec::new()
    }
}

fn evidence(failed: &ReadinessFailed) -> Vec<String> {
    let ReadinessFailed {
        release,
        waited_ms,
        attempts,
        ..
    } = failed;
    let what = if failed.was_ready {
        "was ready and is not any more"
    } else {
        "did not become ready"
    };
    let mut sentences = vec![format!(
        "Release {release} {what}: {attempts} checks in {waited_ms} ms failed."
    )];
    if !failed.last_answer.is_empty() {
        sentences.push(format!("The last check said: {}", quote(&failed.last_answer)));
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, release};
    use super::*;

    #[test]
    fn says_how_long_and_what_was_answered() {
        let mut w = World::new(Readiness);
        let failed = ReadinessFailed {
            release: release("new"),
            at_ms: 60_000,
            waited_ms: 30_000,
            attempts: 60,
            was_ready: false,
            last_answer: "HTTP 503\n".to_owned(),
        };
        let found = w.see(failed);
        assert_eq!((found[0].onset_ms, found[0].severity), (30_000, Severity::Page));
        assert!(found[0].evidence[1].ends_with("HTTP 503"));
    }
}
