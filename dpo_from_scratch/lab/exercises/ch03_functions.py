"""Chapter 03's exercises that ask for a function: the Gibbs optimum, and optimising it again."""

import math

import numpy as np

from .functions import Function


# ---------------------------------------------------------------- 03.0, the optimum
def gibbs(
    log_ref,
    rewards,
    beta,
    *,
    exponent="over",
    base=1.0,
    scaled="log-sum-exp",
    end="logs",
):
    """log pi* of N replies, (N,)."""
    ref, r = np.asarray(log_ref, float), np.asarray(rewards, float)
    power = {
        "over": r / beta, "times": r * beta, "left out": r, "turned": -r / beta,
        "squared": r / beta**2, "half": r / (2 * beta), "own mean": r - r.mean(),
    }[exponent]  # fmt: skip
    logits = base * ref + power
    log_Z = np.logaddexp.reduce(logits)
    logs = logits - {
        "log-sum-exp": log_Z, "none": 0.0, "Z": np.exp(log_Z), "max": logits.max(),
        "mean": log_Z - np.log(len(r)), "tilt": np.logaddexp.reduce(power), "sum": logits.sum(),
        "β log Z": beta * log_Z, "average": logits.mean(), "turned": -log_Z,
    }[scaled]  # fmt: skip
    return {"logs": logs, "probabilities": np.exp(logs), "ratio": logs - ref}[end]


def _as(**keywords):
    return lambda *case: gibbs(*case, **keywords)


def _probabilities_in(log_ref, rewards, beta):
    """The reference's probabilities in place of their logarithms."""
    logits = np.exp(log_ref) + np.asarray(rewards) / beta
    return logits - np.logaddexp.reduce(logits)


def _added(log_ref, rewards, beta):
    """Sum in place of product: reference plus e^(r/β)."""
    weights = np.exp(log_ref) + np.exp(np.asarray(rewards) / beta)
    return np.log(weights / weights.sum())


def _times_reward(log_ref, rewards, beta):
    """The reward itself in place of e to it."""
    weights = np.exp(log_ref) * np.asarray(rewards) / beta
    return np.log(weights / weights.sum())


def _logs_as_probabilities(log_ref, rewards, beta):
    """log_ref taken for probabilities."""
    weights = np.asarray(log_ref) * np.exp(np.asarray(rewards) / beta)
    return np.log(weights / weights.sum())


def _scaled(logits):
    return logits - np.logaddexp.reduce(logits)


def _above(log_ref, rewards, weighted):
    """What each reply earns above the reference's mean, or the plain one."""
    return rewards - (np.exp(log_ref) @ rewards if weighted else rewards.mean())


def _best_alone(log_ref, rewards, beta):
    return np.where(np.arange(len(rewards)) == np.argmax(rewards), 0.0, -np.inf)


def _sums_to_one(ask, cases) -> str:
    totals = [np.exp(np.asarray(ask(case), float)).sum() for case in cases]
    off = not np.allclose(totals, 1, atol=1e-3)
    return "the probabilities that it gives don't sum to one." if off else ""


def _constant_changes(ask, cases) -> str:
    """Whether a constant in the reward changes the policy; in equation 4 it doesn't."""
    for case in cases:
        more = np.asarray(ask(dict(case) | {"rewards": case["rewards"] + 0.5}), float)
        if not np.allclose(more, np.asarray(ask(case), float), atol=1e-4):
            return (
                "half a point more for every reply changes your policy; equation 4 multiplies all"
                " by the same e^(0.5/β), and Z divides it out."
            )
    return ""


def _few() -> list[dict]:
    """Four, three and five replies; one reward each is negative."""
    rng = np.random.default_rng(5)
    cases = []
    for size, beta in ((4, 0.6), (3, 0.25), (5, 1.7)):
        ref, r = rng.dirichlet(np.full(size, 2.0)), rng.normal(0.4, 0.9, size)
        r[0] = -abs(r[0]) - 0.1
        cases.append({"log_ref": np.log(ref), "rewards": r, "beta": beta})
    return cases


