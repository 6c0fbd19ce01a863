"""What is wrong with this DPO trainer? `check` finds out by experiment, from the outside.

It looks inside a score (inside.py). Then the same pair is scored alone and in a batch, twice, and
in float64, and some steps are watched.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from .findings import Finding
from .inside import Scored, scored_tokens

# per response in nats, or as a share of its log-probability if that is more
MOST_NATS_A_STEP, MOST_SHARE_A_STEP = 4.0, 0.2


def check(
    score: Callable,
    collate: Callable,
    policy: nn.Module,
    reference: nn.Module,
    pairs: list[dict],
    tokenizer,
    loss: Callable | None = None,
    step: Callable | None = None,
    steps: int = 10,
) -> list[Finding]:
    """Examine the functions of any DPO trainer, before its first step; no finding if all is well.

    `collate(pairs) -> batch` and `score(model, batch) -> (chosen_logps (N,), rejected_logps (N,))`
    as the trainer uses them; `pairs` are rows prompt, chosen, rejected, two or more, the longest
    among them. `loss(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps)` and
    `step(pairs)`, which makes one update, are optional: they show a beta of 0, a reference that
    moves, steps that are too large (unless the warm-up is longer than `steps`, how often `step` is
    called). Then the weights are put back, not the optimizer's state. A reference that is a view of
    the policy, as with LoRA adapters off, must be a module that scores so. ValueError for fewer
    than two pairs, DataError for a score that never shows its logits.
    """
    if len(pairs) < 2:
        raise ValueError("give two pairs or more, of different lengths")
    found: dict[str, Finding] = {}

    def add(code: str, seen: str, sure: str = "certain", level: str = "problem") -> None:
        found.setdefault(code, Finding(code, seen, sure, level))

    by_length = sorted(pairs, key=lambda row: len(_text(row["chosen"])))
    short, long = by_length[0], by_length[-1]
    inside = scored_tokens(score, policy, collate([long]))
    for side, seen in zip(("chosen", "rejected"), inside, strict=True):
        _check_tokens(add, side, seen, long, tokenizer)
    _check_numbers(add, score, collate, policy, short, long, inside)
    with torch.no_grad():
        before = [
            torch.stack([x.detach().double() for x in score(m, collate(pairs))])
            for m in (policy, reference)
        ]
        again = torch.stack([x.double() for x in score(reference, collate(pairs))])
    if _far(before[1], again):
        gap = _gap(before[1], again)
        add("dropout", f"the reference scores the same text differently, by {gap:.3g} nats")
    elif _follows(score, collate, policy, reference, pairs, before[1]):
        add("reference_is_policy", "the reference's scores change with the policy's weights")
    elif "dropout" not in found and _far(*before, _tolerance(policy)):
        seen = f"before training, policy and reference differ by {_gap(*before):.3g} nats"
        add("reference_differs", seen, "likely")
    if loss:
        _check_loss(add, loss)
        if {"mean", "no_reference"} <= found.keys():  # as in SimPO, on purpose
            found["mean"] = replace(found["mean"], level="note")
    if step:
        _check_steps(add, score, collate, policy, reference, pairs, step, steps, before, found)
    return list(found.values())


def _check_tokens(add, side: str, seen: Scored, row: dict, tokenizer) -> None:
    """Which tokens of this side's text count, and how much."""
    n, weights = len(seen.labels), np.array(seen.weights)
    if not seen.shifted:
        whose = f"the {side} response's score"
        add("not_shifted", f"{whose} takes the probability of each token at its own position")
        return
    if any(seen.padding):
        many = sum(seen.padding)
        add("padding_scored", f"{many} padded positions are part of the {side} response's score")
    if np.allclose(weights, 1 / n, rtol=0.02) and n > 1:
        add("mean", f"every one of the {n} tokens counts 1/{n}")
    elif not np.allclose(weights, 1, atol=0.02):
        add("weights", f"tokens count between {weights.min():.3g} and {weights.max():.3g}, not 1")
    labels = [i for i, p in zip(seen.labels, seen.padding, strict=True) if not p]
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    start = len(seen.row) - len(labels)  # of what is scored, in its row
    # a chat template may begin every turn with it
    if bos not in (None, eos) and bos in seen.row[max(start - 1, 1) :]:
        add("bos_inside", "the beginning-of-text token stands where the response begins")
    text, target = _check_text(add, side, labels, row, tokenizer)
    _check_end(add, side, labels, text, target, tokenizer)


def _check_text(add, side: str, labels: list[int], row: dict, tokenizer) -> tuple[str, str]:
    """The text that is scored against the texts of the row; returns it and what it should be."""
    decode, other_side = tokenizer.decode, "rejected" if side == "chosen" else "chosen"
    text = _squeeze(decode(labels, skip_special_tokens=True))
    target, other = _squeeze(_text(row[side])), _squeeze(_text(row[other_side]))
    prompt_end = _squeeze(_text(row["prompt"]))[-5:] or "\0"
    if text == other or (text and other.startswith(text) and not target.startswith(text)):
        found = f'"{decode(labels)[:60]}"'
        add("swapped", f"what is scored as {side} is the other response: {found}")
        target = other
    elif text == target:
        pass
    elif text.endswith(target) and prompt_end in text.removesuffix(target):
        begins = f'"{decode(labels)[:40]}"'
        add("prompt_scored", f"the score of the {side} response begins in the prompt: {begins}")
    elif target.startswith(text):
        ends = f'"{decode(labels)[-30:]}"'
        add("truncated", f"the {side} response is scored up to {ends} only")
    elif not text.endswith(target):
        found = f'"{decode(labels)[:60]}"'
        add("wrong_text", f"{found} is scored, and not the {side} response")
    return text, target


