"""The command line: what it makes, and one clear sentence for what goes wrong."""

import json
import subprocess
import sys

import pytest

from dpo_from_scratch import cli, world
from dpo_from_scratch.data import data_path, write_rows
from dpo_from_scratch.models import load_model, save_model


@pytest.fixture
def pairs(tmp_path):
    write_rows(tmp_path / "pairs.jsonl", world.make_pairs(24))
    return str(tmp_path / "pairs.jsonl")


def test_train_then_sample_then_score(pairs, tmp_path, capsys):
    out = tmp_path / "run"
    assert cli.main(["train", "--data", pairs, "--out", str(out), "--steps", "3", "--batch-size", "8"]) == 0
    assert "step 3: loss" in capsys.readouterr().out
    config = json.loads((out / "config.json").read_text())
    assert (config["beta"], config["steps"], config["batch_size"]) == (0.6, 3, 8)  # the preset, and what was given
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 3

    assert cli.main(["sample", "--model", str(out / "model"), "--prompt", "film : how was the plot ?", "--n", "2"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [r["prompt"] for r in rows] == ["film : how was the plot ?"] * 2

    assert cli.main(["score", "--model", str(out / "model"), "--reference", "tiny", "--data", pairs]) == 0
    printed = capsys.readouterr()
    assert set(json.loads(printed.out.splitlines()[0])) == {"chosen_rewards", "rejected_rewards"}
    assert "24 pairs, 0 left out; implicit reward of the chosen above" in printed.err
    assert cli.main(["score", "--model", "tiny", "--data", pairs]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["chosen_logps"] < -5


def test_supervised_fine_tuning_from_the_command_line(tmp_path):
    write_rows(tmp_path / "texts.jsonl", world.make_texts(8))
    arguments = ["train", "--loss", "sft", "--data", str(tmp_path / "texts.jsonl"), "--out", str(tmp_path / "run"), "--steps", "2"]
    assert cli.main(arguments) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--data", "nowhere.jsonl"], "no such file"),
        (["train", "--data", "PAIRS", "--model", "no/such-model"], "could not be fetched"),
        (["train", "--data", "PAIRS", "--out", "/proc/run"], "can't write a run"),
        (["train", "--data", "PAIRS", "--beta", "0", "--steps", "1"], "beta must be positive"),
        (["train", "--data", "PAIRS", "--decay", "never"], "decay is one of"),
        (["train", "--data", "PAIRS", "--loss", "sft"], "no 'completion'"),
        (["train", "--data", "PAIRS", "--max-length", "4", "--steps", "1"], "leaves no room"),
        (["train", "--data", "PAIRS", "--learning-rate", "nan"], "learning_rate must be a number"),
        (["train", "--data", "PAIRS", "--learning-rate", "1e30", "--steps", "30"], "lower the learning rate"),
        (["train", "--data", "PAIRS", "--lora-rank", "-1"], "lora_rank, save_every 0 or more"),
        (["train", "--data", "PAIRS", "--reference", "OTHER"], "reads other tokens"),
        (["train", "--data", "PAIRS", "--max-length", "4", "--skip-bad"], "no row is left"),
        (["sample", "--max-new-tokens", "0"], "max_new_tokens 1 or more"),
        (["sample", "--prompt", "film " * 90], "fills the model's context"),
        (["score", "--model", "tiny", "--data", "."], "is a folder"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_status_2(arguments, message, pairs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "OTHER" in arguments:  # a model with one more token
        model, tokenizer = load_model("tiny")
        tokenizer.add_tokens(["another"])
        model.resize_token_embeddings(len(tokenizer))
        save_model(model, tokenizer, tmp_path / "other")
    given = {"PAIRS": pairs, "OTHER": str(tmp_path / "other")}
    assert cli.main([given.get(a, a) for a in arguments]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert "Traceback" not in printed


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        cli.main(["train", "--data", str(tmp_path / "nowhere"), "--debug"])


def test_help_comes_from_the_configuration():
    command = [sys.executable, "-m", "dpo_from_scratch"]
    found = subprocess.run([*command, "train", "--help"], capture_output=True, text=True, check=True)
    for text in ("--learning-rate", "--skip-bad", "larger", "--preset"):
        assert text in found.stdout
    assert subprocess.run(command, capture_output=True).returncode == 2


def test_shipped_pairs_score_as_the_reference_finds_them(capsys):
    assert cli.main(["score", "--model", "tiny", "--data", str(data_path("reviews_pairs_test.jsonl"))]) == 0
    assert "768 pairs" in capsys.readouterr().err
