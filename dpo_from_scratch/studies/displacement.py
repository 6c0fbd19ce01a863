"""Chapter 09: what moves the chosen response of a pair that a run never steps on, three seeds.

Two kinds of pairs. Over the run: the log-ratios of unseen pairs, how both models rank them,
and the first-order pushes on their chosen responses: from the pair itself, and from 32 other pairs.
Five minutes on one core.
"""

import numpy as np
import torch
from torch import Tensor, nn

from .. import world
from ..doctor import hooks
from ..lab.evaluation import quality
from ..lab.studies import Study
from ..models import Scorer, frozen_copy, load_model, pad_id
from ..scoring import score_pairs
from ..tokens import encode_rows
from .reading_curves import STEPS, flat_gradient, pairs_of

BATCH, SAMPLES = 32, 252
LOOKS = (0, 16, 32, 40, 48, 64, 96, 128)
KINDS = ("any two replies", "one adjective differs")

study = Study(
    __file__,
    "What moves a chosen response that is never stepped on",
    # shares of few pairs, and pushes late in a run that rounding has driven apart
    tolerances={"met": 0.1, "falling": 0.1, "ordered": 0.03, "ranked": 0.03},
)


# ---------------------------------------------------------------- what moves the chosen response
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
    rows, held_out = pairs_of(pairs, 5000 + seed), pairs_of(pairs, 6000 + seed, 256)
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


if __name__ == "__main__":
    study.main()
