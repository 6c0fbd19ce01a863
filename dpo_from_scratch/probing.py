"""What is wrong with this DPO trainer? `check` finds out by experiment, from the outside, whatever the code looks like.

The logits of the model are replaced by zeros, so every word has the log-probability -ln V, and the gradient of a score with
respect to them says which tokens it counts, at which position, and how much. Then the same pair is scored alone and in a batch,
twice, and in float64, and some steps are watched.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from .data import DataError

LOGITS, REFERENCE, NUMBERS = "The gallery: tokens and masks", "The gallery: the reference", "The gallery: sums, steps and precision"
CAUSES = {  # code: (what to do, section of chapter 09)
    "prompt_scored": ("mask the prompt: only the response's tokens are scored", LOGITS),
    "eos_missing": ("score the end-of-text token: make masks from lengths, not from `ids != pad`", LOGITS),
    "eos_doubled": ("add the end-of-text token once: does the template or the text end with it already?", LOGITS),
    "truncated": ("raise max_length, cut the prompt instead, or leave such rows out: a response is never cut", LOGITS),
    "swapped": ("exchange chosen and rejected, in the collate function or in the data", LOGITS),
    "wrong_text": ("decode what is scored, and compare it with the response", LOGITS),
    "padding_scored": ("leave padding out of the sum: multiply by the mask before you add up", LOGITS),
    "bos_inside": ("tokenise the response with add_special_tokens=False", LOGITS),
    "left_padding": ("give the model position_ids that count from a row's first real token, or pad on the right", LOGITS),
    "batch_dependence": ("pass the attention mask: a score must not depend on the other rows of its batch", LOGITS),
    "not_shifted": ("position t predicts token t + 1: shift labels and mask together", NUMBERS),
    "mean": ("sum over tokens; for a mean on purpose, beta must be about a response's length times larger", NUMBERS),
    "weights": ("every token counts once: look for a factor, a sign or a discount in the score", NUMBERS),
    "precision": ("take the log-softmax in float32: `logits.float()`", NUMBERS),
    "no_gradient": ("give a beta above 0, weights that are trainable, and a learning rate above 0", NUMBERS),
    "wrong_direction": ("look for a sign, or for chosen and rejected exchanged on the way to the loss", NUMBERS),
    "no_reference": ("subtract the reference's log-probabilities (SimPO, ORPO and CPO have none)", REFERENCE),
    "step_too_large": ("lower the learning rate", NUMBERS),
    "dropout": ("score in eval mode, or set the dropout to 0; else look whether the reference is the policy's start", REFERENCE),
    "reference_is_policy": ("the reference must be a frozen copy: copy.deepcopy, requires_grad_(False), no sharing", REFERENCE),
    "reference_moves": ("freeze the reference: nothing may load, average or train its weights", REFERENCE),
    "reference_differs": ("start the policy from the reference: same weights, adapters merged, same tokens", REFERENCE),
    "displacement": ("no bug as such: watch it, or add an NLL term on the chosen response", "When the chosen response falls"),
    "too_sure": ("stop earlier or use IPO or cDPO; look for a cue that gives the label away", "Right every time"),
    "nothing_learned": ("train longer or with a higher learning rate; look at the labels", "Right every time"),
    "length_bias": ("expect longer responses; compare a length-normalised loss", "Longer and longer"),
    "contradictions": ("expect a lower ceiling of accuracy; cDPO and robust DPO allow for such labels", "The doctor"),
    "duplicates": ("remove them, or know that they count twice", "The doctor"),
    "bad_rows": ("mend the rows, or leave them out with --skip-bad", "The doctor"),
}  # fmt: skip


MOST_NATS_A_STEP, MOST_SHARE_A_STEP = 4.0, 0.2  # per response in nats, or as a share of its log-probability if that is more


@dataclass(frozen=True)
class Finding:
    """One line of a diagnosis. `level` is "problem" or "note"; only a problem makes `dpo doctor` exit with 1."""

    code: str
    seen: str
    sure: str = "certain"  # or "likely", "possible"
    level: str = "problem"

    def __str__(self) -> str:
        advice, section = CAUSES[self.code]
        return f'{self.level} ({self.sure}) {self.code}: {self.seen}. To do: {advice}. [chapter 09, "{section}"]'


@dataclass
class Scored:
    """The tokens that one response's score counts: target ids, weights, whether each is padding; and the row they stand in."""

    labels: list[int]
    weights: list[float]
    padding: list[bool]
    row: list[int]  # the real tokens of the row
    shifted: bool  # each target is the token after the position that predicts it
    exact: float  # the same sum from the model's own logits, in float64
    left_padded: bool  # and without position ids


