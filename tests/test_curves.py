"""The doctor on curves: logs as they are written, what they show, and what they can't tell."""

import copy
import json

import numpy as np
import pytest

from dpo_from_scratch import cli, doctor, world
from dpo_from_scratch.data import DataError, write_rows
from dpo_from_scratch.doctor.findings import MEASURED, Finding
from dpo_from_scratch.doctor.logs import TRL_NAMES, read_log
from dpo_from_scratch.training import PRESETS, TrainConfig, train

SIDES = ("chosen", "rejected")
THEIRS = {ours: name for name, ours in TRL_NAMES.items()}


def problems(findings):
    return [f.code for f in findings if f.level == "problem"]


def curves(n=128, **columns):
    """Rows of a healthy run of n steps, but for these columns."""
    rng = np.random.default_rng(0)
    margin = np.linspace(0, 1.5, n)
    out = {
        "step": np.arange(1, n + 1),
        "loss": np.log1p(np.exp(-margin)) + rng.normal(0, 0.02, n) * (margin > 0),
        "margin": margin,
        "accuracy": np.clip(0.5 + margin / 5, 0, 0.8),
        "chosen_reward": -0.2 * margin,
        "rejected_reward": -1.2 * margin,
        "chosen_logp": -21.0 - rng.normal(0, 1, n),
        "rejected_logp": -22.0 - rng.normal(0, 1, n),
        "chosen_length": np.full(n, 20.0),
        "grad_norm": np.full(n, 2.0),
        "eos": np.ones(n),
        "scored": np.full(n, 0.7),
    }
    out |= {k: np.broadcast_to(v, n) for k, v in columns.items()}
    return [{k: float(v[i]) for k, v in out.items()} for i in range(n)]


def averaged(rows, every):
    """The same as a trainer logs it that writes every so many steps."""
    parts = [rows[i : i + every] for i in range(0, len(rows), every)]
    means = [{k: float(np.mean([row[k] for row in part])) for k in part[0]} for part in parts]
    return [
        m | {k: p[-1][k] for k in ("step", "grad_norm")} for m, p in zip(means, parts, strict=True)
    ]


def as_trl(folder, rows, **state):
    """The rows under TRL's names in a trainer_state.json, with the summary that ends its logs."""
    kept = (*THEIRS, "step", "loss", "grad_norm", "learning_rate")
    log = [
        {THEIRS.get(k, k): v for k, v in row.items() if k in kept or k.startswith("eval_")}
        for row in rows
    ]
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "trainer_state.json"
    file.write_text(json.dumps({"log_history": [*log, {"train_loss": 0.5, "step": 1}]} | state))
    return file


MARGIN = np.linspace(0, 1.5, 128)
SAW = np.array([0.0 if i % 8 == 0 else 0.1 * (i % 8) for i in range(128)])
SOFT = np.log1p(np.exp(-MARGIN))
BACK = -1.1 * np.exp(-np.arange(128) / 20) - 0.05
REFERENCE = {
    "margin": MARGIN - 0.1,
    "chosen_reward": BACK,
    "rejected_reward": BACK - MARGIN + 0.1,
    "loss": SOFT + 0.4 * np.exp(-np.arange(128) / 20),
}
NOISE = {
    "margin": MARGIN,
    "chosen_reward": -0.4 + 0.3 * MARGIN,
    "rejected_reward": -0.4 - 0.7 * MARGIN,
    "loss": SOFT + 0.3,
}
FAST = {"loss": np.r_[SOFT[:30], np.full(98, 3.0)]}
TINY = 1e-4 * MARGIN
STILL = {"margin": TINY, "chosen_reward": TINY / 2, "rejected_reward": -TINY / 2, "loss": np.log(2)}
CURVES = {
    "nothing": ({}, None),
    "reference_is_policy": ({"margin": 0.0, "loss": np.log(2)}, "reference_is_policy"),
    "no_gradient": ({"margin": 0.0, "loss": np.log(2), "grad_norm": 0.0}, "no_gradient"),
    "reference_moves": ({"margin": SAW}, "reference_moves"),
    "dropout": (NOISE, "dropout"),
    "reference_differs": (REFERENCE, "reference_differs"),
    "precision": ({"loss": 0.691}, "precision"),
    "not_shifted": ({"chosen_logp": -260.0}, "not_shifted"),
    "eos_missing": ({"eos": 0.0}, "eos_missing"),
    "eos_doubled": ({"eos": 2.0}, "eos_doubled"),
    "truncated": ({"eos": 0.7}, "truncated"),
    "prompt_scored": ({"scored": 1.0}, "prompt_scored"),
    "step_too_large": (FAST, "step_too_large"),
    "rate_too_low": (STILL, "rate_too_low"),
    "padding_rows": ({"loss": SOFT + 0.5 * np.log(2)}, "padding_rows"),
    "accumulation": ({"loss": 4 * SOFT}, "accumulation"),
    "accumulation, divided twice": ({"loss": SOFT / 4}, "accumulation"),
    "not_finite": ({"loss": np.r_[SOFT[:40], np.full(88, np.nan)]}, "not_finite"),
}


