"""What several commands share: the options of training, judges by name, a reference to compare."""

import argparse
import re
import signal
import warnings
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path

from ..training import PRESETS, TrainConfig
from .defaults import LOSS_BETAS, LOSS_SETTINGS, QUICK, in_force

MODEL_HELP = '"tiny", "smollm2", a folder, or a hub id like gpt2'


def quiet_libraries() -> None:
    """No progress bars for loading, no retry messages: one sentence at the end says what failed."""
    import huggingface_hub
    import transformers

    transformers.utils.logging.disable_progress_bar()
    huggingface_hub.utils.logging.set_verbosity_error()


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Which model, in which folder, and whether an earlier run goes on."""
    parser.add_argument("--model", default="tiny", help=f"{MODEL_HELP} (default: tiny)")
    parser.add_argument(
        "--out",
        help="folder of the run (default: the next free one of runs/NAME, runs/NAME-2, ..., named "
        "after model and loss)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run in --out (default: the newest of runs/NAME* with equal settings)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="delete the run that --out holds, and begin anew"
    )


def run_folder(options: argparse.Namespace, name: str, settings: dict) -> Path:
    """The folder of a run: --out, else a new one of runs/NAME*; a folder that is new is made.

    With --resume the newest of these whose settings are equal. DataError if there is none.
    """
    from ..data import DataError
    from ..training.fingerprints import differences
    from ..training.folders import family, next_free, recorded

    if options.resume and options.overwrite:
        raise DataError("--resume goes on and --overwrite begins anew: give one of the two")
    if options.out is not None:
        if not str(options.out).strip():
            raise DataError("--out is empty (an unset variable?): name a folder")
        return Path(options.out)
    stem = Path("runs") / name
    if not options.resume:
        return next_free(stem)
    found = [(p, differences(recorded(p), settings, {})) for p in family(stem)]
    equal = [p for p, other in found if not other]
    if not equal:
        told = "; ".join(f"{p}: {', '.join(other)}" for p, other in found) or "there is none"
        raise DataError(f"no run {stem}* has these settings ({told}): name a folder with --out")
    print(f"going on with {equal[-1]}")
    return equal[-1]


def name_of(model: str) -> str:
    """A model's name as a part of a folder's: of runs/first/model it is "first"."""
    parts = [part for part in Path(model).parts if part not in ("/", "\\", ".", "..")]
    if len(parts) > 1 and parts[-1] == "model":
        parts.pop()
    return re.sub(r"[^\w.-]+", "-", parts[-1]) if parts else "model"


def add_train_options(parser: argparse.ArgumentParser, own: dict | None = None) -> None:
    """One option for each field of TrainConfig; what is not given comes from the preset.

    `own` are the command's own numbers, which stand before those of a preset that nobody named.
    """
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        help="a set of settings, here called a preset (default: the one named like --model, else "
        "gpt2)",
    )
    for f in fields(TrainConfig):
        name = "--" + f.name.replace("_", "-")
        text = f"{f.metadata['help']} ({in_force(f, own or {})})".replace("%", "%%")
        if isinstance(f.default, bool):
            parser.add_argument(name, action="store_true", default=None, help=text)
            continue
        if f.name == "loss":  # TrainConfig knows those, too, that are not in the light table
            text = f"one of {', '.join(LOSS_BETAS)}; {text}"
        parser.add_argument(
            name,
            type=float if f.default is None else type(f.default),
            help=text,
            metavar=f.name.upper(),
        )


def train_config(options: argparse.Namespace, own: dict | None = None):
    """The TrainConfig of a command line: the preset, then what the loss wants, then what was given.

    Before the loss come the command's `own` numbers, unless a preset was named.
    """
    preset = options.preset or (options.model if options.model in PRESETS else "gpt2")
    own = {} if options.preset or own is None else own
    given = {
        f.name: getattr(options, f.name)
        for f in fields(TrainConfig)
        if getattr(options, f.name) is not None
    }
    named = PRESETS[preset] | QUICK | own
    loss = given.get("loss", named.get("loss", "dpo"))
    return TrainConfig(**(named | LOSS_SETTINGS.get(loss, {}) | given))


@contextmanager
def stoppable(folder):
    """SIGTERM, as batch systems send it, stops like Ctrl-C; the sentence names the whole run."""
    from ..training.stops import Stopped

    def stop(number, frame):
        raise Stopped("", number)

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not in the main thread
        before = None
    try:
        yield
    except KeyboardInterrupt as error:
        # training names the folder of its own part
        told = f"before its end; {folder} goes on with --resume"
        raise Stopped(told, getattr(error, "signal", signal.SIGINT)) from None
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
        with suppress(OSError):
            Path(folder).rmdir()  # only where nothing was written


@contextmanager
def notes():
    """What the package warns of is printed, a line each, as often as it happens."""
    with warnings.catch_warnings():
        warnings.filterwarnings("always", module="dpo_from_scratch")
        warnings.showwarning = lambda message, *where, **more: print(f"note: {message}")
        yield


def known_judges() -> dict[str, Callable]:
    """The judges of the review world, by name; of messages they read what the user said last."""
    from .. import world
    from ..judges import text_of

    return {
        "reviews": lambda prompt, a, b: world.bradley_terry(text_of(prompt), a, b),
        "panel": lambda prompt, a, b: world.panel(text_of(prompt), a, b),
    }


def load_here(name: str):
    """(model, tokenizer) of a name, the model on a GPU if there is one."""
    from ..models import load_model
    from ..processes.group import device

    model, tokenizer = load_model(name)
    return model.to(device()), tokenizer


def load_reference(name: str, tokenizer):
    """A reference that reads the same tokens as the policy, likewise; ModelError if it doesn't."""
    from ..models import ModelError

    reference, other = load_here(name)
    if other.get_vocab() != tokenizer.get_vocab():
        why = "their log-probabilities can't be compared"
        raise ModelError(f"the reference {name!r} reads other tokens than the model: {why}")
    return reference
