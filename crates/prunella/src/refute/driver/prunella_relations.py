"""Relations between the answers to related arguments, and arguments that a patch calls by name.

Metamorphic relations (Chen et al., "Metamorphic testing", 2018), found and not given: what always held before a patch and
holds no more for what it mends is a sign against it. So is new code that names the very values that the failing test
passes: it answers that test and no other input.
"""

import ast
import collections
import copy
import time

import prunella_inputs

SECONDS = 1.0
LEAST = 6  # times that a relation was seen to hold, below which nothing is concluded


def _text(value):
    return prunella_inputs.canonical(value)


def _same(one, other):
    return _text(one) == _text(other)


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _negated(one, other):
    if _is_number(one) and _is_number(other):
        return one == -other
    if isinstance(one, str) and isinstance(other, str):
        return other == "-" + one or one == "-" + other
    return _same(one, other)


def relatives(arguments, value):
    """(name, related arguments, how their answer is related to this one)."""
    for i, one in enumerate(arguments):
        rest = lambda new, at=i: (*arguments[:at], new, *arguments[at + 1 :])
        if isinstance(one, list) and len(one) > 1:
            yield f"order of argument {i + 1}", rest(copy.deepcopy(one)[::-1]), _same
        if _is_number(one) and one:
            yield f"sign of argument {i + 1}", rest(-one), _negated
        if isinstance(one, int) and not isinstance(one, bool):
            yield f"argument {i + 1} as a float", rest(float(one)), _same
        if isinstance(one, str) and one.lower() != one.upper():
            yield f"case of argument {i + 1}", rest(one.swapcase()), _same
    if len(arguments) == 2 and type(arguments[0]) is type(arguments[1]):
        yield "order of the arguments", (arguments[1], arguments[0]), _same
    if arguments and type(value) is type(arguments[0]) and not _is_number(value):
        yield "the answer as argument 1", (copy.deepcopy(value), *arguments[1:]), _same


def table(answer, got, is_bad):
    """How often each relation held and did not, by name. `got` are arguments, word and answer."""
    end, held = time.monotonic() + SECONDS, collections.defaultdict(lambda: [0, 0])
    for arguments, word, value in got:
        if is_bad(word) or hasattr(value, "__next__"):
            continue
        for name, other, related in relatives(arguments, value):
            if time.monotonic() > end:
                return dict(held)
            try:
                said, theirs = answer(other)
                holds = not is_bad(said) and related(value, theirs)
            except Exception:
                continue
            held[name][not holds] += 1
    return dict(held)


def lost(before, after):
    """The relations that always held before and do not always hold now."""
    always = [n for n, (held, broken) in before.items() if held >= LEAST and not broken]
    return sorted(n for n in always if n in after and after[n][1])


def _constants(text):
    """Values that a text names, each as often as it does; docstrings are none."""
    tree, found = ast.parse(text), collections.Counter()
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Constant, ast.List, ast.Tuple, ast.UnaryOp)) and id(node) not in said:
            try:
                found[_text(ast.literal_eval(node))] += 1
            except (ValueError, TypeError, SyntaxError, RecursionError):
                pass
    return found


def _is_particular(value):
    """Whether no general rule would name such a value: 917 and 'widget', and not 0, 100 or ','."""
    if _is_number(value):
        digits = f"{abs(value):.12g}".split("e")[0].replace(".", "").strip("0")
        return len(digits) > 1 and abs(value) > 9 or len(digits) > 2
    if isinstance(value, str):
        return len(value) > 3
    return isinstance(value, (list, tuple)) and len(value) > 1


def named(before, after, mended):
    """How many of the mended arguments new code calls by name."""
    try:
        new = _constants(after) - _constants(before)
    except (SyntaxError, ValueError, RecursionError):
        return 0
    return sum(any(_is_particular(v) and _text(v) in new for v in arguments) for arguments in mended)
