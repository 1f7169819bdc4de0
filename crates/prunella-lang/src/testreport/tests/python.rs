//! pytest 9 and unittest.

use super::check;

#[test]
fn pytest_reporting_all() {
    check(
        r#"============================= test session starts ==============================
platform linux -- Python 3.11.7, pytest-9.2.0, pluggy-1.7.0
rootdir: /srv/shop
plugins: anyio-4.16.0
collected 10 items

test_a.py .FEsxX.F..                                                     [100%]

==================================== ERRORS ====================================
__________________________ ERROR at setup of test_err __________________________
test_a.py:7: in broken
    def broken(): raise RuntimeError("fixture")
                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
E   RuntimeError: fixture
=================================== FAILURES ===================================
___________________________________ test_bad ___________________________________
test_a.py:5: in test_bad
    assert 1 + 1 == 3, "maths"
E   AssertionError: maths
E   assert (1 + 1) == 3
----------------------------- Captured stdout call -----------------------------
PASSED test_a.py::test_ok
_______________________________ test_param[c-d] ________________________________
test_a.py:16: in test_param
    def test_param(x): assert x != "c-d"
                       ^^^^^^^^^^^^^^^^^
E   AssertionError: assert 'c-d' != 'c-d'
==================================== PASSES ====================================
=================================== XPASSES ====================================
=========================== short test summary info ============================
PASSED test_a.py::test_ok
PASSED test_a.py::test_param[a b]
PASSED test_a.py::test_param[e[f]]
PASSED test_a.py::TestK::test_m
SKIPPED [1] test_a.py:9: later
XFAIL test_a.py::test_xfail
XPASS test_a.py::test_xpass
ERROR test_a.py::test_err - RuntimeError: fixture
FAILED test_a.py::test_bad - AssertionError: maths
FAILED test_a.py::test_param[c-d] - AssertionError: assert 'c-d' != 'c-d'
==== 2 failed, 4 passed, 1 skipped, 1 xfailed, 1 xpassed, 1 error in 0.06s ====="#,
        "",
        r#"
Pytest: 5 passed, 3 failed, 2 skipped
Passed test_a.py::TestK::test_m
Failed test_a.py::test_bad
Error test_a.py::test_err
Passed test_a.py::test_ok
Passed test_a.py::test_param[a b]
Failed test_a.py::test_param[c-d]
Passed test_a.py::test_param[e[f]]
Skipped test_a.py::test_xfail
Passed test_a.py::test_xpass
"#,
    );
}

#[test]
fn pytest_verbose() {
    check(
        r#"============================= test session starts ==============================
platform linux -- Python 3.11.7, pytest-9.2.0, pluggy-1.7.0 -- /srv/shop/.venv/bin/python
rootdir: /srv/shop
plugins: anyio-4.16.0
collecting ... collected 10 items

test_a.py::test_ok PASSED                                                [ 10%]
test_a.py::test_bad FAILED                                               [ 20%]
test_a.py::test_err ERROR                                                [ 30%]
test_a.py::test_skip SKIPPED (later)                                     [ 40%]
test_a.py::test_xfail XFAIL                                              [ 50%]
test_a.py::test_xpass XPASS                                              [ 60%]
test_a.py::test_param[a b] PASSED                                        [ 70%]
test_a.py::test_param[c-d] FAILED                                        [ 80%]
test_a.py::test_param[e[f]] PASSED                                       [ 90%]
test_a.py::TestK::test_m PASSED                                          [100%]

=========================== short test summary info ============================
FAILED test_a.py::test_bad - AssertionError: maths
FAILED test_a.py::test_param[c-d] - AssertionError: assert 'c-d' != 'c-d'
ERROR test_a.py::test_err - RuntimeError: fixture
==== 2 failed, 4 passed, 1 skipped, 1 xfailed, 1 xpassed, 1 error in 0.03s ====="#,
        "",
        r#"
Pytest: 5 passed, 3 failed, 2 skipped
Passed test_a.py::TestK::test_m
Failed test_a.py::test_bad
Error test_a.py::test_err
Passed test_a.py::test_ok
Passed test_a.py::test_param[a b]
Failed test_a.py::test_param[c-d]
Passed test_a.py::test_param[e[f]]
Skipped test_a.py::test_skip
Skipped test_a.py::test_xfail
Passed test_a.py::test_xpass
"#,
    );
}

#[test]
fn pytest_quiet() {
    check(
        r#".FEsxX.F..                                                               [100%]
=========================== short test summary info ============================
FAILED test_a.py::test_bad - AssertionError: maths
FAILED test_a.py::test_param[c-d] - AssertionError: assert 'c-d' != 'c-d'
ERROR test_a.py::test_err - RuntimeError: fixture
2 failed, 4 passed, 1 skipped, 1 xfailed, 1 xpassed, 1 error in 0.03s"#,
        "",
        r#"
Pytest: 5 passed, 3 failed, 2 skipped, passing tests not named
Failed test_a.py::test_bad
Error test_a.py::test_err
Failed test_a.py::test_param[c-d]
"#,
    );
}

