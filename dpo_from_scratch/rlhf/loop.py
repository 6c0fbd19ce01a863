"""PPO's loop: sample, score, add up the rewards, estimate advantages, take a few clipped steps."""

import math
import reprlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..data import DataError
from ..judges import PATIENCE
from ..logprobs import token_logps
from ..models import device_of, pad_id, positions
from ..others import guarded
from ..sampling import Sample, sample
from ..tokens import collate
from .parts import (
    advantages_and_returns,
    masked_mean,
    policy_loss,
    token_rewards,
    value_loss,
    whiten,
)
from .reward_model import Head


@dataclass
class PPOConfig:
    """The knobs of PPO. DPO has three: beta, learning rate, steps."""

    kl_coef: float = 0.6  # the beta of the objective
    learning_rate: float = 5e-4  # falls linearly to zero, as the value model's does
    value_learning_rate: float = 1e-3
    iterations: int = 40
    samples: int = 256  # texts sampled per iteration
    epochs: int = 2  # passes over the samples of an iteration
    minibatch: int = 64
    clip: float = 0.2
    value_clip: float = 2.0  # in units of reward
    gamma: float = 1.0
    lam: float = 0.95
    max_grad_norm: float = 1.0
    seed: int = 0

    def __post_init__(self):
        counts = min(self.iterations, self.samples, self.epochs, self.minibatch)
        if counts < 1 or self.samples < self.minibatch:
            many = "and a minibatch no more than the samples"
            raise ValueError(f"iterations, samples, epochs, minibatch must be 1 or more, {many}")
        rates = self.kl_coef >= 0 and self.learning_rate >= 0 and math.isfinite(self.learning_rate)
        if not (rates and self.clip > 0):
            clip = "and clip must be positive"
            raise ValueError(f"kl_coef and learning_rate must not be negative, {clip}")
        limits = min(self.value_clip, self.max_grad_norm)
        if not (0 <= self.value_learning_rate < math.inf and limits > 0):
            raise ValueError("value_learning_rate must not be negative; the limits are positive")
        if not (0 <= self.gamma <= 1 and 0 <= self.lam <= 1):
            raise ValueError(f"gamma and lam are from 0 to 1, not {self.gamma} and {self.lam}")


@dataclass
class Rollout:
    """The samples of one iteration, and what was true when they were drawn."""

    batch: dict[str, Tensor]
    mask: Tensor  # (B, T-1), as all that follow but the scores
    logps: Tensor
    ref_logps: Tensor
    values: Tensor
    scores: Tensor  # (B,)


def ppo(
    policy: nn.Module,
    reference: nn.Module,
    score: Callable[[list[Sample]], Tensor],
    tokenizer,
    prompts: list[str],
    config: PPOConfig,
    progress: bool = True,
) -> list[dict]:
    """Train `policy` in place to get a high `score` and stay near `reference`, on its device.

    `score` maps N samples to N finite numbers, else DataError. Every iteration: sample, score, add
    up the rewards, estimate advantages with the value model, and take a few clipped steps. A text
    that was cut off at the context's end is scored as it is. Returns one row of metrics per
    iteration.
    """
    rng = np.random.default_rng(config.seed)
    torch.manual_seed(config.seed)
    # no dropout: the policy that is trained is the policy that was sampled
    policy, reference, value = policy.eval(), reference.eval(), Head(reference).eval()
    rates = {policy: config.learning_rate, value: config.value_learning_rate}
    optimizers = [torch.optim.Adam(m.parameters(), lr=rate, eps=1e-5) for m, rate in rates.items()]
    history = []
    for iteration in tqdm(range(config.iterations), desc="ppo", disable=not progress, leave=False):
        asked = [prompts[i] for i in rng.integers(len(prompts), size=config.samples)]
        seed = config.seed * 100_003 + iteration
        old = roll_out(policy, reference, value, score, tokenizer, asked, seed)
        rewards = token_rewards(old.logps, old.ref_logps, old.scores, old.mask, config.kl_coef)
        advantages, returns = advantages_and_returns(
            rewards, old.values, old.mask, config.gamma, config.lam
        )
        advantages = whiten(advantages, old.mask)
        for optimizer, rate in zip(optimizers, rates.values(), strict=True):
            optimizer.param_groups[0]["lr"] = rate * (1 - iteration / config.iterations)
        steps = [
            ppo_step(policy, value, optimizers, old, advantages, returns, part, config)
            for part in minibatches(config, rng, device_of(policy))
        ]
        row = {"iteration": iteration + 1, "score": old.scores.mean().item()}
        row["kl"] = ((old.logps - old.ref_logps) * old.mask).sum(-1).mean().item()
        row["objective"] = rewards.sum(-1).mean().item()
        row["length"] = old.mask.sum(-1).float().mean().item()
        row["clipped"] = float(np.mean([clipped for clipped, _ in steps]))
        history.append(row | {"value_loss": steps[-1][1]})
    return history


