"""Which lines each test runs, and which types variables have: for the spectrum and for scopes."""

import os
import sys

MAX_FUNCTIONS = 2000
MAX_NAMES = 60
MAX_COMPARED = 12
MAX_TEXT = 600

COMPARED = []  # what failing assertions compared since the last time: [left, right] of texts or of numbers


def compared(left, right, depth=0):
    """Notes the parts in which two values differ that a test compares."""
    if len(COMPARED) >= MAX_COMPARED or depth > 4:
        return
    if isinstance(left, (str, bytes)) and type(left) is type(right):
        if left != right and len(left) <= MAX_TEXT and len(right) <= MAX_TEXT:
            texts = [t if isinstance(t, str) else t.decode("latin-1") for t in (left, right)]
            COMPARED.append(texts)
    elif _is_number(left) and _is_number(right):
        if left != right and max(abs(left), abs(right)) < 1e15:
            COMPARED.append([left, right])
    elif isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        for a, b in list(zip(left, right))[:40]:
            compared(a, b, depth + 1)
    elif isinstance(left, dict) and isinstance(right, dict):
        for key in list(left)[:40]:
            if key in right:
                compared(left[key], right[key], depth + 1)


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value


class Trace:
    """Traces the code below a folder that is no test and no dependency."""

    def __init__(self, root):
        self.root = os.path.realpath(root) + os.sep
        self.wanted = {}
        self.lines = {}
        self.types = {}
        self.raised = {}

    def start(self):
        """From now on."""
        sys.settrace(self._call)

    def take(self):
        """What was seen since the last time."""
        lines = {file: sorted(found) for file, found in self.lines.items() if found}
        types = {
            key: {name: sorted(kinds) for name, kinds in names.items()} for key, names in self.types.items() if names
        }
        raised = [[file, line, kind] for (file, line), kind in self.raised.items()]
        pairs = list(COMPARED)
        self.lines, self.types, self.raised = {}, {}, {}
        COMPARED.clear()
        return {"lines": lines, "types": types, "raised": raised, "compared": pairs, "traced": True}

    def _file(self, code):
        try:
            return self.wanted[code]
        except KeyError:
            pass
        path = os.path.realpath(code.co_filename) if not code.co_filename.startswith("<") else ""
        inside = path.startswith(self.root)
        name = path[len(self.root) :] if inside else None
        if name and any(part in name for part in ("site-packages/", ".venv/", "node_modules/", ".tox/", ".nox/")):
            name = None
        self.wanted[code] = name
        return name

    def _call(self, frame, event, _arg):
        if event != "call":
            return None
        file = self._file(frame.f_code)
        if file is None:
            return None
        self.lines.setdefault(file, set()).add(frame.f_lineno)
        return self._line

    def _line(self, frame, event, arg):
        file = self.wanted.get(frame.f_code)
        if event == "line":
            self.lines.setdefault(file, set()).add(frame.f_lineno)
        elif event in ("return", "exception"):
            self._note(frame, file)
            if event == "exception" and len(self.raised) < MAX_NAMES:
                # The line of every frame that it passes through.
                self.raised[(file, frame.f_lineno)] = getattr(arg[0], "__name__", "Exception")
        return self._line

    def _note(self, frame, file):
        code = frame.f_code
        key = f"{file}::{getattr(code, 'co_qualname', code.co_name)}"
        if key not in self.types and len(self.types) >= MAX_FUNCTIONS:
            return
        names = self.types.setdefault(key, {})
        if code.co_name == "<module>":
            return
        for name, value in frame.f_locals.items():
            if name in names or len(names) < MAX_NAMES:
                kinds = names.setdefault(name, set())
                if len(kinds) < 6:
                    kinds.add(type(value).__name__)
