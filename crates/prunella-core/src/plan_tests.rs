use proptest::prelude::*;

use super::*;
use crate::detect::{Anomaly, AnomalyKind, Score, Severity};
use crate::diagnose::failure::{FailureIdentity, Location};
use crate::diagnose::{CounterfactualRow, Diagnosis, DiagnosisParts, RowOutcome, Side};
use crate::id::{BlobId, CommitId, IncidentId, ReleaseId, ServiceName};
use crate::incident::{IncidentEvent, Proposal, ReleaseRef};
use crate::policy::Autonomy;
use crate::release::{Origin, ReleaseEvent};

const STRATEGIES: &[&str] = &["minimal_revert", "full_revert"];

fn commit(digit: char) -> CommitId {
    CommitId::parse(digit.to_string().repeat(40)).unwrap()
}

fn release(text: &str) -> ReleaseId {
    ReleaseId::parse(text).unwrap()
}

fn opened() -> Incident {
    let at = |r: &str, c| ReleaseRef {
        release: release(r),
        commit: commit(c),
    };
    let anomaly = Anomaly {
        detector: "error_rate".into(),
        service: None,
        release: release("r2"),
        route: Some("/total".into()),
        at_ms: 5,
        onset_ms: 1,
        score: Score::Certain,
        baseline: String::new(),
        evidence: vec![],
        fingerprint: None,
        severity: Severity::Page,
        kind: AnomalyKind::ErrorRate,
    };
    let event = IncidentEvent::Opened {
        service: ServiceName::parse("shop").unwrap(),
        failing: at("r2", 'b'),
        good: Some(at("r1", 'a')),
        anomaly: Box::new(anomaly),
        onset_ms: 1,
    };
    Incident::open(IncidentId::parse("inc-1").unwrap(), 5, &event).unwrap()
}

/// The same trouble in a service that is only observed.
fn observed() -> Incident {
    let event = IncidentEvent::Observed {
        service: ServiceName::parse("stock").unwrap(),
        release: release("v7"),
        anomaly: Box::new(opened().anomalies[0].clone()),
        onset_ms: 1,
    };
    Incident::open(IncidentId::parse("inc-2").unwrap(), 5, &event).unwrap()
}

fn mitigated() -> IncidentEvent {
    IncidentEvent::Mitigated {
        mitigation: Mitigation::FailOver { to: release("r1") },
    }
}

fn captured() -> IncidentEvent {
    let location = Location::Route {
        method: "GET".into(),
        template: "/total".into(),
    };
    IncidentEvent::Captured {
        reproduction: BlobId::of(b"reproduction"),
        identity: FailureIdentity::from_response(location, 500, b"oops"),
        summary: "one request".into(),
    }
}

fn diagnosed(grade: Grade, cause: Cause) -> IncidentEvent {
    let row = |side, tree: &str, outcome| CounterfactualRow {
        side,
        what: "with and without".into(),
        tree: tree.into(),
        outcome,
        runs: 1,
    };
    let counterfactual = vec![
        row(Side::With, "t1", RowOutcome::Fails),
        row(Side::Without, "t2", RowOutcome::Passes),
    ];
    let parts = DiagnosisParts {
        grade,
        cause,
        suspects: vec![],
        guilty_hunks: vec![],
        hunks_total: 6,
        counterfactual,
        ruled_out: vec![],
        not_looked_at: vec![],
        experiments: 9,
        seconds: 1.0,
    };
    IncidentEvent::Diagnosed {
        diagnosis: Box::new(Diagnosis::new(parts).unwrap()),
        detail: None,
    }
}

fn guilty() -> Cause {
    Cause::Commit {
        commit: commit('b'),
        subject: "Tidy".into(),
        author: "Ada".into(),
        owner: None,
    }
}

fn proposed(strategy: &str) -> IncidentEvent {
    let proposal = Proposal {
        candidate: format!("cand-{strategy}"),
        strategy: strategy.into(),
        base: commit('b'),
        commit: commit('c'),
        tree: "t".into(),
        patch: BlobId::of(b"patch"),
        touched: vec!["app.py".into()],
        hunks: 1,
        rationale: String::new(),
    };
    IncidentEvent::Proposed { proposal }
}

