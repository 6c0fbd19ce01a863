"""Chapter 03's exercises: the Gibbs optimum, by hand, backwards, twice, and the other KL."""

import math
from collections.abc import Mapping
from functools import cache

import numpy as np

from .answers import Choice, Numbers, Own
from .ch03_functions import KEY, TWICE, gibbs
from .verdicts import Verdict, misformed
from .worked import worked

# ---------------------------------------------------------------- 03.1, by hand
_sigmoid = lambda x: 1 / (1 + math.exp(-x))
BY_HAND = Numbers(
    lambda: {"share": math.exp(gibbs(np.log([0.5, 0.5]), [1.0, 0.0], 0.5)[0])},
    wrongs=[
        ("share", _sigmoid(0.5), "the reward is multiplied by β; equation 4 divides by it."),
        ("share", _sigmoid(1), "β is left out: that is the share at β 1."),
        ("share", _sigmoid(4), "β goes in twice."),
        ("share", _sigmoid(-2), "that is the share of the worse reply."),
        ("share", 0.5, "that is the reference: the better reply gains."),
        ("share", 1.0, "that is the best reply for ever, the optimum at β 0."),
        ("share", math.exp(2), "that is the weight e^(r/β), or the odds; divide by the sum of the"
         " weights for a share."),
        ("share", math.exp(2) / 2, "that is the weight π_ref e^(r/β); it isn't divided by Z."),
        ("share", (1 + math.exp(2)) / 2, "that is Z."),
        ("share", math.log((1 + math.exp(2)) / 2), "that is log Z."),
        ("share", 2.0, "that is r/β, the logarithm of the odds."),
        ("share", math.exp(2) / (1 + math.exp(2)) / 2, "the reference goes into the numerator and"
         " not into Z."),
        ("share", math.tanh(1), "that is the difference of the two shares."),
        ("share", math.exp(1) / (1 + math.exp(2)), "β is in Z and not in the numerator."),
        ("share", 2 ** 2 / (1 + 2 ** 2), "the base is 2; equation 4 takes powers of e."),
        ("share", 10 ** 2 / (1 + 10 ** 2), "the base is 10; equation 4 takes powers of e."),
        ("share", math.exp(2) / (math.exp(2) + 0.5), "the worse reply's weight is wrong: both"
         " replies carry the reference's half."),
        ("share", 0.5 * math.exp(2) / (0.5 * math.exp(2) + 1), "the reference is missing in the"
         " worse reply's weight."),
    ],
    shows="Two replies: the optimum is a sigmoid of the difference of rewards, over β.",
    rtol=0.004,
)  # fmt: skip

# ---------------------------------------------------------------- 03.2, backwards
WAYS = {  # the toy grammar of the chapter: state -> (probability, reward, next state)
    "close": [(0.3, 1.0, "end"), (0.7, 0.0, "end")],
    "opinion": [(0.5, 0.65, "close"), (0.5, -0.65, "end")],
    "start": [(0.4, 1.0, "opinion"), (0.6, 0.0, "opinion")],
}


def backwards(*, odds="optimum", then="V", unit=1.0, stop="start", distance="right", value="mean"):
    """Mean reward and KL of the toy grammar's optimum, and slips on the way."""
    beta, Z, V = 0.5, {"end": 1.0}, {"end": 0.0}
    for state, ways in WAYS.items():
        Z[state] = sum(p * math.exp(r / beta) * Z[after] for p, r, after in ways)
    for state, ways in WAYS.items():
        total = 0.0
        for p, r, after in ways:
            tilt = {"optimum": p * math.exp(r / beta) * Z[after] / Z[state], "reference": p,
                    "own": p * math.exp(r / beta), "weight": p * math.exp(r / beta) * Z[after],
                    "alike": 1.0, "short": p * math.exp(r / beta) / sum(
                        q * math.exp(s / beta) for q, s, _ in ways)}[odds]  # fmt: skip
            earns = r * unit
            total += {
                "V": tilt * (earns + V[after]), "nothing": tilt * earns,
                "once": tilt * earns + V[after], "times": tilt * earns * (V[after] or 1),
                "late": earns + tilt * V[after], "Z": tilt * (earns + Z[after]),
            }[then]  # fmt: skip
        V[state] = total
    top, log_Z = V[stop], math.log(Z["start"])
    mean = {"mean": top, "top": beta * log_Z, "log Z": log_Z}[value]
    kl = {
        "right": mean / beta - log_Z, "no β": mean - log_Z, "times": beta * (mean - beta * log_Z),
        "undivided": mean - beta * log_Z, "turned": log_Z - mean / beta, "bare": mean / beta,
        "added": mean / beta + log_Z, "Z": (mean - beta * Z["start"]) / beta,
        "undone": beta * log_Z - mean, "half": (mean - log_Z) / beta, "other": _other_way(),
        "bits": (mean / beta - log_Z) / math.log(2), "squared": mean / beta**2 - log_Z,
    }[distance]  # fmt: skip
    return {"mean_reward": mean, "kl": kl}


