"""Chapter 06: a healthy run, one with twenty times the learning rate, and one on swapped pairs.

Three seeds each. Five minutes.
"""

from dataclasses import asdict

from ..data import data_path, read_rows
from ..lab.evaluation import evaluate_reviews
from ..lab.studies import Study, train_tiny
from ..training import PRESETS

SETTINGS = {
    "healthy": {},
    "high": {"learning_rate": 20 * PRESETS["tiny"]["learning_rate"]},
    "swapped": {},
}

study = Study(
    __file__,
    "A healthy run and two that are not",
    tolerances={"optimum": 1e-6},  # of a run that goes too far: no seed changes it, rounding may
)


@study.points([{"run": name, "seed": seed} for name in SETTINGS for seed in range(3)])
def measured(run: str, seed: int) -> dict:
    """The last batches and all measures of a run of 64 steps on 2,048 pairs."""
    rows, _ = read_rows(data_path("reviews_pairs_train.jsonl"))
    tests, _ = read_rows(data_path("reviews_pairs_test.jsonl"))
    rows = rows[:2048]
    if run == "swapped":
        rows = [row | {"chosen": row["rejected"], "rejected": row["chosen"]} for row in rows]
    found = train_tiny(rows, **{"steps": 64, "seed": seed} | SETTINGS[run])
    measures = evaluate_reviews(
        found.policy, found.reference, found.tokenizer, tests[:200], samples=1008, seed=seed
    )
    return found.last("loss", "accuracy", "margin", steps=16) | asdict(measures)


if __name__ == "__main__":
    study.main()
