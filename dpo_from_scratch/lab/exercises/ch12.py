"""Chapter 12: IPO's loss; which ε rests where IPO does; more labels a pair; a β for a budget."""

import math
from collections.abc import Mapping

import torch
from scipy.optimize import brentq
from scipy.special import expit, logit

from .answers import Numbers
from .functions import Function
from .kit import mistakes, then
from .worked import Trainable


# ---------------------------------------------------------------- 0: IPO's loss
def ipo(w, v, ref_w, ref_l, tau, *, power=1, target="1/2τ", turn=1, ref=1.0, weight="", over=""):
    """IPO's loss of each pair (B,) from log-probabilities (B,); the switches are mistakes."""
    delta = turn * ((w - v) - ref * (ref_w - ref_l))
    at = {"1/2τ": 1 / (2 * tau), "1/τ": 1 / tau, "2τ": 2 * tau, "τ": tau, "τ/2": tau / 2,
          "1": 1.0, "1/2": 0.5, "0": 0.0}[target]  # fmt: skip
    scale = {"": 1.0, "τ": tau, "τ²": tau**2, "1/τ": 1 / tau}[weight]
    short = lambda x: torch.relu(-x)
    loss = {1: lambda x: x**2, 0: abs, 2: lambda x: short(x) ** 2, 3: lambda x: x**2 / 2}[power]
    value = loss(delta - at) * scale
    return value.mean() if over == "mean" else value.sum() if over == "sum" else value


def batches() -> list[dict]:
    """Log-probabilities of three batches and τ of each."""
    rng, found = torch.Generator().manual_seed(0), []
    for n, tau in ((3, 0.1), (2, 0.4), (4, 0.7)):
        w, v = (-20 + 4 * torch.randn(n, generator=rng, dtype=torch.double) for _ in "wv")
        ref_w, ref_v = (x + 3 * torch.randn(n, generator=rng, dtype=torch.double) for x in (w, v))
        names = ("chosen", "rejected", "ref_chosen", "ref_rejected", "tau")
        found.append(dict(zip(names, (w, v, ref_w, ref_v, tau), strict=True)))
    return found


WRONG_IPO = mistakes(ipo, {
    "the target is 2τ: it should be one over that.": {"target": "2τ"},
    "the target is τ itself; a small τ should let Δ go far.": {"target": "τ"},
    "the target is τ/2: it is 1/(2·τ), not (1/2)·τ.": {"target": "τ/2"},
    "the target is 1, whatever τ is.": {"target": "1"},
    "the target is 1/2, whatever τ is.": {"target": "1/2"},
    "there is no target: Δ is drawn to 0.": {"target": "0"},
    "the reference is added where it is taken off, or its two sides have changed places.":
        {"ref": -1.0},
    "the rejected response's reference is left out.":
        lambda w, v, rw, rv, t: (w - rw - v - 1 / (2 * t)) ** 2,
    "the chosen response's reference is left out.":
        lambda w, v, rw, rv, t: (w - v + rv - 1 / (2 * t)) ** 2,
    "only one side of the distance counts, as in the hinge: IPO pulls back, too.": {"power": 2},
    "only one side of the distance counts, and unsquared: that is a hinge.":
        lambda w, v, rw, rv, t: torch.relu(1 / (2 * t) - ((w - v) - (rw - rv))),
    "the square is halved.": {"power": 3},
    "the square reaches Δ alone; it is of the distance from the target.":
        lambda w, v, rw, rv, t: ((w - v) - (rw - rv)) ** 2 - 1 / (2 * t),
    "that is the distance from the target, not its square.":
        lambda w, v, rw, rv, t: (w - v) - (rw - rv) - 1 / (2 * t),
    "the sum over the batch is taken: each pair has its own loss.": {"over": "sum"},
    "the whole is divided by τ.": {"weight": "1/τ"},
    "τ multiplies Δ, as DPO's β does, and the target is 1/2: that is τ² times IPO.":
        {"weight": "τ²"},
    "τ multiplies Δ, as DPO's β does: IPO has its τ in the target alone.":
        lambda w, v, rw, rv, t: (t * ((w - v) - (rw - rv)) - 1 / (2 * t)) ** 2,
    "τ multiplies Δ as DPO's β does, and the target is 1.":
        lambda w, v, rw, rv, t: (t * ((w - v) - (rw - rv)) - 1) ** 2,
    "that is DPO's loss with τ as its β.":
        lambda w, v, rw, rv, t: -torch.nn.functional.logsigmoid(t * ((w - v) - (rw - rv))),
    "the two responses are squared one by one: IPO sees only their difference.":
        lambda w, v, rw, rv, t: (w - rw - 1 / (2 * t)) ** 2 + (v - rv + 1 / (2 * t)) ** 2,
    "the chosen response is looked at alone.":
        lambda w, v, rw, rv, t: (w - rw - 1 / (2 * t)) ** 2,
    "Δ and the target are squared one by one; the square is of their difference.":
        lambda w, v, rw, rv, t: ((w - v) - (rw - rv)) ** 2 - 1 / (2 * t) ** 2,
    "the rejected log-ratio is added where it is taken off.":
        lambda w, v, rw, rv, t: (w - rw + v - rv - 1 / (2 * t)) ** 2,
})  # fmt: skip
IPO = Trainable(
    ipo,
    batches(),
    switches={
        "turn": (-1, "the rejected response is to win: the two have changed places, or the target "
                 "has the wrong sign."),
        "ref": (0.0, "the reference is left out."),
        "target": ("1/τ", "the target is 1/τ: a 2 is missing."),
        "power": (0, "the distance from the target is taken, not its square."),
        "over": ("mean", "the mean over the batch is taken: each pair has its own loss."),
        "weight": ("τ", "τ multiplies the whole: it has no place outside the square."),
    },
    wrongs=WRONG_IPO
    + then(WRONG_IPO, lambda loss, *_: loss.mean(), "the mean over the batch is taken.")
    + then(WRONG_IPO, lambda loss, *_: loss.sum(), "the sum over the batch is taken."),
    through=("chosen", "rejected"),
    shows="A square about a target: it rests there, however sure the labels are.",
)  # fmt: skip


