"""Every loss of the registry trains, from the command line, and what some of them need beyond a
pair arrives where it should.
"""

import json
import math

import pytest
import torch

from dpo_from_scratch import world
from dpo_from_scratch.cli import main
from dpo_from_scratch.data import data_path, read_rows, split_pairs, write_rows
from dpo_from_scratch.losses import LOSSES
from dpo_from_scratch.models import Scorer, frozen_copy, load_model, pad_id
from dpo_from_scratch.scoring import score_examples
from dpo_from_scratch.tokens import Example, encode_rows
from dpo_from_scratch.training import PRESETS, TrainConfig, train
from dpo_from_scratch.training.whole_batch import mismatched_kl

SMALL = {"steps": 4, "batch_size": 8, "warmup": 1}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    pairs = [
        row | {"probability": 0.5 + 0.5 * (i % 2)}
        for i, row in enumerate(world.make_pairs(64, seed=3))
    ]
    write_rows(folder / "pairs.jsonl", pairs)
    write_rows(folder / "labels.jsonl", world.make_thumbs(64, seed=3))
    write_rows(folder / "texts.jsonl", world.make_texts(64, seed=3))
    return folder


@pytest.mark.parametrize("name", LOSSES)
def test_thirty_steps_from_the_command_line_end_finite_and_move_the_policy(
    name, files, tmp_path, capsys
):
    data = files / f"{LOSSES[name].needs}.jsonl"
    arguments = [
        "train",
        "--loss",
        name,
        "--data",
        str(data),
        "--out",
        str(tmp_path / "run"),
        "--steps",
        "30",
        "--batch-size",
        "8",
    ]
    assert main(arguments) == 0
    rows = [
        json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    ]
    assert len(rows) == 30
    assert all(math.isfinite(value) for row in rows for value in row.values())
    before, after = (
        load_model("tiny")[0].state_dict(),
        load_model(str(tmp_path / "run" / "model"))[0].state_dict(),
    )
    assert any(not torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("name", ["kto", "bco"])
def test_pairs_are_split_for_losses_on_labels(name, files, tmp_path, capsys):
    arguments = [
        "train",
        "--loss",
        name,
        "--data",
        str(files / "pairs.jsonl"),
        "--out",
        str(tmp_path),
        "--steps",
        "2",
    ]
    assert main(arguments) == 0
    assert "each becomes a liked and a disliked response" in capsys.readouterr().out
    pairs, _ = read_rows(files / "pairs.jsonl")
    split = split_pairs(pairs)
    assert len(split) == 128
    assert [row["label"] for row in split[:4]] == [True, False, True, False]
    model, tokenizer = load_model("tiny")
    config = TrainConfig(**PRESETS["tiny"] | SMALL | {"loss": name})
    other, _ = load_model("tiny")
    assert train(model, tokenizer, pairs, config, progress=False) == train(
        other, tokenizer, split, config, progress=False
    )


def test_options_of_a_loss_come_from_its_defaults_then_what_was_given_and_beta_has_one_place():
    assert TrainConfig(loss="cdpo", beta=0.6).options() == {"beta": 0.6, "label_smoothing": 0.1}
    assert TrainConfig(loss="cdpo", beta=0.6, loss_options=" label_smoothing=0.3").options() == {
        "beta": 0.6,
        "label_smoothing": 0.3,
    }
    assert TrainConfig(loss="f_dpo", loss_options="divergence=js").options()["divergence"] == "js"
    assert TrainConfig(loss="ipo", beta=9.0).options() == {"tau": 0.1}  # IPO has no beta
    for wrong, message in {
        "epsilon=1": "takes label_smoothing",
        "label_smoothing": "none of",
        "label_smoothing=x": "a number",
        "beta=0.1": "none of them",
    }.items():
        with pytest.raises(ValueError, match=message):
            TrainConfig(loss="cdpo", loss_options=wrong)
    with pytest.raises(ValueError, match="batch_size must be 2"):
        TrainConfig(loss="kto", batch_size=1)


def first_loss(**settings) -> float:
    model, tokenizer = load_model("tiny")
    rows = settings.pop("rows", None) or world.make_pairs(16, seed=1)
    return train(
        model, tokenizer, rows, TrainConfig(**PRESETS["tiny"] | SMALL | settings), progress=False
    )[0]["loss"]


def test_options_reach_the_loss():
    assert first_loss(loss="ipo", loss_options="tau=0.5") == pytest.approx(1.0, abs=1e-4)
    assert first_loss(
        loss="kto", loss_options="desirable_weight=3,undesirable_weight=3"
    ) == pytest.approx(1.5, abs=1e-4)


def test_the_win_probability_of_a_row_reaches_dno():
    rows = world.make_pairs(16, seed=1)
    model, tokenizer = load_model("tiny")
    config = TrainConfig(**PRESETS["tiny"] | SMALL | {"loss": "dno"})
    soft = train(model, tokenizer, [r | {"probability": 0.5} for r in rows], config, progress=False)
    assert soft[-1]["margin"] == pytest.approx(0, abs=1e-4)  # a coin toss teaches nothing
    hard = train(load_model("tiny")[0], tokenizer, rows, config, progress=False)
    assert hard[-1]["margin"] > 0.01


def test_ktos_kl_is_that_of_the_next_rows_responses_over_the_whole_batch():
    model, tokenizer = load_model("tiny")
    reference = frozen_copy(model)
    model.transformer.wte.weight.data *= 1.03
    rows = world.make_thumbs(6, seed=2)
    examples = [e for (e,) in encode_rows(tokenizer, rows)[0]]
    texts = [rows[(i + 1) % 6] for i in range(6)]
    mixed = [
        e
        for (e,) in encode_rows(
            tokenizer,
            [a | {"completion": b["completion"]} for a, b in zip(rows, texts, strict=True)],
        )[0]
    ]
    rho = [score_examples(Scorer(m), mixed, pad_id(tokenizer)) for m in (model, reference)]
    expected = (rho[0] - rho[1]).mean().clamp(min=0)
    pad = pad_id(tokenizer)
    torch.testing.assert_close(
        mismatched_kl(Scorer(model), Scorer(reference), examples, pad, None), expected
    )
    long = [Example(e.ids[:3] + e.ids[e.prompt_length :], 3) for e in examples]
    limit = max(len(e.ids) for e in long)
    assert mismatched_kl(Scorer(model), Scorer(reference), long, pad, limit) >= 0


@pytest.mark.parametrize("name", ["kto", "bco", "bco_pair"])
def test_accumulation_changes_nothing_since_kl_and_delta_belong_to_the_whole_batch(name):
    rows = world.make_pairs(32, seed=1)
    runs = []
    for parts in (1, 4):
        model, tokenizer = load_model("tiny")
        config = TrainConfig(**PRESETS["tiny"] | SMALL | {"loss": name, "accumulation": parts})
        runs.append(train(model, tokenizer, rows, config, progress=False))
    for one, four in zip(*runs, strict=True):
        for key in one:
            assert one[key] == pytest.approx(four[key], rel=2e-3, abs=2e-3), key


@pytest.mark.parametrize("name", ["bco", "kto"])
def test_a_run_that_goes_on_has_the_moving_delta_of_one_that_was_not_cut(name, tmp_path):
    rows = world.make_thumbs(48, seed=4)
    config = TrainConfig(**PRESETS["tiny"] | SMALL | {"loss": name, "steps": 6, "save_every": 3})
    whole, tokenizer = load_model("tiny")
    expected = train(whole, tokenizer, rows, config, tmp_path / "whole", progress=False)

    def stop(step, row):
        if step == 5:
            raise RuntimeError("pulled the plug")

    with pytest.raises(RuntimeError):
        train(
            load_model("tiny")[0],
            tokenizer,
            rows,
            config,
            tmp_path / "cut",
            on_step=stop,
            progress=False,
        )
    resumed = load_model("tiny")[0]
    found = train(resumed, tokenizer, rows, config, tmp_path / "cut", resume=True, progress=False)
    assert found == expected
    assert all(
        torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True)
    )


