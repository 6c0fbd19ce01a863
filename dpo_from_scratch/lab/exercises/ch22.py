"""Chapter 22: what a score counts, ten runs without names, a bug of one's own, TRL's columns."""

import itertools
import math
from collections.abc import Sequence
from functools import cache

import torch

from ...doctor import hooks
from . import attempts, values
from .answers import Own
from .ch22_runs import answers, as_trl, log_of, name_runs
from .functions import Function
from .verdicts import Verdict, misformed, right, unknown, wrong

SCRIPT = "plain_loop.py"
BUGS = (None, "labels not shifted", "mean for sum")  # scores in which mistakes differ
ROWS = [
    {
        "prompt": "film : how was the plot ?",
        "chosen": " honestly the plot was lovely . thanks for asking .",
        "rejected": " the plot was stale .",
    },
    {
        "prompt": "hotel : how was the staff ?",
        "chosen": " the staff was truly kind .",
        "rejected": " the staff was rude . also the room was stale .",
    },
]


@cache
def small_model():
    """The book's tiny model and its tokenizer."""
    from ...models import load_model

    return load_model("tiny")


# ---------------------------------------------------------------- 22.0: the key cell
def counted_tokens(score, model, batch, *, own=False, side=0, whole=False, **slip):
    """What the first chosen response's score counts: positions, tokens, weights, and its value."""
    calls = []

    def known(module, args, kwargs, output):
        logits = output.logits.detach() if own else torch.zeros_like(output.logits)
        output.logits = logits.requires_grad_()
        calls.append(output.logits)
        return output

    hook = model.register_forward_hook(known, with_kwargs=True)
    try:
        scores = score(model, batch)[side]
    finally:
        hook.remove()
    total = scores.sum() if whole else scores[0]
    g = torch.autograd.grad(total, calls)[0][side * len(scores)]
    at = (
        (g.abs().amax(-1) >= 0).nonzero()[:, 0]
        if "all" in slip
        else g.abs().amax(-1).nonzero()[:, 0]
    )
    return told_of(g, at, total.item(), batch["input_ids"][side * len(scores)], **slip)


def told_of(g, at, total, ids, *, unscaled=False, target=False, units="", read="", weigh="", **_):
    """The four things, from the gradient g (T, V) of a score at its positions."""
    size = g.shape[-1]
    tokens = g[at].argmax(-1)
    if read:
        tokens = {"row": ids[(at + 1) % len(ids)], "here": ids[at], "least": g[at].argmin(-1)}[read]
    weights = {
        "": g[at].amax(-1), "sum": g[at].sum(-1), "sizes": g[at].abs().sum(-1),
        "norm": g[at].norm(dim=-1), "one": torch.ones(len(at)) * (1 - 1 / size),
    }[weigh]  # fmt: skip
    total = {"": total, "units": -total / math.log(size), "minus": -total,
             "each": total / max(len(at), 1)}[units]  # fmt: skip
    return at + target, tokens, weights / (1 if unscaled else 1 - 1 / size), total


class Scores(Sequence):
    """Cases that are made when first asked for: scores of the script, right and wrong."""

    def __init__(self):
        self.found: list[dict] = []

    def made(self) -> list[dict]:
        """score, model, batch of each."""
        self.found = self.found or self.make()
        return self.found

    def make(self) -> list[dict]:
        """Each score with its batch."""
        model, tokenizer = small_model()
        found = []
        for bug in BUGS:
            names = hooks.load_script(SCRIPT, bug)
            batch = names["collate"](ROWS, tokenizer)
            found.append({"score": names["score"], "model": model, "batch": batch})
        return found

    def __len__(self) -> int:
        return len(BUGS)

    def __getitem__(self, i):
        return self.made()[i]


def four(value):
    """(positions, tokens, weights, score) as lists of numbers, where there are four."""
    parts = list(value) if isinstance(value, list | tuple) else [value]
    found = [values.numbers(part) for part in parts]
    return tuple(f.ravel().tolist() if f is not None else None for f in found)


def badly_formed(ask, cases) -> str:
    """Not four things, or in another order."""
    gave, own = four(ask(cases[0])), four(counted_tokens(*cases[0].values()))
    if len(gave) != 4:
        return f"four things are asked, not {len(gave)}: positions, tokens, weights, the score."
    if None in gave:
        return "one of the four things is no number and holds none."
    if all(any(values.same(g, o) for o in own) for g in gave):
        return "the right things, but not in the order positions, tokens, weights, the score."
    if not values.same(gave[0], own[0]):
        return "the positions are not those at which the gradient of this score isn't 0."
    return ""


class Counted(Function):
    """A function that also must leave the model as it was."""

    def tried(self, attempt) -> Verdict:
        """Right, and no hook stays behind."""
        said = super().tried(attempt)
        if said.state != "right":
            return said
        seen, case = [], self.cases[0]
        score = lambda model, batch: seen.append(model) or case["score"](model, batch)
        attempts.call(attempt, dict(case) | {"score": score}, attempts.Clock())
        if any(model._forward_hooks for model in seen):
            return wrong("the hook stays on the model, which gives changed logits ever after.")
        return said


