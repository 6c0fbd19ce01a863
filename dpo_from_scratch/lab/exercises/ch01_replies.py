"""Exercises 1 and 2 of chapter 01: one word of a reply, and the chain rule."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np

from ... import world
from ...models import Scorer, load_model, pad_id
from ...scoring import score_examples
from ...tokens import encode
from .answers import Numbers

PROMPT, REPLY = "film : how was the plot ?", "the plot was superb ! thank you ."


@cache
def score(prompt: str, reply: str, cut: int = 0, end: bool = True) -> float:
    """The model's log-probability of a reply, or of what follows its first `cut` tokens."""
    model, tokenizer = load_tiny()
    (whole,) = encode(tokenizer, prompt, reply)
    ids = whole.ids if end else whole.ids[:-1]
    part = replace(whole, ids=ids, prompt_length=whole.prompt_length + cut)
    return score_examples(Scorer(model), [part], pad_id(tokenizer)).item()


@cache
def load_tiny():
    """The model and its tokenizer, loaded once."""
    return load_model("tiny")


@cache
def tokens(reply: str) -> np.ndarray:
    """The log-probability of each token of a reply, the end included."""
    after = [score(PROMPT, reply, cut=cut) for cut in range(len(reply.split()) + 1)]
    return -np.diff([*after, 0.0])


# ---------------------------------------------------------------- 01.1: one word
WORDS = ("the plot was good .", "the plot was superb .")
WORD = ("probability", "times rarer")


def one_word() -> dict[str, float]:
    """The probability of the first text, and how many times rarer the second is."""
    good, superb = (score(PROMPT, text) for text in WORDS)
    return dict(zip(WORD, np.exp([good, good - superb]).tolist(), strict=True))


def elsewhere() -> list:
    """The same, asked of something else than the whole reply under the model."""
    a, b = (tokens(text) for text in WORDS)
    stopless = [score(PROMPT, text.removesuffix(" .")) for text in WORDS]
    alone = "that is the one word alone, given what comes before it; asked is the whole reply."
    found = [
        (a[3], b[3], alone),
        (sum(a[4:]), sum(b[4:]), "that is what follows the word; asked is the whole reply."),
        (sum(a[1:]), sum(b[1:]), "the reply's first token isn't scored."),
        (sum(a[:-1]), sum(b[:-1]), "without its end: it begins with this text, and may go on."),
        (sum(a[:4]), sum(b[:4]), "the full stop and the end are left out."),
        (*stopless, "the full stop is left out of the text."),
        (np.log(sum(np.exp(a))), np.log(sum(np.exp(b))), "probabilities are added; they multiply."),
        (np.log(np.exp(a).mean()), np.log(np.exp(b).mean()), "that is a mean of the tokens'"
         " probabilities; they multiply."),
        (*world.REVIEWS.log_probs(PROMPT, list(WORDS)), "that is the grammar's own probability;"
         " asked is the model's."),
        (*world.MINI.log_probs(PROMPT, list(WORDS)), "that is the mini world's, where replies have"
         " one sentence; asked is the model's."),
        (*(score("restaurant : how was the soup ?", text) for text in WORDS), "that is for another"
         " prompt."),
    ]  # fmt: skip
    both = [(WORD, np.exp([p, p - q]), why) for p, q, why in found]
    return both + [(WORD[0], np.exp(p), why) for p, _, why in found]


