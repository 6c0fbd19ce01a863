"""Chapter 09: where probability goes when a rejected response is pushed down, three seeds.

Rejected responses that the reference finds unlikely: those of another author, and shuffled words.
DPO, the half of its loss that sees the rejected response alone, and DPO after SFT on both sides.
Five minutes on one core.
"""

import numpy as np
import torch
from torch import nn

from .. import world
from ..doctor import hooks
from ..lab.studies import Study
from ..models import Scorer, frozen_copy, load_model, pad_id
from ..sampling import sample
from ..scoring import score_examples, score_pairs
from ..tokens import collate, encode_rows
from ..training import PRESETS, TrainConfig, train
from .displacement import BATCH, SAMPLES, unseen_scores
from .reading_curves import pairs_of

SHORT = 32  # steps
SQUEEZED = ("another author", "the words are shuffled")
MARGIN_LOSS = "-F.logsigmoid(BETA * ((chosen - ref_chosen) - (rejected - ref_rejected)))"
ARMS = {  # what is changed in the loss of plain_loop.py
    "DPO": [],
    "the rejected side alone": [[MARGIN_LOSS, "-F.logsigmoid(-BETA * (rejected - ref_rejected))"]],
    "SFT on both, then DPO": [],
}

study = Study(
    __file__,
    "Where the mass of rejected responses goes",
    # shares that are 0 or 1 at all seeds
    tolerances={"chosen_fell": 0.06, "ordered": 0.03, "ranked": 0.03},
)


def rows_of(kind: str, seed: int, n: int) -> list[dict]:
    """The pairs of an arm of `squeeze`; "another author": both responses by somebody else."""
    if kind != "another author":
        return pairs_of(kind, seed, n)
    gloomy = world.World(author=world.GLOOMY)
    return world.make_pairs(n, world.true_order, world=gloomy, seed=seed)


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


def spread(model: nn.Module, reference: nn.Module, tokenizer, held_out: list, seed: int) -> dict:
    """How concentrated a model is, along given texts and in its samples; what it is worth."""
    examples, pad = encode_rows(tokenizer, held_out)[0], pad_id(tokenizer)
    names, sides = ("top_chosen", "top_rejected"), zip(*examples, strict=True)
    out = {key: top_token(model, side, pad) for key, side in zip(names, sides, strict=True)}
    drawn = sample(
        model, tokenizer, world.prompts("test") * (SAMPLES // 12), seed=seed, stream="batch"
    )
    texts = [s.example for s in drawn]
    logps, ref = (score_examples(Scorer(m), texts, pad).double() for m in (model, reference))
    out |= {"entropy": -float(logps.mean()), "kl": float((logps - ref).mean())}
    return out | {"true_reward": float(np.mean([world.reward(s.prompt, s.text) for s in drawn]))}


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
    rows = rows_of(squeezed, 5000 + seed, SHORT * BATCH)
    held_out = rows_of(squeezed, 6000 + seed, 128)
    policy, tokenizer = load_model("tiny")
    if arm.startswith("SFT"):
        sides = ("chosen", "rejected")
        texts = [{"prompt": r["prompt"], "completion": r[side]} for r in rows for side in sides]
        config = TrainConfig(**PRESETS["tiny-sft"] | {"steps": SHORT, "warmup": 4, "seed": seed})
        train(policy, tokenizer, texts, config, progress=False)
    reference, examples = frozen_copy(policy), encode_rows(tokenizer, held_out)[0]
    before = spread(reference, reference, tokenizer, held_out, seed)
    logps = score_pairs(Scorer(reference), examples, pad_id(tokenizer))
    before |= {"chosen_logp": float(logps[:, 0].mean()), "rejected_logp": float(logps[:, 1].mean())}
    script = hooks.load_script("plain_loop.py", None, ARMS[arm])
    policy, _, _ = script["train"](policy, tokenizer, rows, SHORT, seed)
    after = spread(policy, reference, tokenizer, held_out, seed)
    found = unseen_scores(policy, reference, examples, pad_id(tokenizer))
    return found | {"before": before, "after": after}


if __name__ == "__main__":
    study.main()
