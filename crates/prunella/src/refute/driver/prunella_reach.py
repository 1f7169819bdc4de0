"""Which lines of a file run for which inputs: code that ran before a patch and runs no more, although it is still there."""

import difflib
import sys
import time

SECONDS = 0.6
SHORTEST = 40  # inputs, below which nothing is concluded


def first_runs(function, file, inputs, call):
    """The number of the first input for which each line of a file runs, and of how many inputs that is known."""
    firsts, at, names = {}, [0], {function.__code__.co_filename, file}

    def local(frame, event, _arg):
        if event == "line":
            firsts.setdefault(frame.f_lineno, at[0])
        return local

    def enter(frame, _event, _arg):
        return local if frame.f_code.co_filename in names else None

    end, known = time.monotonic() + SECONDS, 0
    for arguments in inputs:
        if time.monotonic() > end:
            break
        sys.settrace(enter)
        try:
            call(arguments)
        finally:
            sys.settrace(None)
        known, at[0] = known + 1, at[0] + 1
    return {"ran": sorted(firsts.items()), "traced": known}


def silenced(before, after, ran_before, ran_after):
    """How many lines that are the same in both texts run before and not after, for the inputs that both were traced with."""
    most = min(ran_before["traced"], ran_after["traced"])
    if most < SHORTEST:
        return 0
    old, new = before.splitlines(), after.splitlines()
    was, now = ({line for line, first in ran["ran"] if first < most} for ran in (ran_before, ran_after))
    gone = 0
    for tag, a, b, c, _ in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            gone += sum(a + i + 1 in was and c + i + 1 not in now for i in range(b - a))
    return gone
