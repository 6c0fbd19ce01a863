"""Attempts at chapter 07: right ones in some styles, wrong ones with their message."""

import math
from collections import defaultdict

import numpy as np
import torch

from dpo_from_scratch.lab.exercises import ch07

from . import ch07b


# ---------------------------------------------------------------- 07.0
def part_loop(log_ratio, kind):
    total = 0.0
    for value, here in zip(log_ratio, kind, strict=True):
        total += value if here else 0.0
    return total / len(log_ratio)


def part_torch(log_ratio, kind):
    ratio, here = torch.tensor(log_ratio), torch.tensor(kind)
    return here.double().mean() * ratio[here].mean()


PARTS = [
    (lambda r, k: r[k].mean(), "its share of the texts is left out"),
    (lambda r, k: r[~k].sum() / len(r), "the part of the other texts"),
    (lambda r, k: r[~k].mean(), "the mean over the other texts"),
    (lambda r, k: r[k].sum(), "a KL is a mean over all"),
    (lambda r, k: k.mean(), "that is the share of the texts"),
    (lambda r, k: k.mean() * r.mean(), "this kind has its own mean"),
    (lambda r, k: r[k].sum() / r.sum(), "divided by the whole KL"),
    (lambda r, k: k.mean() * r[k].sum() / len(r), "the share goes in twice"),
    (lambda r, k: r[k].mean() / k.mean(), "the mean is divided by the share"),
    (lambda r, k: abs(r[k]).sum() / len(r), "have lost their sign"),
    (lambda r, k: r[k].mean() - math.log(k.mean()), "a policy without the other texts"),
    (lambda r, k: r.mean(), "that is the whole KL"),
    (lambda r, k: r[k].sum() / (len(r) - 1), "divided by N - 1"),
    (lambda r, k: np.exp(r[k]).sum() / len(r), "the mean of the ratios"),
    (lambda r, k: -r[k].sum() / len(r), "the sign is turned"),
    (lambda r, k: r * k / len(r), "5 numbers of shape (5,), and one number is asked"),
]

# ---------------------------------------------------------------- 07.1
TOLD = {  # a worth -> its message
    "the KL costs nothing": lambda kl, r, c, b: r,
    "the KL is added": lambda kl, r, c, b: r + c * kl,
    "each run pays its own β": lambda kl, r, c, b: r - b * kl,
    "a nat costs 1": lambda kl, r, c, b: r - kl,
    "the price is on the reward": lambda kl, r, c, b: c * r - kl,
    "divided by its price": lambda kl, r, c, b: r - kl / c,
    "reward per nat": lambda kl, r, c, b: r / kl,
}


class Later(dict):
    """Numbers that are measured from the record when they are first asked for."""

    def __init__(self, make):
        self.make = make

    def __contains__(self, name):
        return name in ch07.NAMES

    def __getitem__(self, name):
        return self.make()[name]


def stop(make):
    return Later(make)


def stops(of, over=np.mean):
    return stop(lambda: ch07.best(of, over=over))


def but(**changed):
    return stop(
        lambda: ch07.best(ch07.worth) | {k.replace("_", " "): v for k, v in changed.items()}
    )


STOPS = [
    *((stops(of), why) for why, of in TOLD.items()),
    (stops(ch07.worth, np.sum), "the seeds are added up"),
    (stops(ch07.worth, np.max), "luckiest"),
    (stops(ch07.worth, np.min), "worst"),
    (but(second_β=0.2), "`second β`: another β has more"),
    (but(second_β=0.2, second_J=2.04), "`second β`: another β has more"),
    (but(first_β=0.35), "`first β`: another β has more"),
    ((1.6314, 0.6, 2.5222, 0.35), "not in the order"),
    ((0.6, 1.63), "4 in all; you gave 2"),
]


# ---------------------------------------------------------------- 07.2
def by_values(rewards, log_probs, n):
    p = np.exp(log_probs)
    kl, below = 0.0, 0.0
    for value in np.unique(rewards):
        share = p[rewards == value].sum()
        top = (below + share) ** n - below**n
        kl += top * math.log(top / share)
        below += share
    return kl


def by_replies(rewards, log_probs, n):
    r, p = torch.tensor(rewards), torch.tensor(log_probs).exp()
    same = (r[None, :] == r[:, None]).double() @ p
    at_most = (r[None, :] <= r[:, None]).double() @ p
    best = p / same * (at_most**n - (at_most - same) ** n)
    return (best * (best / p).log()).sum()


def by_groups(rewards, log_probs, n):
    groups = defaultdict(float)
    for r, lp in zip(rewards, log_probs, strict=True):
        groups[float(r)] += math.exp(lp)
    shares = np.array([groups[r] for r in sorted(groups)])
    at_most = np.cumsum(shares)
    top = at_most**n - (at_most - shares) ** n
    return float(np.sum(top * np.log(top / shares)))


def of_best(top=lambda up, below, share, n: up**n - below**n, order=np.argsort, ties=False):
    """(best-of-n, reference), by values, with a mistake."""

    def pair(rewards, log_probs, n):
        p = np.exp(log_probs)
        values = np.unique(rewards)
        share = np.array([p[rewards == v].sum() for v in values])
        if ties:
            share = p[np.argsort(rewards, kind="stable")]
        up = np.cumsum(share)
        return top(up, up - share, share, n), share

    return pair


