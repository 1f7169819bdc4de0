"""Inputs like those that were seen: small changes that keep what all of them have in common.

What holds of every sample (a list is sorted, its elements differ, a number is not negative, values have one type) is
taken for the function's contract and kept, so that a difference on a generated input means something.
"""

import copy
import random

MAX_LENGTH = 40


class Facts:
    """What all samples of one value have in common."""

    def __init__(self, values):
        self.numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
        lists = [v for v in values if isinstance(v, (list, tuple)) and len(v) > 1]
        self.sorted = len(lists) > 0 and all(_is_sorted(v) for v in lists)
        self.distinct = len(lists) > 0 and all(_is_distinct(v) for v in lists)
        lengths = [length for length in map(_length, values) if length is not None]
        self.same_length = len(set(lengths)) == 1 and len(values) > 2
        self.never_empty = bool(values) and all(length > 0 for length in lengths)
        self.low = min(self.numbers, default=0)
        self.high = max(self.numbers, default=0)
        letters = sorted({c for v in values if isinstance(v, str) for c in v})
        self.letters = "".join(letters) or "ab 1"
        items = [i for v in values if isinstance(v, (list, tuple, set, frozenset)) for i in v]
        self.items = Facts(items) if items and len(items) < 5000 else None
        kinds = {type(v) for v in values}
        self.kinds = kinds


def _length(value):
    """How long a value is; `None` for what has no length, such as a class whose objects have one."""
    try:
        return len(value)
    except Exception:
        return None


def _is_sorted(values):
    try:
        return all(a <= b for a, b in zip(values, values[1:]))
    except Exception:
        return False


def _is_distinct(values):
    try:
        return len(set(values)) == len(values)
    except TypeError:
        return False