# ---------------------------------------------------------------- 1: the ε that is IPO's τ
BETA, TAU, SURE = 0.5, 0.3, 0.9


def soft(epsilon: float, beta: float = BETA, p: float = 1.0) -> float:
    """Where cDPO rests if a share p of the labels takes the first response, nats."""
    return float(logit(p * (1 - epsilon) + (1 - p) * epsilon) / beta)


def resting() -> dict[str, float]:
    """The ε, and how far a tenth of wrong labels moves IPO and cDPO."""
    epsilon = float(expit(-BETA / (2 * TAU)))
    ipo_moves = 1 / (2 * TAU) - (SURE - 0.5) / TAU
    return {"epsilon": epsilon, "ipo_moves": ipo_moves,
            "cdpo_moves": soft(epsilon) - soft(epsilon, p=SURE)}  # fmt: skip


def resting_wrongs(answer: Mapping[str, float]) -> list:
    """ε first; then the two moves."""
    (e, ipo, cdpo), target = answer.values(), 1 / (2 * TAU)
    at_ipo, at_cdpo = (SURE - 0.5) / TAU, soft(e, p=SURE)
    both, dpo = ("ipo_moves", "cdpo_moves"), float(logit(SURE)) / BETA
    return [
        ("epsilon", 1 - e, "ε: that is the share of labels that cDPO believes; ε is the other."),
        ("epsilon", expit(-target), "ε: β is left out; a margin is β times Δ."),
        ("epsilon", expit(-target / BETA), "ε: β divides Δ; a margin is β times Δ."),
        ("epsilon", expit(-BETA / TAU), "ε: IPO rests at 1/(2τ), not at 1/τ."),
        *(("epsilon", expit(-BETA * at), "ε: τ stands above; IPO rests at 1/(2τ).")
          for at in (TAU, TAU / 2, 2 * TAU)),
        ("epsilon", math.exp(-BETA * target), "ε: a logit has (1 − ε)/ε in it, not only 1/ε."),
        ("epsilon", 1 - math.exp(-BETA * target), "ε: a logit is log (1 − ε)/ε, not −log(1 − ε)."),
        ("epsilon", BETA * target, "ε: that is the margin; ε has this margin as its logit."),
        ("epsilon", target, "ε: that is where IPO rests; ε is a probability below one half."),
        ("epsilon", 1 - SURE, "ε: a tenth is the share of wrong labels; ε comes from β and τ."),
        (both, (at_ipo, at_cdpo), "those are the places of rest; asked is how far they moved."),
        (both, (-ipo, -cdpo), "both moves have the sign turned: asked is how far, above 0."),
        (both, (cdpo, ipo), "the two moves have changed places."),
        (both, (ipo / target, cdpo / target), "those are shares of the place of rest; asked are "
         "nats."),
        ("ipo_moves", at_ipo, "IPO: that is its new place of rest; asked is how far it moved."),
        ("cdpo_moves", at_cdpo, "cDPO: that is its new place of rest; asked is how far it moved."),
        ("ipo_moves", 0.0, "IPO: a tenth of wrong labels moves it, too."),
        ("ipo_moves", (1 - SURE) / 2 / TAU, "IPO: a wrong label asks for the opposite target; it "
         "doesn't only fall away."),
        ("ipo_moves", 2 * (1 - SURE) / TAU, "IPO: the target is 1/(2τ), and yours moves by twice "
         "as much."),
        ("cdpo_moves", BETA * cdpo, "cDPO: that is the margin's move; asked is "
         "Δ's, in nats."),
        ("cdpo_moves", abs(soft(e) - dpo), "cDPO: that is DPO with a tenth wrong; cDPO's own ε "
         "comes on top."),
        ("cdpo_moves", dpo, "cDPO: that is DPO with a tenth wrong; cDPO's own ε comes on top."),
        ("cdpo_moves", soft(e) - soft(e + 1 - SURE), "cDPO: the two kinds of flips are added up; "
         "some labels are flipped twice."),
        ("cdpo_moves", soft(e) - soft(1 - (1 - e) * SURE), "cDPO: a label that is flipped twice "
         "is right again."),
        ("cdpo_moves", ipo, "cDPO: that is IPO's move again; a logit is no "
         "straight line."),
    ]  # fmt: skip