def kl(pair, of=lambda top, share: (top * np.log(top / share)).sum()):
    return lambda rewards, log_probs, n: of(*pair(rewards, log_probs, n))


plain = of_best()
BEST = [
    (lambda r, lp, n: math.log(n) - (n - 1) / n, "that is the bound"),
    (kl(of_best(ties=True)), "the same reward stand apart"),
    (lambda r, lp, n: by_values(-r, lp, n), "that is the worst of n"),
    (lambda r, lp, n: by_values(r, lp, n - 1), "the power is n - 1"),
    (lambda r, lp, n: by_values(r, lp, n + 1), "the power is n + 1"),
    (kl(of_best(lambda up, below, share, n: up**n)), "this reward *or less*"),
    (kl(of_best(lambda up, below, share, n: n * share * up ** (n - 1))), "without steps"),
    (kl(plain, lambda t, s: (s * np.log(s / t)).sum()), "the wrong way round"),
    (kl(plain, lambda t, s: (s * np.log(t / s)).sum()), "taken under the reference"),
    (kl(plain, lambda t, s: -(t * np.log(t)).sum()), "the entropy of best-of-n"),
    (kl(plain, lambda t, s: (t * np.log(t)).sum()), "logarithm of the reference is left out"),
    (kl(plain, lambda t, s: -(t * np.log(s)).sum()), "a cross-entropy"),
    (kl(plain, lambda t, s: np.log(t / s).mean()), "the plain mean of the log-ratios"),
    (kl(plain, lambda t, s: (t * np.log2(t / s)).sum()), "base 2"),
    (kl(plain, lambda t, s: -(t * np.log(t / s)).sum()), "the sign is turned"),
    (kl(plain, lambda t, s: t * np.log(t / s)), "and one number is asked"),
]


# ---------------------------------------------------------------- 07.3
def apart(v):
    return v[:, 0] - v[:, 1]


def fitted(rho, true, beta):
    return np.polyfit(apart(true), beta * apart(rho), 1)[0]


def least_squares(rho, true, beta):
    x, y = torch.tensor(apart(true)), beta * torch.tensor(apart(rho))
    both = torch.stack([x, torch.ones_like(x)], 1)
    return torch.linalg.lstsq(both, y[:, None]).solution[0, 0]


def covariances(rho, true, beta):
    c = np.cov(apart(true), beta * (rho[:, 0] - rho[:, 1]))
    return float(c[0, 1] / c[0, 0])


def turned(rho, true, beta):
    return np.polyfit(beta * apart(rho), apart(true), 1)[0]


def through(rho, true, beta):
    x, y = apart(true), beta * apart(rho)
    return (x * y).sum() / (x * x).sum()


def cov(ddof):
    return lambda rho, true, beta: np.cov(apart(true), beta * apart(rho), ddof=ddof)[0, 1]


SLOPES = [
    (lambda rho, true, beta: fitted(rho, true, 1), "β is left out"),
    (lambda rho, true, beta: fitted(rho, true, beta**2), "β goes in twice"),
    (lambda rho, true, beta: fitted(rho, true, 1 / beta), "divided by β"),
    (turned, "the wrong way round"),
    (lambda rho, true, beta: fitted(rho[:, ::-1], true, beta), "one difference is chosen"),
    (lambda r, t, b: np.corrcoef(apart(t), b * apart(r))[0, 1], "that is the correlation;"),
    (lambda r, t, b: np.corrcoef(apart(t), b * apart(r))[0, 1] ** 2, "squared"),
    (through, "forced through 0"),
    (lambda r, t, b: np.polyfit(apart(t), b * apart(r), 1)[1], "the intercept"),
    (lambda r, t, b: b * apart(r).std() / apart(t).std(), "one spread over the other"),
    (lambda r, t, b: b * apart(r).mean() / apart(t).mean(), "one mean over the other"),
    (lambda r, t, b: (b * apart(r) / apart(t)).mean(), "the mean of the ratios"),
    (cov(0), "that is the covariance"),
    (cov(1), "that is the covariance"),
    (lambda r, t, b: cov(1)(r, t, b) / apart(t).var(), "N - 1 and the variance by N"),
    (lambda r, t, b: np.polyfit(t.ravel(), b * r.ravel(), 1)[0], "texts are compared"),
    (lambda r, t, b: np.polyfit(t[:, 0], b * r[:, 0], 1)[0], "only the chosen"),
    (lambda r, t, b: np.polyfit(t.sum(1), b * r.sum(1), 1)[0], "are added"),
    (lambda r, t, b: np.polyfit(apart(t), b * apart(r), 1), "and one number is asked"),
    (lambda r, t, b: (np.sign(apart(r)) == np.sign(apart(t))).mean(), "in the same order"),
]

RIGHT = {
    "07.0": [
        lambda r, k: k.mean() * r[k].mean(),
        lambda r, k: (r * k).mean(),
        part_loop,
        part_torch,
    ],
    "07.1": [(0.6, 1.63, 0.35, 2.52), np.array([0.6, 1.631, 0.35, 2.522]), stops(ch07.worth)],
    "07.2": [by_values, by_replies, by_groups],
    "07.3": [fitted, least_squares, covariances],
}
WRONG = {"07.0": PARTS, "07.1": STOPS, "07.2": BEST, "07.3": SLOPES}
for number, more in ch07b.WRONG.items():
    WRONG[number] = [*WRONG[number], *more]
