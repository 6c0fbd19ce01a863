"""Chapter 12's figures: the numbers that they show are those they were given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from dpo_from_scratch.lab.figures import ch12
from dpo_from_scratch.lab.records import Record


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_curves_are_by_loss_and_rising_strength_without_the_tuning_runs():
    run = lambda loss, strength, seed, **more: {
        "point": {"loss": loss, "strength": strength, "seed": seed} | more,
        "result": {"looks": [{"kl": strength}, {"kl": strength + seed}]},
    }
    points = [run("dpo", 3.0, 0), run("dpo", 0.1, 0), run("dpo", 0.1, 1), run("ipo", 0.3, 0)]
    points += [run("cdpo", 0.3, 99, learning_rate=1e-3)]
    found = ch12.curves(Record({"points": points}), "kl")
    assert list(found) == ["DPO", "cDPO", "IPO"]
    assert list(found["DPO"]) == [0.1, 3.0]
    assert found["DPO"][0.1].tolist() == [[0.1, 0.1], [0.1, 1.1]]
    assert found["cDPO"] == {}


def test_the_dials_figures_are_by_certainty_and_beta():
    points = [
        {"point": {"certainty": 0.9, "beta": beta, "seed": seed}, "result": {"kl": beta + seed}}
        for seed in range(2)
        for beta in (0.1, 1.0)
    ]
    found = ch12.by_certainty(Record({"points": points}), "kl")
    assert found[0.9][1.0].tolist() == [1.0, 2.0]
    cells = ch12.column(found[0.9], (0.1, 1.0, 3.0))
    assert cells[0][0] == pytest.approx(0.6)
    assert cells[2] is None
    assert ch12.told([2.0]) == 2.0


def test_means_bands_and_limits_are_drawn_for_each_loss():
    found = {loss: {0.1: np.array([[1.0, 2.0], [1.0, 4.0]])} for loss in ("DPO", "cDPO", "IPO")}
    axes = ch12.margins([4, 8], found, {"IPO": {0.1: 5.0}}).axes
    assert [line.get_ydata().tolist() for line in axes[0].lines] == [[1.0, 3.0]]
    assert axes[2].lines[1].get_ydata().tolist() == [5.0, 5.0]
    frame = ch12.dial_frame([4, 8], found["DPO"], {0.1: np.inf}, "p = 1").axes[0]
    assert len(frame.lines) == 1
    assert ch12.apart([10.0, 9.0, 1.0], 2.0) == [10.0, 5.0, 1.0]


def test_paths_end_at_their_means_under_the_frontier_and_are_named():
    kl = {loss: {0.1: np.array([[0.1, 10.0], [0.1, 20.0]])} for loss in ("DPO", "cDPO", "IPO")}
    reward = {loss: {0.1: np.array([[0.5, -1.0], [0.5, -3.0]])} for loss in kl}
    axes = ch12.paths(kl, reward, {("IPO", 0.1): (1.0, -4.0)}).axes
    for ax, name in zip(axes, ("β 0.1", "β 0.1", "τ 0.1"), strict=True):
        path = ax.lines[2]
        assert path.get_xdata() == pytest.approx([0.1, 15.0])
        assert path.get_ydata() == pytest.approx([0.5, -2.0])
        assert {"exact optimum", name} <= {text.get_text() for text in ax.texts}
