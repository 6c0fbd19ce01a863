"""Right and wrong attempts at chapter 21's exercises."""

import numpy as np
import torch

from dpo_from_scratch.lab.exercises import ch21

EYE = lambda g: torch.eye(len(g), dtype=torch.bool)


# ---------------------------------------------------------------- 21.0
def in_loops(group, part):
    seen = torch.zeros(len(group), len(group), dtype=torch.bool)
    for i in range(len(group)):
        for j in range(i + 1):
            if group[i] == group[j]:
                seen[i, j] = bool(part[j] == 0) or bool(part[j] == part[i])
    return seen


def in_numpy(group, part):
    g, p = group.numpy(), part.numpy()
    return np.tril(np.equal.outer(g, g) & (np.equal.outer(p, p) | (p == 0)))


def one_number(group, part):
    """Group and part in one number; the prompt's is the group alone."""
    name = group * 1000 + part
    return ((name[:, None] == name) | (name == group[:, None] * 1000)).tril()


def by_product(group, part):
    same = (group[:, None] - group[None]) == 0
    own = part[None] * (part[:, None] - part[None]) == 0
    return torch.tril(same.int() * own.int())


# ---------------------------------------------------------------- 21.2
def by_autograd(hidden, weight, labels, cap):
    h = hidden.clone().requires_grad_()
    z = cap * torch.tanh(h @ weight.T / cap)
    logps = z.log_softmax(1).gather(1, labels[:, None]).sum()
    return torch.autograd.grad(logps, h)[0]


def token_by_token(hidden, weight, labels, cap):
    rows = []
    for h, y in zip(hidden, labels, strict=True):
        t = torch.tanh(weight @ h / cap)
        p = torch.softmax(cap * t, 0)
        bend = (1 - t * t)[:, None] * weight
        rows.append(bend[y] - p @ bend)
    return torch.stack(rows)


def capped_in_numpy(hidden, weight, labels, cap):
    h, w, y = hidden.numpy(), weight.numpy(), labels.numpy()
    t = np.tanh(h @ w.T / cap)
    p = np.exp(cap * t)
    p /= p.sum(1, keepdims=True)
    return ((np.eye(len(w))[y] - p) * (1 - t**2)) @ w


def written(bend, squash=lambda raw, c: c * torch.tanh(raw / c), axis=1, hot=1.0, mean=1.0):
    """A capped head's slope with this factor for its cap."""

    def attempt(hidden, weight, labels, cap):
        raw = hidden @ weight.T
        z = squash(raw, cap)
        d = -mean * z.softmax(axis)
        d[range(len(labels)), labels] += hot
        return (d * bend(raw, z, cap)) @ weight

    return attempt


good = lambda raw, z, c: 1 - (z / c) ** 2
one = lambda raw, z, c: torch.ones_like(raw)


# ---------------------------------------------------------------- 21.3
def left(sizes, rank):
    frozen = sum(a * b for a, b in sizes)
    learns = sum(rank * a + rank * b for a, b in sizes)
    return (2 * frozen + 2 * frozen + 6 * learns) / (6 * frozen)


def left_in_numpy(sizes, rank):
    a, b = np.array(sizes, float).T
    return 2 / 3 + rank * (a + b).sum() / (a * b).sum()


def left_in_loops(sizes, rank):
    ours = theirs = 0
    for a, b in sizes:
        ours += 4 * a * b + 6 * rank * a + 6 * rank * b
        theirs += 6 * a * b
    return ours / theirs


P = lambda s: sum(a * b for a, b in s)
A = lambda s, r: r * sum(a + b for a, b in s)
LARGE = tuple(ch21.LARGE.own.values())
GB, SHARE, MORE = LARGE
HEAD, INNER = 4096 * 128256, 7e9


RIGHT = {
    "21.0": [in_loops, in_numpy, one_number, by_product,
             lambda g, p: in_loops(g, p).tolist(), lambda g, p: in_loops(g, p).float()],
    "21.1": [LARGE, (8.405, 0.07, 4 / 3), [8.4, 0.0700, 1.333],
             {"gigabytes": 8.41, "share": 0.07, "times as many tokens": 1.33},
             torch.tensor(LARGE)],
    "21.2": [by_autograd, token_by_token, capped_in_numpy, written(good)],
    "21.3": [left, left_in_numpy, left_in_loops, lambda s, r: torch.tensor(left(s, r))],
}  # fmt: skip

