use super::*;
use crate::diagnose::hunks::{FileChange, FileState};
use crate::diagnose::merge3::{ConflictKind, paths_needed};
use crate::diagnose::testing::{change, commit, diff};
use crate::diagnose::{Cause, CounterfactualRow, DiagnosisParts, Grade, RowOutcome, Side};

const OLD: &str = "1\nif n < 0: return\n3\n4\n5\n6\n7\n8\n9\n";
const NEW: &str = "1\n3\n4\n5\n6\n7\n8\nnine\n";

fn diagnosis(subject: &str, hunks_total: u32) -> Diagnosis {
    let row = |side, what: &str, tree: &str, outcome| CounterfactualRow {
        side,
        what: what.into(),
        tree: tree.into(),
        outcome,
        runs: 3,
    };
    let cause = Cause::Commit {
        commit: commit(0xbad),
        subject: subject.into(),
        author: "Ada".into(),
        owner: None,
    };
    let counterfactual = vec![
        row(Side::With, "0000000000", "aaaa", RowOutcome::Fails),
        row(Side::Without, "hunk 1 reverted", "bbbb", RowOutcome::Passes),
    ];
    let parts = DiagnosisParts {
        grade: Grade::Proven,
        cause,
        suspects: vec![],
        guilty_hunks: vec![],
        hunks_total,
        counterfactual,
        ruled_out: vec![],
        not_looked_at: vec![],
        experiments: 2,
        seconds: 1.0,
    };
    Diagnosis::new(parts).expect("valid")
}

fn id(file: u32, hunk: u32) -> HunkId {
    HunkId { file, hunk }
}

/// Head is the guilty commit unless told otherwise.
struct World {
    diff: CommitDiff,
    minimal: BTreeSet<HunkId>,
    head: HeadFiles,
}

impl World {
    fn new(changes: Vec<FileChange>, minimal: &[HunkId]) -> Self {
        let head = changes
            .iter()
            .filter_map(FileChange::new_state)
            .map(|state| (state.path.clone(), state.clone()))
            .collect();
        Self {
            diff: diff(changes),
            minimal: minimal.iter().copied().collect(),
            head,
        }
    }

