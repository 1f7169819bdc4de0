"""What holds of every answer that tests have seen, asked of answers that no test has seen.

Daikon's idea (Ernst et al., 2007) on a small grammar: relations of an answer to its arguments. A law counts if it holds on all samples and is not trivially so on them.
"""

import collections

LEAST = 3  # samples with an answer, below which nothing is concluded


def _counts(values):
    try:
        return collections.Counter(values)
    except TypeError:
        return collections.Counter(map(repr, values))


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_list(value):
    return isinstance(value, (list, tuple))


def _sized(value):
    return isinstance(value, (list, tuple, str, dict, set, frozenset))


def kind(value):
    """A type by name; whole floats are floats."""
    return type(value).__name__


def _sorted(value):
    return all(a <= b for a, b in zip(value, value[1:]))


def _flat(value):
    return "".join(value) if all(isinstance(v, str) for v in value) else [i for v in value for i in v]


# Each gives None where it says nothing of such an answer, otherwise whether it holds.
ALONE = {
    "not negative": lambda r: r >= 0 if _is_number(r) else None,
    "not zero": lambda r: r != 0 if _is_number(r) else None,
    "whole": lambda r: r == int(r) if isinstance(r, float) else None,
    "not empty": lambda r: len(r) > 0 if _sized(r) else None,
    "sorted": lambda r: _sorted(r) if _is_list(r) and len(r) > 1 else None,
    "distinct": lambda r: max(_counts(r).values()) == 1 if _is_list(r) and len(r) > 1 else None,
    "of one type": lambda r: len({kind(i) for i in r}) == 1 if _is_list(r) and len(r) > 1 else None,
    "of one length": lambda r: len({len(i) for i in r}) == 1
    if _is_list(r) and len(r) > 1 and all(_sized(i) for i in r)
    else None,
    "without gaps": lambda r: all(i is not None for i in r) if _is_list(r) and r else None,
}

WITH_ONE = {
    "as long as": lambda r, a: len(r) == len(a) if _sized(r) and _sized(a) else None,
    "no longer than": lambda r, a: len(r) <= len(a) if _sized(r) and _sized(a) else None,
    "no shorter than": lambda r, a: len(r) >= len(a) if _sized(r) and _sized(a) else None,
    "the same items as": lambda r, a: _counts(r) == _counts(a) if _is_list(r) and _is_list(a) and a else None,
    "items of": lambda r, a: not (_counts(r) - _counts(a)) if _is_list(r) and _is_list(a) and r else None,
    "letters of": lambda r, a: set(r) <= set(a) if isinstance(r, str) and isinstance(a, str) and r else None,
    "within": lambda r, a: r in a
    if (isinstance(r, str) and isinstance(a, str)) or (_is_list(a) and a and type(r) is type(a[0]))
    else None,
    "a place in": lambda r, a: -1 <= r < len(a) if isinstance(r, int) and _sized(a) and not isinstance(r, bool) else None,
    "at most": lambda r, a: r <= a if _is_number(r) and _is_number(a) else None,
    "at least": lambda r, a: r >= a if _is_number(r) and _is_number(a) else None,
    "no larger than the largest of": lambda r, a: r <= max(a)
    if _is_number(r) and _is_list(a) and a and all(map(_is_number, a))
    else None,
    "no larger than the sum of": lambda r, a: r <= sum(a)
    if _is_number(r) and _is_list(a) and a and all(map(_is_number, a))
    else None,
    "joined makes": lambda r, a: _flat(r) == (list(a) if not isinstance(a, str) else a)
    if _is_list(r) and len(r) > 1 and _sized(a) and all(_is_list(i) or isinstance(i, str) for i in r)
    else None,
    "joined is as long as": lambda r, a: len(_flat(r)) == len(a)
    if _is_list(r) and len(r) > 1 and _sized(a) and all(_sized(i) for i in r)
    else None,
    "sums to": lambda r, a: sum(r) == a if _is_list(r) and len(r) > 1 and _is_number(a) and all(map(_is_number, r)) else None,
    "the product is": lambda r, a: _product(r) == a
    if _is_list(r) and r and _is_number(a) and all(map(_is_number, r))
    else None,
    "of the type of": lambda r, a: kind(r) == kind(a),
}


def _product(values):
    made = 1
    for value in values:
        made *= value
    return made


def _ask(law, *values):
    try:
        holds = law(*values)
    except Exception:
        return None
    return None if holds is None else bool(holds)


class Laws:
    """The laws that hold on samples: pairs of arguments and answer."""

    def __init__(self, samples):
        self.kinds = {kind(result) for _, result in samples}
        self.never_nothing = all(result is not None for _, result in samples)
        self.enough = len(samples) >= LEAST
        self.alone = [n for n, law in ALONE.items() if self._holds(_ask(law, r) for _, r in samples)]
        width = min((len(a) for a, _ in samples), default=0)
        self.with_one = [
            (name, i)
            for i in range(width)
            for name, law in WITH_ONE.items()
            if self._holds(_ask(law, r, a[i]) for a, r in samples)
        ]

    @staticmethod
    def _holds(said):
        said = [s for s in said if s is not None]
        return len(said) >= LEAST and all(said)

    def count(self):
        """How many there are."""
        return (len(self.alone) + len(self.with_one) + 1) if self.enough else 0

    def broken(self, arguments, result):
        """The names of the laws that an answer breaks."""
        if not self.enough:
            return []
        out = [] if kind(result) in self.kinds else ["of a type seen before"]
        out += [n for n in self.alone if _ask(ALONE[n], result) is False]
        out += [f"{n} argument {i + 1}" for n, i in self.with_one if _ask(WITH_ONE[n], result, arguments[i]) is False]
        return out
