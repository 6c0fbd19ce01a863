"""How far steps lead: those of a reader's own loop, and five against a moving reference (06.4)."""

import copy
import math
from functools import cache
from itertools import pairwise

import torch

from ... import losses
from ...models import Scorer
from ...training import PRESETS, TrainConfig, learning_rate, pick_rows
from .answers import Numbers
from .loops import flat, gather, rows, tiny
from .verdicts import Exercise, Verdict, misformed, right, unknown, wrong

LN2 = math.log(2)


def trained(attempt) -> tuple[float, float, float, float]:
    """After 8 steps on 32 pairs: the loss, most nats moved, share in order, share alike.

    Alike: weights that the last step moved as far as the one that it moved most.
    """
    reference = copy.deepcopy(tiny()[0])
    parts = attempt(reference)
    for step in range(8):
        before = flat(parts["policy"])
        parts["step"](rows(64)[4 * step : 4 * step + 4])
    last = (flat(parts["policy"]) - before).abs()
    alike = float((last > 0.9 * last.max()).float().mean())
    batch = gather(rows(4))
    with torch.no_grad():
        kept = Scorer(tiny()[0])(**batch).chunk(2)
        logps = Scorer(parts["policy"])(**batch)
        loss = losses.dpo(*logps.chunk(2), *kept, beta=0.6).mean()
    moved = logps - torch.cat(kept)
    chosen, rejected = moved.chunk(2)
    return float(loss), float(moved.abs().max()), float((chosen > rejected).float().mean()), alike


def speed(loss: float, moved: float, order: float, alike: float) -> Verdict | None:
    """Whether eight steps got anywhere."""
    if moved < 0.01:
        return wrong(
            f"8 steps on 32 pairs have moved no text by more than {moved:.1g} nats: is the "
            f"learning rate too low? (And yet {order:.0%} of the pairs looked at are in order.)"
        )
    if loss > LN2 or moved > 60:
        return wrong(
            f"after 8 steps the loss is {loss:.2g}, and a text has moved by {moved:.0f} nats: is "
            "the learning rate too high?"
        )
    if alike > 0.5:
        return wrong("the optimizer seems to be made anew in each step, so Adam forgets.")
    return None


@cache
def moving(slip: str = "") -> dict[str, float]:
    """The loss at the last of five steps, and how far the weights have moved."""
    config = TrainConfig(**PRESETS["tiny"] | {"steps": 64}, seed=0)
    start, policy = tiny()[0], copy.deepcopy(tiny()[0])
    peak = 1e-3 if slip == "default rate" else 5e-4
    optimizer = torch.optim.AdamW(policy.parameters(), lr=peak)
    at = [flat(policy)]
    for step in range(10 if slip == "ten" else 5):
        batch = gather([rows(2048)[i] for i in pick_rows(step, 2048, config)])
        logps = Scorer(policy)(**batch)
        with torch.no_grad():
            kept = Scorer(start)(**batch) if slip == "kept" else logps.detach()
        loss = losses.dpo(*logps.chunk(2), *kept.chunk(2), beta=0.6).mean()
        optimizer.zero_grad()
        loss.backward()
        if slip == "schedule":
            optimizer.param_groups[0]["lr"] = learning_rate(step, config)
        optimizer.step()
        at.append(flat(policy))
    apart = flat(policy) - flat(start)
    found = {"loss": loss.item(), "moved": float(apart.norm())}
    other = {
        "most": apart.abs().max(),
        "mean": apart.abs().mean(),
        "sum": apart.abs().sum(),
        "weights": apart.numel(),
        "one": (at[1] - at[0]).norm(),
        "four": (at[4] - at[0]).norm(),
        "last": (at[5] - at[4]).norm(),
        "path": sum((b - a).norm() for a, b in pairwise(at)),
        "length": flat(policy).norm(),
        "start": flat(start).norm(),
    }
    return found | {name: float(v) for name, v in other.items()}


