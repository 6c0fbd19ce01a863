"""Attempts at chapter 13's exercises."""

import numpy as np
import torch

from dpo_from_scratch.tokens import Example


def rolled(batch):
    order = np.roll(np.arange(len(batch)), -1)
    found = []
    for i, j in enumerate(order):
        n = batch[i].prompt_length
        found.append(Example(batch[i].ids[:n] + batch[j].ids[batch[j].prompt_length :], n))
    return found


def lists(batch):
    return tuple(
        Example(
            [*a.ids[: a.prompt_length], *b.ids[-b.response_length :]],
            torch.tensor(a.prompt_length),
        )
        for a, b in zip(batch, [*batch[1:], batch[0]], strict=True)
    )


def mixed(make, after=lambda batch: batch[1:] + batch[:1]):
    return lambda batch: [make(a, b) for a, b in zip(batch, after(batch), strict=False)]


def join(a, b, n=None, of=0, to=None):
    n = a.prompt_length if n is None else n
    return Example(a.ids[: a.prompt_length] + b.ids[b.prompt_length + of : to], n)


ROWS_WRONG = [
    (mixed(join, lambda batch: batch[-1:] + batch[:-1]), "the row before"),
    (mixed(join, lambda batch: batch[1:]), "the last row is missing"),
    (mixed(join, lambda batch: batch), "keeps its own response"),
    (mixed(lambda a, b: join(b, a)), "the row before's response"),
    (mixed(lambda a, b: Example(a.ids[: a.prompt_length] + b.ids[a.prompt_length :],
                                a.prompt_length)), "cut at this row's prompt length"),
    (mixed(lambda a, b: Example(a.ids[: b.prompt_length] + b.ids[b.prompt_length :],
                                b.prompt_length)), "this row's prompt is cut at the next"),
    (mixed(lambda a, b: join(a, b, n=b.prompt_length)), "`prompt_length` is that of the next row"),
    (mixed(lambda a, b: Example(a.ids[: a.prompt_length] + b.ids, a.prompt_length)),
     "its prompt too"),
    (mixed(lambda a, b: Example(a.ids + b.ids[b.prompt_length :], a.prompt_length)),
     "after the row's own one"),
    (mixed(lambda a, b: join(a, b, n=0)), "the prompt would be scored too"),
    (mixed(lambda a, b: join(a, b, n=b.response_length)), "holds the length of the response"),
    (mixed(lambda a, b: join(a, b, n=a.prompt_length + b.response_length)), "the whole row"),
    (mixed(lambda a, b: join(a, b, to=-1)), "its end token"),
    (mixed(lambda a, b: join(a, b, of=-1)), "last token of the next prompt"),
    (mixed(lambda a, b: join(a, b, of=1)), "its first token"),
    (mixed(lambda a, b: Example(b.ids[b.prompt_length :], 0)), "the prompt is missing"),
    (mixed(join, lambda batch: batch[::-1]), "some rows keep their own response"),
    (mixed(join, lambda batch: batch[2:] + batch[:2]), "the row after the next"),
    (mixed(lambda a, b: b), "the prompt is the next row's, too"),
    (lambda batch: mixed(join)(batch)[::-1], "opposite order"),
    (lambda batch: [*batch, *mixed(join)(batch)], "stand before the new ones"),
    (lambda batch: [join(a, batch[0]) for a in batch], "the first row's response"),
    (lambda batch: [join(a, batch[-1]) for a in batch], "the last row's response"),
    (lambda batch: [*mixed(join)(batch)[:-1], batch[-1]], "keeps its own response"),
    (mixed(lambda a, b: join(a, b, n=a.prompt_length + 1)), "one too large"),
    (mixed(lambda a, b: join(a, b, n=a.prompt_length - 1)), "one too small"),
    (mixed(lambda a, b: join(a, b, n=len(a.ids))), "the whole old row"),
    (mixed(lambda a, b: join(a, b, of=2)), "first two tokens"),
    (mixed(lambda a, b: join(a, b, to=b.prompt_length)), "only the prompt is left"),
    (mixed(lambda a, b: join(a, a, to=a.prompt_length + b.response_length)), "own response stays"),
    (mixed(lambda a, b: join(a, b, to=-1), lambda batch: batch[1:]), "Second: the last row"),
    (mixed(lambda a, b: join(a, b, to=-1), lambda batch: batch[-1:] + batch[:-1]),
     "of the row before. Second"),
    (lambda batch: [join(a, b) for a in batch for b in batch if a is not b], "every other"),
    (mixed(lambda a, b: join(a, b, n=b.prompt_length), lambda batch: batch[1:]), "two things"),
    (lambda batch: [join(a, b).ids for a, b in zip(batch, batch[1:] + batch[:1], strict=True)],
     "a list of Examples is asked"),
]  # fmt: skip


