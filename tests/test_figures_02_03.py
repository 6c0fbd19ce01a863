"""Chapters 02 and 03: the figures show the numbers that they are given."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from dpo_from_scratch.lab.figures import ch02, ch03


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def texts(ax):
    return " ".join(text.get_text() for text in ax.texts)


def test_climbs_have_a_panel_each_with_a_line_for_every_score():
    figure = ch02.climbs({"a": np.zeros((4, 5)), "b": np.ones((4, 3))}, list("pqrst"))
    assert [len(ax.lines) for ax in figure.axes] == [5, 3]
    assert [ax.get_title() for ax in figure.axes] == ["a", "b"]
    assert list(figure.axes[1].lines[0].get_xdata()) == [1, 2, 3, 4]
    assert texts(figure.axes[0]) == "p q r s t"


def test_fitted_scores_stand_against_the_true_ones_beside_a_named_diagonal():
    true, fitted = np.array([-1.0, 1.0]), np.array([-0.5, 0.5])
    ax = ch02.fitted_against_true(
        {"one": (true, fitted, np.ones(2)), "two": (true, true, np.ones(2))}
    ).axes[0]
    assert ax.get_legend_handles_labels()[1] == ["one", "two"]
    assert "choices = true reward" in texts(ax)
    assert any(np.array_equal(line.get_ydata(), fitted) for line in ax.lines)


def test_needed_labels_are_written_at_the_marked_gaps():
    gaps = np.linspace(0, 5, 6)
    assert texts(ch02.labels_needed(gaps, 100 * gaps + 50).axes[0]) == "50 150 350 550"


def test_the_ceiling_splits_all_labels_into_right_and_wrong_ones():
    weight, right = np.array([0.25, 0.5, 0.25]), np.array([0.5, 0.75, 1.0])
    ax = ch02.ceiling(np.array([0.1, 1.1, 3.9]), weight, right).axes[0]
    heights = sum(bar.get_height() for bar in ax.patches)
    assert heights == pytest.approx(100)
    assert "worse reply: 25.0 %" in texts(ax)
    assert "better reply: 75.0 %" in texts(ax)


def test_log_ratio_lines_are_sorted_by_reward_and_named():
    rewards = np.array([1.0, -1.0, 0.0])
    ax = ch03.log_ratio_lines(rewards, {2.0: (rewards / 2, 0.0), 1.0: (rewards, 0.0)}).axes[0]
    assert texts(ax) == "β = 2.0 β = 1.0"
    assert list(ax.lines[0].get_xdata()) == [-1, 0, 1]


def test_lines_of_slope_beta_start_at_their_height_where_the_kl_is_zero():
    ax = ch03.tangents({2.0: (0.4, 1.5), 1.0: (1.3, 2.8)}, -0.2).axes[0]
    assert texts(ax) == "exact optimum reference β = 2.0 β = 1.0"
    heights = [line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(heights, [0.7, 1.5])


def test_paths_run_under_the_frontier_with_one_name_for_each_kind():
    line = np.array([(0.0, 0.0), (1.0, 1.0), (2.0, 1.5)])
    paths = np.array([[(0.5, 0.3), (3.0, 0.5)], [(0.4, 0.3), (2.0, 0.5)]])
    ax = ch03.under_the_frontier(line, {"noise 1": paths, "noise 2": paths}).axes[0]
    names = ax.get_legend_handles_labels()[1]
    assert names == ["optima for reward + noise 1", "optima for reward + noise 2"]
    assert list(ax.lines[0].get_ydata()) == [0.0, 1.0, 1.5, 1.5]
    assert ax.lines[0].get_xdata()[-1] == 3.0


def test_the_frames_of_a_slider_have_one_size_and_one_scale():
    rng = np.random.default_rng(0)
    frames = [ch03.reward_shift(rng.normal(size=50), rng.normal(3, s, 50), "note") for s in (1, 2)]
    assert len({tuple(frame.get_size_inches()) for frame in frames}) == 1
    assert len({frame.axes[0].get_ylim() for frame in frames}) == 1
    assert texts(frames[0].axes[0]) == "note"
