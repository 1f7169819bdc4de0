//! `cargo test` and nextest.

use super::check;

#[test]
fn cargo_test() {
    check(
        r#"
running 5 tests
test tests::adds ... ok
test tests::breaks ... FAILED
test tests::errs ... FAILED
test tests::panics - should panic ... ok
test tests::slow ... ignored

failures:

---- tests::breaks stdout ----

thread 'tests::breaks' (3282) panicked at src/main.rs:25:27:
assertion `left == right` failed: no
  left: 2
 right: 3
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace

---- tests::errs stdout ----
Error: "bad"


failures:
    tests::breaks
    tests::errs

test result: FAILED. 2 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s"#,
        r#"warning: `app` (bin "app" test) generated 1 warning
    Finished `test` profile [unoptimized + debuginfo] target(s) in 0.15s
     Running unittests src/main.rs (/srv/shop/target/debug/deps/app-d8718d5b8a424af8)
error: test failed, to rerun pass `--bin app`"#,
        r#"
CargoTest: 2 passed, 2 failed, 1 skipped
Passed app::tests::adds
Failed app::tests::breaks
Failed app::tests::errs
Passed app::tests::panics
Skipped app::tests::slow
"#,
    );
}

#[test]
fn nextest() {
    check(
        "",
        r#"warning: `app` (bin "app" test) generated 1 warning
    Finished `test` profile [unoptimized + debuginfo] target(s) in 0.08s
────────────
 Nextest run ID d1e6b183-40a4-4ea9-b77b-a04d079f0bc0 with nextest profile: default
    Starting 4 tests across 1 binary (1 test skipped)
        FAIL [   0.022s] (1/4) app::bin/app tests::breaks
  stdout ───

    running 1 test
    test tests::breaks ... FAILED

    failures:

    failures:
        tests::breaks

    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 4 filtered out; finished in 0.00s

  stderr ───

    thread 'tests::breaks' (3331) panicked at src/main.rs:25:27:
    assertion `left == right` failed: no
      left: 2
     right: 3
    note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace

        PASS [   0.040s] (2/4) app::bin/app tests::adds
        FAIL [   0.009s] (3/4) app::bin/app tests::errs
  stdout ───

    running 1 test
    test tests::errs ... FAILED

    failures:

    failures:
        tests::errs

    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 4 filtered out; finished in 0.00s

  stderr ───
    Error: "bad"

        PASS [   0.006s] (4/4) app::bin/app tests::panics
────────────
     Summary [   0.047s] 4 tests run: 2 passed, 2 failed, 1 skipped
        FAIL [   0.022s] (1/4) app::bin/app tests::breaks
        FAIL [   0.009s] (3/4) app::bin/app tests::errs
error: test run failed"#,
        r#"
Nextest: 2 passed, 2 failed, 1 skipped
Passed app::bin/app tests::adds
Failed app::bin/app tests::breaks
Failed app::bin/app tests::errs
Passed app::bin/app tests::panics
"#,
    );
}
