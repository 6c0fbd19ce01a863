"""Attempts at chapter 02's exercises, right and wrong."""

import numpy as np
import torch

from dpo_from_scratch import world


def sigma(z):
    return 1 / (1 + np.exp(-z))


def prefer(scores):
    return sigma(scores[:, None] - scores[None, :])


def fit(scores, wins):
    return np.sum(wins * np.log(prefer(scores)))


# ---------------------------------------------------------------- 02.0, right
def two_sums(scores, wins):
    P = prefer(scores)
    return (wins * P.T).sum(1) - (wins.T * P).sum(1)


def loops(scores, wins):
    out = []
    for i in range(len(scores)):
        slope = 0.0
        for j in range(len(scores)):
            slope += wins[i, j] * sigma(scores[j] - scores[i])
            slope -= wins[j, i] * sigma(scores[i] - scores[j])
        out.append(slope)
    return out


def automatic(scores, wins):
    r = torch.tensor(scores, requires_grad=True)
    logs = torch.nn.functional.logsigmoid(r[:, None] - r[None, :])
    (torch.tensor(wins) * logs).sum().backward()
    return r.grad


def measured(scores, wins):
    small = 1e-4 * np.eye(len(scores))
    return np.array([(fit(scores + d, wins) - fit(scores - d, wins)) / 2e-4 for d in small])


def single(scores, wins):
    return two_sums(scores.astype(np.float32), wins.astype(np.float32))


# ---------------------------------------------------------------- 02.1, right
def agree(labels):
    count = 0
    for row in labels:
        better = world.reward(row["prompt"], row["chosen"])
        count += better > world.reward(row["prompt"], row["rejected"])
    return count


def agree_arrays(labels):
    of = lambda side: np.array([world.reward(row["prompt"], row[side]) for row in labels])
    return np.sum(of("chosen") > of("rejected"))


def agree_tensor(labels):
    return torch.tensor([gap(row) > 0 for row in labels]).sum()


def gap(row):
    return world.reward(row["prompt"], row["chosen"]) - world.reward(row["prompt"], row["rejected"])


def returns_early(labels):
    count = 0
    for row in labels:
        if gap(row) > 0:
            count += 1
        return count


def as_text(labels):
    return f"{agree(labels)} of {len(labels)}"


FLIPS, PLAN = (0.6352, 0.5696), (1.7016, 1.2676, 2.0164, 1.0082)
RIGHT = {
    "02.0": [two_sums, loops, automatic, measured, single],
    "02.1": [agree, agree_arrays, agree_tensor, lambda labels: float(agree(labels))],
    "02.2": [
        np.array([[4, 0]]),
        [(4, 0)],
        (4, 0),
        {(4, 0)},
        [[4, 0]],
        [np.array([4, 0])],
        (4.0, 0.0),
    ],
    "02.3": [FLIPS, [0.635, 0.57], np.array(FLIPS), {"difference": 0.5696, "ceiling": 0.6352}],
    "02.4": [PLAN, [1.70, 1.27, 2.02, 1.01], np.array(PLAN, np.float32)],
}


def both_rewards(row):
    return [world.reward(row["prompt"], row[side]) for side in ("chosen", "rejected")]


def adds_differences(labels):
    return sum(a - b for a, b in map(both_rewards, labels) if a > b)


def first_prompt(labels):
    asked = labels[0]["prompt"]
    return sum(
        world.reward(asked, r["chosen"]) > world.reward(asked, r["rejected"]) for r in labels
    )


def rounded_first(labels):
    return sum(round(a) > round(b) for a, b in map(both_rewards, labels))


