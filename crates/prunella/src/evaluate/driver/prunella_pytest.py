"""The driver's harness for pytest: collects as pytest does, then takes over the loop."""

import copy

import prunella_driver
import prunella_trace
import pytest


class Harness:
    """Runs collected items one at a time, without reports for people."""

    def __init__(self, session):
        self.items = list(session.items)
        self.names = [item.nodeid for item in self.items]
        self.given = {}
        self._quiet()

    def _quiet(self):
        # Tracebacks are rendered for nobody here, and rendering costs more than most tests.
        from _pytest import nodes

        def short(self, excinfo, *_args, **_kwargs):
            return excinfo.typename

        nodes.Node._repr_failure_py = short
        for item in self.items:
            kind = type(item)
            if "repr_failure" in kind.__dict__ and kind.__module__.startswith("_pytest"):
                kind.repr_failure = short

    def spaces(self, indices):
        """The names of the modules of these items."""
        return [vars(self.items[i].module) for i in indices if getattr(self.items[i], "module", None)]

    def _fresh(self, index):
        """Parameters as they were collected: the one before may have changed them."""
        spec = getattr(self.items[index], "callspec", None)
        params = getattr(spec, "params", None)
        if not params:
            return
        try:
            if index not in self.given:
                self.given[index] = copy.deepcopy(params)
            params.update(copy.deepcopy(self.given[index]))
        except Exception:  # what cannot be copied is shared
            pass

    def run(self, index):
        """Whether the item passes, and the class of the exception that ended it."""
        from _pytest.runner import runtestprotocol

        item = self.items[index]
        self._fresh(index)
        if hasattr(item, "_request") and item._request is not None:
            item._initrequest()
        reports = runtestprotocol(item, log=False, nextitem=None)
        called = [r for r in reports if r.when == "call"]
        passed = bool(called) and all(r.passed for r in reports)
        skipped = any(r.skipped for r in reports)
        broken = next((str(r.longrepr) for r in reports if r.failed), None)
        return {"passed": passed, "skipped": skipped, "error": broken}


@pytest.hookimpl(tryfirst=True)
def pytest_assertrepr_compare(op, left, right):
    """Notes what a failing assertion compared; explains nothing."""
    if op == "==":
        try:
            prunella_trace.compared(left, right)
        except Exception:  # the values are the program's own
            pass


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    """Takes over where pytest would begin to run what it collected."""
    if not prunella_driver.ACTIVE or session.testsfailed or not session.items:
        return None
    prunella_driver.serve(Harness(session))
    return True
