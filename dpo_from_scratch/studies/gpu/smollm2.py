"""The two studies of SmolLM2 (chapters 19 and 20) on a GPU, at five seeds instead of three.

On one GPU; estimated, not measured: half an hour on an H200, 6 GB. `--dry-run` makes two steps of
everything on whatever there is, and keeps nothing. Needs `make smollm2 ratings`.
"""

from functools import partial
from pathlib import Path

import torch

from ...feedback import PROMPTS
from ...lab.studies import Study
from .. import human_ratings, zephyr

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RUNS = Path("runs/gpu")
SEEDS = range(5)


def made(seeds: range, runs: Path, recipe: dict, people: dict) -> Study:
    """The points of both studies; `recipe` and `people` are what differs from their setups."""
    study = Study(
        __file__,
        "Zephyr in miniature and real people's ratings, on a GPU",
        tolerances=human_ratings.study.tolerances,
    )
    of_recipe = zephyr.Setup(runs=runs / "zephyr", device=DEVICE, **recipe)
    of_people = human_ratings.Setup(
        runs=runs / "human_ratings", device=DEVICE, tuned=study, **people
    )

    def add(make, setup, points: list[dict]) -> None:
        study.points(points)(partial(make, setup=setup))

    rates = human_ratings.RATES.items()
    tuned = [{"arm": arm, "learning_rate": rate, "seed": 99} for arm, own in rates for rate in own]
    each = lambda key, names: [{key: name, "seed": seed} for seed in seeds for name in names]
    add(zephyr.untouched, of_recipe, each("rule", ("before",)))
    add(zephyr.run, of_recipe, each("rule", zephyr.RULES))
    add(human_ratings.tune, of_people, tuned)
    add(human_ratings.untouched, of_people, each("arm", ("before",)))
    add(human_ratings.run, of_people, each("arm", human_ratings.ARMS))
    return study


study = made(SEEDS, RUNS, {}, {})


@study.dry_run
def small(folder: Path) -> Study:
    """One seed, two steps of each training, four samples."""
    size = {"steps": 2, "samples": 4}
    recipe = size | {"rounds": 1, "prompts": tuple(PROMPTS[:4])}
    return made(range(1), folder, recipe, size | {"pairs": 8, "most": 60})


if __name__ == "__main__":
    study.main()
