"""Attempts at chapter 14's exercises."""

import math

import numpy as np
import torch
from torch.nn.functional import logsigmoid, softplus


def rows(*given):
    """Pair by pair, in plain Python."""
    *lists, beta, alpha = (g.tolist() if isinstance(g, torch.Tensor) else g for g in given)
    found = []
    for w, lost, ref_w, ref_l, n_w, n_l in zip(*lists, strict=True):
        m = beta * ((w - ref_w) - (lost - ref_l)) + alpha * (n_w - n_l)
        found.append(math.log(1 + math.exp(-m)))
    return found


def credited(w, lost, ref_w, ref_l, n_w, n_l, beta, alpha):
    reward_w = beta * (w - ref_w) + alpha * n_w
    reward_l = beta * (lost - ref_l) + alpha * n_l
    return softplus(reward_l - reward_w).float()


def numpy_rows(*given):
    w, lost, ref_w, ref_l, n_w, n_l, beta, alpha = map(np.asarray, given)
    return np.logaddexp(0, -beta * (w - lost - ref_w + ref_l) - alpha * (n_w - n_l))


def mutant(change):
    def attempt(w, lost, ref_w, ref_l, n_w, n_l, beta, alpha):
        return change(w - ref_w, lost - ref_l, n_w, n_l, beta, alpha)

    return attempt


def inside(change):
    return mutant(lambda *args: -logsigmoid(change(*args)))


R_DPO_WRONG = [
    (inside(lambda a, b, m, n, beta, al: beta * (a - b) - al * (m - n)), "the wrong sign"),
    (inside(lambda a, b, m, n, beta, al: beta * (a - b + al * (m - n))), "multiplied by β, too"),
    (inside(lambda a, b, m, n, beta, al: beta * (a - b - al * (m - n))),
     "Second: the lengths are multiplied by β"),
    (inside(lambda a, b, m, n, beta, al: beta * (a - b)), "that is DPO"),
    (inside(lambda a, b, m, n, beta, al: a - b + al * (m - n)), "β is left out"),
    (inside(lambda a, b, m, n, beta, al: beta * (b - a) + al * (m - n)), "has its sign turned"),
    (inside(lambda a, b, m, n, beta, al: beta * (b - a) + al * (n - m)), "its sign turned"),
    (inside(lambda a, b, m, n, beta, al: beta * (a - b) + m - n), "`alpha` is left out"),
    (inside(lambda a, b, m, n, beta, al: beta * (a - b) + al * m), "only the chosen"),
    (inside(lambda a, b, m, n, beta, al: beta * (a - b) + al * (m + n)), "added up"),
    (inside(lambda a, b, m, n, beta, al: beta * (a - b) + al * (m / n - 1)), "the rejected one's"),
    (inside(lambda a, b, m, n, beta, al: beta * (a - b) + al * (m - n) / m), "the chosen one's"),
    (inside(lambda a, b, m, n, beta, al: beta * (a - b) + al * (m.sqrt() - n.sqrt())), "roots"),
    (inside(lambda a, b, m, n, beta, al: beta * (a - b) - al), "for a margin"),
    (inside(lambda a, b, m, n, beta, al: beta * (a - b) + al * (m - n).mean()), "of the batch"),
    (mutant(lambda a, b, m, n, beta, al: -beta * logsigmoid(a - b + al * (m - n))), "in front"),
    (mutant(lambda a, b, m, n, beta, al: -logsigmoid(beta * (a - b) + al * (m - n)) / m),
     "divided by the chosen"),
    (mutant(lambda a, b, m, n, beta, al: torch.relu(1 - beta * (a - b) - al * (m - n))), "hinge"),
    (mutant(lambda a, b, m, n, beta, al: al * abs(m - n) - logsigmoid(beta * (a - b))), "penalty"),
    (inside(lambda a, b, m, n, beta, al: beta * (a - b) + al * abs(m - n)), "has lost its sign"),
    (inside(lambda a, b, m, n, beta, al: beta * (a - b) + al * m / n), "divided by each other"),
    (inside(lambda a, b, m, n, beta, al: beta * (a / m - b / n) + al * (m - n)), "LN-DPO's part"),
    (inside(lambda a, b, m, n, beta, al: beta * (a - b) + al * (m - n) / beta), "divided by β"),
    (inside(lambda a, b, m, n, beta, al: beta * (a - b) + al * (m - n) / (m + n)), "by the sum"),
    (inside(lambda a, b, m, n, beta, al: beta**2 * (a - b) + al * (m - n)), "β goes in twice"),
    (mutant(lambda a, b, m, n, beta, al: -logsigmoid(beta * (a - b)) + al * (m - n)),
     "outside the sigmoid"),
    (mutant(lambda a, b, m, n, beta, al: logsigmoid(beta * (a - b) + al * (m - n))),
     "the sign is turned"),
    (mutant(lambda a, b, m, n, beta, al: torch.sigmoid(beta * (a - b) + al * (m - n))),
     "a `-log` is missing"),
    (mutant(lambda a, b, m, n, beta, al: -logsigmoid(beta * (a - b) + al * (m - n)).mean()),
     "the mean over the batch"),
    (mutant(lambda a, b, m, n, beta, al: beta * (a - b) + al * (m - n)), "argument itself"),
    (inside(lambda a, b, m, n, beta, al: beta * (a - b) + al * (m - n).clamp(min=0)),
     "may be negative"),
    (mutant(lambda a, b, m, n, beta, al: torch.sigmoid(-beta * (a - b) - al * (m - n))),
     "no logarithm is taken"),
    (lambda w, lost, rw, rl, m, n, beta, al: -logsigmoid(beta * (w - lost) + al * (m - n)),
     "the reference is left out"),
    (lambda w, lost, rw, rl, m, n, beta, al: -logsigmoid(
        beta * (w - rl - lost + rw) + al * (m - n)), "the reference goes in with the wrong sign"),
]  # fmt: skip


