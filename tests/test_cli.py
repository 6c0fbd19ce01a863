"""The command line: what it makes, and one clear sentence for what goes wrong."""

import json
import subprocess
import sys

import pytest

from dpo_from_scratch import cli, feedback, world
from dpo_from_scratch.cli.options import train_config
from dpo_from_scratch.data import data_path, write_rows
from dpo_from_scratch.losses import LOSSES
from dpo_from_scratch.models import load_model, save_model
from dpo_from_scratch.training import PRESETS, TrainConfig


@pytest.fixture
def pairs(tmp_path):
    write_rows(tmp_path / "pairs.jsonl", world.make_pairs(24))
    return str(tmp_path / "pairs.jsonl")


def test_train_then_sample_then_score(pairs, tmp_path, capsys):
    out = tmp_path / "run"
    assert (
        cli.main(["train", "--data", pairs, "--out", str(out), "--steps", "3", "--batch-size", "8"])
        == 0
    )
    assert "chosen log-ratio" in capsys.readouterr().out
    config = json.loads((out / "config.json").read_text())
    assert (config["beta"], config["steps"], config["batch_size"]) == (
        0.6,
        3,
        8,
    )  # the preset, and what was given
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 3

    assert (
        cli.main(
            [
                "sample",
                "--model",
                str(out / "model"),
                "--prompt",
                "film : how was the plot ?",
                "--n",
                "2",
            ]
        )
        == 0
    )
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [r["prompt"] for r in rows] == ["film : how was the plot ?"] * 2

    assert (
        cli.main(["score", "--model", str(out / "model"), "--reference", "tiny", "--data", pairs])
        == 0
    )
    printed = capsys.readouterr()
    assert set(json.loads(printed.out.splitlines()[0])) == {
        *("line", "chosen_rewards", "rejected_rewards")
    }
    assert "24 pairs, 0 left out; implicit reward of the chosen above" in printed.err
    assert cli.main(["score", "--model", "tiny", "--data", pairs]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["chosen_logps"] < -5


def test_supervised_fine_tuning_from_the_command_line(tmp_path):
    write_rows(tmp_path / "texts.jsonl", world.make_texts(8))
    arguments = [
        "train",
        "--loss",
        "sft",
        "--data",
        str(tmp_path / "texts.jsonl"),
        "--out",
        str(tmp_path / "run"),
        "--steps",
        "2",
    ]
    assert cli.main(arguments) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--data", "nowhere.jsonl"], "no such file"),
        (["train", "--data", "PAIRS", "--model", "no/such-model"], "could not be fetched"),
        (["train", "--data", "PAIRS", "--out", "/proc/run"], "can't write a run"),
        (["train", "--data", "PAIRS", "--beta", "0", "--steps", "1"], "beta must be positive"),
        (["train", "--data", "PAIRS", "--decay", "never"], "decay is one of"),
        (["train", "--data", "PAIRS", "--loss", "sft"], "holds rows of kind pairs, not texts"),
        (["train", "--data", "PAIRS", "--max-length", "4", "--steps", "1"], "leaves no room"),
        (["train", "--data", "PAIRS", "--learning-rate", "nan"], "learning_rate must be a number"),
        (
            ["train", "--data", "PAIRS", "--learning-rate", "1e30", "--steps", "30"],
            "lower the learning rate",
        ),
        (
            ["train", "--data", "PAIRS", "--lora-rank", "-1"],
            "save_every and warmup must be 0 or",
        ),
        (["train", "--data", "PAIRS", "--reference", "OTHER"], "reads other tokens"),
        (["train", "--data", "PAIRS", "--max-length", "4", "--skip-bad"], "no row is left"),
        (["sample", "--max-new-tokens", "0"], "max_new_tokens 1 or more"),
        (["sample", "--prompt", "film " * 90], "fills the model's context"),
        (["score", "--model", "tiny", "--data", "."], "is a folder"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_status_2(
    arguments, message, pairs, tmp_path, capsys, monkeypatch
):
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
    found = subprocess.run(
        [*command, "train", "--help"], capture_output=True, text=True, check=True
    )
    for text in ("--learning-rate", "--skip-bad", "larger", "--preset"):
        assert text in found.stdout
    assert subprocess.run(command, capture_output=True).returncode == 2


def test_shipped_pairs_score_as_the_reference_finds_them(capsys):
    assert (
        cli.main(["score", "--model", "tiny", "--data", str(data_path("reviews_pairs_test.jsonl"))])
        == 0
    )
    assert "768 pairs" in capsys.readouterr().err


# ---------------------------------------------------------------- options in force
def config_of(*arguments, command="train", own=None):
    """The TrainConfig that a command line asks for; nothing is trained."""
    needed = {"train": ["--data", "x"], "feedback": ["--out", "x"], "iterate": []}[command]
    options = cli.make_parser().parse_args([command, *needed, *arguments])
    return train_config(options, own)


OWN_BETA = {  # by hand, from the papers: losses whose number is neither DPO's nor a preset's
    "length_normalized_dpo": 5.0,
    "sppo": 1e-3,
    "nca": 0.01,
    "aot": 0.01,
    "dpop": 0.3,
    "discopop": 0.05,
}


@pytest.mark.parametrize("preset", PRESETS)
def test_beta_by_the_command_line_is_the_given_the_table_s_or_the_loss_s_own(preset):
    parser = cli.make_parser()
    world_s = preset.startswith("tiny")
    for loss in LOSSES:
        command = ["train", "--data", "x", "--preset", preset, "--loss", loss]
        expected = OWN_BETA.get(loss, 0.6 if world_s else 0.1)
        expected = (10.0 if world_s else 2.0) if loss == "simpo" else expected
        expected = 0.05 if (loss, world_s) == ("chi_po", True) else expected
        if (preset, loss) == ("tiny-sft", "sft"):
            expected = 0.1
        config = train_config(parser.parse_args(command))
        assert (config.loss, config.beta) == (loss, expected)
        whole = {"accumulation": 1} if loss == "aot" else {}
        assert config == TrainConfig(**PRESETS[preset] | {"loss": loss, "score_all": False} | whole)
        given = train_config(parser.parse_args([*command, "--beta", "0.07"]))
        assert given.beta == 0.07


@pytest.mark.parametrize("loss", [*OWN_BETA, "simpo"])
@pytest.mark.parametrize("command", ["train", "iterate", "feedback"])
@pytest.mark.parametrize("model", ["tiny", "smollm2", "gpt2", "some/other"])
def test_the_seven_never_get_another_method_s_beta(loss, command, model):
    config = config_of("--model", model, "--loss", loss, command=command)
    world_s = 10.0 if model == "tiny" else 2.0
    assert config.beta == config.options()["beta"] == OWN_BETA.get(loss, world_s)


def test_the_preset_is_the_one_named_like_the_model_else_gpt2():
    assert config_of() == TrainConfig(**PRESETS["tiny"] | {"score_all": False})
    assert config_of("--model", "smollm2") == TrainConfig(**PRESETS["smollm2"])
    assert config_of("--model", "some/other") == TrainConfig(**PRESETS["gpt2"])
    named = config_of("--model", "smollm2", "--preset", "tiny", "--steps", "7", "--skip-bad")
    assert named == TrainConfig(
        **PRESETS["tiny"] | {"score_all": False, "steps": 7, "skip_bad": True}
    )


def test_feedback_has_numbers_of_its_own_where_nothing_was_given():
    def config(*arguments):
        return config_of(*arguments, command="feedback", own=feedback.DEFAULTS)

    assert config() == feedback.settings(12, 0)
    old = {"steps": 12, "learning_rate": 5e-4, "save_every": 4, "seed": 0}
    assert config() == TrainConfig(**PRESETS["smollm2"] | old)
    assert config("--seed", "3", "--steps", "9") == feedback.settings(9, 3)
    assert config("--preset", "smollm2") == TrainConfig(**PRESETS["smollm2"])  # named: all of it
    assert config("--model", "gpt2") == TrainConfig(**PRESETS["gpt2"] | feedback.DEFAULTS)


def test_the_help_says_where_beta_comes_from(capsys):
    for command in ("train", "iterate", "feedback"):
        with pytest.raises(SystemExit):
            cli.main([command, "--help"])
        told = " ".join(capsys.readouterr().out.split())
        assert "(default: nca 0.01, sppo 0.001, dpop 0.3, " in told
        assert "for every other loss, by preset: tiny 0.6 (chi_po 0.05, simpo 10)" in told
        assert "None" not in told


def test_the_first_line_of_a_run_are_the_options_in_force(pairs, tmp_path, capsys):
    small = ["--steps", "2", "--batch-size", "8", "--loss", "simpo"]
    given = {
        "train": ["--data", pairs],
        "iterate": ["--rounds", "1"],
        "feedback": ["--model", "tiny", "--judge", "reviews", "--groups", "1"],
    }
    for command, more in given.items():
        arguments = [command, "--out", str(tmp_path / command), *more, *small]
        assert cli.main(arguments) == 0
        first = capsys.readouterr().out.splitlines()[0]
        own = feedback.DEFAULTS if command == "feedback" else None
        options = cli.make_parser().parse_args(arguments)
        assert first == f"options: {train_config(options, own)}"
        assert first.startswith("options: loss simpo, beta 10.0, gamma ")
        assert "steps 2, batch_size 8" in first
