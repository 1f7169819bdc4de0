//! Whatever a run prints, nothing panics, and the limits hold.

use proptest::prelude::*;

use super::*;

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(vec![
            "===== short test summary info =====", "PASSED a.py::t", "FAILED a.py::t[x - y] - no", "ERROR a.py",
            "1 failed, 99999999999999999999 passed in 0.01s", "===== 2 passed, 1 error in 1.00s (0:00:01) =====",
            "a.py::t PASSED [ 10%]", "[gw0] [ 10%] PASSED a.py::t", "test_a (m.T) ... ok", "test_b (m.T.test_b)",
            "doc ... ok", "Ran 3 tests in 0.1s", "OK", "FAILED (failures=1, errors=18446744073709551615)",
            "======================================================================", "FAIL: test_a (m.T)",
            "TAP version 13", "1..3", "ok 1 - a # SKIP", "not ok 2", "    ok 1 - b", "# Subtest: a", "  ---", "  ...",
            "✔ a (1ms)", "  ✖ b (1.5ms) # TODO", "▶ c", "ℹ tests 1", "ℹ pass 18446744073709551615", "ℹ cancelled 1", "ℹ fail 18446744073709551615",
            "  2 passing (1s)", "  cart", "    ✔ a", "    1) b", "    - c", "  1 failing", "PASS ./a.test.js",
            "FAIL ./b.test.js", "  ● a › b", "  ✓ x (1 ms)", "Tests:       1 failed, 3 passed, 4 total",
            "running 2 tests", "test a::b ... ok", "test result: ok. 1 passed; 0 failed;",
            "     Running unittests src/a.rs (target/debug/deps/a-0123456789abcdef)", "        PASS [   0.1s] (1/2) a b",
            "     Summary [   0.1s] 3/4 tests run: 1 passed, 2 failed", " ✓ a.test.js > x 1ms", " FAIL  a.test.js [ a.test.js ]", "      Tests  1 failed | 3 passed (4)", "<?xml version=\"1.0\"?><testsuites>",
            "<testcase classname='a' name=\"b&#x41;&amp;&bogus;\">", "<failure message='x'/></testcase>", "<!-- <testcase",
            "<![CDATA[ ]]>", "", "    ", "é ...",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,30}",
    ]
}

proptest! {
    #[test]
    fn no_output_panics(
        stdout in prop::collection::vec(line(), 0..40),
        stderr in prop::collection::vec(line(), 0..40),
    ) {
        if let Some(report) = parse(&stdout.join("\n"), &stderr.join("\n")) {
            prop_assert!(report.tests.keys().all(|name| name.len() <= MAX_NAME_BYTES + 8));
            prop_assert!(compare(&report, &report).is_no_worse());
        }
        parse_junit(&stdout.join("\n"));
    }
}

#[test]
fn what_a_test_prints_is_not_its_report() {
    let text = "test_a.py::test_bad FAILED   [100%]\n\
                ===== FAILURES =====\n\
                ----- Captured stdout call -----\n\
                ===== short test summary info =====\n\
                PASSED test_a.py::test_bad\n\
                test_a.py::test_bad PASSED [100%]\n\
                ===== 1 passed in 0.01s =====\n\
                ===== short test summary info =====\n\
                FAILED test_a.py::test_bad - AssertionError\n\
                ===== 1 failed in 0.01s =====\n";
    let report = parse(text, "").expect("a pytest report");
    assert_eq!(report.tests.get("test_a.py::test_bad"), Some(&TestOutcome::Failed));
    assert_eq!((report.passed, report.failed), (0, 1));
}

#[test]
fn a_run_that_did_not_end_is_no_report() {
    assert_eq!(
        parse("test_a.py::test_ok PASSED   [ 10%]\nSegmentation fault\n", ""),
        None
    );
    assert_eq!(parse("running 3 tests\ntest a ... ok\n", ""), None);
    assert_eq!(parse("", ""), None);
}

#[test]
fn entities_do_not_explode() {
    let bomb =
        "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><testsuite><testcase name=\"&b;\"/></testsuite>";
    let report = parse_junit(bomb).expect("one case");
    assert_eq!(report.tests.keys().collect::<Vec<_>>(), ["&b;"]);
}
