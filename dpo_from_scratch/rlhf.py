"""The road that DPO avoids: a reward model fitted to pairs, and PPO against it (arXiv 2203.02155, 1707.06347).

Four models are in memory: the policy, its frozen reference, the reward model, and a value model that guesses the reward to come.
Arrays of shape (B, T-1) belong to the tokens 1 ... T-1 of a batch; `mask` marks the response's tokens, end-of-text included.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid
from tqdm.auto import tqdm

from .logprobs import token_logps
from .models import pad_id, positions
from .sampling import Sample, sample
from .tokens import Example, collate, encode_rows
from .training import TrainConfig, learning_rate, pick_rows


# ---------------------------------------------------------------- the reward model
class Head(nn.Module):
    """A copy of a language model's body, and one number for each token instead of logits: a reward or a value model."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.body = copy.deepcopy(model.base_model).requires_grad_(True)
        self.out = nn.Linear(model.config.hidden_size, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, response_mask: Tensor | None = None) -> Tensor:
        """Numbers (B, T), one at each token, for a batch as `tokens.collate` makes it."""
        hidden = self.body(
            input_ids=input_ids, attention_mask=attention_mask, position_ids=positions(attention_mask), use_cache=False
        ).last_hidden_state
        return self.out(hidden).squeeze(-1)


def last_scores(numbers: Tensor, attention_mask: Tensor) -> Tensor:
    """The number (B,) at each row's last real token, on whichever side the row is padded: the score of the text."""
    last = (attention_mask * torch.arange(attention_mask.shape[1], device=attention_mask.device)).argmax(-1)
    return numbers.gather(1, last.unsqueeze(-1)).squeeze(-1)


def reward_loss(chosen_scores: Tensor, rejected_scores: Tensor, *, margin: float = 0.0, centering: float = 0.0) -> Tensor:
    """-log sigmoid(s_w - s_l - margin) + centering (s_w + s_l)^2, shape (B,): arXiv 2305.18290, eq. 2; margin: 2307.09288, eq. 2.

    The scores of a prompt are known up to a constant; `centering` keeps them near zero (0.01 in arXiv 2312.09244).
    """
    return -logsigmoid(chosen_scores - rejected_scores - margin) + centering * (chosen_scores + rejected_scores) ** 2


def train_reward_model(model: nn.Module, tokenizer, rows: list[dict], config: TrainConfig) -> tuple[Head, list[dict]]:
    """A reward model that starts from `model`'s body, fitted to pairs; of `config`: learning rate, steps, batch size, seed."""
    torch.manual_seed(config.seed)
    examples, _ = encode_rows(tokenizer, rows)
    judge, history = Head(model), []
    optimizer = torch.optim.AdamW(judge.parameters(), weight_decay=config.weight_decay)
    for step in range(config.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config)
        picked = [examples[i] for i in pick_rows(step, len(examples), config).tolist()]
        batch = collate([e for side in zip(*picked, strict=True) for e in side], pad_id(tokenizer))
        chosen, rejected = last_scores(judge(**batch), batch["attention_mask"]).chunk(2)
        loss = reward_loss(chosen, rejected).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(judge.parameters(), config.max_grad_norm)
        optimizer.step()
        history.append({"step": step + 1, "loss": loss.item(), "accuracy": (chosen > rejected).float().mean().item()})
    return judge.eval().requires_grad_(False), history


@torch.no_grad()
def score_texts(judge: Head, examples: list[Example], pad: int, batch_size: int = 256) -> Tensor:
    """The judge's scores (N,) of N examples."""
    parts = [collate(examples[i : i + batch_size], pad) for i in range(0, len(examples), batch_size)]
    return torch.cat([last_scores(judge(**part), part["attention_mask"]) for part in parts])


# ---------------------------------------------------------------- the parts of PPO
def token_rewards(logps: Tensor, ref_logps: Tensor, scores: Tensor, mask: Tensor, kl_coef: float) -> Tensor:
    """R_t = -kl_coef (log pi(y_t) - log pi_ref(y_t)), plus the text's score at its last token, (B, T-1): arXiv 1909.08593, eq. 2.

    Their sum over a row is score - kl_coef rho, so its mean is the objective of arXiv 2305.18290, eq. 3; no gradient through it.
    """
    rewards = -kl_coef * (logps - ref_logps) * mask
    last = (mask * torch.arange(mask.shape[1])).argmax(-1)
    return rewards.scatter_add(1, last.unsqueeze(-1), scores.unsqueeze(-1))


def advantages_and_returns(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation, both (B, T-1): arXiv 1506.02438, eq. 16.

    delta_t = R_t + gamma V_{t+1} - V_t, A_t = delta_t + gamma lam A_{t+1}, returns = A + V; after the last token V and A are 0.
    """
    advantages, following = torch.zeros_like(rewards), torch.zeros(len(rewards))
    values = values * mask
    for t in reversed(range(rewards.shape[1])):
        next_value = values[:, t + 1] if t + 1 < rewards.shape[1] else torch.zeros(len(rewards))
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        following = (delta + gamma * lam * following) * mask[:, t]
        advantages[:, t] = following
    return advantages, (advantages + values) * mask


def whiten(x: Tensor, mask: Tensor) -> Tensor:
    """x with mean 0 and variance 1 over the marked entries; the mean is taken away, not added back."""
    mean = masked_mean(x, mask)
    return (x - mean) * torch.rsqrt(masked_mean((x - mean) ** 2, mask) + 1e-8) * mask


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the marked entries of the whole batch."""
    return (x * mask).sum() / mask.sum()


def policy_loss(logps: Tensor, old_logps: Tensor, advantages: Tensor, mask: Tensor, clip: float) -> Tensor:
    """masked mean of max(-A ratio, -A clip(ratio, 1 - clip, 1 + clip)): arXiv 1707.06347, eq. 7."""
    ratio = ((logps - old_logps) * mask).exp()
    return masked_mean(torch.maximum(-advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip)), mask)


