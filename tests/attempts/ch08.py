"""Attempts at chapter 08: right ones in some styles, wrong ones with their message."""

import numpy as np
import torch

from dpo_from_scratch.lab.exercises import ch08


# ---------------------------------------------------------------- 08.0
def gae(
    by=lambda lam: lam,
    step=lambda r, now, after: r + after - now,
    inside=lambda v, m: v * m,
    keep=lambda following, m: following * m,
    backwards=True,
    end=lambda a, v, m: a,
):
    """The chapter's way, with its parts exchanged."""

    def attempt(rewards, values, mask, lam):
        out, following, t_all = torch.zeros_like(rewards), 0.0, range(rewards.shape[1])
        v = inside(values, mask)
        v = torch.cat([v, torch.zeros_like(v[:, :1])], 1)
        for t in reversed(t_all) if backwards else t_all:
            following = step(rewards[:, t], v[:, t], v[:, t + 1]) + by(lam) * following
            following = keep(following, mask[:, t])
            out[:, t] = following
        return end(out, values, mask)

    return attempt


def as_powers(rewards, values, mask, lam):
    """Each token's later surprises, added up with powers of lambda, row by row, in NumPy."""
    out = np.zeros(rewards.shape)
    for i, row in enumerate(mask.numpy()):
        where = np.flatnonzero(row)
        r, v = rewards[i].numpy()[where], values[i].numpy()[where]
        delta = r + np.append(v[1:], 0.0) - v
        for j, t in enumerate(where):
            out[i, t] = sum(lam**k * d for k, d in enumerate(delta[j:]))
    return out


def by_matrix(rewards, values, mask, lam):
    v = values * mask
    delta = (rewards + torch.cat([v[:, 1:], 0 * v[:, :1]], 1) - v) * mask
    t = torch.arange(rewards.shape[1])
    power = torch.where(t[None] >= t[:, None], lam ** (t[None] - t[:, None]).clamp(min=0), 0.0)
    return (delta @ power.to(delta.dtype).T) * mask


def times_all(rewards, values, mask, lam):
    return lam * gae()(rewards, values, mask, lam)


def previous(rewards, values, mask, lam):
    v = values * mask
    before = torch.cat([0 * v[:, :1], v[:, :-1]], 1)
    out, following = torch.zeros_like(rewards), 0.0
    for t in reversed(range(rewards.shape[1])):
        following = (rewards[:, t] + v[:, t] - before[:, t] + lam * following) * mask[:, t]
        out[:, t] = following
    return out


GAE = [
    (
        lambda r, v, m, lam: gae(inside=lambda v, m: v, keep=lambda f, m: f)(r, v, m, lam) * m,
        "the padding's V or surprises",
    ),
    (gae(by=lambda lam: lam**0.5), "the root of λ"),
    (
        lambda r, v, m, lam: gae(step=lambda r, now, after: r + lam * after - now, by=lambda _: 1)(
            r, v, m, lam
        ),
        "none before A_{t+1}",
    ),
    (
        lambda r, v, m, lam: gae(step=lambda r, now, after: lam * r + after - now)(r, v, m, lam),
        "λ stands before R_t, too",
    ),
    (lambda r, v, m, lam: gae()(r, v, m, lam) - gae(by=lambda _: 0)(r, v, m, lam), "left out, or"),
    (gae(by=lambda lam: 1.0), "λ isn't used"),
    (gae(by=lambda lam: 0.0), "only the token's own surprise"),
    (gae(by=lambda lam: lam**2), "λ goes in twice"),
    (gae(by=lambda lam: 1 - lam), "1 - λ stands in place"),
    (gae(step=lambda r, now, after: r - now), "V_{t+1} is left out"),
    (gae(step=lambda r, now, after: r + after), "V_t is left out"),
    (gae(step=lambda r, now, after: r), "the values are left out"),
    (gae(step=lambda r, now, after: after - now), "R_t is left out"),
    (gae(step=lambda r, now, after: r + now - after), "the values have the wrong signs"),
    (previous, "the values are one place off"),
    (gae(backwards=False), "adds up from the first token on"),
    (gae(inside=lambda v, m: v), "reads one from the padding"),
    (gae(keep=lambda following, m: following), "places off the mask must be 0"),
    (gae(keep=lambda f, m: f, inside=lambda v, m: v), "the mask isn't used"),
    (gae(end=lambda a, v, m: a + v * m), "that is the return"),
    (gae(end=lambda a, v, m: (a - a[m].mean()) / a[m].std(correction=0) * m), "whitening"),
    (lambda r, v, m, lam: ch08.advantages(r, v, m, lam, slip="discounted"), "the discount γ"),
    (times_all, "on the token's own surprise too"),
    (gae(end=lambda a, v, m: -a), "the sign is turned"),
    (lambda r, v, m, lam: gae()(r, v, m, lam).sum(1), "12 numbers of shape (2, 6)"),
]


