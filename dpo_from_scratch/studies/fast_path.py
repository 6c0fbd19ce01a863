"""Chapter 21: 200 steps with and without the fast path, every loss, three seeds, in pairs.

A seed draws pairs, their order and the samples; the two runs of a seed differ in `plain` alone.
Claim: the mean difference of held-out loss and of true reward is less than half the standard
deviation between seeds. Every loss has the strength in the middle of its grid in chapter 18. Beside
them LoRA, and a run that was stopped after step 110 and goes on from its checkpoint. Batches of 8
pairs, for time's sake. Fifty minutes on one core.
"""

import tempfile
from dataclasses import dataclass

import numpy as np
import torch

from .. import world
from ..data import data_path, read_rows, split_pairs
from ..lab.records import Record
from ..lab.studies import Study, Trained
from ..losses import LOSSES
from ..models import Scorer, frozen_copy, load_model, pad_id
from ..scoring import score_pairs
from ..training import PRESETS, TrainConfig, train
from ..training.batches import prepare
from ..training.metrics import loss_and_metrics
from ..training.whole_batch import mismatched_kl
from .tournament import GRIDS, settings, trials

STEPS, PAIRS, BATCH, SEEDS = 200, 800, 8, range(3)  # two passes
EVERY, STOPPED = 50, 110  # steps between checkpoints, and after which the resumed run is stopped
WAYS = {"plain": PRESETS["tiny"], "fast": PRESETS["tiny"] | {"plain": False, "precision": "auto"}}
RUNS = {  # settings beside the loss's own
    "whole": {},
    "LoRA": {"lora_rank": 8, "learning_rate": 2e-3},
    "resumed": {"save_every": EVERY},
}
ARMS = [  # DPO's three beside each other, then every other loss
    *[("whole", "dpo"), ("resumed", "dpo"), ("LoRA", "dpo"), ("LoRA", "kto")],
    *[("whole", loss) for loss in LOSSES if loss != "dpo"],
]
FIGURES = ("held_out_loss", "true_reward")

study = Study(
    __file__,
    "200 steps with and without the fast path",
    tolerances={"held_out_loss": 0.05, "true_reward": 0.15, "kl": 0.15, "objective": 0.15},
)


def rows_for(loss: str, pairs: list[dict]) -> list[dict]:
    """Pairs as a loss takes them: a thumb for each side, or the chosen text alone, for SFT."""
    if LOSSES[loss].needs == "texts":
        return [{"prompt": row["prompt"], "completion": row["chosen"]} for row in pairs]
    return split_pairs(pairs) if LOSSES[loss].needs == "labels" else pairs


def config_of(run: str, loss: str, way: str, seed: int) -> TrainConfig:
    """The settings of a run: two thumbs count as one pair."""
    own = settings(loss, trials(loss)[2]) if loss in GRIDS else {"loss": loss}
    size = BATCH * (1 + (LOSSES[loss].needs == "labels"))
    given = {"steps": STEPS, "batch_size": size, "seed": seed} | RUNS[run]
    return TrainConfig(**WAYS[way] | own | given)


class Cut(KeyboardInterrupt):
    """Somebody stops the run."""


def trained(run: str, loss: str, way: str, seed: int) -> tuple[Trained, TrainConfig]:
    """The shipped model after a run; "resumed" was stopped and went on."""
    rows = rows_for(loss, world.make_pairs(PAIRS, seed=12_000 + seed))
    (policy, tokenizer), config = load_model("tiny"), config_of(run, loss, way, seed)
    work, reference = (policy, tokenizer, rows, config), frozen_copy(policy)
    if run != "resumed":
        return Trained(policy, reference, tokenizer, train(*work, progress=False)), config

    def cut(step: int, row: dict) -> None:
        if step == STOPPED:
            raise Cut

    with tempfile.TemporaryDirectory() as folder:
        try:
            train(*work, folder, on_step=cut, progress=False)
        except Cut:
            policy, _ = load_model("tiny")
        history = train(policy, *work[1:], folder, resume=True, progress=False)
    return Trained(policy, reference, tokenizer, history), config


@torch.no_grad()
def held_out_loss(found: Trained, config: TrainConfig) -> float:
    """The mean loss on the shipped test pairs as one batch, both ways by the plain Scorer.

    KTO's KL is measured on the test rows in a drawn order; BCO's delta is that of the last step.
    """
    tests, _ = read_rows(data_path("reviews_pairs_test.jsonl"))
    data = prepare(found.tokenizer, rows_for(config.loss, tests), config, found.policy)
    batch, pad = data.batch(torch.arange(len(data)), "cpu"), pad_id(found.tokenizer)
    policy, reference = Scorer(found.policy), Scorer(found.reference)
    numbers = {"delta": found.history[-1].get("delta")}
    if "kl" in LOSSES[config.loss].inputs:
        order = np.random.default_rng(0).permutation(len(data))
        mixed = [data.examples[i][0] for i in order]
        numbers["kl"] = mismatched_kl(policy, reference, mixed, pad, data.limit)
    examples = list(data.examples.values())
    ours, theirs = (score_pairs(m, examples, pad).T.flatten() for m in (policy, reference))
    losses, _ = loss_and_metrics(config, ours, theirs, batch.lengths, batch.labels, **numbers)
    return float(losses.mean())


@study.points(
    [
        {"run": run, "loss": loss, "seed": seed, "way": way}
        for run, loss in ARMS
        for seed in SEEDS
        for way in WAYS
    ]
)
def measured(run: str, loss: str, seed: int, way: str) -> dict:
    """Held-out loss, and true reward, KL and objective of samples."""
    found, config = trained(run, loss, way, seed)
    loss_now = {"held_out_loss": held_out_loss(found, config)}
    return loss_now | found.quality(world.prompts("test"), seed=seed)


@dataclass(frozen=True)
class Paired:
    """A figure of S seeds, both ways."""

    run: str
    loss: str
    figure: str
    plain: np.ndarray  # (S,)
    fast: np.ndarray  # (S,)

    @property
    def difference(self) -> float:
        """Mean of fast less plain, seed by seed."""
        return float((self.fast - self.plain).mean())

    @property
    def between_seeds(self) -> float:
        """Standard deviation over the seeds of the plain runs."""
        return float(self.plain.std(ddof=1))

    @property
    def share(self) -> float:
        """The size of the mean difference in standard deviations between seeds."""
        return abs(self.difference) / self.between_seeds


def both_ways(record: Record, run: str, loss: str, figure: str) -> Paired | None:
    """A figure of an arm; None where a seed is missing."""
    found = [np.array(record.values(figure, run=run, loss=loss, way=way)) for way in WAYS]
    whole = all(len(values) == len(SEEDS) for values in found)
    return Paired(run, loss, figure, *found) if whole else None


def in_pairs(record: Record) -> list[Paired]:
    """Every arm whose seeds are all in the record, both ways, figure by figure."""
    found = [both_ways(record, *arm, figure) for arm in ARMS for figure in FIGURES]
    return [paired for paired in found if paired]


if __name__ == "__main__":
    study.main()
