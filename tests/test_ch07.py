"""Chapter 07: a policy's texts taken apart, and its figures."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from dpo_from_scratch.lab.evaluation import best_of_n_kl
from dpo_from_scratch.lab.figures import ch07
from dpo_from_scratch.lab.records import Record
from dpo_from_scratch.studies import scaling
from dpo_from_scratch.studies.beta_sweep import parts

RUNS = {0.1: ([9.0, 8.0], [1.0, 2.0]), 2.0: ([0.4, 0.5], [1.2, 1.3])}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_whole_and_broken_texts_add_up_to_the_kl_and_to_the_reward():
    found = parts(
        np.array([1.0, 2.0, 9.0, 20.0]),
        np.array([3.0, 4.0, 0.0, -2.0]),
        np.array([True, True, False, True]),
    )
    assert found["kl"] == 8.0 == found["whole_kl"] + found["broken_kl"]
    assert (found["broken_share"], found["broken_log_ratio"], found["broken_kl"]) == (0.25, 9, 2.25)
    earned = sum(found[f"{kind}_share"] * found[f"{kind}_reward"] for kind in ("whole", "broken"))
    assert earned == pytest.approx(found["true_reward"])


def test_the_recorded_parts_add_up_and_come_from_runs_like_the_recorded_ones():
    record = Record.load("beta_sweep")
    for p in (p["result"] for p in record.points if "taken_apart" in p["point"]):
        assert p["whole_kl"] + p["broken_kl"] == pytest.approx(p["kl"])
    near = np.subtract(record.values("kl", taken_apart=0.6), record.values("kl", beta=0.6))
    assert np.abs(near).max() < 0.5


def test_the_plane_shows_every_seed_and_the_largest_kl_of_best_of_n():
    best = {judge: {4: [1.0, 1.2]} for judge in ("true reward", "implicit reward")}
    lines = ch07.plane(RUNS, best).axes[0].lines
    drawn = [line.get_xdata().tolist() for line in lines]
    assert sorted(RUNS[0.1][0]) in drawn
    assert [best_of_n_kl(4)] in drawn


def test_a_frame_tells_its_beta_and_its_texts():
    figure = ch07.frame(RUNS, 2.0, ["✗ A short text."])
    assert figure.axes[0].get_title() == "β = 2"
    assert [t.get_text() for t in figure.texts] == ["✗ A short text."]


def test_the_other_figures_draw_what_they_are_given():
    measures = {name: {0.1: [1, 2], 1.0: [3, 4]} for name in "abcdef"}
    figure = ch07.against_beta(measures, {"f": {0.1: 2.0, 1.0: 1.5}})
    assert [ax.get_title() for ax in figure.axes] == list("abcdef")
    ax = ch07.without_broken(RUNS, {0.1: ([9.0], [1.0])}, {0.1: ([3.0], [2.5])}).axes[0]
    assert [3.0] in [line.get_xdata().tolist() for line in ax.lines]
    ax = ch07.shares({"base": [0.1, 0.2], "more": [0.0, 0.1]}).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["base", "more"]


def test_the_gap_has_a_line_for_each_size_and_its_law_beside_it():
    pairs, sizes = np.tile([512.0, 2048, 8192, 32768], 3), np.repeat([1e4, 1e5, 1e6], 4)
    gaps = 0.5 + pairs[:, None] ** -0.3 + sizes[:, None] ** -0.2 + [-0.01, 0.0, 0.01]
    cells = scaling.Cells(sizes, pairs, gaps, list(np.repeat(["a", "b", "c"], 4)), True)
    ax = ch07.gap_by_pairs(cells, cells.law(), start=2.6, bound=0.7).axes[0]
    drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
    np.testing.assert_allclose(drawn["b"], cells.means[4:8])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b", "c"]
    laws = [line.get_ydata() for line in ax.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(np.concatenate(laws), cells.law()(cells.x))