def numpy_mean(log_p, score, sizes, beta):
    log_p, score, sizes = (np.asarray(t) for t in (log_p, score, sizes))
    each = beta * (log_p + np.log(len(log_p))) / sizes
    d, gap = each[:, None] - each, score[:, None] - score
    p = 1 / (1 + np.exp(-gap))
    return (p * np.logaddexp(0, -d) + (1 - p) * np.logaddexp(0, d)).mean()


def looped(log_p, score, sizes, beta, own=True):
    log_p, score, sizes = (t.tolist() for t in (log_p, score, sizes))
    total, n = 0.0, len(log_p)
    for i in range(n):
        for j in range(n):
            rho = [log_p[k] + math.log(n) for k in (i, j)]
            d = beta * (rho[0] / sizes[i] - rho[1] / sizes[j])
            p = 1 / (1 + math.exp(score[j] - score[i]))
            if own or i != j:
                total += p * math.log1p(math.exp(-d)) + (1 - p) * math.log1p(math.exp(d))
    return total / (n**2 if own else n * (n - 1))


def pairs(d_of, p_of=lambda s, n, b: torch.sigmoid(s[:, None] - s), end=torch.mean, of=None):
    def attempt(log_p, score, sizes, beta):
        d = d_of(log_p - of if of is not None else log_p + math.log(len(log_p)), sizes, beta)
        p = p_of(score, sizes, beta)
        return end(-p * logsigmoid(d) - (1 - p) * logsigmoid(-d))

    return attempt


def per_token(rho, n, b):
    each = b * rho / n
    return each[:, None] - each


def plain(rho, n, b):
    return b * (rho[:, None] - rho)


