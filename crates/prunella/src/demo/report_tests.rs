use std::time::Duration;

use prunella_core::id::{IncidentId, ReleaseId};
use prunella_core::incident::{IncidentEvent, Mitigation};
use prunella_core::verify::Decision;

use super::super::follow::tests::{GUILTY, closed, diagnosed, judged, opened, proposed};
use super::super::traffic::{Answer, TrafficPlan};
use super::*;

fn guilty() -> CommitId {
    CommitId::parse(GUILTY).unwrap()
}

/// 100 reads, of which one failed, and one failed purchase.
fn tally() -> Tally {
    let plan = TrafficPlan::parse(super::super::shop::TRAFFIC).unwrap();
    let (read, buy) = (plan.template("products").unwrap(), plan.template("buy").unwrap());
    let mut tally = Tally::new(plan.templates());
    let mut record = |template, status| {
        tally.record(0, template, &Answer::Status(status), Duration::from_micros(2_500), 0);
    };
    for _ in 0..99 {
        record(read, 200);
    }
    record(read, 502);
    record(buy, 502);
    tally
}

/// The onset by the ledger is at 10,000 ms.
fn incident(events: &[(i64, IncidentEvent)]) -> Incident {
    let id = IncidentId::parse("inc-1").unwrap();
    let mut incident = Incident::open(id, 10_120, &opened(10_000)).unwrap();
    for (at_ms, event) in events {
        incident.apply(*at_ms, event);
    }
    incident
}

fn healed() -> Incident {
    let mitigation = Mitigation::FailOver {
        to: ReleaseId::parse("r1").unwrap(),
    };
    incident(&[
        (10_180, IncidentEvent::Mitigated { mitigation }),
        (18_000, diagnosed()),
        (18_100, proposed()),
        (21_500, judged(Decision::Passed)),
        (30_250, closed(Outcome::Healed)),
    ])
}

#[test]
fn the_object_of_a_heal() {
    let report = Report::new(guilty(), Some(&healed()), None, &tally());
    assert!(report.is_success());
    insta::assert_json_snapshot!(report, @r#"
    {
      "outcome": "healed",
      "grade": "proven",
      "guilty_commit": "29d42c48f4dd337c8346796ee1e30ecffcdec43a",
      "blamed_commit": "29d42c48f4dd337c8346796ee1e30ecffcdec43a",
      "hunks_total": 8,
      "hunks_reverted": 1,
      "requests": 101,
      "failed": 2,
      "failed_idempotent": 1,
      "detected_s": 0.12,
      "mitigated_s": 0.18,
      "diagnosed_s": 8.0,
      "verified_s": 11.5,
      "healed_s": 20.25
    }
    "#);
    insta::assert_snapshot!(report.text(), @r#"
    onset         0.000 s
    detected      0.120 s
    mitigated     0.180 s
    diagnosed     8.000 s
    verified     11.500 s
    healed       20.250 s

    outcome   healed
    blamed    29d42c48f4, rightly (proven)
    fix       1 of 8 hunks taken back
    requests  101 sent, 2 failed, 1 of them idempotent
    "#);
}

#[test]
fn the_object_when_nothing_was_noticed() {
    let report = Report::new(guilty(), None, None, &tally());
    assert!(!report.is_success());
    insta::assert_json_snapshot!(report, @r#"
    {
      "outcome": "not_detected",
      "grade": null,
      "guilty_commit": "29d42c48f4dd337c8346796ee1e30ecffcdec43a",
      "blamed_commit": null,
      "hunks_total": null,
      "hunks_reverted": null,
      "requests": 101,
      "failed": 2,
      "failed_idempotent": 1,
      "detected_s": null,
      "mitigated_s": null,
      "diagnosed_s": null,
      "verified_s": null,
      "healed_s": null
    }
    "#);
    insta::assert_snapshot!(report.text(), @r#"
    onset         never
    detected      never
    mitigated     never
    diagnosed     never
    verified      never
    healed        never

    outcome   not detected
    blamed    nobody, but it was 29d42c48f4 (no diagnosis)
    fix       none
    requests  101 sent, 2 failed, 1 of them idempotent
    "#);
}

#[test]
fn the_earlier_onset_counts() {
    let check = |seen_ms, detected| {
        let report = Report::new(guilty(), Some(&healed()), seen_ms, &tally());
        assert_eq!(report.detected_s, Some(detected));
    };
    check(None, 0.12);
    check(Some(9_000), 1.12);
    check(Some(11_000), 0.12);
}

#[test]
fn a_wrong_blame_and_an_open_incident_are_no_success() {
    let other = CommitId::parse("0".repeat(40)).unwrap();
    let report = Report::new(other, Some(&healed()), None, &tally());
    assert!(!report.is_success());
    assert!(
        report.text().contains("29d42c48f4, wrongly: it was 0000000000"),
        "{}",
        report.text()
    );
    let open = Report::new(guilty(), Some(&incident(&[(18_000, diagnosed())])), None, &tally());
    assert_eq!((open.outcome.as_str(), open.is_success()), ("unfinished", false));
}

#[test]
fn outcomes_are_named_as_in_the_ledger() {
    let report = Report::new(
        guilty(),
        Some(&incident(&[(18_000, closed(Outcome::NotReproducible))])),
        None,
        &tally(),
    );
    assert_eq!(report.outcome, "not_reproducible");
}

#[test]
fn what_a_whole_revert_would_have_lost() {
    let lines =
        |all: &[(&str, u64)]| -> Vec<(String, u64)> { all.iter().map(|(f, n)| ((*f).to_owned(), *n)).collect() };
    let whole = lines(&[
        ("shop/pricing.py", 34),
        ("shop/views.py", 1),
        ("tests/test_pricing.py", 11),
    ]);
    let text = lost_by_whole_revert(&whole, &lines(&[("shop/pricing.py", 8)]), Some((1, 8)));
    insta::assert_snapshot!(text, @r#"
    A revert of the whole commit would have taken back 7 more hunks, 38 changed lines that work:
      shop/pricing.py: 26 lines
      shop/views.py: 1 line
      tests/test_pricing.py: 11 lines
    "#);
    assert!(lost_by_whole_revert(&whole, &whole, None).contains("is a revert of the whole commit"));
}

#[test]
fn a_patch_is_made_safe_and_bounded() {
    let patch = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\u{1b}]0;title\u{7}\n+\tnew\n";
    assert_eq!(
        patch_text(patch),
        "  --- a/x\n  +++ b/x\n  @@ -1 +1 @@\n  -old]0;title\n  + new\n"
    );
    let long = patch_text(&"+line\n".repeat(205));
    assert!(long.ends_with("  … 5 more lines\n"), "{long}");
}
