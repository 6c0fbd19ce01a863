"""Records: made point by point, read by chapters, and compared with a point that is made again."""

import json
import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from dpo_from_scratch import studies
from dpo_from_scratch.data import DataError
from dpo_from_scratch.lab import records
from dpo_from_scratch.lab import studies as lab_studies
from dpo_from_scratch.lab.evaluation import evaluate_reviews, mean_and_half_width
from dpo_from_scratch.lab.records import Record, compare, figures, verdict
from dpo_from_scratch.lab.studies import Study, place
from dpo_from_scratch.studies import zephyr
from dpo_from_scratch.world import make_pairs

NAMES = sorted(p.stem for p in Path(studies.__file__).parent.glob("*.py") if p.stem != "__init__")


def of(name: str) -> Study:
    """A study of the book."""
    return import_module(f"dpo_from_scratch.studies.{name}").study


@pytest.fixture
def squares(tmp_path):
    """A study of three points and two functions; `made` tells what was asked."""
    study = Study(str(tmp_path / "studies" / "squares.py"), "Squares", {"y": 0.5})
    study.path, study.made, study.changed = tmp_path / "squares.json", [], {}

    @study.points([{"x": x, "seed": seed} for x in (1, 2) for seed in range(3)])
    def square(x, seed):
        study.made.append((x, seed))
        if len(study.made) == 3:
            raise KeyboardInterrupt
        found = {"y": x**2 + 0.1 * seed, "text": "a", "seconds": 1.0, "list": [0, seed]}
        return found | study.changed

    @study.points([{"name": "third"}])
    def third(name):
        return {"y": 1 / 3}

    return study


def test_a_study_that_was_stopped_goes_on(squares):
    with pytest.raises(KeyboardInterrupt):
        squares.make()
    assert len(squares.record().points) == 2
    squares.make()
    record = squares.record()
    assert squares.made.count((1, 0)) == 1  # what is there is not made again
    assert [p["result"]["y"] for p in record.points[:3]] == [1.0, 1.1, 1.2]
    assert len(record.points) == 7
    made = record.content["made"]
    assert [m["points"] for m in made] == [2, 5]
    for m in made:
        assert m["cpu"]
        assert m["threads"] >= 1
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", m["date"])
        assert m["commit"]
        assert m["versions"]["torch"]
    assert record.content["command"] == "python -m dpo_from_scratch.studies.squares"
    assert str(record) == "Squares | made by: python -m dpo_from_scratch.studies.squares"
    assert not list(squares.path.parent.glob("*.partial"))


