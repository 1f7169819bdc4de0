use super::super::testing::release;
use proptest::strategy::Strategy as _;

use super::*;
use crate::detect::AnomalyKind;
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
        name: "the move".into(),
    }]);
    let window = "the move".to_owned();
    assert_eq!(case.suppressed(&silent(5, "f")), SuppressReason::Maintenance { window });
    let id = case.opens(&silent(11, "f"));
    let shop = ServiceName::parse("shop").unwrap();
    case.0.acknowledge(&id, &shop, &[silent(11, "f")], 2_000_000, "ada");
    case.0.resolve(&id, 12_000);
    assert_eq!(
        case.suppressed(&silent(1_000, "f")),
        SuppressReason::Acknowledged {
            of: id.clone(),
            by: "ada".into()
        }
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

fn of(service: &str, at_s: i64) -> Anomaly {
    Anomaly {
        service: Some(ServiceName::parse(service).unwrap()),
        ..anomaly("v7", at_s, AnomalyKind::Trace, Some(service))
    }
}

fn name(service: &str) -> ServiceName {
    ServiceName::parse(service).unwrap()
}

impl Case {
    fn calling(calls: &[(&str, &str)]) -> Self {
        let mut case = Self(Grouper::default());
        calls.iter().for_each(|(a, b)| case.0.calls(&name(a), &name(b)));
        case
    }

    /// Decides about a service that is only observed.
    fn observed(&mut self, anomaly: &Anomaly) -> IncidentId {
        match self.0.decide_observed(anomaly) {
            Decision::Open { incident } | Decision::Join { incident } => incident,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn observed_services_that_call_each_other_share_an_incident() {
    let mut case = Case::calling(&[("front", "stock"), ("stock", "db"), ("db", "disk")]);
    let id = case.observed(&of("front", 100));
    assert_eq!(case.0.root(&id), None, "one service alone names no root");
    assert_eq!(case.observed(&of("stock", 130)), id);
    // The disk is called by none of the two; that of the store in between comes last.
    assert_eq!(case.observed(&of("disk", 140)), id);
    let root = case.0.root(&id).unwrap();
    assert_eq!(root.service, name("disk"));
    assert!(
        root.why.contains("front calls stock calls db calls disk"),
        "{}",
        root.why
    );
    assert_ne!(case.observed(&of("mail", 150)), id);
    assert_eq!(case.observed(&of("stock", 500)), id, "the same failure goes on");
    assert_ne!(case.observed(&of("db", 900)), id, "much later is another cause");
}

#[test]
fn what_joins_two_incidents_makes_them_one() {
    let mut case = Case::calling(&[]);
    let (front, db) = (case.observed(&of("front", 100)), case.observed(&of("db", 101)));
    assert_ne!(front, db);
    // Traces are seen only now.
    case.0.calls(&name("front"), &name("stock"));
    case.0.calls(&name("stock"), &name("db"));
    assert_eq!(case.observed(&of("stock", 102)), front);
    assert_eq!(case.0.take_absorbed(), [(db.clone(), front.clone())]);
    assert_eq!(case.0.root(&front).unwrap().service, name("db"));
    assert_eq!(
        (case.observed(&of("db", 110)), case.0.last_claim_ms(&db)),
        (front, None)
    );
}

#[test]
fn what_can_be_mitigated_never_hides_in_the_incident_of_another_service() {
    let mut case = Case::calling(&[("front", "shop"), ("shop", "stock")]);
    let front = case.observed(&of("front", 100));
    let stock = case.observed(&of("stock", 100));
    assert_eq!(front, stock, "both are near the shop");
    let id = case.opens(&anomaly("bad", 101, ErrorRate, None));
    assert_eq!(case.0.take_absorbed(), [(front, id.clone())]);
    assert_eq!(case.observed(&of("front", 160)), id);
    assert_eq!(case.0.root(&id).unwrap().service, name("stock"));
}

#[test]
fn the_good_release_suffers_with_what_it_calls_and_not_with_its_callers() {
    let good = |at| anomaly("good", at, ErrorRate, None);
    let mut case = Case::calling(&[("front", "shop"), ("shop", "stock")]);
    let stock = case.observed(&of("stock", 100));
    case.joins(&good(101), &stock);
    assert_eq!(case.0.root(&stock).unwrap().service, name("stock"));
    case.joins(&good(201), &stock);
    assert_eq!(
        case.0.last_claim_ms(&stock),
        Some(100_000),
        "a victim keeps no incident open"
    );

    let mut case = Case::calling(&[("front", "shop")]);
    let front = case.observed(&of("front", 100));
    let id = case.opens(&good(101));
    assert_eq!(case.0.take_absorbed(), [(front, id)]);
}

#[test]
fn observed_services_take_no_room_of_what_runs_here() {
    let mut case = Case(Grouper::new(GroupConfig {
        max_observed: 2,
        ..GroupConfig::default()
    }));
    let ids: std::collections::BTreeSet<_> = ["a", "b"].map(|s| case.observed(&of(s, 1))).into();
    assert_eq!(ids.len(), 2);
    assert_eq!(
        case.0.decide_observed(&of("c", 1)),
        Decision::Suppress(SuppressReason::OpenIncidentsLimit)
    );
    case.opens(&anomaly("bad", 2, Crash, None));
    // Their window is one of their own.
    assert_eq!(case.0.last_claim_ms(ids.first().unwrap()), Some(1_000));
    case.observed(&of("c", 700));
    assert_eq!(case.0.last_claim_ms(ids.first().unwrap()), None);
}

#[test]
fn an_incident_of_before_a_restart_takes_in_what_belongs_to_it() {
    let mut before = Case::calling(&[("front", "stock")]);
    let id = before.observed(&of("front", 100));
    before.observed(&of("stock", 101));
    let mut case = Case(Grouper::default());
    case.0.resume(
        &id,
        &name("front"),
        &[of("front", 100), of("stock", 101)],
        true,
        200_000,
    );
    assert_eq!(case.0.last_claim_ms(&id), Some(200_000));
    assert_eq!(case.observed(&of("stock", 260)), id);
    let own = IncidentId::parse("inc-own").unwrap();
    case.0.resume(
        &own,
        &name("shop"),
        &[anomaly("bad", 90, ErrorRate, None)],
        false,
        200_000,
    );
    case.joins(&anomaly("bad", 261, Crash, None), &own);
}

proptest::proptest! {
    /// Whatever the length of the chain of calls and the order in which its services speak: one incident is left, and its
    /// root is the last one called.
    #[test]
    fn a_chain_of_services_is_one_incident(
        order in (2_usize..9).prop_flat_map(|n| proptest::strategy::Just((0..n).collect::<Vec<_>>()).prop_shuffle()),
        late in 0_i64..110,
    ) {
        let service = |n: usize| format!("s{n}");
        let mut case = Case::calling(&[]);
        for n in 1..order.len() {
            case.0.calls(&name(&service(n - 1)), &name(&service(n)));
        }
        let mut open = std::collections::BTreeSet::new();
        for (at, n) in order.iter().enumerate() {
            let at = 100 + i64::try_from(at).unwrap() * late / i64::try_from(order.len()).unwrap();
            open.insert(case.observed(&of(&service(*n), at)));
            for (gone, _) in case.0.take_absorbed() {
                open.remove(&gone);
            }
        }
        proptest::prop_assert_eq!(open.len(), 1);
        let root = case.0.root(open.first().unwrap()).unwrap();
        proptest::prop_assert_eq!(root.service, name(&service(order.len() - 1)));
    }
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
