use proptest::prelude::*;

use super::*;
use crate::diagnose::testing::{cases, change, diff, text};

fn all(diff: &CommitDiff) -> BTreeSet<HunkId> {
    diff.hunk_ids().collect()
}

fn id(file: u32, hunk: u32) -> HunkId {
    HunkId { file, hunk }
}

fn state(path: &str, content: &[u8], mode: FileMode) -> FileState {
    FileState {
        path: path.into(),
        content: content.into(),
        mode,
    }
}

/// The content after reverting these hunks of a diff of one file.
fn reverted(diff: &CommitDiff, hunks: &[u32]) -> String {
    let edits = diff
        .revert(&hunks.iter().map(|hunk| id(0, *hunk)).collect())
        .expect("revertible");
    let after = edits
        .first()
        .map_or_else(|| diff.files()[0].new_state().cloned(), |edit| edit.after.clone());
    String::from_utf8(after.expect("not deleted").content).expect("text")
}

#[test]
fn each_changed_region_is_a_hunk() {
    let diff = diff(vec![change("f", "1\n2\n3\n4\n5\n", "one\n2\n3\n4\nfive\nsix\n")]);
    assert_eq!(
        diff.files()[0].hunks(),
        [
            Hunk::Lines { old: 0..1, new: 0..1 },
            Hunk::Lines { old: 4..5, new: 4..6 }
        ]
    );
    assert_eq!(reverted(&diff, &[0]), "1\n2\n3\n4\nfive\nsix\n");
    assert_eq!(reverted(&diff, &[1]), "one\n2\n3\n4\n5\n");
}

#[test]
fn line_ends_and_missing_line_ends_stay() {
    let diff = diff(vec![change("f", "a\r\nb\r\nc", "A\r\nb\r\nc\n")]);
    assert_eq!(reverted(&diff, &[0]), "a\r\nb\r\nc\n");
    assert_eq!(reverted(&diff, &[1]), "A\r\nb\r\nc");
}

#[test]
fn what_has_no_lines_is_a_unit() {
    let regular = FileMode::Regular;
    let changes = [
        (None, Some(state("new", b"x\n", regular)), vec![Hunk::Added]),
        (Some(state("old", b"x\n", regular)), None, vec![Hunk::Deleted]),
        (
            Some(state("bin", b"\0a", regular)),
            Some(state("bin", b"\0b", regular)),
            vec![Hunk::Replaced],
        ),
        (
            Some(state("run", b"x", regular)),
            Some(state("run", b"x", FileMode::Executable)),
            vec![Hunk::Mode],
        ),
        (
            Some(state("link", b"a", FileMode::Symlink)),
            Some(state("link", b"b", FileMode::Symlink)),
            vec![Hunk::Replaced],
        ),
        (
            Some(state("sub", b"a", FileMode::Submodule)),
            Some(state("sub", b"a", FileMode::Symlink)),
            vec![Hunk::Replaced],
        ),
        (
            Some(state("a", b"1\n2\n", regular)),
            Some(state("b", b"1\n3\n", regular)),
            vec![Hunk::Renamed, Hunk::Lines { old: 1..2, new: 1..2 }],
        ),
    ];
    for (old, new, hunks) in changes {
        let change = FileChange::between(old.clone(), new.clone());
        assert_eq!(change.hunks(), hunks);
        let diff = diff(vec![change]);
        let edits = diff.revert(&all(&diff)).expect("revertible");
        assert_eq!(
            edits,
            [Edit {
                before: new,
                after: old
            }]
        );
    }
}

#[test]
fn a_rename_and_its_lines_are_separate() {
    let old = FileState::regular("old.py", "1\n2\n");
    let diff = diff(vec![FileChange::between(
        Some(old),
        Some(FileState::regular("new.py", "1\n3\n")),
    )]);
    let after = |hunk| {
        diff.revert(&BTreeSet::from([id(0, hunk)])).expect("revertible")[0]
            .after
            .clone()
    };
    assert_eq!(after(0), Some(FileState::regular("old.py", "1\n3\n")));
    assert_eq!(after(1), Some(FileState::regular("new.py", "1\n2\n")));
}

#[test]
fn files_that_swap_their_paths_go_back_together_or_not_at_all() {
    let file = |path: &str, text: &str| Some(FileState::regular(path, text));
    let diff = diff(vec![
        FileChange::between(file("a", "1\n"), file("b", "1\n")),
        FileChange::between(file("b", "2\n"), file("a", "2\n")),
    ]);
    let edits = diff.revert(&all(&diff)).expect("revertible");
    let written = written(&edits);
    assert_eq!(written["a"].expect("written").content, b"1\n");
    assert_eq!(written["b"].expect("written").content, b"2\n");
    assert_eq!(
        diff.revert(&BTreeSet::from([id(0, 0)])),
        Err(RevertError::PathTaken("a".into()))
    );
}

#[test]
fn unknown_hunks_are_refused() {
    let diff = diff(vec![change("f", "a\n", "b\n")]);
    for unknown in [id(0, 1), id(1, 0)] {
        assert_eq!(
            diff.revert(&BTreeSet::from([unknown])),
            Err(RevertError::NoSuchHunk(unknown))
        );
    }
}

#[test]
fn a_reformat_is_one_unit() {
    let line = |sign: &'static str| {
        (0..2 * MAX_HUNKS_PER_FILE + 2).map(move |n| {
            if n % 2 == 0 {
                format!("{sign}\n")
            } else {
                format!("{n}\n")
            }
        })
    };
    let (old, new) = (line("x").collect::<String>(), line("y").collect::<String>());
    assert_eq!(change("f", &old, &new).hunks(), [Hunk::Replaced]);
}

/// The same by another way: the old lines with the hunks that stay applied forwards.
fn applied(old: &[u8], new: &[u8], hunks: &[Hunk], reverted: &BTreeSet<HunkId>) -> Vec<u8> {
    let (old_lines, new_lines) = (lines(old), lines(new));
    let mut result = Vec::new();
    let mut position = 0;
    for (index, hunk) in (0..).zip(hunks) {
        let Hunk::Lines { old, new } = hunk else {
            panic!("a hunk of lines")
        };
        result.extend(old_lines[position as usize..old.start as usize].concat());
        let kept = if reverted.contains(&id(0, index)) {
            slice(&old_lines, old)
        } else {
            slice(&new_lines, new)
        };
        result.extend(kept.concat());
        position = old.end;
    }
    result.extend(old_lines[position as usize..].concat());
    result
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn reverting_is_exact(old in text(), new in text(), choice in any::<u32>()) {
        let state = |content: &[u8]| Some(state("f", content, FileMode::Regular));
        let change = FileChange::between(state(&old), state(&new));
        let hunks = change.hunks().to_vec();
        let diff = CommitDiff::new(vec![change]);
        prop_assert_eq!(diff.revert(&BTreeSet::new()).expect("nothing to do"), []);
        let content = |hunks: &BTreeSet<HunkId>| {
            let edits = diff.revert(hunks).expect("revertible");
            edits.first().map_or_else(|| new.clone(), |edit| edit.after.clone().expect("a file").content)
        };
        prop_assert_eq!(&content(&all(&diff)), &old);
        let some: BTreeSet<HunkId> = all(&diff).into_iter().filter(|id| choice >> (id.hunk % 32) & 1 == 1).collect();
        prop_assert_eq!(content(&some), applied(&old, &new, &hunks, &some));
    }
}
