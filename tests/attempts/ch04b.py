"""More wrong attempts at chapter 04's exercises, with their messages."""

import math

import numpy as np
import torch
import torch.nn.functional as F

ls = F.logsigmoid
dpo = lambda c, r, rc, rr, b: -ls(b * (c - rc - r + rr))
PAIR = [
    (lambda c, r, rc, rr, b: dpo(c, r, rc, rr, b) + b * (c - rc + r - rr) / 2, "a penalty for"),
    (lambda c, r, rc, rr, b: dpo(c, r, rc, rr, b) + b * (c - rc), "a penalty for leaving"),
    (lambda c, r, rc, rr, b: dpo(c, r, rc, rr, b) - c, "the chosen text's own loss"),
    (lambda c, r, rc, rr, b: -ls(b * (c - rc + r - rr)), "are added; asked is their difference"),
    (lambda c, r, rc, rr, b: -ls(b * (r - rc - c + rr)), "the policy's two sides are exchanged"),
    (lambda c, r, rc, rr, b: -ls(c - r - b * (rc - rr)), "the reference's part alone"),
    (lambda c, r, rc, rr, b: b * torch.sigmoid(-b * (c - rc - r + rr)), "that is the push"),
    (lambda c, r, rc, rr, b: b * dpo(c, r, rc, rr, b), "and once more in front"),
    (lambda c, r, rc, rr, b: -torch.sigmoid(b * (c - rc - r + rr)).log10(), "base 10"),
    (lambda c, r, rc, rr, b: ls(-b * (c - rc - r + rr)), "log(1 − σ)"),
    (lambda c, r, rc, rr, b: 0.5 * dpo(c, r, rc, rr, b) + 0.5 * dpo(r, c, rr, rc, b), "smoothed"),
    (lambda c, r, rc, rr, b: torch.tanh(b * (c - rc - r + rr) / 2), "tanh"),
    (lambda c, r, rc, rr, b: -ls(b * (c - rr) - b * (r - rc)), "the wrong sign"),
    (lambda c, r, rc, rr, b: -ls(b * (c - r)).mean(), "First"),
]


# ---------------------------------------------------------------- 04.1
def five(beta=0.5, keep=(1, 1, 1), share=None, loss=None):
    ref, r = np.array([0.5, 0.3, 0.2]), np.array([1.0, 2.0, 0.0])
    w = ref * np.exp(r / beta) * keep
    pi = w / w.sum()
    with np.errstate(divide="ignore"):
        own = beta * np.log(pi / ref)
    told = -math.log(1 / (1 + math.exp(own[0] - own[1])))
    return (w.sum(), share(pi) if share else pi[1], own[0], own[1], loss(pi, own) if loss else told)


THREE = [
    (five(share=lambda pi: pi[0]), "that is the first reply's probability"),
    (five(share=lambda pi: pi[2]), "that is the third reply's probability"),
    (five(share=lambda pi: math.log(pi[1])), "that is the logarithm of the probability"),
    (five(share=lambda pi: pi[1] / 0.3), "the ratio to the reference"),
    (five(share=lambda pi: pi[1] / (1 - pi[1])), "those are the odds"),
    (five(keep=(1, 1, 0)), "the third reply is left out of Z"),
    (five(beta=0.6), "a β of 0.6, the chapter's"),
    (five(beta=0.1), "a β of 0.1"),
    ((five()[0] / 3, *five()[1:]), "divided by the number of replies"),
    ((0.3 * math.exp(4), *five()[1:]), "numerator alone"),
    ((math.exp(2) + math.exp(4) + 1, *five()[1:]), "the reference is left out of Z"),
    (five(loss=lambda pi, own: math.log(1 + pi[0] / pi[1])), "without β and reference"),
    (five(loss=lambda pi, own: math.log(2)), "before training"),
    (five(loss=lambda pi, own: math.log(1 + math.exp(own[2] - own[1]))), "second over third"),
    (five(loss=lambda pi, own: math.exp(own[0] - own[1])), "e to minus the margin"),
    (five(loss=lambda pi, own: -math.log(pi[1])), "as if nobody chose"),
]


# ---------------------------------------------------------------- 04.2
def nats(m, by=lambda m, b: m / b):
    return m, by(m, 0.6), by(m, 0.1)