def roll_out(policy, reference, value: Head, score, tokenizer, asked: list, seed: int) -> Rollout:
    """One response to each prompt, scored by the judge and by the three models in memory."""
    drawn = sample(policy, tokenizer, asked, seed=seed, stream="batch")  # as the records have it
    scores = checked(score, drawn, device_of(policy))
    batch = collate([s.example for s in drawn], pad_id(tokenizer), device=device_of(policy))
    with torch.no_grad():
        logps, ref_logps = (logps_of(m, batch) for m in (policy, reference))
        values, mask = value(**batch)[:, :-1], batch["response_mask"][:, 1:]
    return Rollout(batch, mask, logps, ref_logps, values, scores)


def checked(
    score: Callable[[list[Sample]], Tensor], drawn: list[Sample], device: torch.device
) -> Tensor:
    """The scores of N samples, (N,) float32 on `device`; DataError where one is no finite number.

    An advantage that is nan would make every weight nan.
    """
    ask = lambda: torch.as_tensor(score(drawn), device=device).detach().float()
    scores = guarded("the score", ask, seconds=PATIENCE)
    need = f"it must give {len(drawn)} finite numbers, one for each sample"
    if scores.shape != (len(drawn),):
        raise DataError(f"the score gave a tensor of shape {tuple(scores.shape)}: {need}")
    wrong = (~scores.isfinite()).nonzero()
    if len(wrong):
        text = reprlib.repr(drawn[wrong[0]].text)
        raise DataError(f"the score gave {float(scores[wrong[0]])} for the text {text}: {need}")
    return scores


def ppo_step(
    policy, value: Head, optimizers, old: Rollout, advantages, returns, part: Tensor, config
) -> tuple[float, float]:
    """A clipped step of the policy and one of the value model, on the rows `part` of a rollout.

    Returns the share of tokens whose ratio was outside the clip, and the value loss.
    """
    rows, mask = {key: tensor[part] for key, tensor in old.batch.items()}, old.mask[part]
    logps, values = logps_of(policy, rows), value(**rows)[:, :-1]
    losses = (
        policy_loss(logps, old.logps[part], advantages[part], mask, config.clip),
        value_loss(values, old.values[part], returns[part], mask, config.value_clip),
    )
    for loss, optimizer, model in zip(losses, optimizers, (policy, value), strict=True):
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
        optimizer.step()
    ratio = ((logps - old.logps[part]).detach() * mask).exp()
    outside = masked_mean(((ratio - 1).abs() > config.clip).float(), mask)
    return outside.item(), losses[1].item()


def logps_of(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """log pi(y_t) of the tokens 1 ... T-1, (B, T-1)."""
    ids, attention = batch["input_ids"], batch["attention_mask"]
    where = positions(attention)
    out = model(input_ids=ids, attention_mask=attention, position_ids=where, use_cache=False)
    return token_logps(out.logits, ids)


def minibatches(config: PPOConfig, rng: np.random.Generator, device="cpu") -> list[Tensor]:
    """Row numbers of each minibatch, `epochs` times over all samples in a new order."""
    size, orders = config.minibatch, [rng.permutation(config.samples) for _ in range(config.epochs)]
    starts = range(0, config.samples, size)
    return [torch.tensor(o[i : i + size], device=device) for o in orders for i in starts]
