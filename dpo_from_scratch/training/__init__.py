"""Training: one loop for supervised fine-tuning and for every preference loss.

Read loop.py first. It needs torch, and is loaded when `train` is asked for; the settings don't.
"""

from .presets import PRESETS, REVIEW_BETAS
from .settings import TrainConfig, learning_rate, pick_rows


def __getattr__(name: str):
    if name != "train":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .loop import train

    return train
