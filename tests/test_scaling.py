"""Power laws with a floor, and the studies of scaling and of the fast path."""

import json

import numpy as np
import pytest

from dpo_from_scratch import world
from dpo_from_scratch.lab.power_laws import (
    explained,
    fit_power_law,
    pooled_errors,
    residuals,
)
from dpo_from_scratch.lab.records import Record
from dpo_from_scratch.lab.studies import Study
from dpo_from_scratch.losses import LOSSES
from dpo_from_scratch.studies import fast_path, scaling
from dpo_from_scratch.studies.gpu import scaling as gpu_scaling

GRID = np.array([[d, n] for d in (512, 2048, 8192, 32768) for n in (3e4, 1e5, 3e5, 1e6, 4e6)])


def true_gap(x):
    return 0.3 + 0.2 * (x[:, 0] / 4096) ** -0.6 + 0.1 * (x[:, 1] / 3e5) ** -0.3


def test_a_power_law_is_found_again():
    law = fit_power_law(GRID, true_gap(GRID), np.full(len(GRID), 0.01))
    np.testing.assert_allclose(law(GRID), true_gap(GRID), atol=1e-6)
    np.testing.assert_allclose([law.floor, *law.exponents], [0.3, 0.6, 0.3], rtol=1e-3)
    assert explained(law, GRID, true_gap(GRID)) == pytest.approx(1.0)
    assert list(law.rows(["pairs", "size"])) == [
        *("floor", "pairs: scale", "size: scale", "pairs: exponent", "size: exponent")
    ]


def test_its_interval_holds_the_truth_about_as_often_as_it_says():
    rng, held = np.random.default_rng(0), 0
    for _ in range(60):
        gaps = true_gap(GRID) + 0.005 * rng.standard_normal(len(GRID))
        law = fit_power_law(GRID, gaps, np.full(len(GRID), 0.005))
        held += abs(law.exponents[0] - 0.6) <= law.half_widths[3]
    assert held >= 52


def test_a_cell_that_a_power_law_does_not_explain_stands_out():
    gaps = true_gap(GRID)
    gaps[7] += 0.2
    errors = np.full(len(GRID), 0.01)
    missed = residuals(fit_power_law(GRID, gaps, errors), GRID, gaps, errors)
    assert abs(missed).argmax() == 7
    assert missed[7] > 10


def test_too_few_cells_are_refused():
    few = GRID[:5]
    with pytest.raises(ValueError, match="too few"):
        fit_power_law(few, true_gap(few), np.ones(5))


def test_pooled_errors_are_those_of_the_common_variance():
    rng = np.random.default_rng(1)
    found = pooled_errors(rng.standard_normal((4000, 3)) * 0.3)
    np.testing.assert_allclose(found, 0.3 / np.sqrt(3), rtol=0.03)


# ---------------------------------------------------------------- scaling
def test_sizes_are_what_they_are_called():
    for name, (layers, width) in scaling.SIZES.items():
        model = scaling.new_tiny_model(scaling.review_tokenizer(), layers, width)
        assert model.num_parameters() / 1e6 == pytest.approx(float(name[:-1]), rel=0.15)


def test_the_grammars_optimum_is_the_shipped_models_nearly(tiny):
    policy = world.REVIEWS.policy(world.prompts()[0], scaling.BETA)
    assert pytest.approx(policy.mean_reward - scaling.BETA * policy.kl) == scaling.OPTIMUM
    own = scaling.own_optimum(tiny[0], samples=240)
    assert own == pytest.approx(scaling.OPTIMUM, abs=0.05)
    assert own != scaling.OPTIMUM


FEW = scaling.Setup(target=60.0, texts=3200, checked=60, measured=120, samples=24, pairs=64)


def test_a_reference_stops_at_its_target(monkeypatch):
    monkeypatch.setattr(scaling, "SHAPES", {"tiny": (1, 16)})
    model, how = scaling.reference("tiny", 0, FEW)
    assert how["steps"] % FEW.every == 0
    assert 0 < scaling.distance(model, 60)[0] < 60.0
    assert how["parameters"] == model.num_parameters()
    assert not any(p.requires_grad for p in model.parameters())