def test_a_wheel_asks_the_shipped_record_until_it_has_its_own(squares, tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        squares.make()
    theirs = squares.path.rename(tmp_path / "shipped.json")
    monkeypatch.setattr(lab_studies, "shipped", lambda name: theirs)
    here = squares.path
    monkeypatch.setattr(lab_studies, "place", lambda name: here)
    assert len(squares.record().points) == 2  # what `best_rate` of a study asks
    assert not squares.begun().points
    squares.make()  # which begins anew
    assert len(squares.begun().points) == 7
    squares.path = tmp_path / "elsewhere.json"  # --out: nobody's record but its own
    assert not squares.record().points


@pytest.fixture
def recorded(squares):
    with pytest.raises(KeyboardInterrupt):
        squares.make()
    squares.make()
    return squares


@pytest.mark.parametrize(
    ("key", "value", "verdict"),
    [
        ("y", 1.0, "equal"),
        ("y", 1.2, "within"),  # three standard deviations over the seeds are 0.3, told is 0.5
        ("y", 1.6, "different"),
        ("text", "b", "equal"),  # texts and clock times are not compared
        ("seconds", 9.0, "equal"),
        ("list", [7, 0], "equal"),  # of a list, the length and the last value
        ("list", [0, 3], "within"),  # three standard deviations over the seeds are 3
        ("list", [0, 0, 0], "different"),
        ("list", [0, 9], "different"),
    ],
)
def test_a_point_made_again_is_equal_within_or_different(recorded, capsys, key, value, verdict):
    recorded.changed = {key: value}
    with pytest.raises(SystemExit) as stop:
        recorded.main(["--check", "0", "--out", str(recorded.path)])
    assert stop.value.code == int(verdict == "different")
    assert f"{{'x': 1, 'seed': 0}}: {verdict}" in capsys.readouterr().out


def test_a_figure_that_has_gone_or_is_no_number_any_more_is_different(recorded):
    recorded.changed = {"y": None}
    (gone,) = [d for d in recorded.check({"x": 1, "seed": 0}) if d.key == "y"]
    assert gone.verdict == "different"
    assert "y" in str(gone)


def test_a_tolerance_is_told_by_a_figures_key_or_a_part_of_it():
    point = {"method": "SFT"}
    content = {"points": [{"point": point, "result": {"rates": {"1.0": 0.5}, "kl": [0.1, 0.2]}}]}
    found = {"rates": {"1.0": 0.55}, "kl": [0.1, 0.25]}
    for told, worst in (({"rates": 0.06, "kl": 0.06}, "within"), ({"rates": 0.06}, "different")):
        assert verdict(compare(Record(content), point, found, told)) == worst


def test_a_dry_run_makes_the_small_form_and_keeps_nothing(squares, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        squares.main(["--dry-run"])  # it has none

    @squares.dry_run
    def small(folder):
        study = Study(str(folder / "studies" / "squares.py"), "Few squares")
        study.points([{"x": 3}])(lambda x: {"y": x**2})
        return study

    capsys.readouterr()
    squares.main(["--dry-run"])
    assert json.loads(capsys.readouterr().out)["points"] == [
        {"point": {"x": 3}, "result": {"y": 9}}
    ]
    assert not squares.made
    assert not list(tmp_path.iterdir())


def test_checked_points_are_spread_over_the_functions(recorded):
    assert recorded.some_points(0) == [{"x": 1, "seed": 0}, {"name": "third"}]
    spread = recorded.some_points(3)
    assert spread == [{"x": 1, "seed": 0}, {"x": 2, "seed": 2}, {"name": "third"}]
    assert len(recorded.some_points(100)) == 7


def test_a_record_is_asked_by_what_its_points_hold(recorded):
    record = recorded.record()
    assert record.values("y", x=1) == [1.0, 1.1, 1.2]
    assert record.values("y", x=None) == [1 / 3]
    assert record.at(name="third") == {"y": 1 / 3}
    assert record.at(x=2, seed=1)["y"] == 4.1
    with pytest.raises(KeyError, match="no point"):
        record.at(x=1)
    table = record.table("x", ["y"])
    assert list(table) == [1, 2]
    assert table[1]["y"] == mean_and_half_width([1.0, 1.1, 1.2])
    assert record.best("x", by="y", seed=0) == 2
    with pytest.raises(KeyError, match="tune"):
        record.best("x", by="y")
    with pytest.raises(KeyError, match="no point"):
        recorded.run({"x": 5, "seed": 0})


def test_figures_are_numbers_by_dotted_key():
    result = {"a": {"b": 1.0}, "looks": [{"kl": 0.1}, {"kl": 0.2}], "none": [], "why": "text"}
    assert figures(result) == {
        "a.b": 1.0,
        "looks (length)": 2,
        "looks[-1].kl": 0.2,
        "none (length)": 0,
    }


def test_from_a_wheel_a_record_goes_to_the_working_folder(monkeypatch):
    assert place("gpu.smollm2").as_posix().endswith("data/results/gpu/smollm2.json")
    shipped = Path("somewhere") / "dpo_from_scratch" / "shipped" / "results"
    monkeypatch.setattr(lab_studies, "data_path", lambda name: shipped)
    assert place("squares") == Path("results") / "squares.json"
    assert place("gpu.squares") == Path("results") / "gpu" / "squares.json"


def test_where_the_own_record_is_missing_the_shipped_one_is_checked(
    recorded, monkeypatch, tmp_path
):
    monkeypatch.setattr(lab_studies, "data_path", lambda name: tmp_path)
    recorded.path = tmp_path / "elsewhere.json"
    with pytest.raises(SystemExit, match="0"):
        recorded.main(["--check", "0"])
    monkeypatch.setattr(lab_studies, "data_path", lambda name: tmp_path / name)
    recorded.path = tmp_path / "elsewhere.json"
    with pytest.raises(SystemExit, match="holds no points"):
        recorded.main(["--check", "0"])


# written and tested, on their way
UNRECORDED = set()


def test_a_study_without_a_record_is_named():
    assert {name for name in NAMES if not lab_studies.shipped(name).exists()} == UNRECORDED


@pytest.mark.parametrize("name", [name for name in NAMES if name not in UNRECORDED])
def test_every_record_has_all_points_of_its_study_and_says_who_made_them(name):
    study, record = of(name), Record.load(name)
    key = lambda point: json.dumps(point, sort_keys=True)
    wanted = {key(p) for points, _ in study.makers for p in points}
    found = {key(p["point"]) for p in record.points}
    assert found == wanted
    assert len(record.points) == len(found) >= 3
    assert list(record.content) == ["study", "title", "command", "made", "points"]
    assert record.content["study"] == name
    assert record.content["title"] == study.title
    assert record.content["command"] == study.command
    made = record.content["made"]
    assert sum(m["points"] for m in made) == len(record.points)
    assert all(m["commit"] and re.fullmatch(r"\d{4}-\d\d-\d\d", m["date"]) for m in made)
    assert all({"python", "torch", "transformers", "numpy"} <= set(m["versions"]) for m in made)


def test_the_studies_for_a_gpu_keep_their_records_apart():
    for name in ("gpt2_reviews", "scaling", "smollm2"):
        study = of(f"gpu.{name}")
        assert study.path.parts[-3:] == ("results", "gpu", f"{name}.json")
        assert study.small
    larger = [p for points, _ in of("gpu.smollm2").makers for p in points]
    for points, _ in of("zephyr").makers + of("human_ratings").makers:
        assert all(p in larger or p["arm"] == "slice" for p in points)  # the same, at more seeds


def test_nothing_names_the_place_where_studies_were():
    root = Path(records.__file__).parents[2]
    files = [*root.glob("*.md"), *root.glob("data/*.md"), *root.glob("notebooks/*.md")]
    files += [*root.glob("notebooks/*.ipynb"), *root.glob("dpo_from_scratch/**/*.py")]
    files = [path for path in files if path.name != "CHANGELOG.md"]  # it tells what moved
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"data/results/\w+\.py|data/ai_feedback\.py", text), path


def test_one_point_of_start_here_lies_within_its_recorded_spread(tiny):
    """The reference's own figures; trainings are repeated in test_evaluation.py."""
    before = [r["true_reward"] for r in Record.load("start_here").values("before")]
    mean, half = mean_and_half_width(before)
    again = evaluate_reviews(tiny[0], tiny[0], tiny[1], make_pairs(4, split="test"), seed=0)
    assert abs(again.true_reward - mean) < half + 3 * again.true_reward_se
    assert np.isfinite(mean)


REPEATED = {  # study: a small point of it
    "beta_sweep": {"beta": 4.0, "seed": 0},
    "gap": {"setting": "base", "seed": 0},
    "references": {"divide_by": "a constant", "seed": 0},
    "ppo_tuning": {"method": "reward model", "learning_rate": 0.001, "steps": 256},
    "dpo_and_ppo": {"method": "SFT", "seed": 0},
    "gallery": {"healthy": "learning rate halved", "seed": 0},
    "reading_curves": {"pairs": "the words are shuffled", "loss": "DPO", "seed": 0},
    "displacement": {"pairs": "any two replies", "seed": 0},
    "displacement_dial": {"learning_rate": 1.25e-4, "beta": 2.0, "seed": 0},
    "wrong_labels": {"loss": "dpo", "learning_rate": 2.5e-4},
    "too_sure": {"loss": "ipo", "strength": 1.0, "seed": 0},
    "whose_samples": {"arm": "another author", "learning_rate": 2.5e-4},
    "step_by_step": {"arm": "DPO", "learning_rate": 2.5e-4},
    "circles": {"arm": "DPO", "beta": 3.0, "learning_rate": 5e-4},
    "judge_quality": {"judge": "none", "seed": 0},
    "human_ratings": {"arm": "slice", "seed": 0},
    "no_pairs": {"loss": "dpo", "learning_rate": 2.5e-4},
    "quality_or_gap": {"loss": "sft", "quality": 0.5, "seed": 0},
    "fast_path": {"run": "whole", "loss": "dpo", "seed": 0, "way": "fast"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REPEATED)
def test_a_point_of_the_record_comes_out_again(name):
    assert of(name).report([REPEATED[name]]) == 0


@pytest.mark.slow
def test_the_judges_score_of_smollm2_comes_out_again_from_fewer_samples():
    setup, point = replace(zephyr.FULL, samples=32), {"rule": "before", "seed": 0}
    found = zephyr.untouched(**point, setup=setup)
    told = {"judge": 0.4}  # three standard errors of 32 samples
    compared = compare(zephyr.study.record(), point, found, told)
    assert verdict([d for d in compared if d.key == "judge"]) != "different"


# ---------------------------------------------------------------- damage, and two at once
@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "null", '{"points": 3}', '{"points": [{"point": {}}]}', '{"study": 1}']
)
def test_a_damaged_record_is_one_sentence_and_stays_as_it_is(text, squares, capsys):
    squares.path.write_text(text)
    for arguments in ([], ["--check", "1"]):
        with pytest.raises(SystemExit) as told:
            squares.main([*arguments, "--out", str(squares.path)])
        assert told.value.code == 2
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert last.startswith(f"squares: {squares.path} is no whole record of a study")
    assert squares.path.read_text() == text
    assert squares.made == []


