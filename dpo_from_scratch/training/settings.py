"""What decides a run besides model and data: configuration, presets, schedule, order of rows.

Torch and the losses are loaded when asked for: the command line's help is made from this, at once.
"""

import inspect
import math
from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from ..losses import Loss

Beta = float | dict[str, float] | None  # a number, or a table of numbers by loss


def option(default, text: str):
    """A configuration field with its help text: the command line is made from these."""
    return field(default=default, metadata={"help": text})


@dataclass
class TrainConfig:
    """Everything that decides a run, but for the model and the data.

    ValueError, with the number, for what can't be meant: see `_rules`, and the checks of the loss
    itself for its options. With `score_all`, as in the presets of the review world, the reference
    scores batches of all rows, whose last digits are others than those of the rows picked alone.
    `beta` may be a number, a table of numbers by loss (as in the presets of the review world), or
    left out; afterwards it is the number in force (see `beta_of`).
    """

    loss: str = option("dpo", "which loss")
    beta: Beta = option(  # noqa: RUF009
        None, "how dear it is to leave the reference: larger keeps the optimum closer to it"
    )
    loss_options: str = option(
        "",
        'more options of the loss: "label_smoothing=0.2", '
        '"desirable_weight=2,undesirable_weight=1"',
    )
    learning_rate: float = option(1e-6, "peak learning rate of AdamW")
    steps: int = option(200, "optimizer steps")
    batch_size: int = option(32, "rows (pairs, for DPO) per optimizer step")
    accumulation: int = option(
        1, "parts of a batch, to save memory; the gradient is the same, and loss aot takes 1 part"
    )
    warmup: int = option(10, "steps over which the learning rate rises")
    decay: str = option(
        "linear", 'what the learning rate does after the warm-up: "linear", "cosine" or "constant"'
    )
    weight_decay: float = option(0.0, "AdamW's weight decay")
    max_grad_norm: float = option(1.0, "gradients are clipped to this norm")
    max_length: int = option(0, "tokens a row may have; 0: what the model can read")
    lora_rank: int = option(0, "train LoRA adapters of this rank; 0: train all weights")
    live_reference: bool = option(
        False, "score with the reference at every step instead of once before training"
    )
    precision: str = option(
        "auto",
        'mixed precision: "bf16", or on a GPU "fp16"; "no" and "auto" stay in float32, "auto" by '
        "oneDNN's products on a CPU where they are exact",
    )
    plain: bool = option(
        False,
        "no fast path: every response beside its own prompt, padding and all, and logits for every "
        "token",
    )
    shard: bool = option(
        False,
        "under torchrun: each process keeps a slice of weights, gradients and moments (FSDP2), not "
        "all of them",
    )
    save_every: int = option(
        0, "steps between checkpoints; 0: none (Ctrl-C leaves one all the same)"
    )
    skip_bad: bool = option(
        False, "leave out rows that can't be used, and count them, instead of stopping"
    )
    score_all: bool = option(
        False, "tokenise and score all rows, also those that seed and steps will not pick"
    )
    seed: int = option(0, "decides the order of the rows and all else that is random")

    def __post_init__(self):
        loss_named(self.loss)
        self.beta = beta_of(self.loss, self.beta)
        problem = next((text for holds, text in self._rules() if not holds), None)
        if problem:
            raise ValueError(problem)
        self._try_options()

    def _rules(self) -> list[tuple[bool, str]]:
        """What must hold, and what to say if it does not."""
        import torch

        one_or_more = min(self.steps, self.batch_size, self.accumulation)
        zero_or_more = min(self.max_length, self.lora_rank, self.save_every, self.warmup)
        compares = loss_named(self.loss).needs == "labels"
        rows = f"loss {self.loss!r} compares the rows of a batch: batch_size must be 2 or more"
        whole_batch = "loss 'aot' sorts the pairs of a whole batch: accumulation must be 1"
        rate, norm, decay = self.learning_rate, self.max_grad_norm, self.weight_decay
        beta = beta_of(self.loss, self.beta)
        gpu = "a CPU would compute in float32 and not say so"
        whole = "max_length, lora_rank, save_every and warmup must be 0 or more"
        return [
            (not compares or self.batch_size >= 2, rows),
            (self.loss != "aot" or self.accumulation == 1, whole_batch),
            (one_or_more >= 1, "steps, batch_size and accumulation must be 1 or more"),
            (zero_or_more >= 0, whole),
            (0 <= rate <= MOST, f"learning_rate must be a number from 0 to {MOST:g}, not {rate}"),
            (0 < beta < math.inf, f"beta must be positive, not {beta}"),
            (0 < norm < math.inf, f"max_grad_norm must be a number above 0, not {norm}"),
            (0 <= decay <= MOST, f"weight_decay must be a number from 0 to {MOST:g}, not {decay}"),
            (0 <= self.seed < 10**12, f"seed must be from 0 to 12 digits, not {self.seed}"),
            (
                self.precision in PRECISIONS,
                f"precision is auto, no, bf16 or fp16, not {self.precision!r}",
            ),
            (
                self.precision != "fp16" or torch.cuda.is_available(),
                f"fp16 needs a GPU ({gpu}): use bf16 or auto",
            ),
            (self.decay in DECAYS, f"decay is one of {', '.join(DECAYS)}, not {self.decay!r}"),
        ]

    def options(self) -> dict:
        """The keyword options of the loss: its defaults, its `beta`, then `loss_options`."""
        known, given = loss_named(self.loss).defaults, set()
        found = known | ({"beta": self.beta} if "beta" in known else {})
        for part in filter(None, self.loss_options.split(",")):
            name, _, value = (x.strip() for x in part.partition("="))
            # beta has its own field, which metrics and BCO's delta use too
            others = [key for key in known if key != "beta"]
            if name not in others or not value:
                takes = ", ".join(others) or "no options"
                raise ValueError(
                    f"loss {self.loss!r} takes {takes} here; {part.strip()!r} is none of them"
                )
            if name in given:
                raise ValueError(f"loss option {name} is given twice")
            given.add(name)
            try:
                found[name] = type(known[name])(value)
            except ValueError:
                raise ValueError(f"loss option {name} must be a number, not {value!r}") from None
            if isinstance(found[name], float) and not math.isfinite(found[name]):
                raise ValueError(f"loss option {name} must be finite, not {value}")
        return found

    def _try_options(self) -> None:
        """The loss says what it does not take, before anything is read or written."""
        import torch

        loss, ones = loss_named(self.loss), torch.ones(2, device="cpu")
        inputs = {"kl": 0 * ones[0], "delta": 0.0, "win_probability": ones}
        inputs |= {"chosen_lengths": ones, "rejected_lengths": ones}
        takes = inspect.signature(loss.fn).parameters
        options = self.options() | {name: inputs[name] for name in inputs if name in takes}
        positional = sum(
            p.kind is not p.KEYWORD_ONLY for p in takes.values() if p.name not in options
        )
        tensors = [-ones] * positional
        if "desirable" in takes:
            tensors[2] = torch.tensor([True, False], device="cpu")
        loss.fn(*tensors, **options)

    def resolved(self) -> dict:
        """All settings as numbers in force, for config.json and for comparing a run with another.

        `options` are what the loss is called with. `reward_factor` is what makes rewards of
        log-ratios in the metrics: beta, also where the loss has none (ipo, orpo, sft).
        """
        return asdict(self) | {"options": self.options(), "reward_factor": self.beta}

    def __str__(self) -> str:
        """One line with every setting in force."""
        has_beta = "beta" in loss_named(self.loss).defaults
        rest = {f.name: getattr(self, f.name) for f in fields(self)} | {"loss_options": None}
        factor = {} if has_beta else {"reward_factor": self.beta}
        found = {"loss": self.loss} | self.options() | factor
        found |= {k: v for k, v in rest.items() if k not in ("loss", "beta", "loss_options")}
        return ", ".join(f"{name} {value}" for name, value in found.items())