#[test]
fn unittest_verbose() {
    check(
        "",
        r#"test_bad (ut.T.test_bad) ... FAIL
test_err (ut.T.test_err) ... ERROR
test_noisy (ut.T.test_noisy) ... ok
test_ok (ut.T.test_ok)
Docstring here ... ok
test_skip (ut.T.test_skip) ... skipped 'later'
test_sub (ut.T.test_sub) ... 
  test_sub (ut.T.test_sub) (i=1) ... FAIL
test_xf (ut.T.test_xf) ... expected failure

======================================================================
ERROR: test_err (ut.T.test_err)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/srv/shop/ut.py", line 6, in test_err
    def test_err(self): raise KeyError("x")
                        ^^^^^^^^^^^^^^^^^^^
KeyError: 'x'

======================================================================
FAIL: test_bad (ut.T.test_bad)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/srv/shop/ut.py", line 5, in test_bad
    def test_bad(self): self.assertEqual(1, 2)
                        ^^^^^^^^^^^^^^^^^^^^^^
AssertionError: 1 != 2

======================================================================
FAIL: test_sub (ut.T.test_sub) (i=1)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/srv/shop/ut.py", line 13, in test_sub
    with self.subTest(i=i): self.assertEqual(i, 0)
                            ^^^^^^^^^^^^^^^^^^^^^^
AssertionError: 1 != 0

----------------------------------------------------------------------
Ran 7 tests in 0.001s

FAILED (failures=2, errors=1, skipped=1, expected failures=1)"#,
        r#"
Unittest: 2 passed, 3 failed, 2 skipped
Failed ut.T.test_bad
Error ut.T.test_err
Passed ut.T.test_noisy
Passed ut.T.test_ok
Skipped ut.T.test_skip
Failed ut.T.test_sub
Skipped ut.T.test_xf
"#,
    );
}

#[test]
fn unittest_verbose_3_8() {
    check(
        "",
        r#"test_bad (ut.T) ... FAIL
test_err (ut.T) ... ERROR
test_noisy (ut.T) ... ok
test_ok (ut.T)
Docstring here ... ok
test_skip (ut.T) ... skipped 'later'
test_sub (ut.T) ... test_xf (ut.T) ... expected failure

======================================================================
ERROR: test_err (ut.T)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/srv/shop/ut.py", line 6, in test_err
    def test_err(self): raise KeyError("x")
KeyError: 'x'

======================================================================
FAIL: test_bad (ut.T)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/srv/shop/ut.py", line 5, in test_bad
    def test_bad(self): self.assertEqual(1, 2)
AssertionError: 1 != 2

======================================================================
FAIL: test_sub (ut.T) (i=1)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/srv/shop/ut.py", line 13, in test_sub
    with self.subTest(i=i): self.assertEqual(i, 0)
AssertionError: 1 != 0

----------------------------------------------------------------------
Ran 7 tests in 0.005s

FAILED (failures=2, errors=1, skipped=1, expected failures=1)"#,
        r#"
Unittest: 2 passed, 3 failed, 2 skipped
Failed ut.T.test_bad
Error ut.T.test_err
Passed ut.T.test_noisy
Passed ut.T.test_ok
Skipped ut.T.test_skip
Failed ut.T.test_sub
Skipped ut.T.test_xf
"#,
    );
}

#[test]
fn unittest_plain() {
    check(
        "",
        r#"FE..sFx
======================================================================
ERROR: test_err (ut.T.test_err)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/srv/shop/ut.py", line 6, in test_err
    def test_err(self): raise KeyError("x")
                        ^^^^^^^^^^^^^^^^^^^
KeyError: 'x'

======================================================================
FAIL: test_bad (ut.T.test_bad)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/srv/shop/ut.py", line 5, in test_bad
    def test_bad(self): self.assertEqual(1, 2)
                        ^^^^^^^^^^^^^^^^^^^^^^
AssertionError: 1 != 2

======================================================================
FAIL: test_sub (ut.T.test_sub) (i=1)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/srv/shop/ut.py", line 13, in test_sub
    with self.subTest(i=i): self.assertEqual(i, 0)
                            ^^^^^^^^^^^^^^^^^^^^^^
AssertionError: 1 != 0

----------------------------------------------------------------------
Ran 7 tests in 0.010s

FAILED (failures=2, errors=1, skipped=1, expected failures=1)"#,
        r#"
Unittest: 2 passed, 3 failed, 2 skipped, passing tests not named
Failed ut.T.test_bad
Error ut.T.test_err
Failed ut.T.test_sub
"#,
    );
}
