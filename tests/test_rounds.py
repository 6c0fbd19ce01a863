"""Rounds: whose samples, which reference, which labels; the command; runs that are cut short."""

import json
import shutil

import numpy as np
import pytest

from dpo_from_scratch import exact, rounds, world
from dpo_from_scratch.cli import main
from dpo_from_scratch.data import DataError, read_rows, write_rows
from dpo_from_scratch.models import frozen_copy, load_model
from dpo_from_scratch.training import PRESETS, TrainConfig

SHORT = TrainConfig(**PRESETS["tiny"] | {"steps": 8, "batch_size": 4, "warmup": 2})
ASKED = world.prompts("train")[:8]


def always_first(prompt, a, b):
    return 1.0


def weights(model):
    return np.concatenate([p.detach().numpy().ravel() for p in model.parameters()])


def test_win_rates_count_each_pair_once():
    rates = rounds.win_rates("", ["a", "b", "c"], always_first, np.random.default_rng(0))
    assert rates.tolist() == [1.0, 0.5, 0.0]
    assert rounds.win_rates("", ["a"], always_first, np.random.default_rng(0)).tolist() == [0.0]
    many = [
        rounds.win_rates("", ["a", "b"], lambda *_: 0.7, np.random.default_rng(s))[0]
        for s in range(400)
    ]
    assert 0.63 < np.mean(many) < 0.77  # labels are drawn, not given as probabilities


def test_pairs_are_samples_of_the_policy_in_the_judge_s_order(tiny):
    model, tokenizer = tiny
    rows = rounds.judged_pairs(model, tokenizer, ASKED, world.true_order, seed=3)
    assert [r["prompt"] for r in rows] == [p for p in ASKED if p in {r["prompt"] for r in rows}]
    assert all(
        world.reward(r["prompt"], r["chosen"]) >= world.reward(r["prompt"], r["rejected"])
        for r in rows
    )
    assert rows == rounds.judged_pairs(model, tokenizer, ASKED, world.true_order, seed=3)
    assert rows != rounds.judged_pairs(model, tokenizer, ASKED, world.true_order, seed=4)


def test_a_larger_margin_keeps_fewer_pairs_and_these_are_among_the_others(tiny):
    model, tokenizer = tiny
    wide, narrow = (
        rounds.winning_pairs(model, tokenizer, ASKED, world.true_order, 5, m, seed=1)
        for m in (1.0, 0.5)
    )
    assert 0 < len(wide) < len(narrow)
    assert all(row in narrow for row in wide)


def test_easy_pairs_come_first(tiny):
    model, tokenizer = tiny
    rows = world.make_pairs(24, seed=5)
    policy = frozen_copy(model).requires_grad_(True)
    rounds.in_rounds(policy, tokenizer, 1, lambda r: rows, SHORT, progress=False)
    ordered = rounds.easy_to_hard(policy, model, tokenizer, rows)
    assert sorted(map(str, ordered)) == sorted(map(str, rows))
    from dpo_from_scratch.lab.evaluation import implicit_and_true

    rho, _ = implicit_and_true(policy, model, tokenizer, ordered)
    assert (np.diff(rho[:, 0] - rho[:, 1]) < 1e-4).all()


def test_one_round_is_an_ordinary_run(tiny):
    from dpo_from_scratch.training import train

    rows = world.make_pairs(32, seed=1)
    (a, tokenizer), b = load_model("tiny"), load_model("tiny")[0]
    history = rounds.in_rounds(a, tokenizer, 1, lambda r: rows, SHORT, progress=False)
    assert [row["loss"] for row in history] == [
        row["loss"] for row in train(b, tokenizer, rows, SHORT, progress=False)
    ]
    assert (weights(a) == weights(b)).all()


@pytest.mark.parametrize("moving", [False, True])
def test_a_round_begins_with_ln_2_only_if_the_reference_moved(moving):
    model, tokenizer = load_model("tiny")
    rows = world.make_pairs(64, seed=2)
    history = rounds.in_rounds(model, tokenizer, 2, lambda r: rows, SHORT, moving, progress=False)
    assert [row["step"] for row in history] == list(range(1, 9))
    assert [row["round"] for row in history] == [1] * 4 + [2] * 4
    assert history[4]["learning_rate"] < history[3]["learning_rate"]
    assert (abs(history[4]["loss"] - np.log(2)) < 1e-5) == moving