def test_a_row_that_is_left_out_takes_its_label_along():
    rows = world.make_thumbs(8, seed=4)
    bad = [rows[0] | {"label": not rows[0]["label"], "completion": "good " * 200}]
    config = TrainConfig(**PRESETS["tiny"] | SMALL | {"loss": "bco", "skip_bad": True})
    told = []
    for given in (rows[:2] + rows[2:], rows[:2] + bad + rows[2:]):
        model, tokenizer = load_model("tiny")
        told.append(train(model, tokenizer, given, config, progress=False))
    assert told[0] == told[1]


@pytest.mark.slow
def test_thumbs_teach_too():
    """KTO and BCO on the shipped thumbs: held-out pairs come into their true order."""
    from dpo_from_scratch.lab.evaluation import implicit_and_true, order_accuracy

    rows, _ = read_rows(data_path("reviews_thumbs.jsonl"), "labels")
    tests, _ = read_rows(data_path("reviews_pairs_test.jsonl"))
    for name in ("kto", "bco"):
        model, tokenizer = load_model("tiny")
        reference = frozen_copy(model)
        train(
            model,
            tokenizer,
            rows,
            TrainConfig(**PRESETS["tiny"] | {"loss": name, "steps": 128}),
            progress=False,
        )
        assert (
            order_accuracy(*implicit_and_true(model, reference, tokenizer, tests[:300])) > 0.75
        ), name