NINE = math.log(9)
SURE = [
    (nats(math.log(0.9)), "the logarithm of a probability of 0.9"),
    (nats(-math.log(0.9)), "the loss at a probability of 0.9"),
    (nats(0.1), "that is the weight itself"),
    (nats(2 * math.acosh(1 / math.sqrt(0.4))), "where the slope of σ is 0.1"),
    (nats(10.0), "one over the weight"),
    (nats(1 / (1 + math.exp(0.1))), "σ is applied to 0.1"),
    (nats(1 / (1 + math.exp(-0.1))), "σ is applied to 0.1"),
    (nats(math.log(0.1)), "the logarithm of the weight"),
    (nats(2 * NINE), "twice the right number"),
    (nats(NINE / 2), "half the right number"),
    (nats(NINE, lambda m, b: math.log(9 / b)), "before the logarithm"),
    (nats(NINE, lambda m, b: m - b), "taken off the margin"),
    (nats(NINE, lambda m, b: 0.9 / b), "the probability is divided by β"),
    (nats(NINE, lambda m, b: 0.1 / b), "the weight is divided by β"),
    (nats(NINE, lambda m, b: m / math.sqrt(b)), "the root of β"),
]


# ---------------------------------------------------------------- 04.3
def shared(x):
    return x - np.log(np.exp(x).sum())


FORGETFUL = [
    (lambda ref, r, b: shared(r + ref / b), "β divides the reference"),
    (lambda ref, r, b: b * shared(r / b), "that is the implicit reward"),
    (lambda ref, r, b: shared((r + ref) / b), "divided by β like the reward"),
    (lambda ref, r, b: shared(r / b + b * ref), "multiplied by β"),
    (lambda ref, r, b: shared(r / b + ref / 2), "half of the reference"),
    (lambda ref, r, b: shared(r / b) - ref, "the log-ratio to the reference"),
    (lambda ref, r, b: shared(ref + r / b) - ref, "the whole loss's optimum"),
    (lambda ref, r, b: shared(r / b) / math.log(2), "base 2"),
    (lambda ref, r, b: -shared(r / b), "minus the log-probabilities"),
    (lambda ref, r, b: -np.log(1 + np.exp(-r / b)), "through σ by itself"),
    (lambda ref, r, b: r, "that is the reward itself"),
    (lambda ref, r, b: np.eye(len(r))[np.argmax(r)], "without its logarithm"),
    (lambda ref, r, b: np.full(len(r), -np.log(len(r))), "the uniform policy"),
    (lambda ref, r, b: np.log(abs(r) / abs(r).sum()), "shared out by their size"),
    (lambda ref, r, b: shared(-ref), "look at `reward`"),
]


# ---------------------------------------------------------------- 04.4
def parts(x, b, on=lambda k, n: range(k, n)):
    n, e = len(x), torch.exp(b * x)
    return [-torch.log(e[k] / sum(e[j] for j in on(k, n))) for k in range(n)]


RANKING = [
    (lambda x, b: sum(parts(x, b)[: max(1, len(x) - 2)]), "one place early"),
    (lambda x, b: sum((b * x[k:]).logsumexp(0) - b * x[0] for k in range(len(x))), "the first rep"),
    (lambda x, b: len(x) * sum(parts(x, b)), "multiplied by the number of replies"),
    (lambda x, b: len(x) * parts(x, b)[0], "once for each place"),
    (lambda x, b: -(b * x).sum(), "their sum is the loss"),
    (lambda x, b: sum(parts(x, b)) + math.log(math.factorial(len(x))), "the number of rankings"),
    (lambda x, b: sum(parts(-x, b)), "wrong sign"),
    (lambda x, b: sum(parts(x, 1 / b)), "1 / `beta`"),
    (lambda x, b: sum(parts(x, b)) / math.log(2), "base 2"),
    (lambda x, b: -torch.stack(parts(x, b)).neg().exp().prod(), "minus the ranking's prob"),
    (lambda x, b: sum(parts(x, b)[1:]), "the first reply is left out"),
    (lambda x, b: sum(parts(x, b)) / len(x) ** 2, "length"),
    (lambda x, b: max(parts(x, b)), "only the hardest place"),
    (lambda x, b: parts(x, b)[-2], "only the last two"),
]

WRONG = {"04.0": PAIR, "04.1": THREE, "04.2": SURE, "04.3": FORGETFUL, "04.4": RANKING}
