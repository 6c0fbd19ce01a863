"""Make the files that the book ships again.

`python data/make.py` makes pairs and thumbs, with `--tiny` the tiny model too.
"""

import argparse
import hashlib
from pathlib import Path

from dpo_from_scratch import world
from dpo_from_scratch.data import write_rows
from dpo_from_scratch.models import save_model
from dpo_from_scratch.training import PRESETS, TrainConfig, train
from dpo_from_scratch.world.tiny import new_tiny_model, review_tokenizer

# file -> (function, arguments); a test makes them again
SHIPPED = {
    "reviews_pairs_train.jsonl": (world.make_pairs, {"n": 8192, "split": "train", "seed": 11}),
    "reviews_pairs_test.jsonl": (world.make_pairs, {"n": 768, "split": "test", "seed": 12}),
    "reviews_thumbs.jsonl": (world.make_thumbs, {"n": 4096, "split": "train", "seed": 13}),
}


def sha256(path: Path) -> str:
    """The checksum that the data card states."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def train_tiny(folder: Path) -> None:
    """The shipped reference: one epoch over fresh samples of the grammar, training prompts only."""
    config, tokenizer = TrainConfig(**PRESETS["tiny-sft"]), review_tokenizer()
    model = new_tiny_model(tokenizer)
    rows = world.make_texts(config.steps * config.batch_size, split="train", seed=1)
    train(model, tokenizer, rows, config)
    save_model(model, tokenizer, folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--tiny",
        action="store_true",
        help="train the tiny model too (about 20 minutes on one core)",
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name, (make, arguments) in SHIPPED.items():
        write_rows(options.out / name, make(**arguments))
    if options.tiny:
        train_tiny(options.out / "tiny")
    for path in sorted(options.out.glob("*.jsonl")) + sorted((options.out / "tiny").glob("*")):
        print(f"{sha256(path)}  {path.relative_to(options.out)}")
