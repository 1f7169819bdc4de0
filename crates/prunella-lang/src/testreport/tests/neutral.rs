//! TAP and JUnit XML.

use super::check;

#[test]
fn pytest_junit() {
    check(
        r#"<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests">
<testsuite name="pytest" errors="1" failures="2" skipped="2" tests="10" time="0.020" timestamp="2026-11-24T06:01:57.613496+00:00" hostname="vm">
<testcase classname="test_a" name="test_ok" time="0.000" />
<testcase classname="test_a" name="test_bad" time="0.001">
<failure message="AssertionError: maths&#10;assert (1 + 1) == 3">E   AssertionError: maths
    assert (1 + 1) == 3</failure>
</testcase>
<testcase classname="test_a" name="test_err" time="0.000">
<error message="failed on setup with &quot;RuntimeError: fixture&quot;">E   RuntimeError: fixture</error>
</testcase>
<testcase classname="test_a" name="test_skip" time="0.000">
<skipped type="pytest.skip" message="later">/srv/shop/test_a.py:9: later</skipped>
</testcase>
<testcase classname="test_a" name="test_xfail" time="0.000">
<skipped type="pytest.xfail" message="" />
</testcase>
<testcase classname="test_a" name="test_xpass" time="0.000" />
<testcase classname="test_a" name="test_param[a b]" time="0.000" />
<testcase classname="test_a" name="test_param[c-d]" time="0.000">
<failure message="AssertionError: assert 'c-d' != 'c-d'">E   AssertionError: assert 'c-d' != 'c-d'</failure>
</testcase>
<testcase classname="test_a" name="test_param[e[f]]" time="0.000" />
<testcase classname="test_a.TestK" name="test_m" time="0.000" />
</testsuite>
</testsuites>"#,
        "",
        r#"
Junit: 5 passed, 3 failed, 2 skipped
Passed test_a.TestK::test_m
Failed test_a::test_bad
Error test_a::test_err
Passed test_a::test_ok
Passed test_a::test_param[a b]
Failed test_a::test_param[c-d]
Passed test_a::test_param[e[f]]
Skipped test_a::test_skip
Skipped test_a::test_xfail
Passed test_a::test_xpass
"#,
    );
}

#[test]
fn node_tap() {
    check(
        r#"TAP version 13
# Subtest: adds
ok 1 - adds
  ---
  duration_ms: 8.522321
  ...
# Subtest: breaks
not ok 2 - breaks
  ---
  duration_ms: 1.011529
  location: '/srv/shop/n.test.js:3:1'
  failureType: 'testCodeFailure'
  error: |-
    Expected values to be strictly equal:
    
    2 !== 3
    
  code: 'ERR_ASSERTION'
  name: 'AssertionError'
  expected: 3
  actual: 2
  operator: 'strictEqual'
  stack: |-
    TestContext.<anonymous> (/srv/shop/n.test.js:3:31)
    Test.runInAsyncScope (node:async_hooks:206:9)
    Test.run (node:internal/test_runner/test:796:25)
    Test.processPendingSubtests (node:internal/test_runner/test:526:18)
    Test.postRun (node:internal/test_runner/test:889:19)
    Test.run (node:internal/test_runner/test:835:12)
    async Test.processPendingSubtests (node:internal/test_runner/test:526:7)
  ...
# Subtest: later
ok 3 - later # SKIP not now
  ---
  duration_ms: 4.211021
  ...
# Subtest: todo it
not ok 4 - todo it # TODO
  ---
  duration_ms: 0.114571
  location: '/srv/shop/n.test.js:5:1'
  failureType: 'testCodeFailure'
  error: 'x'
  code: 'ERR_TEST_FAILURE'
  stack: |-
    TestContext.<anonymous> (/srv/shop/n.test.js:5:45)
    Test.runInAsyncScope (node:async_hooks:206:9)
    Test.run (node:internal/test_runner/test:796:25)
    Test.processPendingSubtests (node:internal/test_runner/test:526:18)
    Test.postRun (node:internal/test_runner/test:889:19)
    Test.run (node:internal/test_runner/test:835:12)
    async Test.processPendingSubtests (node:internal/test_runner/test:526:7)
  ...
# Subtest: cart
    # Subtest: sums \# not a comment
    ok 1 - sums \# not a comment
      ---
      duration_ms: 0.125327
      ...
    # Subtest: fails
    not ok 2 - fails
      ---
      duration_ms: 0.066749
      location: '/srv/shop/n.test.js:6:64'
      failureType: 'testCodeFailure'
      error: 'no'
      code: 'ERR_TEST_FAILURE'
      name: 'TypeError'
      stack: |-
        TestContext.<anonymous> (/srv/shop/n.test.js:6:90)
        Test.runInAsyncScope (node:async_hooks:206:9)
        Test.run (node:internal/test_runner/test:796:25)
        Suite.processPendingSubtests (node:internal/test_runner/test:526:18)
        Test.postRun (node:internal/test_runner/test:889:19)
        Test.run (node:internal/test_runner/test:835:12)
        async Promise.all (index 0)
        async Suite.run (node:internal/test_runner/test:1135:7)
        async Test.processPendingSubtests (node:internal/test_runner/test:526:7)
      ...
    # Subtest: deep
        # Subtest: x
        ok 1 - x
          ---
          duration_ms: 0.070695
          ...
        1..1
    ok 3 - deep
      ---
      duration_ms: 0.155452
      type: 'suite'
      ...
    1..3
not ok 5 - cart
  ---
  duration_ms: 0.628006
  type: 'suite'
  location: '/srv/shop/n.test.js:6:1'
  failureType: 'subtestsFailed'
  error: '1 subtest failed'
  code: 'ERR_TEST_FAILURE'
  ...
1..5
# tests 7
# suites 2
# pass 3
# fail 2
# cancelled 0
# skipped 1
# todo 1
# duration_ms 250.436122"#,
        "",
        r#"
Tap: 3 passed, 2 failed, 2 skipped
Passed adds
Failed breaks
Passed cart > deep > x
Failed cart > fails
Passed cart > sums # not a comment
Skipped later
Skipped todo it
"#,
    );
}

