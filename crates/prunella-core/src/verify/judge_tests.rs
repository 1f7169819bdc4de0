use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::verify::report::{ReplayComparison, SuiteComparison, SuiteExit, SuiteRun, TestOutcome};

fn failed() -> Trial {
    Trial::Failed {
        seen: "GET /x: 500".into(),
    }
}

fn run(code: i32, tests: &[(&str, TestOutcome)]) -> SuiteRun {
    let tests = tests
        .iter()
        .map(|(n, o)| ((*n).to_owned(), *o))
        .collect::<BTreeMap<_, _>>();
    SuiteRun {
        exit: SuiteExit::Exited { code },
        tests: (!tests.is_empty()).then_some(tests),
        passed_unnamed: None,
        wall_ms: 1,
    }
}

fn good() -> RunReport {
    RunReport {
        candidate: "c".into(),
        base: CommitId::parse("a".repeat(40)).unwrap(),
        tree: "t".into(),
        touched: vec!["app.py".into()],
        protected: vec![],
        isolation: Isolation::Full,
        tier: "A".into(),
        before: vec![failed(), failed()],
        after: vec![Trial::Passed, Trial::Passed],
        suite: Some(SuiteComparison {
            command: "pytest".into(),
            before: run(0, &[("a", TestOutcome::Passed)]),
            after: run(0, &[("a", TestOutcome::Passed)]),
            again: Vec::new(),
            before_again: Vec::new(),
        }),
        replay: Some(ReplayComparison {
            requests: 3,
            regressions: vec![],
        }),
        refutation: None,
        shadow: None,
        wall_ms: 1,
    }
}

fn check(change: impl FnOnce(&mut RunReport), expected: Decision) {
    let mut report = good();
    change(&mut report);
    let (verdict, patch) = judge(&serde_json::to_vec(&report).unwrap()).unwrap();
    assert_eq!(verdict.decision, expected, "{:#?}", verdict.gates);
    assert_eq!(patch.is_some(), expected == Decision::Passed);
}

#[test]
fn a_complete_report_passes() {
    check(|_| {}, Decision::Passed);
}

#[test]
fn each_gate_can_refute() {
    check(|r| r.after[1] = failed(), Decision::Failed);
    check(
        |r| {
            r.after[0] = Trial::OtherFailure {
                seen: "GET /x: 404".into(),
            }
        },
        Decision::Failed,
    );
    check(|r| r.protected = vec!["tests/test_app.py".into()], Decision::Failed);
    check(|r| r.touched.clear(), Decision::Failed);
    check(
        |r| r.replay.as_mut().unwrap().regressions.push("GET /y".into()),
        Decision::Failed,
    );
    check(
        |r| r.suite.as_mut().unwrap().after = run(1, &[("a", TestOutcome::Failed)]),
        Decision::Failed,
    );
    check(
        |r| r.suite.as_mut().unwrap().after = run(0, &[("a", TestOutcome::Skipped)]),
        Decision::Failed,
    );
    check(
        |r| r.suite.as_mut().unwrap().after = run(0, &[("b", TestOutcome::Passed)]),
        Decision::Failed,
    );
    check(
        |r| r.suite.as_mut().unwrap().after = run(3, &[("a", TestOutcome::Passed)]),
        Decision::Failed,
    );
}

#[test]
fn thin_evidence_is_inconclusive_never_passed() {
    check(|r| r.before = vec![Trial::Passed], Decision::Inconclusive);
    check(|r| r.before.clear(), Decision::Inconclusive);
    check(|r| r.after.clear(), Decision::Inconclusive);
    check(
        |r| {
            r.after = vec![Trial::NotRun {
                why: "did not start".into(),
            }]
        },
        Decision::Inconclusive,
    );
    check(|r| r.isolation = Isolation::None, Decision::Inconclusive);
    check(
        |r| {
            r.suite.as_mut().unwrap().after.exit = SuiteExit::NotRun {
                why: "no pytest".into(),
            }
        },
        Decision::Inconclusive,
    );
}

