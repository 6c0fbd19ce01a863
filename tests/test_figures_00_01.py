"""The figures of chapters 00 and 01 show the numbers that they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from dpo_from_scratch import world
from dpo_from_scratch.lab.figures.ch00 import draw_run
from dpo_from_scratch.lab.figures.ch01 import draw_scores


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_the_run_lies_at_its_kl_and_the_dotted_line_reaches_the_frontier():
    history = [{"step": i + 1, "loss": 0.7 - 0.001 * i} for i in range(64)]
    grammar = world.REVIEWS.policy(world.prompts()[0])
    goal = world.REVIEWS.policy(world.prompts()[0], 0.6)
    best = world.REVIEWS.optimum_at_kl(1.8)
    figure = draw_run(history, 0.375, (-0.2, 0.1), (2.5, 0.05), (1.8, 0.1), best, goal)
    left, right = figure.axes
    assert list(left.lines[0].get_ydata()) == [row["loss"] for row in history]
    assert list(left.lines[-1].get_ydata()) == [0.375, 0.375]
    dotted, diamond = right.lines[-2:]
    assert list(dotted.get_xdata()) == [1.8, 1.8]
    assert list(dotted.get_ydata()) == [2.5, best.mean_reward]
    assert diamond.get_xydata().tolist() == [[goal.kl, goal.mean_reward]]
    frontier = right.lines[0].get_xydata()
    assert frontier[0] == pytest.approx([0.0, grammar.mean_reward])


def test_each_text_is_a_point_of_both_panels():
    exact, lengths = np.array([-12.0, -25.0, -40.0]), np.array([10, 24, 38])
    left, right = draw_scores(exact, exact - 0.1, lengths).axes
    for ax, x in ((left, exact), (right, lengths)):
        assert np.allclose(ax.collections[0].get_offsets(), np.column_stack([x, exact - 0.1]))
