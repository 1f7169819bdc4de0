"""Tries many candidates in one child: a fork costs ten times as much as most tests.

What a candidate leaves behind may reach the next one. So the code and the module's own values are put back after each;
at the end of a group some tests run on the code as it was, and if they end in another way than in a fresh child, nothing
that the group said counts. What passes is always run again in a child of its own.
"""

import copy

SIZE = 32  # candidates in one child
SHARE = 0.64  # seconds that a group may take, about
HANGS = 4  # candidates that may be stopped in one child
BROKEN = 2  # groups that may leave something behind before groups are given up
COUNTED = 12  # failing tests that are asked whether a candidate mends them
MAX_KEPT = 500  # elements of a value that are put back


class Groups:
    """Knows how many candidates can share a child."""

    def __init__(self, driver, harness, swap, seconds):
        self.driver, self.harness, self.swap, self.seconds = driver, harness, swap, seconds
        self.size = max(1, min(SIZE, int(SHARE / max(seconds, 0.001))))
        if hasattr(harness, "swap") or driver.JOB.get("solo"):
            self.size = 1  # a whole program is loaded anew each time
        self.broken = 0
        self.known = {}

    def run(self, candidates):
        """What became of each, by its id; those that must be tried alone are left out."""
        found = {}
        left = list(candidates)
        while left:
            got = self._child(left)
            for row in got["rows"]:
                found[row["id"]] = row
            left = left[len(got["rows"]) + (0 if got["rows"] else 1) :]
            if not got["clean"]:
                self.broken += 1
                if self.broken >= BROKEN:
                    self.size = 1
                return {}
            if not got["rows"]:
                break  # the first of the rest ended the child: it is tried alone, and the rest with others
        return found

    def _child(self, candidates):
        driver = self.driver
        canary = self._canary(candidates[0])
        room = driver.CLOCK * self.seconds + 1.0

        def work(send):
            keeper = Keeper(self.swap, candidates, self.harness.spaces(candidates[0]["tests"]))
            hangs = 0
            for candidate in candidates:
                end = self._one(candidate)
                keeper.restore()
                send({"id": candidate["id"], **end})
                hangs += end["end"] == "hung"
                if hangs >= HANGS:
                    break
            send({"canary": self._run_canary(canary)})

        lines = driver.child(work, room, read=lambda _row: room)
        rows = [line for line in lines if "id" in line]
        told = [line["canary"] for line in lines if "canary" in line]
        # A child that ended early told nothing of what it left behind.
        clean = told[:1] == [self.known[canary]] if told else not rows
        return {"rows": rows if clean else [], "clean": clean}

    def _one(self, candidate):
        try:
            code = self.swap.compile(candidate)
        except (SyntaxError, ValueError, RecursionError, MemoryError, StopIteration) as error:
            return {"end": "invalid", "error": type(error).__name__}
        if not self.swap.apply(candidate, code):
            return {"end": "unswapped"}
        if self.driver.JOB.get("count"):
            tests = candidate["tests"][:COUNTED]
            return {"end": "failed", "mended": [i for i in tests if self.driver.one(self.harness, i, self.seconds)["passed"]]}
        for index in candidate["tests"]:
            result = self.driver.one(self.harness, index, self.seconds)
            if not result["passed"]:
                return {"end": "hung" if result["error"] == "Hung" else "failed", "error": result["error"]}
        return {"end": "passed"}

    def _canary(self, candidate):
        """Tests of the code as it is, and how they end in a fresh child."""
        first = tuple(candidate["tests"][:1])
        others = tuple(i for i in candidate["then"] if i not in candidate["tests"])[:2]
        canary = first + others
        if canary not in self.known:
            got = self.driver.child(
                lambda send: send(self._run_canary(canary)), (self.driver.CLOCK * self.seconds + 1.0) * len(canary)
            )
            self.known[canary] = got[0] if got else None
        return canary

    def _run_canary(self, canary):
        ends = [self.driver.one(self.harness, index, self.seconds) for index in canary]
        return [[end["passed"], end["error"]] for end in ends]


class Keeper:
    """Puts back what a candidate changed: code, defaults, attributes of functions, plain values of their modules and of
    those of the tests, of the classes there, and what functions remember of earlier calls."""

    def __init__(self, swap, candidates, others):
        self.functions, self.modules, self.caches = [], [], []
        seen, spaces = set(), set()
        for space in others:
            self._space(space, spaces)
        for candidate in candidates:
            for function in swap.functions(candidate):
                if id(function) in seen:
                    continue
                seen.add(id(function))
                kept = (_copied(function.__defaults__), _copied(function.__kwdefaults__), dict(function.__dict__))
                self.functions.append((function, function.__code__, kept))
                self._space(function.__globals__, spaces)

    def _space(self, space, spaces):
        if id(space) in spaces:
            return
        spaces.add(id(space))
        self.modules.append((space, _values(space)))
        for value in list(space.values()):
            if isinstance(value, type) and value.__module__ == space.get("__name__"):
                # Names of a class are not put back, only what its lists and dictionaries hold.
                kept = {n: v for n, v in _values(vars(value)).items() if v[1] is not None}
                self.modules.append((None, kept))
            if callable(getattr(value, "cache_clear", None)):
                self.caches.append(value)

    def restore(self):
        """As it was when this was made."""
        for function, code, (defaults, named, attributes) in self.functions:
            function.__code__ = code
            function.__defaults__, function.__kwdefaults__ = _copied(defaults), _copied(named)
            if function.__dict__ != attributes:
                function.__dict__.clear()
                function.__dict__.update(attributes)
        for space, values in self.modules:
            for name, (value, content) in values.items():
                if space is not None and space.get(name) is not value:
                    space[name] = value
                if content is not None and _differs(value, content):
                    value.clear()
                    (value.extend if isinstance(value, list) else value.update)(_copied(content))
        for function in self.caches:
            try:
                function.cache_clear()
            except Exception:  # something else of that name
                continue


def _differs(value, content):
    try:
        return bool(value != content)
    except Exception:  # elements that cannot be compared
        return True


def _copied(value):
    if value is None:
        return None
    try:
        return copy.deepcopy(value)
    except Exception:
        return value


def _values(space):
    """The plain values of a module, with the content of those that can change."""
    found = {}
    for name, value in list(space.items()):
        kind = type(value)
        if name.startswith("__"):
            continue
        if kind in (bool, int, float, str, bytes, tuple, type(None)):
            found[name] = (value, None)
        elif kind in (list, dict, set) and len(value) <= MAX_KEPT:
            found[name] = (value, _copied(value))
    return found


def first_round(driver, harness, swap, candidates, seconds, is_over, tell):
    """Tries all with one limit; gives those that were stopped."""
    groups, slow, at = Groups(driver, harness, swap, seconds), [], 0
    while at < len(candidates) and not is_over():
        part = candidates[at : at + groups.size]
        at += len(part)
        began = driver.spent()
        found = groups.run(part) if len(part) > 1 else {}
        each = (driver.spent() - began) / len(part)
        for candidate in part:
            row = found.get(candidate["id"])
            if row is None or row["end"] == "passed":
                if row is None and is_over():
                    return slow
                row = driver.attempt(harness, swap, candidate, seconds)
                row["seconds"] += each
            else:
                row["seconds"] = each
            if row["end"] == "hung":
                slow.append(candidate)
            tell(row)
    return slow
