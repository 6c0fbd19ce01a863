"""Chapter 09: displacement, a length bias, and a cue that gives the label away, three seeds. Ten minutes on one core."""

import sys
from dataclasses import asdict

import numpy as np
import torch

from dpo_from_scratch import world
from dpo_from_scratch.data import data_path, read_rows
from dpo_from_scratch.evaluation import evaluate_reviews, log_ratios
from dpo_from_scratch.models import frozen_copy, load_model, pad_id
from dpo_from_scratch.records import run_study
from dpo_from_scratch.tokens import encode_rows

sys.path.insert(0, str(data_path("gallery")))
import hooks

STEPS, PAIRS = 128, 4096
MARGIN = "BETA * ((chosen - ref_chosen) - (rejected - ref_rejected))"
LOSSES = {  # what is changed in the loss of plain_loop.py
    "DPO": [],
    "DPO + NLL": [[f"return -F.logsigmoid({MARGIN})", f"return -F.logsigmoid({MARGIN}) - 0.05 * chosen"]],
    "DPOP": [[MARGIN, MARGIN[:-1] + " - 5.0 * F.relu(ref_chosen - chosen))"]],
}


def one_word_pairs(n: int, seed: int) -> list[dict]:
    """Two replies that differ in one adjective; the one with the higher true reward is chosen."""
    rng, out = np.random.default_rng(seed), []
    adjectives = [w for w in (*world.GOOD, *world.BAD) if w]
    asked = world.prompts("train")
    while len(out) < n:
        prompt = asked[rng.integers(len(asked))]
        words = world.REVIEWS.sample(prompt, 1, rng)[0].split()
        places = [i for i, w in enumerate(words) if w in adjectives]
        if places:
            i = places[rng.integers(len(places))]
            other = [w for w in adjectives if w != words[i]][rng.integers(len(adjectives) - 1)]
            texts = [" ".join(words), " ".join([*words[:i], other, *words[i + 1 :]])]
            good, bad = sorted(texts, key=lambda t: -world.reward(prompt, t))
            out.append({"prompt": prompt, "chosen": good, "rejected": bad})
    return out


def shuffled_pairs(n: int, seed: int) -> list[dict]:
    """A reply, and another with its words in random order: everybody can tell, and nobody would have written the second."""
    rng, rows = np.random.default_rng(seed), world.make_pairs(n, lambda p, a, b: 0.5, seed=seed)
    return [r | {"rejected": " ".join(rng.permutation(r["rejected"].split()))} for r in rows]


def pairs_of(kind: str, seed: int) -> list[dict]:
    """The rows of one experiment."""
    if kind == "any two replies":
        return world.make_pairs(PAIRS, world.exact, seed=seed)
    if kind == "judged with a liking for length":
        return world.make_pairs(PAIRS, world.length_biased(), seed=seed)
    return one_word_pairs(PAIRS, seed) if kind == "one adjective differs" else shuffled_pairs(PAIRS, seed)


def gradients(script: dict, policy, tokenizer, rows: list[dict]) -> list[tuple[float, float]]:
    """For each pair: |g_w|^2 and <g_w, g_l>, of the gradients of the two log-probabilities."""
    out = []
    for row in rows:
        scores = script["score"](policy, script["collate"]([row], tokenizer))
        good, bad = (torch.cat([g.flatten() for g in torch.autograd.grad(s.sum(), list(policy.parameters()), retain_graph=True)])
                     for s in scores)  # fmt: skip
        out.append((float(good @ good), float(good @ bad)))
    return out


def run(point: dict) -> dict:
    kind, seed = point["pairs"], point["seed"]
    rows, held_out = pairs_of(kind, 5000 + seed), pairs_of(kind, 6000 + seed)[:256]
    script = hooks.load_script("plain_loop.py", None, LOSSES[point["loss"]])
    model, tokenizer = load_model("tiny")
    reference, found = frozen_copy(model), {}
    if point["loss"] == "DPO":
        norms = gradients(script, model, tokenizer, held_out[:64])
        found["pulled_down"] = float(np.mean([inner > square for square, inner in norms]))
        found["cosine_like"] = float(np.mean([inner / square for square, inner in norms]))
    policy, _, history = script["train"](model, tokenizer, rows, STEPS, seed)
    examples = [e for pair in encode_rows(tokenizer, held_out)[0] for e in pair]
    rho = log_ratios(policy, reference, examples, pad_id(tokenizer)).reshape(-1, 2)
    found |= {"chosen": float(rho[:, 0].mean()), "rejected": float(rho[:, 1].mean()), "chosen_fell": float((rho[:, 0] < 0).mean()),
              "ordered": float((rho[:, 0] > rho[:, 1]).mean()),
              "curve": [[round(h["chosen_reward"] / 0.6, 4), round(h["rejected_reward"] / 0.6, 4), round(h["accuracy"], 4)]
                        for h in history[::4]]}  # fmt: skip
    lengths = np.array([[len(r[k].split()) for k in ("chosen", "rejected")] for r in rows]).mean(0) + 1
    tests, _ = read_rows(data_path("reviews_pairs_test.jsonl"))
    measured = asdict(evaluate_reviews(policy, reference, tokenizer, tests, samples=1008, seed=seed))
    return found | {"chosen_length": float(lengths[0]), "rejected_length": float(lengths[1])} | measured


if __name__ == "__main__":
    cases = [("one adjective differs", loss) for loss in LOSSES]
    cases += [(kind, "DPO") for kind in ("any two replies", "judged with a liking for length", "the words are shuffled")]
    points = [{"pairs": kind, "loss": loss, "seed": seed} for seed in range(3) for kind, loss in cases]
    print(run_study(__file__, "What healthy code can show", points, run))
