"""Chapter 14: tokens that count by weight, a loop that trains on them, and the figures."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from dpo_from_scratch import world
from dpo_from_scratch.lab.figures import ch14
from dpo_from_scratch.lab.records import Record
from dpo_from_scratch.models import load_model
from dpo_from_scratch.studies import length
from dpo_from_scratch.training import PRESETS, TrainConfig, train

MASK = torch.tensor([[0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 0, 0]]).bool()  # chosen 4, rejected 2


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_with_all_weights_one_the_loop_gives_the_numbers_of_dpo():
    rows = world.make_pairs(24, seed=1)
    config = TrainConfig(**PRESETS["tiny"] | {"steps": 3, "batch_size": 8, "warmup": 1})
    theirs, tokenizer = load_model("tiny")
    told = [row["loss"] for row in train(theirs, tokenizer, rows, config, progress=False)]
    ours, found = load_model("tiny")[0], []
    whole = lambda mask, generator: mask.float()
    look = lambda step, row: found.append(row["loss"])
    length.train_weighted(ours, tokenizer, rows, config, whole, look)
    assert found == pytest.approx(told, abs=1e-5)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=2e-4, rtol=0)


def test_sampo_draws_as_many_tokens_from_each_as_the_shorter_has():
    draws = [length.sampled_tokens(MASK, torch.Generator().manual_seed(i)) for i in range(40)]
    assert all((w.sum(1) == 2).all() and (w <= MASK).all() for w in draws)
    assert torch.stack(draws).mean(0)[0, 2:] == pytest.approx([0.5] * 4, abs=0.3)


def test_ld_dpo_discounts_what_is_longer_and_is_dpo_at_one():
    assert length.discounted_tokens(MASK, 0.25).tolist() == [
        [0, 0, 1, 1, 0.25, 0.25],
        [0, 0, 1, 1, 0, 0],
    ]
    assert torch.equal(length.discounted_tokens(MASK, 1.0), MASK.float())


def test_labellers_judge_the_same_texts(monkeypatch):
    monkeypatch.setattr(length, "PAIRS", 60)
    texts = lambda rows: [{row["chosen"], row["rejected"]} for row in rows]
    long, honest, half = (length.labelled(name, 0) for name in length.LABELS)
    assert texts(honest) == texts(long) == texts(half) == texts(length.labelled("coin", 0))
    assert all(c in (a, b) for a, b, c in zip(honest, long, half, strict=True))


def test_bias_is_counted_from_the_optimum_at_the_same_kl():
    best = world.REVIEWS.optimum_at_kl(1.3)
    assert ch14.optimum_length(1.3) == pytest.approx(best.mean_length, abs=0.01)
    assert ch14.biases([1.3, 0.0], [best.mean_length + 2, 21.9]) == pytest.approx([2, 1], abs=0.02)


def test_figures_draw_what_they_are_given():
    path = np.array([[0.1, 0.5], [0.2, 0.6]]), np.array([[21.0, 22.0], [21.5, 22.5]])
    methods = dict.fromkeys(ch14.NAMES, path)
    axes = ch14.paths({"honest": methods, "likes length": methods}).axes
    assert len(axes[0].lines) == 1 + len(ch14.NAMES)
    both = {"a": dict.fromkeys(ch14.NAMES, path[0][0]), "b": {"dpo": path[0][0]}}
    goals = ch14.bias_of_methods(both, {("b", "dpo"): 0.7}).axes[1].lines
    assert any(list(line.get_xdata()) == [0.7] for line in goals)
    ch14.kl_by_step({"dpo": ([8, 16], path[0]), "cpo": ([8, 16], 2 * path[0])})
    ch14.aims([0.5, 1.0], {"a": {"dpo": [21, 22], "optimum": [21, 22]}, "b": {"dpo": [22, 23]}})
    lines = ch14.two_optima([0.1, 1.0], [21.0, 22.0], [21.0, 24.0], 20.9).axes[0].lines
    assert list(lines[1].get_ydata()) == [21.0, 24.0]


def test_seeds_count_when_all_their_runs_are_there():
    looks = {"looks": [{"kl": 0.5}, {"kl": 1.0}]}
    points = [{"point": point, "result": looks} for point in length.runs(range(2))]
    record = Record({"points": points[:-1]})
    assert ch14.whole_seeds(record) == 1
    assert ch14.along(record, "kl", 1, labels="honest", method="dpo").tolist() == [[0.5, 1.0]]
