"""Chapter 08's figures: the numbers that they show are those they were given."""

import matplotlib.pyplot as plt
import pytest

from dpo_from_scratch.lab.figures import ch08


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_ppo_is_seen_to_learn_its_score_while_the_true_reward_falls():
    history = [{"iteration": i + 1, "score": float(i), "kl": 2.0 * i} for i in range(3)]
    axes = ch08.draw_learning(history, [1.0, 0.0, -1.0]).axes
    shown = [ax.lines[0].get_ydata().tolist() for ax in axes]
    assert shown == [[0.0, 1.0, 2.0], [0.0, 2.0, 4.0], [1.0, 0.0, -1.0]]


def test_win_rates_stand_at_their_means_with_bars_over_the_seeds():
    rates = {
        "SFT": {1.0: [0.5], 1.25: [0.45]},
        "DPO": {1.0: [0.8, 0.9], 1.25: [0.8, 0.8]},
        "best of 16": {1.0: [0.9, 0.96]},
    }
    top, low = ch08.draw_win_rates(rates).axes
    dpo, best = top.containers
    assert dpo.lines[0].get_ydata() == pytest.approx([0.85, 0.8])
    assert best.lines[0].get_ydata() == pytest.approx([0.93])
    assert low.containers[0].lines[0].get_ydata() == pytest.approx([0.5, 0.45])
    first = dpo.lines[2][0].get_segments()[0]
    assert first[:, 1] == pytest.approx([0.8, 0.9])
    assert {text.get_text() for text in top.texts} == {"DPO", "best of 16"}
