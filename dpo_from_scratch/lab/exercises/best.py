"""Exercise 07.2: the KL of best-of-n to what it samples."""

import numpy as np


def slips(function, names: dict) -> list:
    """A function's slips as mistakes with a name."""
    return [(why, lambda *a, s=slip: function(*a, slip=s)) for slip, why in names.items()]


# ---------------------------------------------------------------- 07.2: the KL of best-of-n
def kl_of_best(rewards, log_probs, n, slip: str = ""):
    """KL of best-of-n to what it samples, nats, by one sum over the reward's values."""
    rewards, p = np.asarray(rewards, float), np.exp(np.asarray(log_probs, float))
    if slip == "bound":
        return np.log(n) - (n - 1) / n
    if slip == "worst":
        rewards = -rewards
    if slip in ("ties", "unsorted"):
        order = np.argsort(rewards, kind="stable") if slip == "ties" else np.arange(len(p))
        share = p[order]
    else:
        share = np.bincount(np.unique(rewards.round(9), return_inverse=True)[1], p)
    if slip == "equal":
        share = np.full(len(share), 1 / len(share))
    n = {"one less": n - 1, "one more": n + 1}.get(slip, n)
    up_to = np.append(0.0, share.cumsum())
    top = np.diff(up_to**n)
    if slip == "not apart":
        top = up_to[1:] ** n
    if slip == "density":
        top = n * share * up_to[1:] ** (n - 1)
    if slip == "power":
        top = share**n / (share**n).sum()
    if slip == "at all":
        top = 1 - (1 - share) ** n
    log = np.log(top) - np.log(share)
    of_each = np.unique(rewards.round(9), return_inverse=True)[1]
    if slip in ("not shared", "one reply's", "mixed"):
        return _by_reply(top[of_each], share[of_each], p, slip)
    other = {
        "reverse": -(share @ log),
        "under reference": share @ log,
        "entropy": -(top @ np.log(top)),
        "no reference": top @ np.log(top),
        "cross": -(top @ np.log(share)),
        "reward": top @ np.unique(rewards.round(9)) if len(top) < len(rewards) else np.nan,
        "times n": n * (top @ log),
        "unweighted": log.sum(),
        "mean": log.mean(),
        "most": log.max(),
        "log n": np.log(n),
        "entropies": share @ -np.log(share) - top @ -np.log(top),
        "uniform": top @ np.log(top * len(top)),
        "cross less": -(share @ np.log(top)),
        "sizes": top @ np.abs(log),
        "chi": share @ ((top / share - 1) ** 2),
        "distance": np.abs(top - share).sum() / 2,
        "both ways": (top - share) @ log,
        "half ways": (top - share) @ log / 2,
        "of the mean": np.log(top @ (top / share)),
        "ratios": top @ (top / share),
        "mean ratio": (top / share).mean(),
        "values": float(len(top)),
        "top value": log[-1],
        "gap to bound": np.log(n) - (n - 1) / n - top @ log,
    }
    return other.get(slip, top @ log)


BEST_SLIPS = {
    "bound": "that is the bound; asked is the KL itself.",
    "ties": "replies with the same reward stand apart in yours: they share what their value gets.",
    "unsorted": "F adds up in the replies' order in yours, not from low to high reward.",
    "worst": "that is the worst of n: F adds up from the lowest reward.",
    "equal": "the reference's probabilities are left out: all values count alike.",
    "one less": "the power is n - 1.",
    "one more": "the power is n + 1.",
    "not apart": "F to the n is the probability of this reward *or less*: take off what is less.",
    "density": "n p F^(n-1) is for rewards without steps; here a value has F^n less F⁻^n.",
    "power": "the probabilities themselves are raised to the n, not the F that adds them up.",
    "reverse": "that is the KL of the reference to best-of-n: the wrong way round.",
    "under reference": "the mean is taken under the reference; a KL's is under the first policy.",
    "entropy": "that is the entropy of best-of-n: the reference is left out.",
    "no reference": "the logarithm of the reference is left out.",
    "cross": "that is a cross-entropy: best-of-n's own logarithm is left out.",
    "at all": "that is the chance that a value is drawn at all; asked: that it is the best.",
    "reward": "that is the mean reward of best-of-n; asked is its KL.",
    "times n": "n goes in once more: the KL is of the one that is kept.",
    "unweighted": "the log-ratios are added up unweighted: each counts as often as it is drawn.",
    "mean": "that is the plain mean of the log-ratios: each counts as often as it is drawn.",
    "most": "that is the largest log-ratio; a KL is a mean.",
    "not shared": "each tied reply gets its value's whole probability; they share it.",
    "one reply's": "a value's probability stands over one reply's: put like over like.",
    "mixed": "a value is counted once for each of its replies; once is enough.",
    "log n": "that is log n, more than any best-of-n can have; asked is its KL.",
    "entropies": "that is the difference of two entropies; a KL weighs both logs alike.",
    "uniform": "that is the KL to a uniform choice of values; asked is to the reference.",
    "cross less": "that is a cross-entropy of the reference; asked is a KL.",
    "sizes": "the log-ratios have lost their signs.",
    "chi": "that is the chi-squared distance; asked is the KL.",
    "distance": "that is the total variation distance; asked is the KL.",
    "both ways": "that is the KL there and back, added; asked is the one way.",
    "half ways": "that is the mean of the KLs there and back; asked is the one way.",
    "of the mean": "that is the log of the mean ratio; asked is the mean of the logs.",
    "ratios": "that is the mean of the ratios; asked is the mean of their logarithms.",
    "mean ratio": "that is the plain mean of the ratios, without logarithm and weight.",
    "values": "that is how many values there are.",
    "top value": "that is the best value's log-ratio alone; a KL is a mean over all.",
    "gap to bound": "that is what the bound has too much; asked is the KL itself.",
}


def _by_reply(top, share, p, slip: str) -> float:
    """The sum over replies, with what a value has in the place of what a reply has."""
    q = top * p / share
    return {
        "not shared": top @ np.log(top / p),
        "one reply's": q @ np.log(top / p),
        "mixed": top @ np.log(top / share),
    }[slip]


def replies(seed: int, size: int, values: int, n: int) -> dict:
    """A case: replies of which some have the same reward."""
    rng = np.random.default_rng(seed)
    logits = 0.8 * rng.standard_normal(size)
    rewards = 0.5 * rng.permutation(values)[rng.integers(values, size=size)] - 1.1
    return {"rewards": rewards, "log_probs": logits - np.log(np.exp(logits).sum()), "n": n}