def test_two_of_a_study_at_once_is_one_sentence_and_a_lock_left_behind_locks_nobody_out(squares):
    @squares.points([{"again": True}])
    def again(again):
        with pytest.raises(DataError, match=r"another process is writing to .*squares\.json"):
            squares.make()
        return {"y": 1}

    squares.makers = squares.makers[-1:]
    squares.path.with_suffix(".lock").write_text("")
    assert len(Record(json.loads(squares.make().read_text())).points) == 1
    assert [p.name for p in squares.path.parent.iterdir()] == ["squares.json"]


# ---------------------------------------------------------------- benchmarks
def test_a_benchmark_is_read_from_the_checkout_or_from_the_wheel(tmp_path, monkeypatch):
    assert records.benchmark("cpu")["parts"]
    package = tmp_path / "dpo_from_scratch"
    shipped = package / "shipped" / "benchmarks"
    shipped.mkdir(parents=True)
    monkeypatch.setattr(records, "files", lambda name: package)
    with pytest.raises(DataError, match="no benchmark is recorded as 'cpu'"):
        records.benchmark("cpu")
    told = {"parts": {"one": {"part": {"kind": "paired"}, "result": {"seconds": 1.0}}}}
    (shipped / "cpu.json").write_text(json.dumps(told), encoding="utf-8")
    assert records.benchmark("cpu") == told


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"parts": {"one": {"part": {}}}}'])
def test_half_a_benchmark_is_refused_in_a_sentence(content, tmp_path, monkeypatch):
    folder = tmp_path / "dpo_from_scratch" / "shipped" / "benchmarks"
    folder.mkdir(parents=True)
    (folder / "cpu.json").write_text(content, encoding="utf-8")
    monkeypatch.setattr(records, "files", lambda name: tmp_path / "dpo_from_scratch")
    with pytest.raises(DataError, match="no whole record of a benchmark"):
        records.benchmark("cpu")
