"""Exchanges the code of a function that is already loaded everywhere."""

import __future__

import gc
import os
import types

FUTURE = 0
for _name in __future__.all_feature_names:
    FUTURE |= getattr(__future__, _name).compiler_flag


class Swap:
    """Knows the live functions of the files under repair."""

    def __init__(self):
        self.live = {}

    def prepare(self, files):
        """Finds all functions of these files (absolute paths)."""
        wanted = {os.path.realpath(file) for file in files}
        known = {}
        gc.unfreeze()  # what is frozen is not listed
        for thing in gc.get_objects():
            if isinstance(thing, types.FunctionType):
                name = thing.__code__.co_filename
                path = known.get(name)
                if path is None:
                    path = known[name] = os.path.realpath(name)
                if path in wanted:
                    self.live.setdefault(path, []).append(thing)
        gc.freeze()
        return self

    def functions(self, candidate):
        """The live functions that a candidate's unit defines."""
        found = []
        for function in self.live.get(os.path.realpath(candidate["file"]), ()):
            code = function.__code__
            same = code.co_name == candidate["name"]
            if hasattr(code, "co_qualname"):
                same = same and code.co_qualname == candidate["qualname"]
            if same and code.co_firstlineno <= candidate["line"]:
                found.append(function)
        if not found:
            return found
        # A property's getter and setter have one name: the nearest definition above the line counts.
        nearest = max(f.__code__.co_firstlineno for f in found)
        return [f for f in found if f.__code__.co_firstlineno == nearest]

    def compile(self, candidate):
        """The new code of the unit. Line numbers stay as they are in the file."""
        lines = candidate["line"] - 1
        around = candidate["around"]
        flags = 0
        for function in self.functions(candidate):
            flags = function.__code__.co_flags & FUTURE
        head = "".join(f"{' ' * depth}{line}\n" for depth, line in enumerate(around))
        text = "\n" * max(0, lines - len(around)) + head + candidate["text"]
        module = compile(text, candidate["file"], "exec", flags=flags, dont_inherit=True)
        code = module
        for name in [*(line[6:].rstrip(":") for line in around if line.startswith("class ")), candidate["name"]]:
            code = next(c for c in code.co_consts if isinstance(c, types.CodeType) and c.co_name == name)
        return code, module

    def apply(self, candidate, compiled):
        """Puts the code in place. Says whether there was a place."""
        code, module = compiled
        done = False
        for function in self.functions(candidate):
            try:
                if candidate.get("defaults"):
                    self._defaults(function, candidate, module)
                function.__code__ = code
                done = True
            except (ValueError, TypeError):
                continue
        return done

    @staticmethod
    def _defaults(function, candidate, module):
        """New default values, made as the definition would make them."""
        scope = dict(function.__globals__)
        exec(module, scope)  # noqa: S102 the candidate runs in this child anyway
        made = scope
        for line in candidate["around"]:
            if line.startswith("class "):
                made = vars(made[line[6:].rstrip(":")])
        fresh = made[candidate["name"]]
        fresh = getattr(fresh, "__func__", fresh)
        function.__defaults__, function.__kwdefaults__ = fresh.__defaults__, fresh.__kwdefaults__
