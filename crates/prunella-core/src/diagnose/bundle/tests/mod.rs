//! What the catalogue is held to beyond the public benchmark: `incidents.txt`, and `unseen.txt` and `unseen_more.txt`, of
//! which the ranking at first sight is told in BENCHMARKS.md.

mod notation;

use std::fmt::Write as _;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use notation::{GUILTY, Incident, MINUTE, ONSET, START, at, read};

fn parse(incident: &Incident) -> Bundle {
    let text = |values: &[Value]| Value::from(values).to_string();
    let (commits, deploys, flags) = (text(&incident.commits), text(&incident.deploys), text(&incident.flags));
    Bundle::parse(&Documents {
        alert: &incident.alert.to_string(),
        logs: &incident.logs,
        metrics: &format!("timestamp,service,metric,value\n{}", incident.rows),
        commits: &commits,
        deploys: &deploys,
        flags: &flags,
        other: &incident.notes,
        ..Documents::default()
    })
}

fn incidents() -> Vec<Incident> {
    static ALL: LazyLock<Vec<Incident>> = LazyLock::new(|| {
        let texts = [
            include_str!("incidents.txt"),
            include_str!("unseen.txt"),
            include_str!("unseen_more.txt"),
        ];
        texts.into_iter().flat_map(read).collect()
    });
    ALL.clone()
}

fn is_right(incident: &Incident, found: &BundleDiagnosis) -> bool {
    match &found.answer {
        Answer::Commit(sha) => incident.guilty && sha == GUILTY,
        Answer::NoCodeCause(_) => !incident.guilty,
    }
}

fn told(incident: &Incident, found: &BundleDiagnosis) -> String {
    let mut text = format!(
        "== {}: {:?} {:.2}, onset {:?}\n",
        incident.name,
        found.answer,
        found.probability,
        found.onset_ms.map(|at| (at - START) / MINUTE - ONSET)
    );
    let suspects = found
        .suspects
        .iter()
        .take(2)
        .map(|suspect| (&suspect.sha, suspect.probability, &suspect.evidence));
    for (name, probability, evidence) in suspects.chain(
        found
            .others
            .iter()
            .take(1)
            .map(|other| (&other.label, other.probability, &other.evidence)),
    ) {
        let _ = writeln!(text, "   {name} {probability:.3}");
        for reason in evidence {
            let _ = writeln!(
                text,
                "      {:+.2} {}: {}",
                reason.weight, reason.engine, reason.sentence
            );
        }
    }
    text
}

