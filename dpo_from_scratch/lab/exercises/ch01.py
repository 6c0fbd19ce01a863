"""Exercises of chapter 01: the log-probability of a reply, one word, the chain rule."""

from collections.abc import Callable

import torch

from . import ch01b
from .answers import Own
from .ch01_replies import CHAIN, ONE_WORD
from .functions import Function

NO_SHIFT = "nothing is shifted: position t predicts token t + 1, not the token that it has read."
PER_ROW = "one number is asked for each row of the batch"


# ---------------------------------------------------------------- 01.0: a reply's log-probability
def sequence_logps(logits, labels, mask, *, shift="", move=True, logs="", ends="", keep=""):
    """log pi(y|x) of each row, (B,); the keywords are mistakes."""
    before, came, scored = SHIFTS[shift](logits, labels, mask)
    if not move:
        scored = mask[:, : came.shape[1]]
    scored = KEPT[keep](scored)
    if logs == "masked":
        before = before * scored.unsqueeze(-1)
    if logs == "log of masked":
        each = before.softmax(-1).gather(-1, came.unsqueeze(-1)).squeeze(-1)
        return (each * scored).log().sum(-1)
    each = LOGS[logs](before).gather(-1, came.unsqueeze(-1)).squeeze(-1)
    return ENDS[ends](each, scored)


SHIFTS: dict[str, Callable] = {
    "": lambda g, y, m: (g[:, :-1], y[:, 1:], m[:, 1:]),
    "none": lambda g, y, m: (g, y, m),
    "none, cut": lambda g, y, m: (g[:, :-1], y[:, :-1], m[:, :-1]),
    "mask alone": lambda g, y, m: (g[:, :-1], y[:, :-1], m[:, 1:]),
    "back": lambda g, y, m: (g[:, 1:], y[:, :-1], m[:, :-1]),
    "roll": lambda g, y, m: (g[:, :-2], y[:, 2:], m[:, 2:]),
}
KEPT: dict[str, Callable] = {
    "": lambda m: m,
    "all": torch.ones_like,
    "not": lambda m: ~m,
    "from the prompt on": lambda m: m.flip(1).cumsum(1).flip(1) > 0,
    "cut": lambda m: m & (torch.arange(m.shape[1]) < m.shape[1] - 1),
    "cut before": lambda m: m & (torch.arange(m.shape[1]) > 0),
    "no last": lambda m: m & (m.flip(1).cumsum(1).flip(1) > 1),
    "no first": lambda m: m & (m.cumsum(1) > 1),
    "one before": lambda m: m | (m.roll(-1, 1) & (torch.arange(m.shape[1]) < m.shape[1] - 1)),
    "one after": lambda m: m | (m.roll(1, 1) & (torch.arange(m.shape[1]) > 0)),
    "padding": lambda m: m.cumsum(1) > 0,
    "prompt alone": lambda m: m.cumsum(1) == 0,
    "first": lambda m: m & (m.cumsum(1) == 1),
    "last": lambda m: m & (m.flip(1).cumsum(1).flip(1) == 1),
}
LOGS: dict[str, Callable] = {
    "": lambda g: g.log_softmax(-1),
    "logits": lambda g: g,
    "masked": lambda g: g.log_softmax(-1),
    "softmax": lambda g: g.softmax(-1),
    "twice": lambda g: g.softmax(-1).log_softmax(-1),
    "places": lambda g: g.log_softmax(1),
    "batch": lambda g: g.log_softmax(0),
    "log": lambda g: g.log(),
    "sigmoid": torch.nn.functional.logsigmoid,
    "largest": lambda g: g - g.amax(-1, keepdim=True),
    "mean off": lambda g: g - g.mean(-1, keepdim=True),
    "likeliest": lambda g: 0 * g + g.log_softmax(-1).amax(-1, keepdim=True),
    "entropy": lambda g: 0 * g - (g.log_softmax(-1) * g.softmax(-1)).sum(-1, keepdim=True),
}
ENDS: dict[str, Callable] = {
    "": lambda e, m: (e * m).sum(-1),
    "mean": lambda e, m: (e * m).sum(-1) / m.sum(-1),
    "mean of all": lambda e, m: (e * m).mean(-1),
    "mean of places": lambda e, m: (e * m).sum(-1) / (m.shape[1] + 1),
    "no sum": lambda e, m: e * m,
    "no sum, cut": lambda e, m: e[m],
    "columns": lambda e, m: (e * m).sum(0),
    "batch": lambda e, m: (e * m).sum(),
    "batch mean": lambda e, m: (e * m).sum(-1).mean(),
    "token mean": lambda e, m: e[m].mean(),
    "one": lambda e, m: (e * m).sum(-1)[0],
    "minus token mean": lambda e, m: -e[m].mean(),
    "minus batch": lambda e, m: -(e * m).sum(),
    "perplexity": lambda e, m: torch.exp(-(e * m).sum(-1) / m.sum(-1)),
    "log of sum": lambda e, m: torch.log((e.exp() * m).sum(-1)),
    "log of mean": lambda e, m: torch.log((e.exp() * m).sum(-1) / m.sum(-1)),
    "product": lambda e, m: torch.where(m, e, 1.0).prod(-1),
    "mean of places of the batch": lambda e, m: (e * m).mean(),
    "root": lambda e, m: (e * m).sum(-1) / m.sum(-1).sqrt(),
    "exp of mean": lambda e, m: torch.exp((e * m).sum(-1) / m.sum(-1)),
    "least": lambda e, m: torch.where(m, e, 0.0).amin(-1),
    "along": lambda e, m: (e * m).cumsum(-1),
}