LEAST_WRONG = [
    (pairs(lambda rho, n, b: per_token(rho, n**0.5, b)), "the roots of the lengths"),
    (pairs(lambda rho, n, b: per_token(rho, n, 1 / b)), "β divides ρ"),
    (pairs(lambda rho, n, b: per_token(rho, n - 1, b)), "taken off the lengths"),
    (pairs(per_token, lambda s, n, b: 0.5 + 0 * (s[:, None] - s)), "or p is a half"),
    (pairs(per_token, end=lambda t: t.sum() / len(t)), "divided by N;"),
    (pairs(per_token, end=lambda t: t[0].mean()), "the first reply's pairs"),
    (pairs(per_token, end=torch.median), "the median"),
    (pairs(per_token, end=lambda t: (t.sum() - t.trace()) / t.numel()), "left out of the sum"),
    (pairs(plain), "the lengths are left out"),
    (pairs(per_token, of=0.0), "the reference is left out"),
    (pairs(per_token, lambda s, n, b: torch.sigmoid(s - s[:, None])), "p is turned round"),
    (pairs(per_token, lambda s, n, b: torch.sigmoid(b * (s[:, None] - s))), "β goes into the"),
    (pairs(per_token, lambda s, n, b: (s[:, None] >= s).double()), "always wins"),
    (pairs(per_token, lambda s, n, b: 0 * s + 1.0), "either the first one always wins"),
    (pairs(per_token, lambda s, n, b: (s[:, None] < s).double()), "the worse one always"),
    (pairs(per_token, lambda s, n, b: torch.sigmoid(s)[:, None] + 0 * s), "first score alone"),
    (pairs(per_token, end=lambda t: torch.triu(t, 1).sum()), "unordered pairs"),
    (pairs(per_token, end=torch.sum), "the sum over pairs"),
    (pairs(per_token, end=lambda t: t.mean(1)), "a mean for each reply"),
    (pairs(per_token, end=lambda t: t), "a loss for each pair"),
    (pairs(lambda rho, n, b: b * (rho[:, None] - rho) / (n[:, None] + n)), "the sum of the len"),
    (pairs(lambda rho, n, b: 2 * b * (rho[:, None] - rho) / (n[:, None] + n)), "mean length"),
    (pairs(lambda rho, n, b: b * (rho[:, None] / n - rho / n[:, None])), "the other reply's"),
    (pairs(lambda rho, n, b: b * (rho[:, None] * n[:, None] - rho * n)), "multiply ρ"),
    (pairs(lambda rho, n, b: per_token(rho, n, 1)), "β is left out"),
    (pairs(lambda rho, n, b: per_token(rho, n, b * b)), "β goes in twice"),
    (lambda *args: looped(*args, own=False), "with itself is left out"),
    (lambda *args: -numpy_mean(*args), "the sign is turned"),
    (lambda *args: numpy_mean(*args) / 2, "only one of the two terms"),
    (pairs(per_token, lambda s, n, b: torch.sigmoid(s[:, None] / n[:, None] - s / n)),
     "divided by the lengths, too"),
]  # fmt: skip

RIGHT = {
    "14.0": [rows, credited, numpy_rows],
    "14.1": [(0.128, 0.847), {"α": 0.1281, "words a token": 0.85}, np.array([0.128, 0.847])],
    "14.2": [numpy_mean, looped, pairs(per_token), lambda *args: [numpy_mean(*args)]],
}
WRONG = {
    "14.0": R_DPO_WRONG,
    "14.1": [
        ((0.15, 0.847), "pays for a word"),
        ((0.12704696999999998, 0.84698), "the KL is held"),
        ((-0.13, 0.84698), "pays honest labels"),
        ((0.0473, 0.84698), "the first push"),
        ((0.1072, 0.84698), "after the score is divided"),
        ((0.1, 0.847), "with yours the goal has"),
        ((0.0221, 0.847), "what remains of 0.15"),
        ((0.1083, 0.847), "once too often"),
        ((0.128, 0.153), "besides words"),
        ((0.177, 0.847), "upside down"),
        ((0.128, 0.127), "a price"),
        ((0.847, 0.128), "not in the order"),
        ((0.139, 0.847), "a line through"),
        ((0.0, 0.847), "honest labels"),
        ((-0.128, 0.847), "sign is turned"),
        ((0.128, 1.0), "not each token is a word"),
        ((0.128, 1.18), "the wrong way round"),
    ],
    "14.2": LEAST_WRONG,
}