KEY = Function(
    gibbs,
    _few(),
    switches={
        "exponent": ("left out", "β is left out of the exponent."),
        "base": (0.0, "the reference is left out: every reply starts alike."),
        "scaled": ("none", "it isn't divided by Z: probabilities must sum to one."),
        "end": ("probabilities", "those are probabilities; asked are their logarithms."),
    },
    wrongs=[
        ("the rewards are multiplied by β; equation 4 divides.", _as(exponent="times")),
        ("the rewards have the wrong sign: the worst reply gains most.", _as(exponent="turned")),
        ("the rewards are divided by β twice.", _as(exponent="squared")),
        ("the rewards are halved.", _as(exponent="half")),
        ("β is left out, and the rewards lose their mean.", _as(exponent="own mean")),
        ("that is the reference itself: the rewards are left out.",
         lambda *c: np.asarray(c[0], float)),
        ("the reference goes in with the wrong sign.", _as(base=-1.0)),
        ("the reference goes in twice.", _as(base=2.0)),
        ("Z itself is subtracted; among logarithms it is log Z.", _as(scaled="Z")),
        ("log Z is added; dividing by Z subtracts it.", _as(scaled="turned")),
        ("it is divided by the largest weight; Z is the sum of all.", _as(scaled="max")),
        ("it is divided by the mean of the weights; Z is their sum.", _as(scaled="mean")),
        ("Z lacks the reference: it is the sum of π_ref e^(r/β).", _as(scaled="tilt")),
        ("β log Z is subtracted; log Z is what makes it sum to one.", _as(scaled="β log Z")),
        ("the mean of the logarithms is subtracted; log Z is the logarithm of a sum.",
         _as(scaled="average")),
        ("the sum of the logarithms is subtracted; log Z is the logarithm of a sum.",
         _as(scaled="sum")),
        ("that is the log-ratio to the reference; asked is log π* itself.", _as(end="ratio")),
        ("the reference's probabilities stand where their logarithms should.",
         _probabilities_in),
        ("reference and e^(r/β) are added; equation 4 multiplies them.", _added),
        ("the reward itself multiplies the reference; equation 4 takes e to r/β.",
         _times_reward),
        ("the reference multiplies as its logarithm already: log_ref holds logarithms, and their"
         " logarithm is taken again.", lambda ref, r, beta: _logs_as_probabilities(ref, r, beta)),
        ("the reference is raised to β, and the rewards aren't divided by it.",
         lambda ref, r, beta: gibbs(np.asarray(ref) * beta, r, 1.0)),
        ("the reference is divided by β, too.",
         lambda ref, r, beta: gibbs(np.asarray(ref) / beta, r, beta)),
        ("the reference's logarithm is multiplied by r/β; among logarithms they add.",
         lambda ref, r, beta: _scaled(np.asarray(ref) * r / beta)),
        *(("that is a step of the climb, what each reply earns above a mean; divide by Z.",
           lambda ref, r, beta, o=over, q=mean, b=base: b * np.asarray(ref) + _above(ref, r, q) / o(
               beta))
          for over in (lambda b: b, lambda b: 1.0) for mean in (True, False) for base in (0, 1)),
        ("each reply's probability times its advantage: that is the slope of the reward.",
         lambda ref, r, beta: np.exp(ref) * _above(ref, r, True)),
        ("the logarithms are divided by log Z; dividing by Z subtracts it.",
         lambda ref, r, beta: (ref + r / beta) / np.logaddexp.reduce(ref + r / beta)),
        ("the logarithms are divided by Z; among logarithms log Z comes off.",
         lambda ref, r, beta: (ref + r / beta) / np.exp(np.logaddexp.reduce(ref + r / beta))),
        ("the logarithms are divided by their sum; log Z comes off.",
         lambda ref, r, beta: (ref + r / beta) / (ref + r / beta).sum()),
        ("that is log Z alone.",
         lambda ref, r, beta: 0 * np.asarray(ref) + np.logaddexp.reduce(ref + r / beta)),
        ("that is the value β log Z alone.",
         lambda ref, r, beta: 0 * np.asarray(ref) + beta * np.logaddexp.reduce(ref + r / beta)),
        ("that is the implicit reward, β times the log-ratio; asked is log π* itself.",
         lambda ref, r, beta: beta * gibbs(ref, r, beta, end="ratio")),
        ("those are ratios to the reference; asked is log π* itself.",
         lambda ref, r, beta: np.exp(gibbs(ref, r, beta, end="ratio"))),
        ("β is divided into the whole of log π*; it belongs to the reward alone.",
         lambda ref, r, beta: gibbs(ref, r, 1.0) / beta),
        ("the rewards lose their mean and are divided by their spread: only r/β goes in.",
         lambda ref, r, beta: gibbs(ref, (r - r.mean()) / r.std(), beta)),
        ("negative rewards are cut to 0.", lambda ref, r, beta: gibbs(ref, r.clip(0), beta)),
        ("σ of r/β stands in place of e^(r/β).",
         lambda ref, r, beta: _scaled(ref - np.log1p(np.exp(-r / beta)))),
        ("1 + r/β stands in place of e^(r/β).",
         lambda ref, r, beta: _scaled(ref + np.log(np.maximum(1 + r / beta, 1e-9)))),
        ("powers of 2 stand in place of powers of e.",
         lambda ref, r, beta: gibbs(ref, r * math.log(2), beta)),
        ("powers of 10 stand in place of powers of e.",
         lambda ref, r, beta: gibbs(ref, r * math.log(10), beta)),
        ("reference and e^(r/β), each divided by its own sum, are mixed; equation 4 multiplies.",
         lambda ref, r, beta: np.log((np.exp(ref) + np.exp(_scaled(r / beta))) / 2)),
        ("the logarithms are sorted; every reply keeps its place.",
         lambda ref, r, beta: np.sort(gibbs(ref, r, beta))),
        ("that is uniform: neither reference nor reward is used.",
         lambda ref, r, beta: np.full(len(r), -math.log(len(r)))),
        ("those are the rewards over β alone.", lambda ref, r, beta: r / beta),
        ("that is the best reply alone: the reward without the price of distance.", _best_alone),
    ],
    traits=[_sums_to_one, _constant_changes],
    shows="Reference times e^(r/β), divided by one sum.",
)  # fmt: skip