@pytest.mark.parametrize("name", CURVES)
def test_curves_are_read_as_causes(name, tmp_path):
    columns, cause = CURVES[name]
    write_rows(tmp_path / "metrics.jsonl", curves(**columns))
    assert problems(doctor.check_run(tmp_path)) == ([cause] if cause else [])


SPARSE = ("dropout", "reference_differs", "step_too_large", "rate_too_low", "not_finite", "nothing")
SPARSE += ("accumulation", "accumulation, divided twice", "reference_is_policy", "no_gradient")


@pytest.mark.parametrize("every", [5, 10, 25])
@pytest.mark.parametrize("name", SPARSE)
def test_trls_sparse_logs_are_read_as_the_same_causes(name, every, tmp_path):
    columns, cause = CURVES[name]
    file = as_trl(tmp_path, averaged(curves(**columns), every))
    found = doctor.diagnose(file)
    told = [f.code for f in found.problems]
    if name == "dropout" and every == 25:  # noise and another reference look alike here
        assert [f.sure for f in found.problems] == ["possible"]
    else:
        assert told == ([cause] if cause else [])
    if name not in ("reference_is_policy", "no_gradient", "not_finite"):
        assert any(f"steps 1 to {every}" in line for line in found.could_not)


def test_a_mean_is_noted_and_a_loss_without_a_reference_is_no_wrong_reference(tmp_path, tiny):
    write_rows(tmp_path / "metrics.jsonl", curves(chosen_logp=-1.1))
    assert [(f.code, f.level) for f in doctor.check_run(tmp_path)] == [("mean", "note")]
    logps = -20.0 - np.random.default_rng(1).normal(0, 1, (2, 128))
    columns = {"chosen_logp": logps[0], "rejected_logp": logps[1]}  # as TRL's CPO and ORPO log them
    columns |= {"chosen_reward": 0.1 * logps[0], "rejected_reward": 0.1 * logps[1]}
    write_rows(tmp_path / "metrics.jsonl", curves(**columns))
    assert problems(doctor.check_run(tmp_path)) == []
    policy, tokenizer = copy.deepcopy(tiny[0]).requires_grad_(True), tiny[1]
    config = TrainConfig(**PRESETS["tiny"] | {"loss": "simpo", "beta": 10.0, "steps": 3})
    train(policy, tokenizer, world.make_pairs(96, seed=1), config, tmp_path / "run", progress=False)
    assert problems(doctor.check_run(tmp_path / "run")) == []


@pytest.mark.parametrize("loss", ["ipo", "hinge", "nca", "apo_zero", "exo", "r_dpo"])
def test_losses_that_begin_elsewhere_are_no_multiple_of_ln_2(loss, tmp_path, tiny):
    policy, tokenizer = copy.deepcopy(tiny[0]).requires_grad_(True), tiny[1]
    config = TrainConfig(**PRESETS["tiny"] | {"loss": loss, "steps": 3})
    train(policy, tokenizer, world.make_pairs(96, seed=1), config, tmp_path / "run", progress=False)
    assert problems(doctor.check_run(tmp_path / "run")) == []