MOST = 1e30  # float32 holds not much more
PRECISIONS = ("auto", "no", "bf16", "fp16")
DECAYS = {
    "constant": lambda share: 1.0,
    "linear": lambda share: 1.0 - share,
    "cosine": lambda share: 0.5 * (1.0 + math.cos(math.pi * share)),
}


def as_begun(config: TrainConfig, before: dict | None) -> TrainConfig:
    """The configuration with the way of computing that an earlier part of the run recorded.

    A run that was begun before there was a fast path goes on without it.
    """
    if before is None:
        return config
    auto = config.precision == "auto"
    precision = before.get("precision", "no") if auto else config.precision
    return replace(config, plain=before.get("plain", True), precision=precision)


def beta_of(loss: str, given: Beta = None) -> float:
    """The beta in force: what was given, else the table's for this loss, else the loss's own.

    For a loss without beta it is only the factor of the reward columns: 0.1 unless told.
    """
    number = given.get(loss) if isinstance(given, dict) else given
    return loss_named(loss).defaults.get("beta", 0.1) if number is None else float(number)


def loss_named(name: str) -> "Loss":
    """The loss of this name; ValueError, with those that there are, if there is none."""
    from ..losses import LOSSES

    if name not in LOSSES:
        raise ValueError(f"loss is one of {', '.join(LOSSES)}, not {name!r}")
    return LOSSES[name]


def learning_rate(step: int, config: TrainConfig) -> float:
    """The learning rate of a step (from 0): a linear rise, then the configured decay."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / (config.warmup + 1)
    share = (step - config.warmup) / max(config.steps - config.warmup, 1)
    return config.learning_rate * DECAYS[config.decay](share)


def pick_rows(step: int, rows: int, config: TrainConfig) -> "Tensor":
    """Row numbers (batch_size,) of a step: epoch after epoch, each in a new order.

    Seed and epoch alone decide the order.
    """
    import torch

    wanted = range(step * config.batch_size, (step + 1) * config.batch_size)
    orders = {e: _permutation(rows, config.seed, e) for e in {i // rows for i in wanted}}
    return torch.stack([orders[i // rows][i % rows] for i in wanted])


@lru_cache(maxsize=4)
def _permutation(rows: int, seed: int, epoch: int) -> "Tensor":
    import torch

    generator = torch.Generator("cpu").manual_seed(seed * 100_003 + epoch)
    return torch.randperm(rows, generator=generator, device="cpu")


def rows_picked(rows: int, config: TrainConfig) -> Sequence[int]:
    """The numbers of the rows that a run will use, in order; with `score_all` all of them."""
    wanted = config.steps * config.batch_size
    if config.score_all or wanted >= rows:
        return range(rows)
    return array("q", _permutation(rows, config.seed, 0)[:wanted].sort().values.numpy().tobytes())
