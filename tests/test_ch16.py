"""Chapter 16: its figure shows the record's curves."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from dpo_from_scratch.lab.figures import ch16
from dpo_from_scratch.lab.records import Record


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def record(*points) -> Record:
    figures = lambda beta, seed: {"kl": 1 / beta + seed, "true_reward": beta - seed}
    made = [
        {"point": {"arm": "DPO", "beta": b, "seed": s, **more}, "result": figures(b, s)}
        for b, s, more in points
    ]
    return Record({"study": "steps", "points": made})


def test_curves_run_by_falling_beta_and_leave_half_made_seeds_and_other_settings_out():
    points = [(b, s, {}) for s in (0, 1) for b in (0.5, 1.0)]
    other = [(0.5, s, {"learning_rate": 1e-4}) for s in (0, 1)]
    kl, reward = ch16.curves(record(*points, *other, (0.5, 2, {})), arm="DPO")
    assert kl.tolist() == [[1.0, 2.0], [2.0, 3.0]]
    assert reward.tolist() == [[1.0, 0.5], [0.0, -0.5]]


def test_the_planes_show_every_seed_and_join_the_medians():
    kl, reward = np.array([[1.0, 2.0], [1.2, 2.6], [3.0, 2.1]]), np.ones((3, 2))
    arms = ({"DPO": (kl, reward)}, {"DPO, the same stairs": (kl, reward)})
    figure = ch16.planes(dict(zip(("one", "two"), arms, strict=True)), right=(7.5, 4.5))
    for ax, title in zip(figure.axes, ("one", "two"), strict=True):
        _, seeds, middle = ax.lines
        assert list(seeds.get_xdata()) == kl.ravel().tolist()
        assert list(middle.get_xdata()) == [1.2, 2.1]
        assert ax.get_title() == title
        assert "first model" in ax.get_xlabel()
