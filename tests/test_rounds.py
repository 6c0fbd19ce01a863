"""Rounds: whose samples, which reference, which labels; the command; runs that are cut short."""

import json
import os
import shutil
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from dpo_from_scratch import exact, rounds, world
from dpo_from_scratch.cli import main
from dpo_from_scratch.data import DataError, read_rows, write_rows
from dpo_from_scratch.models import frozen_copy, load_model, save_model
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
    with pytest.raises(DataError, match="holds a finished run of the same settings"):
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


# ---------------------------------------------------------------- texts that were cut off
def test_what_was_cut_off_is_not_judged_and_a_warning_says_how_many(tiny):
    model, tokenizer = tiny
    drawn = rounds.sample_shared(
        model, tokenizer, [p for p in ASKED for _ in (0, 1)], max_new_tokens=20
    )
    whole = {s.text for s in drawn if s.finished}
    assert 0 < len(whole) < len(drawn)
    seen = []

    def judge(prompt, a, b):
        seen.extend((a, b))
        return 1.0

    cut = sum(not s.finished for s in drawn)
    with pytest.warns(UserWarning, match=f"{cut} of 16 responses had not come to their end"):
        rows = rounds.winning_pairs(model, tokenizer, ASKED, judge, 2, 1.0, 0, max_new_tokens=20)
    assert set(seen) <= whole
    assert {row[side] for row in rows for side in ("chosen", "rejected")} <= whole


def test_where_nothing_comes_to_its_end_the_length_is_to_blame(tiny):
    model, tokenizer = tiny
    with pytest.raises(DataError, match="16 of 16 responses had not come to their end") as told:
        rounds.judged_pairs(model, tokenizer, ASKED, always_first, max_new_tokens=2)
    assert "--max-new-tokens" in str(told.value)
    assert "--loss sft" in str(told.value)


@pytest.mark.parametrize(("k", "margin"), [(1, 0.5), (2, 0.0), (2, -1.0), (2, float("nan"))])
def test_a_margin_that_compares_nothing_is_refused(tiny, k, margin):
    with pytest.raises(DataError, match="k must be 2 or more and margin positive"):
        rounds.winning_pairs(*tiny, ASKED, always_first, k, margin)


def test_pairs_of_messages_are_messages():
    model, tokenizer = load_model("tiny")
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    asked = [[{"role": "user", "content": p}] for p in ASKED]
    rows = rounds.judged_pairs(model, tokenizer, asked, always_first)
    assert rows
    assert {row["chosen"][0]["role"] for row in rows} == {"assistant"}
    rounds.in_rounds(model, tokenizer, 1, lambda r: rows, SHORT, progress=False)


def test_more_parts_than_pairs_is_said_before_anything_is_trained():
    model, tokenizer = load_model("tiny")
    before = weights(model)
    with pytest.raises(DataError, match="4 pairs make no 3 parts: give fewer rounds"):
        rounds.plan("sdpo", model, tokenizer, world.make_pairs(4), always_first, 3, SHORT)
    assert (weights(model) == before).all()


