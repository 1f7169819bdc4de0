use super::*;
use crate::diagnose::failure::Location;
use crate::diagnose::testing::{change, commit};
use crate::signal::{Frame, Language};

const DAY: i64 = 86_400_000;

fn frame(file: &str, line: u32, function: &str) -> Frame {
    Frame {
        file: format!("/srv/r1/{file}"),
        line: Some(line),
        function: function.into(),
        in_app: true,
    }
}

/// A failure with its frames, innermost last.
fn symptom(message: &str, frames: Vec<Frame>) -> Symptom {
    let exception = Exception {
        language: Language::Python,
        class: "ValueError".into(),
        message: message.into(),
        frames,
        causes: vec![],
    };
    let location = Location::Route {
        method: "GET".into(),
        template: "/carts/{id}".into(),
    };
    Symptom {
        identity: FailureIdentity::from_exception(&exception, location, Some(500), &["/srv/r1"]),
        exceptions: vec![exception],
        route: Some("/carts/{id}".into()),
        onset_ms: 100 * DAY,
        roots: vec!["/srv/r1".into()],
    }
}

fn crash() -> Symptom {
    symptom(
        "negative quantity",
        vec![frame("shop/web.py", 40, "handle"), frame("shop/cart.py", 12, "total")],
    )
}

fn suspect(number: usize, files: Vec<ChangedFile>) -> SuspectInput {
    SuspectInput {
        commit: commit(number),
        parents: vec![commit(number - 1)],
        author_time_ms: number as i64 * DAY,
        subject: format!("Change {number}"),
        files,
    }
}

fn file(path: &str, added: Range<u32>, text: &str) -> ChangedFile {
    let is_test = path_kind(path) == PathKind::Test;
    ChangedFile {
        path: path.into(),
        added: vec![added],
        added_text: text.into(),
        is_test,
        ..ChangedFile::default()
    }
}

fn other(number: usize) -> SuspectInput {
    suspect(number, vec![file("lib/mail.py", 1..3, "def send(): pass\n")])
}

/// The order of the suspects by number.
fn check(suspects: &[SuspectInput], symptom: &Symptom, first: usize) -> Ranking {
    let ranking = rank(suspects, symptom);
    assert_eq!(ranking.suspects[0].commit, commit(first), "{ranking:#?}");
    let sum =
        ranking.suspects.iter().map(|suspect| suspect.probability).sum::<f64>() + ranking.not_the_code.probability;
    assert!((sum - 1.0).abs() < 1e-9);
    for suspect in &ranking.suspects {
        let sum: f64 = suspect.evidence.iter().map(|evidence| evidence.weight).sum();
        assert!((sum - suspect.score).abs() < 1e-9);
        assert!(suspect.evidence.iter().all(|evidence| !evidence.sentence.is_empty()));
    }
    ranking
}

fn weight(ranking: &Ranking, number: usize, engine: &str) -> f64 {
    let suspect = ranking
        .suspects
        .iter()
        .find(|suspect| suspect.commit == commit(number))
        .expect("ranked");
    suspect
        .evidence
        .iter()
        .filter(|evidence| evidence.engine == engine)
        .map(|evidence| evidence.weight)
        .sum()
}

#[test]
fn a_frame_on_a_changed_line_beats_recency_and_files() {
    let on_line = suspect(2, vec![file("shop/cart.py", 12..13, "x\n")]);
    let same_file = suspect(3, vec![file("shop/cart.py", 90..95, "x\n")]);
    let ranking = check(&[on_line, same_file, other(4), other(5)], &crash(), 2);
    assert!(ranking.suspects[0].probability > 0.6, "{ranking:#?}");
    assert_eq!(ranking.suspects[1].commit, commit(3));
    assert!(weight(&ranking, 3, "frames-on-lines").abs() < 1e-9);
}

#[test]
fn a_removed_guard_beside_the_line_counts() {
    let change = ChangedFile::from_change(&change("shop/cart.py", "1\nif n < 0:\n  return\n2\n", "1\n2\n"), false);
    assert_eq!((&change.added[0], &change.removed[0]), (&(2..2), &(2..4)));
    let symptom = symptom("bad", vec![frame("shop/cart.py", 2, "total")]);
    let ranking = check(&[suspect(2, vec![change]), other(3)], &symptom, 2);
    assert!(weight(&ranking, 2, "frames-on-lines") > 1.0);
}

