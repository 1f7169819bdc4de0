"""The driver's harness for pytest: collects as pytest does, then takes over the loop."""

import prunella_driver
import pytest


class Harness:
    """Runs collected items one at a time, without reports for people."""

    def __init__(self, session):
        self.items = list(session.items)
        self.names = [item.nodeid for item in self.items]
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

    def run(self, index):
        """Whether the item passes, and the class of the exception that ended it."""
        from _pytest.runner import runtestprotocol

        item = self.items[index]
        if hasattr(item, "_request") and item._request is not None:
            item._initrequest()
        reports = runtestprotocol(item, log=False, nextitem=None)
        called = [r for r in reports if r.when == "call"]
        passed = bool(called) and all(r.passed for r in reports)
        skipped = any(r.skipped for r in reports)
        broken = next((str(r.longrepr) for r in reports if r.failed), None)
        return {"passed": passed, "skipped": skipped, "error": broken}


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    """Takes over where pytest would begin to run what it collected."""
    if not prunella_driver.ACTIVE or session.testsfailed or not session.items:
        return None
    prunella_driver.serve(Harness(session))
    return True
