use prunella_core::detect::{Anomaly, AnomalyKind, Score, Severity};
use prunella_core::diagnose::{CounterfactualRow, DiagnosisParts, HunkSummary, RowOutcome, Side};
use prunella_core::id::{BlobId, ReleaseId, ServiceName};
use prunella_core::incident::{Proposal, ReleaseRef};
use prunella_core::release::Origin;

use super::*;

pub(in crate::demo) const GUILTY: &str = "29d42c48f4dd337c8346796ee1e30ecffcdec43a";
const FIX: &str = "e4635c56c77694c90c4fc977862eeedaf5d386f2";

fn commit(text: &str) -> CommitId {
    CommitId::parse(text).unwrap()
}

fn release(text: &str) -> ReleaseId {
    ReleaseId::parse(text).unwrap()
}

pub(in crate::demo) fn opened(onset_ms: i64) -> IncidentEvent {
    let anomaly = Anomaly {
        detector: "new-exception".into(),
        service: None,
        release: release("r2"),
        route: Some("GET /cart/{id}/total".into()),
        at_ms: onset_ms + 40,
        onset_ms,
        score: Score::Certain,
        baseline: "r1".into(),
        evidence: vec!["KeyError: 'tea'\u{1b}[2J is new".into()],
        fingerprint: None,
        severity: Severity::Page,
        kind: AnomalyKind::NewException,
    };
    IncidentEvent::Opened {
        service: ServiceName::parse("shop").unwrap(),
        failing: ReleaseRef {
            release: release("r2"),
            commit: commit(GUILTY),
        },
        good: None,
        anomaly: Box::new(anomaly),
        onset_ms,
    }
}

pub(in crate::demo) fn diagnosed() -> IncidentEvent {
    let row = |side, what: &str, tree: &str, outcome| CounterfactualRow {
        side,
        what: what.into(),
        tree: tree.into(),
        outcome,
        runs: 3,
    };
    let parts = DiagnosisParts {
        grade: Grade::Proven,
        cause: Cause::Commit {
            commit: commit(GUILTY),
            subject: "Show loyalty points".into(),
            author: "Chidi".into(),
            owner: None,
        },
        suspects: Vec::new(),
        guilty_hunks: vec![HunkSummary {
            file: "shop/pricing.py".into(),
            header: "@@ -1,2 +1 @@".into(),
            excerpt: "-old\n+new".into(),
        }],
        hunks_total: 8,
        counterfactual: vec![
            row(Side::With, "29d42c48f4", "aaaa", RowOutcome::Fails),
            row(Side::Without, "hunk 3 reverted", "bbbb", RowOutcome::Passes),
        ],
        ruled_out: Vec::new(),
        not_looked_at: Vec::new(),
        experiments: 11,
        seconds: 4.5,
    };
    IncidentEvent::Diagnosed {
        diagnosis: Box::new(Diagnosis::new(parts).unwrap()),
        detail: None,
    }
}

pub(in crate::demo) fn proposed() -> IncidentEvent {
    IncidentEvent::Proposed {
        proposal: Proposal {
            candidate: "c1".into(),
            strategy: "minimal-revert".into(),
            base: commit(FIX),
            commit: commit(FIX),
            tree: "cccc".into(),
            patch: BlobId::of(b"patch"),
            touched: vec!["shop/pricing.py".into()],
            hunks: 1,
            rationale: "Takes one hunk back.".into(),
        },
    }
}

pub(in crate::demo) fn judged(decision: Decision) -> IncidentEvent {
    IncidentEvent::Judged {
        candidate: "c1".into(),
        report: BlobId::of(b"report"),
        decision,
        why: "fails before, passes after".into(),
    }
}

pub(in crate::demo) fn closed(outcome: Outcome) -> IncidentEvent {
    IncidentEvent::Closed {
        outcome,
        why: "release r3 carries the fix and was promoted".into(),
    }
}

/// A ledger that another process writes and this one follows.
async fn follow(events: &[(Stream, Event)]) -> (Vec<Line>, Follower, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::of(dir.path(), None);
    home.create().unwrap();
    let mut follower = Follower::open(&home).await.unwrap();
    let mut writer = Journal::open(&home).await.unwrap();
    for (stream, event) in events {
        writer.append(stream, std::slice::from_ref(event)).await.unwrap();
    }
    let lines = follower.look().await.unwrap();
    (lines, follower, dir)
}

fn incident(id: &str, event: IncidentEvent) -> (Stream, Event) {
    (Stream::Incident(IncidentId::parse(id).unwrap()), Event::Incident(event))
}

