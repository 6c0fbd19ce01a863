"""Chapter 17's figures: the numbers that they show are those they were given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from dpo_from_scratch.lab.figures import ch17


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_a_triangle_shows_each_policy_at_its_mixture_of_the_corners():
    path, point = np.array([[1.0, 0, 0], [0, 1.0, 0]]), np.array([[0, 0, 1.0]])
    panels = {"a": {"way": path, "mean": point}, "b": {"way": path}}
    third, even = np.full(3, 1 / 3), np.array([0.5, 0.5, 0])
    first, second = ch17.triangles(panels, ["x", "y", "z"], third, even).axes
    lines = {line.get_label(): line.get_xydata() for line in first.lines}
    assert lines["way"] == pytest.approx(ch17.CORNERS[:2])
    assert lines["mean"] == pytest.approx(ch17.CORNERS[2:])
    assert lines["Nash"] == pytest.approx(ch17.CORNERS.mean(0)[None])
    assert lines["the grammar"] == pytest.approx(np.array([[0.5, 0]]))
    assert second.get_legend_handles_labels()[1] == ["way", "Nash", "the grammar"]


def test_rounds_stand_at_their_means():
    runs = {arm: [[0.5, 0.6], [0.7, 0.6]] for arm in ch17.STYLES}
    for ax in ch17.over_rounds({"a": runs, "b": runs}, 0.6).axes:
        for bars in ax.containers:
            assert bars.lines[0].get_ydata() == pytest.approx([0.6, 0.6])


def test_last_policies_and_their_ways_stand_at_their_kl_above_the_least():
    ends = {"DPO": {"kl": [0.5], "last": [0.7]}, "DNO": {"kl": [2.0, 3.0], "last": [0.9, 0.8]}}
    ways = {"DNO": {"kl": [[1.0, 2.0]], "rounds": [[0.6, 0.9]]}}
    least = np.array([[0.0, 0.6], [0.1, 0.5]])
    for ax in ch17.against_kl({"a": ends, "b": ends}, {"a": ways, "b": ways}, least).axes:
        shown = [line.get_xydata().tolist() for line in ax.lines]
        assert shown[:3] == [[[0.5, 0.7]], [[1.0, 0.6], [2.0, 0.9]], [[2.0, 0.9], [3.0, 0.8]]]
        assert shown[3][:2] == least.tolist()
        assert shown[3][2][1] == 0.5


def test_single_seeds_of_one_method_are_drawn_thin():
    runs = {arm: [[0.5, 0.6], [0.7, 0.6]] for arm in ch17.STYLES}
    (ax, _) = ch17.over_rounds({"a": runs, "b": {}}, 0.6, thin="DNO").axes
    seeds = [line.get_ydata().tolist() for line in ax.lines if line.get_linewidth() == 0.7]
    assert seeds == runs["DNO"]
