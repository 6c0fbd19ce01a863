"""Chapter 09: what moves the chosen response of a pair that a run never steps on, three seeds.

`pull`: two kinds of pairs; over the run, the log-ratios of unseen pairs, how both models rank them,
and the first-order pushes on their chosen responses: from the pair itself, and from 32 other pairs.
`squeeze`: where the mass goes when a rejected response is pushed down.
A quarter of an hour on one core.
"""

import numpy as np
import torch
from torch import Tensor, nn

from .. import world
from ..doctor import hooks
from ..lab.evaluation import quality
from ..lab.studies import Study
from ..models import Scorer, frozen_copy, load_model, pad_id
from ..sampling import sample
from ..scoring import score_examples, score_pairs
from ..tokens import collate, encode_rows
from ..training import PRESETS, TrainConfig, train
from .reading_curves import PAIRS, STEPS, pairs_of

BATCH, SAMPLES = 32, 252
LOOKS = (0, 16, 32, 40, 48, 64, 96, 128)
KINDS = ("any two replies", "one adjective differs")
SHORT = 48  # steps of a run of `squeeze`
SQUEEZED = ("another author", "the words are shuffled")
MARGIN_LOSS = "-F.logsigmoid(BETA * ((chosen - ref_chosen) - (rejected - ref_rejected)))"
ARMS = {  # what is changed in the loss of plain_loop.py
    "DPO": [],
    "the rejected side alone": [[MARGIN_LOSS, "-F.logsigmoid(-BETA * (rejected - ref_rejected))"]],
    "SFT on both, then DPO": [],
}

study = Study(
    __file__,
    "What moves a chosen response that is never stepped on",
    # shares of few pairs, and pushes late in a run that rounding has driven apart
    tolerances={"met": 0.1, "falling": 0.1, "ordered": 0.03, "ranked": 0.03},
)


# ---------------------------------------------------------------- what moves the chosen response
def flat_gradient(of: Tensor, weights: list[Tensor]) -> Tensor:
    """The gradient of a number with respect to the weights, as one vector."""
    return torch.cat([g.flatten() for g in torch.autograd.grad(of, weights, retain_graph=True)])


def pushes(
    script: dict, policy: nn.Module, reference: nn.Module, tokenizer, unseen: list, others: list
) -> dict[str, np.ndarray]:
    """The first-order pushes on the chosen log-probability of each unseen pair, (N,).

    `own`: by a step on the pair itself, sigma(-m) (|g_w|^2 - <g_w, g_l>). `batch`: by a step on the
    `others`, mean_j sigma(-m_j) <g_w, g_w^j - g_l^j>. Times eta beta each is a change in nats.
    """
    weights, score = list(policy.parameters()), script["score"]

    def scored(rows: list) -> tuple[Tensor, Tensor, Tensor]:
        batch = script["collate"](rows, tokenizer)
        with torch.no_grad():
            ref_good, ref_bad = score(reference, batch)
        good, bad = score(policy, batch)
        margin = script["BETA"] * ((good - ref_good) - (bad - ref_bad)).detach()
        return good, bad, torch.sigmoid(-margin)

    good, bad, weight = scored(others)
    step = flat_gradient((weight * (good - bad)).mean(), weights)
    own, batch, met = [], [], []
    for row in unseen:
        good, bad, weight = scored([row])
        g_w, g_l = flat_gradient(good.sum(), weights), flat_gradient(bad.sum(), weights)
        own.append(float(weight * (g_w @ g_w - g_w @ g_l)))
        met.append(float(g_w @ g_l) > float(g_w @ g_w))
        batch.append(float(g_w @ step))
    return {"own": np.array(own), "batch": np.array(batch), "met": np.array(met)}


def unseen_scores(policy: nn.Module, reference: nn.Module, examples: list, pad: int) -> dict:
    """Log-ratios of unseen pairs, and the share that implicit reward and log-probability order."""
    logps, ref = (score_pairs(Scorer(m), examples, pad).double() for m in (policy, reference))
    rho = logps - ref
    share = lambda x: float(((x[:, 0] > x[:, 1]) + 0.5 * (x[:, 0] == x[:, 1])).mean())
    fell = float((rho[:, 0] < 0).double().mean())
    means = {"chosen": float(rho[:, 0].mean()), "rejected": float(rho[:, 1].mean())}
    return means | {"chosen_fell": fell, "ordered": share(rho), "ranked": share(logps)}


