"""Chapter 20's study: pairs by different people, splits by block.

No rated sentence is in the repository beyond the quotations.
"""

import json
from pathlib import Path

import numpy as np
import pytest

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
