"""Makes labelled patches: build.py OUT DRIVER [--quixbugs DIR] [--package NAME]... [--seed N] [--most N]

Programs are those of QuixBugs (its public layout) and functions of installed pure-Python packages whose docstrings have
examples. Of a right function, mutation makes faulty ones that fail some of the tests; patches of a faulty one are the
right text, changes of the right text, changes of the faulty text, and the usual ways of cheating. What passes every test
is labelled by the right function: on a thousand generated inputs it answers as that does (right), or differs on two or
more of them (wrong). What differs on one is dropped.

DRIVER is the folder of Prunella's driver, of which only the generator of inputs is used. OUT gets the layout that the
suite `verdict` reads; nothing of the right function is in what a verifier sees.
"""

import argparse
import ast
import copy
import difflib
import importlib
import inspect
import json
import os
import random
import shutil
import signal
import sys

import mutate

INPUTS = 1000
TESTS = 8
LABEL_SEED = 20261124
TEST_SEED = 77
CHANGED = 120


class Hung(BaseException):
    """The time is over."""


def _alarm(*_):
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    raise Hung()


def bounded(function, arguments, seconds=0.3):
    """A canonical text of the answer, or a word for having none."""
    try:
        return _bounded(function, arguments, seconds)
    except Hung:  # the alarm came between the end and its being switched off
        signal.setitimer(signal.ITIMER_REAL, 0)
        return "hung"


def _bounded(function, arguments, seconds):
    signal.signal(signal.SIGALRM, _alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return canonical(function(*copy.deepcopy(arguments)))
    except (Hung, RecursionError, MemoryError):
        return "hung"
    except BaseException as error:
        return "raise " + type(error).__name__
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def in_child(work, seconds):
    """What `work` gives, from a forked child with limits; None if it did not end."""
    import resource

    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 1))
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        try:
            os.write(write, json.dumps(work()).encode())
        except BaseException:
            pass
        os._exit(0)
    os.close(write)
    data = b""
    while True:
        part = os.read(read, 1 << 16)
        if not part:
            break
        data += part
    os.close(read)
    os.waitpid(pid, 0)
    return json.loads(data) if data else None


class Program:
    """A right function with its tests: pairs of arguments and the answer."""

    def __init__(self, name, function, path, files, unit, scope, command):
        self.name, self.function, self.path, self.files = name, function, path, files
        self.before, self.unit, self.after = unit
        self.scope, self.command = scope, command
        self.tests = []  # callables that take the function
        self.samples = []

    def load(self, unit):
        """The function that a text defines."""
        scope = dict(self.scope)
        exec(compile(unit, "<unit>", "exec"), scope)
        return scope[self.function]

    def outcome(self, unit, to_the_end=True):
        """For each test whether it passes; without an end, only until one fails."""

        def work():
            function, passed = self.load(unit), []
            for test in self.tests:
                passed.append(bounded(lambda test=test: test(function), (), 0.2) == canonical(True))
                if not passed[-1] and not to_the_end:
                    break
            return passed

        return in_child(work, 10) or [False] * len(self.tests)

    def expect(self):
        """The right answers on the inputs of the label."""
        right = self.load(self.unit)
        drawn = Mutator(self.samples, LABEL_SEED)
        self.inputs = []
        for number in range(6 * INPUTS):
            arguments = copy.deepcopy(self.samples[number]) if number < len(self.samples) else drawn.make()
            answer = bounded(right, arguments, 0.1)
            if answer != "hung" and not answer.startswith("raise "):
                self.inputs.append((arguments, answer))
            if len(self.inputs) >= INPUTS or (number > 500 and len(self.inputs) < number / 20):
                break
        return len(self.inputs) >= INPUTS / 2

    def label(self, unit):
        """`right`, `wrong`, or None for what cannot be said."""

        def work():
            function, wrong = self.load(unit), 0
            for arguments, answer in self.inputs:
                wrong += bounded(function, arguments, 1.0) != answer
                if wrong > 1:
                    break
            return wrong

        wrong = in_child(work, 60)
        return None if wrong is None or wrong == 1 else ("wrong" if wrong else "right")


