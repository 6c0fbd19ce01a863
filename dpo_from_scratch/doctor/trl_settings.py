"""What TRL's settings, its tokenised rows and its modules say before a step is made."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import nn

from ..models import length_limit
from .findings import Finding

SIDES = ("chosen", "rejected")
FEW_CUT = 0.02  # a share of rows that may lose tokens without being a problem
USUAL = {"DefaultFlowCallback", "ProgressCallback", "PrinterCallback", "SyncRefModelCallback"}
SETTINGS = {  # code: the settings of DPOConfig that decide it
    "no_gradient": ("beta", "learning_rate", "lr_scheduler_type", "warmup_steps"),
    "nothing_learned": ("learning_rate", "max_steps", "num_train_epochs"),
    "step_too_large": ("learning_rate", "max_grad_norm"),
    "truncated": ("max_length", "truncation_mode"),
    "dropout": ("disable_dropout",),
    "gradient_scaled": ("gradient_accumulation_steps",),
    "loss_scaled": ("gradient_accumulation_steps",),
    "effective_beta": ("beta", "loss_type", "label_smoothing"),
    "updates_rounded": ("bf16", "learning_rate"),
}


def look_at_settings(trainer, rows: list[dict], notes: list[str]) -> list[Finding]:
    """Findings that need no step; `notes` gets what can't be looked at."""
    args = trainer.args
    found = _cut_rows(trainer, rows) + _dropouts(trainer) + _joined_prompts(rows)
    found += _unused_adapters(trainer)
    if trainer.beta == 0:
        found.append(Finding("no_gradient", "beta is 0, so that no preference counts"))
    elif not can_learn(trainer):
        told = "none of the policy's weights is trainable: call model.requires_grad_(True) before"
        found.append(Finding("no_gradient", f"{told} (merge_and_unload leaves them frozen)"))
    if getattr(args, "sync_ref_model", False):
        told = f"every {args.ref_model_sync_steps} steps the reference goes"
        told += f" {args.ref_model_mixup_alpha:g} of the way to the policy, as sync_ref_model asks"
        found.append(Finding("reference_moves", told, level="note"))
    if getattr(args, "padding_free", False):
        notes.append("padding_free, which this TRL switches off")
    if getattr(args, "use_liger_kernel", False):
        notes.append("Liger's kernels, which are put in when training starts")
    names = [type(c).__name__ for c in trainer.callback_handler.callbacks]
    others = [name for name in names if name not in USUAL]
    if others:
        notes.append(f"callbacks: {', '.join(others)}")
    if not any("prompt" in row for row in rows):
        notes.append("whether the token ids are the texts', which the rows don't hold")
    return found


def rows_that_fit(trainer, rows: list[dict], n: int) -> list[dict]:
    """n rows as pairs of texts, short and long, none cut if so many are whole.

    The end that TRL writes behind a string is taken off; `row` holds what the collator gets.
    """
    whole = [row for row in rows if not _is_cut(trainer, row)]
    rows = whole if len(whole) >= n else rows
    rows = sorted(rows, key=lambda row: len(row["prompt_ids"]) + len(row["chosen_ids"]))
    places = [round(k * (len(rows) - 1) / max(n - 1, 1)) for k in range(n)]
    end, decode = trainer._tokenizer.eos_token or "", trainer._tokenizer.decode
    pairs = []
    for row in (rows[i] for i in places):
        pair = {"row": row}
        for key in ("prompt", *SIDES):
            text = row[key] if key in row else decode(row[f"{key}_ids"], skip_special_tokens=True)
            mine = isinstance(text, str) and end and key != "prompt"
            pair[key] = text.removesuffix(end) if mine else text
        pairs.append(pair)
    return pairs


def _limits(trainer) -> tuple[int | None, int | None, str]:
    """Where the collator cuts, how much the model reads, and which end is kept."""
    collator = trainer.data_collator
    cut = getattr(collator, "max_length", None)
    return cut, length_limit(trainer.model), getattr(collator, "truncation_mode", "keep_start")


def _is_cut(trainer, row: dict) -> bool:
    cut, _, mode = _limits(trainer)
    prompt = len(row["prompt_ids"]) if mode == "keep_start" else 0
    return bool(cut) and prompt + max(len(row[f"{side}_ids"]) for side in SIDES) > cut


def _cut_rows(trainer, rows: list[dict]) -> list[Finding]:
    """Rows that lose part of a response, or of their prompt, or that the model can't read."""
    cut, context, mode = _limits(trainer)
    longest = [len(r["prompt_ids"]) + max(len(r[f"{s}_ids"]) for s in SIDES) for r in rows]
    many, of = sum(_is_cut(trainer, row) for row in rows), f"of the first {len(rows)} rows"
    found = []
    if many:
        level = "note" if many <= FEW_CUT * len(rows) else "problem"
        told = f"{many} {of} lose part of a response: they have up to {max(longest)} tokens"
        found.append(Finding("truncated", told, level=level))
    elif cut and mode != "keep_start" and max(longest) > cut:
        told = f"{sum(n > cut for n in longest)} {of} lose the beginning of their prompt"
        found.append(Finding("truncated", told, level="note"))
    read = [min(n, cut or n) for n in longest]
    if context and max(read) > context:
        told = f"{sum(n > context for n in read)} {of} are longer than the {context} tokens"
        found.append(Finding("truncated", f"{told} that the model reads"))
    return found


