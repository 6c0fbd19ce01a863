"""Chapter 05's exercises on numbers: the loss of SFT, one number a text, and mixed batches."""

import numpy as np
import torch

from .functions import Function
from .worked import Trainable


# ---------------------------------------------------------------- 05.0, the loss
def response_nll(
    logits,
    input_ids,
    response_mask,
    *,
    shift="ahead",
    score="response",
    over="sum",
    sign=1,
    end="log",
):
    """-log pi(y|x) of each text, (B,)."""
    T = input_ids.shape[1]
    now, token = {
        "ahead": (slice(0, T - 1), slice(1, T)), "none": (slice(0, T), slice(0, T)),
        "back": (slice(1, T), slice(0, T - 1)), "two": (slice(0, T - 2), slice(2, T)),
    }[shift]  # fmt: skip
    marked = {
        "response": response_mask, "all": torch.ones_like(response_mask), "not": ~response_mask,
        "no first": response_mask & torch.cat([0 * response_mask[:, :1], response_mask[:, :-1]], 1),
        "no last": response_mask & torch.cat([response_mask[:, 1:], 0 * response_mask[:, :1]], 1),
        "first": response_mask & ~torch.cat([0 * response_mask[:, :1], response_mask[:, :-1]], 1),
        "with prompt": response_mask.flip(1).cumsum(1).flip(1) > 0,
    }[score].bool()  # fmt: skip
    mask = marked[:, token].to(logits.dtype)
    logps = {"log": logits.log_softmax(-1), "raw": logits, "probability": logits.softmax(-1),
             "places": logits.log_softmax(1)}[end][:, now]  # fmt: skip
    nll = -sign * logps.gather(-1, input_ids[:, token, None]).squeeze(-1) * mask
    whole = nll.sum(-1)
    return {
        "sum": whole, "mean": whole / mask.sum(-1), "width": whole / mask.shape[1],
        "texts": whole.mean(), "all": whole.sum(), "tokens": whole.sum() / mask.sum(),
        "token by token": nll, "share": whole / mask.sum(), "number": whole / len(whole),
        "root": whole / mask.sum(-1).sqrt(),
    }[over]  # fmt: skip


def _as(**keywords):
    return lambda *case: response_nll(*case, **keywords)


def _mask_not_shifted(logits, input_ids, response_mask):
    """Tokens shifted, the mask not: it marks one place too far to the right."""
    logps = logits[:, :-1].log_softmax(-1).gather(-1, input_ids[:, 1:, None]).squeeze(-1)
    return -(logps * response_mask[:, :-1]).sum(-1)


def _log_of_mean(logits, input_ids, response_mask):
    """Minus the logarithm of the mean probability of the response's tokens."""
    p = logits[:, :-1].softmax(-1).gather(-1, input_ids[:, 1:, None]).squeeze(-1)
    return -((p * response_mask[:, 1:]).sum(-1) / response_mask[:, 1:].sum(-1)).log()


def _log_of_sum(logits, input_ids, response_mask):
    p = logits[:, :-1].softmax(-1).gather(-1, input_ids[:, 1:, None]).squeeze(-1)
    return -(p * response_mask[:, 1:]).sum(-1).log()


def _masked_logits(logits, input_ids, response_mask):
    """The mask on the logits, before the softmax: the other tokens then cost log V each."""
    kept = logits * response_mask[..., None]
    return _as(score="all")(kept, input_ids, response_mask)


def _entropy(logits, input_ids, response_mask):
    logps = logits[:, :-1].log_softmax(-1)
    return -((logps.exp() * logps).sum(-1) * response_mask[:, 1:]).sum(-1)


def _likeliest(logits, input_ids, response_mask):
    """The likeliest token's log-probability in place of the one that comes."""
    return -(logits[:, :-1].log_softmax(-1).amax(-1) * response_mask[:, 1:]).sum(-1)


def _batches() -> list[dict]:
    """Three batches: prompts, responses and padding of different lengths."""
    rng, cases = torch.Generator().manual_seed(2), []
    shapes = (
        (8, 11, ((2, 7), (3, 8), (4, 6))), (9, 5, ((3, 9), (1, 5))),
        (7, 6, ((2, 4), (1, 7), (3, 5), (2, 6))),
    )  # fmt: skip
    for width, V, rows in shapes:
        at = torch.arange(width)
        cases.append({
            "logits": 2 * torch.randn(len(rows), width, V, generator=rng, dtype=torch.float64),
            "input_ids": torch.randint(V, (len(rows), width), generator=rng),
            "response_mask": torch.stack([(at >= a) & (at < b) for a, b in rows]),
        })  # fmt: skip
    return cases


