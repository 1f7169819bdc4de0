//! The ledger is the state and the audit log: what happened, in order, by stream.
//!
//! Writers append behind the event that they decided on (compare-and-swap), so several daemons need no leader. Readers
//! fold. The events that an old version wrote stay readable: fields are added with a default, never renamed.

mod fold;

use serde::{Deserialize, Serialize};

pub use fold::World;

use crate::id::IncidentId;
use crate::incident::IncidentEvent;
use crate::release::ReleaseEvent;

/// The aggregate that an event belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// The service's releases.
    Releases,
    /// One incident.
    Incident(IncidentId),
}

impl Stream {
    /// Its name in the store.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Releases => "releases".to_owned(),
            Self::Incident(id) => format!("incident/{id}"),
        }
    }

    /// Reads a name back; `None` for one that this version does not know.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name == "releases" {
            return Some(Self::Releases);
        }
        let id = name.strip_prefix("incident/")?;
        IncidentId::parse(id).ok().map(Self::Incident)
    }
}

/// Anything that the ledger holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Event {
    /// Of a service's releases.
    Release(ReleaseEvent),
    /// Of one incident.
    Incident(IncidentEvent),
}

/// An event in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its stream.
    pub stream: Stream,
    /// Its place in the stream, from 1.
    pub seq: u64,
    /// When it was appended, in milliseconds since the epoch by the writer's clock, which may go back.
    pub at_ms: i64,
    /// What happened.
    pub event: Event,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Anomaly, AnomalyKind, Score, Severity};
    use crate::id::ReleaseId;

    /// What is appended must be readable for ever, whatever number a detector came up with.
    #[test]
    fn every_score_is_read_back() {
        let numbers = [0.0, -1.5, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
        let scores = numbers.iter().flat_map(|&value| {
            [
                Score::Certain,
                Score::Ratio { value },
                Score::EValue {
                    log10: value,
                    threshold_log10: value,
                },
            ]
        });
        for score in scores {
            let anomaly = Anomaly {
                detector: "any".into(),
                service: None,
                release: ReleaseId::parse("r1").unwrap(),
                route: None,
                at_ms: i64::MIN,
                onset_ms: i64::MAX,
                score,
                baseline: String::new(),
                evidence: vec![],
                fingerprint: None,
                severity: Severity::Odd,
                kind: AnomalyKind::Exhaustion,
            };
            let event = Event::Incident(IncidentEvent::Joined {
                anomaly: Box::new(anomaly),
            });
            let text = serde_json::to_string(&event).unwrap();
            let read: Event = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
    }
}
