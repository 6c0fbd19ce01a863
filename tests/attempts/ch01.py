"""Attempts at chapter 01's exercises, right and wrong."""

import math

import numpy as np
import torch
import torch.nn.functional as F


def each(logits, labels):
    """(B, T-1), as the chapter builds it."""
    picked = logits[:, :-1].gather(-1, labels[:, 1:, None]).squeeze(-1)
    return picked - logits[:, :-1].logsumexp(-1)


def loops(logits, labels, mask):
    out = []
    for row in range(len(labels)):
        total = 0.0
        for t in range(1, labels.shape[1]):
            if mask[row, t]:
                total += logits[row, t - 1].log_softmax(-1)[labels[row, t]].item()
        out.append(total)
    return out


def arrays(logits, labels, mask):
    logits, labels, mask = logits.numpy().astype(float), labels.numpy(), mask.numpy()
    logps = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    picked = np.take_along_axis(logps[:, :-1], labels[:, 1:, None], -1)[..., 0]
    return np.where(mask[:, 1:], picked, 0).sum(1)


def crossed(logits, labels, mask):
    loss = F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:], reduction="none")
    return -(loss.masked_fill(~mask[:, 1:], 0)).double().sum(1)


def by_row(logits, labels, mask):
    return torch.stack([each(logits, labels)[i][mask[i, 1:]].sum() for i in range(len(mask))])


def product(logits, labels, mask):
    return (each(logits, labels).exp() + (~mask[:, 1:])).clamp(max=1).prod(-1)


def right_product(logits, labels, mask):
    p = torch.where(mask[:, 1:], each(logits.double(), labels).exp(), 1.0)
    return p.prod(-1).log()


def not_shifted(logits, labels, mask):
    logps = logits.log_softmax(-1).gather(-1, labels[..., None]).squeeze(-1)
    return (logps * mask).sum(-1)


def kept(change):
    """The right sum under another mask."""
    return lambda g, y, m: (each(g, y) * change(m.clone())[:, 1:]).sum(-1)


def last_off(mask):
    for row in mask:
        row[row.nonzero().max()] = False
    return mask


def first_off(mask):
    for row in mask:
        row[row.nonzero().min()] = False
    return mask


def logits_masked(g, y, m):
    return (each(g * m.roll(-1, 1)[..., None], y) * m[:, 1:]).sum(-1)


def raw(g, y, m):
    return (g[:, :-1].gather(-1, y[:, 1:, None]).squeeze(-1) * m[:, 1:]).sum(-1)


def wrong_dim(g, y, m):
    return (g[:, :-1].log_softmax(1).gather(-1, y[:, 1:, None]).squeeze(-1) * m[:, 1:]).sum(-1)


def backwards(g, y, m):
    return (g[:, 1:].log_softmax(-1).gather(-1, y[:, :-1, None]).squeeze(-1) * m[:, :-1]).sum(-1)


def cut_not_shifted(g, y, m):
    return (g.log_softmax(-1).gather(-1, y[..., None]).squeeze(-1)[:, :-1] * m[:, :-1]).sum(-1)


def unshifted_mean(g, y, m):
    return not_shifted(g, y, m) / m.sum(-1)


def scaled_at_the_end(g, y, m):
    m = m[:, 1:]
    picked = (g[:, :-1].gather(-1, y[:, 1:, None]).squeeze(-1) * m).sum(-1)
    return picked - (g[:, :-1] * m[..., None]).sum(1).logsumexp(-1)