def _scaled_at_the_end(logits, labels, mask):
    """One logsumexp a text, of the logits' sum."""
    before, scored = logits[:, :-1], mask[:, 1:]
    picked = before.gather(-1, labels[:, 1:, None]).squeeze(-1)
    return (picked * scored).sum(-1) - (before * scored.unsqueeze(-1)).sum(1).logsumexp(-1)


def _scaled_once(logits, labels, mask):
    """One logsumexp a text, over all its places."""
    picked = logits[:, :-1].gather(-1, labels[:, 1:, None]).squeeze(-1)
    each = logits[:, :-1].logsumexp(-1).masked_fill(~mask[:, 1:], -torch.inf)
    return (picked * mask[:, 1:]).sum(-1) - each.logsumexp(-1)


def batches() -> list[dict]:
    """Logits, labels and masks of some rows, padded right, right and left."""
    rng, cases = torch.Generator().manual_seed(1), []
    for spans, places, words in (
        (((2, 6), (3, 5)), 7, 5),
        (((2, 4), (1, 8), (4, 7)), 8, 6),
        (((3, 7), (5, 7)), 7, 4),
    ):
        shape = (len(spans), places)
        mask = torch.zeros(shape, dtype=torch.bool)
        for row, (start, end) in enumerate(spans):
            mask[row, start:end] = True
        logits = 2 * torch.randn(*shape, words, generator=rng) + 0.5
        labels = torch.randint(words, shape, generator=rng)
        cases.append({"logits": logits, "labels": labels, "mask": mask})
    return cases


def logps_with(**slips) -> Callable:
    """The log-probability with these mistakes."""
    return lambda *arguments: sequence_logps(*arguments, **slips)