@study.points([{"pairs": kind, "seed": seed} for seed in range(3) for kind in KINDS])
def pull(pairs: str, seed: int) -> dict:
    """The run of reading_curves, looked at on the way: a list over the steps of each figure."""
    rows, held_out = pairs_of(pairs, 5000 + seed), pairs_of(pairs, 6000 + seed)[:256]
    script = hooks.load_script("plain_loop.py")
    policy, tokenizer = load_model("tiny")
    reference, out = frozen_copy(policy), {"step": [], "told": []}
    examples, pad = encode_rows(tokenizer, held_out)[0], pad_id(tokenizer)
    others = np.random.default_rng(seed).permutation(rows)

    def look(step: int, policy: nn.Module) -> None:
        if step not in LOOKS:
            return
        part = others[BATCH * len(out["step"]) :][:BATCH].tolist()
        found = pushes(script, policy, reference, tokenizer, held_out[:64], part)
        told = {key: float(found[key].mean()) for key in found}
        told["falling"] = float((found["batch"] < 0).mean())
        told |= unseen_scores(policy, reference, examples, pad)
        asked = world.prompts("test")
        told |= quality(policy, reference, tokenizer, asked, SAMPLES, seed)
        out["step"].append(step)
        out["told"].append({key: round(value, 4) for key, value in told.items()})

    look(0, policy)
    script["train"](policy, tokenizer, rows, STEPS, seed, look)
    return out["told"][-1] | {"steps": out["step"], "told": out["told"]}


# ---------------------------------------------------------------- squeezing
def rows_of(kind: str, seed: int) -> list[dict]:
    """The pairs of an arm of `squeeze`; "another author": both responses by somebody else."""
    if kind != "another author":
        return pairs_of(kind, seed)
    gloomy = world.World(author=world.GLOOMY)
    return world.make_pairs(PAIRS, world.true_order, world=gloomy, seed=seed)


@torch.no_grad()
def top_token(model: nn.Module, examples: list, pad: int) -> float:
    """Mean over the response's tokens of the largest next-token probability."""
    tops, tokens = 0.0, 0
    for i in range(0, len(examples), 64):
        batch = collate(examples[i : i + 64], pad)
        logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        mask = batch["response_mask"][:, 1:]
        tops += float((logits[:, :-1].softmax(-1).amax(-1) * mask).sum())
        tokens += int(mask.sum())
    return tops / tokens


def spread(model: nn.Module, tokenizer, held_out: list, seed: int) -> dict:
    """How concentrated a model is: along given texts, and in its own samples."""
    examples, pad = encode_rows(tokenizer, held_out)[0], pad_id(tokenizer)
    sides = zip(*examples, strict=True)
    names = ("top_chosen", "top_rejected")
    out = {key: top_token(model, side, pad) for key, side in zip(names, sides, strict=True)}
    logps = score_pairs(Scorer(model), examples, pad)
    out |= {"chosen_logp": float(logps[:, 0].mean()), "rejected_logp": float(logps[:, 1].mean())}
    drawn = sample(model, tokenizer, world.prompts("test") * (SAMPLES // 12), seed=seed)
    logps = score_examples(Scorer(model), [s.example for s in drawn], pad)
    return out | {"entropy": -float(logps.mean())}


@study.points(
    [
        {"squeezed": kind, "arm": arm, "seed": seed}
        for seed in range(3)
        for kind in SQUEEZED
        for arm in ARMS
    ]
)
def squeeze(squeezed: str, arm: str, seed: int) -> dict:
    """How concentrated the model is before and after a run, and what happened to unseen pairs."""
    rows, held_out = rows_of(squeezed, 5000 + seed), rows_of(squeezed, 6000 + seed)[:256]
    policy, tokenizer = load_model("tiny")
    if arm.startswith("SFT"):
        sides = ("chosen", "rejected")
        texts = [{"prompt": r["prompt"], "completion": r[side]} for r in rows for side in sides]
        config = TrainConfig(**PRESETS["tiny-sft"] | {"steps": 64, "warmup": 8, "seed": seed})
        train(policy, tokenizer, texts, config, progress=False)
    reference, examples = frozen_copy(policy), encode_rows(tokenizer, held_out)[0]
    before = spread(reference, tokenizer, held_out, seed)
    script = hooks.load_script("plain_loop.py", None, ARMS[arm])
    policy, _, _ = script["train"](policy, tokenizer, rows, SHORT, seed)
    found = unseen_scores(policy, reference, examples, pad_id(tokenizer))
    found |= quality(policy, reference, tokenizer, world.prompts("test"), SAMPLES, seed)
    return found | {"before": before, "after": spread(policy, tokenizer, held_out, seed)}


if __name__ == "__main__":
    study.main()