#[test]
fn the_function_on_the_stack_counts_where_lines_moved() {
    let named = suspect(2, vec![file("shop/cart.py", 90..95, "def total(cart):\n")]);
    let ranking = check(&[named, other(3)], &crash(), 2);
    assert!(weight(&ranking, 2, "frames-on-lines") > 1.0);
}

#[test]
fn inner_frames_count_more_than_outer_ones() {
    let inner = suspect(2, vec![file("shop/cart.py", 12..13, "x\n")]);
    let outer = suspect(3, vec![file("shop/web.py", 40..41, "x\n")]);
    let ranking = check(&[inner, outer], &crash(), 2);
    assert!(weight(&ranking, 2, "frames-on-lines") > weight(&ranking, 3, "frames-on-lines"));
}

#[test]
fn rare_shared_words_count_and_common_ones_do_not() {
    let suspects = vec![
        suspect(2, vec![file("lib/a.py", 1..2, "if quantity < 0: raise Negative\n")]),
        suspect(3, vec![file("lib/b.py", 1..2, "value = self.name\n")]),
        suspect(4, vec![file("lib/c.py", 1..2, "carts = 1\n")]),
        suspect(5, vec![file("lib/d.py", 1..2, "carts = 2\n")]),
    ];
    let ranking = check(&suspects, &crash(), 2);
    assert!(weight(&ranking, 3, "shared-words").abs() < 1e-9);
    assert!(weight(&ranking, 4, "shared-words") < weight(&ranking, 2, "shared-words") / 2.0);
}

#[test]
fn words_of_tests_and_generated_files_do_not_count() {
    let text = "negative quantity\n";
    let generated = ChangedFile {
        is_generated: true,
        ..file("lib/a.py", 1..2, text)
    };
    let suspects = [
        suspect(2, vec![generated, file("tests/test_a.py", 1..2, text)]),
        suspect(3, vec![file("b.py", 1..2, text)]),
    ];
    let ranking = check(&suspects, &crash(), 3);
    assert!(weight(&ranking, 2, "shared-words").abs() < 1e-9);
}

#[test]
fn harmless_kinds_are_demoted() {
    let text = "negative quantity total\n";
    let mut merge = suspect(7, vec![file("lib/x.py", 1..2, text)]);
    merge.parents.push(commit(1));
    let suspects = vec![
        suspect(2, vec![file("lib/x.py", 1..2, text)]),
        suspect(3, vec![file("tests/test_x.py", 1..2, text)]),
        suspect(4, vec![file("docs/x.md", 1..2, text)]),
        suspect(5, vec![file("poetry.lock", 1..2, text)]),
        suspect(6, vec![]),
        merge,
    ];
    check(&suspects, &crash(), 2);
}

#[test]
fn what_was_written_after_the_onset_is_unlikely() {
    let late = suspect(101, vec![file("shop/web.py", 70..71, "x\n")]);
    let early = suspect(99, vec![file("shop/web.py", 80..81, "x\n")]);
    check(&[late, early], &crash(), 99);
}

#[test]
fn test_frames_accuse_nobody() {
    let symptom = symptom(
        "bad",
        vec![
            frame("shop/cart.py", 12, "total"),
            frame("tests/test_cart.py", 5, "test_total"),
        ],
    );
    let ranking = check(
        &[suspect(2, vec![file("shop/cart.py", 12..13, "x\n")]), other(3)],
        &symptom,
        2,
    );
    assert!(
        (weight(&ranking, 2, "frames-on-lines") - 4.0).abs() < 1e-9,
        "the innermost frame that is not a test"
    );
}

#[test]
fn without_evidence_a_quarter_is_not_the_code_whatever_the_number() {
    for count in [1, 8, 60] {
        let same = |number| SuspectInput {
            author_time_ms: 0,
            ..other(number)
        };
        let ranking = rank(&(2..2 + count).map(same).collect::<Vec<_>>(), &crash());
        let p = ranking.not_the_code.probability;
        assert!((0.12..0.3).contains(&p), "{p} of {count}");
    }
    let nothing = rank(&[], &crash());
    assert!((nothing.not_the_code.probability - 1.0).abs() < 1e-9);
}