fn judged(strategy: &str, decision: Decision) -> IncidentEvent {
    IncidentEvent::Judged {
        candidate: format!("cand-{strategy}"),
        report: BlobId::of(b"report"),
        decision,
        why: "the suite".into(),
    }
}

fn published() -> IncidentEvent {
    IncidentEvent::Published {
        branch: "prunella/inc-1".into(),
        commit: commit('c'),
    }
}

fn after(events: &[IncidentEvent]) -> Incident {
    let mut incident = opened();
    for event in events {
        incident.apply(10, event);
    }
    incident
}

fn promote() -> Policy {
    Policy {
        autonomy: Autonomy::Promote,
        ..Policy::default()
    }
}

fn step(incident: &Incident, policy: &Policy, service: &ServiceState, heals_in_a_row: u32) -> Step {
    next_step(
        incident,
        &Surroundings {
            policy,
            service,
            strategies: STRATEGIES,
            heals_in_a_row,
            duplicate_of: None,
            is_quiet: false,
        },
    )
}

fn check(events: &[IncidentEvent], expected: &Step) {
    assert_eq!(&step(&after(events), &promote(), &ServiceState::default(), 0), expected);
}

fn outcome(incident: &Incident, policy: &Policy) -> Option<Outcome> {
    match step(incident, policy, &ServiceState::default(), 0) {
        Step::Close { outcome, .. } => Some(outcome),
        _ => None,
    }
}

/// Everything up to a verified candidate.
fn verified() -> Vec<IncidentEvent> {
    vec![
        mitigated(),
        captured(),
        diagnosed(Grade::Proven, guilty()),
        proposed("minimal_revert"),
        judged("minimal_revert", Decision::Passed),
    ]
}

#[test]
fn the_whole_story() {
    let candidate = "cand-minimal_revert".to_owned();
    let mut events = Vec::new();
    check(&events, &Step::Mitigate);
    events.push(mitigated());
    check(&events, &Step::Capture);
    events.push(captured());
    check(&events, &Step::Diagnose);
    events.push(diagnosed(Grade::Proven, guilty()));
    check(
        &events,
        &Step::Repair {
            strategy: "minimal_revert".into(),
        },
    );
    events.push(proposed("minimal_revert"));
    check(
        &events,
        &Step::Verify {
            candidate: candidate.clone(),
        },
    );
    events.push(judged("minimal_revert", Decision::Passed));
    check(
        &events,
        &Step::Publish {
            candidate: candidate.clone(),
        },
    );
    events.push(published());
    check(&events, &Step::Ship { candidate });
    events.push(IncidentEvent::Shipped { release: release("r3") });

    let mut service = ServiceState::default();
    let heal = Origin::Heal {
        incident: IncidentId::parse("inc-1").unwrap(),
    };
    service.apply(
        1,
        &ReleaseEvent::Requested {
            release: release("r3"),
            commit: commit('c'),
            origin: heal,
        },
    );
    assert!(matches!(
        step(&after(&events), &promote(), &service, 0),
        Step::Wait { .. }
    ));
    service.apply(2, &ReleaseEvent::CanaryStarted { release: release("r3") });
    assert!(matches!(
        step(&after(&events), &promote(), &service, 0),
        Step::Wait { .. }
    ));
    service.apply(3, &ReleaseEvent::Promoted { release: release("r3") });
    let end = step(&after(&events), &promote(), &service, 0);
    assert!(
        matches!(
            end,
            Step::Close {
                outcome: Outcome::Healed,
                ..
            }
        ),
        "{end:?}"
    );
}

#[test]
fn a_refuted_candidate_makes_way_for_the_next_strategy() {
    let mut events = verified();
    events.pop();
    events.push(judged("minimal_revert", Decision::Failed));
    check(
        &events,
        &Step::Repair {
            strategy: "full_revert".into(),
        },
    );
    events.push(IncidentEvent::NoCandidate {
        strategy: "full_revert".into(),
        why: "it conflicts".into(),
    });
    let why = "minimal_revert was refuted: the suite; full_revert has no candidate: it conflicts".to_owned();
    check(
        &events,
        &Step::Close {
            outcome: Outcome::NotFixed,
            why,
        },
    );
}