SINGLE = {
    ("shift", "none, cut"): NO_SHIFT,
    ("shift", "mask alone"): "the mask is shifted and the labels are not.",
    ("shift", "back"): "the shift goes the wrong way: position t predicts token t + 1.",
    ("shift", "roll"): "the shift is by two places.",
    ("keep", "not"): "the mask is turned round: prompt and padding are scored, the reply is not.",
    ("keep", "no first"): "the reply's first token is left out.",
    ("keep", "first"): "only the reply's first token is scored.",
    ("keep", "last"): "only the reply's last token is scored.",
    ("logs", "softmax"): "probabilities are added up; their logarithms are asked.",
    ("logs", "twice"): "softmax is taken twice: log-softmax of what is a softmax already.",
    ("logs", "places"): "the softmax runs over the places, not over the possible tokens.",
    ("logs", "batch"): "the softmax runs over the rows, not over the possible tokens.",
    ("keep", "one before"): "the prompt's last token is scored too: one place too early.",
    ("keep", "one after"): "the place after the reply is scored too.",
    ("keep", "padding"): "all that comes after the prompt is scored, the padding too.",
    ("keep", "prompt alone"): "the prompt is scored, the reply is not.",
    ("logs", "sigmoid"): "each logit has a sigmoid of its own; a softmax makes them one choice.",
    ("logs", "largest"): "the largest logit is subtracted; it should be their logsumexp.",
    ("logs", "mean off"): "the mean of the logits is subtracted; it should be their logsumexp.",
    ("logs", "likeliest"): "the likeliest token is scored in each place, not the one that came.",
    ("logs", "entropy"): "that is the entropy; asked is the logarithm of what came.",
    ("logs", "log"): "the logarithm of the logits themselves is taken: softmax is missing.",
    ("logs", "masked"): "the mask multiplies the logits; it belongs on the log-probabilities.",
    ("logs", "log of masked"): "the mask comes before the logarithm: log 0 is minus infinity.",
    ("ends", "mean of all"): "it is divided by the number of places, padding included.",
    ("ends", "mean of places"): "it is divided by the number of places, padding included.",
    ("ends", "no sum"): f"the tokens are not added up: {PER_ROW}.",
    ("ends", "no sum, cut"): f"the tokens are not added up: {PER_ROW}.",
    ("ends", "columns"): "it adds up over the rows of the batch; add up over the tokens.",
    ("ends", "batch"): f"all rows are added up: {PER_ROW}.",
    ("ends", "batch mean"): f"the mean over the batch is taken: {PER_ROW}.",
    ("ends", "token mean"): f"the mean over all tokens of the batch is taken: {PER_ROW}.",
    ("ends", "mean of places of the batch"): f"the mean over all places is taken: {PER_ROW}.",
    ("ends", "root"): "it is divided by the root of the number of tokens: the sum is asked.",
    ("ends", "exp of mean"): "that is exp of the mean; the sum of the logarithms is asked.",
    ("ends", "least"): "that is the least likely token alone; the sum is asked.",
    ("ends", "along"): f"it is added up along the way: {PER_ROW}.",
    ("ends", "one"): f"only the first row is scored: {PER_ROW}.",
    ("ends", "minus token mean"): f"that is a mean loss over all tokens: {PER_ROW}.",
    ("ends", "minus batch"): f"that is a loss of the whole batch: {PER_ROW}.",
    ("ends", "perplexity"): "that is the perplexity: exp of minus the mean; the sum is asked.",
    ("ends", "log of sum"): "the logarithm comes before the sum: that is the log of a sum.",
    ("ends", "log of mean"): "the logarithm comes before the mean, and a sum is asked.",
    ("keep", "from the prompt on"): "the prompt is scored too.",
    ("keep", "cut"): "the last place is cut off twice: rows that reach it lose their end.",
    ("keep", "cut before"): "the first place is cut off twice: a reply loses its first token.",
    ("ends", "product"): "log-probabilities are multiplied; the log of a product is a sum.",
}
LOGPS = Function(
    sequence_logps,
    batches(),
    switches={
        "shift": ("none", NO_SHIFT),
        "move": (False, "the mask isn't moved along with the labels."),
        "keep": ("all", "the mask isn't used: prompt and padding are scored too."),
        "ends": ("mean", "it is divided by the number of tokens: a mean, and the sum is asked."),
        "logs": ("logits", "logits are no log-probabilities: the log-softmax is missing."),
    },
    wrongs=[
        ("the last token, the end, is left out.", logps_with(keep="no last")),
        *(
            ("the logsumexp comes off once a text; each place has its own.", function)
            for function in (_scaled_at_the_end, _scaled_once)
        ),
        *((why, logps_with(**{key: value})) for (key, value), why in SINGLE.items()),
        *(
            (f"two things. First: {NO_SHIFT} Second: {why}", logps_with(shift="none", **{k: v}))
            for (k, v), why in SINGLE.items()
            if k == "ends"
        ),
    ],
    shows="From logits to one number a reply.",
)


EXERCISES = {
    "01.0": LOGPS,
    "01.1": ONE_WORD,
    "01.2": CHAIN,
    "01.3": ch01b.HALF_PRECISION,
    "01.4": Own(ch01b.seam, ("\n\nThe plot was good.", "a")),
}
