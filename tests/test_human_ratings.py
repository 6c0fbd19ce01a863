"""Chapter 20's study: pairs by different people, splits by block.

No rated sentence is in the repository beyond the quotations.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from dpo_from_scratch.lab import ratings
from dpo_from_scratch.lab.exercises import ch20
from dpo_from_scratch.lab.ordering import word_list
from dpo_from_scratch.models import cache_folder
from dpo_from_scratch.studies import human_ratings as study

ROOT = Path(__file__).parent.parent
fetched = pytest.mark.skipif(
    not (cache_folder() / "human_ratings").exists(), reason="`make ratings` fetches the ratings"
)


def test_each_rating_of_one_is_compared_with_each_of_the_other():
    assert study.beats([1, 2], [0, 1]) == pytest.approx((1 + 0.5 + 1 + 1) / 4)
    assert study.beats([3], [3, 3]) == 0.5
    a, b = [1, -2, 0, 4], [2, 2, -1]
    assert study.beats(a, b) + study.beats(b, a) == pytest.approx(1.0)


@fetched
def test_pairs_are_of_different_blocks_hold_no_sentence_twice_and_agree_with_the_ratings():
    by_text = {s["text"]: s for s in study.sentences("train")}
    rows = study.make_pairs(200, seed=3)
    texts = [row[side].removeprefix(" ") for row in rows for side in ("chosen", "rejected")]
    assert len(rows) == 200
    assert len(set(texts)) == 400
    for better, worse, row in zip(texts[::2], texts[1::2], rows, strict=True):
        assert by_text[better]["block"] != by_text[worse]["block"]
        assert row["probability"] == pytest.approx(
            study.beats(by_text[better]["ratings"], by_text[worse]["ratings"])
        )
        assert row["probability"] > 0.5
    assert rows == study.make_pairs(200, seed=3) != study.make_pairs(200, seed=4)


@fetched
def test_no_block_is_in_two_splits():
    train, tune, test = (
        {s["block"] for s in study.sentences(split)} for split in ("train", "tune", "test")
    )
    assert not train & tune
    assert not (train | tune) & test
    assert min(len(tune), len(test)) >= 30


@fetched
def test_the_mean_rating_orders_nearly_all_pairs_and_its_negative_hardly_any():
    means = np.array([np.mean(s["ratings"]) for s in study.sentences("test")])
    assert study.accuracy(means, "test") > 0.97
    assert study.accuracy(-means, "test") == pytest.approx(1 - study.accuracy(means, "test"))


def test_six_words_in_a_row_are_found_whatever_their_case():
    assert study.six_words("one two three four five") == set()
    assert study.six_words("A b c d e f g") == {tuple("abcdef"), tuple("bcdefg")}


@fetched
def test_no_more_than_five_rated_sentences_are_quoted_in_what_the_book_ships():
    files = [
        *(ROOT / "notebooks").glob("*.ipynb"),
        *(ROOT / "data" / "results").glob("*.json"),
        *ROOT.glob("*.md"),
    ]
    lines = (line for path in files for line in path.read_text(encoding="utf-8").splitlines())
    shipped = "\n".join(
        line.lower() for line in lines if len(line) < 5000 and " " in line.strip()
    )  # pictures left out
    quoted = [
        s["text"]
        for s in study.everything()
        if len(s["text"].split()) >= 4 and json.dumps(s["text"].lower())[1:-1] in shipped
    ]
    assert len(quoted) <= 5, quoted


def word_lists(taken: str, at_least: int, kind: str) -> list[float]:
    """Accuracy of a list from 512 sentences, and of one from 2,048."""
    signs, block, tone = signs_and_tones()
    apart, opposite = block[:, None] != block, tone[:, None] != tone
    kinds = {"opposite tone": opposite, "the same tone": apart & ~opposite}
    kinds |= {"different blocks": apart, "the same block": ~apart}
    used = np.triu(signs != 0, 1) & kinds[kind]
    outside = [s for s in study.everything() if s["block"] % ratings.TEST_EVERY]
    pool = study.everything() if taken == "drawn from all" else outside
    order = np.random.default_rng(0).permutation(len(pool))
    found = []
    for n in (512, 2048):
        some = [pool[i] for i in (range(n) if taken == "the first" else order[:n])]
        fitted = word_list(
            [s["text"] for s in some], [float(np.mean(s["ratings"])) for s in some], at_least
        )
        scores = fitted([s["text"] for s in study.sentences("test")])
        right = np.sign(np.subtract.outer(scores, scores)) * np.sign(signs)
        found.append(float(((1 + right) / 2)[used].mean()))
    return found


def signs_and_tones():
    """Of the test sentences: sum of signs of each over each (N, N), block and its tone, (N,)."""
    test = study.sentences("test")
    counts = np.array([np.bincount(np.array(s["ratings"]) + 4, minlength=9) for s in test])
    signs = counts @ np.sign(np.subtract.outer(range(9), range(9))) @ counts.T
    block = np.array([s["block"] for s in test])
    means = np.array([np.mean(s["ratings"]) for s in study.everything()])
    tone = np.array([np.sign(means[30 * b : 30 * b + 30].mean()) for b in block])
    return signs, block, tone


@fetched
@pytest.mark.parametrize("what", ch20.MEASURED, ids=str)
def test_what_the_exercise_on_word_lists_knows_is_measured(what):
    assert word_lists(*what) == pytest.approx(ch20.MEASURED[what], abs=1e-3)
