"""The doctor against code that is not ours: three scripts, each healthy and with each bug."""

import copy
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from test_gotchas import tokenizer_that_adds

from dpo_from_scratch import doctor, world
from dpo_from_scratch.data import DataError, write_rows
from dpo_from_scratch.doctor import hooks
from dpo_from_scratch.losses import LOSSES
from dpo_from_scratch.models import Scorer, frozen_copy, pad_id
from dpo_from_scratch.tokens import collate, encode, encode_rows
from dpo_from_scratch.training import PRESETS, TrainConfig
from dpo_from_scratch.training.batches import counters
from dpo_from_scratch.world.tiny import new_tiny_model

PAIRS = world.make_pairs(8, seed=31)
CASES = [(script, bug) for script, bugs in hooks.BUGS.items() for bug in (None, *bugs)]


def problems(findings):
    return [f.code for f in findings if f.level == "problem"]


def named(findings):
    """Problems, and a prompt that is scored: where both sides score it alike, that is a note."""
    return [f.code for f in findings if f.level == "problem" or f.code == "prompt_scored"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("script", "bug"), CASES, ids=lambda x: str(x))
def test_the_probe_names_every_bug_of_every_script_and_nothing_else(script, bug, tiny, tmp_path):
    if script == "trl_script.py" and find_spec("trl") is None:
        pytest.skip("make trl installs TRL")
    model, tokenizer = copy.deepcopy(tiny[0]).requires_grad_(True), tiny[1]
    names = hooks.load_script(script, bug)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    connected = hooks.HOOKS[script](names, model, tokenizer, PAIRS, tmp_path)
    found = doctor.check(pairs=PAIRS, tokenizer=tokenizer, **connected)
    assert named(found) == ([hooks.BUGS[script][bug]["code"]] if bug else [])
    after = connected["policy"].state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before), "the probe puts the weights back"


def test_a_patch_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="0 times in the script"):
        hooks.load_script("plain_loop.py", None, [["not in it", "x"]])


def test_a_model_that_no_pair_can_be_given_to_is_told_with_the_reason(tiny):
    tokenizer = copy.deepcopy(tiny[1])
    tokenizer.chat_template = "{{ raise_exception('no turns here') }}"
    sides = ("prompt", "chosen", "rejected")
    chats = [{k: [{"role": "user", "content": row[k]}] for k in sides} for row in PAIRS]
    with pytest.raises(DataError, match=r"two pairs or more .*no turns here"):
        doctor.check_ours(tiny[0], tiny[0], tokenizer, chats, TrainConfig())
    huge = copy.deepcopy(tiny[0])
    huge.get_input_embeddings().weight.data.fill_(3e38)  # finite, and what comes of it is not
    for models in ((huge, tiny[0]), (tiny[0], huge)):
        with pytest.raises(DataError, match=r"gives response 1 of 6 .* nan: its weights"):
            doctor.check_ours(*models, tiny[1], PAIRS, TrainConfig())


def ours(model, tokenizer, pad_with=None):
    def batch(pairs):
        examples, _ = encode_rows(tokenizer, pairs)
        return collate(
            [e for side in zip(*examples, strict=True) for e in side], pad_with or pad_id(tokenizer)
        )

    return batch, lambda m, b: Scorer(m)(**b).chunk(2)


def test_our_own_functions_are_healthy_with_another_model_loss_and_padding(tiny):
    _, tokenizer = tiny
    policy = new_tiny_model(tokenizer, 1, 32).eval()
    for loss in [
        name for name, row in LOSSES.items() if row.needs == "pairs" and name != "discopop"
    ]:  # that one starts uphill
        config = TrainConfig(**PRESETS["tiny"] | {"loss": loss})
        assert (
            problems(doctor.check_ours(policy, frozen_copy(policy), tokenizer, PAIRS, config)) == []
        )
    twice = {"loss": "ipo", "beta": 0.6, "loss_options": "tau=0.3"}  # a beta that IPO doesn't read
    config = TrainConfig(**PRESETS["tiny"] | twice)
    assert problems(doctor.check_ours(policy, frozen_copy(policy), tokenizer, PAIRS, config)) == []
    batch, score = ours(policy, tokenizer, pad_with=tokenizer.eos_token_id)
    found = doctor.check(score, batch, policy, frozen_copy(policy), PAIRS, tokenizer)
    assert problems(found) == []


