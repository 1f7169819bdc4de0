//! Anomaly → Incident: one cause makes one incident.
//!
//! *Method.* In this order:
//! 1. A fingerprint that an open incident of the service has seen: the same failure, whatever the release.
//! 2. The same release as an open incident of the service: one bad release is one cause, whichever route or detector speaks. Not so
//!    for the last-known-good release, which is not what changed: there two different fingerprints are two causes.
//! 3. Silent signs on one route of one release are one cause, and so is what befalls two services that call each other
//!    within two minutes.
//! 4. What an incident of this release left behind when it was resolved (it began before that) is suppressed.
//! 5. An odd anomaly opens nothing. A page-worthy one opens an incident, unless its service is
//!    under maintenance, its cause acknowledged, or flapping (`quiet.rs`).
//!
//! An open incident takes anomalies in until it has had none for the window's time.
//!
//! *Source.* Grouping by identity before grouping by time and place, as error trackers do; the rest from the design's
//! "one cause makes one incident".

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::quiet::{Maintenance, Quiet, cause};
use super::related::Related;
use super::time::Steady;
use super::{Anomaly, AnomalyKind, Context, Severity};
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
/// Trouble of two services that call each other is one if it began within this time, ms.
const RELATED_MS: u64 = 120_000;
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
    /// Its service is under maintenance.
    Maintenance,
    /// A person knows of its cause.
    Acknowledged {
        /// The incident that was acknowledged.
        of: IncidentId,
    },
    /// Its cause comes and goes: it has opened enough incidents lately.
    Flapping {
        /// The last of them.
        last: IncidentId,
    },
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
    #[serde(default)]
    onset_ms: i64,
    /// Routes of silent signs.
    #[serde(default)]
    silent_routes: BTreeSet<String>,
}

impl Open {
    fn routes_silent(&self, anomaly: &Anomaly) -> bool {
        silent_route(anomaly).is_some_and(|route| self.silent_routes.contains(&route))
    }
}

fn silent_route(anomaly: &Anomaly) -> Option<String> {
    anomaly.route.clone().filter(|_| anomaly.kind == AnomalyKind::Silent)
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
    #[serde(default)]
    quiet: Quiet,
    #[serde(default)]
    related: Related,
}

impl Grouper {
    /// Says when nothing is to be said. Replaces what was said before.
    pub fn maintain(&mut self, windows: Vec<Maintenance>) {
        self.quiet.maintenance = windows;
    }

    /// One service was seen to call another: what befalls both at once is one incident.
    pub fn calls(&mut self, caller: &ServiceName, callee: &ServiceName) {
        self.related.calls(caller, callee);
    }

    /// A person knows of an incident that began with these anomalies: until then its causes open no other.
    pub fn acknowledge(&mut self, incident: &IncidentId, service: &ServiceName, anomalies: &[Anomaly], until_ms: i64) {
        let causes = anomalies.iter().map(cause).collect();
        self.quiet
            .acknowledge(incident.clone(), service.clone(), causes, until_ms);
    }

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
        if let Some(reason) = self.quiet.reason(service, anomaly, now) {
            return Decision::Suppress(reason);
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
        // Several silent signs on one route of the good release are one cause; on two routes they may be two.
        let by_route = || {
            let silent = anomaly.kind == AnomalyKind::Silent && anomaly.route.is_some();
            ours().find(|(_, open)| silent && open.release == anomaly.release && open.routes_silent(anomaly))
        };
        let by_call = || {
            let mut others = self.open.iter().enumerate();
            others.find(|(_, open)| {
                let together = open.onset_ms.abs_diff(anomaly.onset_ms) <= RELATED_MS;
                together && self.related.are(&open.service, service)
            })
        };
        let found = by_fingerprint.or_else(by_release).or_else(by_route).or_else(by_call);
        found.map(|(at, _)| at)
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
        let cause = cause(anomaly);
        let id = IncidentId::derive(&service, &anomaly.release, &cause, anomaly.onset_ms);
        let fingerprints = anomaly.fingerprint.iter().cloned().collect();
        let open = Open {
            id: id.clone(),
            service,
            release: anomaly.release.clone(),
            fingerprints,
            last: now,
            onset_ms: anomaly.onset_ms,
            silent_routes: silent_route(anomaly).into_iter().collect(),
        };
        self.quiet.opened(id.clone(), open.service.clone(), cause, now);
        self.open.push(open);
        Decision::Open { incident: id }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::release;
    use super::*;
    use crate::detect::Score;

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
    fn what_is_known_opens_nothing() {
        let silent = |at, f: &str| anomaly("good", at, AnomalyKind::Silent, Some(f));
        let mut case = Case(Grouper::default());
        case.0.maintain(vec![Maintenance {
            service: None,
            from_ms: 0,
            until_ms: 10_000,
        }]);
        assert_eq!(case.suppressed(&silent(5, "f")), SuppressReason::Maintenance);
        let id = case.opens(&silent(11, "f"));
        let shop = ServiceName::parse("shop").unwrap();
        case.0.acknowledge(&id, &shop, &[silent(11, "f")], 2_000_000);
        case.0.resolve(&id, 12_000);
        assert_eq!(
            case.suppressed(&silent(1_000, "f")),
            SuppressReason::Acknowledged { of: id.clone() }
        );
        case.opens(&silent(1_001, "g"));
        case.opens(&silent(2_001, "f"));
    }

    #[test]
    fn what_comes_and_goes_is_damped_unless_it_is_a_fact() {
        for (kind, damped) in [(AnomalyKind::Silent, true), (Crash, false)] {
            let mut case = Case(Grouper::default());
            for n in 0..3 {
                let id = case.opens(&anomaly("good", 100 * n, kind, Some("f")));
                case.0.resolve(&id, (100 * n + 1) * 1_000);
            }
            let fourth = anomaly("good", 400, kind, Some("f"));
            if damped {
                assert!(matches!(case.suppressed(&fourth), SuppressReason::Flapping { .. }));
                case.opens(&anomaly("good", 4_000, kind, Some("f")));
            } else {
                case.opens(&fourth);
            }
        }
    }

    #[test]
    fn services_that_call_each_other_share_an_incident() {
        let of = |service: &str, at| Anomaly {
            service: Some(ServiceName::parse(service).unwrap()),
            ..anomaly(service, at, AnomalyKind::Trace, Some(service))
        };
        let name = |service: &str| ServiceName::parse(service).unwrap();
        let mut case = Case(Grouper::default());
        case.0.calls(&name("front"), &name("stock"));
        case.0.calls(&name("stock"), &name("db"));
        let id = case.opens(&of("db", 100));
        case.joins(&of("stock", 130), &id);
        case.joins(&of("front", 150), &id);
        assert_ne!(case.opens(&of("mail", 150)), id);
        assert_ne!(case.opens(&of("front", 500)), id, "much later is another cause");
    }

    #[test]
    fn silent_signs_of_one_route_are_one_cause() {
        let on = |route: &str, at, f: &str| Anomaly {
            route: Some(route.into()),
            ..anomaly("good", at, AnomalyKind::Silent, Some(f))
        };
        let mut case = Case(Grouper::default());
        let id = case.opens(&on("/a", 1, "a missing"));
        case.joins(&on("/a", 2, "b missing"), &id);
        assert_ne!(case.opens(&on("/b", 3, "a missing at b")), id);
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
