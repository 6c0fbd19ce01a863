"""Chapter 04's exercises: the DPO loss, its derivation by numbers, no reference, rankings."""

import numpy as np

from .ch04_forget import FORGETFUL
from .ch04_pair import KEY
from .ch04_ranking import RANKING
from .worked import worked


# ---------------------------------------------------------------- 04.1, three replies
def three(
    *,
    exponent="r / β",
    base="reference",
    z="Z",
    share="of Z",
    implicit="β log ratio",
    loss="right",
    beta=0.5,
) -> dict[str, float]:
    """The derivation for three replies, and its slips."""
    ref, r = np.array([0.5, 0.3, 0.2]), np.array([1.0, 2.0, 0.0])
    power = {"r / β": r / beta, "rβ": r * beta, "r": r, "-r / β": -r / beta, "β / r": r / beta**2}
    start = {"reference": ref, "none": np.ones(3), "uniform": np.full(3, 1 / 3),
             "two": ref * [1, 1, 0]}[base]  # fmt: skip
    weights = start * np.exp(power[exponent])
    total = weights.sum()
    star = {"of Z": weights / total, "weight": weights, "tilt": np.exp(power[exponent]) / total}
    other = {"first": star["of Z"][0], "third": star["of Z"][2], "log": np.log(star["of Z"][1]),
             "ratio": star["of Z"][1] / ref[1],
             "odds": weights[1] / (total - weights[1])}  # fmt: skip
    pi = star.get(share, star["of Z"])
    ratio = np.log(pi / ref)
    own = {
        "β log ratio": beta * ratio, "no β": ratio, "no reference": beta * np.log(pi),
        "no log": beta * pi / ref, "turned": -beta * ratio, "over β": ratio / beta,
        "with log Z": beta * ratio + beta * np.log(total), "base 10": beta * ratio / np.log(10),
        "half Z": beta * ratio + np.log(total),
        "bare Z": r - np.log(total), "base 2": beta * ratio / np.log(2),
    }[implicit]  # fmt: skip
    margin = own[1] - own[0]
    ends = {
        "right": np.log1p(np.exp(-margin)), "other side": np.log1p(np.exp(margin)),
        "β twice": np.log1p(np.exp(-beta * margin)), "probability": 1 / (1 + np.exp(-margin)),
        "positive": -np.log1p(np.exp(-margin)), "base 2": np.log2(1 + np.exp(-margin)),
        "margin": margin, "policy alone": np.log1p((pi[0] / pi[1]) ** beta),
        "no β": np.log1p(np.exp(-margin / beta)), "weight": 1 / (1 + np.exp(margin)),
        "base 10": np.log10(1 + np.exp(-margin)), "one reward": np.log1p(np.exp(-own[1])),
        "log of π": -np.log(pi[1]), "π of two": np.log1p(pi[0] / pi[1]), "start": np.log(2),
        "third": np.log1p(np.exp(-own[1] + own[2])), "hinge": max(0, 1 - margin),
        "log odds": np.log(pi[0] / pi[1]), "exp": np.exp(-margin), "rewards": 1 - margin,
    }  # fmt: skip
    tops = {
        "Z": total,
        "log Z": np.log(total),
        "β log Z": beta * np.log(total),
        "mean": total / 3,
        "bare": np.exp(power[exponent]).sum(),
        "second": weights[1],
    }
    shown = other.get(share, pi[1])
    names = ("Z", "pi_second", "implicit_first", "implicit_second", "loss")
    return dict(zip(names, map(float, (tops[z], shown, own[0], own[1], ends[loss])), strict=True))


