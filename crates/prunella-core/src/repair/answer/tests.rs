use proptest::prelude::*;

use super::*;

const FILE: &str = "def a(x):\n    if x:\n        return 1\n    return 2\n\n\ndef b(y):\n    total = 0\n    for i in y:\n        total += i\n    return total\n";

fn block(search: &str, replace: &str) -> String {
    format!(
        "Here it is:\n\nsrc/m.py\n```python\n<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n```\nDone.\n"
    )
}

fn files(content: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("src/m.py".to_owned(), content.to_owned())])
}

fn check(answer: &str, rung: Rung, before: &str, after: &str) {
    let (changed, by) = edited(answer, &files(FILE)).unwrap();
    assert_eq!(by, rung);
    assert_eq!(changed["src/m.py"], FILE.replacen(before, after, 1));
}

#[test]
fn an_exact_block_is_applied() {
    check(
        &block("    return 2", "    return 3"),
        Rung::Exact,
        "return 2",
        "return 3",
    );
}

#[test]
fn a_unified_diff_is_applied_whatever_its_numbers_say() {
    let diff = "```diff\n--- a/src/m.py\n+++ b/src/m.py\n@@ -90,3 +90,3 @@ def a(x):\n     if x:\n-        return 1\n+        return 7\n     return 2\n```\n";
    check(diff, Rung::Exact, "return 1", "return 7");
}

#[test]
fn lost_indentation_is_found_again() {
    check(
        &block("for i in y:\n    total += i", "for i in y:\n    total -= i"),
        Rung::Shifted,
        "total += i",
        "total -= i",
    );
}

#[test]
fn elided_lines_stay() {
    check(
        &block(
            "def b(y):\n    # ...\n    return total",
            "def b(ys):\n    # ...\n    return total",
        ),
        Rung::Elided,
        "def b(y)",
        "def b(ys)",
    );
}

#[test]
fn a_mistake_in_a_line_that_stays_does_no_harm() {
    let search = "def b(z):\n    total = 0\n    for i in y:\n        total += i\n    return total";
    let replace = "def b(z):\n    total = 0\n    for i in y:\n        total += i * 2\n    return total";
    check(&block(search, replace), Rung::Split, "total += i", "total += i * 2");
    let search = "def c():\n    return 2";
    let replace = "def c():\n    return 9";
    check(&block(search, replace), Rung::Shrunk, "return 2", "return 9");
}

#[test]
fn what_fits_nowhere_or_twice_is_refused_and_says_so() {
    let refused = |answer: &str, content: &str| edited(answer, &files(content)).unwrap_err();
    let nowhere = refused(&block("    return 44", "    return 3"), FILE);
    assert!(nowhere.to_string().contains("not in the file; nearest"), "{nowhere}");
    let twice = refused(&block("x = 1", "x = 2"), "x = 1\ny\nx = 1\n");
    assert!(twice.to_string().contains("2 times"), "{twice}");
    assert_eq!(refused("I would change the return value.", FILE), Unusable::NoEdit);
    assert_eq!(
        refused(&block("", "x = 2"), FILE).to_string(),
        "src/m.py: no lines to replace are given"
    );
    let other = block("x", "y").replace("src/m.py", "src/other.py");
    assert!(matches!(refused(&other, FILE), Unusable::UnknownFile { .. }));
}

#[test]
fn a_path_may_leave_out_directories_that_are_clear() {
    let answer = block("    return 2", "    return 3").replace("src/m.py", "m.py");
    assert!(edited(&answer, &files(FILE)).is_ok());
    let mut two = files(FILE);
    two.insert("lib/m.py".to_owned(), FILE.to_owned());
    assert!(matches!(edited(&answer, &two), Err(Unusable::UnknownFile { .. })));
}

#[test]
fn line_endings_and_the_end_of_the_file_stay() {
    let crlf = "a\r\nb\r\nc";
    let (changed, _) = edited(&block("b", "B\nB2"), &files(crlf)).unwrap();
    assert_eq!(changed["src/m.py"], "a\r\nB\r\nB2\r\nc");
    let (changed, _) = edited(&block("c", "C"), &files(crlf)).unwrap();
    assert_eq!(changed["src/m.py"], "a\r\nb\r\nC");
}

#[test]
fn several_blocks_are_applied_together_or_not_at_all() {
    let both = format!(
        "{}{}",
        block("    return 2", "    return 3"),
        block("    total = 0", "    total = 1")
    );
    let (changed, _) = edited(&both, &files(FILE)).unwrap();
    assert!(changed["src/m.py"].contains("return 3") && changed["src/m.py"].contains("total = 1"));
    let half = format!(
        "{}{}",
        block("    return 2", "    return 3"),
        block("nothing like it", "x")
    );
    assert!(edited(&half, &files(FILE)).is_err());
}

#[test]
fn a_block_that_is_cut_off_is_none() {
    let whole = block("    return 2", "    return 3");
    let cut = &whole[..whole.find(">>>>>>>").unwrap()];
    assert_eq!(edited(cut, &files(FILE)), Err(Unusable::NoEdit));
}

proptest! {
    #[test]
    fn an_exact_edit_changes_only_its_lines(
        lines in prop::collection::vec("[a-z]{1,6}[ ]{0,2}[a-z(]{0,4}", 1..20),
        at in any::<prop::sample::Index>(),
        new in "[A-Z]{1,8}",
    ) {
        // Numbered, so that each line is unique.
        let lines: Vec<String> = lines.iter().enumerate().map(|(i, l)| format!("{i}{}", l.trim_end())).collect();
        let content: String = lines.iter().map(|l| format!("{l}\n")).collect();
        let index = at.index(lines.len());
        let (changed, rung) = edited(&block(&lines[index], &new), &files(&content)).unwrap();
        let expected: String = lines.iter().enumerate().map(|(i, l)| format!("{}\n", if i == index { &new } else { l })).collect();
        prop_assert_eq!(rung, Rung::Exact);
        prop_assert_eq!(&changed["src/m.py"], &expected);
    }

    #[test]
    fn no_answer_panics(answer in "(<<<<<<< SEARCH\n|=======\n|>>>>>>> REPLACE\n|@@\n|\\+a\n|-b\n| c\n|\\.\\.\\.\n|m\\.py\n|\\PC{0,20}\n){0,20}") {
        let _ = edited(&answer, &files(FILE));
    }
}