#[test]
fn a_suite_that_was_red_is_compared_not_demanded_green() {
    let red = [("a", TestOutcome::Passed), ("b", TestOutcome::Failed)];
    check(
        |r| {
            let suite = r.suite.as_mut().unwrap();
            (suite.before, suite.after) = (run(1, &red), run(1, &red));
        },
        Decision::Passed,
    );
    check(
        |r| {
            let suite = r.suite.as_mut().unwrap();
            (suite.before, suite.after) = (run(1, &[]), run(1, &[]));
        },
        Decision::Inconclusive,
    );
}

#[test]
fn a_runner_that_names_only_failures_is_compared_by_count() {
    let counted = |code, passed, failing: &[&str]| SuiteRun {
        exit: SuiteExit::Exited { code },
        tests: Some(failing.iter().map(|t| ((*t).to_owned(), TestOutcome::Failed)).collect()),
        passed_unnamed: Some(passed),
        wall_ms: 1,
    };
    let check = |before: SuiteRun, after: SuiteRun, expected| {
        check(
            |r| {
                let suite = r.suite.as_mut().unwrap();
                (suite.before, suite.after) = (before, after);
            },
            expected,
        );
    };
    check(counted(0, 60, &[]), counted(0, 60, &[]), Decision::Passed);
    check(counted(1, 60, &["a"]), counted(1, 60, &["a"]), Decision::Passed);
    check(counted(1, 60, &["a"]), counted(0, 61, &[]), Decision::Passed);
    check(counted(0, 60, &[]), counted(0, 59, &[]), Decision::Failed);
    check(counted(1, 60, &["a"]), counted(1, 60, &["b"]), Decision::Failed);
    check(counted(0, 60, &[]), counted(1, 60, &[]), Decision::Failed);
    check(counted(0, 0, &[]), counted(0, 0, &[]), Decision::Inconclusive);
}

#[test]
fn an_intermittent_failure_needs_more_passing_runs() {
    let flaky = vec![failed(), Trial::Passed];
    check(|r| r.before.clone_from(&flaky), Decision::Inconclusive);
    check(
        |r| {
            r.before.clone_from(&flaky);
            r.after = vec![Trial::Passed; 7];
        },
        Decision::Passed,
    );
}

fn trial() -> impl Strategy<Value = Trial> {
    prop_oneof![
        Just(failed()),
        Just(Trial::Passed),
        Just(Trial::OtherFailure { seen: "x".into() }),
        Just(Trial::NotRun { why: "x".into() })
    ]
}

proptest! {
    /// Whatever was measured: nothing passes in which the failure was not seen before, or was seen after.
    #[test]
    fn no_patch_without_a_counterfactual(
        before in proptest::collection::vec(trial(), 0..5),
        after in proptest::collection::vec(trial(), 0..5),
    ) {
        let mut report = good();
        report.before = before.clone();
        report.after = after.clone();
        let (_, patch) = judge(&serde_json::to_vec(&report).unwrap()).unwrap();
        if patch.is_some() {
            let seen = before.iter().any(|t| matches!(t, Trial::Failed { .. }));
            prop_assert!(seen);
            prop_assert!(!after.is_empty());
            prop_assert!(after.iter().all(|t| *t == Trial::Passed));
        }
    }

    #[test]
    fn hostile_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = judge(&bytes);
    }
}

fn comparison(before: SuiteRun, after: SuiteRun, again: Vec<SuiteRun>) -> SuiteComparison {
    SuiteComparison {
        command: "pytest".into(),
        before,
        after,
        again,
        before_again: Vec::new(),
    }
}

