"""Right and wrong attempts at chapter 12's exercises."""

import math

import numpy as np
import torch
from scipy.optimize import brentq
from torch.nn.functional import logsigmoid, softplus

from dpo_from_scratch import losses
from dpo_from_scratch.lab.exercises import ch12, ch12_judges


# ---------------------------------------------------------------- 12.0
def delta_of(w, v, rw, rv):
    return (w - rw) - (v - rv)


def squared(w, v, rw, rv, tau):
    return torch.square(delta_of(w, v, rw, rv) - 0.5 / tau)


def pair_by_pair(w, v, rw, rv, tau):
    rows = zip(w, v, rw, rv, strict=True)
    return torch.stack([(a - b - (c - d) - 1 / (2 * tau)) ** 2 for a, b, c, d in rows])


def in_numpy(w, v, rw, rv, tau):
    return (delta_of(*(x.numpy() for x in (w, v, rw, rv))) - 1 / (2 * tau)) ** 2


def detached(w, v, rw, rv, tau):
    return squared(w.detach(), v.detach(), rw, rv, tau)


def with_target(target):
    return lambda w, v, rw, rv, tau: (delta_of(w, v, rw, rv) - target(tau)) ** 2


# ---------------------------------------------------------------- 12.1
ANSWER = ch12.resting()
EPSILON, IPO_MOVES, CDPO_MOVES = ANSWER.values()
PLACES = 0.4 / 0.3, ch12.soft(EPSILON, p=0.9)


def both(*moves):
    return (EPSILON, *moves)


def with_epsilon(e):
    return e, IPO_MOVES, ch12.soft(e) - ch12.soft(e, p=0.9)


# ---------------------------------------------------------------- 12.2
def drawn(n, p, times=400_000, seed=1):
    won = np.random.default_rng(seed).binomial(n, p, size=times)
    return ((won == 0) | (won == n)).mean()


def counted(n, p):
    total = 0.0
    for k in (0, n):
        total += math.comb(n, k) * p**k * (1 - p) ** (n - k)
    return torch.tensor(total)


# ---------------------------------------------------------------- 12.3
BETA, DELTA, TAU = ch12.budget().values()


def grown(beta, time):
    return brentq(lambda d: math.exp(beta * d) + beta * d - 1 - beta**2 * time, 0, 60)


