"""Nothing makes a tensor on a default device: on the meta device, under a watch, on a GPU if
there is one.
"""

import sys
from pathlib import Path

import pytest
import torch
from torch.overrides import TorchFunctionMode

import dpo_from_scratch
from dpo_from_scratch import rlhf, world
from dpo_from_scratch.cli.options import load_here, load_reference
from dpo_from_scratch.losses import LOSSES, kto_kl
from dpo_from_scratch.models import load_model, pad_id
from dpo_from_scratch.processes import group
from dpo_from_scratch.sampling import sample
from dpo_from_scratch.tokens import encode_rows
from dpo_from_scratch.training import PRESETS, TrainConfig, train

PACKAGE = str(Path(dpo_from_scratch.__file__).parent)
NAMES = "arange as_tensor empty eye full linspace ones rand randint randn randperm tensor zeros"
FACTORIES = {getattr(torch, name) for name in NAMES.split()}
TEXTS = [row["prompt"] for row in world.make_pairs(4, seed=1)]


def meta(*shape, dtype=torch.float32):
    return torch.zeros(shape, dtype=dtype, device="meta")


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_runs_on_the_meta_device(name):
    loss, inputs = LOSSES[name], set(LOSSES[name].inputs)
    logps = [meta(4, dtype=torch.float32)] * (2 if loss.needs == "pairs" else 1)
    logps += logps if "reference" in inputs else []
    if loss.needs == "labels":
        logps.append(meta(4, dtype=torch.bool))
    named = {"kl": meta(), "delta": meta(), "win_probability": meta(4)}
    given = {key: value for key, value in named.items() if key in inputs}
    if "lengths" in inputs:
        given |= dict.fromkeys(("chosen_lengths", "rejected_lengths"), meta(4))
    found = loss.fn(*logps, **given)
    assert found.is_meta
    assert found.shape == (4,)


def test_the_pure_functions_of_rlhf_run_on_the_meta_device():
    logps, mask, scores = meta(3, 5), meta(3, 5, dtype=torch.bool), meta(3)
    rewards = rlhf.token_rewards(logps, logps, scores, mask, 0.1)
    advantages, returns = rlhf.advantages_and_returns(rewards, logps, mask, 1.0, 0.95)
    found = [rewards, advantages, returns, rlhf.whiten(advantages, mask)]
    found += [rlhf.policy_loss(logps, logps, advantages, mask, 0.2)]
    found += [rlhf.value_loss(logps, logps, returns, mask, 0.2), rlhf.reward_loss(scores, scores)]
    found += [rlhf.last_scores(logps, meta(3, 5, dtype=torch.int64)), kto_kl(scores)]
    assert all(tensor.is_meta for tensor in found)


class Watch(TorchFunctionMode):
    """Notes every factory call of the package that names no device."""

    def __init__(self):
        super().__init__()
        self.seen: list[str] = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        frame = sys._getframe(1)
        here = frame.f_code.co_filename
        if function in FACTORIES and here.startswith(PACKAGE) and "device" not in (kwargs or {}):
            self.seen.append(f"{here}:{frame.f_lineno}")
        return function(*args, **(kwargs or {}))


def everything() -> None:
    """A little of each: the reward model, its scores, PPO, samples, and training of three kinds."""
    model, tokenizer = load_model("tiny")
    rows = world.make_pairs(16, seed=2)
    short = {"steps": 2, "batch_size": 4, "warmup": 1}
    judge, _ = rlhf.train_reward_model(
        model, tokenizer, rows, TrainConfig(**PRESETS["tiny"] | short)
    )
    score = lambda drawn: rlhf.score_texts(judge, [s.example for s in drawn], pad_id(tokenizer))
    score(sample(model, tokenizer, TEXTS, seed=1))
    config = rlhf.PPOConfig(iterations=2, samples=8, minibatch=4, epochs=1)
    policy, reference = (load_model("tiny")[0].to(next(model.parameters()).device) for _ in "ab")
    rlhf.ppo(policy, reference, score, tokenizer, TEXTS, config, progress=False)
    for loss in ("dpo", "kto", "bco_pair", "dno", "ipo"):
        settings = short | {"loss": loss, "live_reference": loss == "ipo"}
        train(model, tokenizer, rows, TrainConfig(**PRESETS["tiny"] | settings), progress=False)
    encode_rows(tokenizer, rows)


def test_no_factory_call_leaves_the_device_to_chance():
    with Watch() as watch:
        everything()
        probe = torch.zeros(1)  # not the package's
    assert probe.device.type == "cpu"
    assert watch.seen == []


def test_the_watch_sees_a_call_without_a_device(monkeypatch):
    code = compile(
        "import torch\nx = torch.zeros(2)\ny = torch.zeros(2, device='cpu')", PACKAGE, "exec"
    )
    with Watch() as watch:
        exec(code, {})
    assert watch.seen == [f"{PACKAGE}:2"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_two_iterations_of_ppo_on_a_gpu():
    policy, tokenizer = load_model("tiny")
    policy, reference = policy.cuda(), load_model("tiny")[0].cuda()
    score = lambda drawn: torch.tensor([world.reward(s.prompt, s.text) for s in drawn])
    config = rlhf.PPOConfig(iterations=2, samples=8, minibatch=4)
    rows = rlhf.ppo(policy, reference, score, tokenizer, TEXTS, config, progress=False)
    assert len(rows) == 2


def test_commands_compute_where_training_would(monkeypatch):
    """On a GPU if there is one; here a device without numbers, which no text can come from."""
    assert group.device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    monkeypatch.setattr(group, "device", lambda: torch.device("meta"))
    model, tokenizer = load_here("tiny")
    assert {p.device.type for p in model.parameters()} == {"meta"}
    assert {p.device.type for p in load_reference("tiny", tokenizer).parameters()} == {"meta"}


@pytest.mark.parametrize(("value", "kind"), [("true", "cpu"), ("1", "cpu"), ("", "cuda")])
def test_a_gpu_is_left_alone_where_accelerate_is_told_so(value, kind, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("ACCELERATE_USE_CPU", value)
    assert group.device().type == kind
