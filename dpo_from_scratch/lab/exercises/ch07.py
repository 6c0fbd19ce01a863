"""Chapter 07: parts of a KL, where to stop, the slope of implicit rewards; 07.2 is in best.py."""

from functools import cache

import numpy as np

from ... import world
from ..records import Record
from .answers import Numbers
from .best import BEST_SLIPS, kl_of_best, replies, slips
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
        (worth, np.sum, "the seeds are added up; asked is their mean."),
        (worth, np.max, "that is the luckiest seed; asked is the mean of three."),
        (worth, np.min, "that is the worst seed; asked is the mean of three."),
    ]
    found = [(list(best(how, over=over).values()), why) for how, over, why in told]
    out = [(NAMES, values, why) for values, why in found]
    for i in (0, 2):
        out += [(NAMES[i : i + 2], values[i : i + 2], why) for values, why in found]
    most = {c: c * world.REVIEWS.policy(world.prompts()[0], c).log_Z for c in (0.6, 0.2)}
    why = "that is the exact optimum's J; asked is the best of the runs."
    out += [(NAMES[1], most[0.6], why), (NAMES[3], most[0.2], why)]
    flat = lambda c: {b: float(np.mean(worth(kl, r, c, b))) for b, (kl, r) in runs().items()}
    for beta, j, cost in ((*NAMES[:2], 0.6), (*NAMES[2:], 0.2)):
        told = {b: v for b, v in flat(cost).items() if b != answer[beta]}
        out += [(beta, b, f"`{beta}`: another β has more: compare all eight.") for b in told]
        out += [(j, v, f"`{j}`: that is the J of another β.") for v in told.values()]
    return out


# ---------------------------------------------------------------- 07.3: the slope
def slope(rho, true, beta, slip: str = ""):
    """Slope of the implicit rewards' differences over the true ones', one number."""
    rho, true = np.asarray(rho, float), np.asarray(true, float)
    scale = {"no beta": 1.0, "beta twice": beta * beta, "over beta": 1 / beta}.get(slip, beta)
    pick = {
        "both": lambda v: v.ravel(),
        "chosen": lambda v: v[:, 0],
        "rejected": lambda v: v[:, 1],
        "sums": lambda v: v.sum(1),
    }.get(slip, lambda v: v[:, 0] - v[:, 1])
    y, x = pick(scale * rho), pick(true)
    if slip == "turned":
        x, y = y, x
    if slip == "chances":
        x, y = (1 / (1 + np.exp(-v)) for v in (x, y))
    if slip == "sizes":
        x, y = abs(x), abs(y)
    if slip == "signs":
        x = np.sign(x)
    if slip == "one side turned":
        x = -x
    dx, dy = x - x.mean(), y - y.mean()
    fit = dx @ dy / (dx @ dx)
    other = {
        "correlation": np.corrcoef(x, y)[0, 1],
        "squared": np.corrcoef(x, y)[0, 1] ** 2,
        "origin": x @ y / (x @ x),
        "intercept": y.mean() - fit * x.mean(),
        "spreads": y.std() / x.std(),
        "means": y.mean() / x.mean(),
        "ratios": (y / x).mean(),
        "covariance": dx @ dy / len(x),
        "covariance less": dx @ dy / (len(x) - 1),
        "mixed": fit * len(x) / (len(x) - 1),
        "order": (x * y > 0).mean(),
        "gap": (y - x).mean(),
    }
    return other.get(slip, fit)


SLOPE_SLIPS = {
    "no beta": "β is left out: those are log-ratios, no rewards.",
    "beta twice": "β goes in twice.",
    "over beta": "the log-ratios are divided by β; a reward is β times one.",
    "turned": "true is regressed on implicit: the wrong way round.",
    "one side turned": "one difference is chosen - rejected, the other rejected - chosen.",
    "correlation": "that is the correlation; the slope knows units, it doesn't.",
    "squared": "that is the correlation squared; asked is the slope.",
    "origin": "the line is forced through 0: let it have an intercept.",
    "intercept": "that is the intercept; asked is the slope.",
    "spreads": "that is one spread over the other: the correlation is left out.",
    "means": "that is one mean over the other; asked is the slope of a fitted line.",
    "ratios": "that is the mean of the ratios; asked is the slope of a fitted line.",
    "covariance": "that is the covariance: divide by the variance of the true differences.",
    "covariance less": "that is the covariance: divide by the variance of the true differences.",
    "mixed": "the covariance divides by N - 1 and the variance by N.",
    "chances": "the differences go through σ; the rewards themselves are compared.",
    "sizes": "the differences have lost their signs.",
    "signs": "only the sign of the true difference is looked at.",
    "order": "that is the share of pairs in the same order; asked is a slope.",
    "gap": "that is the mean gap between the two; asked is a slope.",
    "both": "texts are compared, not pairs: take the difference of each pair first.",
    "chosen": "only the chosen texts are in it: take the difference of each pair first.",
    "rejected": "only the rejected texts are in it: take the difference of each pair first.",
    "sums": "the two texts of a pair are added; take their difference.",
}


def pairs(seed: int, size: int, beta: float) -> dict:
    """A case: log-ratios that follow the true rewards, with noise and an offset."""
    rng = np.random.default_rng(seed)
    true = 2 * rng.standard_normal((size, 2)) + [0.9, -0.4]
    rho = (0.6 * true + 0.5 * rng.standard_normal((size, 2)) + [0.3, -0.8]) / beta
    return {"rho": rho, "true": true, "beta": beta}


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
    ),
    "07.2": Function(
        kl_of_best,
        [replies(1, 7, 4, 3), replies(2, 9, 5, 2), replies(4, 6, 3, 5)],
        wrongs=slips(kl_of_best, BEST_SLIPS),
        shows="The bound is nearly tight until most draws hold one of the very best replies.",
    ),
    "07.3": Function(
        slope,
        [pairs(1, 6, 0.1), pairs(2, 9, 0.6), pairs(3, 6, 2.5)],
        wrongs=slips(slope, SLOPE_SLIPS),
        shows="At the optimum it is 1, at the reference 0: now ask your run.",
    ),
}