class Moving(Exercise):
    """(the loss at the last of five steps, how far the weights have moved)."""

    @property
    def own(self) -> tuple[float, float]:
        """Measured on this machine."""
        return moving()["loss"], moving()["moved"]

    def tried(self, attempt) -> Verdict:
        """The loss first."""
        told = Numbers({"loss": LN2, "moved": 1.0}).read(attempt)
        return misformed(told) if isinstance(told, str) else judge_moving(**told)


def judge_moving(loss: float, moved: float) -> Verdict:
    """The loss is ln 2 on every machine; the distance may differ a little."""
    here = moving()
    near = lambda a, b, by=0.15: abs(a - b) <= by * abs(b)
    if near(loss, here["moved"], 0.01) and near(moved, LN2, 1e-3):
        return wrong("the right numbers, but not in the order (loss, moved).")
    if not near(loss, LN2, 1e-3):
        for how, value in LOSSES.items():
            if near(loss, value, 2e-3) or (loss == value == 0):
                return wrong(f"`loss`: {how}")
        kept = near(loss, moving("kept")["loss"], 3e-3)
        why = "the kept scores are still in the loss; asked are the policy's own, at each step."
        return wrong(why) if kept else unknown(f"a loss of {loss:.4g} isn't it.")
    if moved < 0:
        return wrong("`moved`: a distance isn't negative.")
    if moved <= 1e-4:
        return wrong(
            "the weights do move, though the loss stands still: was it measured? If so, the"
            " gradient goes through the reference's scores, too, and cancels."
        )
    if near(moved, here["moved"]):
        return right("A loss that stands still doesn't say that the model does.")
    for how, value in MOVED.items():
        if near(moved, value(here), 0.05):
            return wrong(f"`moved`: {how}")
    for slip, how in {
        "default rate": "at AdamW's own rate of 1e-3",
        "schedule": "warmed up",
        "ten": "after ten steps",
    }.items():
        if near(moved, moving(slip)["moved"]):
            return wrong(f"`moved`: that is {how}; asked: five steps at a rate of 5e-4.")
    return unknown(f"a distance of {moved:.4g} isn't it.")


LENGTH = "asked is the length of the vector of all moves."
LOSSES = {
    "that is β; the loss is −log σ of the margin.": 0.6,
    "that is the weight of a pair, β / 2; asked is the loss.": 0.3,
    "that is the margin, which stays 0; asked is −log σ of it.": 0.0,
    "that has a logarithm to base 2; ours are natural.": 1.0,
    "that is the probability of a label, σ(0); the loss is minus its logarithm.": 0.5,
    "the sign is turned: −log σ is positive.": -LN2,
    "that has a logarithm to base 10; ours are natural.": math.log10(2),
    "the five steps' losses are added up; asked is the last.": 5 * LN2,
    "the pairs' losses are added up; asked is their mean.": PRESETS["tiny"]["batch_size"] * LN2,
    "that is β times the loss.": 0.6 * LN2,
    "that is half the loss: a mean over pairs, not over texts.": LN2 / 2,
}
MOVED = {
    "that is after one step; asked is after five.": lambda v: v["one"],
    "that is the last step alone; asked is the way from the start.": lambda v: v["last"],
    "that is after four steps; asked is after five.": lambda v: v["four"],
    "the steps' lengths are added up; asked is the way to the end.": lambda v: v["path"],
    "it is in per cent, or the length of the weights themselves.": lambda v: v["length"],
    "that is a part of the weights' own length; asked is the length of the moves.": lambda v: (
        v["moved"] / v["start"]
    ),
    f"that is the root of the mean square; {LENGTH}": lambda v: v["moved"] / v["weights"] ** 0.5,
    "that is in per cent; asked is the length.": lambda v: 100 * v["moved"],
    f"that is the largest move of a weight; {LENGTH}": lambda v: v["most"],
    f"that is the mean move of a weight; {LENGTH}": lambda v: v["mean"],
    f"that is the sum of all moves; {LENGTH}": lambda v: v["sum"],
    f"that is the length squared; {LENGTH}": lambda v: v["moved"] ** 2,
    f"that is the mean of the squares; {LENGTH}": lambda v: v["moved"] ** 2 / v["weights"],
}