# --- where programs come from -----------------------------------------------------------------------------------------


def quixbugs(root):
    """The programs of QuixBugs, each with its own faulty text."""
    sys.path[:0] = [root, os.path.join(root, "python_testcases"), os.path.join(root, "python_programs")]
    import pytest

    pytest.use_correct, pytest.run_slow = False, False
    for file in sorted(os.listdir(os.path.join(root, "python_programs"))):
        name = file[:-3]
        test = f"python_testcases/test_{name}.py"
        if not file.endswith(".py") or not os.path.exists(os.path.join(root, test)):
            continue
        shown = [f"python_programs/{file}", "python_programs/node.py", "python_testcases/node.py", test, "conftest.py",
                 "python_testcases/load_testdata.py", f"json_testcases/{name}.json"]
        files = {path: read(os.path.join(root, path)) for path in shown if os.path.exists(os.path.join(root, path))}
        faulty = files[f"python_programs/{file}"]
        right = whole(faulty, read(os.path.join(root, "correct_python_programs", file)), name)
        program = Program(name, name, f"python_programs/{file}", files, ("", right, ""), {"__name__": name},
                          ["python3", "-m", "pytest", "-q", test])
        try:
            tests_of_quixbugs(program, root)
        except Exception as error:
            print("left out", name, repr(error)[:100], file=sys.stderr)
            continue
        yield program, [faulty]


def tests_of_quixbugs(program, root):
    path = os.path.join(root, "json_testcases", program.name + ".json")
    if os.path.exists(path):
        for line in read(path).splitlines():
            if line.strip():
                arguments, expected = json.loads(line)
                arguments = tuple(arguments) if isinstance(arguments, list) else (arguments,)
                program.samples.append(arguments)
                program.tests.append(checking(arguments, expected))
        return
    module = importlib.import_module("test_" + program.name)
    right = program.load(program.unit)

    def record(*arguments):
        program.samples.append(copy.deepcopy(arguments))
        return right(*arguments)

    for test in sorted(t for t in dir(module) if t.startswith("test")):
        def run(function, test=test):
            setattr(module, program.name, function)
            getattr(module, test)()
            return True

        run(record)
        program.tests.append(run)
    width = len(program.samples[0])
    program.samples = [s for s in program.samples if len(s) == width]


def checking(arguments, expected):
    def test(function):
        return plain(function(*copy.deepcopy(arguments))) == expected

    return test


def plain(value):
    return list(value) if hasattr(value, "__next__") else value


def whole(faulty, correct, name):
    """The faulty text with the right definition in the place of its own."""
    old, new = mutate.find(faulty, name), mutate.find(correct, name)
    others = [n for n in ast.parse(correct).body if not isinstance(n, ast.Expr)]
    if old is None or new is None or len(others) != 1:
        return correct.lstrip("\n")
    lines = faulty.splitlines(keepends=True)
    body = correct.splitlines(keepends=True)[new.lineno - 1 : new.end_lineno]
    if not body[-1].endswith("\n"):
        body[-1] += "\n"
    return "".join(lines[: old.lineno - 1] + body + lines[old.end_lineno :])


def package(name):
    """The functions of a package whose docstrings' examples call them with plain values."""
    root = os.path.dirname(importlib.import_module(name).__file__)
    files = {}
    for folder, _, names in os.walk(root):
        for file in names:
            if file.endswith((".py", ".pyi", ".typed")) and "test" not in folder and "tests" not in folder:
                files[os.path.join(name, os.path.relpath(os.path.join(folder, file), root))] = read(
                    os.path.join(folder, file))
    for path in sorted(p for p in files if p.endswith(".py")):
        dotted = path[:-3].replace(os.sep, ".")
        dotted = dotted[: -len(".__init__")] if dotted.endswith(".__init__") else dotted
        try:
            module = importlib.import_module(dotted)
        except BaseException:
            continue
        for node in ast.parse(files[path]).body:
            if isinstance(node, ast.FunctionDef) and not node.decorator_list and 5 <= node.end_lineno - node.lineno:
                made = of_function(name, module, path, files, node)
                if made is not None:
                    yield made, []


