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
    names = _names(wanted)

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
    call = caller(function)
    if candidate is not None and not swap.apply(candidate, swap.compile(candidate)):
        return
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for arguments in inputs:
        tell({"a": answer(driver, call, arguments, EACH)})


def _names(code):
    """The names of all parameters: those by place, those by name, the one for the rest, the one for other names."""
    more = bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + more]


def caller(function):
    """A way to call the function with one value for each of the parameters that it has now."""
    code = function.__code__
    plain, named = code.co_argcount, code.co_kwonlyargcount
    names = code.co_varnames[plain : plain + named]
    has_more, has_others = code.co_flags & inspect.CO_VARARGS, code.co_flags & inspect.CO_VARKEYWORDS

    def call(values):
        rest = list(values[plain + named :])
        more = rest.pop(0) if has_more else ()
        others = rest.pop(0) if has_others else {}
        return function(*values[:plain], *more, **dict(zip(names, values[plain:])), **others)

    return call


def answer(driver, call, arguments, seconds):
    """A short text for what the call does with these arguments: its value and what became of them."""
    arguments = copy.deepcopy(arguments)
    try:
        with driver.limit(seconds):
            value = prunella_inputs.canonical(call(arguments))
            after = prunella_inputs.canonical(arguments)
    except driver.Hung:
        return "hung"
    except RecursionError:
        return "hung"
    except BaseException as error:
        return "raise " + type(error).__name__
    return hashlib.sha1((value + "|" + after).encode()).hexdigest()[:12]