#[test]
fn mocha_tap() {
    check(
        r#"ok 1 top level
ok 2 cart adds
not ok 3 cart breaks
  Expected values to be strictly equal:
  
  1 !== 2
  
  AssertionError [ERR_ASSERTION]: Expected values to be strictly equal:
  
  1 !== 2
  
      at Context.<anonymous> (moc/m.js:2:72)
      at process.processImmediate (node:internal/timers:483:21)
ok 4 cart later # SKIP -
ok 5 cart pending one # SKIP -
ok 6 cart deep slow
ok 7 cart deep adds
not ok 8 cart hooky "before each" hook for "never"
  hook
  Error: hook
      at Context.<anonymous> (moc/m.js:4:49)
      at process.processImmediate (node:internal/timers:483:21)
# tests 6
# pass 4
# fail 2
1..8"#,
        "",
        r#"
Tap: 4 passed, 2 failed, 2 skipped
Passed cart adds
Failed cart breaks
Passed cart deep adds
Passed cart deep slow
Failed cart hooky "before each" hook for "never"
Skipped cart later
Skipped cart pending one
Passed top level
"#,
    );
}

#[test]
fn tap_times_are_no_part_of_a_name() {
    check(
        "TAP version 13\n# Subtest: a.js\n    ok 1 - one # time=1.5ms\n    1..1\n\
         not ok 1 - a.js # time=11.505ms\nok 2 - costs # of things\n1..2\n# failed 1 test\n",
        "",
        "
Tap: 2 passed, 1 failed, 0 skipped
Failed a.js
Passed a.js > one
Passed costs # of things
",
    );
}

#[test]
fn tape_names_a_test_in_a_comment_before_its_points() {
    check(
        "TAP version 13\n# merge()\nok 1 merges null\nnot ok 2 should be deeply equivalent\n  ---\n    operator: deepEqual\n\
         # inside\n  ...\n# encode\nok 3 should be deeply equivalent\n\n1..3\n# tests 3\n# pass  2\n# fail  1\n",
        "",
        "
Tap: 2 passed, 1 failed, 0 skipped
Passed encode > should be deeply equivalent
Passed merge() > merges null
Failed merge() > should be deeply equivalent
",
    );
}
