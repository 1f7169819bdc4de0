use super::*;
use crate::diagnose::hunks::{FileChange, FileState};
use crate::diagnose::rank::Evidence;
use crate::diagnose::testing::{change, commit, diff};
use crate::diagnose::{render_table, render_text};

fn row(side: Side, what: &str, tree: &str, outcome: RowOutcome, runs: u32) -> CounterfactualRow {
    CounterfactualRow {
        side,
        what: what.into(),
        tree: tree.into(),
        outcome,
        runs,
    }
}

fn proven() -> DiagnosisParts {
    let evidence = |engine: &str, weight, sentence: &str| Evidence {
        engine: engine.into(),
        weight,
        sentence: sentence.into(),
    };
    let reasons = vec![
        evidence(
            "frames-on-lines",
            4.0,
            "it changed shop/cart.py:12, which is on the stack",
        ),
        evidence("recency", 0.25, "one commit of the range is newer"),
    ];
    let shop = change(
        "shop/cart.py",
        "1\nif n < 0:\n    return 0\n4\n5\n6\n7\n8\n9\n",
        "1\n4\n5\n6\n7\n8\n9\n10\n",
    );
    DiagnosisParts {
        grade: Grade::Proven,
        cause: Cause::Commit {
            commit: commit(0xabc),
            subject: "Speed up totals\n\x1b[31mred".into(),
            author: "Ada".into(),
            owner: Some("@shop".into()),
        },
        suspects: vec![
            Suspect {
                commit: commit(0xabc),
                score: 4.25,
                probability: 0.93,
                evidence: reasons,
            },
            Suspect {
                commit: commit(0xabd),
                score: 0.5,
                probability: 0.02,
                evidence: vec![],
            },
        ],
        guilty_hunks: HunkSummary::of(&diff(vec![shop]), &[HunkId { file: 0, hunk: 0 }].into()),
        hunks_total: 2,
        counterfactual: vec![
            row(Side::With, "0000000abc", "aaaa11112222", RowOutcome::Fails, 3),
            row(
                Side::Without,
                "its parent 0000000abb",
                "bbbb11112222",
                RowOutcome::Passes,
                3,
            ),
            row(Side::Without, "hunk 1 reverted", "cccc11112222", RowOutcome::Passes, 3),
            row(
                Side::Without,
                "hunk 2 reverted",
                "dddd11112222",
                RowOutcome::Flaky { fails: 2 },
                3,
            ),
        ],
        ruled_out: vec![RuledOut {
            what: "0000000abd".into(),
            why: "its parent fails already".into(),
        }],
        not_looked_at: vec!["the upstream `mail`".into()],
        experiments: 7,
        seconds: 12.34,
    }
}

fn refused(change: impl FnOnce(&mut DiagnosisParts)) -> Result<(), InvalidDiagnosis> {
    let mut parts = proven();
    change(&mut parts);
    Diagnosis::new(parts).map(|_| ())
}

#[test]
fn a_proof_needs_both_rows() {
    assert_eq!(refused(|_| ()), Ok(()));
    assert_eq!(
        refused(|parts| parts.counterfactual.clear()),
        Err(InvalidDiagnosis::NoFailingWith)
    );
    assert_eq!(
        refused(|parts| drop(parts.counterfactual.remove(0))),
        Err(InvalidDiagnosis::NoFailingWith)
    );
    assert_eq!(
        refused(|parts| parts.counterfactual.retain(|row| row.side == Side::With)),
        Err(InvalidDiagnosis::NoPassingWithout)
    );
    let other = |outcome| move |parts: &mut DiagnosisParts| parts.counterfactual[0].outcome = outcome;
    assert_eq!(
        refused(other(RowOutcome::Different)),
        Err(InvalidDiagnosis::NoFailingWith)
    );
    assert_eq!(
        refused(other(RowOutcome::Flaky { fails: 0 })),
        Err(InvalidDiagnosis::NoFailingWith)
    );
    assert_eq!(refused(other(RowOutcome::Flaky { fails: 1 })), Ok(()));
}

