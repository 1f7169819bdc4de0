"""Judges a repaired function by the reference solution: the same value on generated inputs, or not.

judge.py DRIVER DATA PROGRAM REPAIRED INPUTS SEED prints one JSON object. Inputs are drawn like those of the tests; one
counts if the reference solution answers it in time, for what it refuses is outside of the contract.
"""

import copy
import importlib.util
import json
import os
import resource
import signal
import sys
import time

driver, data, program, repaired, wanted, seed = sys.argv[1:7]
sys.path[:0] = [driver, data, os.path.join(data, "python_testcases"), os.path.join(data, "python_programs")]
sys.setrecursionlimit(3000)
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
import prunella_inputs  # noqa: E402

OUT = sys.stdout
sys.stdout = open(os.devnull, "w")


class Hung(BaseException):
    pass


def alarm(*_):
    raise Hung()


signal.signal(signal.SIGALRM, alarm)


def load(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return getattr(module, program)


def samples(reference):
    path = os.path.join(data, "json_testcases", program + ".json")
    if os.path.exists(path):
        with open(path) as file:
            inputs = [json.loads(line)[0] for line in file if line.strip()]
        return [tuple(i) if isinstance(i, list) else (i,) for i in inputs]
    import pytest

    pytest.use_correct, pytest.run_slow = True, False
    seen = []

    def record(*args):
        seen.append(copy.deepcopy(args))
        return reference(*args)

    module = importlib.import_module("correct_python_programs." + program)
    setattr(module, program, record)
    tests = importlib.import_module("test_" + program)
    for name in dir(tests):
        if name.startswith("test"):
            getattr(tests, name)()
    width = len(seen[0])
    return [s for s in seen if len(s) == width]


def answer(function, arguments, seconds):
    arguments = copy.deepcopy(arguments)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return prunella_inputs.canonical(function(*arguments))
    except Hung:
        return "hung"
    except RecursionError:
        return "hung"
    except MemoryError:
        return "hung"
    except Exception as error:
        return "raise " + type(error).__name__
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


reference = load(os.path.join(data, "correct_python_programs", program + ".py"), "the_reference")
found = load(repaired, "the_repaired")
known = samples(reference)
mutator = prunella_inputs.Mutator(known, int(seed))
inputs, same, drawn, first = 0, 0, 0, None
end = time.monotonic() + 60
while inputs < int(wanted) and drawn < 8 * int(wanted) and time.monotonic() < end:
    arguments = copy.deepcopy(known[drawn]) if drawn < len(known) else mutator.make()
    drawn += 1
    right = answer(reference, arguments, 0.3)
    if right == "hung" or right.startswith("raise "):
        continue
    inputs += 1
    got = answer(found, arguments, 1.5)
    if got == right:
        same += 1
    elif first is None:
        first = [prunella_inputs.canonical(arguments)[:200], right[:100], got[:100]]
        if inputs - same > 20:
            break
OUT.write(json.dumps({"inputs": inputs, "same": same, "first": first}) + "\n")