class Mutator:
    """Makes inputs from samples; the same seed makes the same ones."""

    def __init__(self, samples, seed=1):
        """`samples` are tuples of arguments of one length."""
        self.samples = samples
        self.random = random.Random(seed)
        width = len(samples[0]) if samples else 0
        self.facts = [Facts([s[i] for s in samples]) for i in range(width)]

    def make(self):
        """One new tuple of arguments: a sample with some of its arguments changed, once or a few times."""
        sample = list(copy.deepcopy(self.random.choice(self.samples)))
        if not sample:
            return ()
        if self.random.random() < 0.15:
            # Arguments of different samples together.
            for i in range(len(sample)):
                sample[i] = copy.deepcopy(self.random.choice(self.samples)[i])
        for _ in range(self.random.choice((1, 1, 1, 2, 2, 3, 5))):
            i = self.random.randrange(len(sample))
            try:
                sample[i] = self.value(sample[i], self.facts[i])
            except Exception:  # values of the program's own classes may refuse anything
                continue
        return tuple(sample)

    def value(self, value, facts, depth=0):
        """A changed value of the same type."""
        kind = type(value)
        if depth > 6:
            return value
        if kind is bool:
            return not value
        if kind is int:
            return self._int(value, facts)
        if kind is float:
            return self._float(value, facts)
        if kind is str:
            return self._text(value, facts)
        if kind is list:
            return self._list(value, facts, depth)
        if kind is tuple:
            return tuple(self._list(list(value), facts, depth, keep_length=True))
        if kind in (set, frozenset):
            return kind(self._list(list(value), facts, depth))
        if kind is dict:
            return self._dict(value, facts, depth)
        if hasattr(value, "__dict__") and not callable(value):
            return self._object(value, depth)
        return value

    def _int(self, value, facts):
        pick = self.random.random()
        low = facts.low if facts else value - 3
        high = facts.high if facts else value + 3
        if pick < 0.5:
            new = value + self.random.choice((-2, -1, 1, 2))
        elif pick < 0.85:
            new = self.random.randint(int(min(low, high)), int(min(max(low, high), min(low, high) + 200)) + 2)
        else:
            new = self.random.choice((0, 1, 2, value * 2, value // 2))
        if facts and facts.numbers and low >= 0:
            new = max(new, 1 if low >= 1 else 0)
        if facts and facts.numbers and high <= 0:
            new = min(new, 0)
        return new

    def _float(self, value, facts):
        new = self.random.choice((value / 2, value * 2, value + 1, value - 1, round(value), value * 1.1))
        return abs(new) if facts and facts.numbers and facts.low >= 0 else new

    def _text(self, value, facts):
        letters = list(value)
        pick = self.random.randrange(5)
        at = self.random.randrange(len(letters) + 1)
        letter = self.random.choice(facts.letters if facts else "ab 1")
        if pick == 0 and letters:
            del letters[min(at, len(letters) - 1)]
        elif pick == 1 and len(letters) < MAX_LENGTH * 4:
            letters.insert(at, letter)
        elif pick == 2 and letters:
            letters[min(at, len(letters) - 1)] = letter
        elif pick == 3 and letters:
            letters = letters[:at]
        elif letters:
            self.random.shuffle(letters)
        if facts and facts.never_empty and not letters:
            letters = [letter]
        return "".join(letters)

    def _list(self, values, facts, depth, keep_length=False):
        values = list(values)
        keep_length = keep_length or bool(facts and facts.same_length)
        inner = facts.items if facts else None
        pick = self.random.randrange(6)
        at = self.random.randrange(len(values) + 1)
        if not values:
            return values
        if pick == 0 and not keep_length:
            del values[min(at, len(values) - 1)]
        elif pick == 1 and not keep_length and len(values) < MAX_LENGTH:
            new = copy.deepcopy(self.random.choice(values))
            values.insert(at, self.value(new, inner, depth + 1) if self.random.random() < 0.7 else new)
        elif pick == 2 and len(values) > 1 and not keep_length:
            self.random.shuffle(values)
        elif pick == 3 and not keep_length:
            values = values[: max(at, 1)]
        else:
            i = min(at, len(values) - 1)
            values[i] = self.value(values[i], inner, depth + 1)
        if facts and facts.distinct and not keep_length:
            seen = []
            values = [v for v in values if not (v in seen or seen.append(v))]
        if facts and facts.sorted and not keep_length:
            try:
                values.sort()
            except TypeError:
                pass
        return values

    def _dict(self, values, facts, depth):
        values = dict(values)
        if not values:
            return values
        key = self.random.choice(list(values))
        if self.random.random() < 0.3:
            del values[key]
        else:
            inner = Facts([v for v in values.values()])
            values[key] = self.value(values[key], inner, depth + 1)
        return values

    def _object(self, value, depth):
        """One attribute of the object, or of one that it leads to; references go to others of the same kind."""
        found = _reachable(value)
        target = self.random.choice(found)
        names = [n for n in vars(target) if not n.startswith("__")]
        if not names:
            return value
        name = self.random.choice(sorted(names))
        now = getattr(target, name)
        if isinstance(now, list) and now and hasattr(now[0], "__dict__"):
            others = [o for o in found if type(o) is type(now[0])]
            changed = list(now)
            if self.random.random() < 0.5:
                changed.pop(self.random.randrange(len(changed)))
            else:
                changed.append(self.random.choice(others))
        elif hasattr(now, "__dict__"):
            changed = self.random.choice([o for o in found if type(o) is type(now)] + [now])
        else:
            changed = self.value(now, Facts([now]), depth + 1)
        try:
            setattr(target, name, changed)
        except Exception:
            pass
        return value


def odd(value, rand, depth=0):
    """A value of another kind or size than the given one, or a container with such a value in it."""
    kind = type(value)
    if kind in (list, tuple) and value and depth < 4 and rand.random() < 0.6:
        items, i = list(value), rand.randrange(len(value))
        items[i] = odd(items[i], rand, depth + 1)
        return kind(items)
    if kind is dict and value and depth < 4 and rand.random() < 0.6:
        key = rand.choice(list(value))
        return {**value, key: odd(value[key], rand, depth + 1)}
    if kind is bool:
        return rand.choice((None, not value))
    if kind is int:
        return rand.choice((value + 0.5, float(value), -value, -value - 1, 0, value * 10 + 3, value + 1000, None))
    if kind is float:
        return rand.choice((int(value), -value, 0.0, value + 0.25, value * 100, None))
    if kind is str:
        return rand.choice(("", " ", value + " ", value.upper(), value.lower(), value * 2, value[::-1], value + "1", "\u00e9" + value))
    if kind in (list, tuple):
        items = list(value)
        return kind(rand.choice(([], items[:1], items + items, items[::-1], items + [None], items + items[:1])))
    if kind in (set, frozenset, dict):
        return kind()
    return rand.choice((0, "", 1)) if value is None else value


def _reachable(value, most=60):
    found, open_, seen = [], [value], set()
    while open_ and len(found) < most:
        at = open_.pop()
        if id(at) in seen:
            continue
        seen.add(id(at))
        if hasattr(at, "__dict__") and not callable(at):
            found.append(at)
            open_.extend(vars(at).values())
        elif isinstance(at, (list, tuple, set, frozenset)):
            open_.extend(at)
        elif isinstance(at, dict):
            open_.extend(at.values())
    return found


def canonical(value, most=3000):
    """A text that is equal for equal values, also for objects without equality and for endless ones."""
    out, seen = [], {}

    def put(at, depth):
        if len(out) > most or depth > 40:
            out.append("…")
            return
        kind = type(at)
        if at is None or kind in (bool, int, str, bytes):
            # A truth value and a number compare as equal in Python.
            out.append(repr(at) if kind is not bool else repr(int(at)))
        elif kind is float:
            out.append(repr(int(at)) if at == at and abs(at) < 1e15 and at == int(at) else f"{at:.9g}")
        elif id(at) in seen:
            out.append(f"#{seen[id(at)]}")
        elif kind in (list, tuple):
            seen[id(at)] = len(seen)
            out.append("[" if kind is list else "(")
            for item in at:
                put(item, depth + 1)
                out.append(",")
            out.append("]")
        elif kind in (set, frozenset):
            out.append("{" + ",".join(sorted(canonical(i, 200) for i in at)) + "}")
        elif isinstance(at, dict):
            seen[id(at)] = len(seen)
            pairs = sorted((canonical(k, 200), v) for k, v in list(at.items()))
            out.append("{")
            for key, item in pairs:
                out.append(key + ":")
                put(item, depth + 1)
                out.append(",")
            out.append("}")
        elif hasattr(at, "__next__"):
            items = []
            for item in at:
                items.append(item)
                if len(items) > 300:
                    break
            put(items, depth + 1)
        elif callable(at):
            out.append(getattr(at, "__qualname__", kind.__name__))
        elif hasattr(at, "__dict__"):
            seen[id(at)] = len(seen)
            out.append(kind.__name__ + "(")
            for name in sorted(vars(at)):
                out.append(name + "=")
                put(vars(at)[name], depth + 1)
                out.append(",")
            out.append(")")
        else:
            text = repr(at)
            out.append(kind.__name__ if " at 0x" in text else text)

    put(value, 0)
    return "".join(out)