fn of_release(event: ReleaseEvent) -> (Stream, Event) {
    (Stream::Releases, Event::Release(event))
}

#[tokio::test]
async fn a_heal_in_words() {
    let r2 = || release("r2");
    let (lines, follower, _dir) = follow(&[
        of_release(ReleaseEvent::Requested {
            release: r2(),
            commit: commit(GUILTY),
            origin: Origin::Deploy,
        }),
        of_release(ReleaseEvent::Ready { release: r2() }),
        of_release(ReleaseEvent::CanaryStarted { release: r2() }),
        of_release(ReleaseEvent::Promoted { release: r2() }),
        incident("inc-1", opened(1_000)),
        incident(
            "inc-1",
            IncidentEvent::Mitigated {
                mitigation: Mitigation::FailOver { to: release("r1") },
            },
        ),
        incident("inc-1", diagnosed()),
        incident("inc-1", proposed()),
        incident("inc-1", judged(Decision::Passed)),
        incident("inc-1", closed(Outcome::Healed)),
    ])
    .await;
    let text: String = lines
        .iter()
        .map(|l| format!("{:<9} {}\n{}", l.word, l.text, l.below))
        .collect();
    insta::assert_snapshot!(text, @r#"
    release   r2 asked for (29d42c48f4)
    release   r2 is ready
    release   r2 takes a share of the traffic
    release   r2 takes all the traffic
    detected  new-exception of release r2 on GET /cart/{id}/total: KeyError: 'tea'[2J is new
    mitigated all traffic goes to the last-known-good release r1
    diagnosed proven: 29d42c48f4 Show loyalty points (Chidi), 1 of its 8 hunks; 11 experiments
             what ran         tree  outcome  runs
    with     29d42c48f4       aaaa  fails       3
    without  hunk 3 reverted  bbbb  passes      3
    repair    minimal-revert: Takes one hunk back.
    verified  fails before, passes after
    healed    release r3 carries the fix and was promoted
    "#);
    assert!(is_promoted(follower.release_of(&commit(GUILTY)).unwrap()));
    assert!(follower.is_settled(0));
    assert!(
        !follower.is_settled(i64::MAX),
        "what was detected before does not count"
    );
}

#[tokio::test]
async fn the_healed_incident_is_the_one_that_counts() {
    let check = async |events: &[(Stream, Event)], since_ms, expected: &str| {
        let (_, follower, _dir) = follow(events).await;
        assert_eq!(follower.incident(since_ms).unwrap().id.as_str(), expected);
    };
    let early = incident("inc-1", opened(1_000));
    let duplicate = [
        incident("inc-2", opened(2_000)),
        incident("inc-2", closed(Outcome::Duplicate)),
    ];
    let late = incident("inc-3", opened(3_000));
    let all: Vec<_> = [early.clone()]
        .into_iter()
        .chain(duplicate.clone())
        .chain([late.clone()])
        .collect();
    check(&all, 0, "inc-1").await;
    check(&all, i64::MAX, "inc-1").await;
    let healed = incident("inc-3", closed(Outcome::Healed));
    check(&[early.clone(), late.clone(), healed], 0, "inc-3").await;
    check(&[duplicate[0].clone(), duplicate[1].clone(), late], 0, "inc-3").await;
}

#[tokio::test]
async fn an_open_incident_is_not_settled() {
    let (lines, follower, _dir) = follow(&[
        incident("inc-1", opened(1)),
        incident("inc-1", closed(Outcome::Mitigated)),
        incident("inc-2", opened(2)),
    ])
    .await;
    assert!(!follower.is_settled(0));
    assert!(lines[1].text.starts_with("[inc-1] mitigated only"), "{}", lines[1].text);
}

#[tokio::test]
async fn a_release_that_is_over_says_why() {
    let end = ReleaseEnd::RolledBack {
        why: "5xx\u{1b}[0m in 4 of 20 requests".into(),
    };
    let (_, follower, _dir) = follow(&[
        of_release(ReleaseEvent::Requested {
            release: release("r2"),
            commit: commit(GUILTY),
            origin: Origin::Deploy,
        }),
        of_release(ReleaseEvent::Ended {
            release: release("r2"),
            end,
        }),
    ])
    .await;
    let release = follower.release_of(&commit(GUILTY)).unwrap();
    assert_eq!(end_of(release).unwrap(), "rolled back: 5xx[0m in 4 of 20 requests");
    assert!(!is_promoted(release));
}
