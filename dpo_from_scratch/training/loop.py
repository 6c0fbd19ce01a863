"""One loop, for supervised fine-tuning and for every preference loss. Read `train` from the top.

Its four steps are those of chapter 06: sample pairs, ask the reference, ask the policy, go back
(arXiv 2305.18290, section 4). What a loss needs beyond that has a file of its own: what the
reference says (references.py), and what only a whole batch can tell (whole_batch.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..data import DataError
from ..losses import LOSSES
from ..models import Scorer
from ..turns import end_ids
from .batches import TrainingData, prepare
from .lora import add_lora
from .metrics import Means, counters, loss_and_metrics
from .references import Reference, reference_of
from .runs import NoRun, RunFolder, fingerprint, interruptible, open_run
from .settings import TrainConfig, learning_rate, pick_rows
from .whole_batch import Nothing, whole_batch_of


def train(
    model: nn.Module,
    tokenizer,
    rows: list[dict],
    config: TrainConfig,
    run_folder: str | Path | None = None,
    reference: nn.Module | None = None,
    resume: bool = False,
    on_step: Callable[[int, dict], None] | None = None,
    progress: bool = True,
) -> list[dict]:
    """Train `model` in place on rows as `data.read_rows` gives them; returns each step's metrics.

    `reference` defaults to the model as it is now. With `run_folder`, config.json, metrics.jsonl,
    checkpoints and the trained model are written there; with `resume` a run that was cut short
    goes on from its last checkpoint and ends as if it had not been (give it the same starting
    model). `on_step(step, metrics)` is called after every step. Same seed, same rows: same weights.
    DataError for rows or a folder that can't be used.
    """
    ready = set_up(model, tokenizer, rows, config, run_folder, reference, resume, progress)
    todo = range(ready.first, config.steps)
    steps = tqdm(todo, desc=config.loss, disable=not progress, leave=False)
    with interruptible() as interrupted:
        for step in steps:
            picked = pick_rows(step, len(ready.data), config)  # 1. sample pairs
            numbers, means = ready.whole_batch.before(picked), Means(len(picked))
            for part in picked.chunk(config.accumulation):
                batch = ready.data.batch(part, ready.accelerator.device)
                ref_logps = ready.reference.logps(batch)  # 2. ask the reference
                logps = ready.policy(**batch.tokens)  # 3. ask the policy
                losses, metrics = loss_and_metrics(
                    config, logps, ref_logps, batch.lengths, batch.labels, **numbers
                )
                ready.accelerator.backward(losses.sum() / len(picked))  # 4. go back
                means.add(metrics | counters(batch.tokens, end_ids(tokenizer), len(part)))
                ready.whole_batch.see(metrics, batch)
            row = {"step": step + 1} | means.values() | update(ready, step, config)
            row |= ready.whole_batch.after()
            ready.history.append(row)
            ready.run.log(row)
            if on_step:
                on_step(step + 1, row)
            steps.set_postfix_str(f"loss {row['loss']:.3f}", refresh=False)
            stop = interrupted()
            if stop or (config.save_every and (step + 1) % config.save_every == 0):
                ready.run.save(step + 1, ready.model, ready.optimizer)
            if stop:
                raise KeyboardInterrupt(f"after step {step + 1}{ready.run.how_to_go_on()}")
    ready.run.finish(ready.model.merge_and_unload() if config.lora_rank else ready.model, tokenizer)
    return ready.history


def update(ready: "SetUp", step: int, config: TrainConfig) -> dict[str, float]:
    """Clip the gradient and make AdamW's step; DataError if the gradient is not finite."""
    norm = ready.accelerator.clip_grad_norm_(ready.weights, config.max_grad_norm)
    if not torch.isfinite(norm):
        hint = "lower the learning rate, or use precision no"
        raise DataError(f"the gradient of step {step + 1} is {norm}: {hint}")
    rate = learning_rate(step, config)
    for group in ready.optimizer.param_groups:
        group["lr"] = rate
    ready.optimizer.step()
    ready.optimizer.zero_grad()
    return {"grad_norm": float(norm), "learning_rate": rate}


@dataclass
class SetUp:
    """All that stands when the first step begins."""

    data: TrainingData
    run: RunFolder | NoRun
    accelerator: Accelerator
    model: nn.Module  # with adapters, if there are any
    reference: Reference
    policy: nn.Module  # the model's Scorer, as accelerate prepared it
    weights: list[Tensor]  # those that are trained
    optimizer: torch.optim.Optimizer
    whole_batch: Nothing
    first: int  # the step to begin with, 0 but for a run that goes on
    history: list[dict]  # the metrics of the steps before it


def set_up(
    model: nn.Module,
    tokenizer,
    rows: list[dict],
    config: TrainConfig,
    run_folder: str | Path | None,
    reference: nn.Module | None,
    resume: bool,
    progress: bool,
) -> SetUp:
    """Everything before the first step: data, folder, adapters, reference, optimizer, restore."""
    loss = LOSSES[config.loss]
    data = prepare(tokenizer, rows, loss, config, model)
    begun_with = {"rows": fingerprint(data.examples), "weights": fingerprint(*model.parameters())}
    run = open_run(run_folder, config.resolved() | begun_with, resume)
    run.try_saving(model, tokenizer)
    AcceleratorState._reset_state()  # an earlier run of this process may have had another precision
    accelerator = Accelerator(mixed_precision=config.precision)
    torch.manual_seed(config.seed)
    model = add_lora(model, config.lora_rank) if config.lora_rank else model
    model.eval()  # no dropout: the policy that is scored is the policy that will be sampled
    theirs = model if reference is None else reference
    anchor = reference_of(loss, config, theirs, data, run, accelerator, progress)
    policy, weights = Scorer(model), [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        weights, lr=config.learning_rate, weight_decay=config.weight_decay
    )
    policy, optimizer = accelerator.prepare(policy, optimizer)
    first, history = run.restore(model, optimizer) if resume else (0, [])
    return SetUp(
        data=data,
        run=run,
        accelerator=accelerator,
        model=model,
        reference=anchor,
        policy=policy,
        weights=weights,
        optimizer=optimizer,
        whole_batch=whole_batch_of(loss, config, policy, anchor, data, history),
        first=first,
        history=history,
    )