def scored_tokens(score: Callable, policy: nn.Module, batch) -> list[Scored]:
    """What `score` counts for the first chosen and the first rejected response of a batch. DataError if it reads no logits."""
    calls = []

    def replace(module, args, kwargs, output):
        ids = kwargs.get("input_ids", args[0] if args else None)
        mask = kwargs.get("attention_mask", args[1] if len(args) > 1 else None)
        mask = torch.ones_like(ids) if mask is None else mask
        if not hasattr(output, "logits"):
            raise DataError("the model's forward gives no .logits: leave return_dict as it is")
        real, zeros = output.logits.detach(), torch.zeros_like(output.logits, dtype=torch.float32).requires_grad_()
        output.logits = zeros * 1  # not a leaf, so that code may work on it in place
        calls.append((ids, mask, kwargs.get("position_ids") is None, real, zeros))
        return output

    handle = policy.register_forward_hook(replace, with_kwargs=True)
    try:
        scores = [side[0] for side in score(policy, batch)]
        flat = [call[-1] for call in calls]
        if not calls or not scores[0].requires_grad:
            raise DataError("the score doesn't come from the logits of the policy's own forward with gradients: can't look inside")
        grads = [torch.autograd.grad(s, flat, retain_graph=True, allow_unused=True) for s in scores]
    finally:
        handle.remove()
    return [_read_gradient(calls, g) for g in grads]


def _read_gradient(calls, grads) -> Scored:
    size = [0.0 if g is None else float(g.abs().sum()) for g in grads]
    ids, mask, no_positions, logits, _ = calls[int(np.argmax(size))]
    g = grads[int(np.argmax(size))]
    b = int(g.abs().sum((1, 2)).argmax())
    g, ids, mask, logits = g[b].double(), ids[b], mask[b], logits[b].double()
    at = g.abs().amax(-1).nonzero().squeeze(-1)  # at uniform probabilities the target's entry is 1 - 1/V, all others -1/V
    labels = g[at].abs().argmax(-1)
    weights = g[at, labels] / (1 - 1 / g.shape[-1])
    for plain in (1.0, 1 / max(len(at), 1)):  # what bf16 rounded on the way back
        weights = torch.where((weights / plain - 1).abs() < 0.01, plain, weights)
    exact = (weights * logits[at].log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)).sum()
    at = at + len(ids) - len(logits)  # where logits were kept for the last positions only
    following = (at + 1).clamp(max=len(ids) - 1)
    shifted = (labels == ids[following]).sum() >= (labels == ids[at]).sum()
    padding = mask[following if shifted else at] == 0
    left = bool(mask[0] == 0) and no_positions
    return Scored(labels.tolist(), weights.tolist(), padding.tolist(), ids[mask.bool()].tolist(), bool(shifted), float(exact), left)


