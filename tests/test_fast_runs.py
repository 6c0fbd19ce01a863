"""The fast path in training: the same run, with another way of computing that it says and keeps."""

import copy
import json
import os
import signal

import pytest
import torch

from dpo_from_scratch import cli, world
from dpo_from_scratch.data import split_pairs
from dpo_from_scratch.fast import ClippingAdamW, FastScorer, Tricks
from dpo_from_scratch.losses import LOSSES
from dpo_from_scratch.models import Scorer
from dpo_from_scratch.training import PRESETS, TrainConfig, train
from dpo_from_scratch.training.batches import prepare
from dpo_from_scratch.training.no_run import NoRun
from dpo_from_scratch.training.start import scorer_of, set_up

ROWS = world.make_pairs(24, seed=5)
SETTINGS = {"beta": 0.6, "learning_rate": 1e-3, "steps": 4, "batch_size": 8, "warmup": 1}


def run(tiny, folder=None, rows=ROWS, dtype=torch.float32, resume=False, on_step=None, **options):
    """(weights, metrics) after a short run."""
    model = copy.deepcopy(tiny[0]).to(dtype)
    config = TrainConfig(**SETTINGS | options)
    how = {"resume": resume, "on_step": on_step, "progress": False}
    history = train(model, tiny[1], rows, config, folder, **how)
    return torch.cat([p.detach().flatten() for p in model.parameters()]), history


def both(tiny, **options):
    """The same run in float64, plain and fast."""
    return [run(tiny, plain=plain, dtype=torch.float64, **options) for plain in (True, False)]


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_the_same_model_both_ways(tiny, loss):
    rows = [{"prompt": r["prompt"], "completion": r["chosen"]} for r in ROWS]
    rows = {"texts": rows, "labels": split_pairs(ROWS), "pairs": ROWS}[LOSSES[loss].needs]
    # dpop asks whether the chosen response lost likelihood, which rounding decides at first
    live = {"live_reference": loss == "dpop"}
    (plain, slow), (fast, quick) = both(tiny, loss=loss, rows=rows, **live)
    # the clipping factor goes through float32; so do kept reference scores
    assert (plain - fast).abs().max() < 1e-6
    for a, b in zip(slow, quick, strict=True):
        assert a == pytest.approx(b, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(
    "options", [{"live_reference": True}, {"accumulation": 2}, {"lora_rank": 2}], ids=str
)
def test_other_ways_of_training_do_so_too(tiny, options):
    (plain, _), (fast, _) = both(tiny, **options)
    assert (plain - fast).abs().max() < 1e-6


def test_a_resumed_run_ends_as_one_that_was_not_cut(tiny, tmp_path):
    stop = lambda step, row: step == 2 and os.kill(os.getpid(), signal.SIGINT)
    whole, history = run(tiny, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tiny, tmp_path / "cut", on_step=stop)
    again, resumed = run(tiny, tmp_path / "cut", resume=True)
    assert torch.equal(whole, again)
    assert history == resumed


def cut(tiny, folder, **options):
    stop = lambda step, row: step == 2 and os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(tiny, folder, on_step=stop, **options)


def test_what_a_run_recorded_is_what_it_goes_on_with(tiny, tmp_path, monkeypatch):
    """Plain or fast, its precision and its tricks, whatever the command says now."""
    plain, _ = run(tiny, plain=True, precision="no")
    cut(tiny, tmp_path / "old", plain=True, precision="no")
    config = json.loads((tmp_path / "old" / "config.json").read_text())
    assert "tricks" not in config
    del config["plain"]  # as a version wrote it that had no fast path
    (tmp_path / "old" / "config.json").write_text(json.dumps(config))
    assert torch.equal(plain, run(tiny, tmp_path / "old", resume=True)[0])

    fast, _ = run(tiny)
    cut(tiny, tmp_path / "new")
    assert torch.equal(fast, run(tiny, tmp_path / "new", resume=True, plain=True)[0])

    cut(tiny, tmp_path / "less")
    config = json.loads((tmp_path / "less" / "config.json").read_text())
    assert config["tricks"] == {"share": True, "pack": True, "head": True}
    config["tricks"] |= {"share": False}
    (tmp_path / "less" / "config.json").write_text(json.dumps(config))
    used = []
    monkeypatch.setattr(FastScorer, "forward", noting(FastScorer.forward, used))
    run(tiny, tmp_path / "less", resume=True)
    assert used
    assert not any(tricks.share for tricks in used[-2:])


def noting(forward, used):
    def noted(self, *args, **kwargs):
        used.append(self.tricks)
        return forward(self, *args, **kwargs)

    return noted


def test_the_first_line_says_how_a_run_computes(tiny, tmp_path, capsys):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    out = ["--model", "tiny", "--data", str(rows), "--steps", "2"]
    quick = ["--preset", "gpt2", *out, "--accumulation", "1", "--batch-size", "4"]
    assert cli.main(["train", *quick, "--out", str(tmp_path / "fast")]) == 0
    told = capsys.readouterr()
    assert "computed with shared prompts, packed rows, chunked head, in float32" in (
        told.out + told.err
    )
    assert cli.main(["train", *quick, "--plain", "--out", str(tmp_path / "plain")]) == 0
    told = capsys.readouterr()
    assert "computed with" not in told.out + told.err
    saved = [json.loads((tmp_path / n / "config.json").read_text()) for n in ("fast", "plain")]
    assert [c["plain"] for c in saved] == [False, True]


def test_a_model_that_can_not_share_says_so_and_trains(tiny, monkeypatch):
    monkeypatch.setattr("dpo_from_scratch.fast.tricks.ROWS", {"llama"})
    data = prepare(tiny[1], ROWS, TrainConfig(), tiny[0])
    scorer, told = scorer_of(tiny[0], data, TrainConfig())
    assert scorer.tricks == Tricks(False, False)
    assert len(told) == 2
    assert "prompts are not shared and rows not packed" in told[1]
    assert type(scorer_of(tiny[0], data, TrainConfig(plain=True))[0]) is Scorer


def test_the_setting_of_products_is_put_back(tiny):
    before = torch.get_float32_matmul_precision()
    seen = []
    look = lambda step, row: seen.append(torch.get_float32_matmul_precision())
    run(tiny, on_step=look)
    run(tiny, on_step=look, precision="no")
    run(tiny, on_step=look, plain=True)
    assert set(seen[:4]) <= {before, "medium"}
    assert set(seen[4:]) == {before}
    assert torch.get_float32_matmul_precision() == before


def test_the_review_worlds_presets_compute_as_their_records_were_made():
    for name, preset in PRESETS.items():
        config = TrainConfig(**preset)
        assert config.plain == name.startswith("tiny"), name
        assert config.precision == ("no" if name.startswith("tiny") else "auto"), name


def test_aot_with_accumulation_is_refused():
    with pytest.raises(ValueError, match="sorts the pairs of a whole batch"):
        TrainConfig(loss="aot", accumulation=2)


def test_the_optimizer_is_the_one_pass_adamw_but_where_a_run_is_plain(tiny):
    made = {}
    for plain in (True, False):
        model = copy.deepcopy(tiny[0])
        config = TrainConfig(**SETTINGS | {"plain": plain})
        data = prepare(tiny[1], ROWS, config, model)
        made[plain] = set_up(model, tiny[1], data, config, NoRun(), None, False).optimizer
    kinds = {plain: type(found.optimizer) for plain, found in made.items()}
    assert kinds == {True: torch.optim.AdamW, False: ClippingAdamW}
