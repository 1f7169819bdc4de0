//! What was claimed, is page-worthy, and opened no incident, with the reason: so that nothing vanishes silently.
//!
//! A file of bounded size beside the ledger, written by the daemon and read by `status`. It is for people: nothing is decided
//! by it.

use std::collections::VecDeque;
use std::path::Path;

use prunella_core::detect::{Anomaly, SuppressReason};
use serde::{Deserialize, Serialize};

/// Claims that are kept; the one that was seen longest ago makes room.
const MAX_HELD: usize = 100;
const FILE: &str = "held-back.json";

/// One claim that opened no incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// Whose; empty if it did not say.
    pub service: String,
    /// The release that deviates.
    pub release: String,
    /// Who claims.
    pub detector: String,
    /// What it is about: its fingerprint, else its route.
    pub about: String,
    /// The first of its evidence.
    pub what: String,
    /// Why it opened none.
    pub reason: SuppressReason,
    /// The same, for people.
    pub why: String,
    /// When it was claimed first, ms since the epoch.
    pub first_ms: i64,
    /// When it was claimed last, ms since the epoch.
    pub last_ms: i64,
    /// How often.
    pub times: u64,
}

/// The claims that opened no incident, the one seen last at the end.
#[derive(Debug, Default)]
pub struct HeldBack {
    all: VecDeque<Held>,
    changed: bool,
}

impl HeldBack {
    /// What was written down before in this directory; nothing if it cannot be read.
    #[must_use]
    pub fn read(dir: &Path) -> Self {
        let text = std::fs::read(dir.join(FILE)).unwrap_or_default();
        let mut all: VecDeque<Held> = serde_json::from_slice(&text).unwrap_or_default();
        all.truncate(MAX_HELD);
        Self { all, changed: false }
    }

    /// Takes a claim. Says whether it is the first of its kind for this reason.
    pub fn add(&mut self, anomaly: &Anomaly, reason: &SuppressReason) -> bool {
        let mut held = of(anomaly, reason);
        let same = |other: &Held| {
            (&other.service, &other.detector, &other.about, &other.reason)
                == (&held.service, &held.detector, &held.about, &held.reason)
        };
        let before = self.all.iter().position(same).and_then(|at| self.all.remove(at));
        if let Some(before) = &before {
            held.first_ms = before.first_ms;
            held.times = before.times.saturating_add(1);
        } else if self.all.len() == MAX_HELD {
            self.all.pop_front();
        }
        self.all.push_back(held);
        self.changed = true;
        before.is_none()
    }

    /// The claims, the one seen last first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Held> {
        self.all.iter().rev()
    }

    /// Writes them down, if there is anything new. What cannot be written is tried again next time.
    pub fn write(&mut self, dir: &Path) {
        if !self.changed {
            return;
        }
        let text = serde_json::to_vec(&self.all).unwrap_or_default();
        let new = dir.join(format!("{FILE}.new"));
        let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, dir.join(FILE)));
        self.changed = written.is_err();
    }
}

fn of(anomaly: &Anomaly, reason: &SuppressReason) -> Held {
    let about = anomaly.fingerprint.as_ref().or(anomaly.route.as_ref());
    Held {
        service: anomaly.service.as_ref().map(ToString::to_string).unwrap_or_default(),
        release: anomaly.release.to_string(),
        detector: anomaly.detector.clone(),
        about: about.cloned().unwrap_or_default(),
        what: anomaly.evidence.first().cloned().unwrap_or_default(),
        reason: reason.clone(),
        why: reason.to_string(),
        first_ms: anomaly.at_ms,
        last_ms: anomaly.at_ms,
        times: 1,
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::detect::{AnomalyKind, Score, Severity};
    use prunella_core::id::{ReleaseId, ServiceName};

    use super::*;

    fn claim(about: &str, at_ms: i64) -> Anomaly {
        Anomaly {
            detector: "test".into(),
            service: Some(ServiceName::parse("shop").unwrap()),
            release: ReleaseId::parse("r1").unwrap(),
            route: None,
            at_ms,
            onset_ms: at_ms,
            score: Score::Certain,
            baseline: String::new(),
            evidence: vec!["It hurts.".into()],
            fingerprint: Some(about.into()),
            severity: Severity::Page,
            kind: AnomalyKind::Alert,
        }
    }

    #[test]
    fn the_same_is_counted_and_the_oldest_makes_room() {
        let dir = tempfile::tempdir().unwrap();
        let mut held = HeldBack::read(dir.path());
        let window = SuppressReason::Maintenance {
            window: "22:30-01:00".into(),
        };
        assert!(held.add(&claim("a", 1), &window));
        assert!(!held.add(&claim("a", 9), &window));
        assert!(held.add(&claim("a", 10), &SuppressReason::OpenIncidentsLimit));
        held.write(dir.path());
        let mut held = HeldBack::read(dir.path());
        let all: Vec<&Held> = held.newest_first().collect();
        assert_eq!((all.len(), all[1].times, all[1].first_ms, all[1].last_ms), (2, 2, 1, 9));
        assert_eq!(all[1].why, "maintenance: 22:30-01:00");
        for n in 0..2 * MAX_HELD {
            held.add(&claim(&n.to_string(), 20), &window);
        }
        assert_eq!(held.newest_first().count(), MAX_HELD);
        assert_eq!(held.newest_first().next().unwrap().about, "199");
    }

    #[test]
    fn what_cannot_be_read_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "{").unwrap();
        assert_eq!(HeldBack::read(dir.path()).newest_first().count(), 0);
    }
}