#[test]
fn a_test_that_comes_and_goes_is_not_lost() {
    use TestOutcome::{Failed, Passed};
    let good = run(0, &[("a", Passed), ("b", Passed)]);
    let (no_a, no_b) = (
        run(1, &[("a", Failed), ("b", Passed)]),
        run(1, &[("a", Passed), ("b", Failed)]),
    );
    let lost = comparison(good.clone(), no_a.clone(), vec![]);
    assert!(lost.regression().is_some() && lost.is_worth_another_run());
    let came_back = comparison(good.clone(), no_a.clone(), vec![good.clone()]);
    assert_eq!(came_back.regression(), None);
    assert!(!came_back.is_worth_another_run());
    let gate = crate::verify::suite::gate_of(Some(&came_back));
    assert!(gate.why.contains("1 came and went in 3 runs"), "{}", gate.why);

    let twice = comparison(good.clone(), no_a.clone(), vec![no_a.clone()]);
    assert!(twice.regression().is_some() && !twice.is_worth_another_run());
    // Each came back, and named tests explain every red run.
    let by_turns = comparison(good.clone(), no_a.clone(), vec![no_b]);
    assert_eq!(by_turns.regression(), None);
    // A red run in which no test failed is explained by nothing.
    let unexplained = comparison(good, no_a, vec![run(1, &[("a", Passed), ("b", Passed)])]);
    assert!(unexplained.regression().is_some() && unexplained.is_worth_another_run());
    // With a suite that was red before, every test has its own say.
    let red = run(1, &[("a", Passed), ("b", Passed), ("c", Failed)]);
    let red_no_a = run(1, &[("a", Failed), ("b", Passed), ("c", Failed)]);
    assert_eq!(comparison(red.clone(), red_no_a, vec![red]).regression(), None);
}

#[test]
fn a_test_whose_parameters_tell_the_time_is_the_same_in_each_run() {
    use TestOutcome::{Failed, Passed};
    let at = |time: &str, outcome| (format!("t.py::test_date[{time}]"), outcome);
    let of = |code, tests: &[(String, TestOutcome)]| {
        let tests: Vec<(&str, TestOutcome)> = tests.iter().map(|(name, o)| (name.as_str(), *o)).collect();
        run(code, &tests)
    };
    let before = of(0, &[at("11-24-2026 20:25:06", Passed), at("soon", Passed)]);
    let same = of(0, &[at("11-24-2026 20:25:09", Passed), at("soon", Passed)]);
    assert_eq!(comparison(before.clone(), same.clone(), vec![]).regression(), None);
    let again = of(0, &[at("11-24-2026 20:25:12", Passed), at("soon", Passed)]);
    assert_eq!(comparison(before.clone(), same, vec![again]).regression(), None);
    let broken = of(1, &[at("11-24-2026 20:25:09", Failed), at("soon", Passed)]);
    assert!(comparison(before.clone(), broken, vec![]).regression().is_some());
    for lost in [
        of(0, &[at("soon", Passed)]),
        of(0, &[at("later", Passed), at("soon", Passed)]),
        of(0, &[at("11-24-2026 20:25:09", Passed)]),
    ] {
        assert!(comparison(before.clone(), lost, vec![]).regression().is_some());
    }
}

#[test]
fn a_runner_that_names_no_passes_is_merged_by_what_it_names() {
    use TestOutcome::Failed;
    let of = |code, named: &[(&str, TestOutcome)], passed| SuiteRun {
        passed_unnamed: Some(passed),
        tests: Some(named.iter().map(|(n, o)| ((*n).to_owned(), *o)).collect()),
        ..run(code, named)
    };
    let before = of(1, &[("old", Failed)], 9);
    let first = of(1, &[("old", Failed), ("x", Failed)], 8);
    assert!(comparison(before.clone(), first.clone(), vec![]).regression().is_some());
    let again = vec![of(1, &[("old", Failed)], 9)];
    assert_eq!(comparison(before.clone(), first.clone(), again).regression(), None);
    let again = vec![of(1, &[("old", Failed), ("x", Failed)], 8)];
    assert!(comparison(before, first, again).regression().is_some());
}

#[test]
fn other_failures_between_passes_are_tolerated_only_where_they_come_and_go() {
    let other = Trial::OtherFailure { seen: "x".into() };
    let mut after = vec![Trial::Passed; 5];
    after.insert(1, other.clone());
    check(|r| r.after.clone_from(&after), Decision::Failed);
    check(
        |r| {
            r.after.clone_from(&after);
            r.before.push(other.clone());
        },
        Decision::Passed,
    );
    check(
        |r| {
            r.after.clone_from(&after);
            r.after.push(failed());
            r.before.push(other.clone());
        },
        Decision::Failed,
    );
    check(
        |r| {
            r.after = vec![other.clone(), Trial::Passed, Trial::Passed];
            r.before.push(other.clone());
        },
        Decision::Failed,
    );
}