def _other_way() -> float:
    """KL(reference || optimum): log Z minus the reference's mean reward over β."""
    V, Z = {"end": 0.0}, {"end": 1.0}
    for state, ways in WAYS.items():
        V[state] = sum(p * (r + V[after]) for p, r, after in ways)
        Z[state] = sum(p * math.exp(r / 0.5) * Z[after] for p, r, after in ways)
    return math.log(Z["start"]) - V["start"] / 0.5


BACKWARDS = worked(
    backwards,
    [
        ("that is the mean reward of the reference: the steps are weighted by `toy`, not by the"
         " optimum's probabilities.", {"odds": "reference"}),
        ("the steps are weighted by p e^(r/β), which don't sum to one.", {"odds": "own"}),
        ("the steps are weighted by p e^(r/β) Z(s'), which isn't divided by Z(s) yet.",
         {"odds": "weight"}),
        ("the steps are added up without their probabilities.", {"odds": "alike"}),
        ("the steps are weighted by p e^(r/β) alone: the optimum looks ahead, with Z(s').",
         {"odds": "short"}),
        ("only the first step's reward is counted; what comes after it is missing.",
         {"then": "nothing"}),
        ("V(s') is added in full; it counts only as often as the step is taken.",
         {"then": "once"}),
        ("rewards are multiplied along the way; they add.", {"then": "times"}),
        ("the step's own reward is not weighted by its probability.", {"then": "late"}),
        ("Z(s') stands where V(s') belongs.", {"then": "Z"}),
        ("the rewards are divided by β before they are added up.", {"unit": 2.0}),
        ("the rewards are multiplied by β.", {"unit": 0.5}),
        ("that is V(opinion): one step is missing.", {"stop": "opinion"}),
        ("that is V(close): two steps are missing.", {"stop": "close"}),
        ("that is β log Z, the mean reward less the price of the distance.", {"value": "top"}),
        ("that is log Z, no mean reward.", {"value": "log Z"}),
        ("log Z is not multiplied by β, and V is not divided by it: the units don't fit.",
         {"distance": "no β"}),
        ("it is multiplied by β; solve V − β KL = β log Z again.", {"distance": "times"}),
        ("that is β times the KL: V − β log Z isn't divided by β.", {"distance": "undivided"}),
        ("the sign is turned: a KL divergence is never negative.", {"distance": "turned"}),
        ("the sign is turned, and that is β times the KL.", {"distance": "undone"}),
        ("log Z is left out.", {"distance": "bare"}),
        ("log Z is added; it is to be subtracted.", {"distance": "added"}),
        ("Z stands where log Z belongs.", {"distance": "Z"}),
        ("log Z lacks its β: V − β KL = β log Z.", {"distance": "half"}),
        ("that is the KL divergence the other way round, from the reference to the optimum.",
         {"distance": "other"}),
        ("that is in bits, a logarithm to base 2; ours are natural.", {"distance": "bits"}),
        ("β goes in twice.", {"distance": "squared"}),
    ],
    wrongs=[
        ("mean_reward", 2.65, "that is the reward of the best reply alone; asked is a mean."),
        ("mean_reward", 1.05, "that is the mean over the list, each reply once; asked is weighted"
         " by the optimum."),
    ],
    shows="Two backward passes give the optimum's reward and its distance; no list is needed.",
    rtol=0.004,
)  # fmt: skip