def value_loss(values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, clip: float) -> Tensor:
    """1/2 masked mean of max((V - G)^2, (clip(V, V_old +- clip) - G)^2)."""
    near = old_values + (values - old_values).clamp(-clip, clip)
    return 0.5 * masked_mean(torch.maximum((values - returns) ** 2, (near - returns) ** 2), mask)


# ---------------------------------------------------------------- the loop
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
        if min(self.iterations, self.samples, self.epochs, self.minibatch) < 1 or self.samples < self.minibatch:
            raise ValueError("iterations, samples, epochs, minibatch must be 1 or more, and a minibatch no more than the samples")
        if not (self.kl_coef >= 0 and self.learning_rate >= 0 and self.clip > 0 and math.isfinite(self.learning_rate)):
            raise ValueError("kl_coef and learning_rate must not be negative, and clip must be positive")


def ppo(
    policy: nn.Module,
    reference: nn.Module,
    score: Callable[[list[Sample]], Tensor],
    tokenizer,
    prompts: list[str],
    config: PPOConfig,
    progress: bool = True,
) -> list[dict]:
    """Train `policy` in place to get a high `score` and stay near `reference`; return one row of metrics per iteration.

    `score` maps N samples to N numbers. Every iteration: sample, score, add up the rewards, estimate advantages with the value
    model, and take a few clipped steps. A text that was cut off at the context's end is scored as it is.
    """
    pad, rng = pad_id(tokenizer), np.random.default_rng(config.seed)
    torch.manual_seed(config.seed)
    value, history = Head(reference).eval(), []  # no dropout: the policy that is trained is the policy that was sampled
    policy.eval(), reference.eval()
    optimizers = [torch.optim.Adam(policy.parameters(), lr=config.learning_rate, eps=1e-5),
                  torch.optim.Adam(value.parameters(), lr=config.value_learning_rate, eps=1e-5)]  # fmt: skip
    for iteration in tqdm(range(config.iterations), desc="ppo", disable=not progress, leave=False):
        asked = [prompts[i] for i in rng.integers(len(prompts), size=config.samples)]
        drawn = sample(policy, tokenizer, asked, seed=config.seed * 100_003 + iteration)
        scores = score(drawn).float()
        batch = collate([s.example for s in drawn], pad)
        with torch.no_grad():  # what was true when the samples were drawn
            old, ref, mask = *(logps_of(m, batch) for m in (policy, reference)), batch["response_mask"][:, 1:]
            old_values = value(**batch)[:, :-1]
        rewards = token_rewards(old, ref, scores, mask, config.kl_coef)
        advantages, returns = advantages_and_returns(rewards, old_values, mask, config.gamma, config.lam)
        advantages = whiten(advantages, mask)
        for optimizer, rate in zip(optimizers, (config.learning_rate, config.value_learning_rate), strict=True):
            optimizer.param_groups[0]["lr"] = rate * (1 - iteration / config.iterations)
        clipped = []
        for part in minibatches(config, rng):
            rows = {key: tensor[part] for key, tensor in batch.items()}
            logps, values = logps_of(policy, rows), value(**rows)[:, :-1]
            losses = (policy_loss(logps, old[part], advantages[part], mask[part], config.clip),
                      value_loss(values, old_values[part], returns[part], mask[part], config.value_clip))  # fmt: skip
            for loss, optimizer, model in zip(losses, optimizers, (policy, value), strict=True):
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
                optimizer.step()
            ratio = ((logps - old[part]).detach() * mask[part]).exp()
            clipped.append(masked_mean(((ratio - 1).abs() > config.clip).float(), mask[part]).item())
        kl = ((old - ref) * mask).sum(-1).mean().item()
        history.append({
            "iteration": iteration + 1, "score": scores.mean().item(), "kl": kl, "objective": rewards.sum(-1).mean().item(),
            "length": mask.sum(-1).float().mean().item(), "clipped": float(np.mean(clipped)), "value_loss": losses[1].item(),
        })  # fmt: skip
    return history


def logps_of(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """log pi(y_t) of the tokens 1 ... T-1, (B, T-1)."""
    logits = model(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"],
        position_ids=positions(batch["attention_mask"]), use_cache=False,
    ).logits  # fmt: skip
    return token_logps(logits, batch["input_ids"])


def minibatches(config: PPOConfig, rng: np.random.Generator) -> list[Tensor]:
    """Row numbers of each minibatch, `epochs` times over all samples in a new order."""
    orders = [rng.permutation(config.samples) for _ in range(config.epochs)]
    return [torch.tensor(o[i : i + config.minibatch]) for o in orders for i in range(0, config.samples, config.minibatch)]