def of_function(name, module, path, files, node):
    lines = files[path].splitlines(keepends=True)
    unit = "".join(lines[: node.lineno - 1]), "".join(lines[node.lineno - 1 : node.end_lineno]), "".join(
        lines[node.end_lineno :])
    test = f"tests/test_{node.name}.py"
    made = Program(f"{name}_{node.name}", node.name, path, dict(files), unit, module.__dict__,
                   ["python3", "-m", "pytest", "-q", test])
    calls = examples(module, node.name)
    if len(calls) < 2 or len({len(c) for c in calls}) != 1 or not calls[0]:
        return None
    made.samples, right = calls, made.load(made.unit)
    drawn, asked = Mutator(calls, TEST_SEED), [copy.deepcopy(c) for c in calls][:TESTS]
    for _ in range(30):
        if len(asked) < TESTS:
            asked.append(drawn.make())
    text, used = [f"from {module.__name__} import {node.name}\n", PLAIN], []
    for arguments in asked:
        answer = literal_answer(right, arguments)
        if answer is None or arguments in used:
            continue
        used.append(arguments)
        made.tests.append(checking(arguments, answer[0]))
        text.append(f"\n\ndef test_{len(used)}():\n    assert plain({node.name}(*{arguments!r})) == {answer[0]!r}\n")
    made.files[test] = "".join(text)
    return made if len(used) >= 4 else None


PLAIN = "\n\ndef plain(value):\n    return list(value) if hasattr(value, \"__next__\") else value\n"


def literal_answer(function, arguments):
    """The answer in a list, if arguments and answer can be written down."""
    signal.signal(signal.SIGALRM, _alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        if ast.literal_eval(repr(arguments)) != arguments:
            return None
        answer = function(*copy.deepcopy(arguments))
        if hasattr(answer, "__next__"):
            answer = [item for _, item in zip(range(200), answer)]
        if len(repr(answer)) > 400 or ast.literal_eval(repr(answer)) != answer:
            return None
        return [answer]
    except BaseException:
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def examples(module, name):
    """The plain arguments of the calls that the docstring's examples make."""
    import contextlib
    import doctest
    import io

    function, calls = getattr(module, name), []
    try:
        names = [p for p in inspect.signature(function).parameters.values()]
    except (TypeError, ValueError):
        return []
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD, p.KEYWORD_ONLY) for p in names):
        return []
    wanted = function.__code__

    def seen(frame, event, _):
        if event == "call" and frame.f_code is wanted:
            arguments = tuple(copy.deepcopy(frame.f_locals[p.name]) for p in names)
            if arguments not in calls and literal_answer(function, arguments) is not None:
                calls.append(arguments)

    scope = dict(module.__dict__)
    for example in doctest.DocTestParser().get_examples(function.__doc__ or ""):
        sys.settrace(None)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                code = compile(example.source, "<example>", "exec")
                sys.setprofile(lambda *a: seen(*a))
                exec(code, scope)
        except BaseException:
            pass
        finally:
            sys.setprofile(None)
    return calls


# --- patches ----------------------------------------------------------------------------------------------------------


def patches(program, faulty, passed, chance):
    """(label, origin, text) of what passes all tests in the place of the faulty text."""
    yield "right", "original", program.unit
    wanted = {
        "fault": (mutate.mutants(faulty, program.function), {"right": 2, "wrong": 3}),
        "fix": (mutate.mutants(program.unit, program.function), {"right": 1, "wrong": 2}),
        "cheat": (list(cheats(program, faulty, passed)), {"right": 0, "wrong": 1}),
    }
    for origin, (texts, room) in wanted.items():
        chance.shuffle(texts)
        for text in texts[:CHANGED]:
            if not any(room.values()):
                break
            if text in (program.unit, faulty) or not all(program.outcome(text, to_the_end=False)):
                continue
            label = program.label(text)
            if label is not None and room[label] > 0:
                room[label] -= 1
                yield label, origin, text