#[test]
fn names_the_guilty_or_nobody() {
    let mut wrong = String::new();
    for incident in incidents() {
        let found = diagnose(&parse(&incident));
        if incident.missed {
            assert!(!is_right(&incident, &found), "{} is no longer missed", incident.name);
        } else if !is_right(&incident, &found) {
            wrong.push_str(&told(&incident, &found));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What happens to an incident must not matter to the answer: other order, lying messages, other authors.
#[test]
fn neither_order_nor_words_of_people_matter() {
    for incident in incidents() {
        let mut bundle = parse(&incident);
        let answer = diagnose(&bundle).answer;
        bundle.commits.reverse();
        bundle.deploys.reverse();
        for (at, commit) in bundle.commits.iter_mut().enumerate() {
            commit.message = format!("revert the outage, number {at}");
            commit.author = format!("author {at}");
        }
        assert_eq!(diagnose(&bundle).answer, answer, "{}", incident.name);
    }
}

#[test]
fn the_probabilities_are_a_distribution() {
    for incident in incidents() {
        let found = diagnose(&parse(&incident));
        let commits: f64 = found.suspects.iter().map(|suspect| suspect.probability).sum();
        let others: f64 = found.others.iter().map(|other| other.probability).sum();
        assert!((commits + others - 1.0).abs() < 1e-9, "{}", incident.name);
        assert!(
            found
                .suspects
                .is_sorted_by(|one, two| one.probability >= two.probability)
        );
    }
}

#[test]
fn an_unread_or_undeployed_diff_is_never_named() {
    for incident in incidents().into_iter().filter(|incident| incident.guilty) {
        let guilty = |commit: &Commit| commit.sha == GUILTY;
        let mut unread = parse(&incident);
        unread
            .commits
            .iter_mut()
            .filter(|commit| guilty(commit))
            .for_each(|commit| commit.diff = None);
        let mut late = parse(&incident);
        late.deploys
            .iter_mut()
            .filter(|deploy| deploy.sha == GUILTY)
            .for_each(|deploy| {
                deploy.at_ms = Some(at(25));
            });
        for bundle in [unread, late] {
            assert_ne!(
                diagnose(&bundle).answer,
                Answer::Commit(GUILTY.to_owned()),
                "{}",
                incident.name
            );
        }
    }
}

#[test]
fn an_empty_bundle_accuses_nobody() {
    let found = diagnose(&Bundle::default());
    assert!(matches!(found.answer, Answer::NoCodeCause(_)));
    assert!(found.suspects.is_empty());
}

#[test]
fn what_is_beyond_a_limit_is_named() {
    let rows: String = (0..=MAX_SERIES)
        .map(|at| format!("2026-01-01T00:00:00Z,s{at},m,1\n"))
        .collect();
    let long = format!("@@ a @@\n{}", "+x\n".repeat(MAX_DIFF));
    let commits = json!([{"sha": "abcdef1", "diff": long, "files_changed": ["a.py"]}]).to_string();
    let bundle = Bundle::parse(&Documents {
        metrics: &format!("timestamp,service,metric,value\n{rows}"),
        commits: &commits,
        flags: "not json",
        ..Documents::default()
    });
    let unread = bundle.unread.join("\n");
    for part in ["series beyond", "diffs longer", "flags: no readable"] {
        assert!(unread.contains(part), "{part}: {unread}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(vec![
        "timestamp",
        "service",
        "message",
        "sha",
        "diff",
        "files_changed",
        "value",
        "metric",
        "status",
        "parent_id",
        "span_id",
        "trace_id",
        "count",
        "delta",
        "flag",
        "x",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "(?s).{0,40}".prop_map(Value::from),
        "[-+@ ]{1,3}[a-z0-9 .:=*(){}\\[\\]\"'#/]{0,30}\n".prop_map(Value::from),
        "2026-0[1-9]-0[1-9]T0[0-9]:00:00Z".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_documents_never_panic(values in prop::collection::vec(any_json(), 8), text in "(?s).{0,200}") {
        let texts: Vec<String> = values.iter().map(Value::to_string).collect();
        let other = [("other".to_owned(), texts[0].clone()), ("text".to_owned(), text.clone())];
        let documents = Documents { alert: &texts[0], logs: &texts[1], patterns: &texts[2], metrics: &texts[3], traces: &texts[4], commits: &texts[5], deploys: &texts[6], flags: &texts[7], other: &other };
        let found = diagnose(&Bundle::parse(&documents));
        prop_assert!(found.probability.is_finite());
        let raw = Documents { alert: &text, logs: &text, patterns: &text, metrics: &text, traces: &text, commits: &text, deploys: &text, flags: &text, other: &[] };
        prop_assert!(diagnose(&Bundle::parse(&raw)).probability.is_finite());
    }

    #[test]
    fn hostile_diffs_never_panic(lines in prop::collection::vec("[-+@ ]{0,2}(?s).{0,60}", 0..30)) {
        let diff = lines.join("\n");
        for incident in incidents().into_iter().take(1) {
            let mut bundle = parse(&incident);
            bundle.commits.iter_mut().for_each(|commit| commit.diff = Some(diff.clone()));
            prop_assert!(diagnose(&bundle).probability.is_finite());
        }
    }

    #[test]
    fn cut_documents_never_panic(at in 0usize..4000) {
        let incident = incidents().swap_remove(at % 7);
        let commits = Value::from(incident.commits.clone()).to_string();
        let cut: String = commits.chars().take(at % commits.len().max(1)).collect();
        let logs: String = incident.logs.chars().take(at).collect();
        let documents = Documents { logs: &logs, commits: &cut, metrics: &incident.rows, ..Documents::default() };
        prop_assert!(diagnose(&Bundle::parse(&documents)).probability.is_finite());
    }
}

#[test]
fn text_is_golden_and_safe_for_a_terminal() {
    let mut bundle = parse(&incidents().swap_remove(0));
    bundle
        .commits
        .iter_mut()
        .for_each(|commit| commit.message = "tidy\u{1b}[31m up\nsecond line".to_owned());
    insta::assert_snapshot!(render_bundle(&diagnose(&bundle)));
}
