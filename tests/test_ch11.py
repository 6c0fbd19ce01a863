"""Chapter 11: flipped labels that are told apart, and its figures."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from dpo_from_scratch import world
from dpo_from_scratch.lab.figures import ch11
from dpo_from_scratch.studies import learned_by_heart, too_sure, wrong_labels


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def better(row: dict) -> bool:
    """Whether the chosen response has the higher true reward."""
    return world.reward(row["prompt"], row["chosen"]) > world.reward(row["prompt"], row["rejected"])


def test_right_and_wrong_labels_are_parts_of_what_is_trained_on():
    parts = learned_by_heart.parts_of(0, [])
    assert len(parts["train"]) == 96
    assert len(parts["wrong"]) == round(0.2 * 96)
    assert all(better(row) for row in parts["right"] + parts["held_out"])
    assert not any(better(row) for row in parts["wrong"])
    assert sorted(map(str, parts["right"] + parts["wrong"])) == sorted(map(str, parts["train"]))
    asked = {row["prompt"] for row in parts["train"]}
    left = learned_by_heart.parts_of(0, sorted(asked)[:1])["train"]
    assert {row["prompt"] for row in left} == asked - {sorted(asked)[0]}


def test_a_look_tells_how_many_wrong_labels_are_in_the_order_of_their_label(monkeypatch):
    monkeypatch.setattr(learned_by_heart, "STEPS", 2)
    monkeypatch.setattr(too_sure, "of_samples", lambda *a: {"kl": 0.1})
    parts = learned_by_heart.parts_of(0, [])
    (look,) = learned_by_heart.looks_at(parts, [], "cdpo", 1.0, 5e-4, 0, (2,))["looks"]
    assert look["step"] == 2
    assert look["kl"] == 0.1
    assert 0 <= look["wrong_right"] <= 1
    assert look["wrong_least"] <= look["wrong_delta"] <= look["wrong_most"]


def test_more_flips_are_flips_of_the_same_texts():
    some, more = (wrong_labels.flipped_pairs(flips, 0) for flips in (0.1, 0.3))
    none = wrong_labels.flipped_pairs(0.0, 0)
    of = lambda rows: np.array(
        [a["chosen"] != b["chosen"] for a, b in zip(rows, none, strict=True)]
    )
    assert of(some).mean() == pytest.approx(0.1, abs=0.03)
    assert of(more).mean() == pytest.approx(0.3, abs=0.04)
    assert (of(more) >= of(some)).all()


def test_every_path_is_drawn_at_its_means_with_bars_over_the_seeds():
    kls, rewards = np.array([[0.1, 1.0], [0.3, 1.2]]), np.array([[0.2, 1.0], [0.4, 1.4]])
    runs = dict.fromkeys(ch11.STYLES, (kls, rewards))
    left, right = ch11.under_the_frontier({"few": runs, "many": runs}).axes
    assert [ax.get_title() for ax in (left, right)] == ["few", "many"]
    for ax in (left, right):
        assert len(ax.containers) == len(ch11.STYLES)
        line = ax.containers[0].lines[0]
        assert line.get_xdata() == pytest.approx([0.2, 1.1])
        assert line.get_ydata() == pytest.approx([0.3, 1.2])


def test_margins_are_drawn_with_their_range_and_the_place_of_rest():
    run = {s: {"right": np.array([s, s + 2.0]), "wrong": np.array([0.0, s])} for s in (1, 2)}
    first, second = ch11.margins({"DPO": run, "cDPO": run}, rest=1.4).axes
    assert [ax.get_title() for ax in (first, second)] == ["DPO", "cDPO"]
    right, wrong, rest = first.lines
    assert right.get_ydata() == pytest.approx([2.0, 3.0])
    assert wrong.get_ydata() == pytest.approx([0.5, 1.0])
    assert rest.get_ydata() == pytest.approx([1.4, 1.4])
