"""The two studies of SmolLM2 (chapters 19 and 20) on a GPU, at five seeds instead of three; records beside this file.

python data/results/gpu/smollm2.py              # one GPU; estimated, not measured: half an hour on an H200, 6 GB
python data/results/gpu/smollm2.py --dry-run    # two steps of everything on whatever there is, nothing is kept
"""

import json
import sys
import tempfile
from pathlib import Path

import torch

from dpo_from_scratch import rlhf
from dpo_from_scratch.records import run_study

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
import ai_feedback
import human_ratings
import zephyr

DRY = "--dry-run" in sys.argv
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def on_device(load):
    """`load_model`, with the model on the GPU."""

    def load_there(*arguments):
        model, tokenizer = load(*arguments)
        return model.to(DEVICE), tokenizer

    return load_there


def move_to_device() -> None:
    """What the studies load and the reward model's batches go to the GPU; DPO's loop does that by itself."""
    collate = rlhf.collate
    rlhf.collate = lambda *arguments: {key: value.to(DEVICE) for key, value in collate(*arguments).items()}
    for module in (ai_feedback, human_ratings, zephyr):
        module.load_model = on_device(module.load_model)


def main(folder: Path, runs: Path) -> None:
    zephyr.RUNS, human_ratings.RUNS = runs / "zephyr", runs / "human_ratings"
    human_ratings.load_record = lambda name: json.loads((folder / f"{name}.json").read_text())
    seeds = range(1 if DRY else 5)
    points = [{"rule": rule, "seed": seed} for seed in seeds for rule in ("before", *zephyr.RULES)]
    print(run_study(zephyr.__file__, "Zephyr in miniature, on a GPU", points, zephyr.run, folder))
    points = [{"arm": arm, "learning_rate": r, "seed": 99} for arm, rates in human_ratings.RATES.items() for r in rates]
    points += [{"arm": arm, "seed": seed} for seed in seeds for arm in ("before", "hard", "soft", "reward model")]
    print(run_study(human_ratings.__file__, "Real people's ratings, on a GPU", points, human_ratings.run, folder))


if __name__ == "__main__":
    move_to_device()
    if DRY:
        zephyr.ROUNDS, zephyr.STEPS, zephyr.SAMPLES, zephyr.PROMPTS = 1, 2, 4, zephyr.PROMPTS[:4]
        human_ratings.PAIRS, human_ratings.STEPS, human_ratings.SAMPLES = 8, 2, 4
        whole = human_ratings.sentences
        human_ratings.sentences = lambda split: whole(split)[:60]
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder), Path(folder))
    else:
        main(Path(__file__).parent, Path("runs/gpu"))
