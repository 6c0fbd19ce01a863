"""Chapter 04's figures: the numbers that they show are those they were given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from dpo_from_scratch.lab.figures import ch04


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def words(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_the_loss_is_written_with_the_numbers_of_its_pair():
    found = "\n".join(words(ch04.loss_term_by_term(-4.0, -6.0, -5.0, -4.5, 0.5)))
    assert "winner: log-ratio $+1.00$" in found
    assert "loser: log-ratio $-1.50$" in found
    assert f"margin $+1.25$\nloss {np.log1p(np.exp(-1.25)):.3f} nats" in found
    assert r"\log\pi_{\mathrm{ref}} = -4.50" in found


def test_one_step_shows_weight_push_and_the_three_probabilities_after_it():
    figure = ch04.one_step(0.6, 0.35, 0.21, np.array([0.1, 0.5, 0.4]), np.array([0.3, 0.2, 0.5]))
    assert words(figure) == ["0.35", "0.21", "0.30", "0.20", "0.50"]


def test_curves_pass_through_what_was_measured():
    ax = ch04.weight_against_margin([0.0], [0.5]).axes[0]
    assert (ax.lines[1].get_xdata()[0], ax.lines[1].get_ydata()[0]) == (0.0, 0.5)
    names = words(ch04.two_regimes([0.1, 1.0], [0.1, 1.0], [0.5, 0.5], [2.0, 0.2]))
    assert names == ["converged", "after one SGD step", "after one Adam step"]
    ax = ch04.two_regimes([0.1, 1.0], [0.1, 1.0], [0.5, 0.5], [2.0, 0.2]).axes[0]
    assert [line.get_ydata().tolist() for line in ax.lines] == [[2.0, 0.2], [0.1, 1.0], [0.5, 0.5]]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.1", "1"]