def check(
    score: Callable, collate: Callable, policy: nn.Module, reference: nn.Module, pairs: list[dict], tokenizer,
    loss: Callable | None = None, step: Callable | None = None, steps: int = 10,
) -> list[Finding]:  # fmt: skip
    """Examine the functions of any DPO trainer, before its first step; returns findings, none if all is well.

    `collate(pairs) -> batch` and `score(model, batch) -> (chosen_logps (N,), rejected_logps (N,))` as the trainer uses them;
    `pairs` are rows prompt, chosen, rejected, two or more, the longest among them. `loss(chosen_logps, rejected_logps,
    ref_chosen_logps, ref_rejected_logps)` and `step(pairs)`, which makes one update, are optional: they show a beta of 0, a
    reference that moves, steps that are too large (unless the warm-up is longer than `steps`, how often `step` is called). Then
    the weights are put back, not the optimizer's state. A reference that is a view of the policy, as with LoRA adapters off,
    must be a module that scores so. ValueError for fewer than two pairs, DataError for a score that never shows its logits.
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
        before = [torch.stack([x.detach().double() for x in score(m, collate(pairs))]) for m in (policy, reference)]
        again = torch.stack([x.double() for x in score(reference, collate(pairs))])
    if _far(before[1], again):
        add("dropout", f"the reference scores the same text differently, by {_gap(before[1], again):.3g} nats")
    elif _follows(score, collate, policy, reference, pairs, before[1]):
        add("reference_is_policy", "the reference's scores change with the policy's weights")
    elif "dropout" not in found and _far(*before, _tolerance(policy)):
        add("reference_differs", f"before training, policy and reference differ by {_gap(*before):.3g} nats", "likely")
    if loss:
        _check_loss(add, loss)
        if {"mean", "no_reference"} <= found.keys():  # as in SimPO, on purpose
            found["mean"] = replace(found["mean"], level="note")
    if step:
        _check_steps(add, score, collate, policy, reference, pairs, step, steps, before, found)
    return list(found.values())


def _check_tokens(add, side: str, seen: Scored, row: dict, tokenizer) -> None:
    n, weights = len(seen.labels), np.array(seen.weights)
    if not seen.shifted:
        add("not_shifted", f"the {side} response's score takes the probability of each token at its own position")
        return
    if any(seen.padding):
        add("padding_scored", f"{sum(seen.padding)} padded positions are part of the {side} response's score")
    if np.allclose(weights, 1 / n, rtol=0.02) and n > 1:
        add("mean", f"every one of the {n} tokens counts 1/{n}")
    elif not np.allclose(weights, 1, atol=0.02):
        add("weights", f"tokens count between {weights.min():.3g} and {weights.max():.3g}, not 1")
    labels = [i for i, p in zip(seen.labels, seen.padding, strict=True) if not p]
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    start = len(seen.row) - len(labels)  # of what is scored, in its row
    if bos not in (None, eos) and bos in seen.row[max(start - 1, 1) :]:  # a chat template may begin every turn with it
        add("bos_inside", "the beginning-of-text token stands where the response begins")
    text, target, other = (_squeeze(x) for x in (tokenizer.decode(labels, skip_special_tokens=True), _text(row[side]),
                                                 _text(row["rejected" if side == "chosen" else "chosen"])))  # fmt: skip
    extra = text.removesuffix(target)
    if text == other or (text and other.startswith(text) and not target.startswith(text)):
        add("swapped", f'what is scored as {side} is the other response: "{tokenizer.decode(labels)[:60]}"')
        target = other
    elif text != target and text.endswith(target) and (_squeeze(_text(row["prompt"]))[-5:] or "\0") in extra:
        add("prompt_scored", f'the score of the {side} response begins in the prompt: "{tokenizer.decode(labels)[:40]}"')
    elif text != target and target.startswith(text):
        add("truncated", f'the {side} response is scored up to "{tokenizer.decode(labels)[-30:]}" only')
    elif text != target and not text.endswith(target):
        add("wrong_text", f'"{tokenizer.decode(labels)[:60]}" is scored, and not the {side} response')
    while labels and not tokenizer.decode(labels[-1:]).strip():
        labels.pop()  # a template's newline after the end of a turn
    special = {*tokenizer.all_special_ids, *(i for i, t in tokenizer.added_tokens_decoder.items() if t.special)}
    if (not labels or labels[-1] not in special) and target.startswith(text[-len(target) :]) and len(text) >= len(target):
        add("eos_missing", f"the last token that is scored is {tokenizer.decode(labels[-1:])!r}, not the end of text")
    if len(labels) > 1 and labels[-1] == labels[-2] and labels[-1] in special:
        add("eos_doubled", f"the {side} response's score counts {tokenizer.decode(labels[-1:])} more than once")


def _check_numbers(add, score, collate, policy, short: dict, long: dict, inside: list[Scored]) -> None:
    with torch.no_grad():
        alone, again = (torch.stack([x.double()[:1] for x in score(policy, collate([short]))]) for _ in range(2))
        together = torch.stack([x.double()[:1] for x in score(policy, collate([short, long]))])
        whole = score(policy, collate([long]))
    if _far(alone, again):
        return add("dropout", f"the same text scored twice differs by {_gap(alone, again):.3g} nats")
    if _far(alone, together, _tolerance(policy)) and all(s.shifted for s in inside):
        left = any(s.left_padded for s in scored_tokens(score, policy, collate([short, long])))
        code = "left_padding" if left else "batch_dependence"
        add(code, f"a pair scored alone and beside a longer one differs by {_gap(alone, together):.3g} nats")
    for seen, value in zip(inside, whole, strict=True):
        if _far(torch.tensor(seen.exact), value[0].double(), 1e-4):
            add("precision", f"the score is {float(value[0]):.4f} nats, in float64 {seen.exact:.4f}")


def _check_loss(add, loss: Callable) -> None:
    slopes = []
    for delta in (-5.0, 0.0, 5.0):
        x = torch.tensor([[delta - 20.0], [-20.0], [-20.0], [-20.0]], dtype=torch.double, requires_grad=True)
        loss(*x).mean().backward()
        slopes.append(float((x.grad[0] - x.grad[1]).item()))
    y = torch.full((2, 4, 1), -20.0, dtype=torch.double)
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
            now, again, ref = (torch.stack([x.double() for x in score(m, collate(pairs))]) for m in (policy, policy, reference))
        if _far(now, again):
            add("dropout", f"after a step, the same text scored twice differs by {_gap(now, again):.3g} nats")
        largest, was = max(largest, float((now - was).abs().mean())), now
        ref_moved = max(ref_moved, _gap(ref, before[1]))
    policy.load_state_dict(weights)
    margin = float(((was - before[0])[0] - (was - before[0])[1]).mean())
    if {"dropout", "reference_is_policy"} & found.keys():
        return
    if ref_moved > 1e-3:
        add("reference_moves", f"{steps} steps changed the reference's scores by {ref_moved:.3g} nats")
    if largest < 1e-6:
        add("no_gradient", f"{steps} steps changed no score of the policy")
    elif largest > max(MOST_NATS_A_STEP, MOST_SHARE_A_STEP * float(before[0].abs().mean())):
        add("step_too_large", f"one step changed the responses' log-probabilities by {largest:.3g} nats on average", "likely")
    elif margin < -0.05:
        add("wrong_direction", f"{steps} steps on the same pairs moved chosen against rejected by {margin:.3g} nats")


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
def _follows(score, collate, policy: nn.Module, reference: nn.Module, pairs: list[dict], before: Tensor) -> bool:
    """Whether the reference's scores change if the policy's trained weights do; a frozen base may be shared, as with LoRA."""
    trained = [p for p in policy.parameters() if p.requires_grad]
    kept = [p.clone() for p in trained]
    for p in trained:
        p.add_(0.01 * torch.ones_like(p))
    now = torch.stack([x.double() for x in score(reference, collate(pairs))])
    for p, old in zip(trained, kept, strict=True):
        p.copy_(old)
    return _far(before, now)
