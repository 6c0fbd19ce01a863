"""Reward model and PPO: each part by hand, against a slow way of saying the same, and in the
limits that must hold.
"""

import math

import numpy as np
import pytest
import torch
from conftest import SHAPES

from dpo_from_scratch import rlhf, world
from dpo_from_scratch.data import data_path, read_rows
from dpo_from_scratch.models import frozen_copy, load_model, pad_id
from dpo_from_scratch.rlhf import Head, PPOConfig
from dpo_from_scratch.tokens import Example, collate, encode_rows
from dpo_from_scratch.training import PRESETS, TrainConfig

MASK = torch.tensor([[False, True, True, True], [True, True, False, False]])


# ---------------------------------------------------------------- the reward model


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, 0.587139), ({"centering": 0.01}, 0.610672), ({"margin": 1.0}, 1.122879)],
)
def test_reward_loss_by_hand(options, expected):
    chosen, rejected = torch.tensor([1.0, 0.2, -0.5]), torch.tensor([0.5, 0.7, -1.5])
    assert rlhf.reward_loss(chosen, rejected, **options).mean().item() == pytest.approx(
        expected, abs=1e-6
    )


def test_reward_loss_sees_differences_only_and_its_gradient_is_right():
    chosen, rejected = (torch.randn(4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    torch.testing.assert_close(
        rlhf.reward_loss(chosen + 7, rejected + 7), rlhf.reward_loss(chosen, rejected)
    )
    assert torch.autograd.gradcheck(
        lambda a, b: rlhf.reward_loss(a, b, margin=0.3, centering=0.1), (chosen, rejected)
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_a_texts_score_does_not_depend_on_its_padding(shape):
    model = SHAPES[shape]() if callable(SHAPES[shape]) else SHAPES[shape]
    judge = Head(model).double()
    torch.nn.init.normal_(judge.out.weight)
    rows = [Example((5, 6, 7, 8, 2), 2), Example((5, 9, 2), 2)]
    alone = torch.cat([last(judge, [row], "right") for row in rows])
    for side in ("right", "left"):
        torch.testing.assert_close(last(judge, rows, side), alone, rtol=1e-6, atol=1e-6)


def last(judge, rows, side):
    batch = collate(rows, 0, side)
    return rlhf.last_scores(judge(**batch), batch["attention_mask"])


def test_a_new_judge_gives_zero_and_leaves_the_model_alone():
    model, tokenizer = load_model("tiny")
    before = [p.clone() for p in model.parameters()]
    judge, history = rlhf.train_reward_model(
        model,
        tokenizer,
        world.make_pairs(64, seed=3),
        TrainConfig(**PRESETS["tiny"] | {"steps": 2}),
    )
    assert history[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert history[1]["loss"] != history[0]["loss"]
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert not any(p.requires_grad for p in judge.parameters())


# ---------------------------------------------------------------- the parts of PPO


def test_token_rewards_add_up_to_score_minus_kl():
    logps, ref = torch.randn(2, 4), torch.randn(2, 4)
    scores = torch.tensor([3.0, -1.0])
    rewards = rlhf.token_rewards(logps, ref, scores, MASK, kl_coef=0.5)
    rho = ((logps - ref) * MASK).sum(-1)
    torch.testing.assert_close(rewards.sum(-1), scores - 0.5 * rho)
    assert rewards[~MASK].eq(0).all()
    assert rewards[0, 3] == pytest.approx((3.0 - 0.5 * (logps - ref)[0, 3]).item())
    assert rewards[1, 1] == pytest.approx((-1.0 - 0.5 * (logps - ref)[1, 1]).item())


def test_advantages_by_hand():
    rewards, values = torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[0.5, 1.5, 1.0]])
    mask = torch.tensor([[True, True, True]])
    deltas = [0 + 0.9 * 1.5 - 0.5, 1 + 0.9 * 1.0 - 1.5, 2 - 1.0]
    third = deltas[2]
    second = deltas[1] + 0.9 * 0.8 * third
    first = deltas[0] + 0.9 * 0.8 * second
    advantages, returns = rlhf.advantages_and_returns(rewards, values, mask, gamma=0.9, lam=0.8)
    torch.testing.assert_close(advantages, torch.tensor([[first, second, third]]))
    torch.testing.assert_close(returns, advantages + values)


def test_with_lambda_one_the_returns_are_the_rewards_to_go_and_padding_is_ignored():
    rewards, values = torch.randn(2, 4) * MASK, torch.randn(2, 4)
    advantages, returns = rlhf.advantages_and_returns(rewards, values, MASK, gamma=1.0, lam=1.0)
    to_go = rewards.flip(-1).cumsum(-1).flip(-1) * MASK
    torch.testing.assert_close(returns, to_go)
    other = torch.where(MASK, values, 99.0)  # whatever the value model says about padding
    torch.testing.assert_close(
        rlhf.advantages_and_returns(rewards, other, MASK, 1.0, 1.0)[0], advantages
    )
    assert advantages[~MASK].eq(0).all()


def test_with_lambda_zero_the_advantage_is_the_surprise_of_one_step():
    rewards, values = torch.randn(2, 4) * MASK, torch.randn(2, 4) * MASK
    advantages, _ = rlhf.advantages_and_returns(rewards, values, MASK, gamma=1.0, lam=0.0)
    following = torch.cat([values[:, 1:], torch.zeros(2, 1)], -1)
    torch.testing.assert_close(advantages, (rewards + following - values) * MASK)


def test_whitening_takes_the_mean_away_over_marked_entries_only():
    x = torch.randn(2, 4) * 3 + 5
    white = rlhf.whiten(x, MASK)
    picked = white[MASK]
    assert picked.mean().item() == pytest.approx(0, abs=1e-6)
    assert picked.square().mean().item() == pytest.approx(1, abs=1e-4)
    assert white[~MASK].eq(0).all()
    order = x[MASK].argsort()
    assert (picked[order].diff() >= 0).all()


def test_policy_loss_by_hand():
    old, mask = torch.zeros(1, 4), torch.ones(1, 4, dtype=torch.bool)
    logps = torch.log(torch.tensor([[1.5, 1.5, 0.5, 0.5]])).requires_grad_()
    advantages = torch.tensor([[1.0, -1.0, 1.0, -1.0]])
    loss = rlhf.policy_loss(logps, old, advantages, mask, clip=0.2)
    assert loss.item() == pytest.approx((-1.2 + 1.5 - 0.5 + 0.8) / 4)
    loss.backward()
    torch.testing.assert_close(
        logps.grad, torch.tensor([[0.0, 1.5, -0.5, 0.0]]) / 4
    )  # clipped where the ratio went far enough


def test_at_the_first_step_the_policy_gradient_is_minus_the_advantage_and_nothing_is_clipped():
    logps = torch.randn(2, 4, requires_grad=True)
    advantages = torch.randn(2, 4)
    rlhf.policy_loss(logps, logps.detach(), advantages, MASK, 0.2).backward()
    torch.testing.assert_close(logps.grad, -advantages * MASK / MASK.sum())


def test_value_loss_by_hand():
    values, old, returns = (
        torch.tensor([[1.0, 3.0]]),
        torch.tensor([[0.0, 0.0]]),
        torch.tensor([[0.0, 4.0]]),
    )
    mask = torch.ones(1, 2, dtype=torch.bool)
    # the second value moved by 3 and is cut to 1: (1 - 4)^2 = 9 counts, not (3 - 4)^2; the first:
    # max(1, 0.25) = 1 at clip 0.5
    assert rlhf.value_loss(values, old, returns, mask, clip=1.0).item() == pytest.approx(
        0.5 * (1 + 9) / 2
    )
    assert rlhf.value_loss(values, old, returns, mask, clip=0.5).item() == pytest.approx(
        0.5 * (1 + 3.5**2) / 2
    )


# ---------------------------------------------------------------- the loop


@pytest.fixture(scope="module")
def short_run():
    policy, tokenizer = load_model("tiny")
    reference = frozen_copy(policy)
    config = PPOConfig(iterations=4, samples=64, minibatch=32, learning_rate=2e-3, kl_coef=0.05)
    rows = rlhf.ppo(
        policy,
        reference,
        lambda d: torch.tensor([float("thank you" in s.text) for s in d]),
        tokenizer,
        world.prompts("train"),
        config,
        progress=False,
    )
    return policy, reference, tokenizer, config, rows


def test_a_run_begins_at_the_reference_and_moves_towards_the_score(short_run):
    policy, reference, _, _, rows = short_run
    assert rows[0]["kl"] == 0
    assert rows[0]["objective"] == pytest.approx(rows[0]["score"], abs=1e-5)
    assert rows[-1]["kl"] > 0
    assert any(
        not torch.equal(a, b)
        for a, b in zip(policy.parameters(), reference.parameters(), strict=True)
    )
    assert all(math.isfinite(v) for row in rows for v in row.values())


def test_the_same_seed_gives_the_same_run(short_run):
    _, reference, tokenizer, config, rows = short_run
    again, _ = load_model("tiny")
    found = rlhf.ppo(
        again,
        reference,
        lambda d: torch.tensor([float("thank you" in s.text) for s in d]),
        tokenizer,
        world.prompts("train"),
        config,
        progress=False,
    )
    assert found == rows


@pytest.mark.slow
def test_ppo_learns_to_say_thank_you():
    policy, tokenizer = load_model("tiny")
    config = PPOConfig(iterations=15, samples=128, learning_rate=1e-3, kl_coef=0.05)
    rows = rlhf.ppo(
        policy,
        frozen_copy(policy),
        lambda d: torch.tensor([float("thank you" in s.text) for s in d]),
        tokenizer,
        world.prompts("train"),
        config,
        progress=False,
    )
    assert rows[0]["score"] < 0.4
    assert rows[-1]["score"] > 0.7


@pytest.mark.parametrize(
    "wrong",
    [
        {"iterations": 0},
        {"samples": 10},
        {"kl_coef": -1.0},
        {"learning_rate": math.nan},
        {"clip": 0.0},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        PPOConfig(**wrong)


def test_minibatches_cover_every_sample_in_every_epoch():
    config = PPOConfig(samples=10, minibatch=4, epochs=2)
    parts = rlhf.minibatches(config, np.random.default_rng(0))
    assert [len(p) for p in parts] == [4, 4, 2, 4, 4, 2]
    assert sorted(torch.cat(parts[:3]).tolist()) == list(range(10))


def test_scoring_in_parts_is_scoring_at_once():
    model, tokenizer = load_model("tiny")
    judge = Head(model)
    torch.nn.init.normal_(judge.out.weight)
    rows = read_rows(data_path("reviews_pairs_test.jsonl"))[0][:5]
    examples = [e for row in rows for e in encode_rows(tokenizer, [row])[0][0]]
    whole = rlhf.score_texts(judge, examples, pad_id(tokenizer))
    torch.testing.assert_close(
        rlhf.score_texts(judge, examples, pad_id(tokenizer), batch_size=3),
        whole,
        rtol=1e-4,
        atol=1e-4,
    )