def test_a_wrong_first_row_is_told_with_the_numbers_of_that_row_alone(tmp_path):
    columns = {key: np.array(values) for key, values in REFERENCE.items()}
    for key in ("margin", "chosen_reward"):
        columns[key] = MARGIN.copy()
        columns[key][0] = 0.3
    columns["rejected_reward"] = np.zeros(128)
    columns["loss"] = np.r_[np.log1p(np.exp(-0.3)), SOFT[1:]]
    write_rows(tmp_path / "metrics.jsonl", curves(**columns))
    (found,) = doctor.check_run(tmp_path)
    assert found.code == "reference_differs"
    first = "step 1: the loss is 0.554 and the rewards are 0.30 (chosen) and 0.00 (rejected)"
    assert found.seen.startswith(first)
    assert "where equal models have 0.693 and 0; noise of dropout would raise" in found.seen


def test_a_first_row_of_ten_steps_is_called_their_mean(tmp_path):
    rows = averaged(curves(**REFERENCE), 10)
    (found,) = doctor.check_run(as_trl(tmp_path, rows))
    rewards = f"{rows[0]['chosen_reward']:.2f} (chosen)"
    assert found.seen.startswith(f"the mean of steps 1 to 10: the loss is {rows[0]['loss']:.3f}")
    assert rewards in found.seen


def test_noise_that_is_gone_in_evaluation_is_dropout_and_an_offset_that_is_not_is_a_reference(
    tmp_path,
):
    for rewards, cause in ((0.0, "dropout"), (-0.45, "reference_differs")):
        row = {"eval_loss": 0.7, "step": 10} | {f"eval_rewards/{k}": rewards for k in SIDES}
        rows = averaged(curves(**NOISE), 10)
        (found,) = doctor.check_run(as_trl(tmp_path, [rows[0], row, *rows[1:]]))
        assert (found.code, found.sure, found.row) == (cause, "certain", 10)


def test_a_policy_that_has_come_back_by_the_first_evaluation_is_no_dropout(tmp_path):
    for every in (5, 10, 25):
        rows = averaged(curves(**REFERENCE), every)
        evals = [
            {
                "step": step,
                "eval_loss": 0.5,
                "eval_rewards/chosen": now,
                "eval_rewards/rejected": now,
            }
            for step, now in ((50, -0.39), (75, -0.5))
        ]
        merged = sorted([*rows, *evals], key=lambda row: row["step"])
        (found,) = doctor.check_run(as_trl(tmp_path, merged))
        assert (found.code, found.sure) == ("reference_differs", "likely")
        assert "at step 50 their mean is -0.39 in evaluation" in found.seen


def test_our_own_config_says_that_the_reference_was_another_model(tmp_path):
    config = {"learning_rate": 1e-3, "loss": "dpo", "options": {"beta": 0.1}}
    begun = {"starting model": "a", "reference": "b"}
    for told, cause in ((begun, "reference_differs"), (begun | {"reference": "a"}, "dropout")):
        write_rows(tmp_path / "metrics.jsonl", curves(**NOISE))
        (tmp_path / "config.json").write_text(json.dumps(config | {"begun_with": told}))
        assert problems(doctor.check_run(tmp_path)) == [cause]


def test_a_factor_is_told_from_something_added_and_from_another_loss(
    tmp_path,
):
    spread = 0.12 * MARGIN  # the pairs' margins spread as they grow, and the loss falls less
    cases = {
        "accumulation": 4 * (SOFT + spread),
        "padding_rows": SOFT + spread + np.log(2),
    }
    for every in (1, 10):
        for cause, loss in cases.items():
            write_rows(tmp_path / "metrics.jsonl", averaged(curves(loss=loss), every))
            assert problems(doctor.check_run(tmp_path)) == [cause]
        ipo = {"margin": MARGIN / 3, "loss": (MARGIN / 3 - 0.5) ** 2 / 0.3**2}  # of beta 0.3
        write_rows(tmp_path / "metrics.jsonl", averaged(curves(**ipo), every))
        (found,) = doctor.check_run(tmp_path)
        assert (found.sure, found.level) == ("possible", "note")