#[test]
fn trials_go_on_until_they_tell_something() {
    let other = || Trial::OtherFailure { seen: "x".into() };
    let goes_on = |trials: &[Trial], expected| assert_eq!(is_worth_another_trial(trials), expected, "{trials:?}");
    goes_on(&[], true);
    goes_on(&[Trial::Passed, Trial::Passed], true);
    goes_on(&[Trial::Passed, Trial::Passed, Trial::Passed], false);
    goes_on(&[failed()], false);
    goes_on(&[Trial::NotRun { why: "x".into() }], false);
    goes_on(&[other()], true);
    goes_on(&[other(), other()], false);
    goes_on(&[other(), Trial::Passed, Trial::Passed, Trial::Passed], true);
    goes_on(
        &[
            other(),
            Trial::Passed,
            Trial::Passed,
            Trial::Passed,
            Trial::Passed,
            Trial::Passed,
        ],
        false,
    );
}

#[test]
fn a_test_that_failed_by_chance_before_is_not_forgotten() {
    use TestOutcome::{Failed, Passed};
    let (unlucky, lucky) = (
        run(1, &[("a", Failed), ("b", Passed)]),
        run(0, &[("a", Passed), ("b", Passed)]),
    );
    let mut compared = comparison(unlucky.clone(), unlucky.clone(), vec![unlucky.clone()]);
    assert!(compared.is_worth_another_before());
    assert_eq!(
        compared.regression(),
        None,
        "it was red before, as far as anybody knows"
    );
    compared.before_again.push(lucky);
    assert!(!compared.unsteady().is_empty());
    assert!(compared.regression().is_some());
    // What fails twice in the same way is red, and no third run is made.
    compared.before_again = vec![unlucky];
    assert!(!compared.is_worth_another_before());
}

#[test]
fn the_more_tests_come_and_go_the_more_runs_it_takes() {
    use TestOutcome::{Failed, Passed};
    let names: Vec<String> = (0..40).map(|i| format!("t{i}")).collect();
    let of = |bad: &[usize]| {
        let tests: Vec<(&str, TestOutcome)> = names
            .iter()
            .enumerate()
            .map(|(i, n)| (n.as_str(), if bad.contains(&i) { Failed } else { Passed }))
            .collect();
        run(i32::from(!bad.is_empty()), &tests)
    };
    let steady = comparison(of(&[]), of(&[7]), vec![of(&[7])]);
    assert!(!steady.is_worth_another_run() && steady.regression().is_some());
    let unsteady = comparison(of(&[]), of(&[7, 1, 2]), vec![of(&[7, 3, 4])]);
    assert!(unsteady.is_worth_another_run());
    let told = comparison(
        of(&[]),
        of(&[7, 1, 2]),
        vec![of(&[7, 3, 4]), of(&[7]), of(&[7, 5]), of(&[7])],
    );
    assert!(!told.is_worth_another_run() && told.regression().is_some());
    // No run was green, and every failure passed elsewhere.
    let none = comparison(of(&[]), of(&[1]), vec![of(&[2])]);
    assert_eq!(none.regression(), None);
}

#[test]
fn tests_beside_the_failing_one_that_still_fail_speak_against_a_patch() {
    use crate::verify::probability::probability;
    use crate::verify::refutation::akin;
    use crate::verify::{BELIEVED, REFUTED, Refutation};
    use TestOutcome::{Failed, Passed};
    let before = run(
        1,
        &[
            ("t.py::A::one", Failed),
            ("t.py::A::two", Failed),
            ("t.py::B::three", Failed),
            ("t.py::A::four", Passed),
        ],
    );
    let with = |one, two| {
        run(
            1,
            &[
                ("t.py::A::one", one),
                ("t.py::A::two", two),
                ("t.py::B::three", Failed),
                ("t.py::A::four", Passed),
            ],
        )
    };
    let left = |after| akin(&comparison(before.clone(), after, Vec::new()), "t.py::A::one");
    assert_eq!(left(with(Passed, Failed)), 1, "not the one of another class");
    assert_eq!(left(with(Passed, Passed)), 0);
    assert_eq!(
        akin(&comparison(before.clone(), with(Passed, Failed), Vec::new()), "one"),
        0
    );

    let found = |akin| Refutation {
        akin,
        ..Refutation::default()
    };
    assert!(probability(&found(1)) < REFUTED && probability(&found(0)) > BELIEVED);
}