KEY = Trainable(
    response_nll,
    _batches(),
    switches={
        "shift": ("none", "the logits are not shifted: position t predicts token t + 1."),
        "score": ("all", "every token is scored; prompt and padding shall not count."),
        "over": ("mean", "each text is divided by its own tokens; asked is the sum."),
        "sign": (-1, "the sign is turned: the loss is minus the log-probability."),
        "end": ("raw", "the raw logits are added up; a log-softmax makes log-probabilities of"
                " them."),
    },
    wrongs=[
        ("the shift goes the wrong way: position t predicts token t + 1, not t − 1.",
         _as(shift="back")),
        ("it is shifted by two places.", _as(shift="two")),
        ("the tokens are shifted and the mask is not: it loses one end of the response.",
         _mask_not_shifted),
        ("the mask is turned round: prompt and padding are scored, the response is not.",
         _as(score="not")),
        ("the prompt is scored, too.", _as(score="with prompt")),
        ("the last token of the response, end of text, is not scored.", _as(score="no last")),
        ("the first token of the response is not scored.", _as(score="no first")),
        ("only the first token of the response is scored.", _as(score="first")),
        ("it is divided by the width of the batch; asked is the sum.", _as(over="width")),
        ("the mean over the texts is taken; asked is one number a text.", _as(over="texts")),
        ("the texts are added up; asked is one number a text.", _as(over="all")),
        ("that is the mean over the tokens of the batch; asked is one sum a text.",
         _as(over="tokens")),
        ("that is one number a token; asked is their sum, one number a text.",
         _as(over="token by token")),
        ("each text is divided by the tokens of the batch; asked is the sum.", _as(over="share")),
        ("each text is divided by the number of texts already; dividing comes later.",
         _as(over="number")),
        ("each text is divided by the root of its length.", _as(over="root")),
        ("probabilities are added up, their logarithm is missing.", _as(end="probability")),
        ("the softmax runs over the places; it runs over the vocabulary.", _as(end="places")),
        ("that is the log of a mean; asked is the sum of the logs.", _log_of_mean),
        ("that is the log of a sum; asked is the sum of the logs.", _log_of_sum),
        ("the mask is applied to the logits: zeros there are a uniform guess, and cost log V. Mask"
         " the log-probabilities.", _masked_logits),
        ("that is the entropy of the predictions; asked is what they give the token that comes.",
         _entropy),
        ("the softmax is taken twice.", lambda lo, ids, mask: response_nll(
            lo.softmax(-1), ids, mask)),
        ("the whole vocabulary is added up; look up the token that comes.",
         lambda lo, ids, mask: -(lo[:, :-1].log_softmax(-1).sum(-1) * mask[:, 1:]).sum(-1)),
        ("the token ids are masked, and not their log-probabilities: token 0 is scored instead.",
         lambda lo, ids, mask: response_nll(lo, ids * mask, mask, score="all")),
        ("two things. First: the mask is not shifted with the tokens. Second: each text is divided"
         " by its own tokens.",
         lambda lo, ids, mask: _mask_not_shifted(lo, ids, mask) / mask.sum(-1)),
        ("that is the likeliest token; asked is the token that comes.", _likeliest),
    ],
    shows="Prompt and padding don't count, end of text does, and nothing is divided yet.",
    through=("logits",),
)  # fmt: skip


