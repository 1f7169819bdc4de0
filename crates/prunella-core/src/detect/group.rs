//! Anomaly → Incident: one cause makes one incident.
//!
//! *Method.* In this order:
//! 1. A fingerprint that an open incident of the service has seen: the same failure, whatever the release.
//! 2. The same release as an open incident of the service: one bad release is one cause, whichever route or detector speaks. Not so
//!    for the last-known-good release, which is not what changed: there two different fingerprints are two causes.
//! 3. What an incident of this release left behind when it was resolved (it began before that) is suppressed.
//! 4. An odd anomaly opens nothing. A page-worthy one opens an incident.
//!
//! An open incident takes anomalies in until it has had none for the window's time.
//!
//! *Source.* Grouping by identity before grouping by time and place, as error trackers do; the rest from the design's
//! "one cause makes one incident".

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::time::Steady;
use super::{Anomaly, Context, Severity};
use crate::id::{IncidentId, ReleaseId, ServiceName};

/// Limits and times of grouping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupConfig {
    /// How long after its last anomaly an incident takes further ones in, ms.
    pub window_ms: u64,
    /// How long after its resolution what it left behind is suppressed, ms.
    pub echo_ms: u64,
    /// Open incidents at one time.
    pub max_open: usize,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            window_ms: 600_000,
            echo_ms: 300_000,
            max_open: 256,
        }
    }
}

/// Fingerprints that one incident remembers.
const MAX_FINGERPRINTS: usize = 64;
/// Resolved incidents that are remembered.
const MAX_RESOLVED: usize = 256;

/// Why an anomaly makes no incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum SuppressReason {
    /// It is odd, not page-worthy, and belongs to no open incident.
    Odd,
    /// It began before this incident of the same release was resolved.
    Echo {
        /// The incident.
        of: IncidentId,
    },
    /// As many incidents are open as may be.
    OpenIncidentsLimit,
    /// It names no service.
    NoService,
}

/// What becomes of an anomaly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// It opens an incident of this name.
    Open {
        /// The new incident.
        incident: IncidentId,
    },
    /// It belongs to this open incident.
    Join {
        /// The incident.
        incident: IncidentId,
    },
    /// It makes none.
    Suppress(SuppressReason),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Open {
    id: IncidentId,
    service: ServiceName,
    release: ReleaseId,
    fingerprints: BTreeSet<String>,
    last: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Resolved {
    id: IncidentId,
    service: ServiceName,
    release: ReleaseId,
    at_ms: i64,
    steady: u64,
}

/// The open incidents, as far as grouping needs to know them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Grouper {
    config: GroupConfig,
    time: Steady,
    open: Vec<Open>,
    resolved: VecDeque<Resolved>,
    refused: u64,
}

impl Grouper {
    /// No incident is open.
    #[must_use]
    pub fn new(config: GroupConfig) -> Self {
        Self {
            config,
            ..Self::default()
        }
    }

    /// Decides about one anomaly, and remembers the decision. `ctx` is that of the anomaly's service.
    pub fn decide(&mut self, anomaly: &Anomaly, ctx: &Context) -> Decision {
        let now = self.time.advance(anomaly.at_ms);
        let window = self.config.window_ms;
        self.open.retain(|open| now.saturating_sub(open.last) <= window);
        let Some(service) = &anomaly.service else {
            return Decision::Suppress(SuppressReason::NoService);
        };
        if let Some(at) = self.belongs(service, anomaly, ctx) {
            let open = &mut self.open[at];
            open.last = now;
            if let Some(fingerprint) = &anomaly.fingerprint
                && open.fingerprints.len() < MAX_FINGERPRINTS
            {
                open.fingerprints.insert(fingerprint.clone());
            }
            return Decision::Join {
                incident: open.id.clone(),
            };
        }
        if let Some(of) = self.echo(service, anomaly, now) {
            return Decision::Suppress(SuppressReason::Echo { of });
        }
        if anomaly.severity == Severity::Odd {
            return Decision::Suppress(SuppressReason::Odd);
        }
        if self.open.len() >= self.config.max_open {
            self.refused = self.refused.saturating_add(1);
            return Decision::Suppress(SuppressReason::OpenIncidentsLimit);
        }
        self.begin(service.clone(), anomaly, now)
    }

