"""Attempts at chapter 00's exercises, right and wrong."""

import math

import numpy as np
import torch
import torch.nn.functional as F


def loops(chosen, rejected, ref_chosen, ref_rejected, beta):
    out = []
    for a, b, c, d in zip(chosen, rejected, ref_chosen, ref_rejected, strict=True):
        margin = beta * ((float(a) - float(c)) - (float(b) - float(d)))
        out.append(math.log(1 + math.exp(-margin)))
    return out


def arrays(chosen, rejected, ref_chosen, ref_rejected, beta):
    a, b, c, d = (np.asarray(x) for x in (chosen, rejected, ref_chosen, ref_rejected))
    return -np.log(1 / (1 + np.exp(-beta * (a - b - c + d))))


def plain(c, r, rc, rr, beta):
    return -torch.log(torch.sigmoid(beta * ((c - rc) - (r - rr))))


def soft(c, r, rc, rr, beta):
    return F.softplus(beta * (rr - rc - r + c).neg()).double()


def margin(c, r, rc, rr, beta):
    return beta * (c - rc) - beta * (r - rr)


def no_reference(c, r, rc, rr, beta):
    return -F.logsigmoid(beta * (c - r))


def in_a_loop_with_the_last(c, r, rc, rr, beta):
    for i in range(len(c)):
        loss = -F.logsigmoid(margin(c[i], r[i], rc[i], rr[i], beta))
    return loss


def one_by_one(chosen, rejected, ref_chosen, ref_rejected, beta):
    out = []
    for a, b, c, d in zip(chosen, rejected, ref_chosen, ref_rejected, strict=True):
        out.append(torch.log(1 + torch.exp(-beta * ((a - c) - (b - d)))))
    return torch.stack(out)


def without_gradient(c, r, rc, rr, beta):
    with torch.no_grad():
        return -F.logsigmoid(margin(c, r, rc, rr, beta))


LS = F.logsigmoid


def done_when_right(c, r, rc, rr, beta):
    inside = margin(c, r, rc, rr, beta)
    return torch.where(inside > 0, 0.0 * inside, -LS(inside))