COUNTED = Counted(
    counted_tokens,
    Scores(),
    switches={
        "own": (True, "these are the model's own logits: put zeros in their place."),
        "side": (1, "that is the first rejected response; the first chosen one is asked."),
        "whole": (True, "the scores of all chosen responses are added up: take the first one's."),
        "all": (True, "all positions are there; asked are those where the gradient isn't 0."),
        "unscaled": (True, "the gradient of a token that counts once is 1 - 1/V, not 1: divide."),
        "target": (True, "a position is where a token is predicted, not where it stands."),
    },
    wrongs=[
        (why, lambda score, model, batch, s=slip: counted_tokens(score, model, batch, **s))
        for why, slip in (
            ("the tokens are read from the row one place on; that the score does so, too, is what "
             "the gradient has to show.", {"read": "row"}),
            ("the tokens are those that stand at the positions; asked are those that the score "
             "counts there.", {"read": "here"}),
            ("the token that is counted has the one gradient above 0.", {"read": "least"}),
            ("the gradients at a position add up to 0: asked is that of the token alone.",
             {"weigh": "sum"}),
            ("that adds up the sizes at a position: asked is the gradient of the token alone.",
             {"weigh": "sizes", "unscaled": True}),
            ("that adds up the sizes at a position: asked is the gradient of the token alone.",
             {"weigh": "sizes"}),
            ("that is the length of the gradient at a position; asked is that of the token alone.",
             {"weigh": "norm"}),
            ("that is the length of the gradient at a position; asked is that of the token alone.",
             {"weigh": "norm", "unscaled": True}),
            ("every weight is 1, whatever the score does: read them off the gradient.",
             {"weigh": "one"}),
            ("the last thing is the score itself, in nats; yours is divided by −ln V.",
             {"units": "units"}),
            ("the last thing is the score itself, with its sign.", {"units": "minus"}),
            ("the last thing is the score itself, not its mean over the tokens.",
             {"units": "each"}),
        )
    ],
    traits=[badly_formed],
    shows="Which tokens a score counts can be read off any score, without reading its code.",
    common=False,
    read=four,
)  # fmt: skip


# ---------------------------------------------------------------- 22.2
EVERY_SECOND = [
    'batch["loss_mask"][:, 1:]',
    "batch[\"loss_mask\"][:, 1:] * (torch.arange(batch['loss_mask'].shape[1] - 1) % 2)",
]


def patches_of(attempt) -> list | None:
    """[[old, new], ...], of one patch or of several."""
    many = isinstance(attempt, list | tuple)
    if many and len(attempt) == 2 and all(isinstance(part, str) for part in attempt):
        return [list(attempt)]
    fits = many and all(
        isinstance(p, list | tuple) and len(p) == 2 and all(isinstance(s, str) for s in p)
        for p in attempt
    )
    return [list(p) for p in attempt] if fits and attempt else None


def seen_in(patches) -> list[dict]:
    """Of both first responses: the tokens, how they count, and the whole row."""
    names = hooks.load_script(SCRIPT, None, patches)
    model, tokenizer = small_model()
    batch = names["collate"](ROWS, tokenizer)
    found = []
    for side in (0, 1):
        at, tokens, weights, _ = counted_tokens(names["score"], model, batch, side=side)
        row = batch["input_ids"][side * len(ROWS)].tolist()
        found.append({"at": at.tolist(), "tokens": tokens.tolist(), "weights": weights, "row": row})
    return found


def second_only(attempt) -> Verdict:
    """Whether a patch makes the score count every second token of a response, and once."""
    patches = patches_of(attempt)
    if patches is None:
        return misformed("a pair of strings is asked, (old, new), or a list of such pairs.")
    small_model()  # outside the clock: on a slow machine its first load alone takes that long
    done = attempts.call(seen_in, {"patches": patches}, attempts.Clock())
    if done.trouble:
        if "times in the script" in done.trouble:
            return misformed("`old` must stand exactly once in plain_loop.py: " + done.trouble)
        return misformed("the patched script: " + done.trouble)
    if [now["at"] for now in seen_in(patches)] != [now["at"] for now in done.value]:
        return wrong("the score counts other tokens when it is asked again: is a lot drawn?")
    for now, before in (both := list(zip(done.value, seen_in([]), strict=True))):
        if why := strays(now, before):
            return wrong(why)
    if not all(patterned(now, before) for now, before in both):
        return unknown("the score doesn't count every second token of each response.")
    return right("Its first loss is ln 2, as it should be; what the score counts gives it away.")


def strays(now: dict, before: dict) -> str:
    """A cause, where the score counts something else."""
    if now["row"] != before["row"]:
        return "the text itself has changed; only what the score counts of it should."
    if not now["at"]:
        return (
            "no token of one of the first two responses counts: a mask has tokens in its columns."
        )
    was = dict(zip(before["at"], before["tokens"], strict=True))
    if any(was.get(at, token) != token for at, token in zip(now["at"], now["tokens"], strict=True)):
        return "other tokens are counted at these places: leave logits and labels as they are."
    if now["at"] == before["at"]:
        even = bool((now["weights"] - 1).abs().max() < 1e-3)
        same = "the score still counts every token of the response, as before."
        return same if even else "every token of the response still counts, by another weight."
    if set(now["at"]) - set(before["at"]):
        return "tokens outside the response are counted: multiply the mask, don't replace it."
    if bool((now["weights"] - 1).abs().max() > 1e-3):
        return "the tokens that count should count once, as before."
    places = [before["at"].index(at) for at in now["at"]]
    apart = {b - a for a, b in itertools.pairwise(places)}
    if apart <= {1}:
        return "that is one part of the response, not every second token of it."
    few = len(apart) == 1 and apart != {2}
    return f"that is one token in {apart.pop()}; asked is every second." if few else ""


def patterned(now: dict, before: dict) -> bool:
    """Every second position, begun at the first or at the second."""
    return now["at"] in (before["at"][::2], before["at"][1::2])


class Runs(Own):
    """The book's answer is drawn when it is asked for."""

    @property
    def own(self):
        """Letter -> name."""
        return dict(answers())

    @own.setter
    def own(self, value) -> None:
        """Nothing to keep."""


EXERCISES = {
    "22.0": COUNTED,
    "22.1": Runs(name_runs),
    "22.2": Own(second_only, EVERY_SECOND),
    "22.3": Own(log_of, as_trl),
}
