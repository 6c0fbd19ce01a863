"""Chapter 03's exercises: the Gibbs optimum, by hand, backwards, twice, and the other KL."""

import math

import numpy as np

from .answers import Numbers
from .ch03_functions import KEY, TWICE, gibbs
from .ch03_other_kl import OTHER_KL
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
        ("share", 1.0, "that is the best reply for ever, the optimum at β 0, or next to it."),
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
        ("share", 0.75, "e^ is left out: the weights are π_ref e^(r/β), not π_ref (1 + r/β)."),
        ("share", 2 / 3, "e^ is left out: the weights are π_ref e^(r/β), neither 1 + r nor r/β"
         " and 1."),
        *(("share", _sigmoid(1 / beta), f"that is the share at β {beta}; it is 0.5 here.")
          for beta in (0.1, 0.15, 0.2, 0.25, 0.6)),
        ("share", 0.5 * math.exp(0.5), "that is a weight, with the reward multiplied by β, and it"
         " isn't divided by Z."),
        ("share", 0.5 * math.exp(1), "that is a weight without β; it isn't divided by Z."),
        ("share", math.exp(1), "those are the odds without β; a share is asked."),
        ("share", 0.5 + 0.5 * math.tanh(0.5), "β is left out: that is the share at β 1."),
        ("share", 1 - math.exp(-2), "that is one minus the worse reply's odds; divide by the sum of"
         " the weights."),
        ("share", math.tanh(2), "that is the difference of the shares, and β goes in twice."),
        ("share", math.exp(-2), "that is the odds of the worse reply; a share is asked."),
        ("share", 0.5 * math.log((1 + math.exp(2)) / 2), "that is β log Z."),
        ("share", math.log(2 * _sigmoid(2)), "that is the log-ratio to the reference."),
        ("share", 0.5 * math.log(2 * _sigmoid(2)), "that is the implicit reward, β times the"
         " log-ratio."),
        ("share", _sigmoid(2) * math.log(2 * _sigmoid(2)) + _sigmoid(-2) * math.log(
            2 * _sigmoid(-2)), "that is the KL divergence; asked is the share."),
        ("share", _sigmoid(2) * _sigmoid(-2), "that is the share times the other, σ's slope."),
        ("share", 0.5 + 0.5 * _sigmoid(2), "that is a mixture of reference and optimum."),
        ("share", _sigmoid(2) / 0.5 - 1, "that is by how much the share has grown, less one."),
        ("share", math.exp(2) / (1 + math.exp(2)) * 0.25, "the reference's half stands twice in the"
         " numerator, and not in Z."),
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


def backwards(
    *,
    odds="optimum",
    then="V",
    unit=1.0,
    stop="start",
    distance="right",
    value="mean",
    beta=0.5,
    cut="",
):
    """Mean reward and KL of the toy grammar's optimum, and slips on the way."""
    Z, V = {"end": 1.0}, {"end": 0.0}
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
        V[state] = 0.0 if state == cut else total
    top, log_Z = V[stop], math.log(Z["start"])
    ref = _of_the_reference()
    mean = {
        "mean": top, "top": beta * log_Z, "log Z": log_Z, "gain": top - ref, "Z": Z["start"],
        "sum": sum(V.values()), "reference": ref,
    }[value]  # fmt: skip
    kl = {
        "right": mean / beta - log_Z, "no β": mean - log_Z, "times": beta * (mean - beta * log_Z),
        "undivided": mean - beta * log_Z, "turned": log_Z - mean / beta, "bare": mean / beta,
        "added": mean / beta + log_Z, "Z": (mean - beta * Z["start"]) / beta,
        "undone": beta * log_Z - mean, "half": (mean - log_Z) / beta, "other": log_Z - ref / beta,
        "bits": (mean / beta - log_Z) / math.log(2), "squared": mean / beta**2 - log_Z,
        "log10": mean / beta - math.log10(Z["start"]), "per step": (mean / beta - log_Z) / 3,
        "log2": mean / beta - math.log2(Z["start"]), "reward": mean, "gain": mean - ref,
        "gain over": (mean - ref) / beta, "log Z": log_Z, "top": beta * log_Z,
        "exp": np.exp(mean / beta - log_Z), "minus one": mean / beta - log_Z - 1,
        "times V": beta * mean - log_Z, "nothing": 0.0, "over": (mean + beta * log_Z) / beta,
    }[distance]  # fmt: skip
    return {"mean_reward": mean, "kl": kl}


def _of_the_reference() -> float:
    """The reference's mean reward."""
    V = {"end": 0.0}
    for state, ways in WAYS.items():
        V[state] = sum(p * (r + V[after]) for p, r, after in ways)
    return V["start"]


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
        *((f"that is at β = {b}; it is 0.5 here.", {"beta": b}) for b in (1.0, 0.6, 0.2, 0.15)),
        ("the last choice, `close`, earns nothing yet: V of it is missing.", {"cut": "close"}),
        ("what `opinion` and all after it earn is missing.", {"cut": "opinion"}),
        ("Z's logarithm has base 10; ours is natural.", {"distance": "log10"}),
        ("Z's logarithm has base 2; ours is natural.", {"distance": "log2"}),
        ("that is a mean over the three steps; the divergence is their sum.",
         {"distance": "per step"}),
        ("that is by how much the optimum's reward exceeds the reference's, no divergence.",
         {"distance": "gain"}),
        ("the reference's reward over β is subtracted, in place of log Z.",
         {"distance": "gain over"}),
        ("that is log Z, no divergence.", {"distance": "log Z"}),
        ("that is β log Z, no divergence.", {"distance": "top"}),
        ("that is the mean reward again.", {"distance": "reward"}),
        ("that is e to the divergence.", {"distance": "exp"}),
        ("V is multiplied by β, and should be divided.", {"distance": "times V"}),
        ("zero would mean that the optimum is the reference.", {"distance": "nothing"}),
        ("that is by how much the optimum's reward exceeds the reference's; asked is the"
         " optimum's.", {"value": "gain"}),
        ("that is Z of the start, no mean reward.", {"value": "Z"}),
        ("V is added up over the states; V of the start has it all.", {"value": "sum"}),
    ],
    wrongs=[
        ("mean_reward", 2.65, "that is the reward of the best reply alone; asked is a mean."),
        ("mean_reward", 1.05, "that is the mean over the list, each reply once; asked is weighted"
         " by the optimum."),
    ],
    shows="Two backward passes give the optimum's reward and its distance; no list is needed.",
    rtol=0.004,
)  # fmt: skip


EXERCISES = {
    "03.0": KEY,
    "03.1": BY_HAND,
    "03.2": BACKWARDS,
    "03.3": TWICE,
    "03.4": OTHER_KL,
}
