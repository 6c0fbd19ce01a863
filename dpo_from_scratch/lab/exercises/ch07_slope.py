"""07.3: the slope of implicit rewards over the true ones."""

import numpy as np

from .best import slips
from .functions import Function


def line(x, y) -> float:
    """Slope of the line that fits best."""
    dx = x - x.mean()
    return dx @ (y - y.mean()) / (dx @ dx)


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
    if slip == "bracket":
        y = beta * rho[:, 0] - rho[:, 1]
    if slip == "total":
        x = true.mean(1)
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
        "ends": (y[-1] - y[0]) / (x[-1] - x[0]),
        "median ratio": np.median(y / x),
        "ranks": np.corrcoef(x.argsort().argsort(), y.argsort().argsort())[0, 1],
        "both moved": (abs(y) / abs(x)).mean(),
        "mean implicit": y.mean(),
        "rms": np.sqrt((y @ y) / (x @ x)),
        "error": np.sqrt(((y - x) ** 2).mean()),
        "square error": ((y - x) ** 2).mean(),
        "last out": line(x[:-1], y[:-1]),
        "first out": line(x[1:], y[1:]),
        "half": fit / 2,
        "largest": y.max() / x.max(),
        "gap": (y - x).mean(),
    }
    return other.get(slip, fit)


SLOPE_SLIPS = {
    "no beta": "β is left out, or stands on both sides: the slope is that of bare log-ratios.",
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
    "ends": "that is the slope from the first pair to the last; all pairs are to be fitted.",
    "median ratio": "that is the median of the ratios; asked is the slope of a fitted line.",
    "ranks": "that is a correlation of ranks; asked is a slope, which knows units.",
    "both moved": "that is the mean ratio of the sizes; asked is the slope of a fitted line.",
    "mean implicit": "that is the mean implicit difference; asked is a slope over the true ones.",
    "rms": "that is one root mean square over the other: the sizes alone, not the line.",
    "error": "that is the typical distance of the two; asked is a slope.",
    "square error": "that is the mean squared distance of the two; asked is a slope.",
    "last out": "the last pair is left out.",
    "first out": "the first pair is left out.",
    "half": "that is half the slope.",
    "largest": "that is the largest over the largest; asked is the slope of a fitted line.",
    "bracket": "β multiplies the chosen log-ratio alone: a bracket is missing.",
    "total": "the true side has the mean of the two; take their difference.",
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


SLOPE = Function(
    slope,
    [pairs(1, 6, 0.1), pairs(2, 9, 0.6), pairs(3, 6, 2.5)],
    wrongs=slips(slope, SLOPE_SLIPS),
    shows="At the optimum it is 1, at the reference 0: now ask your run.",
)