def _joined_prompts(rows: list[dict]) -> list[Finding]:
    """Prompts that stand inside both responses, where the prompt's own place is empty."""
    empty = [row for row in rows if len(row["prompt_ids"]) <= 1]
    same = [_shared(row["chosen_ids"], row["rejected_ids"]) for row in empty]
    if len(empty) < 0.5 * len(rows) or sum(n > 3 for n in same) < 0.8 * len(same):
        return []
    told = f"{len(empty)} of {len(rows)} rows have no prompt, and their two responses begin alike"
    return [Finding("prompt_scored", f"{told} for {sorted(same)[len(same) // 2]} tokens", "likely")]


def _shared(a: list[int], b: list[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), 0)


def _dropouts(trainer) -> list[Finding]:
    """Dropout of modules, adapters' too, which shows in no score before an adapter has grown."""
    on = [
        (name, part.p)
        for name, part in trainer.model.named_modules()
        if isinstance(part, nn.modules.dropout._DropoutNd) and part.p > 0
    ]
    if not on:
        return []
    name, rate = on[0]
    told = f"{len(on)} dropouts of the policy are on in training ({name}: {rate:g})"
    return [Finding("dropout", told)]


def can_learn(trainer) -> bool:
    """Whether a step can push any weight at all."""
    return trainer.beta != 0 and any(p.requires_grad for p in trainer.model.parameters())


# ---------------------------------------------------------------- adapters
def adapters_of(model: nn.Module) -> tuple[set[str], set[str]]:
    """Names of the LoRA adapters that a model holds, and of those that are active."""
    held, active = set(), set()
    for part in model.modules():
        if hasattr(part, "lora_A") and hasattr(part, "active_adapters"):
            held |= {*part.lora_A, *part.lora_embedding_A}
            active |= set(part.active_adapters)
    return held, active


def _unused_adapters(trainer) -> list[Finding]:
    held, active = adapters_of(trainer.model)
    idle = sorted(held - active - {"ref"})
    if not idle:
        return []
    told = f"the model holds the adapter {', '.join(idle)}, and it is not active"
    told += f" ({', '.join(sorted(active)) or 'none'} is): policy and reference begin without it"
    return [Finding("adapter_unused", told, "likely")]


@contextlib.contextmanager
def adapters_as_they_were(model: nn.Module) -> Iterator[None]:
    """Afterwards the same adapters are active; TRL makes only the first of several so again."""
    names = ("_active_adapter", "_disable_adapters", "active_adapter")
    parts = [(part, vars(part)) for part in model.modules()]
    kept = [(part, {n: state[n] for n in names if n in state}) for part, state in parts]
    try:
        yield
    finally:
        for part, state in kept:
            vars(part).update(state)


@torch.no_grad()
def ignored_smoothing(trainer, loss: Callable) -> list[Finding]:
    """A label_smoothing that the loss doesn't read."""
    given = getattr(trainer, "label_smoothing", 0.0)
    if not given:
        return []
    numbers = torch.tensor([[-20.0, -25.0], [-24.0, -21.0], [-21.0, -24.0], [-22.0, -22.0]])
    with_it = loss(*numbers)
    trainer.label_smoothing = given / 2
    without = loss(*numbers)
    trainer.label_smoothing = given
    if not torch.equal(with_it, without):
        return []
    types = ", ".join(trainer.loss_types)
    told = f"label_smoothing={given:g} has no effect on the loss {types}"
    return [Finding("setting_ignored", f"{told}; robust and exo_pair read it", level="note")]


# ---------------------------------------------------------------- words
def say_in_trls_words(trainer, found: list[Finding]) -> list[Finding]:
    """The same findings, with the settings of TRL that decide them."""
    return [replace(f, seen=f.seen + _settings(trainer, f.code)) for f in found]


def _settings(trainer, code: str) -> str:
    if code in ("reference_differs", "reference_is_policy", "adapter_in_reference"):
        return f". {_whose_reference(trainer)}"
    if code == "effective_beta" and {"ipo", "sigmoid_norm"} & set(trainer.loss_types):
        return ", for responses of 20 tokens, since it takes means over tokens"
    names = [name for name in SETTINGS.get(code, ()) if hasattr(trainer.args, name)]
    values = [f"{name}={_plain(getattr(trainer.args, name))}" for name in names]
    return f" ({', '.join(values)})" if values else ""


def _plain(value):
    value = getattr(value, "value", value)
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _whose_reference(trainer) -> str:
    """Where this trainer's reference comes from, as a person can go and look."""
    adapters = list(getattr(trainer.model, "peft_config", {}))
    if trainer.precompute_ref_logps:
        return "The reference's numbers are the columns ref_chosen_logps and ref_rejected_logps"
    if trainer.ref_model is not None:
        path = getattr(getattr(trainer.ref_model, "config", None), "_name_or_path", "")
        told = "The reference is ref_model" + (f", loaded from {path}" if path else "")
        return (
            f"{told}; without ref_model TRL loads what the policy's config names, not its weights"
        )
    if "ref" in adapters:
        told = f"The reference is a copy of the adapter 'default' (adapters: {', '.join(adapters)})"
        return f"{told}; what other adapters do to the policy it lacks: merge them first"
    told = "The reference is the model with its adapters off"
    return f"{told}: merge an earlier adapter into the model and save it, or give ref_model"
