"""What decides a training run besides model and data: the configuration, the presets, the schedule, the order of rows."""

import math
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor

from .losses import LOSSES


def option(default, text: str):
    """A configuration field with its help text: the command line is made from these."""
    return field(default=default, metadata={"help": text})


@dataclass
class TrainConfig:
    """Everything that decides a run, but for the model and the data."""

    loss: str = option("dpo", "which loss: " + ", ".join(LOSSES))
    beta: float = option(0.1, "how dear it is to leave the reference: larger keeps the optimum closer to it")
    loss_options: str = option("", 'more options of the loss: "label_smoothing=0.2", "desirable_weight=2,undesirable_weight=1"')
    learning_rate: float = option(1e-6, "peak learning rate of AdamW")
    steps: int = option(200, "optimizer steps")
    batch_size: int = option(32, "rows (pairs, for DPO) per optimizer step")
    accumulation: int = option(1, "parts that a batch is cut into, to save memory; the gradient is the same")
    warmup: int = option(10, "steps over which the learning rate rises")
    decay: str = option("linear", 'what the learning rate does after the warm-up: "linear", "cosine" or "constant"')
    weight_decay: float = option(0.0, "AdamW's weight decay")
    max_grad_norm: float = option(1.0, "gradients are clipped to this norm")
    max_length: int = option(0, "tokens a row may have; 0: what the model can read")
    lora_rank: int = option(0, "train LoRA adapters of this rank; 0: train all weights")
    live_reference: bool = option(False, "score with the reference at every step instead of once before training")
    precision: str = option("no", 'mixed precision: "no", "bf16", or on a GPU "fp16"')
    save_every: int = option(0, "steps between checkpoints; 0: none (Ctrl-C leaves one all the same)")
    skip_bad: bool = option(False, "leave out rows that can't be used, and count them, instead of stopping")
    seed: int = option(0, "decides the order of the rows and all else that is random")

    def __post_init__(self):
        if self.loss not in LOSSES:
            raise ValueError(f"loss is one of {', '.join(LOSSES)}, not {self.loss!r}")
        self.options()
        if LOSSES[self.loss].needs == "labels" and self.batch_size < 2:
            raise ValueError(f"loss {self.loss!r} compares the rows of a batch: batch_size must be 2 or more")
        if min(self.steps, self.batch_size, self.accumulation) < 1 or min(self.max_length, self.lora_rank, self.save_every) < 0:
            raise ValueError("steps, batch_size and accumulation must be 1 or more; max_length, lora_rank, save_every 0 or more")
        if not (math.isfinite(self.learning_rate) and self.learning_rate >= 0):
            raise ValueError(f"learning_rate must be a number that is not negative, not {self.learning_rate}")
        if not (math.isfinite(self.beta) and self.beta > 0):
            raise ValueError(f"beta must be positive, not {self.beta}")
        if self.precision not in ("no", "bf16", "fp16"):
            raise ValueError(f"precision is no, bf16 or fp16, not {self.precision!r}")
        if self.precision == "fp16" and not torch.cuda.is_available():
            raise ValueError("fp16 needs a GPU (a CPU would compute in float32 and not say so): use bf16 or no")
        if self.decay not in DECAYS:
            raise ValueError(f"decay is one of {', '.join(DECAYS)}, not {self.decay!r}")

    def options(self) -> dict:
        """The keyword options of the loss: its defaults, `beta` where it has one, then `loss_options`."""
        known = LOSSES[self.loss].defaults
        found = known | ({"beta": self.beta} if "beta" in known else {})
        for part in filter(None, self.loss_options.split(",")):
            name, _, value = (x.strip() for x in part.partition("="))
            others = [key for key in known if key != "beta"]  # beta has its own field, which metrics and BCO's delta use too
            if name not in others or not value:
                takes = ", ".join(others) or "no options"
                raise ValueError(f"loss {self.loss!r} takes {takes} here; {part.strip()!r} is none of them")
            try:
                found[name] = type(known[name])(value)
            except ValueError:
                raise ValueError(f"loss option {name} must be a number, not {value!r}") from None
        return found


DECAYS = {
    "constant": lambda share: 1.0,
    "linear": lambda share: 1.0 - share,
    "cosine": lambda share: 0.5 * (1.0 + math.cos(math.pi * share)),
}

# the settings of the book's runs, in one place: `TrainConfig(**PRESETS["tiny"])`
PRESETS = {
    "tiny": {"beta": 0.6, "learning_rate": 5e-4, "steps": 256, "batch_size": 32, "warmup": 10},
    "tiny-sft": {"loss": "sft", "learning_rate": 3e-3, "steps": 12000, "batch_size": 64, "warmup": 200, "decay": "cosine",
                 "max_grad_norm": 10.0},
    "smollm2": {"beta": 0.1, "learning_rate": 2e-4, "steps": 40, "batch_size": 8, "accumulation": 2, "warmup": 4,
                "lora_rank": 8, "max_length": 512},
    "gpt2": {"beta": 0.1, "learning_rate": 5e-6, "steps": 400, "batch_size": 32, "accumulation": 4, "warmup": 20,
             "max_length": 512},
}  # fmt: skip


def learning_rate(step: int, config: TrainConfig) -> float:
    """The learning rate of a step (from 0): a linear rise, then the decay that the configuration names."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / (config.warmup + 1)
    share = (step - config.warmup) / max(config.steps - config.warmup, 1)
    return config.learning_rate * DECAYS[config.decay](share)


def pick_rows(step: int, rows: int, config: TrainConfig) -> Tensor:
    """Row numbers (batch_size,) of a step: epoch after epoch in a new order, decided by seed and epoch alone."""
    wanted = range(step * config.batch_size, (step + 1) * config.batch_size)
    orders = {e: _permutation(rows, config.seed, e) for e in {i // rows for i in wanted}}
    return torch.stack([orders[i // rows][i % rows] for i in wanted])


@lru_cache(maxsize=4)
def _permutation(rows: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(rows, generator=torch.Generator().manual_seed(seed * 100_003 + epoch))
