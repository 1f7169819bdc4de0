"""The driver for programs without a test harness: the whole command is the one test, run from a warm interpreter."""

import importlib
import importlib.machinery
import os
import runpy
import sys


class SourceSwap:
    """Gives a file's changed source to whoever imports it, or runs it."""

    def prepare(self, _files):
        """Nothing is loaded yet."""
        return self

    def compile(self, candidate):
        """The new code of the whole file."""
        with open(candidate["file"], encoding="utf-8", newline="") as file:
            lines = file.read().splitlines(keepends=True)
        first, last = candidate["line"] - 1, candidate["last"]
        text = "".join(lines[:first]) + candidate["text"] + "".join(lines[last:])
        return compile(text, candidate["file"], "exec", dont_inherit=True)

    def apply(self, candidate, code):
        """From now on in this process."""
        wanted = os.path.realpath(candidate["file"])
        original = importlib.machinery.SourceFileLoader.get_code

        def get_code(loader, name):
            path = loader.get_filename(name)
            return code if os.path.realpath(path) == wanted else original(loader, name)

        importlib.machinery.SourceFileLoader.get_code = get_code
        Harness.main = (wanted, code)
        return True


class Harness:
    """The command as one test."""

    main = ("", None)

    def __init__(self, argv):
        self.argv = argv
        self.names = ["the command"]
        self.swap = SourceSwap()

    def run(self, _index):
        """Whether it ends with status 0."""
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        sys.argv = list(self.argv)
        try:
            if self.argv[0] == "-m":
                sys.argv = self.argv[1:]
                sys.path.insert(0, os.getcwd())
                runpy.run_module(self.argv[1], run_name="__main__", alter_sys=True)
            else:
                self._script()
        except SystemExit as end:
            passed = end.code in (None, 0)
            return {"passed": passed, "skipped": False, "error": None if passed else "SystemExit"}
        except Exception as error:
            return {"passed": False, "skipped": False, "error": type(error).__name__}
        return {"passed": True, "skipped": False, "error": None}

    def _script(self):
        path = self.argv[0]
        sys.path.insert(0, os.path.dirname(os.path.realpath(path)))
        file, code = Harness.main
        if os.path.realpath(path) != file:
            runpy.run_path(path, run_name="__main__")
            return
        import types

        module = types.ModuleType("__main__")
        module.__file__ = path
        sys.modules["__main__"] = module
        exec(code, module.__dict__)  # noqa: S102 the program under test


def serve(driver):
    """Finds out what the command is and does the job."""
    argv = list(getattr(sys, "orig_argv", []))[1:]
    while argv and argv[0].startswith("-") and argv[0] != "-m":
        argv = argv[2:] if argv[0] in ("-W", "-X") else argv[1:]
    if not argv:
        return
    for name in driver.JOB.get("preload", ()):
        try:
            importlib.import_module(name)
        except BaseException:  # what cannot be loaded ahead is loaded when it is needed
            pass
    driver.serve(Harness(argv))