#[test]
fn the_world_outside_beats_commits_without_evidence_and_loses_to_strong_ones() {
    let frames = || vec![frame("shop/mail.py", 5, "send")];
    let refused = symptom("[Errno 111] Connection refused", frames());
    let ranking = rank(&[other(2), other(3), other(4)], &refused);
    assert!(ranking.not_the_code.probability > 0.5, "{ranking:#?}");
    let guilty = suspect(5, vec![file("shop/mail.py", 5..6, "connect(port=2525)\n")]);
    let ranking = rank(&[other(2), other(3), guilty], &refused);
    assert!(
        ranking.suspects[0].probability > ranking.not_the_code.probability,
        "{ranking:#?}"
    );
    assert!(ranking.not_the_code.evidence[1].sentence.contains("an upstream"));
}

#[test]
fn hunk_groups_are_weighed_like_commits() {
    let lines = |changed: &[u32]| -> String {
        (1..40)
            .map(|n| {
                if changed.contains(&n) {
                    format!("new {n}\n")
                } else {
                    format!("{n}\n")
                }
            })
            .collect()
    };
    let diff = CommitDiff::new(vec![
        change("shop/cart.py", &lines(&[]), &lines(&[3, 12, 30])),
        change("lib/mail.py", "a\n", "b\n"),
    ]);
    let coupling = super::super::couple::couple(&diff, &BTreeMap::new(), &BTreeSet::new());
    let weights = rank_groups(&diff, &coupling, &crash());
    assert_eq!(weights.len(), 4);
    let best = weights.iter().max_by(|one, two| one.1.total_cmp(two.1)).expect("some");
    assert_eq!(*best.0, GroupId(1));
    assert!(
        weights[&GroupId(3)] < weights[&GroupId(0)] && *best.1 > 0.5,
        "{weights:?}"
    );
}

#[test]
fn changed_files_are_read_from_diffs() {
    let file = ChangedFile::from_change(&change("a/test_x.py", "1\n2\n3\n", "1\ntwo\n3\n4\n"), false);
    assert_eq!(file.added, [2..3, 4..5]);
    assert_eq!(
        (file.added_text.as_str(), file.removed_text.as_str()),
        ("two\n4\n", "2\n")
    );
    assert!(file.is_test);
}

#[test]
fn what_a_change_does_counts_and_what_it_only_says_does_not() {
    let changed = |old: &str, new: &str| ChangedFile::from_change(&change("lib/a.py", old, new), false);
    let suspects = [
        suspect(2, vec![changed("if n < 0:\n    return 0\ntake(n)\n", "take(n)\n")]),
        suspect(3, vec![changed("x = 1  # one\n", "x = 1  # the first\n")]),
        suspect(4, vec![changed("x = load( a )\n", "x = load(a)\n")]),
    ];
    let ranking = check(&suspects, &symptom("list index out of range", vec![]), 2);
    assert!(weight(&ranking, 2, "what-it-does") > 1.0, "{ranking:#?}");
    assert!(weight(&ranking, 3, "what-it-does") < -1.0, "{ranking:#?}");
    assert!(weight(&ranking, 4, "what-it-does") < -1.0, "{ranking:#?}");
}

#[test]
fn the_test_names_the_file_and_what_it_uses() {
    let symptom = symptom("3 != 4", vec![frame("tests/test_cart.py", 5, "test_sum")]);
    let suspects = [
        suspect(2, vec![file("shop/cart.py", 70..71, "x = 1\n")]),
        suspect(3, vec![file("shop/mail.py", 1..2, "def running_total(items):\n")]),
        suspect(4, vec![file("shop/text.py", 1..2, "y = 1\n")]),
    ];
    let ranking = check(&suspects, &symptom, 2);
    assert!(weight(&ranking, 2, "test-names") > 1.0);
    let hints = Hints {
        test_source: "def test_sum():\n    assert running_total([1, 2]) == 3\n".into(),
        ..Hints::default()
    };
    let ranking = rank_with(&suspects, &symptom, &hints);
    assert!(weight(&ranking, 3, "test-names") > 0.9, "{ranking:#?}");
    assert!(weight(&ranking, 4, "test-names").abs() < 1e-9);
}

#[test]
fn listed_commits_are_demoted() {
    let suspects = [
        suspect(3, vec![file("shop/cart.py", 12..13, "x\n")]),
        suspect(2, vec![file("shop/cart.py", 14..15, "x\n")]),
    ];
    let ignored = ignored_revisions(&format!("# reformat\n{}\nnot a commit\n", commit(3)));
    assert_eq!(ignored.len(), 1);
    let hints = Hints {
        ignored,
        ..Hints::default()
    };
    assert_eq!(rank(&suspects, &crash()).suspects[0].commit, commit(3));
    assert_eq!(rank_with(&suspects, &crash(), &hints).suspects[0].commit, commit(2));
}
