"""Everything before the first step: adapters, reference, optimizer, what a checkpoint holds."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from ..data import DataError
from ..folders import check_finite
from ..losses import LOSSES, Loss
from ..models import Scorer, pad_id
from ..processes.group import Processes, here
from ..processes.parts import Part, parts
from ..processes.run import SharedRun
from ..processes.shard import accelerator_of, is_sharded, sharded, sharded_copy, take_weights
from .batches import TrainingData, three_of
from .lora import add_lora
from .no_run import NoRun
from .references import Reference, reference_of
from .runs import RunFolder
from .settings import TrainConfig
from .whole_batch import Nothing, whole_batch_of


@dataclass
class SetUp:
    """All that stands when the first step begins."""

    config: TrainConfig
    data: TrainingData
    run: RunFolder | SharedRun | NoRun
    processes: Processes
    accelerator: Accelerator
    given: nn.Module  # the model, with adapters if there are any
    model: nn.Module  # the same, or a copy of it in slices
    reference: Reference
    policy: nn.Module  # the model's Scorer, as accelerate prepared it
    optimizer: torch.optim.Optimizer
    clip: Callable[[float], Tensor]  # the gradient's norm; the next step is clipped to a number
    whole_batch: Nothing
    first: int  # the step to begin with, 0 but for a run that goes on
    history: list[dict]  # the metrics of the steps before it
    told: list[str]  # how the run computes, and what it does without

    def save(self, step: int, last: bool = False) -> None:
        """Write a checkpoint of all that decides the future; the last one may fail: the model is
        written next, and says it if that fails too.
        """
        notes = self.whole_batch.state()
        scaler = self.accelerator.scaler  # of fp16, on a GPU
        notes = notes if scaler is None else notes | {"scaler": scaler.state_dict()}
        with suppress(DataError) if last else nullcontext():
            self.run.save(step, self.model, self.optimizer, notes, last)

    def parts(self, picked: Tensor) -> Iterator[Part]:
        """This process's share of a batch in parts; gradients are sent behind the last."""
        found = parts(picked, self.config.accumulation, self.processes)
        for part in found:
            with nullcontext() if part is found[-1] else self.accelerator.no_sync(self.policy):
                yield part

    def trained(self) -> nn.Module:
        """The model as it is to be kept: whole, without adapters."""
        if is_sharded(self.model):
            take_weights(self.given, self.model)
        return self.given.merge_and_unload() if self.config.lora_rank else self.given

    def log(self, row: dict) -> None:
        """A step's metrics: kept, and written."""
        self.history.append(row)
        self.run.log(row)


def set_up(
    model: nn.Module,
    tokenizer,
    data: TrainingData,
    config: TrainConfig,
    run: RunFolder | SharedRun | NoRun,
    reference: nn.Module | None,
    progress: bool,
) -> SetUp:
    """Everything before the first step; ModelError for weights that are not finite."""
    loss, processes = LOSSES[config.loss], here()
    check_finite("the starting model", model)
    run.try_saving(model, tokenizer)
    AcceleratorState._reset_state()  # an earlier run of this process may have had another precision
    accelerator = accelerator_of(config, processes, model)
    torch.manual_seed(config.seed)
    model = add_lora(model, config.lora_rank) if config.lora_rank else model
    model.eval()  # no dropout: the policy that is scored is the policy that will be sampled
    policy, told = scorer_of(model, data, config, run)
    theirs = Scorer(model) if config.plain else policy
    if reference is not None:
        theirs, _ = scorer_of(reference, data, config)
    anchor = reference_of(loss, config, theirs, data, run, accelerator, progress)
    policy, optimizer, clip = prepared(policy, anchor, config, accelerator, processes)
    trained = policy.model if is_sharded(policy) else model
    first, history, notes = run.restore(trained, optimizer)
    notes = as_left(notes, first, history, loss, accelerator)
    return SetUp(
        config=config,
        data=data,
        run=run,
        processes=processes,
        accelerator=accelerator,
        given=model,
        model=trained,
        reference=anchor,
        policy=policy,
        optimizer=optimizer,
        clip=clip,
        whole_batch=whole_batch_of(loss, policy, anchor, data, notes),
        first=first,
        history=history,
        told=told,
    )


def as_left(notes: dict, first: int, history: list[dict], loss: Loss, accelerator) -> dict:
    """What a checkpoint noted: BCO's delta, or DataError, and what fp16's scaler takes."""
    if history:
        notes = history[-1] | notes  # an older checkpoint left delta to the metrics
    if first and "delta" in loss.inputs and "delta" not in notes:
        lost = "the delta of the steps before is in neither checkpoint nor metrics.jsonl"
        raise DataError(f"{lost}, and decides the weights: begin anew with --overwrite")
    if accelerator.scaler is not None and "scaler" in notes:
        accelerator.scaler.load_state_dict(notes["scaler"])
    return notes


def prepared(
    policy: nn.Module, anchor: Reference, config: TrainConfig, accelerator, processes: Processes
) -> tuple[nn.Module, torch.optim.Optimizer, Callable[[float], Tensor]]:
    """The policy's Scorer as the engine wants it, its optimizer, and what clips the gradient."""
    if not (config.shard and processes.size > 1):
        weights = [p for p in policy.parameters() if p.requires_grad]
        optimizer, clip = optimizer_of(weights, config, accelerator)
        return *accelerator.prepare(policy, optimizer), clip
    if hasattr(anchor, "model") and (config.live_reference or "kl" in LOSSES[config.loss].inputs):
        anchor.model = sharded_copy(anchor.model, processes)
    return sharded(policy, optimizer_settings(config), accelerator, processes)


def scorer_of(
    model: nn.Module, data: TrainingData, config: TrainConfig, run: RunFolder | NoRun | None = None
) -> tuple[Scorer, list[str]]:
    """The Scorer of a run: plain, or of the fast path with the tricks that are sound for the model.

    Sentences say which. `run` remembers the tricks, so that a run that goes on has the same.
    """
    if config.plain:
        return Scorer(model), []
    from ..fast import FastScorer, Tricks, sound_tricks  # the core needs it for nothing else

    kept = run.kept_tricks() if run else None
    rows, pad = three_of(data.examples), pad_id(data.tokenizer)
    tricks, why = sound_tricks(model, rows, pad, kept and Tricks(**kept))
    if run:
        run.keep_tricks(asdict(tricks))
    kind = config.precision if config.precision in ("bf16", "fp16") else "float32"
    told = [f"computed with {tricks}, in {kind}", *filter(None, [why])]
    return FastScorer(model, tricks), told


def optimizer_of(weights: list[Tensor], config: TrainConfig, accelerator: Accelerator):
    """AdamW, and what measures the gradient and has it clipped."""
    settings = optimizer_settings(config)
    if config.plain or config.precision == "fp16":  # fp16's scaler has a say in both
        clip = lambda most: accelerator.clip_grad_norm_(weights, most)
        return torch.optim.AdamW(weights, **settings), clip
    from ..fast import ClippingAdamW

    optimizer = ClippingAdamW(weights, **settings)
    return optimizer, optimizer.clip


def optimizer_settings(config: TrainConfig) -> dict:
    """AdamW's own."""
    return {"lr": config.learning_rate, "weight_decay": config.weight_decay}


def products(config: TrainConfig):
    """A context in which float32 products are made the faster way, where `precision` is auto."""
    if config.plain or config.precision != "auto":
        return nullcontext()
    from ..fast import exact_products

    return exact_products()
