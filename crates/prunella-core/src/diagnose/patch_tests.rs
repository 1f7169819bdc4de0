use diffy::patch_set::{FileOperation, ParseOptions, PatchSet};
use proptest::prelude::*;

use super::*;
use crate::diagnose::hunks::FileMode;
use crate::diagnose::testing::{cases, text};

fn edit(before: Option<FileState>, after: Option<FileState>) -> Edit {
    Edit { before, after }
}

fn regular(path: &str, content: &str) -> Option<FileState> {
    Some(FileState::regular(path, content))
}

fn with_mode(path: &str, content: &str, mode: FileMode) -> Option<FileState> {
    Some(FileState {
        mode,
        ..FileState::regular(path, content)
    })
}

fn check(before: Option<FileState>, after: Option<FileState>, expected: &str) {
    assert_eq!(render_patch(&[edit(before, after)]), expected);
}

#[test]
fn modified_files_have_three_lines_of_context() {
    check(
        regular("a b.py", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n"),
        regular("a b.py", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n10\n11\n12\n13"),
        "diff --git a/a b.py b/a b.py\n--- a/a b.py\t\n+++ b/a b.py\t\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n\
         @@ -10,3 +10,4 @@\n 10\n 11\n 12\n+13\n\\ No newline at end of file\n",
    );
}

#[test]
fn files_come_and_go() {
    check(
        None,
        regular("n", "x\n"),
        "diff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n",
    );
    check(regular("n", ""), None, "diff --git a/n b/n\ndeleted file mode 100644\n");
    check(
        regular("n", "x\ny"),
        None,
        "diff --git a/n b/n\ndeleted file mode 100644\n--- a/n\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-x\n-y\n\\ No newline at end of file\n",
    );
}

#[test]
fn moves_and_modes_are_headers() {
    check(
        regular("a", "x\n"),
        regular("b", "x\n"),
        "diff --git a/a b/b\nrename from a\nrename to b\n",
    );
    check(
        regular("a", "x\n"),
        with_mode("a", "x\n", FileMode::Executable),
        "diff --git a/a b/a\nold mode 100644\nnew mode 100755\n",
    );
    check(
        with_mode("a", "t", FileMode::Symlink),
        regular("a", "x\n"),
        "diff --git a/a b/a\ndeleted file mode 120000\n--- a/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-t\n\\ No newline at end of file\n\
         diff --git a/a b/a\nnew file mode 100644\n--- /dev/null\n+++ b/a\n@@ -0,0 +1 @@\n+x\n",
    );
}

#[test]
fn hostile_names_are_quoted() {
    let patch = render_patch(&[edit(regular("a\"\n\u{1}b", "x\n"), regular("a\"\n\u{1}b", "y\n"))]);
    assert!(
        patch.starts_with("diff --git \"a/a\\\"\\n\\001b\" \"b/a\\\"\\n\\001b\"\n--- \"a/a\\\"\\n\\001b\"\n"),
        "{patch}"
    );
}

#[test]
fn nothing_to_change_is_an_empty_patch() {
    assert_eq!(render_patch(&[]), "");
    check(regular("a", "x"), regular("a", "x"), "");
}

/// Golden: `git apply` and `git apply --reverse` took this patch (git 2.39).
#[test]
fn other_content_is_a_binary_literal() {
    let state = |content: &[u8]| Some(FileState::regular("logo.bin", content));
    insta::assert_snapshot!(render_patch(&[edit(state(b"\0\x01\x02caf\xe9"), state(&[0xff; 60]))]));
}

/// Applies a patch of text files with another implementation.
fn apply(before: &FileState, patch: &str) -> Option<FileState> {
    let mut files = PatchSet::parse(patch, ParseOptions::gitdiff());
    let file = files.next().expect("a file").expect("a patch that parses");
    assert!(files.next().is_none());
    let content = std::str::from_utf8(&before.content).expect("text");
    let content = match file.patch().as_text() {
        Some(patch) => diffy::apply(content, patch).expect("a patch that applies").into_bytes(),
        None => before.content.clone(),
    };
    match file.operation() {
        FileOperation::Delete(_) => None,
        FileOperation::Rename { to, .. } => Some(FileState::regular(to.as_ref(), content)),
        _ => Some(FileState::regular(before.path.clone(), content)),
    }
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn patches_apply(old in text(), new in text(), moves in any::<bool>()) {
        let before = FileState::regular("src/a.py", old);
        let after = FileState::regular(if moves { "src/b.py" } else { "src/a.py" }, new);
        let patch = render_patch(&[edit(Some(before.clone()), Some(after.clone()))]);
        prop_assert_eq!(patch.is_empty(), before == after);
        // A move without a change has headers only, which the other implementation does not apply.
        if before.content != after.content {
            prop_assert_eq!(apply(&before, &patch), Some(after));
        }
    }

    #[test]
    fn creations_and_deletions_apply(content in text()) {
        prop_assume!(!content.is_empty());
        let state = FileState::regular("a", content);
        let made = render_patch(&[edit(None, Some(state.clone()))]);
        prop_assert_eq!(apply(&FileState::regular("a", ""), &made), Some(state.clone()));
        prop_assert_eq!(apply(&state, &render_patch(&[edit(Some(state.clone()), None)])), None);
    }
}