def test_a_loss_that_rose_a_little_is_a_note_and_one_that_rose_high_a_problem(tmp_path):
    cases = ((0.9, 0.5, "possible", "note"), (0.9, 0.68, "possible", "note"))
    for high, late, sure, level in (*cases, (1.5, 0.68, "likely", "problem")):
        loss = np.r_[SOFT[:20], np.full(12, high), np.full(96, late)]
        write_rows(tmp_path / "metrics.jsonl", curves(loss=loss))
        (found,) = doctor.check_run(tmp_path)
        assert (found.code, found.sure, found.level) == ("step_too_large", sure, level)


def test_a_loss_without_a_reference_has_no_beginning_to_rise_from(tmp_path):
    loss = np.r_[SOFT[:20], np.full(12, 1.5), np.full(96, 0.68)]
    write_rows(tmp_path / "metrics.jsonl", curves(loss=loss))
    (tmp_path / "config.json").write_text('{"loss": "simpo", "learning_rate": 5e-4, "beta": 2.0}')
    found = doctor.diagnose(tmp_path)
    assert "step_too_large" not in [f.code for f in found.findings]
    assert any("without a reference" in told for told in found.could_not)


def test_what_is_not_finite_comes_first_and_nothing_after_it_counts(tmp_path):
    rows = averaged(curves(), 10)
    for value in (float("nan"), "NaN", None, "Infinity"):
        broken = [
            row | ({"margin": value, "loss": 9.0} if row["step"] > 50 else {}) for row in rows
        ]
        (found,) = doctor.check_run(as_trl(tmp_path, broken))
        assert (found.code, found.sure, found.row) == ("not_finite", "certain", 60)
        assert "margin" in found.seen
    # TRL's filter shows a loss that is nan as 0
    zero = [row | ({"loss": 0.0} if row["step"] > 50 else {}) for row in rows]
    (found,) = doctor.check_run(as_trl(tmp_path, zero))
    assert (found.code, found.row) == ("not_finite", 60)
    scaler = [row | ({"grad_norm": float("inf")} if row["step"] == 10 else {}) for row in rows]
    assert [(f.code, f.level) for f in doctor.check_run(as_trl(tmp_path, scaler))] == [
        ("not_finite", "note")
    ]
    all_of_them = [row | {"loss": float("nan")} for row in rows]
    assert problems(doctor.check_run(as_trl(tmp_path, all_of_them))) == ["not_finite"]


def test_notes_are_no_alarms_and_displacement_counts_from_the_runs_own_beginning(tmp_path):
    falling = np.linspace(0, -4, 128)
    write_rows(tmp_path / "metrics.jsonl", curves(accuracy=1.0, chosen_reward=falling))
    found = doctor.check_run(tmp_path)
    assert {f.code for f in found} == {"displacement", "too_sure"}
    assert problems(found) == []
    flat = curves(margin=np.r_[0.0, np.full(127, 1e-3)], loss=np.log(2))
    write_rows(tmp_path / "metrics.jsonl", flat)
    assert [f.code for f in doctor.check_run(tmp_path)] == ["nothing_learned"]
    rows = averaged(curves(**REFERENCE), 10)  # far below 0 at the first row, and rising
    assert "displacement" not in {f.code for f in doctor.check_run(as_trl(tmp_path / "r", rows))}


def test_a_log_is_found_in_any_folder_of_trl(tmp_path, capsys):
    out = tmp_path / "OUT"
    as_trl(out / "checkpoint-20", averaged(curves(20), 10))
    as_trl(out / "checkpoint-100", averaged(curves(100), 10), logging_steps=10)
    (out / "checkpoint-best").mkdir()
    assert cli.main(["doctor", str(out)]) == 0
    told = capsys.readouterr().out
    assert "checkpoint-100" in told.splitlines()[0]
    assert "nothing found of what these curves can show; looked for: " in told
    assert "could not judge: the first update" in told
    log = read_log(out / "checkpoint-20")
    assert (log.step.tolist(), log.span.tolist()) == ([10, 20], [10, 10])
    assert any("2 rows of 20 steps" in s for s in doctor.diagnose(out / "checkpoint-20").could_not)
    assert cli.main(["doctor", str(tmp_path)]) == 2
    assert "checkpoint-N" in capsys.readouterr().err