def from_own_epsilon(found: Mapping[str, float], answer: Mapping[str, float]) -> str:
    """cDPO's move may follow from a wrong ε."""
    e = found["epsilon"]
    if not 0 < e < 0.5:
        return "ε: it must lie between 0 and one half; look for the one whose logit fits."
    moved = soft(e) - soft(e, p=SURE)
    if abs(e / answer["epsilon"] - 1) > 0.01 and abs(moved - found["cdpo_moves"]) < 0.005:
        return "cDPO's move follows from your ε; that ε doesn't rest where IPO does."
    return ""


WHICH = Numbers(
    resting,
    resting_wrongs,
    rtol=0.015,
    tell=from_own_epsilon,
    shows="Either can stand in for the other on sure labels; a tenth of wrong ones moves cDPO a "
    "little more.",
)  # fmt: skip


# ---------------------------------------------------------------- 2: n judges
def of_one_mind(n: int, p: float) -> float:
    """The share of pairs whose n labels all say the same."""
    return p**n + (1 - p) ** n


MINDS = Function(
    of_one_mind,
    [{"n": 1, "p": 0.9}, {"n": 3, "p": 0.6}, {"n": 4, "p": 0.75}, {"n": 2, "p": 0.7}],
    wrongs=mistakes(of_one_mind, {
        "only labels that are all right are counted: all wrong is a share of 0, with a logit that "
        "is infinite, too.": lambda n, p: p**n,
        "only labels that are all wrong are counted: all right is infinite, too.":
            lambda n, p: (1 - p) ** n,
        "that is the share with a finite Δ.": lambda n, p: 1 - of_one_mind(n, p),
        "that is where at least one label is wrong.": lambda n, p: 1 - p**n,
        "that is where at least one label is right.": lambda n, p: 1 - (1 - p) ** n,
        "all right *and* all wrong can't be: the two chances are added, not multiplied.":
            lambda n, p: (p * (1 - p)) ** n,
        "the chances of one label are added up: n labels in a row multiply.":
            lambda n, p: n * p,
        "that is one label of n against the rest; asked is none.":
            lambda n, p: n * p ** (n - 1) * (1 - p),
        "one label too few: all n have to agree.": lambda n, p: of_one_mind(n - 1, p),
        "only the n − 1 labels after the first are asked, and only the right ones.":
            lambda n, p: p ** (n - 1),
        "neighbours agree by chance, but not each anew: all compare with the same p.":
            lambda n, p: (p * p + (1 - p) ** 2) ** (n - 1),
        "all wrong is taken to be as likely as all right.": lambda n, p: 2 * p**n,
        "p is taken for a half: a fair coin's labels.": lambda n, p: 0.5 ** (n - 1),
        "the two are taken off each other: they are added.": lambda n, p: p**n - (1 - p) ** n,
        "that is where Δ rests for one p; asked is how often it is infinite.":
            lambda n, p: math.log(p / (1 - p)),
    }),
    atol=0.006,
    shows="With one label a pair every target is infinite; with twenty it is one pair in eight.",
)  # fmt: skip


