"""What is wrong with this DPO trainer? `check` finds out by experiment, from the outside.

It looks inside a score (inside.py) and judges its tokens (responses.py), scores pairs alone and in
a batch (alone.py), takes the loss as a function (shape.py), and watches steps (steps.py), the last
of them from inside (one_step.py).
"""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from ..data import DataError
from .adapters import quiet_adapters
from .alone import SHARED, check_numbers, check_start
from .case import Case, left_as_it_was, low_precision
from .findings import Finding
from .inside import Scored, scored_rows
from .meant import weigh
from .responses import check_responses
from .shape import check_loss, ignores_reference
from .steps import check_steps
from .window import text_of

LOOKED_INTO = 4  # pairs whose tokens are judged: the shortest, the longest, and two between
NUMBERS = ("precision", "batch_dependence", "left_padding", "mean", "weights")
TOKENS = ("truncated", "wrong_text", "not_shifted", "eos_missing", "swapped", "wrong_window")
TOKENS = (*TOKENS, "prompt_missing", "bos_inside", "prompt_scored", "padding_scored", "eos_doubled")
TOKENS = (*TOKENS, "wrong_context")
STEPS = ("step_differs", "first_loss", "reference_moves", "reference_gradients")
# a cause, and what follows from it and is no cause of its own
FOLLOWERS = {
    "unknown_tokens": (*TOKENS, "equal_pair", "pairs_mixed"),
    "not_log_softmax": (*NUMBERS, *TOKENS, *STEPS, "step_too_large"),
    "not_shifted": (*NUMBERS, "padding_scored", "eos_missing", "wrong_window", "wrong_text"),
    "padding_scored": ("batch_dependence", "left_padding", "precision"),
    "pairs_mixed": ("batch_dependence", "left_padding", "swapped", "wrong_text", *STEPS),
    "prompt_missing": ("pairs_mixed",),
    "wrong_context": ("bos_inside", "prompt_missing", "batch_dependence", "left_padding"),
    "no_space": ("truncated", "wrong_window", "wrong_text", "not_shifted"),
    "left_padding": ("batch_dependence",),
    "dropout": ("reference_differs", *STEPS),
    "no_gradient": ("step_differs", "side_detached", "effective_beta"),
    "side_detached": ("step_differs", "wrong_direction"),
    "wrong_direction": ("step_differs", "first_loss"),
    "no_reference": ("first_loss",),
    "first_loss": ("step_differs",),
    "reference_rows": ("first_loss",),
    "moved_beside_optimizer": ("step_too_large",),
    "gradients_pile_up": ("step_differs",),
    "pairs_lost": ("step_differs", "gradient_scaled", "loss_scaled", "first_loss"),
    "loss_of_mean": ("bounded_loss", "step_differs"),
    "reference_exchanged": ("first_loss", "reference_differs"),
    "reference_weight": ("first_loss",),
    **dict.fromkeys(SHARED, ("no_gradient", "reference_differs", *STEPS)),
}


def check(
    score: Callable,
    collate: Callable,
    policy: nn.Module,
    reference: nn.Module | None = None,
    pairs: Sequence[dict] = (),
    tokenizer=None,
    loss: Callable | None = None,
    step: Callable | None = None,
    steps: int = 10,
    reference_scores: Callable | None = None,
) -> list[Finding]:
    """Examine the functions of any DPO trainer, before its first step; no problem if all is well.

    `collate(pairs) -> batch` and `score(model, batch) -> (chosen_logps (N,), rejected_logps (N,))`
    as the trainer uses them; `pairs` are rows prompt, chosen, rejected, two or more of different
    lengths, the longest among them. All else is optional, and a note, `not_looked_at`, says what
    therefore could not be seen:
    `loss(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps)`, per pair or mean;
    `step(pairs)` makes one update and may return its loss, alone or as "loss" in a dictionary;
    `reference_scores(pairs) -> (ref_chosen_logps, ref_rejected_logps)`, the numbers that training
    uses where they are kept; `reference` may then be left out, as it may where the loss has no
    slope in its last two arguments, or takes two only. A reference that is a view of the policy, as
    with LoRA adapters off, must be a module that scores so.

    `step` is called `steps` times, the last time from weights that were moved by some noise.
    Afterwards weights, gradients, modes and random numbers are put back, not the optimizer's state
    and not a scheduler's. ValueError for fewer than two pairs; DataError in one sentence for a
    function that raises or gives something else, and for a score without gradients.
    """
    if len(pairs) < 2:
        raise ValueError("give two pairs or more, of different lengths")
    if tokenizer is None:
        raise ValueError("give the tokenizer")
    case = Case(
        score, collate, policy, reference, list(pairs), tokenizer, loss, step, reference_scores
    )
    with left_as_it_was(policy, reference), quiet_adapters(case):
        _ask_for_reference(case)
        few = spread(case.pairs)
        seen = _look_inside(case, few)
        case.half = low_precision(policy) or any(s.half for side in seen or [] for s in side)
        if seen:
            check_responses(case, seen, few)
        check_numbers(case, seen, few)
        start = check_start(case)
        if loss:
            check_loss(case)
        if step:
            check_steps(case, start, steps, _lengths(case))
    return _conclusion(case)


def _ask_for_reference(case: Case) -> None:
    """DataError if there is none and the loss wants one."""
    none = case.reference is None and case.reference_scores is None
    if none and not (case.loss and ignores_reference(case)):
        told = "give a reference, or reference_scores(pairs) where its scores are kept"
        raise DataError(f"{told}; that there is none, only a `loss` without it can show")


def spread(pairs: list[dict]) -> list[dict]:
    """Some of the pairs, from the shortest chosen response to the longest."""
    ordered = sorted(pairs, key=lambda row: len(text_of(row["chosen"])))
    n = min(LOOKED_INTO, len(ordered))
    places = dict.fromkeys(round(k * (len(ordered) - 1) / max(n - 1, 1)) for k in range(n))
    return [ordered[i] for i in places]


def _look_inside(case: Case, few: list[dict]) -> list[list[Scored]] | None:
    batch = case.batch(few)
    with torch.enable_grad():
        needs_grad = case.scores(case.policy, few).requires_grad
    try:
        seen = scored_rows(case.score, case.policy, batch)
    except DataError as error:
        if not needs_grad or "can't look inside" not in str(error):
            raise
        case.unseen.append("tokens, masks and precision: the score never shows the model's logits")
        return None
    return seen if [len(side) for side in seen] == [len(few)] * 2 else None


def _lengths(case: Case) -> torch.Tensor | None:
    """Tokens that are scored of each response, (2, N), where all pairs were looked into."""
    try:
        rows = scored_rows(case.score, case.policy, case.batch(case.pairs[:8]))
    except DataError:
        return None
    lengths = torch.tensor([[max(len(s.labels), 1) for s in side] for side in rows])
    return lengths.double() if len(set(lengths.flatten().tolist())) > 1 else None


def _conclusion(case: Case) -> list[Finding]:
    """One cause speaks: what follows from it is left out. What wasn't looked at comes last."""
    found = case.found
    weigh(case)
    for cause, followers in FOLLOWERS.items():
        if cause in found and found[cause].level == "problem":
            for code in followers:
                found.pop(code, None)
    if not case.loss:
        case.unseen.append("the loss's shape and beta, since `loss` was not given")
    if not case.step:
        case.unseen.append("steps, gradients and the optimizer, since `step` was not given")
    if case.unseen:
        told = "; ".join(dict.fromkeys(case.unseen))
        case.add("not_looked_at", told, level="note")
    return list(found.values())
