"""Chapter 09: displacement, a length bias, and a cue that gives the label away, three seeds.

Ten minutes on one core.
"""

from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor

from .. import world
from ..data import data_path, read_rows
from ..doctor import hooks
from ..lab.evaluation import evaluate_reviews
from ..lab.studies import Study
from ..models import frozen_copy, load_model, pad_id
from ..scoring import pair_log_ratios
from ..tokens import encode_rows

STEPS, PAIRS = 128, 4096
MARGIN = "BETA * ((chosen - ref_chosen) - (rejected - ref_rejected))"
NLL = f"return -F.logsigmoid({MARGIN})"
LOSSES = {  # what is changed in the loss of plain_loop.py
    "DPO": [],
    "DPO + NLL": [[NLL, f"{NLL} - 0.05 * chosen"]],
    "DPOP": [[MARGIN, MARGIN[:-1] + " - 5.0 * F.relu(ref_chosen - chosen))"]],
}
KINDS = ("any two replies", "judged with a liking for length", "the words are shuffled")
CASES = [
    *[("one adjective differs", loss) for loss in LOSSES],
    *[(kind, "DPO") for kind in KINDS],
]

study = Study(
    __file__,
    "What healthy code can show",
    # shares that are 0 or 1 at all seeds; curve: the accuracy of one batch
    tolerances={"ordered": 0.02, "pulled_down": 0.05, "curve": 0.1},
)


# ---------------------------------------------------------------- the pairs
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
            good, bad = sorted(texts, key=lambda text: -world.reward(prompt, text))
            out.append({"prompt": prompt, "chosen": good, "rejected": bad})
    return out


def shuffled_pairs(n: int, seed: int) -> list[dict]:
    """A reply, and another with its words in random order.

    Everybody can tell, and nobody would have written the second.
    """
    rng, rows = np.random.default_rng(seed), world.make_pairs(n, lambda p, a, b: 0.5, seed=seed)
    return [r | {"rejected": " ".join(rng.permutation(r["rejected"].split()))} for r in rows]


def pairs_of(kind: str, seed: int, n: int = PAIRS) -> list[dict]:
    """The first n rows of one experiment."""
    if kind == "any two replies":
        return world.make_pairs(n, world.true_order, seed=seed)
    if kind == "judged with a liking for length":
        return world.make_pairs(n, world.length_biased(), seed=seed)
    make = one_word_pairs if kind == "one adjective differs" else shuffled_pairs
    return make(n, seed)


# ---------------------------------------------------------------- the runs
def flat_gradient(of: Tensor, weights: list[Tensor]) -> Tensor:
    """The gradient of a number with respect to the weights, as one vector."""
    return torch.cat([g.flatten() for g in torch.autograd.grad(of, weights, retain_graph=True)])


def gradients(script: dict, policy, tokenizer, rows: list[dict]) -> list[tuple[float, float]]:
    """For each pair: |g_w|^2 and <g_w, g_l>, of the gradients of the two log-probabilities."""
    weights, out = list(policy.parameters()), []
    for row in rows:
        scores = script["score"](policy, script["collate"]([row], tokenizer))
        good, bad = (flat_gradient(s.sum(), weights) for s in scores)
        out.append((float(good @ good), float(good @ bad)))
    return out


@study.points(
    [{"pairs": kind, "loss": loss, "seed": seed} for seed in range(3) for kind, loss in CASES]
)
def run(pairs: str, loss: str, seed: int) -> dict:
    """A run of the plain loop: gradients before, log-ratios of unseen pairs after, all measures."""
    rows, held_out = pairs_of(pairs, 5000 + seed), pairs_of(pairs, 6000 + seed)[:256]
    script = hooks.load_script("plain_loop.py", None, LOSSES[loss])
    model, tokenizer = load_model("tiny")
    reference, found = frozen_copy(model), {}
    if loss == "DPO":
        norms = gradients(script, model, tokenizer, held_out[:64])
        found["pulled_down"] = float(np.mean([inner > square for square, inner in norms]))
        found["cosine_like"] = float(np.mean([inner / square for square, inner in norms]))
    policy, _, history = script["train"](model, tokenizer, rows, STEPS, seed)
    examples, _ = encode_rows(tokenizer, held_out)
    rho = pair_log_ratios(policy, reference, examples, pad_id(tokenizer))
    words = np.array([[len(r[side].split()) for side in ("chosen", "rejected")] for r in rows])
    lengths = words.mean(0) + 1  # the end of the text counts
    found |= {
        "chosen": float(rho[:, 0].mean()),
        "rejected": float(rho[:, 1].mean()),
        "chosen_fell": float((rho[:, 0] < 0).mean()),
        "ordered": float((rho[:, 0] > rho[:, 1]).mean()),
        "curve": [in_nats(row) for row in history[::4]],
        "chosen_length": float(lengths[0]),
        "rejected_length": float(lengths[1]),
    }
    tests, _ = read_rows(data_path("reviews_pairs_test.jsonl"))
    return found | asdict(evaluate_reviews(policy, reference, tokenizer, tests, 1008, seed))


def in_nats(row: dict) -> list[float]:
    """The two log-ratios and the accuracy of a step."""
    ratios = [row[key] / 0.6 for key in ("chosen_reward", "rejected_reward")]
    return [round(figure, 4) for figure in (*ratios, row["accuracy"])]


if __name__ == "__main__":
    study.main()
