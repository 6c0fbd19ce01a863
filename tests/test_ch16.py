"""Chapter 16: its figure shows the record's curves, and its data sets are what they say."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from dpo_from_scratch.lab.figures import ch16
from dpo_from_scratch.lab.records import Record
from dpo_from_scratch.studies import data_sets


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
    figure = ch16.planes({"one": {"DPO": (kl, reward)}, "two": {"sDPO, sets mixed": (kl, reward)}})
    for ax, title in zip(figure.axes, ("one", "two"), strict=True):
        _, seeds, middle = ax.lines
        assert list(seeds.get_xdata()) == kl.ravel().tolist()
        assert list(middle.get_xdata()) == [1.2, 2.1]
        assert ax.get_title() == title
        assert "first model" in ax.get_xlabel()


def test_three_sets_differ_in_their_gaps_and_not_in_their_share_of_wrong_labels(monkeypatch):
    monkeypatch.setattr(data_sets, "LABELS", 300)
    monkeypatch.setattr(data_sets, "FLIPPED", {"exact": 0.0, "a fifth wrong": 0.2})
    for labels, share in data_sets.FLIPPED.items():
        sets = data_sets.data_sets.__wrapped__(labels, 0)
        assert [len(rows) for rows in sets.values()] == [100] * 3
        gaps = [np.array([data_sets.gap(row) for row in rows]) for rows in sets.values()]
        assert [(g < 0).mean() for g in gaps] == [pytest.approx(share)] * 3
        large, middle, small = (np.abs(g) for g in gaps)
        assert large.min() >= middle.max() >= middle.min() >= small.max() >= small.min() > 0


def test_the_parts_of_an_arm_hold_all_rows_in_the_order_of_the_guides_accuracy(monkeypatch):
    sets = {name: [{"prompt": name, "chosen": str(i)} for i in range(4)] for name in data_sets.SETS}
    order = dict(zip(data_sets.SETS, (0.6, 0.9, 0.7), strict=True))
    monkeypatch.setattr(data_sets, "data_sets", lambda *_: sets)
    found = {name: {"guide": share} for name, share in order.items()}
    monkeypatch.setattr(data_sets, "accuracies", lambda *_: found)
    _, easy, hard, mixed = (data_sets.in_order(arm, "exact", 0) for arm in data_sets.ARMS)
    (everything,) = data_sets.in_order("DPO", "exact", 0)
    assert [part[0]["prompt"] for part in easy] == ["middle gaps", "small gaps", "large gaps"]
    assert hard == easy[::-1]
    key = lambda row: (row["prompt"], row["chosen"])
    rows = sorted((row for part in easy for row in part), key=key)
    assert sorted(everything, key=key) == rows
    assert sorted((row for part in mixed for row in part), key=key) == rows
    assert [len(part) for part in mixed] == [4, 4, 4]
