"""Chapter 00: DPO with the preset on the shipped pairs, five seeds.

About five minutes on two cores.
"""

from dataclasses import replace

from ..data import data_path, read_rows
from ..lab.studies import Study, train_tiny

SAMPLES = 2016

study = Study(
    __file__,
    "DPO with the preset on the shipped pairs",
    tolerances={"optimum": 1e-6},  # of the reference: no seed changes it, rounding may
)


@study.points([{"seed": seed} for seed in range(5)])
def run(seed: int) -> dict:
    """All measures of the shipped model and of the policy that it becomes."""
    rows, _ = read_rows(data_path("reviews_pairs_train.jsonl"))
    after = train_tiny(rows, seed=seed)
    before = replace(after, policy=after.reference)
    return {
        "before": before.evaluation(seed, samples=SAMPLES),
        "after": after.evaluation(seed, samples=SAMPLES),
    }


if __name__ == "__main__":
    study.main()
