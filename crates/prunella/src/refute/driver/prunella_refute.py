"""Tries to refute a patch that passes the tests: which of its parts the tests need, whether they would notice a weaker
one, and what it does on inputs that no test has, beside the code as it was and beside other changes that pass.

The first two rows are the files as they were and as the patch leaves them; the others are texts to compare with.
"""

import ast
import copy
import difflib
import hashlib
import itertools
import json
import os
import random
import re
import sys
import time

import prunella_graft
import prunella_inputs
import prunella_laws
import prunella_reach
import prunella_relations

MOST_SAMPLES = 48
MOST_OF_A_TEST = 8
MOST_PARTS = 12
MOST_TRIES = 24
MOST_ASKED = 11
FAR = 160
RELATED = 40  # near inputs that are asked about relations
EACH = 0.05
TOKEN = re.compile(r"\w+|\n[ \t]*|[ \t]+|[^\w\s]")


def run(driver, harness):
    """The whole job; what is found is written as it is found."""
    with open(driver.JOB["candidates"], encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    before, after = rows[0]["files"], rows[1]["files"]
    trial = Trial(driver, harness, after)
    if not trial.graft.modules:
        driver.write("refute.jsonl", {"note": "no changed file is loaded by the tests"})
        return
    names = trial.targets(before, after)
    passes = trial.passes(after)
    driver.write("refute.jsonl", {"id": rows[1]["id"], "passed": passes, "functions": len(names)})
    if not passes:
        return
    least = minimise(trial, before, after)
    driver.write("refute.jsonl", {"parts": least["parts"], "unneeded": least["unneeded"]})
    asked = [(rows[0]["id"], before), (rows[1]["id"], after)]
    if least["unneeded"]:
        asked.append((-1, least["files"]))
    late = lambda: time.time() > driver.JOB["until"]
    for row in rows[2:]:
        if row["kind"] == "rival" and not late():
            files = {**before, **row["files"]}
            passed = trial.passes(files)
            driver.write("refute.jsonl", {"id": row["id"], "passed": passed})
            if passed and len(asked) < MOST_ASKED:
                asked.append((row["id"], files))
    for file, name in names[:3]:
        compare(trial, file, name, asked)
    for row in rows[2:]:
        if row["kind"] == "weaker" and not late():
            driver.write("refute.jsonl", {"id": row["id"], "passed": trial.passes({**after, **row["files"]})})
    driver.write("done.jsonl", {})


class Trial:
    """Runs tests and functions with other sources in place, each time in a child."""

    def __init__(self, driver, harness, files):
        self.driver, self.harness, self.job = driver, harness, driver.JOB
        self.graft = prunella_graft.Graft(files)

    def targets(self, before, after):
        """(file, name) of the functions that the patch changes and that are loaded."""
        found = []
        for file in self.graft.modules:
            try:
                old, new = (compile(text, file, "exec", dont_inherit=True) for text in (before[file], after[file]))
            except (SyntaxError, ValueError):
                continue
            found += [(file, n) for n in prunella_graft.changed(old, new) if self.graft.functions(file, n)]
        return found

    def passes(self, files):
        """Whether the tests pass with these files."""
        seconds = self.job["limit"]
        room = self.driver.CLOCK * seconds + 2
        for file, text in files.items():
            try:
                compile(text, file, "exec", dont_inherit=True)
            except (SyntaxError, ValueError, RecursionError):
                return False

        def work(send):
            self.graft.put(files)
            for index in self.job["tests"]:
                if not self.driver.one(self.harness, index, seconds)["passed"]:
                    return
                send({})
            send({"passed": True})

        got = self.driver.child(work, room, read=lambda _value: room)
        return bool(got) and got[-1].get("passed", False)


# --- the patch's parts ------------------------------------------------------------------------------------------------


def split(before, after):
    """A text as pieces `(hunk, [same])` or `(hunk, [old, new])`: lines first, then words within changed lines."""
    old, new, out = before.splitlines(keepends=True), after.splitlines(keepends=True), []
    for hunk, (tag, a, b, c, d) in enumerate(difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()):
        left, right = "".join(old[a:b]), "".join(new[c:d])
        if tag == "equal":
            out.append((hunk, [left]))
        elif tag == "replace":
            out += [(hunk, piece) for piece in words(left, right)]
        else:
            out.append((hunk, [left, right]))
    return out


def words(left, right):
    old, new, out = TOKEN.findall(left), TOKEN.findall(right), []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        one, other = "".join(old[a:b]), "".join(new[c:d])
        if tag == "equal":
            # What is alike between two changes by accident does not part them.
            out.append([one] if len(one.strip()) > 1 or "\n" in one or not out or len(out[-1]) == 1 else [one, one])
        else:
            out.append([one, other])
    merged = []
    for piece in out:
        if merged and len(piece) == 2 and len(merged[-1]) == 2:
            merged[-1] = [merged[-1][0] + piece[0], merged[-1][1] + piece[1]]
        else:
            merged.append(piece)
    return merged


def same_code(one, other):
    try:
        return ast.dump(ast.parse(one)) == ast.dump(ast.parse(other))
    except (SyntaxError, ValueError, RecursionError):
        return False


def minimise(trial, before, after):
    """Leaves out one part of the patch after the other and keeps out what the tests do not need: whole hunks, then parts of
    hunks, then two parts of one (a call around an expression is two)."""
    pieces = {file: split(before[file], after[file]) for file in after}
    parts = [(file, i) for file, of in pieces.items() for i, (_, piece) in enumerate(of) if len(piece) == 2]

    def text(file, out):
        return "".join(p[0] if len(p) == 1 or (file, i) in out else p[1] for i, (_, p) in enumerate(pieces[file]))

    def files(out):
        return {file: text(file, out) for file in pieces}

    # Comments and layout are no parts.
    parts = [p for p in parts if not same_code(text(p[0], {p}), after[p[0]])][:MOST_PARTS]
    hunks = {}
    for file, i in parts:
        hunks.setdefault((file, pieces[file][i][0]), []).append((file, i))
    tries = [set(of) for of in hunks.values()]
    tries += [{part} for of in hunks.values() if len(of) > 1 for part in of]
    tries += [{a, b} for of in hunks.values() if 2 < len(of) < 6 for a, b in itertools.combinations(of, 2)]
    out = set()
    for some in tries[:MOST_TRIES] if len(parts) > 1 else ():
        if time.time() > trial.job["until"]:
            break
        if not some & out and len(out | some) < len(parts) and trial.passes(files(out | some)):
            out |= some
    return {"parts": len(parts), "unneeded": len(out), "files": files(out)}


# --- inputs that no test has ------------------------------------------------------------------------------------------


class Near(prunella_inputs.Mutator):
    """Inputs near one sample each."""

    def near(self, sample):
        """The sample with some of its arguments changed, once or a few times."""
        made = list(copy.deepcopy(sample))
        for _ in range(self.random.choice((1, 1, 1, 2, 2, 3))):
            i = self.random.randrange(len(made))
            made[i] = self.value(made[i], self.facts[i])
        return tuple(made)

    def far(self, sample):
        """The sample with one value, or one in it, of another kind or size than was seen."""
        made = list(copy.deepcopy(sample))
        i = self.random.randrange(len(made))
        made[i] = prunella_inputs.odd(made[i], self.random)
        return tuple(made)


def compare(trial, file, name, asked):
    """Asks each source about the same inputs of one function."""
    driver, job = trial.driver, trial.job
    function = trial.graft.functions(file, name)[0]
    after = dict(asked)[asked[1][0]]

    def ask(send):
        trial.graft.put(after)
        samples = capture(trial, function)
        if not samples:
            return
        mutator, drawn, seen = Near(samples, job["seed"]), [], set()
        for number in range(job["inputs"] * 2):
            origin = number % len(samples)
            made = mutator.near(samples[origin])
            text = prunella_inputs.canonical(made)
            if len(drawn) < job["inputs"] and text not in seen:
                seen.add(text)
                drawn.append((origin, made))
        far = []
        for number in range(FAR * 2):
            made = mutator.far(samples[number % len(samples)])
            text = prunella_inputs.canonical(made)
            if len(far) < FAR and text not in seen:
                seen.add(text)
                far.append(made)
        send({"function": name, "samples": len(samples), "origins": [o for o, _ in drawn], "far": len(far)})
        inputs = samples + [made for _, made in drawn] + far
        seen_of = {}
        for number, files in asked:
            if time.time() > job["until"]:
                return
            near = len(samples) + len(drawn)
            got = driver.child(lambda tell, f=files: answers(trial, f, function, inputs, len(samples), near, tell), job["each"])
            said = [g["a"] for g in got if "a" in g] + ["late"] * len(inputs)
            laws = next((g for g in got if "laws" in g), {})
            held = laws.pop("held", {})
            send({"id": number, "answers": said[: len(inputs)], **laws})
            seen_of[number] = (said, held, next((g for g in got if "ran" in g), None))
            if number == asked[1][0]:
                old, new = (files_of[file] for _, files_of in asked[:2])
                send(beside(old, new, samples, *(seen_of[n] for n, _ in asked[:2])))

    for result in driver.child(ask, max(1.0, job["until"] - time.time())):
        driver.write("refute.jsonl", result)


def beside(old, new, samples, before, after):
    """What the patch lost that the code before had, and which of the mended arguments it calls by name."""
    (was, held_before, ran_before), (now, held_after, ran_after) = before, after
    mended = [s for s, a, b in zip(samples, was, now) if a != b]
    lost = prunella_relations.lost(held_before, held_after)
    out = {"lost": len(lost), "kept": len(held_before), "names": lost, "named": prunella_relations.named(old, new, mended)}
    if ran_before and ran_after:
        out["silenced"] = prunella_reach.silenced(old, new, ran_before, ran_after)
    return {"beside": True, **out}


def capture(trial, function):
    """The arguments with which the tests call the function, by position."""
    code, samples, seen = function.__code__, [], set()
    count = code.co_argcount
    if count == 0 or code.co_kwonlyargcount or code.co_flags & 0x0C:
        return []
    names, frames, room = code.co_varnames[:count], {}, [0]

    def call(frame, event, _arg):
        if event != "call" or frame.f_code is not code or room[0] <= 0 or frame is frames.get(id(frame)):
            return
        if code.co_flags & 0x20:
            frames[id(frame)] = frame  # a generator is entered again and again; kept, so that no other has its id
        try:
            sample = tuple(copy.deepcopy(frame.f_locals[n]) for n in names)
            text = prunella_inputs.canonical(sample)
        except Exception:
            return
        if text not in seen and len(text) < 20_000:
            seen.add(text)
            samples.append(sample)
            room[0] -= 1

    for index in trial.job["tests"]:
        room[0] = MOST_OF_A_TEST if len(samples) < MOST_SAMPLES else 0
        sys.setprofile(call)
        trial.driver.one(trial.harness, index, trial.job["limit"])
        sys.setprofile(None)
        if room[0] == 0 and len(samples) >= MOST_SAMPLES:
            break
    return samples[:MOST_SAMPLES]


def answers(trial, files, function, inputs, known, near, tell):
    """One source's answers, which laws of its answers to the samples it breaks on the near ones, and which lines run."""
    trial.graft.put(files)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    got = []
    for arguments in inputs:
        word, value = answer(trial.driver, function, arguments)
        got.append((arguments, word, value))
        tell({"a": word})
    usual = [(a, v) for a, w, v in got[:known] if not is_bad(w)]
    laws = prunella_laws.Laws(usual)
    broken = [laws.broken(a, v) if not is_bad(w) else [] for a, w, v in got[known:near]]
    some = got[:known] + got[known : known + RELATED]
    held = prunella_relations.table(lambda a: answer(trial.driver, function, a), some, is_bad)
    names = sorted({n for b in broken for n in b})[:8]
    tell({"laws": laws.count(), "broken": [i for i, b in enumerate(broken) if b], "names": names,
          "held": held})
    few = [a for a, w, _ in got if w != "hung"]
    file = function.__code__.co_filename
    tell(prunella_reach.first_runs(function, file, inputs[:known] + few[known:], lambda a: answer(trial.driver, function, a)))


def is_bad(word):
    return word == "hung" or word == "late" or word.startswith("raise ")


def answer(driver, function, arguments, seconds=EACH):
    """A short text for what the function does with these arguments, and its value."""
    mine = copy.deepcopy(arguments)
    random.seed(1)
    try:
        with driver.limit(seconds):
            value = function(*mine)
            if hasattr(value, "__next__"):
                value = [item for _, item in zip(range(300), value)]
            text = prunella_inputs.canonical(value) + "|" + prunella_inputs.canonical(mine)
    except driver.Hung:
        return "hung", None
    except RecursionError:
        return "hung", None
    except BaseException as error:
        return "raise " + type(error).__name__, None
    return hashlib.sha1(text.encode()).hexdigest()[:12], value
