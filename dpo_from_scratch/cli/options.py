"""What several commands share: the options of training, judges by name, a reference to compare."""

import argparse
from collections.abc import Callable
from dataclasses import fields

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
        "--out", default="runs/latest", help="folder of the run (default: runs/latest)"
    )
    parser.add_argument("--resume", action="store_true", help="go on with what --out holds")


def add_train_options(parser: argparse.ArgumentParser, own: dict | None = None) -> None:
    """One option for each field of TrainConfig; what is not given comes from the preset.

    `own` are the command's own numbers, which stand before those of a preset that nobody named.
    """
    from ..losses import LOSSES
    from ..training import PRESETS, TrainConfig

    parser.add_argument(
        "--preset",
        choices=PRESETS,
        help="a set of settings (default: the one named like the model, else gpt2)",
    )
    for f in fields(TrainConfig):
        if f.name in (own or {}):
            otherwise = f"default: {own[f.name]}, or what a preset says that is named"
        elif f.default is None:  # beta
            otherwise = "default: the preset's number for the loss, such as 0.6 for dpo in the "
            otherwise += "review world; else the loss's own, such as 0.1 for dpo"
        else:
            otherwise = f"without a preset: {f.default}"
        name = "--" + f.name.replace("_", "-")
        text = f"{f.metadata['help']} ({otherwise})".replace("%", "%%")
        if isinstance(f.default, bool):
            parser.add_argument(name, action="store_true", default=None, help=text)
            continue
        choices = list(LOSSES) if f.name == "loss" else None
        parser.add_argument(
            name,
            type=float if f.default is None else type(f.default),
            help=text,
            choices=choices,
            metavar=None if choices else f.name.upper(),
        )


def train_config(options: argparse.Namespace, own: dict | None = None):
    """The TrainConfig of a command line: the preset, then what was given.

    Between them the command's `own` numbers, unless a preset was named.
    """
    from ..training import PRESETS, TrainConfig

    preset = options.preset or (options.model if options.model in PRESETS else "gpt2")
    own = {} if options.preset or own is None else own
    given = {
        f.name: getattr(options, f.name)
        for f in fields(TrainConfig)
        if getattr(options, f.name) is not None
    }
    return TrainConfig(**(PRESETS[preset] | own | given))


def known_judges() -> dict[str, Callable]:
    """The judges of the review world, by name; of messages they read what the user said last."""
    from .. import world
    from ..judges import text_of

    return {
        "reviews": lambda prompt, a, b: world.bradley_terry(text_of(prompt), a, b),
        "panel": lambda prompt, a, b: world.panel(text_of(prompt), a, b),
    }


def load_reference(name: str, tokenizer):
    """A reference model that reads the same tokens as the policy; ModelError if it does not."""
    from ..models import ModelError, load_model

    reference, other = load_model(name)
    if other.get_vocab() != tokenizer.get_vocab():
        why = "their log-probabilities can't be compared"
        raise ModelError(f"the reference {name!r} reads other tokens than the model: {why}")
    return reference
