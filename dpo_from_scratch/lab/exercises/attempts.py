"""A reader's function, called with care: on copies, within a time, its prints kept apart."""

import contextlib
import copy
import ctypes
import dis
import inspect
import io
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

SECONDS = 10.0  # for all calls of one check


@dataclass(frozen=True)
class Outcome:
    """What a call gave, or one sentence about why it gave nothing."""

    value: object = None
    trouble: str = ""
    printed: str = ""


class Clock:
    """The time that is left for an attempt; starts when it is made.

    On a machine that is busy with other things an attempt gets up to three times as long, until
    this process has worked for half of its time.
    """

    def __init__(self, seconds: float = SECONDS):
        self.seconds, self.began, self.worked = seconds, time.monotonic(), time.process_time()

    def over(self) -> bool:
        """Whether it has ended."""
        gone, worked = time.monotonic() - self.began, time.process_time() - self.worked
        return gone > self.seconds and (worked > self.seconds / 2 or gone > 3 * self.seconds)


IDLE = {"RESUME", "NOP", "LOAD_CONST", "POP_TOP", "RETURN_VALUE", "RETURN_CONST"}


def blank(function) -> bool:
    """Whether the body is `...`, `pass` or a docstring alone: nothing was tried yet."""
    code = getattr(function, "__code__", None)
    if code is None or any(step.opname not in IDLE for step in dis.get_instructions(code)):
        return False
    return all(c in (None, Ellipsis, function.__doc__) for c in code.co_consts)


def call(function: Callable, arguments: Mapping[str, object], clock: Clock) -> Outcome:
    """`function` with these arguments, in their order.

    It runs in a thread of its own, since only so can it be given up on every system.
    """
    given, found, said = [copy.deepcopy(a) for a in arguments.values()], {}, io.StringIO()

    def work() -> None:
        try:
            found["value"] = function(*given)
        except BaseException as error:
            found["error"] = error

    thread = threading.Thread(target=work, daemon=True)
    with contextlib.redirect_stdout(said):
        thread.start()
        thread.join(0.1)  # a call gets this much at least
        while thread.is_alive() and not clock.over():
            thread.join(0.1)
    if thread.is_alive():
        stop(thread)
        return Outcome(trouble=f"it had not ended after {clock.seconds:g} seconds.")
    return outcome(function, arguments, given, found, said.getvalue())


def outcome(function, arguments, given, found: dict, said: str) -> Outcome:
    """The value of a call that ended, or what was wrong with it."""
    if "error" in found:
        return Outcome(trouble=raised(function, found["error"]), printed=said)
    for (name, before), after in zip(arguments.items(), given, strict=True):
        if not unchanged(before, after):
            trouble = f"it changes its argument `{name}`: work on a copy."
            return Outcome(trouble=trouble, printed=said)
    if found["value"] is None:
        why = "it prints its result and returns nothing" if said else "it returns nothing"
        return Outcome(trouble=f"{why}: end with `return`.", printed=said)
    return Outcome(found["value"], printed=said)


def misfit(function: Callable, arguments: Mapping[str, object]) -> str:
    """A sentence if the function can't be called with so many arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return ""
    try:
        signature.bind(*arguments)
    except TypeError:
        return (
            f"it takes ({', '.join(signature.parameters)}), and is called with "
            f"{len(arguments)} arguments: ({', '.join(arguments)})."
        )
    return ""


def raised(function: Callable, error: BaseException) -> str:
    """The error, and the line of the attempt where it was raised."""
    code = getattr(function, "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f.lineno for f in frames if code and f.filename == code.co_filename]
    first = code.co_firstlineno if code else 0
    where = f" in line {lines[-1] - first + 1} of it" if lines and lines[-1] >= first else ""
    text = " ".join(str(error).split())
    return f"it raises {type(error).__name__}{where}" + (f": {text[:160]}" if text else "") + "."


def stop(thread: threading.Thread) -> None:
    """Ask a thread to end at its next line of Python."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
    )


def unchanged(before, after) -> bool:
    """Whether an argument is what it was."""
    if isinstance(before, nn.Module):
        return unchanged(before.state_dict(), after.state_dict())
    if isinstance(before, torch.Tensor):
        same = before.shape == after.shape and before.dtype == after.dtype
        return same and torch.equal(torch.nan_to_num(before), torch.nan_to_num(after))
    if isinstance(before, np.ndarray):
        return before.shape == after.shape and bool(np.array_equal(before, after))
    if isinstance(before, Mapping):
        return list(before) == list(after) and all(unchanged(before[k], after[k]) for k in before)
    if isinstance(before, list | tuple):
        return len(before) == len(after) and all(map(unchanged, before, after))
    plain = isinstance(before, str | bytes | int | float | bool | type(None))
    return before == after if plain else True
