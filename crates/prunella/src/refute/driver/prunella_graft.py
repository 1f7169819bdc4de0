"""Puts the changed source of loaded modules in the place of what they are: functions everywhere they are known, new names,
changed constants. What a module did when it was loaded is not done again for anybody else.
"""

import gc
import os
import sys
import types

PLAIN = (int, float, complex, str, bytes, bool, type(None), tuple, frozenset)


def modules(files):
    """The loaded modules of these files, by path."""
    wanted = {os.path.realpath(file): file for file in files}
    found = {}
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and os.path.realpath(path) in wanted:
            found.setdefault(wanted[os.path.realpath(path)], module)
    return found


def codes(code, name="", out=None):
    """All functions' code by qualified name, in the order of the text, without lambdas and comprehensions."""
    out = {} if out is None else out
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType) and not inner.co_name.startswith("<"):
            full = f"{name}.{inner.co_name}" if name else inner.co_name
            out.setdefault(full, []).append(inner)
            codes(inner, full, out)
    return out


def shape(code):
    """What a code does, without its place in the file."""
    consts = tuple(shape(c) if isinstance(c, types.CodeType) else (type(c).__name__, repr(c)) for c in code.co_consts)
    return code.co_code, consts, code.co_names, code.co_varnames, code.co_freevars, code.co_flags


def changed(before, after):
    """Names of functions that are there before and after and differ: the outermost ones."""
    old, new = codes(before), codes(after)
    names = [n for n in new if n in old and [shape(c) for c in new[n]] != [shape(c) for c in old[n]]]
    # A class is code too, and its methods are what is called.
    is_function = lambda n: new[n][0].co_flags & 2  # noqa: E731 CO_NEWLOCALS: not a class body
    functions = [n for n in names if is_function(n)]
    return [n for n in functions if not any(n.startswith(other + ".") and is_function(other) for other in functions)]


class Graft:
    """Knows the loaded functions of some files."""

    def __init__(self, files):
        self.modules = modules(files)
        self.live = {}
        paths = {os.path.realpath(file): file for file in self.modules}
        gc.unfreeze()  # what is frozen is not listed
        for thing in gc.get_objects():
            if isinstance(thing, types.FunctionType):
                file = paths.get(os.path.realpath(thing.__code__.co_filename))
                if file is not None:
                    self.live.setdefault((file, plain_name(thing.__qualname__)), []).append(thing)
        gc.freeze()

    def functions(self, file, name):
        """The loaded functions of this name, in the order of the text."""
        found = self.live.get((file, name), [])
        return sorted(found, key=lambda f: f.__code__.co_firstlineno)

    def put(self, files):
        """Puts sources in place; for forked children. Files that nobody loaded are left alone."""
        for file, text in files.items():
            module = self.modules.get(file)
            if module is None:
                continue
            code = compile(text, module.__file__, "exec", dont_inherit=True)
            fresh = self._run(code, module)
            for name, made in codes(code).items():
                live = self.functions(file, name)
                for function in live:
                    # Functions of one name (a property's getter and setter) are told apart by their order.
                    lines = sorted({f.__code__.co_firstlineno for f in live})
                    self._exchange(function, made[min(lines.index(function.__code__.co_firstlineno), len(made) - 1)])
            self._names(module, fresh)

    @staticmethod
    def _run(code, module):
        scope = {k: v for k, v in vars(module).items() if k.startswith("__") and k.endswith("__")}
        try:
            exec(code, scope)  # noqa: S102 the candidate runs in this child anyway
        except BaseException:
            pass
        return scope

    @staticmethod
    def _exchange(function, code):
        try:
            function.__code__ = code
        except ValueError:  # another number of free variables
            pass

    def _names(self, module, fresh):
        known = vars(module)
        for name, value in fresh.items():
            if name.startswith("__") and name.endswith("__"):
                continue
            now = known.get(name, fresh)
            if isinstance(value, types.FunctionType) and value.__globals__ is fresh:
                if isinstance(now, types.FunctionType):
                    now.__defaults__, now.__kwdefaults__ = value.__defaults__, value.__kwdefaults__
                elif now is fresh:
                    known[name] = self._own(value, module)
            elif isinstance(value, type) and isinstance(now, type) and value.__module__ == module.__name__:
                self._members(now, value, module)
            elif now is fresh or (isinstance(value, PLAIN) and isinstance(now, PLAIN) and now != value):
                known[name] = value

    def _members(self, now, fresh, module):
        for name, value in vars(fresh).items():
            if name in ("__dict__", "__weakref__", "__module__", "__doc__", "__qualname__"):
                continue
            old = vars(now).get(name, fresh)
            if isinstance(value, types.FunctionType):
                if isinstance(old, types.FunctionType):
                    old.__defaults__, old.__kwdefaults__ = value.__defaults__, value.__kwdefaults__
                    continue
                value = self._own(value, module)
            if old is fresh or (isinstance(value, PLAIN) and isinstance(old, PLAIN) and old != value):
                try:
                    setattr(now, name, value)
                except (AttributeError, TypeError):
                    pass

    @staticmethod
    def _own(function, module):
        made = types.FunctionType(
            function.__code__, vars(module), function.__name__, function.__defaults__, function.__closure__
        )
        made.__kwdefaults__, made.__qualname__ = function.__kwdefaults__, function.__qualname__
        return made


def plain_name(qualname):
    """A qualified name as `codes` makes it."""
    return qualname.replace(".<locals>", "")
