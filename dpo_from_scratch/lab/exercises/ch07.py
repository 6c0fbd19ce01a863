"""Chapter 07: parts of a KL, where to stop, the slope of implicit rewards; 07.2 is in best.py."""

from functools import cache

import numpy as np

from ... import world
from ..records import Record
from .answers import Numbers
from .best import BEST_SLIPS, kl_of_best, replies, slips
from .ch07_slope import SLOPE
from .functions import Function


# ---------------------------------------------------------------- 07.0: what a kind of texts holds
def mean(values) -> float:
    """The mean; 0 of nothing."""
    return values.sum() / max(len(values), 1)


def part_of_kl(log_ratio, kind, slip: str = ""):
    """What the texts of one kind contribute to the KL, in nats: one number."""
    log_ratio, kind = np.asarray(log_ratio), np.asarray(kind, bool)
    if slip.startswith("others"):
        kind = ~kind
    here, away, n = log_ratio[kind], log_ratio[~kind], len(log_ratio)
    share, log = len(here) / n, np.log(max(len(here), 1) / n)
    other = {
        "mean": mean(here),
        "others mean": mean(here),
        "crossed": share * mean(away),
        "other share": (1 - share) * mean(here),
        "apart": mean(here) - mean(away),
        "above all": mean(here) - mean(log_ratio),
        "rest": mean(log_ratio) - mean(here),
        "median": share * np.median(here) if len(here) else 0.0,
        "sum": here.sum(),
        "share": share,
        "whole mean": share * mean(log_ratio),
        "fraction": here.sum() / (log_ratio.sum() or 1),
        "share twice": share * here.sum() / n,
        "share of all": mean(here) / max(share, 1 / n),
        "size": np.abs(here).sum() / n,
        "without others": mean(here) - log,
        "plus log": here.sum() / n - share * log,
        "all": mean(log_ratio),
        "one less": here.sum() / (n - 1),
        "exp": np.exp(here).sum() / n,
        "log of mean": share * np.log(mean(np.exp(here)) or 1),
        "importance": np.exp(here) @ here / n,
        "importance, shared": np.exp(here) @ here / np.exp(log_ratio).sum(),
        "importance, here": mean(np.exp(here) * here),
        "importance, turned": np.exp(-here) @ here / n,
        "likelier": np.maximum(here, 0).sum() / n,
        "likelier here": mean(np.maximum(here, 0)),
        "squares": here @ here / n,
        "half squares": here @ here / n / 2,
        "k3": (np.exp(-here) - 1 + here).sum() / n,
        "root": np.sqrt(here @ here / n),
        "entropy": -share * log,
        "share log": share * log,
        "spread": here.std() if len(here) else 0.0,
        "variance": here.var() if len(here) else 0.0,
        "count": float(len(here)),
        "largest": here.max(initial=-np.inf) / n,
        "largest here": here.max(initial=-np.inf),
        "with others off": (here.sum() - away.sum()) / n,
        "over parts": (mean(here) + mean(away)) / 2,
        "among the others": here.sum() / max(len(away), 1),
    }
    return other.get(slip, here.sum() / n)


