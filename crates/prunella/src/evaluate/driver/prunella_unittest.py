"""The driver's harness for unittest: the flat list of a suite's tests."""

import sys
import unittest

import prunella_trace


class Harness:
    """Runs single test cases, with the fixtures of their class and module."""

    def __init__(self, suite):
        self.cases = list(_flat(suite))
        _note_comparisons()
        self.names = [case.id() for case in self.cases]

    def spaces(self, indices):
        """The names of the modules of these cases."""
        modules = {type(self.cases[i]).__module__ for i in indices}
        return [vars(sys.modules[name]) for name in modules if name in sys.modules]

    def run(self, index):
        """Whether the case passes, and the class of the exception that ended it."""
        result = unittest.TestResult()
        noted = []
        for method in ("addError", "addFailure"):
            original = getattr(result, method)

            def note(test, err, original=original):
                noted.append(getattr(err[0], "__name__", "Exception"))
                original(test, err)

            setattr(result, method, note)
        unittest.TestSuite([self.cases[index]]).run(result)
        passed = result.wasSuccessful() and not result.skipped
        return {"passed": passed, "skipped": bool(result.skipped), "error": noted[0] if noted else None}


def _note_comparisons():
    original = unittest.TestCase.assertEqual

    def assert_equal(case, first, second, msg=None):
        try:
            return original(case, first, second, msg)
        except case.failureException:
            try:
                prunella_trace.compared(first, second)
            except Exception:  # the values are the program's own
                pass
            raise

    unittest.TestCase.assertEqual = assert_equal


def _flat(suite):
    if isinstance(suite, unittest.TestCase):
        yield suite
        return
    try:
        parts = list(suite)
    except TypeError:
        yield suite
        return
    for part in parts:
        yield from _flat(part)