def test_other_causes_are_named_too(tiny):
    policy, tokenizer = tiny
    batch, score = ours(policy, tokenizer)
    other = new_tiny_model(tokenizer).eval()
    assert problems(doctor.check(score, batch, policy, other, PAIRS, tokenizer)) == [
        "reference_differs"
    ]

    def negative(m, b):
        return [-x for x in score(m, b)]

    assert "weights" in problems(
        doctor.check(negative, batch, policy, frozen_copy(policy), PAIRS, tokenizer)
    )

    def falling(c, r, rc, rr):
        return torch.nn.functional.softplus(c - r - rc + rr)

    assert problems(
        doctor.check(score, batch, policy, frozen_copy(policy), PAIRS, tokenizer, falling)
    ) == ["wrong_direction"]
    no_anchor = doctor.check(
        score, batch, policy, frozen_copy(policy), PAIRS, tokenizer, lambda c, r, *_: -(c - r)
    )
    assert problems(no_anchor) == []
    assert "no_reference" in [f.code for f in no_anchor]
    still = doctor.check(
        score, batch, policy, frozen_copy(policy), PAIRS, tokenizer, step=lambda pairs: None
    )
    assert problems(still) == ["no_gradient"]


def test_a_beginning_of_text_inside_a_row_is_seen(tiny):
    tokenizer = tokenizer_that_adds("<bos> $A", "<bos>")
    policy = new_tiny_model(tokenizer).eval()

    def batch(pairs):
        rows = [
            e
            for key in ("chosen", "rejected")
            for p in pairs
            for e in encode(tokenizer, p["prompt"], p[key])
        ]
        bos = tokenizer.bos_token_id
        rows = [
            type(e)(
                (*e.ids[: e.prompt_length], bos, *e.ids[e.prompt_length :]), e.prompt_length + 1
            )
            for e in rows
        ]
        return collate(rows, pad_id(tokenizer))

    found = doctor.check(
        lambda m, b: Scorer(m)(**b).chunk(2), batch, policy, frozen_copy(policy), PAIRS, tokenizer
    )
    assert problems(found) == ["bos_inside"]


def test_a_mean_on_purpose_and_a_shared_frozen_base_are_no_alarms(tiny):
    policy, tokenizer = copy.deepcopy(tiny[0]).requires_grad_(True), tiny[1]
    simpo = [
        [
            "return (logps * mask).sum(-1).chunk(2)",
            "return ((logps * mask).sum(-1) / mask.sum(-1)).chunk(2)",
        ],
        [
            "BETA * ((chosen - ref_chosen) - (rejected - ref_rejected))",
            "10.0 * (chosen - rejected) - 0.5",
        ],
    ]
    names = hooks.load_script("plain_loop.py", None, simpo)
    connected = hooks.HOOKS["plain_loop.py"](names, policy, tokenizer, PAIRS, None)
    found = doctor.check(pairs=PAIRS, tokenizer=tokenizer, **connected)
    assert problems(found) == []
    assert {"mean", "no_reference"} <= {f.code for f in found}
    batch, score = ours(policy, tokenizer)
    policy.requires_grad_(False)
    policy.transformer.h[0].mlp.c_fc.weight.requires_grad_(True)

    class Base(torch.nn.Module):  # as LoRA's: the policy with what is trained taken away
        def __init__(self):
            super().__init__()
            self.kept = [policy.transformer.h[0].mlp.c_fc.weight.detach().clone()]

        def forward(self, **inputs):
            weight = policy.transformer.h[0].mlp.c_fc.weight
            now, weight.data = weight.data, self.kept[0]
            out = policy(**inputs)
            weight.data = now
            return out

    assert problems(doctor.check(score, batch, policy, Base(), PAIRS, tokenizer)) == []