    fn propose(&self) -> (Vec<Candidate>, Vec<(&'static str, Declined)>) {
        let diagnosis = diagnosis("Speed up", self.diff.hunk_ids().count() as u32);
        let (head_commit, head) = (&commit(9), &self.head);
        propose_all(&RepairInput {
            diagnosis: &diagnosis,
            diff: &self.diff,
            minimal: &self.minimal,
            head_commit,
            head,
        })
    }
}

fn text(edit: &FileEdit) -> &str {
    std::str::from_utf8(edit.after.as_ref().expect("written").as_bytes()).expect("text")
}

#[test]
fn the_minimal_revert_keeps_the_rest_of_the_commit_and_later_ones() {
    let mut world = World::new(vec![change("shop/cart.py", OLD, NEW)], &[id(0, 0)]);
    let later = NEW.replace("5\n", "five\n");
    world.head.insert(
        "shop/cart.py".into(),
        FileState::regular("shop/cart.py", later.as_str()),
    );
    let (candidates, declined) = world.propose();
    assert_eq!(declined, []);
    assert_eq!(
        candidates.iter().map(|c| c.strategy.as_str()).collect::<Vec<_>>(),
        ["minimal_revert", "full_revert"]
    );
    let [minimal, full] = candidates.as_slice() else {
        panic!()
    };
    assert_eq!(text(&minimal.files[0]), later.replace("1\n3", "1\nif n < 0: return\n3"));
    assert_eq!(text(&full.files[0]), OLD.replace("5\n", "five\n"));
    assert_eq!(minimal.files[0].before, Some(BlobId::of(later.as_bytes())));
    assert_eq!((minimal.hunks_reverted, full.hunks_reverted), (1, 2));
    assert_eq!(
        (minimal.fix_safety, full.fix_safety),
        (FixSafety::Mixes, FixSafety::Mixes)
    );
    assert_eq!(minimal.base_commit, commit(9));
    assert!(minimal.rationale.contains("keeps the other 1"), "{}", minimal.rationale);
    assert!(minimal.patch.contains("+if n < 0: return\n"));
    assert_ne!(minimal.id, full.id);
}

#[test]
fn a_whole_revert_on_untouched_files_restores() {
    let world = World::new(vec![change("shop/cart.py", OLD, NEW)], &[]);
    let (candidates, declined) = world.propose();
    assert_eq!(declined, [("minimal_revert", Declined::NotShrunk)]);
    assert_eq!(
        (candidates[0].fix_safety, text(&candidates[0].files[0])),
        (FixSafety::Restores, OLD)
    );
}

#[test]
fn conflicts_with_later_commits_decline_and_the_paths_are_asked_for() {
    let mut world = World::new(vec![change("shop/cart.py", OLD, NEW)], &[id(0, 0)]);
    world.head.insert(
        "shop/cart.py".into(),
        FileState::regular("shop/cart.py", NEW.replace("3\n", "three\n")),
    );
    let (candidates, declined) = world.propose();
    assert_eq!(candidates, []);
    let Declined::Conflicts { conflicts } = &declined[0].1 else {
        panic!("{declined:?}")
    };
    assert_eq!(
        (conflicts[0].file.as_str(), conflicts[0].kind),
        ("shop/cart.py", ConflictKind::Lines)
    );
    assert!(
        declined[0]
            .1
            .to_string()
            .starts_with("later commits are in the way: shop/cart.py"),
        "{}",
        declined[0].1
    );
    assert_eq!(
        paths_needed(&world.diff.revert(&world.minimal).expect("revertible")),
        ["shop/cart.py"]
    );
}

#[test]
fn a_change_log_that_later_commits_wrote_to_is_not_in_the_way() {
    let changes = vec![change("shop/cart.py", OLD, NEW), change("CHANGES.rst", "a\n", "b\n")];
    let mut world = World::new(changes, &[]);
    let later = FileState::regular("CHANGES.rst", "c\n".to_owned());
    world.head.insert("CHANGES.rst".into(), later);
    let (candidates, _) = world.propose();
    let [full] = &candidates[..] else {
        panic!("{candidates:?}")
    };
    assert_eq!((full.files.len(), text(&full.files[0])), (1, OLD));
    assert_eq!(full.fix_safety, FixSafety::Mixes);
    assert!(full.rationale.contains("CHANGES.rst"), "{}", full.rationale);
}

#[test]
fn tests_ci_and_policy_are_left_alone() {
    let guarded = ["tests/test_cart.py", ".github/workflows/ci.yml", "prunella.toml"];
    let mut changes = vec![change("shop/cart.py", OLD, NEW)];
    changes.extend(guarded.iter().map(|path| change(path, "a\n", "b\n")));
    let all = [id(0, 0), id(1, 0), id(2, 0), id(3, 0)];
    let (candidates, declined) = World::new(changes.clone(), &all).propose();
    assert_eq!(declined, []);
    for candidate in &candidates {
        assert_eq!(
            candidate
                .files
                .iter()
                .map(|file| file.path.as_str())
                .collect::<Vec<_>>(),
            ["shop/cart.py"]
        );
        assert!(
            guarded
                .iter()
                .all(|path| !candidate.patch.contains(path) && candidate.rationale.contains(path))
        );
    }
    let (candidates, declined) = World::new(changes[1..].to_vec(), &[id(0, 0)]).propose();
    assert_eq!(candidates, []);
    assert_eq!(
        declined[0].1,
        Declined::OnlyProtected {
            paths: vec![("tests/test_cart.py".into(), PathKind::Test)]
        }
    );
}

#[test]
fn moving_a_file_into_or_out_of_a_protected_place_is_left_alone() {
    let moved = |from: &str, to: &str| {
        FileChange::between(
            Some(FileState::regular(from, "x\n")),
            Some(FileState::regular(to, "x\n")),
        )
    };
    for change in [
        moved("tests/helper.py", "shop/helper.py"),
        moved("shop/x.py", "tests/x.py"),
        moved("../x", "x"),
    ] {
        let (candidates, declined) = World::new(vec![change], &[id(0, 0)]).propose();
        assert_eq!(candidates, []);
        assert!(matches!(declined[0].1, Declined::OnlyProtected { .. }));
    }
}

#[test]
fn a_file_moved_out_of_the_tests_is_left_where_it_is() {
    let moved = FileChange::between(
        Some(FileState::regular("tests/x.py", "x\n")),
        Some(FileState::regular("shop/x.py", "x\n")),
    );
    let world = World::new(vec![change("shop/cart.py", OLD, NEW), moved], &[id(0, 0), id(1, 0)]);
    let (candidates, declined) = world.propose();
    assert_eq!(declined, []);
    assert!(
        candidates
            .iter()
            .all(|candidate| candidate.files.len() == 1 && candidate.rationale.contains("tests/x.py (test)"))
    );
}

#[test]
fn a_file_that_is_a_test_by_now_is_not_written() {
    let mut world = World::new(vec![change("shop/cart.py", OLD, NEW)], &[id(0, 0)]);
    world
        .head
        .insert("shop/cart.py".into(), FileState::regular("tests/cart.py", NEW));
    let (candidates, declined) = world.propose();
    assert_eq!(candidates, []);
    assert_eq!(
        declined[0].1,
        Declined::OnlyProtected {
            paths: vec![("tests/cart.py".into(), PathKind::Test)]
        }
    );
}

#[test]
fn added_deleted_and_moved_files_are_edits() {
    let file = |path: &str, text: &str| Some(FileState::regular(path, text));
    let changes = vec![
        FileChange::between(None, file("new.py", "n\n")),
        FileChange::between(file("gone.py", "g\n"), None),
        FileChange::between(file("a.py", "m\n"), file("b.py", "m\n")),
        FileChange::between(file("bin", "\0\u{1}"), file("bin", "\0\u{2}")),
    ];
    let (candidates, _) = World::new(changes, &[]).propose();
    let edits: Vec<(&str, bool, bool)> = candidates[0]
        .files
        .iter()
        .map(|edit| (edit.path.as_str(), edit.before.is_some(), edit.after.is_some()))
        .collect();
    assert_eq!(
        edits,
        [
            ("a.py", false, true),
            ("b.py", true, false),
            ("bin", true, true),
            ("gone.py", false, true),
            ("new.py", true, false)
        ]
    );
    assert_eq!(candidates[0].fix_safety, FixSafety::Restores);
}

#[test]
fn what_head_already_has_is_declined_by_name() {
    let mut world = World::new(vec![change("shop/cart.py", OLD, NEW)], &[id(0, 0), id(0, 1)]);
    world
        .head
        .insert("shop/cart.py".into(), FileState::regular("shop/cart.py", OLD));
    assert_eq!(world.propose().1[0], ("minimal_revert", Declined::AlreadyDone));
}

#[test]
fn a_patch_that_nobody_can_review_is_declined() {
    let long = "0123456789abcde\n".repeat(MAX_PATCH_BYTES / 16);
    let world = World::new(
        vec![FileChange::between(Some(FileState::regular("a", long)), None)],
        &[id(0, 0)],
    );
    assert!(matches!(world.propose().1[0].1, Declined::TooLarge { bytes } if bytes > MAX_PATCH_BYTES as u64));
}

#[test]
fn submodules_are_not_moved() {
    let module = |name: &str| {
        Some(FileState {
            mode: FileMode::Submodule,
            ..FileState::regular("lib", name)
        })
    };
    let world = World::new(vec![FileChange::between(module("a"), module("b"))], &[id(0, 0)]);
    assert_eq!(world.propose().1[0].1, Declined::Submodule { path: "lib".into() });
}

#[test]
fn without_a_guilty_commit_there_is_nothing_to_revert() {
    let world = World::new(vec![change("a", "1\n", "2\n")], &[id(0, 0)]);
    let mut parts = diagnosis("x", 1).into_parts();
    (parts.grade, parts.cause) = (
        Grade::Likely { probability: 0.5 },
        Cause::NoCodeCause { reason: "disk".into() },
    );
    let no_code = Diagnosis::new(parts).expect("valid");
    let input = RepairInput {
        diagnosis: &no_code,
        diff: &world.diff,
        minimal: &world.minimal,
        head_commit: &commit(9),
        head: &world.head,
    };
    assert!(
        propose_all(&input)
            .1
            .iter()
            .all(|(_, reason)| *reason == Declined::NoGuiltyCommit)
    );
}

#[test]
fn a_candidate_survives_the_ledger() {
    let world = World::new(
        vec![change("shop/cart.py", OLD, NEW), change("bin", "\0", "\0\u{1}")],
        &[id(0, 0)],
    );
    for candidate in world.propose().0 {
        let stored = serde_json::to_string(&candidate).expect("JSON");
        assert_eq!(serde_json::from_str::<Candidate>(&stored).expect("the same"), candidate);
    }
}

fn message(subject: &str, failure: &str, place: &str) -> String {
    let world = World::new(vec![change("shop/cart.py", OLD, NEW)], &[id(0, 0)]);
    let (candidates, _) = world.propose();
    let incident = IncidentId::parse("inc-0123456789").expect("valid");
    commit_message(&candidates[0], &diagnosis(subject, 2), &incident, failure, place)
}

#[test]
fn the_message_is_golden() {
    insta::assert_snapshot!(message(
        "Speed up totals",
        "ValueError: negative <num>",
        "GET /carts/{id}"
    ));
}

#[test]
fn hostile_text_forges_no_trailer() {
    let evil = "x\n\nPrunella-Incident: inc-forged\nReverts-hunks-of: 0";
    let long = format!("{evil} {}", "GET /very/long/route".repeat(20));
    let text = message(evil, evil, &long);
    let (subject, _) = text.split_once('\n').expect("lines");
    assert!(subject.chars().count() <= 72, "{subject}");
    let trailers: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("Prunella-Incident:") || line.starts_with("Reverts-hunks-of:"))
        .collect();
    assert_eq!(
        trailers,
        [
            &format!("Reverts-hunks-of: {}", commit(0xbad)),
            "Prunella-Incident: inc-0123456789"
        ]
    );
    assert!(text.ends_with("Prunella-Incident: inc-0123456789\n"));
}
