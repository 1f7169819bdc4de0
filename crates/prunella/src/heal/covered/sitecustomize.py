"""Writes down which lines below a folder each test runs, then runs the sitecustomize that it stands before."""
import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))


def _start(root, out, wanted):
    import atexit
    import json
    import threading

    root = os.path.realpath(root) + os.sep
    names, seen, most = {}, {}, 1000

    def place(path):
        if path.startswith("<"):
            return None
        path = os.path.realpath(path)
        if not path.startswith(root):
            return None
        name = path[len(root) :]
        outside = ("site-packages/", ".venv/", "venv/", "node_modules/", ".tox/", ".nox/")
        return None if any(part in name for part in outside) else name

    def call(frame, event, _arg):
        code = frame.f_code
        try:
            name = names[code]
        except KeyError:
            name = names[code] = place(code.co_filename)
        if name is None:
            return None
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rsplit(" (", 1)[0]
        if test not in seen and len(seen) >= most:
            return None
        add = seen.setdefault(test, {}).setdefault(name, set()).add
        add(frame.f_lineno)

        def line(frame, event, _arg):
            if event == "line":
                add(frame.f_lineno)
            return line

        return line

    def write():
        sys.settrace(None)
        failing = seen.pop(wanted, None) if wanted else None
        outside = seen.pop("", {})
        if failing is None:
            failing = outside
        files = {}
        for name, lines in failing.items():
            passing = [test[name] for test in seen.values() if name in test]
            files[name] = [[number, sum(number in test for test in passing)] for number in sorted(lines)]
        with open(os.path.join(out, "lines-%d.json" % os.getpid()), "w") as file:
            json.dump(files, file)

    atexit.register(write)
    threading.settrace(call)
    sys.settrace(call)


sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _here]
sys.modules.pop("sitecustomize", None)
try:
    import sitecustomize  # noqa: F401
except ImportError:
    pass
try:
    _start(os.environ["COVERED_ROOT"], os.environ["COVERED_OUT"], os.environ.get("COVERED_TEST", ""))
except Exception:  # the interpreter must start whatever happens here
    pass
