"""Begins the driver inside of the Python process that a failing command starts.

Python imports this module by itself when its folder is on the search path. What stands in its way (another
`sitecustomize` further down the path) is loaded afterwards, so that the process is otherwise as it would have been.
"""

import os
import sys


def _chain():
    here = os.path.dirname(os.path.abspath(__file__))
    import importlib.machinery
    import importlib.util

    rest = [p for p in sys.path if os.path.abspath(p or ".") != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", rest)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


if os.environ.get("PRUNELLA_JOB"):
    try:
        _chain()
    except Exception:  # as the interpreter does: a broken one is reported by nobody else either
        pass
    import prunella_driver

    prunella_driver.begin()