# ---------------------------------------------------------------- 03.4, the other KL
@cache
def _optima():
    """log pi_ref, and log pi* at beta 0.5 and at 0.15, of the chapter's 2,812 replies."""
    from ... import exact, world

    prompt = "film : how was the plot ?"
    replies = world.MINI.replies(prompt)
    ref, r = world.MINI.log_probs(prompt, replies), world.rewards(prompt, replies)
    return ref, [exact.gibbs(ref, r, b).log_probs for b in (0.5, 0.15)]


def growth(*, weigh="each its own", over="ratio"):
    """How many times both divergences grow from beta 0.5 to 0.15 in the mini world."""
    (ref, optima), found = _optima(), []
    for star in optima:
        apart, p, q = star - ref, np.exp(star), np.exp(ref)
        both = {
            "each its own": (p @ apart, -q @ apart), "optimum": (p @ apart, -p @ apart),
            "reference": (q @ apart, -q @ apart), "none": (apart.mean(), -apart.mean()),
            "absolute": (p @ abs(apart), q @ abs(apart)),
            "squares": (p @ apart**2, q @ apart**2),
        }[weigh]  # fmt: skip
        found.append(both)
    near, far = np.array(found[0]), np.array(found[1])
    way = {"ratio": far / near, "difference": far - near, "at 0.15": far, "at 0.5": near,
           "percent": 100 * (far / near - 1), "more": far / near - 1,
           "exp": np.exp(far - near), "one over": near / far}[over]  # fmt: skip
    return {"first_grows": float(way[0]), "other_grows": float(way[1])}


GROWTH = worked(
    growth,
    [
        ("both are weighted by the optimum; the second is a mean over what the reference"
         " writes.", {"weigh": "optimum"}),
        ("both are weighted by the reference; the first is a mean over what the optimum writes.",
         {"weigh": "reference"}),
        ("the log-ratios are averaged over the list; each counts as often as it is written.",
         {"weigh": "none"}),
        ("the log-ratios have lost their sign.", {"weigh": "absolute"}),
        ("the log-ratios are squared.", {"weigh": "squares"}),
        ("those are differences; asked is how many times each grows.", {"over": "difference"}),
        ("those are the divergences at β 0.15; divide by those at 0.5.", {"over": "at 0.15"}),
        ("those are the divergences at β 0.5; asked is how many times each grows.",
         {"over": "at 0.5"}),
        ("that is the growth in per cent; asked is how many times.", {"over": "percent"}),
        ("that is by how much each grows, one too few: asked is how many times as large.",
         {"over": "more"}),
        ("that is e to the differences; divide one divergence by the other.", {"over": "exp"}),
        ("that is turned over: the divergence at 0.15 over that at 0.5.", {"over": "one over"}),
    ],
    rtol=0.015,
)  # fmt: skip
WHY = Choice(
    {
        "a": "the optimum never writes what the reference can't: equation 4 multiplies.",
        "b": None,
        "c": "a smaller β makes every log-ratio larger, for both divergences; why does one grow"
        " faster?",
        "d": "both are means over all replies; what differs is whose probabilities weigh them.",
    },
    "KL(reference || optimum) is a mean over what the optimum has all but given up.",
)


def _both(attempt) -> Verdict:
    """The two numbers first, then the reason."""
    attempt = list(attempt.values()) if isinstance(attempt, Mapping) else attempt
    if not isinstance(attempt, tuple | list) or len(attempt) != 3:
        return misformed('asked: (first_grows, other_grows, "letter"), two numbers and a reason.')
    said = GROWTH.judge(list(attempt[:2]))
    return said if said.state != "right" else WHY.judge(str(attempt[2]).strip(" ()."))


class _OtherKL(Own):
    """Two numbers and a letter; the book's answer is computed when it is asked for."""

    @property
    def own(self):
        """(first_grows, other_grows, letter)."""
        return (*GROWTH.own.values(), WHY.own)

    @own.setter
    def own(self, value):
        """Nothing is kept."""


EXERCISES = {
    "03.0": KEY,
    "03.1": BY_HAND,
    "03.2": BACKWARDS,
    "03.3": TWICE,
    "03.4": _OtherKL(_both),
}