def test_turns_that_begin_and_end_with_special_tokens_are_healthy():
    tokenizer = tokenizer_that_adds("<bos> $A", "<bos>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<end>"]})
    policy = new_tiny_model(tokenizer).eval()
    bos, end = tokenizer.convert_tokens_to_ids(["<bos>", "<end>"])

    # <bos> user ... <end> <bos> assistant ... <end>, a turn's end being no end of text
    def batch(pairs):
        rows = []
        for key in ("chosen", "rejected"):
            for p in pairs:
                (e,) = encode(tokenizer, p["prompt"], p[key])
                head = (
                    *e.ids[: e.prompt_length],
                    end,
                    bos,
                    *tokenizer("film :", add_special_tokens=False)["input_ids"],
                )
                rows.append(type(e)((*head, *e.ids[e.prompt_length : -1], end), len(head)))
        return collate(rows, pad_id(tokenizer))

    found = doctor.check(
        lambda m, b: Scorer(m)(**b).chunk(2), batch, policy, frozen_copy(policy), PAIRS, tokenizer
    )
    assert problems(found) == []


def test_a_bf16_model_with_a_float32_log_softmax_is_healthy(tiny):
    policy, tokenizer = copy.deepcopy(tiny[0]).to(torch.bfloat16), tiny[1]
    batch, score = ours(policy, tokenizer)
    assert "precision" not in problems(
        doctor.check(score, batch, policy, frozen_copy(policy), PAIRS, tokenizer)
    )


def test_a_reference_in_training_mode_is_named(tiny):
    policy, tokenizer = tiny
    batch, score = ours(policy, tokenizer)
    reference = copy.deepcopy(policy).train()
    for part in reference.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.1
    assert problems(doctor.check(score, batch, policy, reference, PAIRS, tokenizer)) == ["dropout"]


def test_scores_that_hide_their_logits_and_single_pairs_are_refused_in_a_sentence(tiny):
    policy, tokenizer = tiny
    batch, score = ours(policy, tokenizer)

    def without(m, b):
        with torch.no_grad():
            return score(m, b)

    with pytest.raises(DataError, match="can't look inside"):
        doctor.check(without, batch, policy, frozen_copy(policy), PAIRS, tokenizer)
    with pytest.raises(ValueError, match="two pairs"):
        doctor.check(score, batch, policy, frozen_copy(policy), PAIRS[:1], tokenizer)
    assert not policy._forward_hooks, "the hook is removed even after an error"


def test_data_are_read_as_causes(tmp_path):
    rows = world.make_pairs(60, lambda p, a, b: float(len(a) > len(b)), seed=3)
    turned = {
        "prompt": rows[0]["prompt"],
        "chosen": rows[0]["rejected"],
        "rejected": rows[0]["chosen"],
    }
    write_rows(tmp_path / "pairs.jsonl", [*rows, rows[1], turned])
    assert {f.code for f in doctor.check_data(tmp_path / "pairs.jsonl")} == {
        "length_bias",
        "duplicates",
        "contradictions",
    }
    write_rows(tmp_path / "bad.jsonl", [*rows, {"prompt": "x"}])
    assert problems(doctor.check_data(tmp_path / "bad.jsonl")) == ["bad_rows"]
    write_rows(tmp_path / "good.jsonl", world.make_pairs(20, seed=4))
    assert doctor.check_data(tmp_path / "good.jsonl") == []


def test_the_counters_count(tiny):
    _, tokenizer = tiny
    examples = encode(
        tokenizer,
        "film : how was the plot ?",
        "the plot was good .",
        "the plot was dull . so there .",
    )
    batch = collate(examples, pad_id(tokenizer))
    found = counters(batch, [tokenizer.eos_token_id], 1)
    assert found["eos"].tolist() == [1.0]
    shares = [e.response_length / len(e.ids) for e in examples]
    assert found["scored"].item() == pytest.approx(np.mean(shares))
