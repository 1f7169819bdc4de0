"""Runs tests many times over with a function exchanged, from one warm process.

A job (JSON, named by PRUNELLA_JOB) says what to do:
  baseline   which tests fail, which lines each runs, which types variables have
  evaluate   for each candidate, whether the named tests pass with it
  agree      what each candidate does on mutated inputs of the function

Every run of a test is in a forked child with a time limit: a candidate often never ends, and what it breaks ends with
the child. Everything written is read by the caller as untrusted data.
"""

import contextlib
import gc
import json
import os
import resource
import select
import signal
import sys
import time

JOB = {}
OUT = None
ACTIVE = False  # whether the next harness that is found is to be served
LONGER = 2.0  # seconds at least for what was stopped and gets more time
CLOCK = 4  # seconds by the clock for one of the processor


def begin():
    """Reads the job and sets the hooks by which a harness is found; for programs without one, runs them itself."""
    global JOB, OUT, ACTIVE
    try:
        with open(os.environ["PRUNELLA_JOB"], encoding="utf-8") as file:
            JOB = json.load(file)
    except (OSError, ValueError):
        return
    OUT = JOB["out"]
    if not _claim():
        return
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 1000))
    if JOB["mode"] == "process":
        import prunella_process

        prunella_process.serve(sys.modules[__name__])
    else:
        ACTIVE = True
        _hook_unittest()


def _claim():
    """Only one process of a tree is the server: the first that runs tests. Child interpreters run as they are."""
    argv = getattr(sys, "orig_argv", sys.argv)
    words = [os.path.basename(word) for word in argv[1:3]]
    if words[:1] == ["-c"] or any(word in ("pip", "pip3", "setup.py", "venv") for word in words):
        return False
    return os.environ.get("PRUNELLA_SERVER") in (None, str(os.getpid()))


def _hook_unittest():
    """Exchanges the loop of unittest's program as soon as somebody imports it."""
    import importlib.abc
    import importlib.machinery

    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path, target=None):
            if name != "unittest.main":
                return None
            sys.meta_path.remove(self)
            spec = importlib.machinery.PathFinder.find_spec(name, path)
            load = spec.loader.exec_module

            def exec_module(module):
                load(module)
                original = module.TestProgram.runTests

                def run_tests(program):
                    # A program of tests that is started by a test runs as it is.
                    return _unittest_loop(program) if ACTIVE else original(program)

                module.TestProgram.runTests = run_tests

            spec.loader.exec_module = exec_module
            return spec

    sys.meta_path.insert(0, Finder())


def _unittest_loop(program):
    import prunella_unittest

    serve(prunella_unittest.Harness(program.test))


def write(name, value):
    """Writes one result as a line of a file that the caller reads."""
    with open(os.path.join(OUT, name), "a", encoding="utf-8") as file:
        file.write(json.dumps(value) + "\n")


# --- limits -----------------------------------------------------------------------------------------------------------


class Hung(BaseException):
    """A test that was stopped because of its time limit."""


CALM = [0.0, 0.0]  # when the clock of the test that runs began, and how long it may run by it


def _waited(pid="self"):
    """Seconds that a process could have run while the processor was given to others; 0 where nobody says so."""
    try:
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def _alarm(number, _frame):
    if number == signal.SIGALRM:
        # Time that others had does not count: on a busy machine the clock says nothing about this process.
        left = CALM[0] + CALM[1] - (time.monotonic() - _waited())
        if left > 0.005:
            signal.setitimer(signal.ITIMER_REAL, left)
            return
    # Again and again: it may be caught.
    signal.setitimer(signal.ITIMER_PROF, 0.02, 0.02)
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    raise Hung()


