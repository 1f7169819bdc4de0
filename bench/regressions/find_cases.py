#!/usr/bin/env python3
"""Finds cases for the `regressions` suite in a clone: identifiers only, one JSON object a line.

    find_cases.py mined  CLONE NAME CASES.jsonl --python PYTHON [--seconds N] [--want N]
    find_cases.py hidden CLONE NAME CASES.jsonl --python PYTHON [--seconds N] [--want N]

mined   a fix commit that carries a test; the test is run on the fix's parent, where it fails, and backwards until it
        passes. The guilty commit is confirmed: it fails and its parent passes. Plain binary search by this script,
        which shares no code with Prunella.
hidden  the inverse of a fix's code is put into a later real commit, and every commit after it is made again with it.
        The test passes just before, fails just after and at the end.

By default a test is one of pytest. With --command ('node {file}', 'npx mocha {file}', 'cargo test -q --test {stem}') a
test is a file, and the exit code says whether it passes; --modules NAME=FOLDER links a folder (node_modules) into the
tree.

Whatever was looked at is noted in CASES.jsonl.seen, so that a second run goes on.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

FIX = re.compile(r"\b(fix|bug|regress|broke|issue|correct|close[sd]?|resolve)", re.IGNORECASE)
OUTCOME = re.compile(r"(PASSED|FAILED|ERROR) (\S+?::\S+)")
MAX_FILES = 20
CODE = (".py", ".js", ".mjs", ".cjs", ".ts", ".rs", ".go", ".java", ".c", ".h")


def is_test(path):
    parts = path.split("/")
    name = parts[-1]
    return (
        any(part in ("test", "tests", "testing", "__tests__", "spec") for part in parts[:-1])
        or name.startswith(("test_", "test.", "test-"))
        or name.endswith(("_test.py", "_test.go", ".test.js", ".spec.js", ".test.ts", ".spec.ts"))
        or name == "conftest.py"
    )


class Repo:
    def __init__(self, path, python, command=None, modules=None):
        self.path = path
        self.python = python
        self.command = command
        self.modules = modules

    def link(self):
        """Puts installed modules where an installer would have put them."""
        name, folder = self.modules.split("=", 1)
        if not os.path.lexists(os.path.join(self.path, name)):
            os.symlink(os.path.abspath(folder), os.path.join(self.path, name))

    def git(self, *args, data=None, env=None):
        done = subprocess.run(
            ["git", "-C", self.path, *args], capture_output=True, input=data, env={**os.environ, **(env or {})}
        )
        if done.returncode:
            raise RuntimeError((done.stderr or done.stdout).decode(errors="replace")[:200])
        return done.stdout.decode(errors="replace")

    def lines(self, *args):
        return self.git(*args).splitlines()

    def changed(self, commit):
        return self.lines("diff", "--name-only", "--no-renames", "--diff-filter=AM", commit + "^", commit)

    def place(self, commit, tests_of=None, tests=()):
        self.git("checkout", "-q", "-f", "--detach", commit)
        self.git("clean", "-qfdx", *(["-e", self.modules.split("=")[0]] if self.modules else []), "-e", "target")
        if tests:
            self.git("checkout", "-q", tests_of, "--", *tests)

    def run(self, *tests):
        """Each test's outcome; nothing if the run took longer than a minute."""
        if self.command:
            return {test: self.by_exit_code(test) for test in tests}
        env = dict(os.environ)
        env.update(
            PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
            PYTHONDONTWRITEBYTECODE="1",
            PYTHONPATH=os.path.join(self.path, "src") + ":" + self.path,
            PYTEST_ADDOPTS="-rA -o addopts= -p no:cacheprovider --tb=line",
        )
        try:
            done = subprocess.run(
                [self.python, "-m", "pytest", "-q", *tests],
                cwd=self.path, env=env, capture_output=True, text=True, errors="replace", timeout=60,
            )
        except subprocess.TimeoutExpired:
            return {}
        found = (OUTCOME.match(line) for line in done.stdout.splitlines())
        return {match.group(2): match.group(1) for match in found if match}


    def by_exit_code(self, test):
        if self.modules:
            self.link()
        if not os.path.exists(os.path.join(self.path, test)):
            return "?"
        try:
            done = subprocess.run(
                placed(self.command, test), cwd=self.path, capture_output=True, stdin=subprocess.DEVNULL, timeout=120
            )
        except subprocess.TimeoutExpired:
            return "?"
        # A compiler's error is no failing test.
        broken = b"error: could not compile" in done.stderr or b"Cannot find module" in done.stderr
        return "PASSED" if done.returncode == 0 else "?" if broken else "FAILED"


def placed(command, test):
    stem = os.path.basename(test).rsplit(".", 1)[0]
    return [word.replace("{file}", test).replace("{stem}", stem) for word in command.split()]


def fixes(repo):
    """Fix commits with tests and code: commit, parent, tests, code."""
    for row in repo.lines("log", "--no-merges", "-n", "2500", "--format=%H%x09%P%x09%s", "origin/HEAD"):
        commit, parent, subject = row.split("\t", 2)
        if not FIX.search(subject) or not parent:
            continue
        names = repo.changed(commit)
        tests = [name for name in names if is_test(name)]
        code = [name for name in names if name.endswith(CODE) and not is_test(name)]
        if any(name.endswith(CODE) for name in tests) and code and len(names) <= MAX_FILES:
            yield commit, parent, tests, code