THREE = worked(
    three,
    [
        ("the rewards are multiplied by β in the exponent; equation 4 divides.",
         {"exponent": "rβ"}),
        ("β is left out of the exponent.", {"exponent": "r"}),
        ("the exponent has the wrong sign: the worse a reply, the likelier it gets.",
         {"exponent": "-r / β"}),
        ("the rewards are divided by β twice.", {"exponent": "β / r"}),
        ("the reference is left out of equation 4.", {"base": "none"}),
        ("each reply counts alike; equation 4 takes the reference's probability.",
         {"base": "uniform"}),
        ("that is log Z.", {"z": "log Z"}),
        ("that is β log Z, the height of the top.", {"z": "β log Z"}),
        ("the third reply is left out of Z; its reward is 0, but e^0 isn't.", {"base": "two"}),
        ("Z is a sum under the reference's weights; yours is divided by the number of replies.",
         {"z": "mean"}),
        ("the reference is left out of Z.", {"z": "bare"}),
        ("that is the second reply's numerator alone; Z is the sum of all three.",
         {"z": "second"}),
        ("that is the first reply's probability; asked is the second's.", {"share": "first"}),
        ("that is the third reply's probability; asked is the second's.", {"share": "third"}),
        ("that is the logarithm of the probability.", {"share": "log"}),
        ("that is the ratio to the reference; asked is the probability.", {"share": "ratio"}),
        ("those are the odds; asked is the probability.", {"share": "odds"}),
        ("the loss takes the policy's probabilities alone, without β and reference.",
         {"loss": "π of two"}),
        ("that is ln 2, the loss before training; asked is the one under π*.",
         {"loss": "start"}),
        ("the loss is that of second over third; asked is second over first.",
         {"loss": "third"}),
        ("that is a hinge; the loss is −log σ of the margin.", {"loss": "hinge"}),
        ("that is the log of the odds under the policy; the loss is −log σ of a margin.",
         {"loss": "log odds"}),
        ("that is e to minus the margin; the loss is the log of one plus it.", {"loss": "exp"}),
        ("the weight isn't divided by Z.", {"share": "weight"}),
        ("the reference is missing in the numerator.", {"share": "tilt"}),
        ("β is left out of the implicit rewards.", {"implicit": "no β"}),
        ("the reference is left out of the implicit rewards.", {"implicit": "no reference"}),
        ("the logarithm of the ratio is missing in the implicit rewards.",
         {"implicit": "no log"}),
        ("the ratio in the implicit rewards is turned over: reference over policy.",
         {"implicit": "turned"}),
        ("the log-ratio is divided by β in the implicit rewards.", {"implicit": "over β"}),
        ("those are the true rewards; the implicit ones lack β log Z.",
         {"implicit": "with log Z"}),
        ("log Z is subtracted from the rewards without its β.", {"implicit": "bare Z"}),
        ("log Z is added to the implicit rewards: they have none.", {"implicit": "half Z"}),
        ("the implicit rewards have a logarithm to base 10.", {"implicit": "base 10"}),
        ("the implicit rewards have a logarithm to base 2.", {"implicit": "base 2"}),
        ("the loss is that of the opposite choice, first over second.", {"loss": "other side"}),
        ("β goes into the loss twice: implicit rewards carry it already.", {"loss": "β twice"}),
        ("the margin of the loss is twice as large: β is lost, or it is second over third.",
         {"loss": "no β"}),
        ("that is the probability of the choice; the loss is minus its logarithm.",
         {"loss": "probability"}),
        ("that is the gradient's weight, σ(−m), not the loss.", {"loss": "weight"}),
        ("the loss lacks its minus sign.", {"loss": "positive"}),
        ("the loss has a logarithm to base 2; ours are natural.", {"loss": "base 2"}),
        ("the loss has a logarithm to base 10; ours are natural.", {"loss": "base 10"}),
        ("that is the margin; the loss is −log σ of it.", {"loss": "margin"}),
        ("the loss looks at the policy alone; the reference is left out of it.",
         {"loss": "policy alone"}),
        ("the loss takes the second reply's implicit reward alone; it needs the difference of"
         " both.", {"loss": "one reward"}),
        ("that is −log of the reply's probability, as if nobody chose between two.",
         {"loss": "log of π"}),
        ("that is for a β of 0.6, the chapter's; the exercise has another.", {"beta": 0.6}),
        ("that is for a β of 0.1; the exercise has another.", {"beta": 0.1}),
    ],
    shows="The implicit rewards miss the true ones by one number, and the loss never meets it.",
)  # fmt: skip


