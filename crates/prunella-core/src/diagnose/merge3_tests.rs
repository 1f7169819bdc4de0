use proptest::prelude::*;

use super::*;
use crate::diagnose::hunks::{FileMode, HunkId};
use crate::diagnose::testing::{cases, change, diff, text};

fn merged(base: &str, ours: &str, theirs: &str) -> Result<String, Vec<Region>> {
    merge_lines(base.as_bytes(), ours.as_bytes(), theirs.as_bytes())
        .map(|bytes| String::from_utf8(bytes).expect("text"))
}

#[test]
fn changes_apart_from_each_other_merge() {
    let base = "1\n2\n3\n4\n5\n";
    assert_eq!(
        merged(base, "1\nX\n3\n4\n5\n", "1\n2\n3\n4\n"),
        Ok("1\nX\n3\n4\n".into())
    );
    assert_eq!(
        merged(base, "0\n1\n2\n3\n4\n5\n", "1\n2\n3\nfour\n5\n6\n"),
        Ok("0\n1\n2\n3\nfour\n5\n6\n".into())
    );
    assert_eq!(
        merged(base, "1\nX\n3\n4\n5\n", "1\nX\n3\n4\n5\n6\n"),
        Ok("1\nX\n3\n4\n5\n6\n".into())
    );
}

#[test]
fn changes_that_overlap_or_touch_conflict() {
    let base = "1\n2\n3\n4\n";
    let region = |guilty, head, reverted| Err(vec![Region { guilty, head, reverted }]);
    assert_eq!(merged(base, "1\nX\n3\n4\n", "1\nY\n3\n4\n"), region(1..2, 1..2, 1..2));
    assert_eq!(merged(base, "1\nX\n3\n4\n", "1\n2\nY\n4\n"), region(1..3, 1..3, 1..3));
    assert_eq!(
        merged(base, "0\n0\n1\n2\nX\n4\n", "1\n2\n3\nY\nZ\n"),
        region(2..4, 4..6, 2..5)
    );
}

#[test]
fn a_last_line_without_end_is_not_joined() {
    assert_eq!(merged("1\n2\n3", "0\n2\n3", "1\n2\n3\n4"), Ok("0\n2\n3\n4".into()));
    assert!(merged("1", "1\n2", "1\n3").is_err());
}

/// A commit that changed lines 2 and 8 of a file, of which line 8 shall go back.
fn edits() -> Vec<Edit> {
    let change = change(
        "f.py",
        "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
        "1\ntwo\n3\n4\n5\n6\n7\neight\n9\n",
    );
    diff(vec![change])
        .revert(&[HunkId { file: 0, hunk: 1 }].into())
        .expect("revertible")
}

fn head(path: &str, content: &str) -> HeadFiles {
    HeadFiles::from([("f.py".to_owned(), FileState::regular(path, content))])
}

fn onto(head: &HeadFiles) -> Result<Vec<Edit>, Vec<ConflictKind>> {
    revert_onto(&edits(), head).map_err(|conflicts| conflicts.into_iter().map(|conflict| conflict.kind).collect())
}

#[test]
fn a_revert_is_carried_over_later_commits_and_moves() {
    let later = "0\n1\ntwo\n3\nFOUR\n5\n6\n7\neight\n9\n";
    let moved = onto(&head("lib/f.py", later)).expect("no conflict");
    assert_eq!(
        moved[0].after,
        Some(FileState::regular("lib/f.py", "0\n1\ntwo\n3\nFOUR\n5\n6\n7\n8\n9\n"))
    );
    let mut executable = head("f.py", later);
    executable.get_mut("f.py").expect("there").mode = FileMode::Executable;
    assert_eq!(
        onto(&executable).expect("no conflict")[0]
            .after
            .as_ref()
            .map(|state| state.mode),
        Some(FileMode::Executable)
    );
}

#[test]
fn what_head_already_has_is_no_edit() {
    assert_eq!(onto(&head("f.py", "1\ntwo\n3\n4\n5\n6\n7\n8\n9\n")), Ok(vec![]));
}

#[test]
fn conflicts_are_named() {
    assert_eq!(
        onto(&head("f.py", "1\ntwo\n3\n4\n5\n6\n7\nEIGHT\n9\n")),
        Err(vec![ConflictKind::Lines])
    );
    assert_eq!(onto(&HeadFiles::new()), Err(vec![ConflictKind::Gone]));
    let file = |text: &str| Some(FileState::regular("x", text));
    let head_of = |text: &str| HeadFiles::from([("x".to_owned(), FileState::regular("x", text))]);
    let one = |before, after, head: &HeadFiles| revert_onto(&[Edit { before, after }], head).map_err(|all| all[0].kind);
    assert_eq!(one(file("a\n"), None, &head_of("b\n")), Err(ConflictKind::ChangedSince));
    assert_eq!(one(None, file("a\n"), &head_of("b\n")), Err(ConflictKind::PathTaken));
    assert_eq!(one(file("\0a"), file("\0b"), &head_of("\0c")), Err(ConflictKind::Whole));
    assert_eq!(one(None, file("a\n"), &head_of("a\n")), Ok(vec![]));
    assert_eq!(one(file("a\n"), None, &HeadFiles::new()), Ok(vec![]));
}