WRONG = {
    "21.0": [
        (lambda g, p: torch.ones(len(g), len(g)).tril(), "neither group nor part"),
        (lambda g, p: torch.ones(len(g), len(g), dtype=torch.bool), "everything is seen by"),
        (lambda g, p: (g[:, None] == g).tril(), "responses of one prompt see each other"),
        (lambda g, p: ((p == 0) | (p[:, None] == p)).tril(), "the group is left out"),
        (lambda g, p: (g[:, None] == g) & ((p == 0) | (p[:, None] == p)), "later tokens are seen"),
        (lambda g, p: in_loops(g, p) & ~EYE(g), "a token doesn't see itself"),
        (lambda g, p: in_loops(g, p).T, "rows and columns are exchanged"),
        (lambda g, p: ((g[:, None] == g) & (p[:, None] == p)).tril(),
         "a response doesn't see its prompt"),
        (lambda g, p: ((g[:, None] == g) & (p == 0)).tril(), "a response sees its prompt, and not"),
        (lambda g, p: ~in_loops(g, p), "True and False are exchanged"),
        (lambda g, p: torch.where(in_loops(g, p), 0.0, -torch.inf), "as numbers to be added"),
        (lambda g, p: torch.where(in_loops(g, p), 0.0, torch.finfo(torch.float32).min),
         "as numbers to be added"),
        (lambda g, p: in_loops(g, p) & (g[:, None] >= 0), "padding sees nothing"),
        (lambda g, p: in_loops(g, p) & (g >= 0), "padding sees nothing"),
        (lambda g, p: ((g[:, None] == g) | (p == 0) | (p[:, None] == p)).tril(), "*or*"),
        (lambda g, p: ((p == 0) | (g[:, None] == g) & (p[:, None] == p)).tril(),
         "the prompt of every group is seen"),
        (lambda g, p: (g[:, None] >= g) & ((p == 0) | (p[:, None] == p)).tril(),
         "a group sees the groups before it"),
        (lambda g, p: ((g[:, None] == g) & (p <= p[:, None])).tril(), "see each other"),
        (lambda g, p: in_loops(g, p).sum(1), "that counts"),
        (lambda g, p: in_loops(g, p).sum(0), "(8, 8) are asked"),
    ],
    "21.1": [
        ((GB * 1e9 / 2**30, SHARE, MORE), "10⁹ bytes here"),
        ((GB / 2, SHARE, MORE), "half of it"),
        ((GB / 4, SHARE, MORE), "four bytes"),
        ((2 * GB, SHARE, MORE), "not eight"),
        ((GB * 0.75, SHARE, MORE), "reads the prompt twice"),
        ((GB / 8, SHARE, MORE), "there are eight"),
        ((GB * 1000, SHARE, MORE), "in MB"),
        ((GB * 1e9, SHARE, MORE), "in bytes"),
        ((GB, HEAD / INNER, MORE), "against the layers"),
        ((GB, 1 - SHARE, MORE), "the layers' share"),
        ((GB, 2 * HEAD / (2 * HEAD + INNER), MORE), "both"),
        ((GB, HEAD / (HEAD + 2 * INNER), MORE), "both"),
        ((GB, HEAD / 8e9, MORE), "over head and P"),
        ((GB, 100 * SHARE, MORE), "per cent"),
        ((GB, SHARE, 0.75), "upside down"),
        ((GB, SHARE, 2), "only the prompt is read once"),
        ((GB, SHARE, 512), "how many more"),
        ((GB, SHARE, 0.25), "saved"),
        ((GB, SHARE, 1 / 3), "one is missing"),
        ((SHARE, GB, MORE), "not in the order"),
        ((GB, SHARE), "3 in all"),
    ],
    "21.2": [
        (written(one, lambda raw, c: raw), "no cap in it at all"),
        (written(one), "passes the cap by"),
        (written(good, lambda raw, c: raw), "in place of tanh"),
        (written(lambda raw, z, c: 1 - torch.tanh(raw / c) ** 2, lambda raw, c: raw),
         "p is made without the cap"),
        (written(lambda raw, z, c: 1 - z**2), "that is 1 − z²"),
        (written(lambda raw, z, c: 1 - torch.tanh(z / c) ** 2), "capped already"),
        (written(lambda raw, z, c: c * good(raw, z, c)), "`cap` stands before"),
        (written(lambda raw, z, c: good(raw, z, c) / c), "divided by `cap`"),
        (written(lambda raw, z, c: 1 - z / c), "1 − tanh."),
        (written(lambda raw, z, c: (z / c) ** 2), "that is tanh²"),
        (written(lambda raw, z, c: good(raw, z, c) ** 2), "goes in twice"),
        (written(good, mean=0.0), "only the label's word"),
        (written(good, hot=0.0), "only −Σ p W"),
        (written(good, axis=0), "over the tokens"),
        (written(lambda raw, z, c: 1 - torch.tanh(raw / c) ** 2,
                 lambda raw, c: torch.tanh(raw / c)), "in front of tanh"),
        (lambda *a: -token_by_token(*a), "the sign is turned"),
        (lambda *a: token_by_token(*a).mean(0), "that is the mean over the tokens"),
        (lambda *a: token_by_token(*a) / len(a[0]), "divided by the number of tokens"),
        (lambda h, w, y, c: (c * torch.tanh(h @ w.T / c)).log_softmax(1)[range(len(y)), y],
         "their slope"),
        (lambda h, w, y, c: torch.eye(len(w)).double()[y] - torch.softmax(h @ w.T, 1), "are asked"),
        (lambda h, w, y, c: w[y] - torch.softmax(c * torch.tanh(h @ w.T / c), 1) @ w,
         "passes the cap by"),
    ],
    "21.3": [
        (lambda s, r: 4 / 6, "the adapters are left out"),
        (lambda s, r: (2 * P(s) + 6 * A(s, r)) / (6 * P(s)), "must pass it"),
        (lambda s, r: 6 * A(s, r) / (6 * P(s)), "left out"),
        (lambda s, r: A(s, r) / P(s), "left out"),
        (lambda s, r: (4 * P(s) + 6 * A(s, r)) / (4 * P(s)), "four below"),
        (lambda s, r: (4 * P(s) + 4 * A(s, r)) / (6 * P(s)), "not four"),
        (lambda s, r: (4 * P(s) + 2 * A(s, r)) / (6 * P(s)), "their forward pass"),
        (lambda s, r: (6 * P(s) + 6 * A(s, r)) / (6 * P(s)), "no gradient of its own"),
        (lambda s, r: (4 * P(s) + A(s, r)) / (6 * P(s)), "once a weight"),
        (lambda s, r: 1 - left(s, r), "saved"),
        (lambda s, r: 1 / left(s, r), "upside down"),
        (lambda s, r: 4 * P(s) + 6 * A(s, r), "asked is their share"),
        (lambda s, r: (4 * P(s) + 6 * r * P(s)) / (6 * P(s)), "not rank · inputs · outputs"),
        (lambda s, r: (4 * P(s) + 6 * A(s, 1)) / (6 * P(s)), "the rank is left out"),
        (lambda s, r: np.mean([left([one], r) for one in s]), "mean of the matrices' shares"),
        (lambda s, r: (4 * P(s) + 6 * sum(r * a for a, _ in s)) / (6 * P(s)), "first factor"),
        (lambda s, r: (4 * P(s) + 6 * sum(r * b for _, b in s)) / (6 * P(s)), "second factor"),
        (lambda s, r: (4 * P(s) + 6 * A(s, r)) / (6 * (P(s) + A(s, r))), "there are none"),
        (lambda s, r: (2 * P(s) + 2 * A(s, r)) / (2 * P(s)), "no gradient of its own"),
        (lambda s, r: (2 * P(s) + 4 * A(s, r)) / (4 * P(s)), "the backward pass alone"),
        (lambda s, r: 100 * left(s, r), "in per cent"),
    ],
}  # fmt: skip