VALUES = (0.15298, 1.95298)
RIGHT = {
    "00.0": [one_by_one, plain, soft],
    "00.1": [
        VALUES,
        [0.153, 1.95],
        {"wrong way": 1.953, "right way": 0.153},
        torch.tensor(VALUES),
        np.array(VALUES, np.float32),
        (torch.tensor(0.153), torch.tensor(1.953)),
    ],
    "00.2": [
        (0.81, 0.22, "b"),
        [0.726, 0.137, "B"],
        (np.float64(0.78), 0.19, "b."),
        (torch.tensor(0.95), torch.tensor(0.2), " (b)"),
        ([0.81, 0.22], "b"),
        {"0.2": 0.81, "2": 0.22, "why": "b"},
    ],
    "00.3": [(-1.96, 0.73), [-1.87, 1.06], (np.float64(-1.93), torch.tensor(1.21))],
}
WRONG = {
    "00.0": [
        (loops, "no gradient gets back"),
        (arrays, "no gradient gets back"),
        (without_gradient, "no gradient gets back"),
        (lambda c, r, rc, rr, b: margin(c, r, rc, rr, b), "that is the margin"),
        (lambda c, r, rc, rr, b: torch.sigmoid(margin(c, r, rc, rr, b)), "the probability of what"),
        (lambda c, r, rc, rr, b: 1 - torch.sigmoid(margin(c, r, rc, rr, b)), "the other choice"),
        (lambda c, r, rc, rr, b: LS(margin(c, r, rc, rr, b)), "the minus before the logarithm"),
        (lambda c, r, rc, rr, b: -LS(margin(r, c, rr, rc, b)), "the margin's sign is turned"),
        (lambda c, r, rc, rr, b: -LS(margin(rc, rr, c, r, b)), "the margin's sign is turned"),
        (lambda c, r, rc, rr, b: -LS(margin(c, r, rr, rc, b)), "the other text"),
        (no_reference, "the reference is left out"),
        (lambda c, r, rc, rr, b: -LS(margin(c, r, -rc, -rr, b)), "the reference is added, or"),
        (lambda c, r, rc, rr, b: -LS(b * margin(c, r, rc, rr, b)), "β goes in twice"),
        (lambda c, r, rc, rr, b: -b * LS(margin(c, r, rc, rr, 1)), "β stands before the logarithm"),
        (lambda c, r, rc, rr, b: -LS(margin(c, r, rc, rr, 1)), "β is left out"),
        (lambda c, r, rc, rr, b: -LS(margin(c, r, rc, rr, 1 / b)), "1 / `beta` stands"),
        (lambda c, r, rc, rr, b: -LS(b * (c - rc) - (r - rr)), "only the chosen text's log-ratio"),
        (lambda c, r, rc, rr, b: -LS(b * (c - rc) + b * (r - rr)), "the two rewards are added"),
        (lambda c, r, rc, rr, b: -LS(margin(c, r, rc, rr, b)).mean(), "the mean over the batch"),
        (lambda c, r, rc, rr, b: -LS(margin(c, r, rc, rr, b)).sum(), "the sum over the batch"),
        (lambda c, r, rc, rr, b: -LS(margin(c, r, rc, rr, b).mean()), "and before σ"),
        (lambda c, r, rc, rr, b: -LS(b * (c - r)).mean(), "Second: the reference is left out"),
        (lambda c, r, rc, rr, b: -LS(b * (c / rc - r / rr)), "the log of a ratio is"),
        (lambda c, r, rc, rr, b: -LS(b * ((c / rc).log() - (r / rr).log())), "logs already"),
        (lambda c, r, rc, rr, b: -LS(margin(c.log(), r.log(), rc.log(), rr.log(), b)), "already"),
        (
            lambda c, r, rc, rr, b: -LS(b * ((c - rc).exp() - (r - rr).exp())),
            "in place of the log-ratio",
        ),
        (lambda c, r, rc, rr, b: -LS(margin(c.exp(), r.exp(), rc.exp(), rr.exp(), b)), "of logar"),
        (lambda c, r, rc, rr, b: -LS(b * c - rc - (b * r - rr)), "the policy's value alone"),
        (lambda c, r, rc, rr, b: -LS(b * (c - rc)) - LS(-b * (r - rr)), "a sigmoid of its own"),
        (lambda c, r, rc, rr, b: -LS(b * (c - rc)) + LS(b * (r - rr)), "belongs inside σ"),
        (lambda c, r, rc, rr, b: -LS(b * (c - rc)), "the rejected text doesn't count"),
        (lambda c, r, rc, rr, b: -margin(c, r, rc, rr, b), "minus the margin"),
        (lambda c, r, rc, rr, b: -LS(b * (r - c)), "Second: "),
        (lambda c, r, rc, rr, b: -LS(b * b * (c - r)), "Second: "),
        (lambda c, r, rc, rr, b: -LS(margin(c, r, rc, rr, b)) / math.log(2), "base 2"),
        (lambda c, r, rc, rr, b: -LS(margin(c, r, rc, rr, b)).tolist()[0], "only the first pair"),
        (lambda c, r, rc, rr, b: -LS(margin(c, r, rc, rr, b).abs()), "loses its sign"),
        (lambda c, r, rc, rr, b: -LS(c - r), "Second: the reference is left out"),
        (lambda c, r, rc, rr, b: -LS(margin(c, r, rc, rr, 1)).mean(), "Second: β is left out"),
        (in_a_loop_with_the_last, "one number"),
        (done_when_right, "costs nothing in yours"),
        (lambda c, r, rc, rr, b: -LS(-b * (r - rr)), "the chosen text doesn't count"),
        (lambda c, r, rc, rr, b: (1 - margin(c, r, rc, rr, b)) ** 2, "least at a margin of 1"),
        (lambda c, r, rc, rr, b: (-margin(c, r, rc, rr, b)).relu(), "as soon as the side is right"),
        (lambda c, r, rc, rr, b: -LS(margin(c, r, rc, rr, b) - 1), "no such target"),
        (lambda c, r, rc, rr, b: -LS(margin(c, r, rc, rr, b).sum()), "and before σ"),
        (
            lambda c, r, rc, rr, b: -LS(margin(c, r, rc, rr, b)) + b * (c - rc),
            "as for a KL penalty",
        ),
        (
            lambda c, r, rc, rr, b: -LS(margin(c, r, rc, rr, b)) + b * (c - rc + r - rr) / 2,
            "as for a KL penalty",
        ),
        (lambda c, r, rc, rr, b: -LS(c - b * rc - (r - b * rr)), "the reference's value alone"),
        (lambda c, r, rc, rr, b: -torch.sigmoid(-margin(c, r, rc, rr, b)), "the weight in the"),
        (lambda c, r, rc, rr, b: -torch.tanh(margin(c, r, rc, rr, b)), "tanh"),
        (lambda c, r, rc, rr: -LS(c - rc - r + rr), "is called with 5 arguments"),
    ],
    "00.1": [
        ((0.2, 2.0), "rounded to one digit"),
        ((0.15, 1.95), "rounded to two digits"),
        ((0.0486, 3.0486), "β is left out"),
        ((0.2928, 1.3728), "β goes in twice"),
        ((0.4375, 1.0375), "β · 1"),
        ((0.2633, 1.4633), "only the chosen text"),
        ((0.8581, 0.1419), "that is σ of the margin"),
        ((-0.8581, -0.1419), "minus σ"),
        ((1.8, -1.8), "that is the margin"),
        ((0.1653, 6.0496), "the 1 in 1 + exp"),
        ((1.1653, 7.0496), "the logarithm is missing"),
        ((0.0, 2.8), "a hinge"),
        ((-0.15298, -1.95298), "the minus of"),
        ((0.2207, 2.8176), "base 2"),
        ((0.0664, 0.8482), "base 10"),
        ((1.95298, 0.15298), "not in the order"),
        ((0.693, 0.693), "a margin of zero"),
        ((0.0292, 1.8292), "β stands before the logarithm"),
        ((0.15298, -0.15298), "not the loss's"),
        ((0.15298, 0.847), "don't add up to one"),
        ((0.15298, 0.15298), "does change the loss"),
        ((0.15298, 3.0486), "`wrong way`: β is left out"),
        ((3.0486, 0.0486), "exchanged, and β is left out"),
        ((0.0147, 4.23), "no exp here"),
        ((0.15298, 0.8581), "sign is turned, and"),
        ((0.1051, 2.305), "only the chosen text's log-ratio"),
        ((0.1051, 2.6716), "only the chosen text's log-ratio"),
        ((0.0716, 2.6716), "only the rejected text's log-ratio"),
        ((0.4375, 1.4633), "only the rejected text"),
        ((0.2014, 1.7014), "at β = 0.5"),
        ((0.309, 1.3248), "isn't twice as likely"),
        ((0.153, 12.77), "how many times as much"),
        ((0.153, 1.8), "by how much the loss rises"),
        ((0.1419, 0.8581), "the weight in the gradient"),
        ((0.0918, 1.1718), "multiplied by β once more"),
        ((0.255, 3.255), "divided by β"),
        ((0.64, 7.84), "that is a square"),
        ((0.9526, 0.0474), "First: β is left out"),
        ((0.3412, 1.2412), "margin is halved"),
        ((1.053, 1.053), "the mean of the loss"),
        (0.153, "you gave 1"),
    ],
    "00.2": [
        ((0.22, 0.81, "b"), "are the runs exchanged"),
        ((0.74, 0.74, "b"), "the two are alike"),
        ((0.0, 0.0, "b"), "neither has moved"),
        ((0.81, 0.0, "b"), "one of the models would"),
        ((0.81, 1.33, "b"), "farther than the first"),
        ((0.776, 0.154, "b"), "all 8,192 pairs"),
        ((0.378, 1.366, "a"), "the last margins"),
        ((0.0389, 0.0106, "b"), "nats a token"),
        ((11.059, 0.421, "b"), "the exact optimum's"),
        ((1.0, 0.1, "c"), "a tenth of the first"),
        ((0.3, 0.5, "b"), "of a fresh copy each"),
        ((0.81, 0.6, "b"), "too far for 64 steps of 16 at β = 2"),
        ((2.01, 0.22, "b"), "the first is too far"),
        ((1.575, 0.277, "b"), "the reference's own texts"),
        ((6.74, 2.32, "b"), "both are much too far"),
        ((0.81, 0.22, "a"), "AdamW divides"),
        ((0.81, 0.22, "c"), "no KL term"),
        ((0.81, 0.22, "d"), "something of β is left"),
        ((0.81, 0.22), "you gave 2 of 3"),
        ("0.2", "write (KL"),
        ((1.47, 0.84, "b"), "`true_reward`"),
        ((0.979, 0.712, "b"), "`objective`"),
        ((0.163, 0.44, "a"), "β times the KL"),
        ((4.07, 0.11, "b"), "KL over β"),
        ((3.6, 0.5, "b"), "too far for 64 steps"),
        ((-0.8, -0.2, "b"), "a KL is negative only by noise"),
    ],
    "00.3": [
        ((1.38, 0.74), "the readers' taste"),
        ((-1.379, 0.740), "with its sign turned"),
        ((-1.377, 0.402), "that looks like β = 2"),
        ((-2.29, 1.069), "that looks like β = 0.2"),
        ((-1.965, 0.0), "trained in place"),
        ((-2.402, 0.730), "the first looks like `objective`"),
        ((-1.791, 0.730), "the change from the reference"),
        ((-2.082, 0.795), "the training prompts"),
        ((0.0, 0.0), "even the reference's reward isn't zero"),
        ((-0.25, 0.0), "has not moved"),
        ((0.25, 0.19), "a fresh copy"),
        ((0.59, 1.17), "a fresh copy"),
        ((0.73, -1.96), "in this order"),
        ((-1.96,), "write (mean true reward, KL)"),
        ((-1.96, -2.4), "`objective`"),
        ((1.96, 0.73), "lost its sign"),
        ((-0.25, 0.5), "the reference's reward"),
        ((0.0, 0.7), "it isn't zero"),
        ((-1.96, -0.73), "a KL is negative"),
        ((-3.9, 2.2), "too far for 64 steps"),
    ],
}