#[test]
fn moves_go_back_unless_the_file_moved_again() {
    let edit = Edit {
        before: Some(FileState::regular("new", "a\n")),
        after: Some(FileState::regular("old", "a\n")),
    };
    let at = |path: &str| HeadFiles::from([("new".to_owned(), FileState::regular(path, "b\n"))]);
    let back = revert_onto(std::slice::from_ref(&edit), &at("new")).expect("no conflict");
    assert_eq!(back[0].after, Some(FileState::regular("old", "b\n")));
    let kind = |head: &HeadFiles| revert_onto(std::slice::from_ref(&edit), head).expect_err("conflict")[0].kind;
    assert_eq!(kind(&at("newer")), ConflictKind::MovedAgain);
    let mut taken = at("new");
    taken.insert("old".to_owned(), FileState::regular("old", "z\n"));
    assert_eq!(kind(&taken), ConflictKind::PathTaken);
    assert_eq!(paths_needed(std::slice::from_ref(&edit)), ["new", "old"]);
}

#[test]
fn files_may_swap_their_paths_back() {
    let file = |path: &str, text: &str| FileState::regular(path, text);
    let swap = |from: &str, to: &str, text: &str| Edit {
        before: Some(file(from, text)),
        after: Some(file(to, text)),
    };
    let edits = [swap("a", "b", "1\n"), swap("b", "a", "2\n")];
    let head: HeadFiles = [file("a", "1\n"), file("b", "2\n")]
        .into_iter()
        .map(|f| (f.path.clone(), f))
        .collect();
    assert_eq!(revert_onto(&edits, &head), Ok(edits.to_vec()));
    assert_eq!(
        revert_onto(&edits[..1], &head).expect_err("taken")[0].kind,
        ConflictKind::PathTaken
    );
}

#[test]
fn two_files_never_end_at_one_path() {
    let file = |path: &str| FileState::regular(path, "x\n");
    let edits = [
        Edit {
            before: None,
            after: Some(file("a")),
        },
        Edit {
            before: Some(file("b")),
            after: Some(file("a")),
        },
    ];
    let head: HeadFiles = [("b".to_owned(), file("b"))].into();
    assert_eq!(
        revert_onto(&edits, &head).expect_err("taken")[0].kind,
        ConflictKind::PathTaken
    );
}

/// A text of distinct lines, and the same with some lines changed, dropped or doubled.
fn edited() -> impl Strategy<Value = (String, String, String)> {
    let choices = || {
        proptest::collection::vec(
            prop_oneof![6 => Just(0u8), 1 => Just(1), 1 => Just(2), 1 => Just(3)],
            12,
        )
    };
    let apply = |choices: Vec<u8>, tag: &str| -> String {
        let line = |(n, choice)| match choice {
            0 => format!("{n}\n"),
            1 => format!("{tag}{n}\n"),
            2 => String::new(),
            _ => format!("{n}\n{tag}{n}\n"),
        };
        choices.into_iter().enumerate().map(line).collect()
    };
    (choices(), choices()).prop_map(move |(one, two)| (apply(vec![0; 12], ""), apply(one, "x"), apply(two, "y")))
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn one_sided_changes_are_taken_whole(base in text(), side in text()) {
        prop_assert_eq!(merge_lines(&base, &side, &base), Ok(side.clone()));
        prop_assert_eq!(merge_lines(&base, &base, &side), Ok(side.clone()));
        prop_assert_eq!(merge_lines(&base, &side, &side), Ok(side));
    }

    #[test]
    fn sides_may_be_swapped(base in text(), one in text(), two in text()) {
        let swap = |regions: Vec<Region>| regions
            .into_iter()
            .map(|Region { guilty, head, reverted }| Region { guilty, head: reverted, reverted: head })
            .collect::<Vec<_>>();
        prop_assert_eq!(merge_lines(&base, &one, &two), merge_lines(&base, &two, &one).map_err(swap));
    }

    /// Where lines are distinct, another implementation finds the same merge, if it dares to.
    #[test]
    fn agrees_with_another_implementation((base, one, two) in edited()) {
        if let Ok(own) = merged(&base, &one, &two) {
            prop_assert_eq!(diffy::merge(&base, &one, &two), Ok(own));
        }
    }
}
