"""04.3: the policy to which the loss without a reference leads."""

import numpy as np

from .functions import Function


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
    ends = {"probabilities": np.exp(logs), "sum": logits / logits.sum(), "β logs": beta * logs,
            "base 2": logs / np.log(2), "base 10": logs / np.log(10),
            "log ratio": logs - ref, "negative": -logs}  # fmt: skip
    return ends.get(end, logs)


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
        ("β divides the reference, and not the reward; and the reference was dropped.",
         lambda ref, r, b: forgetful(ref, r, b, keep=1 / b, exponent="left out")),
        ("the reference is still in it, divided by β like the reward.",
         lambda ref, r, b: forgetful(ref, r, b, keep=1 / b)),
        ("the reference is still in it, multiplied by β.",
         lambda ref, r, b: forgetful(ref, r, b, keep=b)),
        ("half of the reference is still in it.", lambda *c: forgetful(*c, keep=0.5)),
        ("that is the implicit reward, β times the log-probability.",
         lambda *c: forgetful(*c, end="β logs")),
        ("that is the log-ratio to the reference; asked is the policy's own log-probability.",
         lambda *c: forgetful(*c, end="log ratio")),
        ("the logarithms are to base 2; ours are natural.",
         lambda *c: forgetful(*c, end="base 2")),
        ("the logarithms are to base 10; ours are natural.",
         lambda *c: forgetful(*c, end="base 10")),
        ("those are minus the log-probabilities.", lambda *c: forgetful(*c, end="negative")),
        ("each reply goes through σ by itself; a policy shares one sum among all.",
         lambda ref, r, b: -np.logaddexp(0, -np.asarray(r, float) / b)),
        ("that is the reward itself; the policy is e to the reward over β, shared out.",
         lambda ref, r, b: np.asarray(r, float)),
        ("all probability is on the best reply, and given as it is, without its logarithm. With"
         " endless labels the margin stays finite.", lambda *c: np.exp(_best_alone(*c))),
        ("the rewards are shared out by their size; first comes e to them.",
         lambda ref, r, b: np.log(np.abs(r) / np.abs(r).sum())),
        ("Z still holds the reference: that is the log-ratio of the whole loss's optimum.",
         lambda *c: forgetful(*c, scaled="reference")),
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