#[test]
fn a_flaky_pass_is_no_pass() {
    let flaky = |parts: &mut DiagnosisParts| {
        parts
            .counterfactual
            .iter_mut()
            .skip(1)
            .for_each(|row| row.outcome = RowOutcome::Flaky { fails: 1 });
    };
    assert_eq!(refused(flaky), Err(InvalidDiagnosis::NoPassingWithout));
}

#[test]
fn contradictions_are_refused() {
    assert_eq!(
        refused(|parts| parts.cause = Cause::Unknown),
        Err(InvalidDiagnosis::ProvenWithoutCommit)
    );
    assert_eq!(
        refused(|parts| parts.counterfactual[1].runs = 0),
        Err(InvalidDiagnosis::RowWithoutRun("its parent 0000000abb".into()))
    );
    assert_eq!(
        refused(|parts| parts.counterfactual[1].tree = "aaaa11112222".into()),
        Err(InvalidDiagnosis::TreeContradicts("aaaa11112222".into()))
    );
    assert_eq!(
        refused(|parts| parts.hunks_total = 0),
        Err(InvalidDiagnosis::Hunks { guilty: 1, total: 0 })
    );
    assert_eq!(refused(|parts| parts.experiments = 1), Err(InvalidDiagnosis::Counts));
    assert_eq!(refused(|parts| parts.seconds = f64::NAN), Err(InvalidDiagnosis::Counts));
    for probability in [0.0, -1.0, 1.5, f64::NAN] {
        assert_eq!(
            refused(|parts| parts.grade = Grade::Likely { probability }),
            Err(InvalidDiagnosis::Probability)
        );
    }
    let inconclusive = || Grade::Inconclusive {
        why: "nothing fails".into(),
    };
    assert_eq!(
        refused(|parts| parts.grade = inconclusive()),
        Err(InvalidDiagnosis::GradeWithoutCause)
    );
    assert_eq!(
        refused(|parts| (parts.grade, parts.cause) = (inconclusive(), Cause::Unknown)),
        Ok(())
    );
}

#[test]
fn a_stored_proof_is_checked_again() {
    let diagnosis = Diagnosis::new(proven()).expect("valid");
    let stored = serde_json::to_string(&diagnosis).expect("JSON");
    assert_eq!(serde_json::from_str::<Diagnosis>(&stored).expect("valid"), diagnosis);
    let forged = stored.replace("\"passes\"", "\"different\"");
    assert_ne!(forged, stored);
    assert!(serde_json::from_str::<Diagnosis>(&forged).is_err());
}

#[test]
fn text_is_golden() {
    insta::assert_snapshot!(render_text(&Diagnosis::new(proven()).expect("valid")));
}

#[test]
fn text_without_a_cause_is_golden() {
    let parts = DiagnosisParts {
        grade: Grade::Likely { probability: 0.71 },
        cause: Cause::NoCodeCause {
            reason: "the certificate of the upstream expired".into(),
        },
        suspects: vec![],
        guilty_hunks: vec![],
        hunks_total: 0,
        counterfactual: vec![row(Side::Without, "last-known-good", "aaaa", RowOutcome::Fails, 1)],
        ruled_out: vec![],
        not_looked_at: vec![],
        experiments: 1,
        seconds: 0.5,
    };
    insta::assert_snapshot!(render_text(&Diagnosis::new(parts).expect("valid")));
}

#[test]
fn hostile_text_cannot_steer_a_terminal() {
    let rows = [row(
        Side::With,
        "\x1b[2J\u{202e}evil\r\nx",
        "t\x07",
        RowOutcome::Fails,
        1,
    )];
    let text = render_table(&rows);
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    assert!(!text.contains('\u{202e}'));
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn hunks_are_summarised_in_a_few_lines() {
    let long: String = (0..20).map(|n| format!("{n}\n")).collect();
    let added = FileChange::between(None, Some(FileState::regular("n.py", long)));
    let summary = HunkSummary::of(&diff(vec![added]), &[HunkId { file: 0, hunk: 0 }].into());
    assert_eq!(summary[0].header, "file added");
    assert_eq!(summary[0].excerpt, "+0\n+1\n+2\n+3\n+4\n+5\n… 14 more lines");
}
