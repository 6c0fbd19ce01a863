"""The training loop: what is exact before the first step, what is the same whichever way it is
computed, and what is written.
"""

import copy
import itertools
import json
import math

import pytest
import torch
from conftest import SHAPES

from dpo_from_scratch import losses, world
from dpo_from_scratch.data import DataError
from dpo_from_scratch.models import Scorer, frozen_copy
from dpo_from_scratch.scoring import score_examples
from dpo_from_scratch.tokens import collate, encode_rows
from dpo_from_scratch.training import PRESETS, TrainConfig, learning_rate, pick_rows, train

ROWS = world.make_pairs(64, seed=21)
FAST = {"beta": 0.6, "learning_rate": 1e-3, "steps": 4, "batch_size": 8, "warmup": 2}


def run(tiny, rows=ROWS, model=None, **options):
    model = copy.deepcopy(model or tiny[0])
    return model, train(model, tiny[1], rows, TrainConfig(**FAST | options), progress=False)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_before_the_first_step_loss_is_ln_2_and_rewards_are_0(tiny):
    _, live = run(tiny, live_reference=True)
    assert live[0]["loss"] == float(
        torch.tensor(2.0).log()
    )  # exactly, in float32: same rows, same call
    assert live[0]["chosen_reward"] == live[0]["rejected_reward"] == live[0]["margin"] == 0.0
    assert live[0]["accuracy"] == 0.5  # a tie is a coin toss
    _, kept = run(tiny)
    limit = 0.6 * (1e-6 * 60 + 1e-5)  # beta times the tolerance for replies of up to 60 nats
    assert abs(kept[0]["loss"] - math.log(2)) < limit
    assert abs(kept[0]["chosen_reward"]) < limit


def test_kept_and_live_reference_train_the_same_model(tiny):
    """In float64: Adam turns the last digits of a float32 gradient near zero into whole steps."""
    double = copy.deepcopy(tiny[0]).double()
    kept, a = run(tiny, model=double)
    live, b = run(tiny, model=double, live_reference=True)
    for x, y in zip(a, b, strict=True):
        assert x["loss"] == pytest.approx(y["loss"], abs=1e-9)
    torch.testing.assert_close(weights(kept), weights(live), atol=1e-7, rtol=0)


def test_same_seed_same_weights_other_seed_others(tiny):
    first, again, other = (run(tiny, seed=s)[0] for s in (3, 3, 4))
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(other))