@contextlib.contextmanager
def limit(seconds):
    """Stops what is inside after this time of the processor, or a few times as much by a clock that stands still while
    others have the processor."""
    signal.signal(signal.SIGALRM, _alarm)
    signal.signal(signal.SIGPROF, _alarm)
    CALM[:] = time.monotonic() - _waited(), CLOCK * seconds
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, CLOCK * seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def child(work, seconds, read=None):
    """Forks, runs `work(send)` there, and gives what it sent, line by line; kills it when the time is over."""
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read_fd)
            os.setpgid(0, 0)
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_AS, (JOB["memory"] + _mapped(), JOB["memory"] + _mapped()))
            pipe = os.fdopen(write_fd, "w", encoding="utf-8")

            def send(value):
                pipe.write(json.dumps(value) + "\n")
                pipe.flush()

            work(send)
        except BaseException:
            pass
        finally:
            os._exit(0)
    os.close(write_fd)
    lines, buffer, deadline, waited = [], b"", time.monotonic() + seconds, 0.0
    while True:
        left = deadline - time.monotonic()
        ready, _, _ = select.select([read_fd], [], [], max(0.0, left))
        if not ready:
            more = _waited(pid) - waited
            if more > 0.005:  # others had the processor
                waited, deadline = waited + more, time.monotonic() + more
                continue
            break
        data = os.read(read_fd, 1 << 16)
        if not data:
            break
        buffer += data
        *full, buffer = buffer.split(b"\n")
        for line in full:
            with contextlib.suppress(ValueError):
                value = json.loads(line)
                lines.append(value)
                if read is not None:
                    deadline = time.monotonic() + read(value)
    os.close(read_fd)
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            kill(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.waitpid(pid, 0)
    return lines


_MAPPED = []


def _mapped():
    if not _MAPPED:
        try:
            with open("/proc/self/statm", encoding="ascii") as file:
                _MAPPED.append(int(file.read().split()[0]) * resource.getpagesize())
        except (OSError, ValueError):
            _MAPPED.append(1 << 30)
    return _MAPPED[0]


# --- the three jobs ---------------------------------------------------------------------------------------------------


def serve(harness):
    """Does the job with this harness and ends the process."""
    global ACTIVE
    ACTIVE = False
    code = 1
    try:
        os.environ["PRUNELLA_SERVER"] = str(os.getpid())
        gc.collect()
        gc.freeze()
        do = {"baseline": _baseline, "evaluate": _evaluate, "agree": _agree, "refute": _refute}[JOB["job"]]
        do(harness)
        code = 0
    except BaseException as error:
        import traceback

        write("error.jsonl", {"error": repr(error)[:500], "where": traceback.format_exc()[-2000:]})
    finally:
        os._exit(code)


def _run_all(harness, indices, seconds, after):
    """Runs tests in as few children as possible: one that hangs costs its child."""
    at, results = 0, {}
    hung = 0
    while at < len(indices):
        batch = indices[at:]
        if hung == 2:  # the others that hang will do so for the same reason
            longest = max((r["seconds"] for r in results.values() if r["passed"]), default=0.0)
            seconds = min(seconds, max(0.15, 6 * longest))

        def work(send, batch=batch, seconds=seconds):
            for index in batch:
                began = time.perf_counter()
                result = one(harness, index, seconds)
                result["index"] = index
                result["seconds"] = time.perf_counter() - began
                result.update(after())
                send(result)
                if result["error"] == "Hung":
                    return

        room = CLOCK * seconds + 5
        got = child(work, room, read=lambda _value, room=room: room)
        for result in got:
            results[result["index"]] = result
        at += len(got)
        if got and got[-1].get("error") == "Hung":
            hung += 1
        elif at < len(indices):
            results[indices[at]] = {"index": indices[at], "passed": False, "error": "Hung", "seconds": seconds}
            at += 1
        if time.time() > JOB["until"]:
            break
    return results


def one(harness, index, seconds):
    """One test, within its time."""
    try:
        with limit(seconds):
            return harness.run(index)
    except Hung:
        return {"passed": False, "skipped": False, "error": "Hung"}
    except MemoryError:
        return {"passed": False, "skipped": False, "error": "MemoryError"}
    except BaseException as error:
        return {"passed": False, "skipped": False, "error": type(error).__name__}


def _baseline(harness):
    import prunella_trace

    seconds = JOB["limit"]
    everything = list(range(len(harness.names)))[: JOB["most"]]
    plain = _run_all(harness, everything, seconds, dict)
    failing = [i for i in everything if i in plain and not plain[i]["passed"] and not plain[i].get("skipped")]
    passing = [i for i in everything if i in plain and plain[i]["passed"]]
    # Passing tests stay in the suite's order: some pass only after others, or only before them.
    trace = prunella_trace.Trace(JOB["root"])

    def after():
        return trace.take()

    def traced(indices, seconds):
        def work(send):
            for index in indices:
                trace.start()
                one(harness, index, seconds)
                sys.settrace(None)
                send({"index": index, **after()})

        room = CLOCK * seconds + 5
        return child(work, room, read=lambda _value: room)

    seen = {}
    failing.sort(key=lambda i: plain[i]["seconds"])
    hung = 0
    for index in failing[: JOB["failing_traced"]]:
        # What hangs has been where it hangs long before it is stopped.
        hangs = plain[index].get("error") == "Hung"
        hung += hangs
        if hung > 3:
            continue
        for result in traced([index], min(seconds, 0.25) if hangs else seconds * 3):
            seen[result["index"]] = result
    if len(failing) and JOB["passing_traced"]:
        for result in traced(passing[: JOB["passing_traced"]], seconds * 3):
            seen[result["index"]] = result
    for index in everything:
        if index in plain:
            row = {"name": harness.names[index], **plain[index]}
            row.update({k: v for k, v in seen.get(index, {}).items() if k != "index"})
            write("tests.jsonl", row)
    write("done.jsonl", {"harness": type(harness).__module__, "tests": len(everything)})


def _evaluate(harness):
    """Workers share the list of candidates; each forks once for each candidate."""
    import prunella_swap

    with open(JOB["candidates"], encoding="utf-8") as file:
        candidates = [json.loads(line) for line in file]
    swap = getattr(harness, "swap", None) or prunella_swap.Swap()
    swap.prepare({c["file"] for c in candidates})
    workers = []
    for number in range(JOB["workers"]):
        pid = os.fork()
        if pid == 0:
            try:
                _worker(harness, swap, candidates, number)
            finally:
                os._exit(0)
        workers.append(pid)
    for pid in workers:
        os.waitpid(pid, 0)
    write("done.jsonl", {})


def _worker(harness, swap, candidates, number):
    """First all with a short limit; then, for a part of the time that took, those that hung with longer ones, unless
    something passed."""
    import prunella_group

    mine, began, until = candidates[number :: JOB["workers"]], time.time(), JOB["until"]
    start, found = spent(), os.path.join(OUT, "found")

    def is_over():
        return time.time() > until or spent() - start > JOB["core_seconds"]

    def tell(result):
        if result["end"] == "passed":
            open(found, "wb").close()
        write(f"results.{number}.jsonl", result)

    first, *longer = JOB["limits"]
    slow = prunella_group.first_round(sys.modules[__name__], harness, swap, mine, first, is_over, tell)
    until = min(until, time.time() + max(LONGER, 0.5 * (time.time() - began)))
    for seconds in longer:
        for candidate in slow:
            if is_over() or os.path.exists(found):
                return
            tell(attempt(harness, swap, candidate, seconds))


def spent():
    """Seconds of the processor that this process and its ended children have had."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def attempt(harness, swap, candidate, seconds):
    began = spent()
    room = CLOCK * seconds + 0.5
    try:
        code = swap.compile(candidate)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return {"id": candidate["id"], "end": "invalid", "passed": 0, "error": type(error).__name__, "seconds": 0.0}

    def run(tests):
        def work(send):
            if not swap.apply(candidate, code):
                send({"end": "unswapped"})
                return
            for index in tests:
                result = one(harness, index, seconds)
                if not result["passed"]:
                    send({"end": "hung" if result["error"] == "Hung" else "failed", "error": result["error"]})
                    return
                send({})
            send({"end": "passed"})

        got = child(work, room, read=lambda _value: room)
        return got[-1] if got else {}

    # First what fails; what passes that runs everything in the suite's order, from a fresh start.
    last = run(candidate["tests"])
    if last.get("end") == "passed" and candidate["then"]:
        last = run(candidate["then"])
    return {
        "id": candidate["id"],
        "end": last.get("end", "hung"),
        "error": last.get("error"),
        "seconds": spent() - began,
    }


def _agree(harness):
    import prunella_agree

    prunella_agree.run(sys.modules[__name__], harness)


def _refute(harness):
    import prunella_refute

    prunella_refute.run(sys.modules[__name__], harness)
