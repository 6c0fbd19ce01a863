"""More wrong attempts at chapter 07's exercises, with their messages."""

import math

import numpy as np

# ---------------------------------------------------------------- 07.0
PARTS = [
    (lambda r, k: (np.exp(r) * r * k).mean(), "weighted by their ratios"),
    (lambda r, k: (np.maximum(r, 0) * k).mean(), "negative log-ratios are set to 0"),
    (lambda r, k: (np.exp(r) * r * k).sum() / np.exp(r).sum(), "weighted by their ratios"),
    (lambda r, k: (r * r * k).mean(), "are squared"),
    (lambda r, k: (r * r * k).mean() / 2, "half the mean of the squares"),
    (lambda r, k: ((np.exp(-r) - 1 + r) * k).mean(), "another estimate"),
    (lambda r, k: np.sqrt((r * r * k).mean()), "the root of a mean square"),
    (lambda r, k: -k.mean() * np.log(k.mean()), "entropy term"),
    (lambda r, k: float(k.sum()), "how many texts"),
    (lambda r, k: r[k].max(), "the largest log-ratio"),
    (lambda r, k: (r[k].sum() - r[~k].sum()) / len(r), "the other texts are subtracted"),
    (lambda r, k: (r[k].mean() + r[~k].mean()) / 2, "the two kinds' means"),
    (lambda r, k: r[k].sum() / len(r) / math.log(2), "base 2"),
    (lambda r, k: 100 * r[k].sum() / len(r), "100 times"),
    (lambda r, k: np.median(r[k]) * k.mean(), "median"),
    (lambda r, k: r[k].std(), "spread"),
]

# ---------------------------------------------------------------- 07.1
STOPS = [
    ((0.6, 1.8345, 0.35, 2.7253), "another zero"),
    ((0.35, 2.5222, 0.6, 1.6314), "not in the order"),
    ((0.6, 1.63, 0.6, 2.52), "another β has more"),
    ((0.6, 1.63, 0.35, 1.63), "J of the other"),
    ((0.2, 1.63, 0.35, 2.52), "another β has more"),
    ((0.6, -1.6314, 0.35, 2.5222), "sign"),
    ((0.6, 163.14, 0.35, 252.22), "per cent"),
    ((0.5, 1.63, 0.35, 2.52), "no run has this β"),
]


# ---------------------------------------------------------------- 07.2
def by_value(rewards, log_probs, n):
    _, which = np.unique(rewards, return_inverse=True)
    p = np.exp(log_probs)
    share = np.bincount(which, p)
    up = np.append(0.0, np.cumsum(share))
    return np.diff(up**n), share, which, p


def of(f):
    return lambda rewards, log_probs, n: f(*by_value(rewards, log_probs, n), n)


BEST = [
    (of(lambda t, s, w, p, n: (t[w] * np.log(t[w] / p)).sum()), "its value's whole probability"),
    (of(lambda t, s, w, p, n: (t[w] * p / s[w] * np.log(t[w] / p)).sum()), "put like over like"),
    (of(lambda t, s, w, p, n: (t[w] * np.log(t[w] / s[w])).sum()), "once is enough"),
    (of(lambda t, s, w, p, n: math.log(n)), "that is log n"),
    (of(lambda t, s, w, p, n: (t * np.log(t) - s * np.log(s)).sum()), "two entropies"),
    (of(lambda t, s, w, p, n: (t * np.log(t * len(t))).sum()), "a uniform choice"),
    (of(lambda t, s, w, p, n: (t * abs(np.log(t / s))).sum()), "lost their signs"),
    (of(lambda t, s, w, p, n: ((t - s) ** 2 / s).sum()), "chi-squared"),
    (of(lambda t, s, w, p, n: abs(t - s).sum() / 2), "total variation"),
    (of(lambda t, s, w, p, n: ((t - s) * np.log(t / s)).sum()), "there and back"),
    (of(lambda t, s, w, p, n: np.log((t * t / s).sum())), "the log of the mean ratio"),
    (of(lambda t, s, w, p, n: np.log(t[-1] / s[-1])), "the largest log-ratio"),
    (of(lambda t, s, w, p, n: -(s * np.log(t)).sum()), "a cross-entropy of the reference"),
    (of(lambda t, s, w, p, n: (t / s).mean()), "plain mean of the ratios"),
    (of(lambda t, s, w, p, n: (t * t / s).sum()), "the mean of the ratios"),
]


# ---------------------------------------------------------------- 07.3
def apart(v):
    return v[:, 0] - v[:, 1]


fit = lambda x, y: np.polyfit(x, y, 1)[0]
rank = lambda v: v.argsort().argsort()
rms = lambda v: np.sqrt((v * v).mean())
SLOPES = [
    (lambda r, t, b: fit(b * apart(t), b * apart(r)), "stands on both sides"),
    (lambda r, t, b: fit(apart(t), b * r[:, 0] - r[:, 1]), "a bracket is missing"),
    (lambda r, t, b: fit(apart(t), apart(b * r)) / 2, "half"),
    (lambda r, t, b: np.corrcoef(rank(apart(t)), rank(b * apart(r)))[0, 1], "of ranks"),
    (lambda r, t, b: b * (apart(r)[-1] - apart(r)[0]) / (apart(t)[-1] - apart(t)[0]), "the last"),
    (lambda r, t, b: np.median(b * apart(r) / apart(t)), "median of the ratios"),
    (lambda r, t, b: b * apart(r).mean(), "the mean implicit difference"),
    (lambda r, t, b: rms(b * apart(r)) / rms(apart(t)), "the sizes alone"),
    (lambda r, t, b: rms(b * apart(r) - apart(t)), "the typical distance"),
    (lambda r, t, b: rms(b * apart(r) - apart(t)) ** 2, "the mean squared distance"),
    (lambda r, t, b: fit(t.mean(1), b * apart(r)), "has the mean of the two"),
    (lambda r, t, b: -fit(apart(t), b * apart(r)), "one difference"),
    (lambda r, t, b: fit(apart(t)[:-1], b * apart(r)[:-1]), "the last pair is left out"),
    (lambda r, t, b: fit(apart(t), b * apart(r) - apart(t)), "off by -1"),
]
WRONG = {"07.0": PARTS, "07.1": STOPS, "07.2": BEST, "07.3": SLOPES}
