"""Records: resumable, tied to their source, and still true at one point."""

import json

import numpy as np
import pytest
from conftest import script

from dpo_from_scratch import records
from dpo_from_scratch.data import data_path
from dpo_from_scratch.evaluation import mean_and_half_width
from dpo_from_scratch.world import make_pairs

STUDIES = sorted(data_path("results").glob("*.py"))


def test_a_study_that_was_stopped_goes_on(tmp_path):
    study, made = tmp_path / "squares.py", []
    study.write_text('"""Squares."""\nfrom dpo_from_scratch.logprobs import sequence_logps\n')

    def run(point):
        if len(made) == 2 and point["x"] == 3:
            raise KeyboardInterrupt
        made.append(point["x"])
        return {"y": point["x"] ** 2}

    points = [{"x": x} for x in (1, 2, 3)]
    with pytest.raises(KeyboardInterrupt):
        records.run_study(study, "squares", points, run)
    made.append("again")
    path = records.run_study(study, "squares", points, run)
    assert made == [1, 2, "again", 3]
    record = json.loads(path.read_text())
    assert [p["result"]["y"] for p in record["points"]] == [1, 4, 9]
    assert record["versions"]["torch"]
    assert not list(tmp_path.glob("*.partial"))


def test_a_record_is_verified_by_its_first_point_equal_to_the_last_digit(tmp_path, monkeypatch):
    study = tmp_path / "squares.py"
    study.write_text("x = 1\n")
    points = [{"x": x} for x in (1, 2, 3)]
    path = records.run_study(study, "squares", points, lambda p: {"y": p["x"] / 3, "seconds": 1.0})
    study.write_text("x = 2\n")
    monkeypatch.setattr("sys.argv", ["squares.py", "--verify"])
    before = json.loads(path.read_text())
    records.run_study(study, "squares", points, lambda p: {"y": p["x"] / 3, "seconds": 2.0})
    after = json.loads(path.read_text())
    assert after["points"] == before["points"]
    assert after["verified"]["source"] == records.source_hash(study) != after["source"]
    with pytest.raises(SystemExit, match=r"y of .* come out differently"):
        records.run_study(study, "squares", points, lambda p: {"y": p["x"] / 3 + 1e-16 + 1e-12, "seconds": 1.0})
    assert json.loads(path.read_text()) == after


def test_the_hash_follows_imports_and_ignores_docstrings_and_comments(tmp_path):
    a, b, c = (tmp_path / f"{n}.py" for n in "abc")
    a.write_text('"""One."""\nfrom dpo_from_scratch.world import reward\nx = 1\n')
    b.write_text('"""Two."""\nfrom dpo_from_scratch.world import reward\nx = 1  # a comment\n')
    c.write_text('"""One."""\nfrom dpo_from_scratch.world import reward\nx = 2\n')
    b2 = tmp_path / "again" / "a.py"
    b2.parent.mkdir()
    b2.write_text(b.read_text())
    assert records.source_hash(a) == records.source_hash(b2)
    (tmp_path / "other").mkdir()
    c2 = tmp_path / "other" / "a.py"
    c2.write_text(c.read_text())
    assert records.source_hash(a) != records.source_hash(c2)


@pytest.mark.parametrize("study", STUDIES, ids=lambda p: p.stem)
def test_every_record_is_complete(study):
    record = records.load_record(study.stem)
    assert len(record["points"]) >= 3
    assert record["command"] == f"python data/results/{study.name}"
    assert {"python", "torch", "transformers", "numpy"} <= set(record["versions"])
    if not record["fresh"]:
        print(f"{study.stem}: the source has changed since this record was made")  # reported, not refused


def test_one_point_of_start_here_lies_within_its_recorded_spread(tiny):
    """The reference's own figures, measured again; its trainings are repeated in test_evaluation.py."""
    study, record = script(data_path("results/start_here.py")), records.load_record("start_here")
    from dpo_from_scratch.evaluation import evaluate_reviews

    before = [p["result"]["before"]["true_reward"] for p in record["points"]]
    mean, half = mean_and_half_width(before)
    again = evaluate_reviews(tiny[0], tiny[0], tiny[1], make_pairs(4, split="test"), seed=0)
    assert abs(again.true_reward - mean) < half + 3 * again.true_reward_se
    assert np.isfinite(mean)
    assert callable(study.run)


REPEATED = {  # study: a small point of it, the figure to hold, and how far another CPU's rounding may take it
    "beta_sweep": ({"beta": 4.0, "seed": 0}, "true_reward", 0.15),
    "gap": ({"setting": "base", "seed": 0}, "missed", 0.03),
    "references": ({"divide_by": "a constant", "seed": 0}, "length", 0.8),
    "ppo_tuning": ({"method": "reward model", "learning_rate": 0.002, "steps": 256}, "true_order", 0.03),
    "dpo_and_ppo": ({"method": "SFT", "seed": 0}, "win_rates", 0.06),
    "gallery": ({"healthy": "learning rate halved", "seed": 0}, "run", 0.5),
    "reading_curves": ({"pairs": "the words are shuffled", "loss": "DPO", "seed": 0}, "rejected", 5.0),
    "wrong_labels": ({"loss": "dpo", "learning_rate": 2.5e-4}, "objective", 0.15),
    "too_sure": ({"loss": "ipo", "strength": 1.0, "seed": 0}, "looks", 0.02),
    "whose_samples": ({"arm": "another author", "learning_rate": 2.5e-4}, "objective", 0.2),
    "step_by_step": ({"arm": "DPO", "learning_rate": 2.5e-4}, "objective", 0.2),
    "circles": ({"arm": "DPO", "beta": 3.0, "learning_rate": 5e-4}, "last", 0.06),
    "judge_quality": ({"judge": "none", "seed": 0}, "true_reward", 0.15),
    "zephyr": ({"rule": "before", "seed": 0}, "judge", 0.4),  # of 32 samples instead of 128: three standard errors
    "human_ratings": ({"arm": "slice", "seed": 0}, "loss", 0.01),
    "no_pairs": ({"loss": "dpo", "learning_rate": 2.5e-4}, "objective", 0.15),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REPEATED)
def test_a_point_of_the_record_comes_out_again(name):
    point, key, tolerance = REPEATED[name]
    study, record = script(data_path(f"results/{name}.py")), records.load_record(name)
    told = next(p["result"][key] for p in record["points"] if p["point"] == point)
    if name == "zephyr":
        study.SAMPLES = 32
    if name == "beta_sweep":
        found = study.sweep(point)[key]
    elif name == "references":
        found = study.length_after_sft(point)[key]
    elif name == "gallery":
        found = study.healthy(point)[key]
    elif name == "ppo_tuning":
        found = study.tune_reward_model({k: v for k, v in point.items() if k != "method"})[key]
    else:
        found = study.run(point)[key]
    one_number = {
        "win_rates": lambda v: v["1.0"],
        "looks": lambda v: v[-1]["train_delta"],
        "run": len,
        "loss": lambda v: v[-1],
    }.get(key, float)
    told, found = one_number(told), one_number(found)
    assert abs(found - told) < tolerance