#[test]
fn only_what_is_proven_is_repaired() {
    let of = |grade, cause| {
        let incident = after(&[mitigated(), captured(), diagnosed(grade, cause)]);
        outcome(&incident, &promote())
    };
    assert_eq!(
        of(Grade::Likely { probability: 0.99 }, guilty()),
        Some(Outcome::Mitigated)
    );
    assert_eq!(
        of(Grade::Inconclusive { why: "no run".into() }, Cause::Unknown),
        Some(Outcome::Mitigated)
    );
    let no_code = Cause::NoCodeCause {
        reason: "the good release fails too".into(),
    };
    assert_eq!(
        of(Grade::Likely { probability: 0.9 }, no_code),
        Some(Outcome::NoCodeCause)
    );
}

#[test]
fn trust_is_a_ladder() {
    let with = |autonomy| Policy {
        autonomy,
        ..Policy::default()
    };
    let incident = after(&[]);
    assert_eq!(
        step(&incident, &with(Autonomy::Observe), &ServiceState::default(), 0),
        Step::Capture
    );
    assert_eq!(
        step(&incident, &with(Autonomy::Mitigate), &ServiceState::default(), 0),
        Step::Mitigate
    );
    let incident = after(&[mitigated(), captured(), diagnosed(Grade::Proven, guilty())]);
    assert_eq!(outcome(&incident, &with(Autonomy::Mitigate)), Some(Outcome::Mitigated));
    let mut events = verified();
    events.push(published());
    events.push(IncidentEvent::Refused {
        why: "autonomy is `propose`".into(),
    });
    assert_eq!(
        outcome(&after(&events), &with(Autonomy::Propose)),
        Some(Outcome::Proposed)
    );
}

#[test]
fn while_paused_mitigation_goes_on_and_nothing_is_changed() {
    let paused = Policy {
        paused: true,
        ..promote()
    };
    assert_eq!(step(&after(&[]), &paused, &ServiceState::default(), 0), Step::Mitigate);
    let before_fix = after(&[mitigated(), captured(), diagnosed(Grade::Proven, guilty())]);
    assert!(matches!(
        step(&before_fix, &paused, &ServiceState::default(), 0),
        Step::Wait { .. }
    ));
    assert!(matches!(
        step(&after(&verified()), &paused, &ServiceState::default(), 0),
        Step::Wait { .. }
    ));
}

#[test]
fn what_heals_again_and_again_goes_to_a_person() {
    let incident = after(&verified());
    let end = step(&incident, &promote(), &ServiceState::default(), 2);
    assert!(
        matches!(
            end,
            Step::Close {
                outcome: Outcome::HandedOver,
                ..
            }
        ),
        "{end:?}"
    );
    let end = step(&incident, &promote(), &ServiceState::default(), 1);
    assert!(matches!(end, Step::Publish { .. }), "{end:?}");
}

#[test]
fn an_attempt_has_a_name_of_its_own() {
    let first = after(&[mitigated()]);
    let failed = IncidentEvent::StepFailed {
        stage: Stage::Capture,
        why: "no request".into(),
    };
    let second = after(&[mitigated(), failed.clone()]);
    assert_eq!(Step::Capture.id(&first), Step::Capture.id(&first));
    assert_ne!(Step::Capture.id(&first), Step::Capture.id(&second));
    let given_up = after(&[mitigated(), failed.clone(), failed]);
    assert_eq!(outcome(&given_up, &promote()), Some(Outcome::NotReproducible));
}

fn any_event() -> impl Strategy<Value = IncidentEvent> {
    prop_oneof![
        Just(mitigated()),
        Just(captured()),
        Just(diagnosed(Grade::Proven, guilty())),
        Just(diagnosed(Grade::Likely { probability: 0.5 }, guilty())),
        Just(proposed("minimal_revert")),
        Just(proposed("full_revert")),
        Just(IncidentEvent::NoCandidate {
            strategy: "full_revert".into(),
            why: String::new()
        }),
        Just(judged("minimal_revert", Decision::Passed)),
        Just(judged("minimal_revert", Decision::Failed)),
        Just(judged("full_revert", Decision::Inconclusive)),
        Just(published()),
        Just(IncidentEvent::Refused { why: String::new() }),
        Just(IncidentEvent::StepFailed {
            stage: Stage::Diagnose,
            why: String::new()
        }),
        Just(IncidentEvent::StepFailed {
            stage: Stage::Verify,
            why: String::new()
        }),
        Just(IncidentEvent::Closed {
            outcome: Outcome::Suppressed,
            why: String::new()
        }),
    ]
}