def test_the_loop_takes_the_step_that_the_plain_recipe_takes(tiny):
    """Pairs -> two log-probabilities each under policy and reference -> loss -> backward -> clip
    -> AdamW, written out.
    """
    trained, history = run(tiny, model=copy.deepcopy(tiny[0]).double(), steps=2, warmup=0)
    model, tokenizer = copy.deepcopy(tiny[0]).double(), tiny[1]
    config = TrainConfig(**FAST | {"steps": 2, "warmup": 0})
    scorer, reference = Scorer(model), Scorer(frozen_copy(model))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=0.0)
    pairs, _ = encode_rows(tokenizer, ROWS)
    for step in range(2):
        batch = [pairs[i] for i in pick_rows(step, len(pairs), config)]
        chosen, rejected = (
            collate([pair[k] for pair in batch], tokenizer.pad_token_id) for k in (0, 1)
        )
        with torch.no_grad():
            ref = reference(**chosen), reference(**rejected)
        loss = losses.dpo(scorer(**chosen), scorer(**rejected), *ref, beta=0.6).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.param_groups[0]["lr"] = 1e-3 * (1 - step / 2)
        optimizer.step()
        assert history[step]["loss"] == pytest.approx(loss.item(), abs=1e-9)
    torch.testing.assert_close(weights(trained), weights(model), atol=1e-7, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_accumulation_has_the_gradient_of_the_whole_batch(shape, tiny):
    model = SHAPES[shape](torch.float64)
    whole, a = run(tiny, model=model, steps=1, warmup=0)
    parts, b = run(tiny, model=model, steps=1, warmup=0, accumulation=4)
    uneven, c = run(tiny, model=model, steps=1, warmup=0, accumulation=3)
    for row in (b[0], c[0]):
        for key in a[0].keys() - {
            "accuracy"
        }:  # before the first step all margins are ties, up to rounding
            assert row[key] == pytest.approx(a[0][key], rel=1e-5, abs=1e-7), key
    torch.testing.assert_close(weights(whole), weights(parts), atol=1e-6, rtol=0)
    torch.testing.assert_close(weights(whole), weights(uneven), atol=1e-6, rtol=0)


def test_every_row_is_used_once_an_epoch_in_an_order_that_seed_and_epoch_decide():
    config = TrainConfig(batch_size=8, steps=10)
    seen = torch.cat(
        [pick_rows(step, 20, config) for step in range(5)]
    )  # 40 draws = two epochs of 20
    assert sorted(seen[:20].tolist()) == sorted(seen[20:].tolist()) == list(range(20))
    assert seen[:20].tolist() != seen[20:].tolist()
    assert torch.equal(pick_rows(3, 20, config), pick_rows(3, 20, config))
    assert (
        len(pick_rows(0, 3, config)) == 8
    )  # fewer rows than a batch: more than an epoch in one step


def test_learning_rate_rises_and_falls():
    config = TrainConfig(learning_rate=1.0, steps=110, warmup=10, decay="linear")
    rates = [learning_rate(s, config) for s in range(110)]
    assert rates[0] == pytest.approx(1 / 11)
    assert rates[10] == 1.0 == max(rates)
    assert rates[60] == pytest.approx(0.5)
    assert all(b < a for a, b in itertools.pairwise(rates[10:]))
    cosine = TrainConfig(learning_rate=1.0, steps=110, warmup=10, decay="cosine")
    assert learning_rate(60, cosine) == pytest.approx(0.5)
    constant = TrainConfig(learning_rate=1.0, steps=110, warmup=0, decay="constant")
    assert {learning_rate(s, constant) for s in range(110)} == {1.0}


def test_score_examples_keeps_the_order_and_makes_no_gradient(tiny):
    model, tokenizer = tiny
    examples = [e for pair in encode_rows(tokenizer, ROWS)[0] for e in pair]
    scores = score_examples(Scorer(model), examples, 0, batch_size=7)
    assert not scores.requires_grad
    assert len({len(e.ids) for e in examples}) > 5
    for i in (0, 5, 77):
        alone = score_examples(Scorer(model), [examples[i]], 0)
        torch.testing.assert_close(scores[i], alone[0], rtol=1e-6, atol=1e-5)


def test_another_reference_is_used_and_stays_as_it_is(tiny):
    other = run(tiny)[0]
    before = weights(other).clone()
    model = copy.deepcopy(tiny[0])
    history = train(model, tiny[1], ROWS, TrainConfig(**FAST), reference=other, progress=False)
    assert abs(history[0]["margin"]) > 1e-3
    assert torch.equal(before, weights(other))


def test_dropout_is_off_even_if_the_model_has_it(tiny):
    model = SHAPES["gpt2"]()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.3
    model.train()
    history = train(model, tiny[1], ROWS, TrainConfig(**FAST, live_reference=True), progress=False)
    assert history[0]["loss"] == float(torch.tensor(2.0).log())


def test_lora_trains_few_weights_and_gives_back_a_plain_model(tiny, tmp_path):
    model = copy.deepcopy(tiny[0])
    config = TrainConfig(
        **FAST | {"lora_rank": 4, "learning_rate": 3e-3, "steps": 8, "batch_size": 64}
    )  # all rows at each step
    history = train(model, tiny[1], ROWS, config, tmp_path, progress=False)
    assert history[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert history[-1]["loss"] < history[0]["loss"]
    from dpo_from_scratch.models import load_model

    saved, _ = load_model(str(tmp_path / "model"))
    assert not any("lora" in name for name, _ in saved.named_parameters())
    examples = [pair[0] for pair in encode_rows(tiny[1], ROWS)[0]]
    before, after = (score_examples(Scorer(m), examples, 0) for m in (tiny[0], saved))
    assert (before - after).abs().max() > 0.01


def test_sft_needs_texts_and_lowers_their_loss(tiny):
    rows = [{"prompt": r["prompt"], "completion": r["chosen"]} for r in ROWS[:8]]
    _, history = run(tiny, rows=rows, loss="sft", steps=12, learning_rate=3e-3)
    assert history[0]["loss"] == pytest.approx(-history[0]["logp"])
    assert history[-1]["loss"] < history[0]["loss"] - 0.5
    with pytest.raises(DataError, match="needs rows of kind 'texts'"):
        run(tiny, loss="sft")
    with pytest.raises(DataError, match="needs rows of kind 'pairs'"):
        run(tiny, rows=rows)


def test_a_run_writes_its_configuration_metrics_and_model(tiny, tmp_path):
    model, tokenizer = copy.deepcopy(tiny[0]), tiny[1]
    seen = []
    history = train(
        model,
        tokenizer,
        ROWS,
        TrainConfig(**FAST),
        tmp_path / "run",
        on_step=lambda s, row: seen.append(s),
        progress=False,
    )
    written = [
        json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    ]
    assert written == history
    assert seen == [1, 2, 3, 4]
    expected = {
        "step",
        "loss",
        "accuracy",
        "margin",
        "chosen_reward",
        "rejected_reward",
        "chosen_logp",
        "rejected_logp",
        "chosen_length",
        "rejected_length",
        "eos",
        "scored",
        "grad_norm",
        "learning_rate",
    }
    assert set(history[0]) == expected
    assert json.loads((tmp_path / "run" / "config.json").read_text())["beta"] == 0.6
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()
    with pytest.raises(DataError, match="can't write a run"):
        train(model, tokenizer, ROWS, TrainConfig(**FAST), "/proc/nowhere", progress=False)


@pytest.mark.parametrize(
    "wrong", [{"loss": "ppo"}, {"steps": 0}, {"decay": "exponential"}, {"learning_rate": -1.0}]
)
def test_configurations_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TrainConfig(**wrong)


def test_presets_are_configurations():
    for preset in PRESETS.values():
        TrainConfig(**preset)


def test_what_could_not_be_saved_stops_before_the_first_step(tiny, tmp_path):
    (tmp_path / "run" / "model").mkdir(parents=True)
    (tmp_path / "run" / "model" / "thesis.txt").write_text("mine")
    steps, rows = [], [{"prompt": "film ?", "chosen": "good .", "rejected": "bad ."}] * 2
    with pytest.raises(ValueError, match="nobody can tell whose model is"):
        train(
            *(copy.deepcopy(tiny[0]).requires_grad_(True), tiny[1], rows),
            TrainConfig(**PRESETS["tiny"] | {"steps": 1, "batch_size": 2}),
            run_folder=tmp_path / "run",
            on_step=lambda *step: steps.append(step),
            progress=False,
        )
    assert steps == []
    assert (tmp_path / "run" / "model" / "thesis.txt").read_text() == "mine"


def test_a_limit_above_the_context_is_the_context(tiny):
    row = {"prompt": "good " * 80, "chosen": "good .", "rejected": "bad ."}
    config = TrainConfig(**PRESETS["tiny"] | {"steps": 1, "batch_size": 2, "max_length": 512})
    model = copy.deepcopy(tiny[0]).requires_grad_(True)
    assert len(train(model, tiny[1], [row, row], config, progress=False)) == 1