def test_the_whole_study_in_small_ends_in_a_gap_for_every_cell(monkeypatch, tmp_path):
    monkeypatch.setattr(scaling, "SHAPES", {"tiny": (1, 16)})
    monkeypatch.setattr(scaling, "PAIRS", (512, 2048))
    study = Study(str(tmp_path / "studies" / "small.py"), "Small")
    study.path = tmp_path / "small.json"
    scaling.grid(study, ["tiny"], FEW)
    study.make()
    record = study.record()
    assert len(record.points) == 3 + 3 + 6
    for result in (p["result"] for p in record.points):
        told = result["true_reward"] - scaling.BETA * result["kl"]
        assert result["objective"] == pytest.approx(told)
        assert result["gap"] == pytest.approx(scaling.OPTIMUM - told)
    before = record.at(size="tiny", before="DPO", seed=0)
    assert before["kl"] == 0
    assert before["own_optimum"] < scaling.OPTIMUM  # so far from the grammar


def test_the_study_for_a_gpu_has_the_same_points_and_a_small_form(monkeypatch):
    monkeypatch.setattr(scaling, "SHAPES", {"GPT-2": (1, 16)})
    made = json.loads(gpu_scaling.study.tried())
    assert [p["point"] for p in made["points"]] == [
        {"size": "GPT-2", "before": "DPO", "seed": 0},
        {"size": "GPT-2", "factor": 0.5},
        {"size": "GPT-2", "pairs": 512, "seed": 0},
    ]
    wanted = [p | {"size": "4M"} for points, _ in gpu_scaling.study.makers for p in points]
    largest = scaling.study.makers[-4:-1]  # behind it stands a control
    assert wanted == [p for points, _ in largest for p in points]


def grid_record(sizes: list[str]) -> Record:
    """A record whose gaps follow a power law in pairs, one cell without its last seed."""
    points = []
    for size in sizes:
        count = 1e6 * float(size[:-1])
        points.append(({"size": size, "before": "DPO", "seed": 0}, {"parameters": count}))
        for pairs in scaling.PAIRS:
            for seed in scaling.SEEDS:
                gap = 0.2 + 10 / pairs**0.5 + 0.01 * (seed - 1)
                points.append(({"size": size, "pairs": pairs, "seed": seed}, {"gap": gap}))
    points.pop()
    return Record({"study": "scaling", "points": [{"point": p, "result": r} for p, r in points]})


def test_cells_are_those_that_have_all_their_seeds():
    found = scaling.cells(grid_record(["0.03M", "0.1M"]))
    assert len(found.names) == 7
    assert found.x.shape == (7, 1)  # two sizes tell no law of size
    law = found.law()
    assert law.exponents[0] == pytest.approx(0.5, abs=0.01)
    small = found.where(found.pairs < 8192)
    assert small.names == ["0.03M", "0.03M", "0.1M", "0.1M"]
    three = scaling.cells(grid_record(["0.03M", "0.1M", "1M"]))
    assert three.x.shape == (11, 2)
    assert three.where(three.pairs == 512).x.shape == (3, 2)


# ---------------------------------------------------------------- the fast path
def test_both_ways_differ_in_how_they_compute_and_in_nothing_else():
    for run, loss in fast_path.ARMS:
        plain, fast = (fast_path.config_of(run, loss, way, 1) for way in fast_path.WAYS)
        differs = {k for k, v in vars(plain).items() if v != vars(fast)[k]}
        assert differs == {"plain", "precision"}
        assert plain.steps == 200
    assert {loss for run, loss in fast_path.ARMS if run == "whole"} == set(LOSSES)


def test_pairs_are_made_of_the_arms_that_are_whole():
    def point(way, seed, value):
        figures = {"held_out_loss": value, "true_reward": 2.0 + seed}
        return {
            "point": {"run": "whole", "loss": "dpo", "seed": seed, "way": way},
            "result": figures,
        }

    points = [point("plain", s, 0.5 + 0.01 * s) for s in range(3)]
    points += [point("fast", s, 0.5 + 0.01 * s + 0.002) for s in range(3)]
    loss, reward = fast_path.in_pairs(Record({"points": points}))
    assert loss.difference == pytest.approx(0.002)
    assert loss.between_seeds == pytest.approx(0.01)
    assert loss.share == pytest.approx(0.2)
    assert reward.difference == 0.0
    assert not fast_path.in_pairs(Record({"points": points[:-1]}))


def test_in_the_record_every_arm_keeps_to_half_the_deviation_between_seeds():
    found = fast_path.in_pairs(Record.load("fast_path"))
    assert {(p.run, p.loss) for p in found} >= set(fast_path.ARMS[:4])
    for paired in found:
        assert paired.between_seeds > 0
        assert paired.share < 0.5, paired


def test_in_the_record_a_resumed_run_ends_where_a_whole_one_does():
    record = Record.load("fast_path")
    for way in fast_path.WAYS:
        for seed in fast_path.SEEDS:
            whole, resumed = (
                record.at(run=run, loss="dpo", seed=seed, way=way) for run in ("whole", "resumed")
            )
            assert whole == resumed
