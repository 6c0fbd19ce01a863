"""Chapter 19: what its figure reads and shows, and the study's parts that its cells build."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from dpo_from_scratch import world
from dpo_from_scratch.lab.figures import ch19
from dpo_from_scratch.lab.records import Record
from dpo_from_scratch.models import load_model
from dpo_from_scratch.studies import judge_quality as study


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def record() -> Record:
    """Two seeds, their beginning, two betas, a run without dSFT, and a tuning run."""
    points = [({"judge": "none", "seed": s}, 0.2) for s in (0, 1)]
    for seed in (0, 1):
        for beta in (0.3, 4.8):
            run = {"judge": "exact", "rule": "random", "beta": beta, "seed": seed}
            points += [(run, 3 / beta + seed), (run | {"skip": True}, 5 / beta)]
    tuning = {"judge": "exact", "rule": "random", "beta": 4.8, "seed": 9}
    points += [(tuning | {"learning_rate": 1e-3}, 7.0)]
    made = [{"point": p, "result": {"kl": kl, "true_reward": 2 * kl}} for p, kl in points]
    return Record({"study": "judges", "points": made})


def test_a_curve_begins_at_the_model_after_dsft_and_runs_by_falling_beta():
    kl, reward = ch19.curves(record(), "exact")
    assert kl.tolist() == [[0.2, 0.625, 10.0], [0.2, 1.625, 11.0]]
    assert reward.tolist() == (2 * kl).tolist()


def test_a_curve_without_dsft_has_no_such_beginning():
    kl, _ = ch19.curves(record(), "exact", skip=True)
    assert kl == pytest.approx(np.array([[5 / 4.8, 5 / 0.3]] * 2))


def test_the_figure_shows_judges_at_their_agreement_and_seeds_with_their_mean():
    paths = {"exact": (np.array([[0.2, 2.0], [0.2, 4.0]]), np.array([[1.0, 3.0], [1.0, 2.0]]))}
    left, right = ch19.judges({"exact": 0.9}, {"exact": (2.2, 0.1)}, paths, 1.0, 2.4).axes
    (bars,) = left.containers
    assert bars.lines[0].get_xydata().tolist() == [[0.9, 2.2]]
    _, first, second, mean, _ = right.lines
    assert list(first.get_xdata()) == [0.2, 2.0]
    assert list(second.get_ydata()) == [1.0, 2.0]
    assert mean.get_xydata().tolist() == [[0.2, 1.0], [3.0, 2.5]]


def test_scores_in_the_true_order_count_and_true_ties_are_left_out():
    texts = ["the plot was good .", "the plot was dull .", "the plot was dull .", "so"]
    prompt = world.prompts()[0]
    true = [world.reward(prompt, t) for t in texts]
    group = {"prompt": prompt, "responses": texts}
    assert len(set(true)) == 3
    assert study.in_order([group | {"scores": true}]) == 1.0
    assert study.in_order([group | {"scores": [-r for r in true]}]) == 0.0
    assert study.in_order([group | {"scores": [0.0] * 4}]) == 0.0  # told ties are no order


def test_groups_hold_the_teacher_first_and_no_text_twice():
    model, tokenizer = load_model("tiny")
    groups = study.groups_of_four(model, tokenizer, seed=3, number=6)
    assert groups == study.groups_of_four(model, tokenizer, seed=3, number=6)
    assert len(groups) == 6
    for g in groups:
        assert len(set(g["responses"])) == len(g["responses"]) <= 4
        assert world.REVIEWS.is_grammatical(g["prompt"], g["responses"][0])


def test_dpo_moves_a_copy_and_leaves_the_model_as_it_was():
    model, tokenizer = load_model("tiny")
    before = [p.clone() for p in model.parameters()]
    rows = world.make_pairs(32, seed=5)
    policy, history = study.learned(model, tokenizer, rows, beta=1.2, rate=5e-4, seed=0, steps=1)
    assert len(history) == 1
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    moved = zip(before, policy.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in moved)
