"""Chapter 12: few pairs, many epochs, labels without noise: DPO, cDPO and IPO, eight seeds. Forty minutes on one core."""

from functools import cache

import numpy as np

from dpo_from_scratch import world
from dpo_from_scratch.evaluation import log_ratios
from dpo_from_scratch.models import Scorer, frozen_copy, load_model, pad_id
from dpo_from_scratch.records import load_record, run_study
from dpo_from_scratch.sampling import sample
from dpo_from_scratch.tokens import encode_rows
from dpo_from_scratch.training import PRESETS, TrainConfig, score_examples, train

TRAIN, HELD_OUT, STEPS = 96, 32, 256  # 128 labels in all; 85 epochs
LOOKS = (4, 8, 16, 32, 64, 128, 256)  # steps after which the policy is measured
STRENGTHS = (0.1, 0.3, 1.0)  # beta, and tau of IPO
SMOOTHING, RATES = 0.1, (2.5e-4, 5e-4, 1e-3)
VALIDATION = world.prompts("train")[::5]  # for choosing learning rates; nobody trains on these then


def few_pairs(seed: int) -> tuple[list[dict], list[dict]]:
    """Pairs whose label is the true order; some train, some decide when to stop."""
    rows = world.make_pairs(TRAIN + HELD_OUT, world.exact, seed=3000 + seed)
    return rows[:TRAIN], rows[TRAIN:]


@cache
def best_rate(loss: str) -> float:
    """The rate whose best look has the largest true reward less 0.6 KL, on prompts held out for this."""
    found = [p for p in load_record("too_sure")["points"] if p["point"]["loss"] == loss and "learning_rate" in p["point"]]
    worth = [max(look["true_reward"] - 0.6 * look["kl"] for look in p["result"]["looks"]) for p in found]
    return found[int(np.argmax(worth))]["point"]["learning_rate"]


def run(point: dict) -> dict:
    policy, tokenizer = load_model("tiny")
    tuning, rate = "learning_rate" in point, point.get("learning_rate")
    reference, seed, strength = frozen_copy(policy), point["seed"], point["strength"]
    rows, held_out = few_pairs(seed)
    if tuning:
        rows = [r for r in rows if r["prompt"] not in VALIDATION]
    sets = {"train": rows, "held_out": held_out}
    examples = {name: [e for pair in encode_rows(tokenizer, part)[0] for e in pair] for name, part in sets.items()}
    before = {name: score_examples(Scorer(reference), part, pad_id(tokenizer)) for name, part in examples.items()}
    prompts = VALIDATION if tuning else world.prompts("test")
    asked, looks = [prompts[i % 12] for i in range(1008)], []

    def look(step: int, row: dict) -> None:
        if step not in LOOKS:
            return
        found = {"step": step}
        for name, part in examples.items():
            rho = (score_examples(Scorer(policy), part, pad_id(tokenizer)) - before[name]).view(-1, 2).double()
            delta = rho[:, 0] - rho[:, 1]
            found |= {f"{name}_delta": float(delta.mean()), f"{name}_least": float(delta.min()),
                      f"{name}_most": float(delta.max()), f"{name}_right": float((delta > 0).double().mean())}  # fmt: skip
            found[f"{name}_dpo_loss"] = float(np.logaddexp(0, -strength * delta.numpy()).mean())
        drawn = sample(policy, tokenizer, asked, seed=1000 * seed + step)
        found["true_reward"] = float(np.mean([world.reward(s.prompt, s.text) for s in drawn]))
        found["kl"] = float(log_ratios(policy, reference, [s.example for s in drawn], pad_id(tokenizer)).mean())
        found["grammatical"] = float(np.mean([world.REVIEWS.is_grammatical(s.prompt, s.text) for s in drawn]))
        looks.append(found)

    options = {"dpo": "", "cdpo": f"label_smoothing={SMOOTHING}", "ipo": f"tau={strength}"}[point["loss"]]
    settings = {"loss": point["loss"], "beta": strength, "loss_options": options, "steps": STEPS, "seed": seed}
    settings["learning_rate"] = rate or best_rate(point["loss"])
    train(policy, tokenizer, rows, TrainConfig(**PRESETS["tiny"] | settings), on_step=look, progress=False)
    return {"looks": looks}


if __name__ == "__main__":
    points = [{"loss": loss, "strength": 0.3, "seed": 99, "learning_rate": r} for loss in ("dpo", "cdpo", "ipo") for r in RATES]
    points += [{"loss": loss, "strength": s, "seed": seed}
               for seed in range(8) for loss in ("dpo", "cdpo", "ipo") for s in STRENGTHS]  # fmt: skip
    print(run_study(__file__, "Few pairs, many epochs", points, run))
