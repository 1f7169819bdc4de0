"""The driver's harness for unittest: the flat list of a suite's tests."""

import unittest


class Harness:
    """Runs single test cases, with the fixtures of their class and module."""

    def __init__(self, suite):
        self.cases = list(_flat(suite))
        self.names = [case.id() for case in self.cases]

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