# ---------------------------------------------------------------- what a run in rounds remembers
@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A run of the command that is done, and its arguments but for --out."""
    place = tmp_path_factory.mktemp("done")
    judge = "def longer(prompt, a, b):\n    return float(len(a) > len(b))\n"
    for name, text in (("a", judge), ("b", judge.replace(">", "<"))):
        (place / name).mkdir()
        (place / name / "mine.py").write_text(text)
    write_rows(place / "asked.jsonl", [{"prompt": p} for p in ASKED])
    write_rows(place / "others.jsonl", [{"prompt": p} for p in ASKED[1:]])
    model, tokenizer = load_model("tiny")
    next(model.parameters()).data[0, 0] += 0.5
    save_model(model, tokenizer, place / "other")
    given = ["--method", "dno", "--rounds", "2", "--steps", "4", "--batch-size", "8", "--k", "3"]
    given += ["--judge", f"{place / 'a' / 'mine.py'}:longer", "--data", str(place / "asked.jsonl")]
    assert main(["iterate", *given, "--preset", "tiny", "--out", str(place / "run")]) == 0
    return place, [*given, "--preset", "tiny"]


def all_of(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


CHANGES = {
    "judge": ["--judge", "PLACE/b/mine.py:longer"],
    "method": ["--method", "iterated"],
    "k was 3 and is 4": ["--k", "4"],
    "margin was 0.5 and is 0.25": ["--margin", "0.25"],
    "max_new_tokens was None and is 30": ["--max-new-tokens", "30"],
    "data was": ["--data", "PLACE/others.jsonl"],
    "starting model": ["--model", "PLACE/other"],
    "rounds was 2 and is 4": ["--rounds", "4"],
    "beta was 0.6 and is 0.7": ["--beta", "0.7"],
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_run_in_rounds_goes_on_with_nothing_else(what, done, capsys):
    place, given = done
    before = all_of(place)
    changed = [text.replace("PLACE", str(place)) for text in CHANGES[what]]
    assert main(["iterate", *given, "--out", str(place / "run"), *changed, "--resume"]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith(
        f"dpo iterate: {place / 'run'} can't go on with other settings or data ("
    )
    assert what in told
    assert main(["iterate", *given, "--out", str(place / "run"), *changed]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    for word in (what, "--resume", "--overwrite", "--out"):
        assert word in told
    assert all_of(place) == before


def test_a_finished_run_in_rounds_says_so_and_stays(done, capsys):
    place, given = done
    before = all_of(place)
    capsys.readouterr()
    assert main(["iterate", *given, "--out", str(place / "run"), "--resume"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("holds this run, and it is finished" in line for line in lines)
    assert str(place / "run" / "round-2" / "model") in lines[-1]
    assert all_of(place) == before


def test_overwrite_deletes_what_the_run_made_and_nothing_else(done, tmp_path, capsys):
    place, given = done
    shutil.copytree(place / "run", tmp_path / "run")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    (tmp_path / "run" / "round-2" / "figure.png").write_text("mine")
    (tmp_path / "run" / "round-9").mkdir()
    (tmp_path / "run" / "round-9" / "pairs.jsonl").write_text("mine")
    short = [*given, "--rounds", "1", "--steps", "2", "--out", str(tmp_path / "run")]
    assert main(["iterate", *short, "--overwrite", "--resume"]) == 2
    assert "give one of the two" in capsys.readouterr().err
    assert main(["iterate", *short, "--overwrite"]) == 0
    kept = {p.relative_to(tmp_path / "run").as_posix() for p in all_of(tmp_path / "run")}
    assert {"notes.txt", "round-2/figure.png", "round-9/pairs.jsonl"} <= kept
    assert {name for name in kept if name.startswith("round-2/")} == {"round-2/figure.png"}


def test_without_out_a_run_gets_a_folder_of_its_own_and_goes_on_there(
    done, tmp_path, monkeypatch, capsys
):
    _, given = done
    monkeypatch.chdir(tmp_path)
    short = [*given, "--rounds", "1", "--steps", "2"]
    assert main(["iterate", *short, "--resume"]) == 2
    assert "(there is none): name a folder with --out" in capsys.readouterr().err
    for more in ([], ["--seed", "1"], ["--resume"]):
        assert main(["iterate", *short, *more]) == 0
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["tiny-dno", "tiny-dno-2"]
    out = capsys.readouterr().out
    assert "going on with runs/tiny-dno\n" in out.replace("\\", "/")
    assert main(["iterate", *short, "--seed", "2", "--resume"]) == 2
    assert "tiny-dno-2: seed was 1 and is 2" in capsys.readouterr().err
    assert main(["iterate", *short, "--out", ""]) == 2
    assert "--out is empty" in capsys.readouterr().err


DAMAGES = {
    "round-1/pairs.jsonl": "is damaged, or was changed",
    "round-1/metrics.jsonl": "holds a finished run that is damaged",
    "round-1/made_by.json": "is damaged",
    "round-2/pairs.jsonl": "is damaged, or was changed",
    "round-2/model/model.safetensors": "holds a finished run that is damaged",
    "config.json": "holds round-1, and no readable config.json",
}


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("how", ["half", "empty"])
def test_a_damaged_round_is_one_sentence(name, how, done, tmp_path, capsys):
    place, given = done
    shutil.copytree(place / "run", tmp_path / "run")
    path = tmp_path / "run" / name
    os.truncate(path, path.stat().st_size // 2 - 3 if how == "half" else 0)
    assert main(["iterate", *given, "--out", str(tmp_path / "run"), "--resume"]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert DAMAGES[name] in told
    assert str(tmp_path / "run" / name.split("/")[0]) in told or name == "config.json"


@pytest.mark.parametrize("how", ["--resume", "--overwrite"])
def test_a_link_in_the_place_of_a_round_is_not_followed(how, done, tmp_path, capsys):
    place, given = done
    shutil.copytree(place / "run", tmp_path / "run")
    (tmp_path / "run" / "round-1").rename(tmp_path / "elsewhere")
    (tmp_path / "run" / "round-1").symlink_to(tmp_path / "elsewhere")
    before = all_of(tmp_path)
    assert main(["iterate", *given, "--out", str(tmp_path / "run"), how]) == 2
    assert "round-1 is a link, which a run would write through" in capsys.readouterr().err
    assert all_of(tmp_path) == before


def test_what_a_round_killed_at_its_very_end_left_beside_its_model_goes(done, tmp_path):
    place, given = done
    shutil.copytree(place / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "round-2")
    left = tmp_path / "run" / "round-1" / "checkpoint-00000002"
    for folder in (left, left.with_suffix(".partial")):
        folder.mkdir()
        (folder / "state.safetensors").write_bytes(b"the weights")
    (left.parent / "run.lock").touch()
    (left.parent / "notes.txt").write_text("mine")
    assert main(["iterate", *given, "--out", str(tmp_path / "run"), "--resume"]) == 0
    names = lambda folder: {p.relative_to(folder) for p in folder.rglob("*")}
    assert names(tmp_path / "run") == names(place / "run") | {Path("round-1/notes.txt")}


def test_a_round_that_is_deleted_as_told_is_done_again_exactly(done, tmp_path):
    place, given = done
    for gone in ("round-2", "round-1"):
        shutil.copytree(place / "run", tmp_path / gone)
        for name in ("round-2", gone):
            shutil.rmtree(tmp_path / gone / name, ignore_errors=True)
        assert main(["iterate", *given, "--out", str(tmp_path / gone), "--resume"]) == 0
        for path, content in all_of(place / "run").items():
            assert (tmp_path / gone / path.relative_to(place / "run")).read_bytes() == content


@pytest.mark.parametrize(("recorded", "stream"), [("row", "row"), (None, "batch")])
def test_a_run_in_rounds_goes_on_with_the_stream_that_it_began_with(
    recorded, stream, done, tmp_path, monkeypatch
):
    """A run that was begun before rows had draws of their own recorded no stream."""
    place, given = done
    shutil.copytree(place / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "round-2")
    path, drawn, sample = tmp_path / "run" / "config.json", [], rounds.sample_shared
    config = json.loads(path.read_text())
    assert config.pop("stream") == "row"
    path.write_text(json.dumps(config | ({"stream": recorded} if recorded else {})))

    def watched(*given, **how):
        drawn.append(how["stream"])
        return sample(*given, **how)

    monkeypatch.setattr(rounds, "sample_shared", watched)
    assert main(["iterate", *given, "--out", str(tmp_path / "run"), "--resume"]) == 0
    assert drawn == [stream]
    assert json.loads(path.read_text()).get("stream") == recorded


def test_a_round_does_not_begin_with_another_policy_than_its_pairs_were_made_with(done, tmp_path):
    place, _ = done
    shutil.copytree(place / "run" / "round-2", tmp_path / "run" / "round-1")
    (tmp_path / "run" / "config.json").write_text((place / "run" / "config.json").read_text())
    model, tokenizer = load_model("tiny")
    config = TrainConfig(**PRESETS["tiny"] | {"score_all": False, "steps": 4, "batch_size": 8})
    with pytest.raises(DataError, match="policy of the round before was"):
        rounds.in_rounds(
            model, tokenizer, 2, lambda r: [], config, True, tmp_path / "run", True, False
        )


def test_two_at_once_in_one_folder_is_one_sentence(tmp_path):
    model, tokenizer = load_model("tiny")
    inside, go_on = threading.Event(), threading.Event()

    def rows_of(r):
        inside.set()
        assert go_on.wait(60)
        return world.make_pairs(8)

    def first():
        rounds.in_rounds(*load_model("tiny"), 1, rows_of, SHORT, run_folder=tmp_path / "run")

    thread = threading.Thread(target=first)
    thread.start()
    try:
        assert inside.wait(60)
        for resume in (False, True):
            with pytest.raises(DataError, match="another process is writing to"):
                rounds.in_rounds(
                    model, tokenizer, 1, rows_of, SHORT, False, tmp_path / "run", resume
                )
    finally:
        go_on.set()
        thread.join()
    assert rounds.in_rounds(model, tokenizer, 1, rows_of, SHORT, False, tmp_path / "run", True)


def test_sigterm_stops_as_ctrl_c_does_and_names_the_whole_run(done, tmp_path, capsys):
    _, given = done
    (tmp_path / "mine.py").write_text(
        "import os, signal\n"
        "def longer(prompt, a, b):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    return float(len(a) > len(b))\n"
    )
    before = signal.getsignal(signal.SIGTERM)
    run = ["--out", str(tmp_path / "run"), "--judge", f"{tmp_path / 'mine.py'}:longer"]
    assert main(["iterate", *given, *run]) == 128 + signal.SIGTERM
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == f"dpo iterate: stopped before its end; {tmp_path / 'run'} goes on with --resume"
    assert signal.getsignal(signal.SIGTERM) == before
    assert not (tmp_path / "run" / "run.lock").exists()
