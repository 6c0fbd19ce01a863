"""The drawings of chapter 21: points stand where they were measured, and the roof is a roof."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from dpo_from_scratch.lab.figures import ch21


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_the_roof_rises_to_the_balance_and_is_flat_behind_it():
    ax = ch21.roofline(4e10, 1e10, {"head": (70.0, 3e10), "softmax": (0.5, 2e9)}).axes[0]
    roof, balance, head, softmax = ax.lines
    assert list(roof.get_xdata()) == [0.1, 4.0, 280.0]
    np.testing.assert_allclose(roof.get_ydata(), [1.0, 40.0, 40.0])
    assert balance.get_xdata()[0] == 4.0
    assert (head.get_xdata()[0], head.get_ydata()[0]) == (70.0, 30.0)
    assert (softmax.get_xdata()[0], softmax.get_ydata()[0]) == (0.5, 2.0)
    assert head.get_marker() != softmax.get_marker()
    assert {"head", "softmax", "balance"} <= {text.get_text() for text in ax.texts}


def test_a_mask_is_drawn_as_it_is_and_its_pieces_are_named():
    sees = np.tril(np.ones((5, 5), bool))
    ax = ch21.who_looks_at_whom(sees, [("prompt", 0, 3), ("chosen", 3, 5)]).axes[0]
    assert np.array_equal(ax.images[0].get_array(), sees)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["prompt", "chosen"]
    assert list(ax.get_yticks()) == [1.0, 3.5]
    low, high = ax.get_ylim()
    assert low > high, "the first token is on top, as in a matrix"


def test_the_stack_stands_in_its_order_with_factors_and_hatches_what_is_not_exact():
    ax = ch21.stack({"naive": 3.0, "kept": 2.0, "bf16": 1.0}, ["bf16"]).axes[0]
    assert [bar.get_width() for bar in ax.patches] == [3.0, 2.0, 1.0]
    assert [text.get_text() for text in ax.texts] == ["1.0×", "1.5×", "3.0×"]
    assert [bool(bar.get_hatch()) for bar in ax.patches] == [False, False, True]
    low, high = ax.get_ylim()
    assert low > high


def test_shares_are_drawn_over_the_rank_with_a_marker_each():
    shares = {"best": np.array([0.5, 0.8]), "new": np.array([0.1, 0.2])}
    ax = ch21.directions(shares, [1, 8]).axes[0]
    best, new = ax.lines
    assert list(best.get_ydata()) == [0.5, 0.8]
    assert best.get_marker() != new.get_marker()
    assert best.get_linestyle() != new.get_linestyle()