def test_a_resumed_log_half_a_line_and_other_rows_are_read(tmp_path):
    rows = averaged(curves(100), 10)
    file = as_trl(tmp_path, [*rows[:6], *rows[4:]])
    log = read_log(file)
    assert log.step.tolist() == list(range(10, 101, 10))
    assert "go back to 50" in log.told[0]
    assert problems(doctor.check_run(file)) == []
    lines = [json.dumps(row) for row in curves(30)]
    (tmp_path / "metrics.jsonl").write_text("\n".join([*lines, lines[0][:40]]))
    log = read_log(tmp_path / "metrics.jsonl")
    assert len(log) == 30
    assert "line 31" in log.told[0]
    (tmp_path / "metrics.jsonl").write_text("\n".join([*lines[:3], lines[0][:40], *lines[4:]]))
    with pytest.raises(DataError, match="line 4"):
        read_log(tmp_path / "metrics.jsonl")


def test_logs_without_margins_are_read_for_what_they_have(tmp_path):
    loss = np.linspace(3.0, 1.5, 40)
    rows = [
        {"step": 10 * i + 10, "loss": x, "mean_token_accuracy": 0.5} for i, x in enumerate(loss)
    ]
    found = doctor.diagnose(as_trl(tmp_path, rows))
    assert found.findings == []
    assert any("no rewards/" in line for line in found.could_not)
    rising = [row | {"loss": 4.5} if row["step"] > 200 else row for row in rows]
    assert problems(doctor.check_run(as_trl(tmp_path, rising))) == ["step_too_large"]
    late = averaged(curves(), 10)[5:]
    assert any("starts at step 60" in s for s in doctor.diagnose(as_trl(tmp_path, late)).could_not)


def test_other_files_are_refused_in_a_sentence(tmp_path, capsys):
    file = tmp_path / "trainer_state.json"
    for text in ("", "[]", '{"log_history": []}', '{"log_history": [3]}', "{", '{"loss": 1}'):
        file.write_text(text)
        assert cli.main(["doctor", str(file)]) == 2
        told = capsys.readouterr().err
        assert told.startswith("dpo doctor: ")
        assert told.count("\n") == 1


def test_a_record_keeps_code_level_row_and_number_and_the_sentence_is_made_when_read(tmp_path):
    write_rows(tmp_path / "metrics.jsonl", curves(**FAST))
    (found,) = doctor.check_run(tmp_path)
    kept = json.loads(json.dumps(found.plain()))
    assert kept.keys() == {"code", "sure", "level", "row", "number"}
    again = Finding.read(kept)
    assert again.plain() == found.plain()
    assert f"about step {found.row}" in str(again)
    assert str(again).endswith('[chapter 22, "Sums, steps and precision"]')
    assert "None" not in str(Finding.read(kept | {"row": None}))
    assert MEASURED.keys() <= doctor.CAUSES.keys()


def test_the_command_line_tells_and_its_exit_status_says_whether_anything_is_wrong(
    tmp_path, capsys
):
    write_rows(tmp_path / "pairs.jsonl", world.make_pairs(24, seed=4))
    out = str(tmp_path / "run")
    assert (
        cli.main(["train", "--data", str(tmp_path / "pairs.jsonl"), "--steps", "2", "--out", out])
        == 0
    )
    assert json.loads((tmp_path / "run" / "doctor.json").read_text()) == []
    capsys.readouterr()
    assert cli.main(["doctor", out]) == 0
    told = capsys.readouterr().out
    assert told.startswith("nothing found of what these curves can show")
    assert "could not judge: the course of the run: it has 2 steps" in told
    assert cli.main(["doctor", str(tmp_path / "pairs.jsonl"), "--model", "tiny"]) == 0
    write_rows(tmp_path / "metrics.jsonl", curves(eos=2.0))
    assert cli.main(["doctor", str(tmp_path / "metrics.jsonl")]) == 1
    assert "problem (certain) eos_doubled: 2.00 ends" in capsys.readouterr().out