proptest! {
    /// Whatever the ledger holds: nothing is published or shipped that the judge did not let through, and the kill
    /// switch and the ladder hold.
    #[test]
    fn nothing_unverified_goes_out(
        events in proptest::collection::vec(any_event(), 0..14),
        paused in any::<bool>(),
        autonomy in prop_oneof![
            Just(Autonomy::Observe), Just(Autonomy::Mitigate), Just(Autonomy::Propose), Just(Autonomy::Promote)
        ],
        heals in 0_u32..4,
    ) {
        let incident = after(&events);
        let policy = Policy { paused, autonomy, ..Policy::default() };
        let next = step(&incident, &policy, &ServiceState::default(), heals);
        match &next {
            Step::Publish { candidate } | Step::Ship { candidate } => {
                let passed = incident.verified().map(|c| c.proposal.candidate.clone());
                prop_assert_eq!(passed.as_ref(), Some(candidate));
                prop_assert!(!paused && heals < policy.heals_in_a_row);
            }
            Step::Mitigate => prop_assert!(autonomy >= Autonomy::Mitigate),
            Step::Repair { .. } | Step::Verify { .. } => prop_assert!(autonomy >= Autonomy::Propose && !paused),
            _ => {}
        }
    }

    /// What is not run here is watched, whatever the ledger says of it: nothing is done, and it ends in one of three ways.
    #[test]
    fn nothing_is_done_to_what_is_not_run_here(
        events in proptest::collection::vec(any_event(), 0..14),
        known in any::<bool>(),
        is_quiet in any::<bool>(),
        duplicate in any::<bool>(),
    ) {
        let mut incident = observed();
        events.iter().for_each(|event| incident.apply(10, event));
        if known {
            incident.apply(11, &IncidentEvent::Acknowledged { until_ms: 99, by: Some("ada".into()) });
        }
        let other = IncidentId::parse("inc-0").unwrap();
        let (policy, service) = (promote(), ServiceState::default());
        let around = Surroundings {
            policy: &policy,
            service: &service,
            strategies: STRATEGIES,
            heals_in_a_row: 0,
            duplicate_of: duplicate.then_some(&other),
            is_quiet,
        };
        let expected = match (incident.is_open(), duplicate, known, is_quiet) {
            (false, ..) | (true, false, false, false) => None,
            (true, true, ..) => Some(Outcome::Duplicate),
            (true, false, true, _) => Some(Outcome::Suppressed),
            (true, false, false, true) => Some(Outcome::NotOurs),
        };
        match next_step(&incident, &around) {
            Step::Close { outcome, .. } => prop_assert_eq!(Some(outcome), expected),
            Step::Wait { .. } => prop_assert_eq!(None, expected),
            other => prop_assert!(false, "{other:?}"),
        }
    }

    /// Any prefix of any story can be gone on from, and its own next step is stable.
    #[test]
    fn planning_is_a_function(events in proptest::collection::vec(any_event(), 0..14)) {
        let incident = after(&events);
        let service = ServiceState::default();
        prop_assert_eq!(step(&incident, &promote(), &service, 0), step(&incident, &promote(), &service, 0));
        let text = serde_json::to_string(&incident).unwrap();
        prop_assert_eq!(serde_json::from_str::<Incident>(&text).unwrap(), incident);
    }
}

#[test]
fn a_second_incident_of_the_same_cause_is_left_to_the_first() {
    let other = IncidentId::parse("inc-0").unwrap();
    let cause = Cause::Commit {
        commit: commit('c'),
        subject: "Break it".into(),
        author: "Ada".into(),
        owner: None,
    };
    let incident = after(&[mitigated(), captured(), diagnosed(Grade::Proven, cause)]);
    let around = |duplicate_of| {
        let (policy, service) = (promote(), ServiceState::default());
        let around = Surroundings {
            policy: &policy,
            service: &service,
            strategies: STRATEGIES,
            heals_in_a_row: 0,
            duplicate_of,
            is_quiet: false,
        };
        next_step(&incident, &around)
    };
    assert!(matches!(around(None), Step::Repair { .. }));
    let why = "inc-0 has the same cause".to_owned();
    let outcome = Outcome::Duplicate;
    assert_eq!(around(Some(&other)), Step::Close { outcome, why });
}
