"""What each trick is worth alone, what was tried and did not help, and where a step's time goes."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dpo_from_scratch.fast import ALL, FastScorer, Tricks, head_logps, head_of, layout
from dpo_from_scratch.fast.scorer import as_bias, hidden_states
from dpo_from_scratch.models import Scorer, load_model

from . import stats
from .sides import Ours
from .texts import rows_of


class SplitRows(FastScorer):
    """Prompts are shared, and each group has a row of its own."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor, response_mask: Tensor) -> Tensor:
        batch = (input_ids, attention_mask, response_mask)
        laid = layout.lay_out(*batch, share=True, pack=False)
        bias = as_bias(laid.sees, self.model)
        hidden = hidden_states(self.model, laid.input_ids, bias, laid.position_ids)
        logps = head_logps(hidden.flatten(0, 1)[laid.places], head_of(self.model), laid.labels)
        return logps.new_zeros(len(input_ids)).index_add(0, laid.texts, logps)


@dataclass
class Trial:
    """A way to make forward and backward; all trials have one model."""

    scorer: torch.nn.Module
    flag: str = ""  # the matmul flag; "": as it is set
    checkpointing: bool = False


def trials(part: dict, folder: Path) -> dict:
    """Forward and backward of each way, in turns on the same batches, and how much faster than
    plain's they are. The optimizers are timed alone.
    """
    model, tokenizer = load_model(part["model"])
    compared = _compared(part, model, tokenizer, ways_of(model))
    return compared | {"optimizers": optimizers(model, part["steps"])}


def compiled(part: dict, folder: Path) -> dict:
    """The same of the fast path as it is and as torch.compile makes it."""
    model, tokenizer = load_model(part["model"])
    made = FastScorer(model)
    made.forward = torch.compile(made.forward, dynamic=True)
    ways = {"all": Trial(FastScorer(model)), "all, torch.compile": Trial(made)}
    return _compared(part, model, tokenizer, ways)


def _compared(part: dict, model, tokenizer, ways: dict[str, Trial]) -> dict:
    """Name -> seconds of each step after the first, and how much faster than the first way."""
    from .part import shape_of  # the parts import the trials

    steps, pairs, names = part["steps"] + 1, part["pairs"], list(ways)
    rows = rows_of(shape_of(part), steps, pairs)
    ours = Ours(model, tokenizer, rows, pairs, part["precision"])
    seconds = {name: [] for name in ways}
    for step in range(steps):
        first = step % len(names)
        for name in [*names, *names][first : first + len(names)]:
            seconds[name].append(forward_backward(ours, ways[name], step))
    base = seconds[names[0]][1:]
    return {"ways": {
        name: {"seconds": taken[1:], "first": taken[0], "faster": stats.ratio(base, taken[1:])}
        for name, taken in seconds.items()
    }}  # fmt: skip


def ways_of(model) -> dict[str, Trial]:
    """Name -> way. The first is what the others are compared with.

    Where the flag is "highest" anyway, ways that differ in it alone are left out.
    """
    ways = {
        "plain": Trial(Scorer(model), "highest"),
        "plain, exact products": Trial(Scorer(model)),
        "head": Trial(FastScorer(model, Tricks(False, False, True))),
        "head, packed rows": Trial(FastScorer(model, Tricks(False, True, True))),
        "head, shared prompts": Trial(SplitRows(model)),
        "all": Trial(FastScorer(model, ALL)),
        "all, without exact products": Trial(FastScorer(model, ALL), "highest"),
        "all, checkpointing": Trial(FastScorer(model, ALL), checkpointing=True),
    }
    same = torch.get_float32_matmul_precision() == "highest"
    return {name: way for name, way in ways.items() if not (same and "exact products" in name)}


def forward_backward(ours: Ours, way: Trial, step: int) -> float:
    """Seconds of forward and backward of a step."""
    model, before = ours.model, torch.get_float32_matmul_precision()
    ours.scorer = way.scorer
    if way.checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.train()  # transformers checkpoints only then; these models have no dropout
    torch.set_float32_matmul_precision(way.flag or before)
    begun = time.perf_counter()
    ours.loss(step).backward()
    taken = time.perf_counter() - begun
    torch.set_float32_matmul_precision(before)
    if way.checkpointing:
        model.gradient_checkpointing_disable()
        model.eval()
    ours.optimizer.zero_grad()
    return taken


def optimizers(model, times: int) -> dict[str, list[float]]:
    """Seconds of clipping and AdamW's step, in turns: PyTorch's default, fused, clip folded in."""
    from dpo_from_scratch.fast import ClippingAdamW

    weights = list(model.parameters())
    for p in weights:
        p.grad = torch.full_like(p, 1e-3)
    settings = {"lr": 0.0, "weight_decay": 0.0}

    def folded(optimizer):
        optimizer.clip(1.0)
        optimizer.step()

    def apart(optimizer):
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()

    ways = {
        "AdamW, clipped before": (torch.optim.AdamW(weights, **settings), apart),
        "fused AdamW, clipped before": (torch.optim.AdamW(weights, fused=True, **settings), apart),
        "fused AdamW, clipped inside": (ClippingAdamW(weights, **settings), folded),
    }
    seconds = {name: [] for name in ways}
    for _ in range(times + 1):
        for name, (optimizer, update) in ways.items():
            begun = time.perf_counter()
            update(optimizer)
            seconds[name].append(time.perf_counter() - begun)
    return {name: taken[1:] for name, taken in seconds.items()}


# ---------------------------------------------------------------- where the time goes
KINDS = {
    "head": ("_HeadLogps",),
    "optimizer": ("Optimizer.", "_fused_adamw", "clip", "get_total_norm"),
    "attention": ("scaled_dot_product",),
    "matrices": ("aten::mm", "aten::addmm", "aten::bmm", "aten::linear", "aten::matmul"),
    "norms and activations": ("norm", "Norm", "gelu", "silu", "pow", "rsqrt", "mean", "tanh"),
}


def kind_of(names: list[str]) -> str:
    """The kind of an operation, from its name and those of what called it."""
    for kind in ("head", "optimizer"):
        if any(part in name for name in names for part in KINDS[kind]):
            return kind
    named = (k for k, parts in KINDS.items() if any(part in names[0] for part in parts))
    return next(named, "the rest")


def profile(part: dict, folder: Path) -> dict:
    """The share of a fast step's time by kind of work, of steps after the first two."""
    model, tokenizer = load_model(part["model"])
    from .part import shape_of

    rows = rows_of(shape_of(part), part["steps"] + 2, part["pairs"])
    ours = Ours(model, tokenizer, rows, part["pairs"], part["precision"])
    ours.step(), ours.step()
    with torch.profiler.profile() as seen:
        for _ in range(part["steps"]):
            ours.step()
    spent: dict[str, float] = {}
    for event in seen.events():
        names, above = [event.name], event.cpu_parent
        while above is not None:
            names.append(above.name)
            above = above.cpu_parent
        kind = kind_of(names)
        spent[kind] = spent.get(kind, 0.0) + event.self_cpu_time_total
    total = sum(spent.values())
    return {"shares": {kind: us / total for kind, us in sorted(spent.items(), key=lambda x: -x[1])}}