# ---------------------------------------------------------------- 08.1
def two(low=lambda r, v, after: r + after - v, high=lambda r, v, after: to_go(r) - v):
    def attempt(rewards, values):
        after = torch.cat([values[1:], torch.zeros(1, dtype=values.dtype)])
        return low(rewards, values, after), high(rewards, values, after)

    return attempt


def to_go(r):
    return r.flip(0).cumsum(0).flip(0)


def loops(rewards, values):
    n, low, high = len(rewards), [], []
    for t in range(n):
        low.append(float(rewards[t] + (values[t + 1] if t + 1 < n else 0) - values[t]))
        high.append(float(sum(rewards[t:]) - values[t]))
    return low, high


def with_chapters(rewards, values):
    every = torch.ones(1, len(rewards), dtype=torch.bool)
    both = [ch08.advantages(rewards[None], values[None], every, lam)[0] for lam in (0.0, 1.0)]
    return torch.stack(both).numpy()


ENDS = [
    (two(high=lambda r, v, after: r.flip(0).cumsum(0) - v), "not turned back"),
    (two(high=lambda r, v, after: r[-1] - v), "only the last reward"),
    (two(high=lambda r, v, after: to_go(r) + v[-1] - v), "yours goes on with its own"),
    (
        two(lambda r, v, after: r, lambda r, v, after: to_go(r)),
        "two things. First: at λ = 0: the values are left out. Second: at λ = 1: V_t is left out",
    ),
    (two(low=lambda r, v, after: (r + after - v).abs()), "at λ = 0: the sign is lost"),
    (two(high=lambda r, v, after: 0.5 * (to_go(r) - v)), "0.5 times the right value"),
    (
        two(lambda r, v, after: r - v, lambda r, v, after: (to_go(r) - v).sin()),
        "The other of the two isn't right either",
    ),
    (lambda r, v: two()(r, v)[::-1], "the two answers are exchanged"),
    (two(low=lambda r, v, after: r - v), "at λ = 0: V_{t+1} is left out"),
    (two(low=lambda r, v, after: r + after), "at λ = 0: V_t is left out"),
    (two(low=lambda r, v, after: r), "at λ = 0: the values are left out"),
    (two(low=lambda r, v, after: after - v), "at λ = 0: the token's own reward"),
    (two(low=lambda r, v, after: r + v - after), "at λ = 0: the values have the wrong signs"),
    (two(high=lambda r, v, after: to_go(r)), "at λ = 1: V_t is left out"),
    (two(high=lambda r, v, after: r.cumsum(0) - v), "adds up what came before"),
    (two(high=lambda r, v, after: to_go(r) - r - v), "the token's own reward is left out of"),
    (two(high=lambda r, v, after: r.sum() - v), "rewards of earlier tokens don't count"),
    (two(high=lambda r, v, after: to_go(r) + after - v), "V_{t+1} is still in it"),
    (two(high=lambda r, v, after: to_go(r) - to_go(v)), "they cancel but for V_t"),
    (two(high=lambda r, v, after: to_go(r) + v), "V_t is added"),
    (two(high=lambda r, v, after: to_go(r) - v[0]), "a guess of its own"),
    (lambda r, v: two()(r, v)[0], "8 numbers of shape (2, 4)"),
]