    /// An incident is over, whatever its outcome. Unknown incidents are ignored: the window may have closed on them.
    pub fn resolve(&mut self, incident: &IncidentId, at_ms: i64) {
        let steady = self.time.advance(at_ms);
        let Some(at) = self.open.iter().position(|open| open.id == *incident) else {
            return;
        };
        let Open {
            id, service, release, ..
        } = self.open.swap_remove(at);
        if self.resolved.len() == MAX_RESOLVED {
            self.resolved.pop_front();
        }
        self.resolved.push_back(Resolved {
            id,
            service,
            release,
            at_ms,
            steady,
        });
    }

    /// How many page-worthy anomalies found no room.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn belongs(&self, service: &ServiceName, anomaly: &Anomaly, ctx: &Context) -> Option<usize> {
        let ours = || {
            self.open
                .iter()
                .enumerate()
                .filter(|(_, open)| open.service == *service)
        };
        let seen = |open: &Open| {
            anomaly
                .fingerprint
                .as_ref()
                .is_some_and(|f| open.fingerprints.contains(f))
        };
        let by_fingerprint = ours().find(|(_, open)| seen(open));
        let by_release = || {
            let good = ctx.is_lkg(&anomaly.release);
            let other_cause = |open: &Open| good && anomaly.fingerprint.is_some() && !open.fingerprints.is_empty();
            ours().find(|(_, open)| open.release == anomaly.release && !other_cause(open))
        };
        by_fingerprint.or_else(by_release).map(|(at, _)| at)
    }

    fn echo(&self, service: &ServiceName, anomaly: &Anomaly, now: u64) -> Option<IncidentId> {
        let echoes = |resolved: &&Resolved| {
            resolved.service == *service
                && resolved.release == anomaly.release
                && anomaly.onset_ms <= resolved.at_ms
                && now.saturating_sub(resolved.steady) <= self.config.echo_ms
        };
        self.resolved
            .iter()
            .rev()
            .find(echoes)
            .map(|resolved| resolved.id.clone())
    }

    fn begin(&mut self, service: ServiceName, anomaly: &Anomaly, now: u64) -> Decision {
        let cause = anomaly
            .fingerprint
            .clone()
            .unwrap_or_else(|| format!("{:?}", anomaly.kind));
        let id = IncidentId::derive(&service, &anomaly.release, &cause, anomaly.onset_ms);
        let fingerprints = anomaly.fingerprint.iter().cloned().collect();
        let open = Open {
            id: id.clone(),
            service,
            release: anomaly.release.clone(),
            fingerprints,
            last: now,
        };
        self.open.push(open);
        Decision::Open { incident: id }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::release;
    use super::*;
    use crate::detect::{AnomalyKind, Score};

    fn anomaly(release_name: &str, at_s: i64, kind: AnomalyKind, fingerprint: Option<&str>) -> Anomaly {
        Anomaly {
            detector: "test".into(),
            service: Some(ServiceName::parse("shop").unwrap()),
            release: release(release_name),
            route: None,
            at_ms: at_s * 1000,
            onset_ms: at_s * 1000 - 500,
            score: Score::Certain,
            baseline: String::new(),
            evidence: Vec::new(),
            fingerprint: fingerprint.map(str::to_owned),
            severity: Severity::Page,
            kind,
        }
    }

    fn ctx() -> Context {
        Context {
            lkg: Some(release("good")),
            active: Some(release("bad")),
            canary: None,
        }
    }

    struct Case(Grouper);

    impl Case {
        fn opens(&mut self, anomaly: &Anomaly) -> IncidentId {
            match self.0.decide(anomaly, &ctx()) {
                Decision::Open { incident } => incident,
                other => panic!("{other:?}"),
            }
        }

        fn joins(&mut self, anomaly: &Anomaly, incident: &IncidentId) {
            assert_eq!(
                self.0.decide(anomaly, &ctx()),
                Decision::Join {
                    incident: incident.clone()
                }
            );
        }

        fn suppressed(&mut self, anomaly: &Anomaly) -> SuppressReason {
            match self.0.decide(anomaly, &ctx()) {
                Decision::Suppress(reason) => reason,
                other => panic!("{other:?}"),
            }
        }
    }

    use AnomalyKind::{Crash, ErrorRate, NewException, Readiness};

    #[test]
    fn all_that_a_bad_release_does_is_one_incident() {
        let mut case = Case(Grouper::default());
        let id = case.opens(&anomaly("bad", 1, ErrorRate, None));
        case.joins(
            &Anomaly {
                route: Some("/b".into()),
                ..anomaly("bad", 2, ErrorRate, None)
            },
            &id,
        );
        case.joins(&anomaly("bad", 3, NewException, Some("f")), &id);
        case.joins(&anomaly("bad", 4, NewException, Some("g")), &id);
        case.joins(&anomaly("bad", 5, Crash, None), &id);
        case.joins(&anomaly("bad", 6, Readiness, None), &id);
        case.joins(&anomaly("fix", 7, NewException, Some("g")), &id);
        assert_ne!(case.opens(&anomaly("other", 8, ErrorRate, None)), id);
        let elsewhere = Anomaly {
            service: Some(ServiceName::parse("mail").unwrap()),
            ..anomaly("bad", 9, Crash, None)
        };
        assert_ne!(case.opens(&elsewhere), id);
    }

    #[test]
    fn in_the_good_release_two_fingerprints_are_two_causes() {
        let mut case = Case(Grouper::default());
        let f = case.opens(&anomaly("good", 1, NewException, Some("f")));
        let g = case.opens(&anomaly("good", 2, NewException, Some("g")));
        assert_ne!(f, g);
        case.joins(&anomaly("good", 3, ErrorRate, None), &f);
        case.joins(&anomaly("good", 4, NewException, Some("g")), &g);
    }

    #[test]
    fn the_window_ends_and_a_clock_set_back_does_not_hold_it_open() {
        let mut case = Case(Grouper::default());
        let id = case.opens(&anomaly("bad", 10_000, Crash, None));
        case.joins(&anomaly("bad", 10_500, Crash, None), &id);
        case.joins(&anomaly("bad", 5_000, Crash, None), &id);
        assert_ne!(case.opens(&anomaly("bad", 5_700, Crash, None)), id);
    }

    #[test]
    fn what_a_resolved_incident_left_behind_is_an_echo_and_a_relapse_is_not() {
        let mut case = Case(Grouper::default());
        let id = case.opens(&anomaly("bad", 1, ErrorRate, None));
        case.0.resolve(&id, 60_000);
        let late = Anomaly {
            onset_ms: 59_000,
            ..anomaly("bad", 61, Crash, None)
        };
        assert_eq!(case.suppressed(&late), SuppressReason::Echo { of: id });
        case.opens(&anomaly("bad", 90, ErrorRate, None));
    }

    #[test]
    fn odd_things_open_nothing_but_join() {
        let mut case = Case(Grouper::default());
        let odd = |at| Anomaly {
            severity: Severity::Odd,
            ..anomaly("bad", at, NewException, Some("f"))
        };
        assert_eq!(case.suppressed(&odd(1)), SuppressReason::Odd);
        let id = case.opens(&anomaly("bad", 2, ErrorRate, None));
        case.joins(&odd(3), &id);
        assert_eq!(
            case.suppressed(&Anomaly {
                service: None,
                ..odd(4)
            }),
            SuppressReason::NoService
        );
    }

    #[test]
    fn open_incidents_have_a_limit() {
        let mut case = Case(Grouper::new(GroupConfig {
            max_open: 3,
            ..GroupConfig::default()
        }));
        for n in 0..3 {
            case.opens(&anomaly(&format!("r{n}"), n, Crash, None));
        }
        assert_eq!(
            case.suppressed(&anomaly("r4", 4, Crash, None)),
            SuppressReason::OpenIncidentsLimit
        );
        assert_eq!(case.0.refused(), 1);
        let text = serde_json::to_string(&case.0).unwrap();
        assert_eq!(serde_json::from_str::<Grouper>(&text).unwrap(), case.0);
    }
}