WRONG = {
    "02.0": [
        (lambda r, w: (w * prefer(r).T).sum(1), "losses don't count"),
        (lambda r, w: -(w.T * prefer(r)).sum(1), "wins are left out"),
        (lambda r, w: (w - (w + w.T) * prefer(r).T).sum(1), "turned round inside σ"),
        (lambda r, w: (w - (w + w.T) * prefer(r)).sum(0), "the sign is turned"),
        (lambda r, w: ((w + w.T) * prefer(r) - w).sum(1), "the sign is turned"),
        (lambda r, w: (w.T - (w + w.T) * prefer(r)).sum(1), "wins and losses are exchanged"),
        (lambda r, w: (w - (w + w.T) * prefer(r)).mean(1), "divided by the number of answers"),
        (lambda r, w: (w - (w + w.T) * prefer(r)).sum(1) / w.sum(), "the number of choices"),
        (lambda r, w: w - (w + w.T) * prefer(r), "over the opponents"),
        (lambda r, w: (w - (w + w.T) * prefer(r)).sum(), "always zero"),
        (lambda r, w: (w - prefer(r)).sum(1), "itself too"),
        (lambda r, w: (w - (w + w.T > 0) * prefer(r)).sum(1), "each pair counts once"),
        (lambda r, w: (w - w.T * prefer(r)).sum(1), "a win counts fully"),
        (lambda r, w: (w * np.log(prefer(r))).sum(1), "answer by answer"),
        (fit, "the log-likelihood itself"),
        (lambda r, w: (w * prefer(r)).sum(1), "that is wins times σ"),
        (lambda r, w: ((w - w.T) * prefer(r) * prefer(r).T).sum(1), "the slope of σ"),
        (lambda r, w: (w - (w + w.T) * (r[:, None] - r)).sum(1), "in place of its σ"),
        (lambda r, w: (w - (w + w.T) * np.log(prefer(r))).sum(1), "a logarithm too many"),
        (lambda r, w: w.sum(1), "the observed wins alone"),
        (lambda r, w: -((w + w.T) * prefer(r)).sum(1), "the observed wins are missing"),
        (lambda r, w: (w + (w + w.T) * prefer(r)).sum(1), "expected wins are added"),
        (lambda r, w: (w * prefer(r).T + w.T * prefer(r)).sum(1), "losses are added"),
        (lambda r, w: two_sums(r, w) - r / 4, "a prior"),
        (lambda r, w: (w - (w + w.T) @ prefer(r)).sum(1), "a matrix product"),
        (lambda r, w: r + 0.3 * two_sums(r, w), "a step of the climb"),
        (lambda r, w: (w / (w + w.T + 1e-12) - prefer(r)).sum(1), "shares stand"),
        (lambda r, w: two_sums(r, w) / 2, "half of the slope"),
        (lambda r, w: 0.3 * two_sums(r, w), "0.3 times"),
        (lambda r, w: two_sums(0 * r, w), "as if all scores were alike"),
        (lambda r, w: (w - w.T).sum(1), "wins minus losses"),
        (lambda r, w: (w - (w + w.T) * np.tanh(r[:, None] - r)).sum(1), "tanh"),
        (lambda r, w: -((w + w.T) * prefer(r) * prefer(r).T).sum(1), "the second derivative"),
        (lambda r, w: np.triu(w - (w + w.T) * prefer(r)).sum(1), "that come later"),
        (lambda r, w: r + two_sums(r, w), "a step of the climb"),
        (lambda r, w: two_sums(r, w) - r, "a prior"),
        (lambda r, w: (w * prefer(r).T).mean(1), "Second: "),
        (lambda r, w: two_sums(r, w)[:, None], "of shape"),
    ],
    "02.1": [
        (adds_differences, "the differences of the labels that agree"),
        (first_prompt, "the first label's prompt is used for all"),
        (rounded_first, "rounded to whole numbers first"),
        (lambda labels: len(labels) - agree(labels), "that disagree"),
        (lambda labels: agree(labels) / len(labels), "a share"),
        (lambda labels: 100 * agree(labels) / len(labels), "in per cent"),
        (lambda labels: 2 * agree(labels) - len(labels), "are taken off"),
        (lambda labels: sum(map(gap, labels)), "rewards are added up"),
        (lambda labels: [gap(row) > 0 for row in labels], "for each label"),
        (
            lambda labels: sum(world.reward(r["prompt"], r["chosen"]) > 0 for r in labels),
            "chosen texts of positive reward",
        ),
        (lambda labels: sum(len(r["chosen"]) > len(r["rejected"]) for r in labels), "lengths"),
        (returns_early, "stops at the first"),
        (lambda labels: agree(labels[:-1]), "the last label is left out"),
        (lambda labels: sum(gap(row) > 1 for row in labels), "differences above 1"),
        (lambda labels: sum(gap(row) < 0 for row in labels), "that disagree"),
        (lambda labels: sum(sigma(gap(row)) for row in labels), "the sum of σ"),
        (lambda labels: len({row["chosen"] for row in labels if gap(row) > 0}), "each text counts"),
        (lambda labels: np.mean([gap(row) for row in labels]), "a mean of rewards"),
        (
            lambda labels: agree([r for r in labels if r["prompt"] == labels[0]["prompt"]]),
            "the first question only",
        ),
        (as_text, "gives a str"),
    ],
    "02.2": [
        ([(w, b) for w in range(5) for b in range(w) if (w, b) != (4, 0)], "that are not enough"),
        ((0, 4), "the winner of the added label first"),
        ([(5, 1)], "counted from 0"),
        ([(4, 0), (3, 0)], "the last answer has still never won"),
        ([(4, 0), (4, 1)], "answer 0 has still never lost"),
        ([(1, 0), (2, 1), (3, 2), (4, 3)], "still never"),
        ([(i, j) for i in range(5) for j in range(i)], "still never"),
        ([], "at least one"),
        ([(0, 1)], "the later one win"),
        ("4 over 0", "a list of pairs"),
    ],
    "02.3": [
        ((0.5802, 0.5696), "is flipped"),
        ((0.7253, 0.5696), "without flips"),
        ((0.5253, 0.5696), "some of them become right"),
        ((0.4352, 0.5696), "ε is missing"),
        ((0.6352, 0.6386), "its log-odds are asked"),
        ((0.6352, 1.0), "without flips"),
        ((0.6352, 0.6), "not the difference"),
        ((0.6352, 0.8), "not the difference"),
        ((0.6352, 0.3427), "is flipped"),
        ((0.6352, 1.7673), "those are the odds"),
        ((0.6802, 0.5696), "a coin tossed"),
        ((0.6386, 0.5696), "the one pair"),
        ((0.6352, 1.3863), "isn't flipped"),
        ((0.6352, 0.4304), "by how much it shrinks"),
        ((0.6352, 0.2773), "no difference of scores"),
        ((0.6352, 0.1853), "ε = 0.4"),
        ((0.5451, 0.5696), "ε = 0.4"),
        ((0.5, 0.5696), "still say something"),
        ((0.5696, 0.6352), "the ceiling comes first"),
    ],
    "02.4": [
        ([v * v for v in PLAN], "those are variances"),
        ((2.4064, 1.7926, 4.5088, 2.2545), "counted once"),
        ((1.0762, 0.8017, 3.1882, 1.5941), "are exchanged"),
        ((1.2032, 0.8963, 1.4258, 0.7129), "twice as many labels"),
        ((1.7016, 1.2676, 4.0328, 1.0082), "the squares of the errors"),
        ((1.7016, 1.2676, 1.0082, 1.0082), "one link"),
        ((5.3211, 1.5948, 2.0164, 1.0082), "its own labels alone"),
        ([1.96 * v for v in PLAN], "half-widths"),
        ((2.0164, 1.0082, 1.7016, 1.2676), "the two plans are exchanged"),
        ((1.2676, 1.7016, 1.0082, 2.0164), "outer two and the first two"),
        ((1.7016, 2.0164, 1.2676, 1.0082), "the order is"),
        ([2 * v for v in PLAN], "two standard errors"),
        ([1 / v for v in PLAN], "one over the standard error"),
        ((0.707, 0.707, 0.447, 0.447), "1/√n"),
        ((1.7016, 1.2676, 3.1882, 1.5941), "five labels for each"),
        ((1.0762, 0.8017, 2.0164, 1.0082), "not five"),
        ((1.70, 1.27), "you gave 2"),
    ],
}