def test_a_run_in_rounds_that_was_killed_ends_as_if_it_had_not_been(tmp_path):
    prompts = [{"prompt": p} for p in ASKED]

    def go(folder, resume=False, stop=99):
        model, tokenizer = load_model("tiny")
        plan = rounds.plan("iterated", model, tokenizer, prompts, world.bradley_terry, 4, SHORT)

        def rows_of(r):
            if r == stop:
                raise KeyboardInterrupt
            return plan(r)

        return (
            weights(model),
            rounds.in_rounds(model, tokenizer, 4, rows_of, SHORT, True, folder, resume, False),
            weights(model),
        )

    before, whole, after = go(tmp_path / "whole")
    assert (before != after).any()
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "killed", stop=2)
    shutil.rmtree(
        tmp_path / "killed" / "round-2" / "model"
    )  # and the second round did not come to its end either
    _, again, resumed = go(tmp_path / "killed", resume=True)
    assert (resumed == after).all()
    assert again == whole
    assert [
        json.loads(line)
        for line in (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()
    ] == whole
    with pytest.raises(DataError, match="go on with --resume"):
        go(tmp_path / "whole")
    model, tokenizer = load_model("tiny")
    with pytest.raises(DataError, match="rounds was 4 and is 2"):
        rounds.in_rounds(
            model, tokenizer, 2, lambda r: [], SHORT, True, tmp_path / "whole", True, False
        )


def test_rounds_that_cannot_be():
    model, tokenizer = load_model("tiny")
    for number in (0, 9):
        with pytest.raises(ValueError, match="at least 1 and at most the number of steps, 8"):
            rounds.in_rounds(model, tokenizer, number, lambda r: [], SHORT)
    with pytest.raises(DataError, match="round 1 has no pairs"):
        rounds.in_rounds(model, tokenizer, 2, lambda r: [], SHORT)


@pytest.mark.parametrize("method", ["iterated", "dno", "sdpo"])
def test_the_command_line(method, tmp_path, capsys):
    arguments = [
        "iterate",
        "--method",
        method,
        "--rounds",
        "2",
        "--steps",
        "4",
        "--batch-size",
        "8",
        "--out",
        str(tmp_path / "run"),
    ]
    if method == "sdpo":
        write_rows(tmp_path / "pairs.jsonl", world.make_pairs(24, seed=3))
        arguments += ["--data", str(tmp_path / "pairs.jsonl")]
    else:
        (tmp_path / "mine.py").write_text(
            "def longer(prompt, a, b):\n    return float(len(a) > len(b))\n"
        )
        arguments += ["--judge", f"{tmp_path / 'mine.py'}:longer"]
    assert main(arguments) == 0
    assert "round 2: " in capsys.readouterr().out
    rows = [read_rows(tmp_path / "run" / f"round-{r}" / "pairs.jsonl")[0] for r in (1, 2)]
    if method != "sdpo":
        assert all(len(row["chosen"]) >= len(row["rejected"]) for part in rows for row in part)
    else:
        assert len(rows[0]) == len(rows[1]) == 12
    load_model(str(tmp_path / "run" / "round-2" / "model"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--method", "sdpo"], "sdpo needs --data"),
        (["--judge", "nobody"], "is no judge: give reviews, panel or FILE.py:FUNCTION"),
        (["--judge", "nofile.py:f"], "is no judge"),
        (["--method", "dno", "--k", "1"], "--k must be 2 or more"),
        (["--method", "dno", "--margin", "2", "--rounds", "1"], "round 1 has no pairs"),
        (["--rounds", "0"], "rounds must be at least 1"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(given, said, tmp_path, capsys):
    assert main(["iterate", "--steps", "2", "--out", str(tmp_path / "run"), *given]) == 2
    found = capsys.readouterr().err.strip().splitlines()[-1]
    assert found.startswith("dpo iterate: ")
    assert said in found


def test_nobody_beats_nash_and_somebody_beats_everyone_else():
    circle = np.array([[0.5, 0.9, 0.1], [0.1, 0.5, 0.9], [0.9, 0.1, 0.5]])
    assert exact.exploitability(np.full(3, 1 / 3), circle) == pytest.approx(0.5)
    assert exact.exploitability(np.array([1.0, 0, 0]), circle) == pytest.approx(0.9)
    ranked = exact.preferences(np.array([0.0, 1.0, 2.0]))
    assert exact.exploitability(np.array([0, 0, 1.0]), ranked) == pytest.approx(0.5)


def test_how_a_reply_opens():
    prompt = world.prompts()[0]
    assert world.opening(prompt, "the plot was good . it was my second time .") == "praise"
    assert world.opening(prompt, "and the plot was not good !") == "blame"
    assert world.opening(prompt, "it was my second time .") == "filler"
    assert world.opening(prompt, "plot the .") == world.opening(prompt, "") == "malformed"
