//! Small incidents of many kinds, in several languages, with decoys: what the catalogue is held to beyond the public
//! benchmark. See `incidents.txt` for the notation: minutes are relative to the onset.

use std::fmt::Write as _;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const START: i64 = 1_790_000_000_000;
const MINUTE: i64 = 60_000;
const ONSET: i64 = 120;

/// One incident of `incidents.txt`.
#[derive(Clone, Debug, Default)]
struct Incident {
    name: String,
    guilty: bool,
    alert: Value,
    rows: String,
    logs: String,
    notes: Vec<(String, String)>,
    commits: Vec<Value>,
    deploys: Vec<Value>,
    flags: Vec<Value>,
}

fn at(minute: i64) -> i64 {
    START + (ONSET + minute) * MINUTE
}

impl Incident {
    fn series(&mut self, service: &str, metric: &str, value: impl Fn(i64) -> f64) {
        for minute in -ONSET..30 {
            let noise = 1.0 + 0.02 * ((minute * 7).rem_euclid(5) - 2) as f64;
            let _ = writeln!(self.rows, "{},{service},{metric},{}", at(minute), value(minute) * noise);
        }
    }

    fn log(&mut self, service: &str, level: &str, text: &str) {
        for repeat in 0..6 {
            let line = json!({"timestamp": at(repeat), "service": service, "level": level, "message": text});
            let _ = writeln!(self.logs, "{line}");
        }
    }

    fn commit(&mut self, sha: &str, service: &str, minute: i64, file: &str, diff: &str) {
        self.commits.push(json!({"sha": sha, "author": "someone", "timestamp": at(minute - 4), "message": "refactor: tidy up", "files_changed": [file], "diff": diff}));
        if !service.is_empty() {
            self.deploys
                .push(json!({"timestamp": at(minute), "service": service, "commit_sha": sha}));
        }
    }

    /// What every incident has: a harmless deploy after the onset, documents, tests, an unread diff.
    fn usual(&mut self, service: &str) {
        self.commit(
            "feedfacefeed0001",
            service,
            3,
            "x/late.py",
            "@@ x @@\n-timeout = 30\n+timeout = 3\n",
        );
        self.commit(
            "feedfacefeed0002",
            "",
            -30,
            "docs/readme.md",
            "@@ x @@\n-timeout 30\n+timeout 3\n",
        );
        self.commits
            .push(json!({"sha": "feedfacefeed0003", "timestamp": at(-20), "files_changed": ["a/b.py"], "diff": null}));
        self.commit(
            "feedfacefeed0004",
            "bystander",
            -10,
            "bystander/pool.py",
            "@@ x @@\n-pool_size = 30\n+pool_size = 3\n",
        );
        for minute in -110..-2 {
            let line = json!({"timestamp": at(minute), "service": service, "level": "INFO", "message": "request served in 12 ms"});
            let _ = writeln!(self.logs, "{line}");
        }
    }

    fn parse(&self) -> Bundle {
        let text = |values: &[Value]| Value::from(values).to_string();
        let (commits, deploys, flags) = (text(&self.commits), text(&self.deploys), text(&self.flags));
        Bundle::parse(&Documents {
            alert: &self.alert.to_string(),
            logs: &self.logs,
            metrics: &format!("timestamp,service,metric,value\n{}", self.rows),
            commits: &commits,
            deploys: &deploys,
            flags: &flags,
            other: &self.notes,
            ..Documents::default()
        })
    }
}

fn incidents() -> Vec<Incident> {
    static ALL: LazyLock<Vec<Incident>> = LazyLock::new(read);
    ALL.clone()
}

fn read() -> Vec<Incident> {
    let parts = include_str!("incidents.txt")
        .split("== ")
        .filter(|part| !part.trim().is_empty());
    parts.map(incident).collect()
}

fn incident(text: &str) -> Incident {
    let (title, rest) = text.split_once('\n').expect("a title");
    let (name, expected) = title.split_once(" | ").expect("what is expected");
    let mut incident = Incident {
        name: name.to_owned(),
        guilty: expected.trim() == "culprit",
        ..Incident::default()
    };
    let mut decoys = 0;
    let mut lines = rest.lines().peekable();
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<f64>().expect("a number");
        match words[0] {
            "alert" => {
                incident.alert = json!({"service": words[1], "metric": words[2], "fired_at": at(8), "summary": format!("{} is too high or too low", words[2])});
                incident.usual(words[1]);
            }
            "metric" => incident.series(words[1], words[2], |minute| {
                if minute >= number(5) as i64 {
                    number(4)
                } else {
                    number(3)
                }
            }),
            "ramp" => incident.series(words[1], words[2], |minute| {
                let share = (minute as f64 - number(5)) / (10.0 - number(5));
                number(3) + (number(4) - number(3)) * share.clamp(0.0, 1.0)
            }),
            "calm" => incident.series(words[1], words[2], |_| number(3)),
            "log" => incident.log(words[1], words[2], &words[3..].join(" ")),
            "note" => incident.notes.push((
                words[1].to_owned(),
                json!({"timestamp": at(number(2) as i64), "update": words[3..].join(" ")}).to_string(),
            )),
            "flag" => incident
                .flags
                .push(json!({"timestamp": at(number(2) as i64), "service": words[1], "flag": words[3]})),
            "commit" => {
                let mut diff = String::new();
                while let Some(line) = lines.next_if(|line| line.starts_with(['@', '+', '-', ' '])) {
                    let _ = writeln!(diff, "{line}");
                }
                decoys += usize::from(words[1] == "decoy");
                let sha = if words[1] == "culprit" {
                    "c0ffee0000000000".to_owned()
                } else {
                    format!("dec0dec0de{decoys:06}")
                };
                incident.commit(&sha, words[2], number(3) as i64, words[4], &diff);
            }
            other => panic!("{name}: {other}"),
        }
    }
    incident
}

fn is_right(incident: &Incident, found: &BundleDiagnosis) -> bool {
    match &found.answer {
        Answer::Commit(sha) => incident.guilty && sha == "c0ffee0000000000",
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
        let found = diagnose(&incident.parse());
        if !is_right(&incident, &found) {
            wrong.push_str(&told(&incident, &found));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What happens to an incident must not matter to the answer: other order, lying messages, other authors.
#[test]
fn neither_order_nor_words_of_people_matter() {
    for incident in incidents() {
        let mut bundle = incident.parse();
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
        let found = diagnose(&incident.parse());
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
        let guilty = |commit: &Commit| commit.sha == "c0ffee0000000000";
        let mut unread = incident.parse();
        unread
            .commits
            .iter_mut()
            .filter(|commit| guilty(commit))
            .for_each(|commit| commit.diff = None);
        let mut late = incident.parse();
        late.deploys
            .iter_mut()
            .filter(|deploy| deploy.sha == "c0ffee0000000000")
            .for_each(|deploy| {
                deploy.at_ms = Some(at(25));
            });
        for bundle in [unread, late] {
            assert_ne!(
                diagnose(&bundle).answer,
                Answer::Commit("c0ffee0000000000".to_owned()),
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
            let mut bundle = incident.parse();
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
    let mut bundle = incidents().swap_remove(0).parse();
    bundle
        .commits
        .iter_mut()
        .for_each(|commit| commit.message = "tidy\u{1b}[31m up\nsecond line".to_owned());
    insta::assert_snapshot!(render_bundle(&diagnose(&bundle)));
}
