"""One training loop, for supervised fine-tuning and for every preference loss. Read `train` from top to bottom.

The recipe: score every response once with the frozen reference and keep the scores; then sample pairs, score them with the
policy, take the loss, go back. The loss is arXiv 2305.18290, section 4; keeping the scores saves a forward pass per step.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from tqdm.auto import tqdm

from .data import DataError
from .losses import LOSSES
from .models import Scorer, context_length, frozen_copy, pad_id
from .runs import RunFolder, fingerprint, interruptible
from .tokens import Example, collate, encode_rows


def option(default, text: str):
    """A configuration field with its help text: the command line is made from these."""
    return field(default=default, metadata={"help": text})


@dataclass
class TrainConfig:
    """Everything that decides a run, but for the model and the data."""

    loss: str = option("dpo", "which loss: " + ", ".join(LOSSES))
    beta: float = option(0.1, "how dear it is to leave the reference: larger keeps the optimum closer to it")
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
    """Train `model` in place on rows as `data.read_rows` gives them; return one row of metrics per step.

    `reference` defaults to the model as it is now. With `run_folder`, config.json, metrics.jsonl, checkpoints and the
    trained model are written there; with `resume` a run that was cut short goes on from its last checkpoint and ends as
    if it had not been (give it the same starting model). `on_step(step, metrics)` is called after every step.
    Same seed, same rows: same weights. DataError for rows or a folder that can't be used.
    """
    loss = LOSSES[config.loss]
    examples, report = encode_rows(tokenizer, rows, config.max_length or context_length(model), config.skip_bad)
    if report.left_out or report.warnings:
        tqdm.write(str(report))
    if not examples:
        raise DataError("no row is left to train on")
    if len(examples[0]) != (2 if loss.needs == "pairs" else 1):
        raise DataError(f"loss {config.loss!r} needs rows of kind {loss.needs!r}")
    begun_with = {"rows": fingerprint(examples), "weights": fingerprint(*model.parameters())}
    run = RunFolder(run_folder, asdict(config) | begun_with, resume) if run_folder else None
    AcceleratorState._reset_state()  # an earlier run of this process may have had another precision
    accelerator = Accelerator(mixed_precision=config.precision)
    torch.manual_seed(config.seed)
    if config.lora_rank:
        model = add_lora(model, config.lora_rank)
    model.eval()  # no dropout: the policy that is scored is the policy that will be sampled

    # score every response once with the reference, before anything moves, and keep the scores
    live = kept = None
    if "reference" in loss.inputs:
        frozen = Scorer(model if reference is None else reference.eval()).to(accelerator.device)
        if config.live_reference:
            live = frozen_copy(frozen)
        else:
            kept = run.kept_reference() if run and resume else None
        if not live and kept is None:
            with accelerator.autocast():
                kept = score_examples(frozen, [e for row in examples for e in row], pad_id(tokenizer), progress=progress)
            kept = kept.view(len(examples), -1)  # (rows, responses a row)
            if run:
                run.keep_reference(kept)

    scorer = Scorer(model)
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=config.learning_rate, weight_decay=config.weight_decay)
    scorer, optimizer = accelerator.prepare(scorer, optimizer)
    first, history = run.restore(model, optimizer) if resume else (0, [])
    steps = tqdm(range(first, config.steps), desc=config.loss, disable=not progress, leave=False)

    with interruptible() as interrupted:
        for step in steps:
            rate = learning_rate(step, config)
            for group in optimizer.param_groups:
                group["lr"] = rate
            sums: dict[str, float] = {}
            batch_rows = pick_rows(step, len(examples), config)
            for part in batch_rows.chunk(config.accumulation):
                # sample pairs; chosen rows first, then the rejected ones
                picked = [examples[i][side] for side in range(len(examples[0])) for i in part.tolist()]
                batch = {k: v.to(accelerator.device) for k, v in collate(picked, pad_id(tokenizer)).items()}
                # score them with the frozen reference (or look the scores up), then with the policy
                ref_logps = None
                if kept is not None:
                    ref_logps = kept[part].T.flatten().to(accelerator.device)
                elif live is not None:
                    with torch.no_grad(), accelerator.autocast():
                        ref_logps = live(**batch)
                logps = scorer(**batch)
                lengths = torch.tensor([float(e.response_length) for e in picked])
                losses, metrics = loss_and_metrics(config, logps, ref_logps, lengths)
                # backprop
                accelerator.backward(losses.sum() / len(batch_rows))
                for key, value in metrics.items():
                    sums[key] = sums.get(key, 0.0) + float(value.sum())
            norm = accelerator.clip_grad_norm_(weights, config.max_grad_norm)
            if not torch.isfinite(norm):
                raise DataError(f"the gradient of step {step + 1} is {norm}: lower the learning rate, or use precision no")
            optimizer.step()
            optimizer.zero_grad()

            row = {"step": step + 1} | {key: value / len(batch_rows) for key, value in sums.items()}
            row |= {"grad_norm": float(norm), "learning_rate": rate}
            history.append(row)
            if run:
                run.log(row)
            if on_step:
                on_step(step + 1, row)
            steps.set_postfix_str(f"loss {row['loss']:.3f}", refresh=False)
            last_chance = interrupted()
            if run and (last_chance or (config.save_every and (step + 1) % config.save_every == 0)):
                run.save(step + 1, model, optimizer)
            if last_chance:
                raise KeyboardInterrupt(f"after step {step + 1}" + (f"; {run.folder} goes on with --resume" if run else ""))

    model = model.merge_and_unload() if config.lora_rank else model
    if run:
        run.finish(model, tokenizer)
    return history


def loss_and_metrics(
    config: TrainConfig, logps: Tensor, ref_logps: Tensor | None, lengths: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Losses (B,) and what the dashboard shows, each (B,); logps (2B,) hold the chosen, then the rejected responses.

    `lengths` are the responses' tokens, EOS included, in the same order.
    """
    loss = LOSSES[config.loss]
    if loss.needs == "texts":
        losses = loss.fn(logps)
        return losses, {"loss": losses.detach(), "logp": logps.detach(), "length": lengths}
    (chosen, rejected), (ref_chosen, ref_rejected) = logps.chunk(2), ref_logps.chunk(2)
    losses = loss.fn(chosen, rejected, ref_chosen, ref_rejected, beta=config.beta)
    with torch.no_grad():
        chosen_reward, rejected_reward = config.beta * (chosen - ref_chosen), config.beta * (rejected - ref_rejected)
        margin = chosen_reward - rejected_reward
        tie = margin.abs() < 1e-5  # rounding apart; a tie is a coin toss
        accuracy = torch.where(tie, 0.5, (margin > 0).float())
    return losses, {
        "loss": losses.detach(), "accuracy": accuracy, "margin": margin,
        "chosen_reward": chosen_reward, "rejected_reward": rejected_reward,
        "chosen_logp": chosen.detach(), "rejected_logp": rejected.detach(),
        "chosen_length": lengths.chunk(2)[0], "rejected_length": lengths.chunk(2)[1],
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


@torch.no_grad()
def score_examples(scorer: nn.Module, examples: list[Example], pad: int, batch_size: int = 64, progress: bool = False) -> Tensor:
    """log pi(y|x) of N examples, shape (N,), on the CPU, in the order given; batches of like length and at most 4,096 tokens."""
    device = next(scorer.parameters()).device
    order = sorted(range(len(examples)), key=lambda i: -len(examples[i].ids))
    out: dict[int, Tensor] = {}
    bar = tqdm(total=len(order), desc="scoring", disable=not progress, leave=False)
    while len(out) < len(order):
        size = max(1, min(batch_size, 4096 // len(examples[order[len(out)]].ids)))
        part = order[len(out) : len(out) + size]
        batch = {k: v.to(device) for k, v in collate([examples[i] for i in part], pad).items()}
        out |= dict(zip(part, scorer(**batch).cpu(), strict=True))
        bar.update(len(part))
    bar.close()
    return torch.stack([out[i] for i in range(len(examples))])


def add_lora(model: nn.Module, rank: int) -> nn.Module:
    """The model with trainable low-rank adapters (arXiv 2106.09685) on its linear layers; all else is frozen."""
    from peft import LoraConfig, get_peft_model

    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")  # peft reads it, transformers renamed it
    if hasattr(model, "peft_config"):
        raise DataError("the model has LoRA adapters already: merge them first (merge_and_unload), or the reference would be a mix")
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM",
        fan_in_fan_out=model.config.model_type == "gpt2",  # GPT-2 stores its matrices the other way round
    )  # fmt: skip
    return get_peft_model(model, config)
