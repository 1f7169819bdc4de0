"""Shifts the wall clock of this interpreter by CLOCK_OFFSET_MS, then runs the sitecustomize that it stands before."""
import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))


def _shift(offset):
    import datetime
    import time

    real_time, real_ns = time.time, time.time_ns
    real_local, real_gm, real_str = time.localtime, time.gmtime, time.strftime
    time.time = lambda: real_time() + offset
    time.time_ns = lambda: real_ns() + int(offset * 1_000_000_000)
    time.localtime = lambda secs=None: real_local(time.time() if secs is None else secs)
    time.gmtime = lambda secs=None: real_gm(time.time() if secs is None else secs)
    time.strftime = lambda form, t=None: real_str(form, time.localtime() if t is None else t)

    delta = datetime.timedelta(seconds=offset)
    real_date, real_datetime = datetime.date, datetime.datetime

    class _DateMeta(type):
        def __instancecheck__(cls, other):
            return isinstance(other, real_date)

        def __subclasscheck__(cls, other):
            return issubclass(other, real_date)

    class _DatetimeMeta(type):
        def __instancecheck__(cls, other):
            return isinstance(other, real_datetime)

        def __subclasscheck__(cls, other):
            return issubclass(other, real_datetime)

    class date(real_date, metaclass=_DateMeta):
        @classmethod
        def today(cls):
            return cls.fromtimestamp(time.time())

    class datetime_(real_datetime, metaclass=_DatetimeMeta):
        @classmethod
        def now(cls, tz=None):
            moment = real_datetime.now(tz) + delta
            return cls(*_fields(moment), tzinfo=moment.tzinfo, fold=moment.fold)

        @classmethod
        def utcnow(cls):
            moment = real_datetime.fromtimestamp(real_time() + offset, datetime.timezone.utc)
            return cls(*_fields(moment))

        @classmethod
        def today(cls):
            return cls.now()

    def _fields(moment):
        return (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second, moment.microsecond)

    for made, name in ((date, "date"), (datetime_, "datetime")):
        made.__name__ = made.__qualname__ = name
        made.__module__ = "datetime"
        setattr(datetime, name, made)


try:
    _offset = int(os.environ.get("CLOCK_OFFSET_MS", "0")) / 1000
    _shift(_offset)
except Exception:  # the interpreter must start whatever happens here
    pass

sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _here]
sys.modules.pop("sitecustomize", None)
try:
    import sitecustomize  # noqa: F401
except ImportError:
    pass