# ---------------------------------------------------------------- 3: a β for a budget
TIME, BUDGET = 50_000.0, 5.0


def rests(beta: float, time: float) -> float:
    """Δ of the law after this time, nats: e^m + m = 1 + β²t with m = βΔ."""
    return brentq(lambda m: math.exp(m) + m - 1 - beta**2 * time, 0, 40) / beta


def budget() -> dict[str, float]:
    """β for a Δ of 5, Δ after four times as long, and IPO's τ for 5."""
    beta = brentq(lambda b: rests(b, TIME) - BUDGET, 0.5, 10)
    return {"beta": beta, "delta": rests(beta, 4 * TIME), "tau": 1 / (2 * BUDGET)}


def budget_wrongs(answer: Mapping[str, float]) -> list:
    """β; then what is got from the right β; then τ."""
    b, d = answer["beta"], answer["delta"]
    solve = lambda law, high=10.0: brentq(law, 0.3, high)
    return [
        ("beta", solve(lambda x: math.exp(5 * x) + 5 * x - 1 - x * TIME), "β: β goes in once "
         "beside t; the law has its square."),
        ("beta", solve(lambda x: math.exp(x) + x - 1 - x**2 * TIME, 20.0), "β: that lets Δ end at "
         "1; yours leaves the 5 out of the exponent."),
        ("beta", math.sqrt((math.exp(5) + 4) / TIME), "β: the margin is 5 there; asked is a Δ of "
         "5, and the margin is βΔ."),
        ("beta", math.log(TIME) / 5, "β: t is multiplied by β² in the law. (Or is it c/β? The "
         "table above shows that to be off.)"),
        ("beta", 5.0, "β: 5 is the Δ that you want."),
        ("beta", 5 * b, "β: that is the margin; divide it by Δ."),
        ("delta", BUDGET, "Δ: it goes on growing; nothing in DPO's loss ends."),
        ("delta", 4 * BUDGET, "Δ: four times the time is not four times the way: it grows as a "
         "logarithm."),
        ("delta", 2 * BUDGET, "Δ: it grows as the logarithm of t, not as its root."),
        ("delta", BUDGET + math.log(4), "Δ: it grows by about log 4 over β."),
        ("delta", d - BUDGET, "Δ: that is by how much it grows; asked is where it is then."),
        ("delta", b * d, "Δ: that is the margin; divide it by β."),
        ("delta", rests(2 * b, TIME), "Δ: the margin is divided by 2β; β is the same as before."),
        ("delta", rests(b, 5 * TIME), "Δ: that is 4 t more, so 5 t; asked is 4 t."),
        ("delta", BUDGET + math.log(4) / b**2, "Δ: log 4 is divided by β twice."),
        ("delta", BUDGET + b * math.log(4), "Δ: log 4 is multiplied by β; a large β is a brake."),
        ("tau", 1 / BUDGET, "τ: IPO rests at 1/(2τ), not at 1/τ."),
        ("tau", 2 * BUDGET, "τ: that is upside down."),
        ("tau", BUDGET / 2, "τ: IPO rests at 1/(2τ), not at 2τ."),
        ("tau", BUDGET, "τ: that is Δ; IPO rests at 1/(2τ)."),
        ("tau", 1 / (2 * d), "τ: that is for the later Δ; IPO should end at 5."),
        ("tau", 1 / (2 * BUDGET * b), "τ: β has no part in it; IPO's target is for Δ, not for the "
         "margin."),
        ("tau", b / (2 * BUDGET), "τ: β has no part in it; IPO's target is for Δ."),
        ("tau", b, "τ: τ is not β; ask where IPO rests."),
    ]  # fmt: skip


def from_own_beta(found: Mapping[str, float], answer: Mapping[str, float]) -> str:
    """Δ may follow from a wrong β."""
    b = found["beta"]
    if abs(b / answer["beta"] - 1) < 0.01:
        return ""
    if not 0.05 < b < 30 or abs(rests(b, 4 * TIME) - found["delta"]) > 0.03:
        return ""
    return f"with your β the law's Δ is {rests(b, TIME):.3g} after t. (4 t fits it.)"


BRAKE = Numbers(
    budget,
    budget_wrongs,
    tell=from_own_beta,
    shows="A β is a brake for one length of training; τ is a place, whatever the length.",
)  # fmt: skip

EXERCISES = {"12.0": IPO, "12.1": WHICH, "12.2": MINDS, "12.3": BRAKE}