RIGHT = {
    "12.0": [
        squared, pair_by_pair,
        lambda w, v, rw, rv, tau: losses.ipo(w, v, rw, rv, tau=tau),
        lambda *all: squared(*(x.float() for x in all[:4]), all[4]),
    ],
    "12.1": [
        (EPSILON, IPO_MOVES, CDPO_MOVES),
        {"epsilon": 0.303, "ipo_moves": 0.333, "cdpo_moves": 0.361},
        torch.tensor([0.3029, 1 / 3, 0.3610]),
        (0.30, 0.33, 0.36),
    ],
    "12.2": [
        lambda n, p: p**n + (1 - p) ** n, counted, drawn,
        lambda n, p: np.float32(p**n + (1 - p) ** n),
    ],
    "12.3": [
        (BETA, DELTA, TAU),
        (BETA, grown(BETA, 200_000), 0.1),
        [round(BETA, 2), round(DELTA, 2), 0.1],
        {"tau": 0.1, "beta": BETA, "delta": DELTA},
        (BETA, 5 + math.log(4) / BETA, 0.1),
    ],
}  # fmt: skip
WRONG = {
    "12.0": [
        (with_target(lambda t: 1 / t), "the target is 1/τ"),
        (with_target(lambda t: 2 * t), "the target is 2τ"),
        (with_target(lambda t: t), "the target is τ itself"),
        (with_target(lambda t: t / 2), "the target is τ/2"),
        (with_target(lambda t: 1), "the target is 1, whatever"),
        (with_target(lambda t: 0), "drawn to 0"),
        (with_target(lambda t: -1 / (2 * t)), "the rejected response is to win"),
        (lambda w, v, rw, rv, t: squared(v, w, rv, rw, t), "changed places"),
        (lambda w, v, rw, rv, t: (w - v - 1 / (2 * t)) ** 2, "the reference is left out"),
        (lambda w, v, rw, rv, t: squared(w, v, -rw, -rv, t), "the reference is added"),
        (lambda w, v, rw, rv, t: (w - rv - (v - rw) - 1 / (2 * t)) ** 2, "its two sides"),
        (lambda w, v, rw, rv, t: (w - rw - v - 1 / (2 * t)) ** 2, "rejected response's reference"),
        (lambda *a: (delta_of(*a[:4]) - 1 / (2 * a[4])).abs(), "not its square"),
        (lambda *a: torch.relu(1 / (2 * a[4]) - delta_of(*a[:4])), "a hinge"),
        (lambda *a: torch.relu(1 / (2 * a[4]) - delta_of(*a[:4])) ** 2, "only one side"),
        (lambda *a: squared(*a).mean(), "the mean over the batch"),
        (lambda *a: squared(*a).sum(), "the sum over the batch"),
        (lambda *a: squared(*a) / 2, "halved"),
        (lambda *a: (a[4] * delta_of(*a[:4]) - 0.5) ** 2, "τ² times IPO"),
        (lambda *a: (a[4] * delta_of(*a[:4]) - 1 / (2 * a[4])) ** 2, "in the target alone"),
        (lambda *a: a[4] * squared(*a), "τ multiplies the whole"),
        (lambda *a: -logsigmoid(a[4] * delta_of(*a[:4])), "DPO's loss"),
        (lambda *a: softplus(-a[4] * delta_of(*a[:4])), "DPO's loss"),
        (lambda w, v, rw, rv, t: (w - rw - 1 / (2 * t)) ** 2, "looked at alone"),
        (lambda w, v, rw, rv, t: (w - rw + v - rv - 1 / (2 * t)) ** 2, "log-ratio is added"),
        (detached, "no gradient gets back"),
        (lambda *a: -logsigmoid(delta_of(*a[:4]) - 1 / (2 * a[4])), "round the distance"),
        (lambda w, v, rw, rv, t: ((w - rw).exp() - (v - rv).exp() - 0.5 / t) ** 2, "ratios of pro"),
        (lambda *a: torch.relu(delta_of(*a[:4]) - 1 / (2 * a[4])) ** 2, "beyond the target"),
        (lambda *a: delta_of(*a[:4]) ** 2 - delta_of(*a[:4]) / a[4], "constant is missing"),
        (lambda *a: (2 * a[4] * delta_of(*a[:4]) - 1) ** 2, "4τ² times IPO"),
        (lambda *a: (delta_of(*a[:4]) / a[4] - 0.5) ** 2, "Δ is divided by τ"),
        (lambda *a: (delta_of(*a[:4]).mean() - 0.5 / a[4]) ** 2, "averaged over the batch"),
        (lambda *a: (delta_of(*a[:4]).exp() - 0.5 / a[4]) ** 2, "the ratio itself"),
        (lambda w, v, rw, rv, t: (w / rw - v / rv - 0.5 / t) ** 2, "divided by the reference's"),
        (lambda w, v, rw, rv, t: (v - rv + 0.5 / t) ** 2, "rejected response is looked at alone"),
        (in_numpy, "no gradient gets back"),
    ],
    "12.1": [
        (with_epsilon(1 / (1 + math.exp(5 / 3))), "ε: β is left out"),
        (with_epsilon(1 / (1 + math.exp(10 / 3))), "ε: β divides Δ"),
        (with_epsilon(1 / (1 + math.exp(5 / 3 / 1))), "ε: β is left out"),
        (with_epsilon(math.exp(-5 / 6)), "not only 1/ε"),
        (with_epsilon(0.2), "follows from your ε"),
        ((1 - EPSILON, IPO_MOVES, CDPO_MOVES), "the share of labels that cDPO believes"),
        ((5 / 6, IPO_MOVES, CDPO_MOVES), "that is the margin"),
        ((0.1, IPO_MOVES, CDPO_MOVES), "a tenth is the share of wrong labels"),
        (ch12.at_settings(beta=0.6), "for β = 0.6"),
        (ch12.at_settings(tau=0.5), "for τ = 0.5"),
        (ch12.at_settings(0.3, 0.5), "changed places"),
        (both(*ch12.at_settings(p=0.8)[1:]), "for p = 0.8"),
        (both(0.1, 0.1 * (1 - 2 * EPSILON)), "a share of labels"),
        (both(5 / 3, 5 / 3), "on sure labels"),
        (both(IPO_MOVES, CDPO_MOVES / 4), "β multiplies the logit"),
        (both(IPO_MOVES, 2 * CDPO_MOVES), "β divides twice"),
        ((0.25, IPO_MOVES, CDPO_MOVES), "with your ε cDPO rests at"),
        (both(*PLACES), "those are the places of rest"),
        (both(PLACES[0], CDPO_MOVES), "IPO: that is its new place"),
        (both(IPO_MOVES, PLACES[1]), "cDPO: that is its new place"),
        (both(CDPO_MOVES, IPO_MOVES), "changed places"),
        (both(-IPO_MOVES, -CDPO_MOVES), "sign turned"),
        (both(IPO_MOVES * 0.6, CDPO_MOVES * 0.6), "shares of the place of rest"),
        (both(0, CDPO_MOVES), "moves it, too"),
        (both(IPO_MOVES, 0.5 * CDPO_MOVES), "the margin's move"),
        (both(IPO_MOVES / 2, CDPO_MOVES), "asks for the opposite target"),
        (both(IPO_MOVES, ch12.soft(EPSILON) - ch12.soft(EPSILON + 0.1)), "added up"),
    ],
    "12.2": [
        (lambda n, p: math.pow(p, n), "only labels that are all right"),
        (lambda n, p: (1 - p) ** n, "only labels that are all wrong"),
        (lambda n, p: 1 - p**n - (1 - p) ** n, "with a finite Δ"),
        (lambda n, p: 1 - p**n, "at least one label is wrong"),
        (lambda n, p: 1 - (1 - p) ** n, "at least one label is right"),
        (lambda n, p: p**n * (1 - p) ** n, "added, not multiplied"),
        (lambda n, p: n * float(p), "labels in a row multiply"),
        (lambda n, p: p ** (n - 1) + (1 - p) ** (n - 1), "one label too few"),
        (lambda n, p: p ** (n - 1), "only the n − 1 labels after the first"),
        (lambda n, p: 2 * 0.5**n, "p is taken for a half"),
        (lambda n, p: (p * p + (1 - p) ** 2) ** (n - 1), "neighbours"),
        (lambda n, p: p**n - (1 - p) ** n, "taken off each other"),
        (lambda n, p: n * p ** (n - 1) * (1 - p), "one label of n against"),
        (lambda n, p: p**n + (1 - p) ** n - (p * (1 - p)) ** n, "can't both happen"),
        (lambda n, p: (p / (1 - p)) ** n, "the odds"),
        (lambda n, p: 0.0 if n == 1 else p**n + (1 - p) ** n, "with one label the share"),
        (lambda n, p: ch12_judges.wins(n, p, lambda k: 2 * k > n), "a majority for the first"),
        (lambda n, p: p ** (n + 1) + (1 - p) ** (n + 1), "one label too many"),
        (lambda n, p: n * p * (1 - p), "variance of the number"),
        (lambda n, p: p ** (1 / n), "n-th root"),
        (lambda n, p: 0.5**n, "p is not a half"),
        (lambda n, p: 1 - (p * (1 - p)) ** n, "taken off 1"),
        (lambda n, p: drawn(n, p, 100), "whole multiples of 0.01"),
        (lambda n, p: drawn(n, p, 100, None), "it gives two shares"),
        (lambda n, p: 100 * (p**n + (1 - p) ** n), "100 times"),
    ],
    "12.3": [
        ((math.log(50_001) / 5, DELTA, TAU), "multiplied by β²"),
        ((brentq(lambda b: math.exp(5 * b) + 5 * b - 1 - b * 5e4, 0.3, 10), DELTA, TAU), "once"),
        ((10.79 / 5, DELTA, TAU), "β: "),
        ((5.0, DELTA, TAU), "5 is the Δ that you want"),
        ((math.sqrt(152.4 / 5e4), DELTA, TAU), "the margin is 5 there"),
        ((BETA, 5.0, TAU), "goes on growing"),
        ((BETA, 20.0, TAU), "not four times the way"),
        ((BETA, 10.0, TAU), "not as its root"),
        ((BETA, 5 + math.log(4), TAU), "log 4 over β"),
        ((BETA, DELTA - 5, TAU), "by how much it grows"),
        ((BETA, BETA * DELTA, TAU), "that is the margin"),
        ((BETA, 5 + BETA * math.log(4), TAU), "a large β is a brake"),
        ((BETA, DELTA, 0.2), "not at 1/τ"),
        ((BETA, DELTA, 10.0), "upside down"),
        ((BETA, DELTA, 2.5), "not at 2τ"),
        ((BETA, DELTA, 1 / (2 * DELTA)), "later Δ"),
        ((BETA, DELTA, 1 / (10 * BETA)), "no part in it"),
        ((2.0, grown(2.0, 200_000), TAU), "with your β the law"),
        ((0.0002, 20.0, TAU), "the law has two"),
        ((2.0, DELTA, TAU), "with your β the law"),
        ((BETA, grown(BETA, 100_000), TAU), "after 2 t"),
        ((BETA, grown(BETA, 50_000 * 16), TAU), "after 16 t"),
        ((BETA, 5 + math.log10(4) / BETA, TAU), "base 10"),
        ((BETA, 6.2, TAU), "the law reaches it after"),
        ((BETA, DELTA, 0.08), "a tenth is wrong"),
        ((BETA, DELTA, 0.3), "with yours IPO rests at"),
    ],
}

WRONG["12.0"] += [
    (
        lambda w, v, rw, rv, t: (w - rw - 1 / (4 * t)) ** 2 + (v - rv + 1 / (4 * t)) ** 2,
        "with half of the target",
    ),
    (
        lambda w, v, rw, rv, t: 0 * w + ((w - v - rw + rv).mean() - 1 / (2 * t)) ** 2,
        "every pair gets that loss",
    ),
]
WRONG["12.2"] += [
    (lambda n, p: min(1.0, 2 * p**n), "as likely as all right"),
    (lambda n, p: float(n * min(p, 1 - p) < 1), "0 or 1 everywhere"),
    (lambda n, p: round(p**n + (1 - p) ** n, 1), "whole multiples of 0.1"),
]