PART_SLIPS = {
    "mean": "that is the mean over this kind alone: its share of the texts is left out.",
    "others": "that is the part of the other texts.",
    "others mean": "that is the mean over the other texts, and their share is left out.",
    "crossed": "the share of this kind, and the mean of the other texts.",
    "other share": "the mean of this kind, and the share of the other texts.",
    "apart": "that is the difference of the two kinds' means; asked is a share times a mean.",
    "above all": "that is how far this kind's mean lies above the mean of all; asked is a part.",
    "rest": "that is the KL less this kind's mean: only parts, with their shares, add up.",
    "median": "that has a median; a part of a mean is made of means.",
    "sum": "that is a sum over the texts; a KL is a mean over all of them.",
    "share": "that is the share of the texts; asked are nats.",
    "whole mean": "that is the share times the mean over all texts; this kind has its own mean.",
    "fraction": "that is the part divided by the whole KL; asked are nats.",
    "share twice": "the share goes in twice: a sum over N has it already.",
    "share of all": "the mean is divided by the share; it is multiplied.",
    "size": "log-ratios below 0 have lost their sign.",
    "without others": "that is the KL of a policy without the other texts; asked is a part.",
    "plus log": "the logarithm of the share is in it; a part of the KL as it is has none.",
    "all": "that is the whole KL: `kind` isn't looked at.",
    "one less": "divided by N - 1; a mean over N texts divides by N.",
    "exp": "that is the mean of the ratios; asked are log-ratios.",
    "log of mean": "that is the log of the mean of the ratios; asked is the mean of the logs.",
    "importance": "the texts are weighted by their ratios; drawn from π, they count as they are.",
    "importance, shared": "the texts are weighted by their ratios; they are drawn from π already.",
    "importance, here": "the texts are weighted by their ratios; they are drawn from π already.",
    "importance, turned": "the ratios are divided out, as for the reference; asked is under π.",
    "likelier": "negative log-ratios are set to 0; only the whole mean can't be negative.",
    "likelier here": "negative log-ratios are set to 0, and the share is left out.",
    "squares": "the log-ratios are squared; asked is their mean.",
    "half squares": "that is half the mean of the squares; asked is the mean of the log-ratios.",
    "k3": "that is another estimate, e^(-ρ) - 1 + ρ; asked is the log-ratios' own part.",
    "root": "that is the root of a mean square; asked is the mean of the log-ratios.",
    "entropy": "that is the share's own entropy term; the log-ratios are left out.",
    "spread": "that is the spread of this kind's log-ratios; asked is a share times their mean.",
    "variance": "that is the variance of this kind's log-ratios; asked is a share times a mean.",
    "share log": "that is the share times its own logarithm; the log-ratios are left out.",
    "count": "that is how many texts there are of this kind; asked are nats.",
    "largest": "that is the largest text's part alone; asked are all of this kind.",
    "largest here": "that is the largest log-ratio of this kind; asked is a share times a mean.",
    "with others off": "the other texts are subtracted; asked is this kind's part alone.",
    "over parts": "that is the mean of the two kinds' means: `kind`'s share is left out.",
    "among the others": "divided by the number of the other texts; it is a mean over all.",
}


def texts(ratios: list[float], kind: str) -> dict:
    """A case: log-ratios, and which texts are of the kind."""
    return {"log_ratio": np.array(ratios), "kind": np.array([c == "x" for c in kind])}


TEXTS = [
    texts([3.1, -0.7, 12.4, 1.9, 8.3], "xx--x"),
    texts([-1.2, 2.6, 0.9, -0.4, 5.7], "-x-x-"),
    texts([0.8, 4.4, -2.1, 1.3], "x-x-"),
    texts([2.2, 1.7, -0.9, 16.1], "---x"),
]


# ---------------------------------------------------------------- 07.1: where to stop
@cache
def runs() -> dict[float, tuple[np.ndarray, np.ndarray]]:
    """beta -> (KL, true reward), three seeds each, of the chapter's record."""
    record = Record.load("beta_sweep")
    betas = sorted({p["point"]["beta"] for p in record.points if "beta" in p["point"]})
    get = lambda key, beta: np.array(record.values(key, beta=beta))
    return {b: (get("kl", b), get("true_reward", b)) for b in betas}


NAMES = ("first β", "first J", "second β", "second J")


def best(worth, costs=(0.6, 0.2), over=np.mean) -> dict[str, float]:
    """For each cost the beta with the highest worth(kl, reward, cost, beta), and that worth."""
    found = []
    for cost in costs:
        told = {b: float(over(worth(kl, r, cost, b))) for b, (kl, r) in runs().items()}
        top = max(told, key=told.get)
        found += [top, told[top]]
    return dict(zip(NAMES, found, strict=True))


def worth(kl, reward, cost, beta):
    """J of each seed."""
    return reward - cost * kl


def seed_wrongs() -> list:
    """What is taken of three seeds in place of their mean; where two give the same, both."""
    taken = {
        "luckiest": np.max,
        "worst": np.min,
        "median": np.median,
        "first": lambda v: v[0],
        "second": lambda v: v[1],
        "last": lambda v: v[-1],
    }
    gives = {name: list(best(worth, over=over).values()) for name, over in taken.items()}
    told = []
    for name, over in taken.items():
        same = [n for n in taken if np.allclose(gives[n], gives[name], rtol=0.008, atol=0.012)]
        told.append((over, f"that is the {' or '.join(same)} seed; asked is the mean of three."))
    return told


