"""Chapter 07: DPO with the preset at eight values of beta, three seeds each, and best-of-n. About twenty minutes on one core."""

from dataclasses import asdict

import numpy as np

from dpo_from_scratch import world
from dpo_from_scratch.data import data_path, read_rows
from dpo_from_scratch.evaluation import best_of_n, best_of_n_kl, evaluate_reviews, log_ratios, standard_error
from dpo_from_scratch.models import frozen_copy, load_model, pad_id
from dpo_from_scratch.records import run_study
from dpo_from_scratch.sampling import sample
from dpo_from_scratch.training import PRESETS, TrainConfig, train

BETAS = (0.05, 0.1, 0.2, 0.35, 0.6, 1.0, 2.0, 4.0)
SIZES = (1, 2, 4, 8, 16, 32)


def trained(beta: float, seed: int):
    model, tokenizer = load_model("tiny")
    reference = frozen_copy(model)
    rows, _ = read_rows(data_path("reviews_pairs_train.jsonl"))
    history = train(model, tokenizer, rows, TrainConfig(**PRESETS["tiny"] | {"beta": beta, "seed": seed}), progress=False)
    return model, reference, tokenizer, history


def sweep(point: dict) -> dict:
    model, reference, tokenizer, history = trained(point["beta"], point["seed"])
    tests, _ = read_rows(data_path("reviews_pairs_test.jsonl"))
    last = {f"{key}_batch": float(np.mean([row[key] for row in history[-32:]])) for key in ("loss", "accuracy", "margin")}
    texts = [s.text for s in sample(model, tokenizer, world.prompts("test")[:3], seed=100)]
    return last | asdict(evaluate_reviews(model, reference, tokenizer, tests, seed=point["seed"])) | {"texts": texts}


def best_of(point: dict) -> dict:
    """Samples of the reference, the best of each n by the true reward, or by the implicit reward of a DPO policy."""
    model, reference, tokenizer, _ = trained(0.6, point["seed"])
    asked = [p for p in world.prompts("test") for _ in range(2688)]  # 84 groups of 32 for each prompt
    drawn = sample(reference, tokenizer, asked, seed=point["seed"])
    true = np.array([world.reward(s.prompt, s.text) for s in drawn])
    implicit = log_ratios(model, reference, [s.example for s in drawn], pad_id(tokenizer))
    rows = []
    for n in SIZES:
        for judge, scores in (("true reward", true), ("implicit reward", implicit)):
            kept = true[best_of_n(scores, n)]
            rows.append(
                {"n": n, "judge": judge, "kl": best_of_n_kl(n), "true_reward": float(kept.mean()), "se": standard_error(kept)}
            )
    return {"rows": rows}


if __name__ == "__main__":
    points = [{"beta": b, "seed": s} for s in range(3) for b in BETAS] + [{"best_of_n": True, "seed": s} for s in range(3)]
    print(run_study(__file__, "DPO at eight betas, and best-of-n", points, lambda p: best_of(p) if "best_of_n" in p else sweep(p)))