# ---------------------------------------------------------------- 08.2
def by_autograd(advantage, mask):
    leaf = torch.zeros_like(advantage).requires_grad_()
    ratio = (leaf - leaf.detach()).exp()
    loss = torch.maximum(-advantage * ratio, -advantage * ratio.clamp(0.8, 1.2))[mask].mean()
    return torch.autograd.grad(loss, leaf)[0]


def of(over=lambda m: m.sum(), top=lambda a, m: -a * m):
    return lambda a, m: top(a, m) / over(m)


FIRST = [
    (lambda a, m: -(a * m).sum() / m.sum(), "that is the loss, one number"),
    (lambda a, m: -(a * m).sum(1) / m.sum(), "one number a text"),
    (of(top=lambda a, m: -a.sign() * m), "only the advantage's sign"),
    (of(top=lambda a, m: -a.clamp(0.8, 1.2) * m), "not the advantage"),
    (of(top=lambda a, m: -a * ~m), "the mask is turned round"),
    (of(lambda m: m.sum() ** 0.5), "the root of the number"),
    (lambda a, m: -a / a.numel(), "the mask isn't used"),
    (lambda a, m: -abs(a) * m / len(m), "two things"),
    (of(top=lambda a, m: a * m), "the sign is turned"),
    (of(lambda m: 1), "divide by how many there are"),
    (of(lambda m: len(m)), "divides by the number of texts"),
    (of(lambda m: m.numel()), "divides by all places"),
    (of(lambda m: m.sum(1, keepdim=True)), "the text's own tokens"),
    (of(lambda m: len(m) * m.sum(1, keepdim=True)), "a mean over texts"),
    (of(lambda m: m.shape[1]), "the batch's width"),
    (of(top=lambda a, m: -a), "places off the mask"),
    (of(top=lambda a, m: -1.0 * m), "the advantage is left out"),
    (of(top=lambda a, m: -abs(a) * m), "lost their signs"),
    (of(top=lambda a, m: -a.clamp(min=0) * m), "bad tokens are pushed too"),
    (of(top=lambda a, m: -(a - a[m].mean()) * m), "the mean is taken off"),
    (lambda a, m: of()(a, m) / 2, "that is half of it"),
    (lambda a, m: of()(a, m)[m], "numbers of shape"),
]

# ---------------------------------------------------------------- 08.3
RUNS = [
    ((0.26, 1.59, -0.2, 16.7), "is it the KL, or a sum?"),
    ((0.26, 1.59, -0.2, -103.2), "is it a sum over them?"),
    ((-0.2, -0.43, -0.2, -0.43), "the true rewards again"),
    ((0.0, 1.59, -0.2, -0.43), "the first row has for a KL"),
    ((0.26, 1.59, -0.19968, -0.19968), "has your policy sampled?"),
    ((0.26, 1.19, -0.2, 1.03), "the true reward has risen as well"),
    ((0.27, 4.33, -0.2, -8.08), "doesn't go so high"),
    ((0.26, 16.7, -0.2, -0.43), "is it the KL"),
    ((-0.2, -0.43, 0.26, 1.59), "that order isn't"),
    ((0.26, -0.2, 1.59, -0.43), "that order isn't"),
    ((0.26, 1.59, -0.43, -0.2), "that order isn't"),
    ((1.59, 0.26, -0.2, -0.43), "are the rows exchanged"),
    ((0.26, 0.31, -0.2, -0.22), "the score has hardly risen"),
    ((0.26, 1.59, 2.6, -0.43), "isn't the reference's true reward"),
    ((0.26, 1.59), "4 in all; you gave 2"),
]

# ---------------------------------------------------------------- 08.4
others = lambda r: (r.sum(1, keepdim=True) - r) / (r.shape[1] - 1)
centred = lambda r: r - r.mean(1, keepdim=True)


def grouped(loo=lambda r: r - others(r), grpo=lambda r: centred(r) / r.std(1, keepdim=True)):
    return lambda rewards: (loo(rewards), grpo(rewards))


def by_rows(rewards):
    loo, grpo = [], []
    for row in rewards.tolist():
        n = len(row)
        loo.append([row[i] - (sum(row) - row[i]) / (n - 1) for i in range(n)])
        grpo.append([(v - np.mean(row)) / (np.std(row, ddof=1) + 1e-8) for v in row])
    return np.array([loo, grpo])