# ---------------------------------------------------------------- 04.2, how sure
def sure(*, weight=0.1, how="logit", by="over") -> dict[str, float]:
    """Margin at which a pair's weight is 0.1, and the nats for it at two betas."""
    margin = {
        "logit": np.log((1 - weight) / weight),
        "turned": -np.log((1 - weight) / weight),
        "no one": -np.log(weight),
        "odds": (1 - weight) / weight,
        "base 10": np.log10((1 - weight) / weight),
        "base 2": np.log2((1 - weight) / weight),
        "loss": -np.log(np.exp(weight) - 1),
        "tanh": np.arctanh(1 - weight),
        "log p": np.log(1 - weight),
        "-log p": -np.log(1 - weight),
        "itself": weight,
        "slope": 2 * np.arccosh(1 / np.sqrt(4 * weight)),
        "over": 1 / weight,
        "σ": 1 / (1 + np.exp(weight)),
        "σ of minus": 1 / (1 + np.exp(-weight)),
        "log of 0.1": np.log(weight),
    }[how]
    nats = {
        "over": lambda b: margin / b,
        "times": lambda b: margin * b,
        "left out": lambda b: margin,
        "squared": lambda b: margin / b**2,
        "inside": lambda b: np.log((1 - weight) / weight / b),
        "less": lambda b: margin - b,
        "root": lambda b: margin / np.sqrt(b),
        "chance": lambda b: (1 - weight) / b,
        "weight": lambda b: weight / b,
    }[by]
    names = ("margin", "nats_at_0.6", "nats_at_0.1")
    return dict(zip(names, map(float, (margin, nats(0.6), nats(0.1))), strict=True))


SURE = worked(
    sure,
    [
        ("that is the margin of a weight of 0.9, a pair in the wrong order.", {"how": "turned"}),
        ("the 1 in σ is forgotten: σ(−m) is 1 / (1 + e^m), not e^(−m).", {"how": "no one"}),
        ("those are the odds; the margin is their logarithm.", {"how": "odds"}),
        ("that has a logarithm to base 10; ours are natural.", {"how": "base 10"}),
        ("that is in bits, a logarithm to base 2; ours are natural.", {"how": "base 2"}),
        ("that is where the loss is 0.1; asked is the weight, σ(−m).", {"how": "loss"}),
        ("that is a tenth of the weight at the start, which is one half.", {"weight": 0.05}),
        ("that is a weight of one per cent.", {"weight": 0.01}),
        ("σ is not tanh: tanh(m / 2) is 2σ(m) − 1.", {"how": "tanh"}),
        ("that is the logarithm of a probability of 0.9; the margin is that of its odds.",
         {"how": "log p"}),
        ("that is the loss at a probability of 0.9; asked is the margin.", {"how": "-log p"}),
        ("that is the weight itself; asked is the margin that gives it.", {"how": "itself"}),
        ("that is where the slope of σ is 0.1; the weight is σ(−m) itself.", {"how": "slope"}),
        ("that is one over the weight; the margin is a logarithm of odds.", {"how": "over"}),
        ("σ is applied to 0.1; asked is the margin at which σ gives it.", {"how": "σ"}),
        ("σ is applied to 0.1; asked is the margin at which σ gives it.", {"how": "σ of minus"}),
        ("that is the logarithm of the weight; σ(−m) is 1 / (1 + e^m).", {"how": "log of 0.1"}),
        ("the odds are divided by β before the logarithm; divide the margin.", {"by": "inside"}),
        ("β is taken off the margin; the margin is β times the nats.", {"by": "less"}),
        ("the margin is divided by the root of β.", {"by": "root"}),
        ("the probability is divided by β; the margin is β times the nats.", {"by": "chance"}),
        ("the weight is divided by β; the margin is β times the nats.", {"by": "weight"}),
        ("the margin is multiplied by β; the margin is β times the nats.", {"by": "times"}),
        ("the margin is given where nats are asked: β lies between.", {"by": "left out"}),
        ("the margin is divided by β twice.", {"by": "squared"}),
    ],
    wrongs=[
        (("margin", "nats_at_0.6"), (np.log(5), np.log(5) / 0.6), "that is where the push β σ(−m)"
         " is 0.1 at β 0.6; asked is the weight alone."),
        ("nats_at_0.6", np.log(5) / 0.6, "either β is counted into the weight, so that β σ(−m)"
         " is 0.1 there, or the odds are divided by β before the logarithm."),
        ("margin", 0.9, "0.9 is the probability of the choice; asked is the margin that gives "
         "it."),
    ],
    shows="The smaller β, the more nats a pair has to move before it is left in peace.",
    rtol=0.015,
)  # fmt: skip


EXERCISES = {"04.0": KEY, "04.1": THREE, "04.2": SURE, "04.3": FORGETFUL, "04.4": RANKING}
