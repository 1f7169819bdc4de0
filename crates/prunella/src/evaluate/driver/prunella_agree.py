"""What candidates do on inputs that no test has: the arguments that tests pass, changed a little."""

import copy
import hashlib
import inspect
import os
import sys
import time

import prunella_inputs
import prunella_swap

MOST_SAMPLES = 40
EACH = 0.05


def run(driver, harness):
    """Captures the unit's arguments in the tests, then asks every candidate, and the code as it is, about them."""
    import json

    job = driver.JOB
    with open(job["candidates"], encoding="utf-8") as file:
        candidates = [json.loads(line) for line in file]
    first = candidates[0]
    swap = prunella_swap.Swap().prepare({first["file"]})
    functions = swap.functions(first)
    if not functions:
        return
    function = functions[0]

    def ask(send):
        samples = _capture(driver, harness, function, job)
        if not samples:
            send({"samples": 0})
            return
        mutator = prunella_inputs.Mutator(samples, job["seed"])
        inputs = [copy.deepcopy(s) for s in samples]
        inputs += [mutator.make() for _ in range(job["inputs"])]
        send({"samples": len(samples)})
        for candidate in [None, *candidates]:
            if time.time() > job["until"]:
                return
            got = driver.child(lambda tell, c=candidate: _answers(driver, swap, c, function, inputs, tell), job["each"])
            answers = [g["a"] for g in got]
            answers += ["late"] * (len(inputs) - len(answers))
            send({"id": candidate["id"] if candidate else None, "answers": answers})

    def note(result):
        # At once: what is known when the time is over still counts.
        driver.write("agree.jsonl", result)
        return max(1.0, job["until"] - time.time())

    driver.child(ask, max(1.0, job["until"] - time.time()), read=note)
    driver.write("done.jsonl", {})


def _capture(driver, harness, function, job):
    """The arguments of the outermost calls of the function in these tests."""
    wanted, samples, seen = function.__code__, [], set()
    signature = inspect.signature(function)
    names = [p.name for p in signature.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(names) != len(signature.parameters):
        return []

    def call(frame, event, _arg):
        if event == "call" and frame.f_code is wanted and len(samples) < MOST_SAMPLES:
            try:
                sample = tuple(copy.deepcopy(frame.f_locals[name]) for name in names)
                text = prunella_inputs.canonical(sample)
                if text not in seen:
                    seen.add(text)
                    samples.append(sample)
            except Exception:
                pass
        return None

    for index in job["tests"]:
        sys.settrace(call)
        driver.one(harness, index, job["limit"])
        sys.settrace(None)
        if len(samples) >= MOST_SAMPLES:
            break
    return samples


def _answers(driver, swap, candidate, function, inputs, tell):
    if candidate is not None and not swap.apply(candidate, swap.compile(candidate)):
        return
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for arguments in inputs:
        tell({"a": answer(driver, function, arguments, EACH)})


def answer(driver, function, arguments, seconds):
    """A short text for what the function does with these arguments: its value and what became of them."""
    arguments = copy.deepcopy(arguments)
    try:
        with driver.limit(seconds):
            value = prunella_inputs.canonical(function(*arguments))
            after = prunella_inputs.canonical(arguments)
    except driver.Hung:
        return "hung"
    except RecursionError:
        return "hung"
    except BaseException as error:
        return "raise " + type(error).__name__
    return hashlib.sha1((value + "|" + after).encode()).hexdigest()[:12]