def by_hand(of_kind, up):
    liked = [k for k, u in zip(of_kind.tolist(), up.tolist(), strict=True) if u]
    rest = [k for k, u in zip(of_kind.tolist(), up.tolist(), strict=True) if not u]
    return (sum(liked) / len(liked)) / (sum(rest) / len(rest))


def odds_of_p(of_kind, up):
    a, b = of_kind[up].float().mean(), of_kind[~up].float().mean()
    p = a / (a + b)
    return p / (1 - p)


def array(t):
    return np.asarray(t)


RIGHT = {
    "13.0": [rolled, lists, mixed(join)],
    "13.1": [(-0.49, 0.090, -8.05), {"δ at rest": -0.489, "KL to π*": 0.0901,
                                     "δ with a ninth of the odds": -8.28}, [-0.485, 0.09, -8.1]],
    "13.2": [(0.0101, 0.0135), np.array([1, 4 / 3]) / 99, (0.0101, 0.01347)],
    "13.3": [by_hand, odds_of_p,
             lambda k, u: array(k)[array(u)].mean() / array(k)[~array(u)].mean(),
             lambda k, u: (k & u).sum() / u.sum() * (~u).sum() / (k & ~u).sum()],
}  # fmt: skip
WRONG = {
    "13.0": ROWS_WRONG,
    "13.1": [
        ((-0.894, 0.0, -8.05), "where π* is"),
        ((-0.275, 0.09, -8.05), "after one round"),
        ((-0.49, 0.0957, -8.05), "the wrong way round"),
        ((-0.381, 0.09, -8.05), "after 2 rounds"),
        ((-0.49, 0.15, -8.05), "the KL over β"),
        ((-0.49, 3.82, -8.05), "with a ninth of the odds"),
        ((-0.49, 0.09, -1.99), "in the last round"),
        ((-0.49, 0.595, -8.05), "to the reference, not to π*"),
        ((-0.49, 0.982, -8.05), "how far π* is from the reference"),
        ((-0.49, 1.20, -8.05), "no KL"),
        ((-0.49, 0.09, -2.04), "the first round's δ"),
        ((-0.49, 0.09, -6.06), "after three rounds"),
        ((-0.49, 0.09, -16.2), "after eight rounds"),
        ((-0.49, 0.09, -0.459), "with the odds as they are"),
        ((-0.49, 0.09, 1.303), "the right δ"),
        ((-0.49, 0.09, -6.97), "began at the right δ"),
        ((-0.49, 0.09, -8.77), "began where the first eight ended"),
        ((0.49, 0.09, 8.05), "the sign is turned round"),
        ((0.09, -0.49, -8.05), "not in the order"),
        ((-0.979, 0.09, -16.56), "doubled"),
        ((0.0, 0.09, -8.28), "begins at 0"),
        ((-0.489, 0.09, -2.197), "the logarithm of a ninth"),
        ((-0.489, 0.09, -2.687), "either log 9"),
        ((0.894, 0.09, -8.28), "β log Z"),
        ((0.13, 0.3, -8.05), "the middle of the rewards"),
        ((-51.0, 3.9, -62.0), "added up; δ is their middle"),
        ((-44.0, 3.9, -40.0), "yours runs away"),
        ((-0.449, 0.1, -8.05), "the mean over all replies"),
        ((-0.212, 0.2, -2.7), "β goes in twice"),
    ],
    "13.2": [
        ((1, 1), "TRL would warn"),
        ((0.01, 0.013), "three digits"),
        ((1, 1.333), "it also holds the counts"),
        ((99, 132), "upside down"),
        ((0.01, 0.01333), "1 to 100"),
        ((0.0076, 0.0101), "4/3 goes in upside down"),
        ((0.0101, 1.333), "the upper bound forgets the counts"),
        ((74.25, 99), "for λ_down, with λ_up = 1"),
        ((0.0135, 0.0101), "not in the order"),
        ((0.99, 1.32), "the share of thumbs-up"),
        ((1.01, 1.3468), "either that is in per cent"),
        ((0.0101, 0.0101), "stands twice"),
        ((0.0102, 0.0136), "the ratio is 99"),
        ((0.0101, 0.0076), "not 3/4"),
        ((0.0101, 1.0), "the larger weight is λ_down"),
        ((0.0050, 0.0067), "your weights make"),
        ((0.0101, 0.3434), "1/3 is added"),
    ],
    "13.3": [
        (lambda k, u: k[~u].float().mean() / k[u].float().mean(), "upside down"),
        (lambda k, u: (k & u).sum() / (k & ~u).sum(), "the class sizes go in"),
        (lambda k, u: u[k].float().mean() / (~u)[k].float().mean(), "the class sizes go in"),
        (lambda k, u: k[u].float().mean() / k.float().mean(), "among all rows"),
        (lambda k, u: u[k].float().mean() / u[~k].float().mean(), "the conditional is turned"),
        (lambda k, u: k[u].float().mean(), "undivided"),
        (lambda k, u: k[~u].float().mean(), "divide by it"),
        (lambda k, u: u[k].float().mean(), "the share of thumbs-up in this kind"),
        (lambda k, u: (~k)[u].float().mean() / (~k)[~u].float().mean(), "the other kind"),
        (lambda k, u: k[u].float().mean() - k[~u].float().mean(), "subtracted"),
        (lambda k, u: odds_of_p(k, u) / (1 + odds_of_p(k, u)), "that is p"),
        (lambda k, u: np.log(by_hand(k, u)), "the logarithm"),
        (lambda k, u: 1 - odds_of_p(k, u) / (1 + odds_of_p(k, u)), "that is 1 - p"),
        (lambda k, u: k[u].float().mean() / (~k)[u].float().mean(), "within the liked rows"),
        (lambda k, u: (k & u).float().mean() / (k & ~u).float().mean(), "the class sizes go in"),
        (lambda k, u: max(0.5, by_hand(k, u)) * 2, "twice"),
        (lambda k, u: u.sum() / (~u).sum(), "the kind doesn't go in"),
        (lambda k, u: max(1.0, by_hand(k, u)), "raised to 1"),
        (lambda k, u: min(1.0, by_hand(k, u)), "cut to 1"),
        (lambda k, u: k.float().mean() / k[~u].float().mean(), "all rows' share over"),
        (lambda k, u: k.float().mean(), "share among all rows"),
        (lambda k, u: (k & u).float().mean(), "of this kind and up"),
        (lambda k, u: u[~k].float().mean() / (~u)[~k].float().mean(), "of the other kind"),
        (lambda k, u: k[~u].float().mean() / (~k)[~u].float().mean(), "within the disliked"),
        (lambda k, u: by_hand(k, u) - 1, "the excess over 1"),
        (lambda k, u: k[u].float().mean() * k[~u].float().mean(), "multiplied; divide"),
    ],
}  # fmt: skip


def smoothed(of_kind, up):
    shares = [(of_kind[x].sum() + 1) / (x.sum() + 2) for x in (up, ~up)]
    return (shares[0] / shares[1]).item()


WRONG["13.3"] += [(smoothed, "a one is added to the counts")]