def stop_wrongs(answer: dict) -> list:
    """Known mistakes, in all four numbers, then in one."""
    told = [
        (lambda kl, r, c, b: r, np.mean, "the KL costs nothing in yours: that is the reward."),
        (lambda kl, r, c, b: r + c * kl, np.mean, "the KL is added; it is a cost."),
        (lambda kl, r, c, b: r - b * kl, np.mean, "each run pays its own β; asked is one price."),
        (lambda kl, r, c, b: r - kl, np.mean, "a nat costs 1 in yours."),
        (lambda kl, r, c, b: c * r - kl, np.mean, "the price is on the reward; the KL has one."),
        (lambda kl, r, c, b: r - kl / c, np.mean, "the KL is divided by its price."),
        (lambda kl, r, c, b: r / kl, np.mean, "that is reward per nat; asked is a difference."),
        (lambda kl, r, c, b: c * kl, np.mean, "that is what the KL costs; J is what is left."),
        (lambda kl, r, c, b: r - c * c * kl, np.mean, "the price goes in twice."),
        (lambda kl, r, c, b: r - c * np.sqrt(kl), np.mean, "the root of the KL is taken."),
        (lambda kl, r, c, b: r - c * kl / b, np.mean, "the KL is divided by the run's β."),
        (lambda kl, r, c, b: r - c * b * kl, np.mean, "the run's β is in it; asked is one price."),
        (lambda kl, r, c, b: (1 - c) * r - c * kl, np.mean, "the price is taken off the reward."),
        (lambda kl, r, c, b: -kl, np.mean, "only the KL counts in yours; asked is reward less it."),
        (lambda kl, r, c, b: r / c - kl, np.mean, "J is divided by its price: those are nats."),
        (worth, np.std, "that is the seeds' spread; asked is their mean."),
        (worth, np.sum, "the seeds are added up; asked is their mean."),
    ]
    told += [(worth, over, why) for over, why in seed_wrongs()]
    found = [(list(best(how, over=over).values()), why) for how, over, why in told]
    out = [(NAMES, values, why) for values, why in found]
    for i in (0, 2):
        out += [(NAMES[i : i + 2], values[i : i + 2], why) for values, why in found]
    parts = [
        (lambda kl, r, c: r, "that is the reward of that β; the KL's cost is to be taken off."),
        (lambda kl, r, c: kl, "that is the KL of that β; asked is J."),
        (lambda kl, r, c: c * kl, "that is what the KL of that β costs; asked is J."),
        (lambda kl, r, c: r + c * kl, "the KL's cost is added; take it off."),
        (lambda kl, r, c: r - kl, "a nat costs 1 in yours."),
        (lambda kl, r, c: r - (0.8 - c) * kl, "that is J at the other price."),
    ]
    for at, c in ((0, 0.6), (2, 0.2)):
        kl, r = (float(v.mean()) for v in runs()[answer[NAMES[at]]])
        out += [(NAMES[at + 1], of(kl, r, c), f"`{NAMES[at + 1]}`: {why}") for of, why in parts]
        out.append((NAMES[at + 1], answer[NAMES[3 - at]], "that is J of the other price's best."))
    most = {c: c * world.REVIEWS.policy(world.prompts()[0], c).log_Z for c in (0.6, 0.2)}
    why = "that is the exact optimum's J; asked is the best of the runs."
    out += [(NAMES[1], most[0.6], why), (NAMES[3], most[0.2], why)]
    flat = lambda c: {b: float(np.mean(worth(kl, r, c, b))) for b, (kl, r) in runs().items()}
    for beta, j, cost in ((*NAMES[:2], 0.6), (*NAMES[2:], 0.2)):
        told = {b: v for b, v in flat(cost).items() if b != answer[beta]}
        out += [(beta, b, f"`{beta}`: another β has more: compare all eight.") for b in told]
        out += [(j, v, f"`{j}`: that is the J of another β.") for v in told.values()]
    return out


def other_zero(found: dict, answer: dict) -> str:
    """A β that has no run; or whether both J are off by the same, and the β are right."""
    for name in (NAMES[0], NAMES[2]):
        if all(abs(found[name] - b) > 0.01 * b for b in runs()):
            return f"`{name}`: no run has this β; one of the eight is asked."
    off = [found[n] - answer[n] for n in NAMES]
    if abs(off[0]) + abs(off[2]) > 1e-6 or abs(off[1] - off[3]) > 0.004 or abs(off[1]) < 0.02:
        return ""
    return "both J are off by the same: they are counted from another zero, the reference's reward?"


EXERCISES = {
    "07.0": Function(
        part_of_kl,
        TEXTS,
        wrongs=slips(part_of_kl, PART_SLIPS),
        shows="A mean over all texts is cut in parts, each a share times a mean.",
    ),
    "07.1": Numbers(
        lambda: best(worth),
        stop_wrongs,
        "A lower price doesn't buy the β of that price: below 0.35 the runs break.",
        rtol=0.004,
        atol=0.006,
        tell=other_zero,
    ),
    "07.2": Function(
        kl_of_best,
        [replies(1, 7, 4, 3), replies(2, 9, 5, 2), replies(4, 6, 3, 5)],
        wrongs=slips(kl_of_best, BEST_SLIPS),
        shows="The bound is nearly tight until most draws hold one of the very best replies.",
    ),
    "07.3": SLOPE,
}
