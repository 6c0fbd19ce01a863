"""Chapter 08: what two scores know of a DPO policy's own samples, and its credit per token.

Three seeds. Five minutes on one core.
"""

import math
from functools import cache

import numpy as np
import torch
from torch import nn

from .. import rlhf, world
from ..lab.studies import Study
from ..models import device_of, load_model, pad_id
from ..sampling import sample
from ..scoring import log_ratios
from ..tokens import Example, collate, encode_rows
from ..world import Policy, World
from .dpo_and_ppo import dpo, judge, rows, true_rewards

BETA, SEEDS = 0.6, range(3)
ASKED = [world.prompts("test")[i % 12] for i in range(1008)]

study = Study(
    __file__,
    "What two scores know of a DPO policy's own samples",
    tolerances={"correlation": 0.1, "broken": 0.05, "whole": 0.5, "optimum": 0.3},
)


# ---------------------------------------------------------------- scores of own samples
def own_samples(policy: nn.Module, reward_model: nn.Module, asked: list, seed: int) -> dict:
    """How two scores, the implicit reward and a reward model's, order a policy's own samples.

    Correlation with the true reward, on its samples and on the reference's; means over the samples
    that the grammar can write (whole) and over the others (broken).
    """
    reference, tokenizer = load_model("tiny")
    out, pad = {}, pad_id(tokenizer)
    for name, author in {"own": policy, "reference": reference}.items():
        drawn = sample(author, tokenizer, asked, seed=seed, stream="batch")
        true, examples = true_rewards(drawn), [s.example for s in drawn]
        scores = {
            "implicit": BETA * log_ratios(policy, reference, examples, pad),
            "reward_model": rlhf.score_texts(reward_model, examples, pad).double().numpy(),
        }
        whole = np.array([world.REVIEWS.is_grammatical(s.prompt, s.text) for s in drawn])
        out[name] = {"broken": float(1 - whole.mean())}
        for key, score in (scores | {"true": true}).items():
            means = {"whole": mean_of(score[whole]), "broken": mean_of(score[~whole])}
            out[name][key] = means | {"correlation": float(np.corrcoef(score, true)[0, 1])}
    return out


def mean_of(values: np.ndarray) -> float | None:
    """Their mean, None if there are none."""
    return float(values.mean()) if len(values) else None


# ---------------------------------------------------------------- credit per token
def prefix_logps(policy: Policy, text: str) -> np.ndarray:
    """log of the probability that a reply begins with the first t words, t = 0 ... T, then of it.

    (T + 2,): the last is log pi(y|x), the end included. Each word lies on one arc of a path.
    """
    a, words = policy.automaton, tuple(text.split())
    out = np.full(len(words) + 2, -np.inf)
    out[0], out[-1] = 0.0, policy.log_probs([text])[0]
    stack = [(0, 0, 0.0)]  # words written, state, log-probability of the way there
    while stack:
        written, state, logp = stack.pop()
        for arc in range(a.first[state], a.first[state + 1]):
            along, same = logp + policy.arc_logps[arc], common(a.words[arc], words[written:])
            for t in range(written + 1, written + same + 1):
                out[t] = np.logaddexp(out[t], along)
            if same == len(a.words[arc]) and a.target[arc] != a.index["end"]:
                stack.append((written + same, int(a.target[arc]), along))
    return out


def common(some: tuple, others: tuple) -> int:
    """How many words two lists have in common, from their beginning."""
    pairs = zip(some, others, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(some), len(others)))


def token_advantages(
    prompt: str, text: str, beta: float = BETA, where: World = world.REVIEWS
) -> np.ndarray:
    """The exact soft advantage of each token of a text that the grammar can write, end included.

    V(after the token) - V(before it), where V = beta log E exp(r / beta) over the grammar's ways
    on: beta log Z at the start, r at the end. arXiv 2404.12358, section 4.
    """
    tilted, plain = (prefix_logps(where.policy(prompt, b), text) for b in (beta, math.inf))
    return beta * np.diff(tilted - plain)


def token_log_ratios(policy: nn.Module, reference: nn.Module, examples: list[Example]) -> list:
    """log pi(y_t) - log pi_ref(y_t) of the response tokens of each example, end included."""
    out = []
    for start in range(0, len(examples), 128):
        part = examples[start : start + 128]
        batch = collate(part, 0, device=device_of(policy))
        with torch.no_grad():
            ratios = rlhf.logps_of(policy, batch) - rlhf.logps_of(reference, batch)
        masks = batch["response_mask"][:, 1:]
        out += [r[m].double().numpy() for r, m in zip(ratios, masks, strict=True)]
    return out


@cache
def exact_credit() -> tuple[list[dict], list[np.ndarray]]:
    """The responses of the test pairs, and the exact advantages of their tokens."""
    texts = [
        {"prompt": row["prompt"], "completion": row[side]}
        for row in rows("test")[:200]
        for side in ("chosen", "rejected")
    ]
    return texts, [token_advantages(t["prompt"], t["completion"]) for t in texts]


def credit(policy: nn.Module) -> dict:
    """How a policy's log-ratios, times beta, fit the exact advantages, over all tokens.

    `even` is the correlation of the text's exact advantages spread evenly over its tokens: what
    knowing the text's reward alone would give.
    """
    reference, tokenizer = load_model("tiny")
    texts, exact = exact_credit()
    examples = [e for (e,) in encode_rows(tokenizer, texts)[0]]
    told = BETA * np.concatenate(token_log_ratios(policy, reference, examples))
    true = np.concatenate(exact)
    even = np.concatenate([np.full(len(a), a.mean()) for a in exact])
    return {
        "correlation": float(np.corrcoef(told, true)[0, 1]),
        "even": float(np.corrcoef(even, true)[0, 1]),
        "slope": float(np.polyfit(true, told, 1)[0]),
    }


# ---------------------------------------------------------------- points
@study.points([{"method": "DPO", "beta": BETA, "seed": seed} for seed in SEEDS])
def after_dpo(method: str, beta: float, seed: int) -> dict:
    """Scores of own samples and credit per token, of the preset's policy."""
    policy = dpo(beta, seed, tuned=False)[0]
    return own_samples(policy, judge(seed)[0], ASKED, seed) | {"credit": credit(policy)}


if __name__ == "__main__":
    study.main()
