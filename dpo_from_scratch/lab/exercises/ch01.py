"""Exercises of chapter 01: the log-probability of a reply, one word, the chain rule."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import torch

from ...models import Scorer, load_model, pad_id
from ...scoring import score_examples
from ...tokens import encode
from . import ch01b
from .answers import Numbers, Own
from .functions import Function

PROMPT, REPLY = "film : how was the plot ?", "the plot was superb ! thank you ."
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
}


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
        *((why, logps_with(**{key: value})) for (key, value), why in SINGLE.items()),
        *(
            (f"two things. First: {NO_SHIFT} Second: {why}", logps_with(shift="none", **{k: v}))
            for (k, v), why in SINGLE.items()
            if k == "ends"
        ),
    ],
    shows="From logits to one number a reply.",
)


# ---------------------------------------------------------------- 01.1 and 01.2: single replies
@cache
def score(prompt: str, reply: str, cut: int = 0, end: bool = True) -> float:
    """The model's log-probability of a reply, or of what follows its first `cut` tokens."""
    model, tokenizer = load_model("tiny")
    (whole,) = encode(tokenizer, prompt, reply)
    ids = whole.ids if end else whole.ids[:-1]
    part = replace(whole, ids=ids, prompt_length=whole.prompt_length + cut)
    return score_examples(Scorer(model), [part], pad_id(tokenizer)).item()


WORDS = ("the plot was good .", "the plot was superb .")
WORD = ("probability", "times rarer")


def one_word() -> dict[str, float]:
    """The probability of the first text, and how many times rarer the second is."""
    good, superb = (score(PROMPT, text) for text in WORDS)
    return dict(zip(WORD, np.exp([good, good - superb]).tolist(), strict=True))


def one_words_slips(answer: Mapping[str, float]) -> list:
    """Mistakes with one word."""
    p, q = (score(PROMPT, text) for text in WORDS)
    chance, times = WORD
    prompt_too, ended = score(PROMPT, WORDS[0], cut=-6), score(PROMPT, WORDS[0], end=False)
    n = 6  # tokens of either reply, the end included
    return [
        (chance, p, "that is the log-probability; the probability is asked."),
        (chance, -p, "that is minus the log-probability; the probability is asked."),
        (chance, np.exp(ended), "without its end: it begins with this text, and may go on."),
        (chance, np.exp(prompt_too), "the prompt is scored too."),
        (chance, np.exp(p / n), "that is a mean over the tokens; the product is asked."),
        (chance, np.exp(p / (n - 1)), "that is a mean over the tokens; the product is asked."),
        (chance, np.exp(q), "that is the probability of the other text."),
        (chance, 10**p, "exp undoes a natural logarithm; 10 to the power doesn't."),
        (chance, 2**p, "exp undoes a natural logarithm; 2 to the power doesn't."),
        (chance, np.exp(-p), "that is one in so many; the probability itself is asked."),
        (times, p - q, "that is the difference of the logarithms; a ratio is its exp."),
        (times, q - p, "that is the difference of the logarithms; a ratio is its exp."),
        (times, q / p, "log-probabilities are divided; probabilities are to be."),
        (times, p / q, "log-probabilities are divided; probabilities are to be."),
        (times, np.exp(q - p), "that is how many times as likely; how many times rarer is asked."),
        (times, np.exp((p - q) / n), "the mean over the tokens is taken; a ratio needs the sums."),
        (times, np.exp(p) - np.exp(q), "probabilities are subtracted; how many times is a ratio."),
        (times, np.exp(q), "that is the probability of the other text, not yet a ratio."),
        (times, 10 ** (p - q), "exp undoes a natural logarithm; 10 to the power doesn't."),
        (times, answer[times] - 1, "one less than the ratio: `times` is meant as a ratio."),
    ]


PARTS = ("first part", "rest")


def chain() -> dict[str, float]:
    """log pi of the first five tokens, and of the rest given them."""
    whole, rest = score(PROMPT, REPLY), score(PROMPT, REPLY, cut=5)
    return {"first part": whole - rest, "rest": rest}


def chain_slips(answer: Mapping[str, float]) -> list:
    """Mistakes with the chain rule."""
    first, rest = PARTS
    whole, alone = score(PROMPT, REPLY), score(PROMPT, "thank you .")
    ended, prompt = score(PROMPT, "the plot was superb !"), score(PROMPT, REPLY, cut=-6) - whole
    a, b = answer.values()
    likely = "that is the probability; log-probabilities are asked."
    return [
        (PARTS, np.exp([a, b]), likely),
        (PARTS, [b, a], "the right numbers, but not in the order (first part, rest)."),
        (PARTS, [a / 5, b / 4], "those are means over the tokens; sums are asked."),
        (PARTS, [b + whole, b], "the first part is to be scored, not the rest twice."),
        (first, ended, "the first part has got an end of its own; the reply goes on after it."),
        (first, whole, "that is the whole reply."),
        (first, a + prompt, "the prompt is scored too, as if it were part of the reply."),
        (first, a / 5, "that is a mean over the tokens; the sum is asked."),
        (first, np.exp(a), likely),
        (rest, alone, "the rest has to follow the first part, not the prompt."),
        (rest, whole, "that is the whole reply."),
        (rest, b / 4, "that is a mean over the tokens; the sum is asked."),
        (rest, a + b, "the first part is scored too: it belongs to the prompt now."),
        (rest, np.exp(b), likely),
        (rest, b + a + prompt, "prompt and first part are scored too."),
    ]


def cut_elsewhere(found: Mapping[str, float], answer: Mapping[str, float]) -> str:
    """Right scores for a cut at another place."""
    whole = score(PROMPT, REPLY)
    if abs(found["first part"] + found["rest"] - whole) < 0.02 and found["rest"] < 0.01:
        return "the two add up to the whole reply, but the cut is at another place."
    for cut in range(1, 9):
        rest = score(PROMPT, REPLY, cut=cut)
        if abs(found["rest"] - rest) < 0.02 and abs(answer["rest"] - rest) > 0.05:
            return f"`rest`: the cut is after {cut} tokens of the reply; count them up to the mark."
        if abs(found["first part"] + rest - whole) < 0.02 and abs(answer["rest"] - rest) > 0.05:
            return f"`first part`: the cut is after {cut} tokens of the reply; count again."
    return ""


EXERCISES = {
    "01.0": LOGPS,
    "01.1": Numbers(
        one_word,
        one_words_slips,
        "A text is rare even if each of its words is likely.",
        rtol=0.02,
    ),
    "01.2": Numbers(
        chain,
        chain_slips,
        "Wherever you cut, the parts add up to the whole.",
        rtol=0.005,
        tell=cut_elsewhere,
    ),
    "01.3": Own(ch01b.half_precision, (0.045, 0.047, 0.415, 0.413, "c")),
    "01.4": Own(ch01b.seam, ("\n\nThe plot was good.", "a")),
}