def mined(repo, fix, parent, tests, _code, until):
    files = [name for name in tests if name.endswith(CODE)]
    repo.place(fix)
    good = {test for test, outcome in repo.run(*files).items() if outcome == "PASSED"}
    repo.place(parent, fix, tests)
    failing = sorted(test for test, outcome in repo.run(*files).items() if outcome == "FAILED" and test in good)
    if not failing:
        return None
    line = repo.lines("rev-list", "--first-parent", parent)
    for test in failing[:2]:
        found = boundary(repo, fix, test, line, until)
        if found:
            found = within(repo, fix, test, found, until)
            return {"head": parent, "fix": fix, "test": test, "guilty": found}
    return None


def within(repo, fix, test, guilty, until):
    """The commit of a merged branch that fails, where its merge is the first on the main line."""
    parents = repo.lines("rev-list", "--parents", "-n1", guilty)[0].split()[1:]
    if len(parents) != 2:
        return guilty
    line = repo.lines("rev-list", "--first-parent", parents[1], "^" + parents[0])
    base = repo.lines("merge-base", *parents)
    return line and base and boundary(repo, fix, test, line + base[:1], until) or guilty


def boundary(repo, fix, test, line, until):
    """The commit that fails and whose parent passes, along the first parents."""
    known = {0: "FAILED"}

    def at(index):
        if index not in known:
            repo.place(line[index], fix, [test.split("::")[0]])
            known[index] = repo.run(test).get(test, "?")
        return known[index]

    index, step, blanks = 0, 1, 0
    while index < len(line) - 1 and blanks < 4 and time.time() < until:
        index, step = min(index + step, len(line) - 1), step * 2
        blanks = 0 if at(index) in ("PASSED", "FAILED") else blanks + 1
        if at(index) == "PASSED":
            break
    if at(index) != "PASSED":
        return None
    high = index
    low = max(index for index, outcome in known.items() if outcome == "FAILED" and index < high)
    while high - low > 1:
        middles = sorted(range(low + 1, high), key=lambda index: abs(index - (low + high) // 2))
        told = next((index for index in middles[:6] if at(index) in ("PASSED", "FAILED")), None)
        if told is None:
            return None
        low, high = (told, high) if at(told) == "FAILED" else (low, told)
    for index in (low, high):
        known.pop(index)
    return line[low] if at(low) == "FAILED" and at(high) == "PASSED" else None


def hidden(repo, fix, _parent, tests, code, _until):
    line = repo.lines("rev-list", "--first-parent", "origin/HEAD")
    if fix not in line or line.index(fix) < 45:
        return None
    place = line.index(fix)
    for carrier in range(place - 8, max(place - 40, 30), -1):
        if any(name.endswith(CODE) and not is_test(name) for name in repo.changed(line[carrier])):
            break
    else:
        return None
    head = line[carrier - 30]
    patch = repo.git("diff", "--binary", "--no-renames", fix, fix + "^", "--", *code).encode()
    parent, guilty = line[carrier + 1], None
    with tempfile.TemporaryDirectory() as work:
        index = {"GIT_INDEX_FILE": os.path.join(work, "index")}
        for commit in reversed(line[carrier - 30 : carrier + 1]):
            repo.git("read-tree", commit, env=index)
            repo.git("apply", "--cached", "-C1", "-", data=patch, env=index)
            tree = repo.git("write-tree", env=index).strip()
            who = {"GIT_%s_%s" % (role, what): "x@x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
            parent = repo.git("commit-tree", tree, "-p", parent, "-m", "x", env=who).strip()
            guilty = guilty or parent
    files = [name for name in tests if name.endswith(CODE)]
    outcomes = []
    for commit in (guilty + "^", guilty, parent):
        repo.place(commit)
        outcomes.append(repo.run(*files))
    before, at, end = outcomes
    for test, outcome in end.items():
        if outcome == "FAILED" and at.get(test) == "FAILED" and before.get(test) == "PASSED":
            return {"head": head, "fix": fix, "carrier": line[carrier], "test": test}
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tier", choices=("mined", "hidden"))
    parser.add_argument("clone")
    parser.add_argument("name")
    parser.add_argument("cases")
    parser.add_argument("--python", required=True, help="an interpreter with pytest")
    parser.add_argument("--command", help="how a test file is run, if not by pytest")
    parser.add_argument("--modules", help="NAME=FOLDER")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--want", type=int, default=20)
    options = parser.parse_args()
    until = time.time() + options.seconds
    find, tier = (mined, "A") if options.tier == "mined" else (hidden, "B")
    seen_file = options.cases + ".seen"
    seen = set(open(seen_file).read().split()) if os.path.exists(seen_file) else set()
    work = tempfile.mkdtemp(prefix="cases-")
    try:
        subprocess.run(["git", "clone", "-q", options.clone, work + "/clone"], check=True)
        repo = Repo(work + "/clone", options.python, options.command, options.modules)
        found = 0
        for fix, *rest in fixes(repo):
            key = tier + fix
            if time.time() > until or found == options.want:
                break
            if key in seen:
                continue
            try:
                case = find(repo, fix, *rest, until)
            except RuntimeError:
                case = None
            if case:
                found += 1
                with open(options.cases, "a") as out:
                    if options.command:
                        case["command"] = placed(options.command, case["test"])
                    out.write(json.dumps({"tier": tier, "repo": options.name, **case}) + "\n")
                print(tier, options.name, fix[:10], case["test"], flush=True)
            with open(seen_file, "a") as out:
                out.write(key + "\n")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