def _check_end(add, side: str, labels: list[int], text: str, target: str, tokenizer) -> None:
    """What ends the response: one special token, once."""
    while labels and not tokenizer.decode(labels[-1:]).strip():
        labels.pop()  # a template's newline after the end of a turn
    added = tokenizer.added_tokens_decoder.items()
    special = {*tokenizer.all_special_ids, *(i for i, t in added if t.special)}
    last = tokenizer.decode(labels[-1:])
    complete = target.startswith(text[-len(target) :]) and len(text) >= len(target)
    if complete and (not labels or labels[-1] not in special):
        add("eos_missing", f"the last token that is scored is {last!r}, not the end of text")
    if len(labels) > 1 and labels[-1] == labels[-2] and labels[-1] in special:
        add("eos_doubled", f"the {side} response's score counts {last} more than once")


def _check_numbers(
    add, score, collate, policy, short: dict, long: dict, inside: list[Scored]
) -> None:
    with torch.no_grad():
        first = lambda rows: torch.stack([x.double()[:1] for x in score(policy, collate(rows))])
        alone, again, together = first([short]), first([short]), first([short, long])
        whole = score(policy, collate([long]))
    if _far(alone, again):
        add("dropout", f"the same text scored twice differs by {_gap(alone, again):.3g} nats")
        return
    if _far(alone, together, _tolerance(policy)) and all(s.shifted for s in inside):
        left = any(s.left_padded for s in scored_tokens(score, policy, collate([short, long])))
        code = "left_padding" if left else "batch_dependence"
        gap = _gap(alone, together)
        add(code, f"a pair scored alone and beside a longer one differs by {gap:.3g} nats")
    for seen, value in zip(inside, whole, strict=True):
        if _far(torch.tensor(seen.exact, device=value.device), value[0].double(), 1e-4):
            here = f"{float(value[0]):.4f} nats, in float64 {seen.exact:.4f}"
            add("precision", f"the score is {here}")


def _check_loss(add, loss: Callable) -> None:
    slopes = []
    for delta in (-5.0, 0.0, 5.0):
        x = torch.full((4, 1), -20.0, dtype=torch.double, device="cpu")
        x[0] += delta
        loss(*x.requires_grad_()).mean().backward()
        slopes.append(float((x.grad[0] - x.grad[1]).item()))
    y = torch.full((2, 4, 1), -20.0, dtype=torch.double, device="cpu")
    y[1, 2] += 1.0
    if max(map(abs, slopes)) < 1e-9:
        add("no_gradient", "the loss does not change with the log-probabilities")
    elif min(slopes[:2]) > 0:
        add("wrong_direction", "the loss falls when the rejected response gains")
    if max(map(abs, slopes)) > 1e-9 and torch.equal(loss(*y[0]), loss(*y[1])):
        add("no_reference", "the loss takes no account of the reference", level="note")


def _check_steps(add, score, collate, policy, reference, pairs, step, steps, before, found) -> None:
    weights = {k: v.detach().clone() for k, v in policy.state_dict().items()}
    was, largest, ref_moved = before[0], 0.0, 0.0
    for _ in range(steps):
        step(pairs)
        with torch.no_grad():
            now, again, ref = (
                torch.stack([x.double() for x in score(m, collate(pairs))])
                for m in (policy, policy, reference)
            )
        if _far(now, again):
            add(
                "dropout",
                f"after a step, the same text scored twice differs by {_gap(now, again):.3g} nats",
            )
        largest, was = max(largest, float((now - was).abs().mean())), now
        ref_moved = max(ref_moved, _gap(ref, before[1]))
    policy.load_state_dict(weights)
    margin = float(((was - before[0])[0] - (was - before[0])[1]).mean())
    if {"dropout", "reference_is_policy"} & found.keys():
        return
    if ref_moved > 1e-3:
        add(
            "reference_moves",
            f"{steps} steps changed the reference's scores by {ref_moved:.3g} nats",
        )
    if largest < 1e-6:
        add("no_gradient", f"{steps} steps changed no score of the policy")
    elif largest > max(MOST_NATS_A_STEP, MOST_SHARE_A_STEP * float(before[0].abs().mean())):
        add(
            "step_too_large",
            f"one step changed the responses' log-probabilities by {largest:.3g} nats on average",
            "likely",
        )
    elif margin < -0.05:
        add(
            "wrong_direction",
            f"{steps} steps on the same pairs moved chosen against rejected by {margin:.3g} nats",
        )


def _text(value) -> str:
    return value if isinstance(value, str) else value[-1]["content"]


def _squeeze(text: str) -> str:
    return "".join(text.split())


def _gap(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


def _far(a: Tensor, b: Tensor, relative: float = 1e-3) -> bool:
    return bool(((a - b).abs() > 1e-3 + relative * b.abs()).any())


def _tolerance(policy: nn.Module) -> float:
    """Relative; half precision rounds a text differently in another batch."""
    return 1e-3 if next(policy.parameters()).dtype in (torch.float32, torch.float64) else 2e-2


@torch.no_grad()
def _follows(
    score, collate, policy: nn.Module, reference: nn.Module, pairs: list[dict], before: Tensor
) -> bool:
    """Whether the reference's scores change if the policy's trained weights do.

    A frozen base may be shared, as with LoRA.
    """
    trained = [p for p in policy.parameters() if p.requires_grad]
    kept = [p.clone() for p in trained]
    for p in trained:
        p.add_(0.01 * torch.ones_like(p))
    now = torch.stack([x.double() for x in score(reference, collate(pairs))])
    for p, old in zip(trained, kept, strict=True):
        p.copy_(old)
    return _far(before, now)