def cheats(program, faulty, passed):
    """Texts that answer the failing tests and nothing else."""
    node = mutate.find(faulty, program.function)
    names = [a.arg for a in node.args.args]
    if len(program.samples) < len(passed) or any(len(s) != len(names) for s in program.samples):
        return
    lines = faulty.splitlines(keepends=True)
    first = next((b for b in node.body if not (isinstance(b, ast.Expr) and isinstance(b.value, ast.Constant))), None)
    if first is None:
        return
    indent = " " * first.col_offset
    right, special, last = program.load(program.unit), [], "None"
    for arguments, good in zip(program.samples, passed):
        answer = literal_answer(right, arguments)
        if answer is not None and not good:
            last = repr(answer[0])
            left = names[0] if len(names) == 1 else "(" + ", ".join(names) + ")"
            value = repr(arguments[0]) if len(names) == 1 else repr(arguments)
            special += [f"{indent}if {left} == {value}:\n", f"{indent}    return {last}\n"]
    at = first.lineno - 1
    if special:
        yield "".join(lines[:at] + special + lines[at:])
    body = ["    " + line if line.strip() else line for line in lines[at : node.end_lineno]]
    swallowed = [f"{indent}try:\n", *body, f"{indent}except Exception:\n", f"{indent}    return {last}\n"]
    yield "".join(lines[:at] + swallowed + lines[node.end_lineno :])


def faults(program, own, chance, most):
    """Texts with one fault that some tests show and some do not, with the tests that pass."""
    for text in own:
        passed = program.outcome(text)
        if not all(passed):
            yield text, passed
    changed = mutate.mutants(program.unit, program.function)
    chance.shuffle(changed)
    for text in changed:
        if most <= 0:
            return
        passed = program.outcome(text)
        if any(passed) and not all(passed):
            most -= 1
            yield text, passed


def write(out, program, number, faulty, made):
    """One case: the tree, the command, the patches by label."""
    folder = os.path.join(out, f"{program.name}-{number}")
    shutil.rmtree(folder, ignore_errors=True)
    old = program.before + faulty + program.after
    for path, text in {**program.files, program.path: old}.items():
        put(os.path.join(folder, "tree", path), text)
    put(os.path.join(folder, "case.json"), json.dumps({"program": program.name, "command": program.command}))
    for at, (label, origin, text) in enumerate(made):
        new = program.before + text + program.after
        lines = difflib.unified_diff(lined(old), lined(new), f"a/{program.path}", f"b/{program.path}")
        put(os.path.join(folder, label, f"{at:02}-{origin}.patch"), "".join(lines))


def lined(text):
    return (text if text.endswith("\n") else text + "\n").splitlines(keepends=True)


def read(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    return text if not text or text.endswith("\n") else text + "\n"


def put(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("driver")
    parser.add_argument("--quixbugs")
    parser.add_argument("--package", action="append", default=[])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=int, default=1000)
    options = parser.parse_args()
    sys.path.append(options.driver)
    sys.setrecursionlimit(3000)
    global canonical, Mutator
    from prunella_inputs import Mutator, canonical

    def programs():
        if options.quixbugs:
            yield from quixbugs(options.quixbugs)
        for name in options.package:
            yield from package(name)

    counts, done = {}, 0
    for program, own in programs():
        chance = random.Random(f"{options.seed} {program.name}")
        if not all(program.outcome(program.unit)) or not program.expect():
            print("left out", program.name, file=sys.stderr)
            continue
        for number, (faulty, passed) in enumerate(faults(program, own, chance, 1 if own else 2)):
            made = list(patches(program, faulty, passed, chance))
            write(options.out, program, number, faulty, made)
            for label, origin, _ in made:
                counts[label, origin] = counts.get((label, origin), 0) + 1
        print(program.name, counts, file=sys.stderr, flush=True)
        done += 1
        if done >= options.most:
            break


if __name__ == "__main__":
    main()