# ---------------------------------------------------------------- 05.2, mixed batches
def learned_length(lengths, size, *, weigh="one over tokens", order="as given", rest="dropped"):
    """Mean length learned from batches, each divided by its own tokens."""
    lengths = np.asarray(lengths, float)
    ordered = {"as given": lengths, "sorted": np.sort(lengths), "reversed": lengths[::-1],
               "drawn": np.random.default_rng(0).permutation(lengths)}[order]  # fmt: skip
    whole = len(lengths) // size * size
    if rest == "columns":
        grid = list(ordered[:whole].reshape(size, -1).T)
    elif rest == "kept":
        grid = [ordered[i : i + size] for i in range(0, len(ordered), size)]
    elif rest == "so many":
        grid = list(ordered[: len(lengths) // size * size].reshape(size, -1))
    else:
        grid = list(ordered[:whole].reshape(-1, size))
    of = {
        "one over tokens": lambda row: 0 * row + 1 / row.sum(),
        "own": lambda row: 1 / row, "alike": lambda row: 0 * row + 1.0,
        "tokens": lambda row: 0 * row + row.sum(), "longest": lambda row: 0 * row + 1 / row.max(),
        "share": lambda row: row / row.sum(), "squared": lambda row: 0 * row + 1 / row.sum() ** 2,
        "root": lambda row: 0 * row + row.sum() ** -0.5, "length": lambda row: row,
    }[weigh]  # fmt: skip
    w = np.concatenate([of(row) for row in grid])
    return float((w * np.concatenate(grid)).sum() / w.sum())


def _bare(lengths, size, end):
    """The sums without the division by the weights."""
    rows = np.asarray(lengths, float)[: len(lengths) // size * size].reshape(-1, size)
    w = np.broadcast_to(1 / rows.sum(1, keepdims=True), rows.shape)
    return float({
        "no division": (w * rows).sum(), "texts": (w * rows).mean(),
        "within": np.mean(1 / (1 / rows).mean(1)),
        "mean weight": w.mean(), "median": np.median(rows), "tokens": rows.sum(1).mean(),
        "turned": w.sum() / (w * rows).sum(),
        "harmonic": 1 / np.mean(1 / np.asarray(lengths, float)),
    }[end])  # fmt: skip


def _learned(**keywords):
    return lambda *case: learned_length(*case, **keywords)


def _at_random(ask, cases) -> str:
    """Whether it gives the same for the same lengths."""
    first, again = ask(cases[0]), ask(cases[0])
    off = first is not None and again is not None and not np.isclose(float(first), float(again))
    why = "twice the same lengths give two answers: does it shuffle? They come shuffled."
    return why if off else ""


def _lengths() -> list[dict]:
    rng = np.random.default_rng(12)
    return [
        {"lengths": rng.integers(3, 60, n), "size": size} for n, size in ((14, 4), (9, 3), (23, 5))
    ]


MIXED = Function(
    learned_length,
    _lengths(),
    switches={
        "weigh": ("own", "each text is divided by its own tokens; here a batch is divided by the"
                  " tokens of all its texts."),
        "order": ("sorted", "the lengths are sorted first; take them in the order given."),
        "rest": ("kept", "the last, shorter batch is kept; it is to be dropped."),
    },
    wrongs=[
        ("that is the plain mean: every text counts alike, whatever its batch.",
         _learned(weigh="alike")),
        ("that is the plain mean, the rest included: every text counts alike.",
         lambda lengths, size: float(np.mean(lengths))),
        ("a text's weight is its batch's tokens; it is one over them.", _learned(weigh="tokens")),
        ("a text's weight is one over its batch's longest; it is one over the tokens of all.",
         _learned(weigh="longest")),
        ("a text's weight is its share of the batch: its length is counted twice.",
         _learned(weigh="share")),
        ("a text's weight is its own length: long texts then count for more.",
         _learned(weigh="length")),
        ("the batch's tokens are squared.", _learned(weigh="squared")),
        ("the root of the batch's tokens is taken.", _learned(weigh="root")),
        ("the lengths are cut into columns: a batch is `size` neighbours.",
         _learned(rest="columns")),
        ("there are `size` batches; there should be `size` texts in each.",
         _learned(rest="so many")),
        ("it shuffles; the lengths come shuffled.", _learned(order="drawn")),
        ("the batches are counted from the end: the rest is dropped at the start.",
         _learned(order="reversed")),
        ("the sum of w·|y| isn't divided by the sum of w.",
         lambda *c: _bare(*c, "no division")),
        ("the sum of w·|y| is divided by the number of texts; the weights don't sum to it.",
         lambda *c: _bare(*c, "texts")),
        ("that is the mean weight; asked is the weighted mean of the lengths.",
         lambda *c: _bare(*c, "mean weight")),
        ("that is the sum of the weights over the weighted lengths, turned over.",
         lambda *c: _bare(*c, "turned")),
        ("that is the mean number of tokens of a batch; asked is that of a text.",
         lambda *c: _bare(*c, "tokens")),
        ("that is the harmonic mean of all lengths: each text divided by its own tokens.",
         lambda *c: _bare(*c, "harmonic")),
        ("the harmonic mean is taken within each batch; there all texts weigh alike.",
         lambda *c: _bare(*c, "within")),
        ("the lengths are sorted first, the longest in front; take them in the order given.",
         lambda lengths, size: learned_length(np.sort(lengths)[::-1], size)),
        ("that is the median; asked is a weighted mean.", lambda *c: _bare(*c, "median")),
    ],
    traits=[_at_random],
    shows="Batches of many random texts have nearly the same tokens, so hardly any text loses"
    " weight.",
)  # fmt: skip
