"""Where a run's beta comes from: given, the review world's table, the loss's own.

Trains the seven only.
"""

import json
import math

import pytest

from dpo_from_scratch import world
from dpo_from_scratch.cli import main
from dpo_from_scratch.data import write_rows
from dpo_from_scratch.losses import LOSSES
from dpo_from_scratch.models import load_model
from dpo_from_scratch.training import PRESETS, REVIEW_BETAS, TrainConfig, train

OWN = {  # by hand, from the papers; losses without beta: the factor of the reward columns
    "nca": 0.01,
    "sppo": 1e-3,
    "dpop": 0.3,
    "length_normalized_dpo": 5.0,
    "discopop": 0.05,
    "aot": 0.01,
    "simpo": 2.0,
}
SEVEN = tuple(OWN)  # a preset of DPO's gave them DPO's beta once
IN_THE_WORLD = dict.fromkeys(LOSSES, 0.6) | OWN | {"simpo": 10.0, "chi_po": 0.05}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_in_every_preset_resolves_to_its_own_number(name, preset):
    expected = IN_THE_WORLD[name] if preset.startswith("tiny") else OWN.get(name, 0.1)
    if (preset, name) == ("tiny-sft", "sft"):
        expected = 0.1  # no beta, no reward columns; what such a run has always written
    whole = PRESETS[preset] | {"loss": name, "accumulation": 1}  # as aot wants it
    config = TrainConfig(**whole)
    assert config.beta == expected
    assert config.options().get("beta", expected) == expected
    given = TrainConfig(**whole | {"beta": 0.07})
    assert given.beta == 0.07
    assert TrainConfig(loss=name).beta == OWN.get(name, 0.1)


def test_dpo_in_the_review_world_has_the_beta_of_the_book():
    assert TrainConfig(**PRESETS["tiny"]).beta == 0.6
    assert TrainConfig().beta == TrainConfig(**PRESETS["gpt2"]).beta == 0.1
    assert set(REVIEW_BETAS) <= set(LOSSES)
    assert not set(SEVEN) & {name for name, beta in REVIEW_BETAS.items() if beta == 0.6}


def test_what_is_written_and_told_are_numbers_in_force_and_never_null():
    for name in LOSSES:
        found = TrainConfig(**PRESETS["tiny"] | {"loss": name}).resolved()
        assert None not in found.values()
        assert None not in found["options"].values()
        assert found["reward_factor"] == found["beta"]
        line = str(TrainConfig(**PRESETS["tiny"] | {"loss": name}))
        for option in found["options"]:
            assert f"{option} " in line
        assert ("reward_factor" in line) == ("beta" not in LOSSES[name].defaults)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.inf, math.nan])
def test_a_beta_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="beta must be positive"):
        TrainConfig(beta=wrong)


@pytest.mark.parametrize("name", SEVEN)
def test_the_seven_train_with_their_own_beta_from_the_command_line(name, tmp_path, capsys):
    write_rows(tmp_path / "pairs.jsonl", world.make_pairs(16, seed=3))
    run = ["--loss", name, "--data", str(tmp_path / "pairs.jsonl"), "--out", str(tmp_path / "run")]
    assert main(["train", *run, "--steps", "2", "--batch-size", "8"]) == 0
    found = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    assert found["beta"] == found["options"]["beta"] == IN_THE_WORLD[name]
    assert f"loss {name}, beta {IN_THE_WORLD[name]}" in capsys.readouterr().out


def test_a_run_whose_configuration_an_older_version_wrote_goes_on(tmp_path):
    """It has neither options nor reward_factor, and its beta was written as a number."""
    config = TrainConfig(**PRESETS["tiny"] | {"steps": 6, "batch_size": 4, "save_every": 2})
    rows = world.make_pairs(12, seed=4)

    def stop(step, row):
        if step == 5:
            raise RuntimeError("pulled the plug")

    expected = train(*load_model("tiny"), rows, config, tmp_path / "whole", progress=False)
    with pytest.raises(RuntimeError):
        train(*load_model("tiny"), rows, config, tmp_path / "cut", on_step=stop, progress=False)
    path = tmp_path / "cut" / "config.json"
    older = json.loads(path.read_text(encoding="utf-8"))
    del older["options"], older["reward_factor"]
    path.write_text(json.dumps(older), encoding="utf-8")
    cut = tmp_path / "cut"
    assert train(*load_model("tiny"), rows, config, cut, resume=True, progress=False) == expected