# ---------------------------------------------------------------- 03.3, twice
def at_once(beta, times):
    """The single beta whose optimum is that of `times` optimisations at beta, each on the last."""
    return beta / times


TWICE = Function(
    at_once,
    [{"beta": b, "times": n} for b, n in ((0.5, 2), (0.6, 3), (1.7, 5), (0.8, 1))],
    wrongs=[
        ("that is β times their number: the distances add up, so the one β is the smaller.",
         lambda b, n: b * n),
        ("β is halved each time; after three times e^(r/β) stands there three times.",
         lambda b, n: b / 2 ** (n - 1)),
        ("β is halved each time, the first time too.", lambda b, n: b / 2**n),
        ("β is halved, however often it is done.", lambda b, n: b / 2 if n > 1 else b),
        ("β is halved, however often it is done.", lambda b, n: b / 2),
        ("β stays: that would be so if the second time changed nothing, but its reference has"
         " moved.", lambda b, n: b),
        ("the powers of β multiply; it is the exponents r/β that add.", lambda b, n: b**n),
        ("the root is taken; it is the exponents r/β that add.", lambda b, n: b ** (1 / n)),
        ("one over: that is what multiplies the reward, 1/β, and not β.", lambda b, n: n / b),
        ("one over: asked is β, and that is 1 / β of a mean.", lambda b, n: 1 / (b * n)),
        ("once too many: the first optimisation is one of them.", lambda b, n: b / (n + 1)),
        ("once too few: the first optimisation is one of them.",
         lambda b, n: b / (n - 1) if n > 1 else b),
        ("once too few: the first optimisation is one of them.",
         lambda b, n: b / (n - 1) if n > 1 else math.inf),
        ("β is divided by the square of the number.", lambda b, n: b / n**2),
        ("β is divided by the root of the number.", lambda b, n: b / math.sqrt(n)),
        ("the number is subtracted.", lambda b, n: b - n),
        ("that is by how much β shrinks; asked is the β that is left.", lambda b, n: float(n)),
        ("that is the limit of many times, the best reply for ever; asked is after so many.",
         lambda b, n: 0.0),
        ("that is the limit of many times, the best reply for ever; asked is after so many.",
         lambda b, n: 0.0 if n > 1 else b),
        ("the numbers 1, 2, ... up to `times` are added up; each optimisation counts once.",
         lambda b, n: b / (n * (n + 1) / 2)),
        ("the numbers 1, 2, ... up to `times` are multiplied; each optimisation counts once.",
         lambda b, n: b / math.factorial(n)),
        ("1/2, 1/3, ... are added up; each optimisation counts alike.",
         lambda b, n: b / sum(1 / k for k in range(1, n + 1))),
        ("twice as far as that: each optimisation counts once.", lambda b, n: b / (2 * n)),
        ("the first optimisation counts once, and each later one twice.",
         lambda b, n: b / (2 * n - 1)),
        ("the powers of β multiply, the first one apart; it is the exponents r/β that add.",
         lambda b, n: b ** (2 ** (n - 1))),
        ("that is r/β's whole factor: asked is the β that it stands for.", lambda b, n: n / b),
        ("β itself is added up below; it is the exponents r/β that add.",
         lambda b, n: b / (1 + b * (n - 1))),
        ("a logarithm of the number is taken; the exponents add up one by one.",
         lambda b, n: b / (1 + math.log(n))),
        ("β shrinks by e each time; it is the exponents r/β that add.",
         lambda b, n: b * math.exp(1 - n)),
        ("β shrinks by e each time; it is the exponents r/β that add.",
         lambda b, n: b * math.exp(-n)),
        ("a tenth each time; it is the exponents r/β that add.", lambda b, n: b / 10 ** (n - 1)),
        ("β times n − 1 more: the policy goes further away, so the one β is the smaller.",
         lambda b, n: b + n - 1),
        ("β is multiplied by the square of the number; the one β is the smaller.",
         lambda b, n: b * n**2),
        ("β is multiplied by the root of the number; the one β is the smaller.",
         lambda b, n: b * math.sqrt(n)),
        ("the product of β with 1 − β each time; it is the exponents r/β that add.",
         lambda b, n: b * (1 - b) ** (n - 1)),
        ("β doubles each time; the policy goes further away, so the one β is the smaller.",
         lambda b, n: b * 2 ** (n - 1)),
        ("β doubles each time; the policy goes further away, so the one β is the smaller.",
         lambda b, n: b * 2**n),
        ("that is the number of times alone: which β it was counts as well.",
         lambda b, n: 1 / n),
    ],
    shows="The exponents r/β add up, so doing it again is the same as a smaller β.",
)  # fmt: skip
