"""Which pairs a scorer puts in people's order, and a list of words."""

import numpy as np
import pytest

from dpo_from_scratch.lab.ordering import BlockTest, word_list

BLOCK = np.repeat(np.arange(6), 4)
TRUE = np.random.default_rng(0).normal(size=24)
P = 1 / (1 + np.exp(-np.subtract.outer(TRUE, TRUE)))
TEST = BlockTest(P, BLOCK, BLOCK % 2, draws=300)
APART = np.triu(np.ones_like(P, bool), 1) & (BLOCK[:, None] != BLOCK)


def test_the_true_score_is_always_right_and_a_constant_is_a_coin():
    for scores, right in ((TRUE, 1.0), (-TRUE, 0.0), (np.zeros(24), 0.5)):
        found = TEST([scores], APART)
        assert found.over_blocks() == pytest.approx((right, 0.0))
        assert found.over_seeds() is None


def test_accuracy_counts_the_pairs_that_are_used():
    scores = [np.random.default_rng(seed).normal(size=24) for seed in (1, 2, 3)]
    found = TEST(scores, APART)
    i, j = np.nonzero(APART)
    by_hand = [np.mean((s[i] - s[j]) * (TRUE[i] - TRUE[j]) > 0) for s in scores]
    np.testing.assert_allclose(found.seeds, by_hand)
    assert found.over_seeds()[0] == pytest.approx(np.mean(by_hand))
    assert 0.02 < found.over_blocks()[1] < 0.4
    ahead = found - TEST([TRUE], APART)
    assert ahead.mean == pytest.approx(np.mean(by_hand) - 1)


def test_pairs_within_a_block_count_as_often_as_the_block_is_drawn():
    within = np.triu(np.ones_like(P, bool), 1) & (BLOCK[:, None] == BLOCK)
    scores = np.where(BLOCK == 0, -TRUE, TRUE)  # wrong in the first block alone
    found = TEST([scores], within)
    assert found.mean == pytest.approx(5 / 6)
    np.testing.assert_allclose(found.draws, 1 - TEST.times[:, 0] / 6)


def test_a_word_list_weighs_the_words_that_ratings_follow():
    texts, ratings = ["a good film", "a dull film", "good", "dull"] * 5, [2, -2, 2, -2] * 5
    score = word_list(texts, ratings)
    good, dull, unknown = score(["good film", "dull film", "quux"])
    assert good > 1 > -1 > dull
    assert unknown == pytest.approx(0)
