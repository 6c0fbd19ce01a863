"""Chapter 18: a record that is whole in parts, what is read off it, and the figures."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from dpo_from_scratch.lab.figures import ch18
from dpo_from_scratch.lab.records import Record
from dpo_from_scratch.studies import tournament


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def made_up(problems=("clean",), confirmed=False) -> Record:
    """A record in which a method is worth its place in the list, and a seed its number."""
    points = []
    for problem in problems:
        for place, method in enumerate(ch18.NAMES):
            here = {"problem": problem, "method": method}
            for i in range(ch18.TRIALS):
                told = {"objective": place / 10 + i, "kl": 1.0, "true_reward": 2.0}
                points.append({"point": here | {"trial": i}, "result": told})
            for seed in reversed(range(ch18.SEEDS)):
                told = {"objective": place / 10 + seed, "kl": 1.0 + seed, "true_reward": 2.0}
                points.append({"point": here | {"seed": seed}, "result": told})
    for seed in range(100, 115) if confirmed else ():
        for rank, method in enumerate(("dpo", "kto", "ipo", "bco", "aot")):
            told = {"method": method, "objective": rank + seed / 100}
            points.append({"point": {"rank": rank, "new_seed": seed}, "result": told})
    return Record({"points": points})


def test_the_chapter_names_the_methods_and_the_budget_of_the_study():
    assert tuple(ch18.NAMES) == tournament.METHODS
    assert len(tournament.SEEDS) == ch18.SEEDS
    assert len(tournament.NEW) == ch18.NEW
    assert len(tournament.trials("dpo")) == ch18.TRIALS
    assert {ch18.family(m) for m in ch18.NAMES} == set(ch18.FAMILIES)


def test_a_problem_counts_when_all_of_it_is_there():
    record = made_up(("clean", "few pairs"))
    assert ch18.whole(record) == ["clean", "few pairs"]
    record.points.pop()
    assert ch18.whole(record) == ["clean"]
    assert ch18.whole(Record({"points": []})) == []


def test_figures_are_read_by_method_and_seed():
    record = made_up()
    found = ch18.runs(record, "clean", "objective")
    assert found["cdpo"].tolist() == pytest.approx([0.1, 1.1, 2.1, 3.1, 4.1])
    assert ch18.trials(record, "clean")["dpo"].tolist() == [0, 1, 2, 3, 4, 5]
    assert ch18.by_worth(found)[0] == list(ch18.NAMES)[-1]
    assert ch18.less_dpo(found)["cdpo"] == pytest.approx([0.1] * 5)
    assert "dpo" not in ch18.less_dpo(found)


def test_the_test_counts_when_all_finalists_have_all_seeds():
    record = made_up(confirmed=True)
    assert list(ch18.on_new_seeds(record)) == ["dpo", "kto", "ipo", "bco", "aot"]
    assert ch18.less_dpo(ch18.on_new_seeds(record))["ipo"] == pytest.approx([2.0] * 15)
    record.points[-1]["result"]["method"] = "nca"
    with pytest.raises(ValueError, match="rank 4 holds aot, nca"):
        ch18.on_new_seeds(record)
    record.points.pop()
    assert ch18.on_new_seeds(record) == {}
    assert ch18.on_new_seeds(made_up()) == {}


def test_groups_explain_all_nothing_or_what_luck_does():
    groups = {"a": "x", "b": "x", "c": "y", "d": "y"}
    assert ch18.share_explained({"a": 1, "b": 1, "c": 3, "d": 3}, groups) == 1
    assert ch18.share_explained({"a": 1, "b": 3, "c": 1, "d": 3}, groups) == 0
    luck = ch18.share_by_luck({"a": 1, "b": 1, "c": 3, "d": 3}, groups, 500)
    assert set(luck.round(6)) == {0.0, 1.0}  # one deal of three keeps the two threes together
    assert luck.mean() == pytest.approx(1 / 3, abs=0.07)


def test_equal_methods_spread_as_names_that_are_dealt_anew():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(24, 5)) + 9 * rng.normal(size=5)  # what a seed shares, nobody gains
    luck = ch18.spread_by_luck(table, 500)
    assert luck.mean() == pytest.approx(1 / 5**0.5, abs=0.06)
    assert table.mean(1).std(ddof=1) == pytest.approx(luck.mean(), abs=3 * luck.std())


def test_who_is_above_or_below_with_every_seed():
    figures = {"dpo": [1, 2], "ipo": [2, 3], "kto": [0, 1], "bco": [2, 1], "aot": [1, 3]}
    figures = {m: np.array(values) for m, values in figures.items()}
    assert ch18.in_all_seeds(figures) == (["ipo"], ["kto"])


def test_figures_draw_what_they_are_given():
    found = ch18.runs(made_up(), "clean", "objective")
    found["apo_down"] = found["apo_down"] - 50
    axes = ch18.first_round({"clean": found, "few pairs": found}, 9.0, -0.2).axes
    assert axes[0].get_yticklabels()[0].get_text() == "sDPO"
    assert any("◂" in t.get_text() for t in axes[1].texts)
    ch18.first_round({"clean": found}, 9.0, -0.2)
    (ax,) = ch18.tuning(ch18.trials(made_up(), "clean"), found, 0.5).axes
    assert any(t.get_text() == "1 below 0.5" for t in ax.texts)
    kls = {m: values + 1 for m, values in found.items()} | {"kto": found["kto"] + 99}
    (ax,) = ch18.under_the_frontier(found, kls, 20, ["dpo"]).axes
    assert any("KTO" in t.get_text() for t in ax.texts)
    new = ch18.less_dpo(ch18.on_new_seeds(made_up(confirmed=True)))
    (ax,) = ch18.finalists(ch18.less_dpo(found), new).axes
    assert [t.get_text() for t in ax.get_yticklabels()] == ["KTO", "IPO", "BCO", "AOT"]
    rng = np.random.default_rng(0)
    ch18.curse(rng.normal(1, 1, 500), rng.normal(0, 1, 500))
