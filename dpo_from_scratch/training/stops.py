"""What ends a run before its last step: a signal, numbers that are not finite, a failing machine.

Each is told in a sentence with its likely cause, and with where the last good weights are.
"""

import math
import signal
from contextlib import contextmanager

from torch import nn

from ..data import DataError
from .checkpoints import not_finite, trainable
from .settings import TrainConfig


class Stopped(KeyboardInterrupt):
    """A run was asked to stop, and has left a checkpoint; `signal` is 2 (Ctrl-C) or 15."""

    def __init__(self, told: str, number: int):
        super().__init__(told)
        self.signal = number


@contextmanager
def interruptible():
    """Ctrl-C, or the SIGTERM of a batch system, sets a flag instead of breaking into a step.

    Yields a function that gives the signal's number, 0 before there is one. Twice breaks in.
    """
    came: list[int] = []

    def note(number, frame):
        if came:
            raise Stopped("", number)
        came.append(number)

    before = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, note)
    except ValueError:  # not in the main thread
        yield lambda: 0
        return
    try:
        yield lambda: came[0] if came else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def told(step: int, run):
    """What fails inside a step, such as a GPU's memory, as one sentence; DataErrors pass."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(f"step {step + 1} failed ({first}){run.where()}") from error


def check_finite(name: str, value: float, step: int, config: TrainConfig, run) -> None:
    """DataError with the step and the likely cause if a number of the run is nan or inf."""
    if not math.isfinite(value):
        anew = ", and begin anew with --overwrite or in another folder" if run.where() else ""
        cause = likely_cause(step, config) + anew
        raise DataError(f"the {name} of step {step + 1} is {value}: {cause}{run.where()}")


def check_weights(model: nn.Module, step: int, config: TrainConfig, run) -> None:
    """The same for the weights that the update of a step has left."""
    broken = not_finite(trainable(model))
    if broken:
        check_finite(f"weights ({broken})", math.nan, step, config, run)


def likely_cause(step: int, config: TrainConfig) -> str:
    """What to change where numbers are no longer finite, the likeliest cause first."""
    otherwise = "" if config.precision in ("no", "auto") else ", or use precision no"
    if config.beta > 1000:
        return f"beta {config.beta:g} is very large, lower it{otherwise}"
    if config.weight_decay * config.learning_rate > 1:
        decay = f"weight decay {config.weight_decay:g}, times the learning rate"
        return f"{decay}, makes the weights grow at each step, lower it"
    if step == 0:
        return f"nothing has moved yet, so look at the model and the options{otherwise}"
    return f"lower the learning rate{otherwise}"
