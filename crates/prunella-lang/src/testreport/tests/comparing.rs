//! What changed between two runs.

use super::*;

fn report(tests: &[(&str, TestOutcome)]) -> TestReport {
    let mut builder = Builder::new(Framework::Pytest);
    for (name, outcome) in tests {
        builder.record(name, *outcome);
    }
    builder.finish()
}

fn names(set: &BTreeSet<String>) -> Vec<&str> {
    set.iter().map(String::as_str).collect()
}

#[test]
fn each_change_has_its_list() {
    use TestOutcome::{Error, Failed, Passed, Skipped};
    let before = report(&[
        ("same", Passed),
        ("breaks", Passed),
        ("errs", Passed),
        ("heals", Failed),
        ("vanishes", Passed),
        ("hides", Passed),
        ("was skipped", Skipped),
        ("bad as before", Failed),
    ]);
    let after = report(&[
        ("same", Passed),
        ("breaks", Failed),
        ("errs", Error),
        ("heals", Passed),
        ("hides", Skipped),
        ("bad as before", Error),
        ("new and bad", Failed),
        ("new and good", Passed),
    ]);
    let change = compare(&before, &after);
    assert_eq!(names(&change.newly_failing), ["breaks", "errs", "new and bad"]);
    assert_eq!(names(&change.missing), ["vanishes"]);
    assert_eq!(names(&change.newly_passing), ["heals"]);
    assert_eq!(names(&change.newly_skipped), ["hides"]);
    assert_eq!(change.fewer, 0);
    assert!(!change.is_no_worse());
    assert!(compare(&before, &before).is_no_worse());
}

#[test]
fn lost_tests_show_in_the_count_when_they_are_not_named() {
    let quiet = |passed: u64, bad: &[&str]| {
        let mut report = report(&bad.iter().map(|name| (*name, TestOutcome::Failed)).collect::<Vec<_>>());
        report.passed = passed;
        report.names_passed = false;
        report
    };
    let change = compare(&quiet(10, &["a"]), &quiet(9, &["b"]));
    assert_eq!(names(&change.newly_failing), ["b"]);
    assert_eq!(names(&change.newly_passing), ["a"]);
    assert!(change.missing.is_empty());
    assert_eq!(change.fewer, 1);
}
