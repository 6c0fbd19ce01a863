"""Attempts at chapter 04's exercises."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from . import ch04b


# ---------------------------------------------------------------- 04.0
def by_cross_entropy(chosen, rejected, ref_chosen, ref_rejected, beta):
    scores = torch.stack([chosen - ref_chosen, rejected - ref_rejected], -1) * beta
    return F.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.long), reduction="none")


def in_other_order(chosen, rejected, ref_chosen, ref_rejected, beta):
    logits = (chosen - rejected) - (ref_chosen - ref_rejected)
    return F.softplus(-beta * logits)


def row_by_row(chosen, rejected, ref_chosen, ref_rejected, beta):
    losses = []
    for c, r, rc, rr in zip(chosen, rejected, ref_chosen, ref_rejected, strict=True):
        losses.append(torch.log(1 + torch.exp(-beta * ((c - rc) - (r - rr)))))
    return torch.stack(losses)


def in_numpy(chosen, rejected, ref_chosen, ref_rejected, beta):
    c, r, rc, rr = (v.numpy() for v in (chosen, rejected, ref_chosen, ref_rejected))
    return np.log1p(np.exp(-beta * (c - rc - r + rr)))


def with_item(chosen, rejected, ref_chosen, ref_rejected, beta):
    rows = zip(chosen, rejected, ref_chosen, ref_rejected, strict=True)
    return torch.tensor(
        [math.log1p(math.exp(-beta * ((c - rc) - (r - rr)).item())) for c, r, rc, rr in rows]
    )


ls = F.logsigmoid
KEY_WRONG = [
    (lambda c, r, rc, rr, b: -ls(b * b * ((c - rc) - (r - rr))), "β goes in twice"),
    (lambda c, r, rc, rr, b: -ls((c - rc) - (r - rr)), "β is left out"),
    (lambda c, r, rc, rr, b: -ls(b * ((r - rr) - (c - rc))), "exchanged"),
    (lambda c, r, rc, rr, b: -ls(b * (c - r)), "the reference is left out"),
    (lambda c, r, rc, rr, b: -ls(b * ((c - rc) - (r - rr))).mean(), "one loss a pair"),
    (lambda c, r, rc, rr, b: -ls(b * ((c - rc) - (r - rr))).sum(), "the sum over the batch"),
    (lambda c, r, rc, rr, b: ls(b * ((c - rc) - (r - rr))), "its sign is turned"),
    (lambda c, r, rc, rr, b: torch.sigmoid(b * ((c - rc) - (r - rr))), "a `-log` is missing"),
    (lambda c, r, rc, rr, b: -ls(b * (c / rc - r / rr)), "log-probabilities are divided"),
    (lambda c, r, rc, rr, b: -ls(b * (c.exp() / rc.exp() - r.exp() / rr.exp())), "logarithm"),
    (lambda c, r, rc, rr, b: -ls(b * ((c + rc) - (r + rr))), "the wrong sign"),
    (lambda c, r, rc, rr, b: -b * ls((c - rc) - (r - rr)), "outside the log-sigmoid"),
    (lambda c, r, rc, rr, b: -ls(b * (c - rc) - (r - rr)), "a bracket is missing"),
    (lambda c, r, rc, rr, b: -ls((c - rc) - b * (r - rr)), "the rejected side alone"),
    (lambda c, r, rc, rr, b: -ls(((c - rc) - (r - rr)) / b), "divided by β"),
    (lambda c, r, rc, rr, b: -ls(b * ((c - rr) - (r - rc))), "the wrong sign"),
    (lambda c, r, rc, rr, b: -ls(b * ((c - r) + (rc - rr))), "the wrong sign"),
    (lambda c, r, rc, rr, b: -ls(b * (c - rc)), "the rejected one is left out"),
    (lambda c, r, rc, rr, b: -(b * ((c - rc) - (r - rr))), "minus the margin"),
    (lambda c, r, rc, rr, b: b * ((c - rc) - (r - rr)), "that is the margin"),
    (lambda c, r, rc, rr, b: torch.relu(1 - b * ((c - rc) - (r - rr))), "a hinge"),
    (lambda c, r, rc, rr, b: ((c - rc - r + rr) - 1 / (2 * b)) ** 2, "IPO's squared distance"),
    (lambda c, r, rc, rr, b: (b * (c - rc - r + rr) - 1) ** 2, "a squared distance"),
    (lambda c, r, rc, rr, b: -ls(b * (c - r) - (rc - rr)), "the policy's part alone"),
    (lambda c, r, rc, rr, b: -ls(b * ((c / rc).log() - (r / rr).log())), "once too often"),
    (lambda c, r, rc, rr, b: -ls(b * (c - rc - r)), "reference of the rejected text"),
    (lambda c, r, rc, rr, b: -torch.sigmoid(b * (c - rc - r + rr)).log2(), "in bits"),
    (lambda c, r, rc, rr, b: -ls(b * (c - rc)) - ls(-b * (r - rr)), "each side is put through"),
    (lambda c, r, rc, rr, b: -ls(b * b * (r - rr - c + rc)), "First"),
    (lambda c, r, rc, rr, b: -ls(b * (rc - rr)), "doesn't look at `chosen_logps`"),
    (lambda c, r, rc, rr, b: -ls(b * (c.exp() - rc.exp() - r.exp() + rr.exp())), "probabilities"),
    (lambda c, r, rc, rr, b: -ls(b * ((c - rc) - (r - rr).detach())), "no gradient gets back to"),
    (with_item, "no gradient gets back to `chosen_logps`"),
    (in_numpy, "no gradient gets back to `chosen_logps`"),
]  # fmt: skip


# ---------------------------------------------------------------- 04.1
REF, R, BETA = np.array([0.5, 0.3, 0.2]), np.array([1.0, 2.0, 0.0]), 0.5
WEIGHTS = REF * np.exp(R / BETA)
PI = WEIGHTS / WEIGHTS.sum()
OWN = BETA * np.log(PI / REF)
FIVE = [WEIGHTS.sum(), PI[1], OWN[0], OWN[1], -math.log(1 / (1 + math.exp(OWN[0] - OWN[1])))]


def five(weights=WEIGHTS, own=None, margin=None):
    pi = weights / weights.sum()
    own = own(pi) if own else BETA * np.log(pi / REF)
    m = own[1] - own[0] if margin is None else margin
    return [weights.sum(), pi[1], own[0], own[1], math.log(1 + math.exp(-m))]


THREE_WRONG = [
    (five(REF * np.exp(R * BETA)), "multiplied by β in the exponent"),
    (five(REF * np.exp(R)), "β is left out of the exponent"),
    (five(np.exp(R / BETA)), "the reference is left out of equation 4"),
    (five(np.exp(R / BETA) / 3), "each reply counts alike"),
    (five(REF * np.exp(-R / BETA)), "the exponent has the wrong sign"),
    ([math.log(FIVE[0]), *FIVE[1:]], "that is log Z"),
    ([FIVE[0], WEIGHTS[1], *FIVE[2:]], "isn't divided by Z"),
    (five(own=lambda pi: np.log(pi / REF)), "β is left out of the implicit rewards"),
    (five(own=lambda pi: BETA * np.log(pi)), "the reference is left out of the implicit"),
    (five(own=lambda pi: BETA * pi / REF), "the logarithm of the ratio is missing"),
    (five(own=lambda pi: R), "those are the true rewards"),
    ([*FIVE[:2], -OWN[0], -OWN[1], FIVE[4]], "turned over"),
    ([*FIVE[:4], math.log(1 + math.exp(1))], "the opposite choice"),
    ([*FIVE[:4], math.log(1 + math.exp(-0.5))], "β goes into the loss twice"),
    ([*FIVE[:4], 1 / (1 + math.exp(-1))], "minus its logarithm"),
    ([*FIVE[:4], -FIVE[4]], "lacks its minus sign"),
    ([*FIVE[:4], FIVE[4] / math.log(2)], "base 2"),
    ([*FIVE[:4], 1.0], "that is the margin"),
    ([*FIVE[:4], 1 / (1 + math.exp(1))], "the gradient's weight"),
    ([FIVE[0], FIVE[1], FIVE[3], FIVE[2], FIVE[4]], "not in the order"),
    ([*FIVE[:4], math.log(1 + (PI[0] / PI[1]) ** 0.5)], "the policy alone"),
    (five(REF * np.exp(R), own=lambda pi: np.log(pi / REF)), "First: β is left out of the exp"),
]


# ---------------------------------------------------------------- 04.2
def nats(m, by=lambda m, b: m / b):
    return m, by(m, 0.6), by(m, 0.1)


NINE = math.log(9)
SURE_WRONG = [
    (nats(-NINE), "a weight of 0.9"),
    (nats(math.log(10)), "the 1 in σ is forgotten"),
    (nats(9.0), "those are the odds"),
    (nats(math.log10(9)), "base 10"),
    (nats(math.log2(9)), "base 2"),
    (nats(NINE, lambda m, b: m * b), "multiplied by β"),
    (nats(NINE, lambda m, b: m), "β lies between"),
    (nats(math.log(19)), "a tenth of the weight at the start"),
    (nats(-math.log(math.exp(0.1) - 1)), "where the loss is 0.1"),
    (nats(math.log(99)), "one per cent"),
    ((math.log(5), math.log(5) / 0.6, 0.0), "where the push"),
    (nats(math.log(10), lambda m, b: m * b), "First: the 1 in σ"),
    ((NINE, NINE / 0.1, NINE / 0.6), "not in the order"),
    (nats(0.9), "the probability of the choice"),
]


# ---------------------------------------------------------------- 04.3
def log_softmax(x):
    x = np.asarray(x)
    return x - np.log(np.exp(x).sum())


def divide_and_log(log_ref, reward, beta):
    e = np.exp(reward / beta)
    return np.log(e / e.sum())


def by_loop(log_ref, reward, beta):
    total = sum(math.exp(r / beta) for r in reward)
    return [r / beta - math.log(total) for r in reward]


FORGETFUL_WRONG = [
    (lambda ref, r, b: log_softmax(ref + r / b), "the reference is still in it"),
    (lambda ref, r, b: log_softmax(r), "β is left out"),
    (lambda ref, r, b: log_softmax(r * b), "the reward is multiplied by β"),
    (lambda ref, r, b: np.exp(log_softmax(r / b)), "those are probabilities"),
    (lambda ref, r, b: r / b, "isn't divided by its sum"),
    (lambda ref, r, b: np.exp(r / b), "First"),
    (lambda ref, r, b: log_softmax(-r / b), "the reward has the wrong sign"),
    (lambda ref, r, b: log_softmax(0 * r), "the uniform policy"),
    (lambda ref, r, b: ref, "that is the reference itself"),
    (lambda ref, r, b: np.where(r == r.max(), 0.0, -np.inf), "the best reply alone"),
    (lambda ref, r, b: log_softmax(r / b - ref), "the opposite sign"),
    (lambda ref, r, b: r / b - np.log(np.exp(ref + r / b).sum()), "Z still holds the reference"),
    (lambda ref, r, b: r / b - np.log(np.exp(r / b).mean()), "a mean of e^(r/β)"),
    (lambda ref, r, b: (r / b) / (r / b).sum(), "is divided by its sum; first"),
    (lambda ref, r, b: log_softmax(ref + r), "First: the reference"),
    (lambda ref, r, b: log_softmax(r / b**2), "divided by β twice"),
    (lambda ref, r, b: r / b - (r / b).mean(), "don't sum to one"),
    (lambda ref, r, b: "exp(r / beta)", "it gives a str"),
]


# ---------------------------------------------------------------- 04.4
def ranking_by_loop(log_ratios, beta):
    scores = [beta * float(x) for x in log_ratios]
    loss = 0.0
    for k, s in enumerate(scores):
        loss -= math.log(math.exp(s) / sum(math.exp(x) for x in scores[k:]))
    return loss


def ranking_in_numpy(log_ratios, beta):
    s = beta * np.asarray(log_ratios)
    rest = np.logaddexp.accumulate(s[::-1])[::-1]
    return float((rest - s).sum())


def ranking_by_product(log_ratios, beta):
    e = torch.exp(beta * log_ratios)
    return -torch.log(torch.prod(torch.stack([e[k] / e[k:].sum() for k in range(len(e) - 1)])))


def factors(log_ratios, beta, rest=lambda e, k: e[k:].sum(), places=lambda n: range(n)):
    e = torch.exp(beta * log_ratios)
    return torch.stack([e[k] / rest(e, k) for k in places(len(e))])


def pairwise(log_ratios, beta, pairs):
    d = [log_ratios[i] - log_ratios[j] for i, j in pairs(len(log_ratios))]
    return sum(F.softplus(-beta * x) for x in d)


every = lambda n: [(i, j) for i in range(n) for j in range(i + 1, n)]
already, after = lambda e, k: e[: k + 1].sum(), lambda e, k: e[k + 1 :].sum()
RANKING_WRONG = [
    (lambda x, b: -factors(x, 1.0).log().sum(), "`beta` is left out"),
    (lambda x, b: -factors(x, b * b).log().sum(), "β goes in twice"),
    (lambda x, b: -factors(x, b, lambda e, k: e.sum()).log().sum(), "holds all replies"),
    (lambda x, b: -factors(x, b, already).log().sum(), "already placed"),
    (lambda x, b: -factors(x, b, after, lambda n: range(n - 1)).log().sum(), "its own denomin"),
    (lambda x, b: -factors(x.flip(0), b).log().sum(), "from the worst"),
    (lambda x, b: -factors(x, b).log().mean(), "the mean over the places"),
    (lambda x, b: -factors(x, b)[:-1].log().mean(), "the mean over the places"),
    (lambda x, b: -factors(x, b)[0].log(), "only the first place"),
    (lambda x, b: factors(x, b).log().sum(), "the sign is turned"),
    (lambda x, b: factors(x, b).prod(), "-log"),
    (lambda x, b: -factors(x, b).sum(), "the factors are added"),
    (lambda x, b: -factors(x, b).sum().log(), "the log of a sum"),
    (lambda x, b: -factors(x, b).mean().log(), "the log of a mean"),
    (lambda x, b: pairwise(x, b, every), "two by two"),
    (lambda x, b: pairwise(x, b, lambda n: [(i, i + 1) for i in range(n - 1)]), "the next one"),
    (lambda x, b: pairwise(x, b, lambda n: [(0, j) for j in range(1, n)]), "one by one"),
    (lambda x, b: pairwise(x, b, every) / len(every(len(x))), "the mean over all pairs"),
    (lambda x, b: b * ranking_by_loop(x, 1.0), "in front of the whole loss"),
    (lambda x, b: ranking_by_loop(x[:-1], b) + 0 * x[0], "the last reply is left out"),
    (lambda x, b: sum((b * x[k:].logsumexp(0) - b * x[k]) for k in range(len(x))), "in front"),
    (lambda x, b: -factors(x, b, lambda e, k: e[k:].mean()).log().sum(), "take a mean"),
    (lambda x, b: sum(((b * x[k:]).max() - b * x[k]) for k in range(len(x))), "the largest term"),
    (lambda x, b: -factors(-x, b).log().sum(), "wrong sign"),
    (lambda x, b: -factors(x, b).log(), "one number"),
]  # fmt: skip

RIGHT = {
    "04.0": [by_cross_entropy, in_other_order, row_by_row,
             lambda c, r, rc, rr, b: -torch.sigmoid(b * (c - rc - r + rr)).log()],
    "04.1": [FIVE, (20.3, 0.808, -0.505, 0.495, 0.313),
             dict(zip(("Z", "pi_second", "implicit_first", "implicit_second", "loss"), FIVE,
                      strict=True)), np.array(FIVE)],
    "04.2": [nats(NINE), (2.2, 3.7, 22), torch.tensor(nats(NINE))],
    "04.3": [divide_and_log, by_loop,
             lambda ref, r, b: torch.log_softmax(torch.tensor(r) / b, 0),
             lambda ref, r, b: (torch.tensor(r).float() / b).softmax(0).log()],
    "04.4": [ranking_by_loop, ranking_in_numpy, ranking_by_product,
             lambda x, b: -factors(x.float(), b).log().sum()],
}  # fmt: skip
WRONG = {
    "04.0": KEY_WRONG,
    "04.1": THREE_WRONG,
    "04.2": SURE_WRONG,
    "04.3": FORGETFUL_WRONG,
    "04.4": RANKING_WRONG,
}
for number, more in ch04b.WRONG.items():
    WRONG[number] = [*WRONG[number], *more]