def one_words_slips(answer: Mapping[str, float]) -> list:
    """Mistakes with one word."""
    p, q = (score(PROMPT, text) for text in WORDS)
    chance, times = WORD
    n = 6  # tokens of either reply, the end included
    prompt_too = score(PROMPT, WORDS[0], cut=-6)
    base = "exp undoes a natural logarithm; {} to the power doesn't."
    either = np.exp(p) + np.exp(q)
    return [
        *elsewhere(),
        (chance, p, "that is the log-probability; the probability is asked."),
        (chance, -p, "that is minus the log-probability; the probability is asked."),
        (chance, p / np.log(10), "that is a logarithm, to base 10; the probability is asked."),
        (chance, p / np.log(2), "that is a logarithm, to base 2; the probability is asked."),
        (chance, np.exp(prompt_too), "the prompt is scored too."),
        (chance, np.exp(p / n), "that is a mean over the tokens; the product is asked."),
        (chance, np.exp(p / (n - 1)), "that is a mean over the tokens; the product is asked."),
        (chance, p / n, "that is the mean log-probability of a token."),
        (chance, np.exp(q), "that is the probability of the other text."),
        (chance, either, "that is the probability of either text; asked is the first."),
        (chance, np.exp(p + q), "that is the probability of both texts, one after the other."),
        (chance, np.exp(p) / either, "that is the first text's share of the two."),
        (chance, 10**p, base.format(10)),
        (chance, 2**p, base.format(2)),
        (chance, np.exp(-p), "that is one in so many; the probability itself is asked."),
        (times, p - q, "that is the difference of the logarithms; a ratio is its exp."),
        (times, q - p, "that is the difference of the logarithms; a ratio is its exp."),
        (times, q / p, "log-probabilities are divided; probabilities are to be."),
        (times, p / q, "log-probabilities are divided; probabilities are to be."),
        (times, np.exp(q - p), "that is how many times as likely; how many times rarer is asked."),
        (times, np.exp((p - q) / n), "the mean over the tokens is taken; a ratio needs the sums."),
        (times, np.exp(p) - np.exp(q), "probabilities are subtracted; how many times is a ratio."),
        (times, np.exp(q), "that is the probability of the other text, not yet a ratio."),
        (times, q, "that is the log-probability of the other text, not yet a ratio."),
        (times, np.exp(-q), "that is one in so many for the other text, not yet a ratio."),
        (times, np.exp(p + q), "the probabilities are multiplied; a ratio divides."),
        (times, np.exp(p) / either, "that is the first text's share of the two, not the ratio."),
        (times, np.exp(q) / either, "that is the second text's share of the two, not the ratio."),
        (times, 1 - np.exp(q - p), "that is by what share it is rarer; a ratio is asked."),
        (times, 10 ** (p - q), base.format(10)),
        (times, 2 ** (p - q), base.format(2)),
        (
            WORD,
            [round(np.exp(p), 4), round(np.exp(p), 4) / round(np.exp(q), 4)],
            "rounded to four decimals before the division; keep all digits, and round at the end.",
        ),
        (chance, round(np.exp(p), 4), "rounded to four decimals: hardly a digit is left."),
        (times, answer[times] - 1, "one less than the ratio: `times` is meant as a ratio."),
    ]


ONE_WORD = Numbers(
    one_word,
    one_words_slips,
    "A text is rare even if each of its words is likely.",
    rtol=0.0135,  # two digits of the model's pass, and the grammar's ratio doesn't
)


# ---------------------------------------------------------------- 01.2: the chain rule
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
    each = tokens(REPLY)
    length = encode(load_tiny()[1], PROMPT, REPLY)[0].prompt_length
    likely = "that is the probability; log-probabilities are asked."
    end_too = "the first part has got an end of its own; the reply goes on after it."
    return [
        (PARTS, np.exp([a, b]), likely),
        (PARTS, [b, a], "the right numbers, but not in the order (first part, rest)."),
        (PARTS, [a / 5, b / 4], "those are means over the tokens; sums are asked."),
        (PARTS, [a / 9, b / 9], "each is divided by the length of the reply; sums are asked."),
        (PARTS, [b + whole, b], "the first part is to be scored, not the rest twice."),
        (PARTS, [ended, alone], "two things. First: " + end_too + " Second: the rest has to follow"
         " the first part, not the prompt."),
        (first, ended, end_too),
        (first, score(PROMPT, "the plot was superb"), end_too + " And its mark is left out."),
        (first, whole, "that is the whole reply, or nearly: after `thank` hardly anything is"
         " lost, so the cut could be there, too."),
        (first, a + prompt, "the prompt is scored too, as if it were part of the reply."),
        (first, a / 5, "that is a mean over the tokens; the sum is asked."),
        (first, each[4], "that is the mark alone; the first part has five tokens."),
        (first, each[0], "that is the first token alone; the first part goes up to the mark."),
        (first, sum(each[1:5]), "the reply's first token isn't scored."),
        (first, np.exp(each[:5]).sum(), "probabilities are added up; log-probabilities are to be."),
        (first, np.exp(a), likely),
        (rest, alone, "the rest has to follow the first part, not the prompt."),
        (rest, whole, "that is the whole reply."),
        (rest, b / 4, "that is a mean over the tokens; the sum is asked."),
        (rest, b / 3, "that is a mean over the tokens; the sum is asked."),
        (rest, a + b, "the first part is scored too: it belongs to the prompt now."),
        (rest, score(PROMPT, REPLY, cut=5 - length), "`prompt_length` is five; it should grow by"
         " five."),
        (rest, sum(each[6:]), "the first token of the rest isn't scored."),
        (rest, np.exp(each[5:]).sum(), "probabilities are added up; log-probabilities are to be."),
        (rest, np.exp(b), likely),
        (rest, b + a + prompt, "prompt and first part are scored too."),
        (rest, ended, "that is the first part as a whole reply, with an end of its own."),
    ]  # fmt: skip


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


CHAIN = Numbers(
    chain,
    chain_slips,
    "Wherever you cut, the parts add up to the whole.",
    rtol=0.005,
    tell=cut_elsewhere,
)