GROUPS = [
    (grouped(lambda r: r - r.sum(1, keepdim=True) / (r.shape[1] - 1)), "still in the sum"),
    (grouped(lambda r: r - r.amin(1, keepdim=True)), "the lowest is taken off"),
    (grouped(lambda r: r), "RLOO: nothing is taken off"),
    (grouped(grpo=lambda r: centred(r) / (r.std(1, keepdim=True) + 1)), "1 is added to the spread"),
    (grouped(grpo=lambda r: centred(r).sign()), "only the sign is left"),
    (grouped(grpo=lambda r: r - others(r)), "that is RLOO's again"),
    (grouped(grpo=lambda r: (r - r.mean()) / r.std(1, keepdim=True)), "the mean is the group's"),
    (
        lambda r: (r - (r.sum(0) - r) / (len(r) - 1), (r - r.mean(0)) / r.std(0)),
        "two things. First: RLOO: the others are those of another prompt",
    ),
    (lambda r: grouped()(r)[::-1], "the two answers are exchanged"),
    (grouped(centred), "the text itself is in its mean"),
    (grouped(lambda r: r - (r.sum(1, keepdim=True) - r) / r.shape[1]), "they are K - 1"),
    (grouped(lambda r: r - (r.sum(1, keepdim=True) - r)), "it is their mean"),
    (grouped(lambda r: r - (r.sum() - r) / (r.numel() - 1)), "of the same prompt"),
    (grouped(lambda r: r - r.mean()), "over the whole batch"),
    (grouped(lambda r: others(r) - r), "RLOO: the sign is turned"),
    (grouped(lambda r: (r - others(r)) / r.std(1, keepdim=True)), "divided by a spread"),
    (grouped(lambda r: r - r.mean(0)), "a group is a row"),
    (grouped(grpo=centred), "the standard deviation is left out"),
    (grouped(grpo=lambda r: centred(r) / r.var(1, keepdim=True)), "divides by the variance"),
    (grouped(grpo=lambda r: centred(r) / r.std(1, keepdim=True, correction=0)), "over K - 1"),
    (grouped(grpo=lambda r: (r - others(r)) / r.std(1, keepdim=True)), "the mean is of all K"),
    (grouped(grpo=lambda r: (r - r.mean()) / r.std()), "the group's, not the batch's"),
    (grouped(grpo=lambda r: centred(r) / r.std()), "the spread is the group's"),
    (grouped(grpo=lambda r: r / r.std(1, keepdim=True)), "GRPO: the mean is left out"),
    (grouped(grpo=lambda r: -centred(r) / r.std(1, keepdim=True)), "GRPO: the sign is turned"),
    (lambda r: r - others(r), "12 numbers of shape (2, 2, 3)"),
]


def from_the_texts_start(rewards, values, mask, lam):
    V = values * mask
    delta = (rewards + torch.nn.functional.pad(V[:, 1:], (0, 1)) - V) * mask
    delta = delta * lam ** (mask.long().cumsum(1) - 1).clamp(min=0)
    return delta.flip(1).cumsum(1).flip(1) * mask


GAE += [(from_the_texts_start, "count from the text's first token")]
FIRST += [(lambda a, m: -0.5 * a * m / m.sum(), "that is half of it")]
RIGHT = {
    "08.0": [gae(), as_powers, by_matrix],
    "08.1": [two(), loops, with_chapters],
    "08.2": [of(), by_autograd, lambda a, m: (-a * m / m.sum()).float().numpy()],
    "08.3": [(0.05, 1.52, -0.2, -0.31), [-0.26, 1.45, -0.41, -3.01], (0.26, 1.51, -0.199, -0.4)],
    "08.4": [grouped(), by_rows, grouped(grpo=lambda r: centred(r) / (r.std(1)[:, None] + 1e-4))],
}
WRONG = {"08.0": GAE, "08.1": ENDS, "08.2": FIRST, "08.3": RUNS, "08.4": GROUPS}
