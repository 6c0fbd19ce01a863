"""Other people's code: chat templates and tokenizers. What goes wrong there is one sentence.

A template runs in jinja's sandbox, but it may raise or loop for ever; every call of theirs passes
`guarded`, which also breaks off what calls `sys.exit`.
"""

import ctypes
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from .data import DataError

PATIENCE = 20.0  # seconds for one call


class _OutOfTime(BaseException):
    """Raised in a thread whose call has run for too long; no `except Exception` swallows it."""


_lock = threading.Lock()
_deadlines: dict[int, list[float]] = {}  # thread -> ends of its calls, the innermost last
_sent: set[int] = set()  # threads that were told to stop, and may not have heard it
_watchman: list[threading.Thread] = []


def guarded(whose: str, call: Callable, *args, seconds: float = PATIENCE, **kwargs):
    """call(*args, **kwargs), and DataError "`whose` ..." if it raises, exits or does not end.

    After `seconds` a call is broken off, on every system and in every thread, as soon as Python
    runs a line of it: a single call into C that does not return can't be broken off. DataError of
    its own and Ctrl-C pass through.
    """
    me = threading.get_ident()
    _begin(me, seconds)
    try:
        try:
            return call(*args, **kwargs)
        finally:  # inside, because time may run out here too
            _end(me)
    except DataError:
        raise
    except _OutOfTime:
        raise DataError(f"{whose} had not ended after {seconds:g} seconds") from None
    except SystemExit as error:
        raise DataError(f"{whose} asked the program to exit ({error})") from error
    except (Exception, RecursionError, MemoryError) as error:
        told = " ".join(str(error).split())[:200]
        name = type(error).__name__
        raise DataError(f"{whose} raised {name}{f': {told}' if told else ''}") from error


def _begin(thread: int, seconds: float) -> None:
    with _lock:
        _deadlines.setdefault(thread, []).append(time.monotonic() + seconds)
        if not _watchman or not _watchman[-1].is_alive():
            _watchman[:] = [threading.Thread(target=_watch, daemon=True, name="patience")]
            _watchman[-1].start()


def _end(thread: int) -> None:
    with _lock:
        _deadlines[thread].pop()
        if not _deadlines[thread]:
            del _deadlines[thread]
        late = thread in _sent
        _sent.discard(thread)
    if late:
        _let_it_arrive(thread)


def _let_it_arrive(thread: int) -> None:
    """What was sent and has not arrived yet must not break into our own code: it arrives here.

    To take it back (with NULL) would leave Python asking at every line whether something came.
    """
    with suppress(_OutOfTime):
        _send(thread, _OutOfTime)
        while True:
            time.sleep(0)


def _watch() -> None:
    """Look at the clock four times a second, as long as anything is watched."""
    while True:
        time.sleep(0.25)
        with _lock:
            if not _deadlines:
                _watchman.clear()
                return
            for thread, ends in _deadlines.items():
                if time.monotonic() > ends[-1]:
                    ends[-1] += 1.0  # again in a second, if the call has caught it
                    _sent.add(thread)
                    _send(thread, _OutOfTime)


def _send(thread: int, what: type[BaseException]) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(what))
