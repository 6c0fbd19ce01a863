"""05.2: the mean length that mixed batches teach."""

import numpy as np

from .functions import Function


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
    all_of = np.asarray(lengths, float)
    learned = (w * rows).sum() / w.sum()
    over = lambda v: (v * rows).sum() / v.sum()
    per_row = lambda v: over(np.broadcast_to(v[:, None], rows.shape))
    return float({
        "middle batch": np.median(rows.mean(1)), "geometric": np.exp(np.log(rows).mean()),
        "geometric of batches": np.exp(np.log(rows.mean(1)).mean()),
        "less one": learned * size / (size - 1), "first": rows[0].mean(),
        "plain less one": rows.sum(1).mean() / (size - 1),
        "last": rows[-1].mean(), "apart": rows.mean() - learned, "fall": learned - rows.mean(),
        "quotient": learned / rows.mean(), "quotient of all": learned / all_of.mean(),
        "shortest": per_row(1 / rows.min(1)), "first text": per_row(1 / rows[:, 0]),
        "last text": per_row(1 / rows[:, -1]), "spread": per_row(1 / rows.std(1)),
        "e to minus": over(np.exp(-rows)), "root mean square": np.sqrt((rows**2).mean()),
        "middle": (learned + rows.mean()) / 2, "batches": float(len(rows)),
        "largest": all_of.max(), "smallest": all_of.min(),
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


_WEIGHT = "a text's weight is one over its batch's tokens; yours is one over "
OTHERS = {
    "middle batch": "that is the median of the batches' means; asked is a weighted mean.",
    "geometric": "that is the geometric mean of the lengths; asked is a weighted one.",
    "geometric of batches": "that is the geometric mean of the batches' means.",
    "less one": "the batch is divided by one text less than it has.",
    "plain less one": "a batch's tokens are divided by one text less than it has.",
    "first": "that is the first batch's mean alone; all whole batches count.",
    "last": "that is the last whole batch's mean alone; all whole batches count.",
    "apart": "that is how far it lies below the plain mean; asked is the length itself.",
    "fall": "that is the change against the plain mean; asked is the length itself.",
    "quotient": "that is divided by the plain mean; asked is the length itself.",
    "quotient of all": "that is divided by the plain mean; asked is the length itself.",
    "shortest": _WEIGHT + "its shortest text.",
    "first text": _WEIGHT + "its first text.",
    "last text": _WEIGHT + "its last text.",
    "spread": _WEIGHT + "its spread.",
    "e to minus": "a text's weight is e to minus its length; it is one over its batch's tokens.",
    "root mean square": "that is the root of the mean square: long texts would count for more.",
    "middle": "that is halfway between the plain mean and the right one.",
    "batches": "that is the number of batches; asked is a length.",
    "largest": "that is the longest text; asked is a mean.",
    "smallest": "that is the shortest text; asked is a mean.",
}

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
        *((why, lambda *c, end=end: _bare(*c, end)) for end, why in OTHERS.items()),
        ("that is the median; asked is a weighted mean.", lambda *c: _bare(*c, "median")),
    ],
    traits=[_at_random],
    shows="Batches of many random texts have nearly the same tokens, so hardly any text loses"
    " weight.",
)  # fmt: skip