P, TIMES = 3.5446e-4, 3.2975
ERRORS = (0.0448, 0.0469, 0.4155, 0.413)
RIGHT = {
    "01.0": [loops, arrays, crossed, by_row, right_product],
    "01.1": [
        (P, TIMES),
        (1 / 2821, 3.3),
        (0.00035, 3.3),
        {"times rarer": 3.3, "probability": np.float32(P)},
        torch.tensor([P, TIMES]),
    ],
    "01.2": [(-6.7764, -4.1878), [-6.78, -4.19], torch.tensor([-6.7764, -4.1878])],
    "01.3": [
        (ERRORS, "c"),
        (*ERRORS, "c"),
        [0.04, 0.05, 0.42, 0.41, "C"],
        (*map(np.float32, ERRORS), "c."),
    ],
    "01.4": [
        ("\n\nThe plot was good.", "a"),
        [{"role": "assistant", "content": "\n\n\nx"}, "A"],
        ("\n \n", "(a)"),
    ],
}
WRONG = {
    "01.0": [
        (not_shifted, "nothing is shifted"),
        (cut_not_shifted, "nothing is shifted"),
        (backwards, "the wrong way"),
        (lambda g, y, m: (each(g, y) * m[:, :-1]).sum(-1), "moved along"),
        (lambda g, y, m: each(g, y).sum(-1), "prompt and padding are scored too"),
        (kept(lambda m: ~m), "turned round"),
        (kept(last_off), "the end, is left out"),
        (kept(first_off), "first token is left out"),
        (lambda g, y, m: (each(g, y) * m[:, 1:]).sum(-1) / m.sum(-1), "a mean"),
        (lambda g, y, m: (each(g, y) * m[:, 1:]).mean(-1), "the number of places"),
        (unshifted_mean, "Second: "),
        (lambda g, y, m: each(g, y) * m[:, 1:], "are not added up"),
        (lambda g, y, m: each(g, y)[m[:, 1:]], "are not added up"),
        (lambda g, y, m: each(g, y)[m[:, 1:]].sum(), "all rows are added up"),
        (lambda g, y, m: (each(g, y) * m[:, 1:]).sum(-1).mean(), "the mean over the batch"),
        (lambda g, y, m: each(g, y)[m[:, 1:]].mean(), "all tokens of the batch"),
        (lambda g, y, m: (each(g, y) * m[:, 1:]).sum(0), "over the rows of the batch"),
        (raw, "the log-softmax is missing"),
        (wrong_dim, "over the places"),
        (lambda g, y, m: (each(g.softmax(-1), y) * m[:, 1:]).sum(-1), "softmax is taken twice"),
        (lambda g, y, m: (each(g, y).exp() * m[:, 1:]).sum(-1), "probabilities are added up"),
        (product, "a `log` is missing"),
        (lambda g, y, m: (each(g, y).exp() * m[:, 1:]).log().sum(-1), "log 0 is minus infinity"),
        (lambda g, y, m: -(each(g, y) * m[:, 1:]).sum(-1), "the sign is turned"),
        (lambda g, y, m: (each(g, y) * m[:, 1:]).sum(-1) / math.log(2), "base 2"),
        (lambda g, y, m: (each(g, y)[:, :-1] * m[:, 1:-1]).sum(-1), "cut off twice"),
        (lambda g, y, m: torch.log((each(g, y).exp() * m[:, 1:]).sum(-1)), "the log of a sum"),
        (kept(lambda m: m.flip(1).cumsum(1).flip(1) > 0), "the prompt is scored too"),
        (lambda g, y, m: torch.exp(-(each(g, y) * m[:, 1:]).sum(-1) / m.sum(-1)), "perplexity"),
        (lambda g, y, m: -each(g, y)[m[:, 1:]].mean(), "a mean loss"),
        (scaled_at_the_end, "once a text"),
        (kept(lambda m: m.cumsum(1) > 0), "the padding too"),
        (
            lambda g, y, m: (
                F.logsigmoid(g)[:, :-1].gather(-1, y[:, 1:, None])[..., 0] * m[:, 1:]
            ).sum(-1),
            "a sigmoid of its own",
        ),
        (lambda g, y, m: (g.log_softmax(-1).amax(-1)[:, :-1] * m[:, 1:]).sum(-1), "the likeliest"),
        (lambda g, y, m: (each(g, y) * m[:, 1:]).mean(), "the mean over all places"),
        (lambda g, y, m: (each(g, y) * m[:, 1:]).cumsum(-1), "along the way"),
        (lambda g, y, m: (each(g, y) * m).sum(-1), "it raises RuntimeError"),
        (lambda g, y, m: (each(g, y) * m[:, 1:]).sum(-1)[0], "only the first row"),
    ],
    "01.1": [
        ((0.0004, 4.0), "rounded to four decimals before"),
        ((0.0004, 3.3), "hardly a digit is left"),
        ((-7.9448, TIMES), "that is the log-probability"),
        ((2821, 3.3), "one in so many"),
        ((0.00855, 3.28), "it begins with this text"),
        ((6.67e-26, 3.3), "the prompt is scored too"),
        ((0.266, 3.3), "a mean over the tokens"),
        ((1.0749e-4, 3.3), "the other text"),
        ((P, 1.1932), "the difference of the logarithms"),
        ((P, 1.1502), "log-probabilities are divided"),
        ((P, 0.3033), "how many times as likely"),
        ((P, 2.47e-4), "probabilities are subtracted"),
        ((1.13e-8, 3.3), "10 to the power"),
        ((0.035446, 3.3), "in per cent"),
        ((0.05129, 3.2763), "the one word alone"),
        ((5.991e-4, 3.2975), "first token isn't scored"),
        ((2.7101, 1.0136), "probabilities are added"),
        ((3.478e-4, 3.25), "the grammar's own"),
        ((0.00869505, 3.25), "the mini world's"),
        ((P, 9302), "one in so many for the other"),
        ((P, 0.6967), "by what share"),
        ((P, 0.7673), "share of the two"),
        ((P, -9.1378), "the log-probability of the other"),
        ((-3.4504, TIMES), "to base 10"),
        ((4.62e-4, TIMES), "either text"),
        ((TIMES, P), "not in the order"),
    ],
    "01.2": [
        ((-9.9754, -4.1878), "an end of its own"),
        ((-6.7764, -11.368), "has to follow the first part"),
        ((-4.1878, -6.7764), "not in the order"),
        ((-5.5863, -5.378), "the cut is at another place"),
        ((-6.7764, -5.378), "after 4 tokens"),
        ((-1.3553, -1.047), "means over the tokens"),
        ((0.00114, 0.01518), "that is the probability"),
        ((-6.7764, -10.9642), "that is the whole reply"),
        ((6.7764, 4.1878), "the sign is turned round"),
        ((-10.964, -0.00027), "the cut could be there"),
        ((-1.1902, -4.1878), "the mark alone"),
        ((-0.5248, -4.1878), "the first token alone"),
        ((-9.9754, -11.368), "Second: the rest has"),
        ((-0.753, -0.4653), "the length of the reply"),
        ((-6.7764,), "you gave 1"),
    ],
    "01.3": [
        ((-0.0012, -0.0033, -0.172, -0.1694, "c"), "absolute values first"),
        ((0.0012, 0.0033, 0.172, 0.1694, "c"), "comes before the mean"),
        ((0.0346, 0.0357, 0.3201, 0.3192, "c"), "30 tokens or more"),
        ((0.0562, 0.0587, 0.5276, 0.5242, "c"), "root mean square"),
        ((0.00143, 0.0015, 0.01323, 0.01315, "c"), "divided by the length"),
        ((0.0448, 0.0469, 0.0448, 0.0469, "c"), "before the rounding"),
        ((0.19, 0.181, 1.58, 1.587, "c"), "the largest error"),
        ((0.4155, 0.413, 0.0448, 0.0469, "c"), "are exchanged"),
        ((0.0, 0.0469, 0.0, 0.413, "c"), "the truth is of the rounded logits"),
        ((*ERRORS, "a"), "saves hardly anything"),
        ((*ERRORS, "b"), "both ways cast before"),
        ((0.0387, 0.0402, 0.3604, 0.3594, "c"), "either shorter texts are among them"),
        ((0.0356, 0.0396, 0.3641, 0.3675, "c"), "either shorter texts are among them"),
        ((0.0213, 0.0215, 0.1609, 0.1601, "c"), "up to 9 tokens"),
        ((0.0048, 0.0053, 0.0534, 0.0536, "c"), "float16"),
        ((0.0448, 0.0469, 6.0, 6.0, "c"), "1000 taken off"),
        ((0.0, 0.0, 0.0, 0.0, "c"), "nothing was rounded"),
        (ERRORS, "four numbers and a letter"),
    ],
    "01.4": [
        (("The plot was good.", "a"), "its first word"),
        (("\nThe plot was good.", "a"), "one line break before a word"),
        ((" The plot was good.", "a"), "this kind of space"),
        (("The plot was good.\n\n", "a"), "the end of the response"),
        (("\\n\\nThe plot", "a"), "a backslash"),
        (("\n\nThe plot was good.", "b"), "change the prompt's ids"),
        (("\n\nThe plot was good.", "c"), "its line breaks are there"),
        (("\n\nThe plot was good.", "d"), "it raises nothing"),
        ("\n\nThe plot was good.", "write (a response"),
    ],
}
