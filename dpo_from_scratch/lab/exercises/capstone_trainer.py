"""The capstone's first part: a repaired trainer, marked by the doctor and by what a run moves."""

import itertools
import json
from collections.abc import Callable, Mapping

import torch

from ... import doctor, world
from ...data import data_path
from ...doctor import hooks
from . import attempts
from .verdicts import Verdict, misformed, right, wrong

PARTS = ("collate", "score", "loss", "prepare", "step")
STEPS, BATCH, SECONDS = 24, 16, 60.0
LEAST, MOST = 0.02, 3.0  # nats: where the KL of a run of so few steps may end


def own() -> dict[str, Callable]:
    """A trainer without a bug, in the capstone's five functions."""
    script = hooks.load_script("plain_loop.py")
    parts = {name: script[name] for name in PARTS[:4]}

    def step(policy, reference, optimizer, rows, tokenizer):
        return script["step"](policy, reference, optimizer, rows, tokenizer, 0.0, 9)

    return parts | {"step": step}


def some_pairs(n: int) -> list[dict]:
    """The first n of the shipped pairs."""
    with open(data_path("reviews_pairs_train.jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in itertools.islice(file, n)]


def problems(trainer: Mapping[str, Callable]) -> list:
    """What the doctor calls a problem."""
    from ...models import load_model

    model, tokenizer = load_model("tiny")
    policy, reference, optimizer = trainer["prepare"](model)
    pairs = some_pairs(8)
    found = doctor.check(
        score=trainer["score"],
        collate=lambda rows: trainer["collate"](rows, tokenizer),
        loss=trainer["loss"],
        step=lambda rows: trainer["step"](policy, reference, optimizer, rows, tokenizer),
        policy=policy,
        reference=reference,
        pairs=pairs,
        tokenizer=tokenizer,
    )
    return [finding for finding in found if finding.level == "problem"]


def moved(trainer: Mapping[str, Callable]) -> dict[str, float]:
    """What a short run moves: weights of policy and reference, KL, and true reward."""
    from ...models import load_model
    from ..evaluation import quality

    torch.manual_seed(0)
    model, tokenizer = load_model("tiny")
    policy, reference, optimizer = trainer["prepare"](model)
    flat = lambda m: torch.cat([p.detach().flatten() for p in m.parameters()]).clone()
    before, rows = (flat(policy), flat(reference)), some_pairs(STEPS * BATCH)
    for i in range(STEPS):
        part = rows[i * BATCH : (i + 1) * BATCH]
        trainer["step"](policy, reference, optimizer, part, tokenizer)
    gaps = [(flat(m) - b).norm().item() for m, b in zip((policy, reference), before, strict=True)]
    start, _ = load_model("tiny")
    told = quality(policy.eval(), start.eval(), tokenizer, world.prompts("test")[:24], seed=0)
    return {"policy": gaps[0], "reference": gaps[1]} | told


def repaired(attempt) -> Verdict:
    """Form, then what the doctor sees, then what a run moves."""
    if not isinstance(attempt, Mapping) or not all(callable(attempt.get(p)) for p in PARTS):
        return misformed(f"a dictionary of five functions is asked: {', '.join(PARTS)}.")
    done = attempts.call(problems, {"trainer": dict(attempt)}, attempts.Clock(SECONDS))
    if done.trouble:
        return misformed("examining it, " + done.trouble)
    if done.value:
        more = f" ({len(done.value) - 1} more behind it.)" if len(done.value) > 1 else ""
        return wrong(f"the doctor finds {done.value[0].code}: {done.value[0].seen}.{more}")
    done = attempts.call(moved, {"trainer": dict(attempt)}, attempts.Clock(SECONDS))
    if done.trouble:
        return misformed(f"in a run of {STEPS} steps, {done.trouble}")
    return of_a_run(done.value)


def of_a_run(told: Mapping[str, float]) -> Verdict:
    """Did what had to move, and as far as it should?"""
    kl = told["kl"]
    if told["policy"] < 1e-4:
        return wrong("the policy's weights have not moved in 24 steps: what does step update?")
    if told["reference"] > 1e-6:
        return wrong("the reference's weights have moved; it has to stay where it began.")
    if kl < LEAST:
        return wrong(f"the weights moved, the texts hardly: {kl:.3f} nats of KL after 24 steps.")
    if kl > MOST:
        return wrong(f"24 steps took it {kl:.1f} nats from where it began: nothing holds it.")
    if told["true_reward"] < world.REVIEWS.policy(world.prompts()[0]).mean_reward:
        return wrong("the true reward has fallen: it learns the opposite of what is meant.")
    return right(
        f"The doctor is silent, the policy moved and the reference did not: {kl:.2f} nats of KL "
        "after 24 steps."
    )
