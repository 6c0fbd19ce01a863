"""Chapter 04's exercises: the DPO loss, its derivation by numbers, no reference, rankings."""

import numpy as np

from .ch04_functions import KEY, RANKING
from .functions import Function
from .worked import worked


# ---------------------------------------------------------------- 04.1, three replies
def three(
    *, exponent="r / β", base="reference", z="Z", share="of Z", implicit="β log ratio", loss="right"
) -> dict[str, float]:
    """The derivation for three replies, and its slips."""
    ref, r, beta = np.array([0.5, 0.3, 0.2]), np.array([1.0, 2.0, 0.0]), 0.5
    power = {"r / β": r / beta, "rβ": r * beta, "r": r, "-r / β": -r / beta, "β / r": r / beta**2}
    start = {"reference": ref, "none": np.ones(3), "uniform": np.full(3, 1 / 3)}[base]
    weights = start * np.exp(power[exponent])
    total = weights.sum()
    star = {"of Z": weights / total, "weight": weights, "tilt": np.exp(power[exponent]) / total}
    pi = star[share]
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
        "log of π": -np.log(pi[1]),
    }  # fmt: skip
    tops = {"Z": total, "log Z": np.log(total), "β log Z": beta * np.log(total)}
    names = ("Z", "pi_second", "implicit_first", "implicit_second", "loss")
    return dict(zip(names, map(float, (tops[z], pi[1], own[0], own[1], ends[loss])), strict=True))


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
    }[how]
    nats = {
        "over": lambda b: margin / b,
        "times": lambda b: margin * b,
        "left out": lambda b: margin,
        "squared": lambda b: margin / b**2,
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
        ("the margin is multiplied by β; the margin is β times the nats.", {"by": "times"}),
        ("the margin is given where nats are asked: β lies between.", {"by": "left out"}),
        ("the margin is divided by β twice.", {"by": "squared"}),
    ],
    wrongs=[
        (("margin", "nats_at_0.6"), (np.log(5), np.log(5) / 0.6), "that is where the push β σ(−m)"
         " is 0.1 at β 0.6; asked is the weight alone."),
        ("nats_at_0.6", np.log(5) / 0.6, "β is counted into the weight: that is where the push"
         " β σ(−m) is 0.1."),
        ("margin", 0.9, "0.9 is the probability of the choice; asked is the margin that gives "
         "it."),
    ],
    shows="The smaller β, the more nats a pair has to move before it is left in peace.",
    rtol=0.015,
)  # fmt: skip


# ---------------------------------------------------------------- 04.3, no reference
def forgetful(log_ref, reward, beta, *, keep=0, exponent="over", end="logs", scaled="log-sum-exp"):
    """Log-probabilities of the policy to which the loss without reference leads, (N,)."""
    ref, r = np.asarray(log_ref, float), np.asarray(reward, float)
    logits = {
        "over": r / beta, "times": r * beta, "left out": r, "turned": -r / beta, "none": 0 * r,
        "squared": r / beta**2, "half": r / beta / 2, "one": r / beta + 1,
    }[exponent] + keep * ref  # fmt: skip
    total = {
        "log-sum-exp": np.logaddexp.reduce(logits),
        "none": 0.0,
        "reference": np.logaddexp.reduce(ref + r / beta),
        "mean": np.logaddexp.reduce(logits) - np.log(len(r)),
        "max": logits.max(),
    }[scaled]
    logs = logits - total
    return {"logs": logs, "probabilities": np.exp(logs), "sum": logits / logits.sum()}[end]


def _best_alone(log_ref, reward, beta):
    """All probability on the best reply."""
    return np.where(np.arange(len(reward)) == np.argmax(reward), 0.0, -np.inf)


def _sums_to_one(ask, cases) -> str:
    totals = [np.exp(np.asarray(ask(case), float)).sum() for case in cases]
    off = not np.allclose(totals, 1, atol=1e-3)
    return "the probabilities that it gives don't sum to one." if off else ""


def _few() -> list[dict]:
    """Four, three and five replies."""
    rng = np.random.default_rng(7)
    cases = []
    for size, beta in ((4, 0.6), (3, 0.25), (5, 1.7)):
        ref = rng.dirichlet(np.ones(size) * 2)
        cases.append({"log_ref": np.log(ref), "reward": rng.normal(0.3, 0.9, size), "beta": beta})
    return cases


FORGETFUL = Function(
    forgetful,
    _few(),
    switches={
        "keep": (1, "the reference is still in it: that is π*, the optimum of the whole loss."),
        "exponent": ("left out", "β is left out of the exponent."),
        "end": ("probabilities", "those are probabilities; asked are their logarithms."),
        "scaled": ("none", "it isn't divided by its sum: probabilities must sum to one."),
    },
    wrongs=[
        ("the reward is multiplied by β; equation 4 divides.",
         lambda *c: forgetful(*c, exponent="times")),
        ("the reward has the wrong sign.", lambda *c: forgetful(*c, exponent="turned")),
        ("the reward is divided by β twice.", lambda *c: forgetful(*c, exponent="squared")),
        ("the reward is halved.", lambda *c: forgetful(*c, exponent="half")),
        ("that is the uniform policy: choices still tell of the reward.",
         lambda *c: forgetful(*c, exponent="none")),
        ("that is the reference itself: it is what was dropped, and choices still tell of the"
         " reward.", lambda *c: np.asarray(c[0], float)),
        ("that is the best reply alone. With endless labels the loss is least at a finite margin:"
         " people choose the worse reply at times.", _best_alone),
        ("the reference goes in with the opposite sign.", lambda *c: forgetful(*c, keep=-1)),
        ("the reference goes in twice.", lambda *c: forgetful(*c, keep=2)),
        ("Z still holds the reference.", lambda *c: forgetful(*c, scaled="reference")),
        ("it is divided by a mean of e^(r/β); asked is the sum.",
         lambda *c: forgetful(*c, scaled="mean")),
        ("it is divided by its largest weight; asked is the sum.",
         lambda *c: forgetful(*c, scaled="max")),
        ("r/β is divided by its sum; first comes e to it, then the sum, then the logarithm.",
         lambda *c: forgetful(*c, end="sum")),
    ],
    traits=[_sums_to_one],
    shows="Without the reference nothing remembers how people write: only the reward is left.",
)  # fmt: skip


EXERCISES = {"04.0": KEY, "04.1": THREE, "04.2": SURE, "04.3": FORGETFUL, "04.4": RANKING}
