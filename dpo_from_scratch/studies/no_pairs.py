"""Chapter 13: KTO and BCO from thumbs, balanced or not, and DPO on pairs, five seeds.

And where few thumbs are up, at rates tuned there too, and for longer. Two and a half hours on one
core.
"""

from functools import cache

from .. import world
from ..data import split_pairs
from ..lab.studies import VALIDATION, Study, Trained, train_tiny

LABELS, STEPS, LONGER = 4096, 128, 512
BETAS = (0.2, 0.6, 1.8)
RATES = (2.5e-4, 5e-4, 1e-3)
SHARES = (0.9, 0.99, 0.1)  # of thumbs up
BALANCED = [  # loss, where its rows come from
    ("dpo", "pairs"),
    ("kto", "pairs, split"),
    ("bco", "pairs, split"),
    ("kto", "thumbs"),
    ("bco", "thumbs"),
]
UNBALANCED = [
    {"loss": "kto", "source": "thumbs"},
    {"loss": "bco", "source": "thumbs"},
    {"loss": "kto", "source": "thumbs", "weighted": True},
    {"loss": "kto", "source": "thumbs, repeated"},
    {"loss": "bco", "source": "thumbs, repeated"},
]
FEW_UP = (1.25e-4, 1.25e-4, 5e-4, 2.5e-4, 2.5e-4)  # the rates that `tune_uneven` finds for these

study = Study(
    __file__,
    "Thumbs instead of pairs",
    tolerances={
        "true_reward": 0.15,  # these where there is one seed
        "kl": 0.15,
        "objective": 0.15,
        "optimum": 1e-6,  # of a run that goes too far: no seed changes it, rounding may
    },
)


def labelled(source: str, share: float, seed: int) -> list[dict]:
    """4,096 thumbs; or 2,048 pairs, whole or split into 4,096 thumbs.

    "thumbs, repeated" repeats the rarer thumb until both are as many.
    """
    if source.startswith("pairs"):
        rows = world.make_pairs(LABELS // 2, seed=4000 + seed)
        return split_pairs(rows) if source == "pairs, split" else rows
    rows = world.make_thumbs(LABELS, share, seed=4000 + seed)
    if source == "thumbs, repeated":
        rare = [row for row in rows if row["label"] == (share < 0.5)]
        rows = rows + [rare[i % len(rare)] for i in range(LABELS - 2 * len(rare))]
    return rows


def trained(rows: list[dict], loss: str, **settings) -> Trained:
    """Two epochs unless `steps` says more: a step has as many responses whatever the loss."""
    batch = 32 if loss == "dpo" else 64
    return train_tiny(rows, loss=loss, batch_size=batch, **{"steps": STEPS} | settings)


@study.points([{"loss": loss, "learning_rate": r} for loss in ("dpo", "kto", "bco") for r in RATES])
def tune(loss: str, learning_rate: float) -> dict:
    """True reward less 0.6 KL on prompts held out for this; balanced thumbs, or pairs for DPO."""
    rows = labelled("pairs" if loss == "dpo" else "thumbs", 0.5, 99)
    rows = [row for row in rows if row["prompt"] not in VALIDATION]
    found = trained(rows, loss, beta=0.6, learning_rate=learning_rate, seed=99)
    return found.quality(VALIDATION, seed=99)


@study.points([{"loss": loss, "beyond": 2 * RATES[-1]} for loss in ("dpo", "kto", "bco")])
def tune_beyond(loss: str, beyond: float) -> dict:
    """The same at twice the largest rate of the grid; `best_rate` does not look at it."""
    return tune(loss, beyond)


@study.points(
    [
        case | {"share": 0.1, "learning_rate": rate}
        for case in UNBALANCED
        for rate in (*RATES, RATES[0] / 2)  # without repair the lowest of the three was best
    ]
    + [case | {"share": 0.1, "learning_rate": RATES[0] / 4} for case in UNBALANCED[:2]]
)
def tune_uneven(
    loss: str, source: str, share: float, learning_rate: float, weighted: bool = False
) -> dict:
    """The same with 10 % up, with repairs and without; `best_rate` does not look at it."""
    rows = labelled(source, share, 99)
    rows = [row for row in rows if row["prompt"] not in VALIDATION]
    options = weights(share) if weighted else ""
    settings = {"beta": 0.6, "learning_rate": learning_rate, "seed": 99}
    return trained(rows, loss, loss_options=options, **settings).quality(VALIDATION, seed=99)


@cache
def best_rate(loss: str) -> float:
    """The learning rate that the tuning chose for a loss."""
    return study.record().best("learning_rate", loss=loss)


def weights(share: float) -> str:
    """KTO's weights for a share of thumbs up: lambda n the same for both, the larger weight 1.

    arXiv 2402.01306, eq. 8.
    """
    good, bad = ((1 - share) / share, 1.0) if share > 0.5 else (1.0, share / (1 - share))
    return f"desirable_weight={good},undesirable_weight={bad}"


@study.points(
    [
        {"loss": loss, "source": source, "share": 0.5, "beta": beta, "seed": seed}
        for seed in range(5)
        for loss, source in BALANCED
        for beta in BETAS
    ]
    + [
        case | {"share": share, "beta": 0.6, "seed": seed}
        for seed in range(5)
        for share in SHARES
        for case in UNBALANCED
    ]
    + [
        case | {"share": 0.1, "beta": 0.6, "seed": seed, "learning_rate": rate}
        for seed in range(5)
        for case, rate in zip(UNBALANCED, FEW_UP, strict=True)
    ]
    + [
        case
        | {"share": 0.1, "beta": 0.6, "seed": seed, "learning_rate": FEW_UP[0]}
        | {"steps": LONGER}  # does a low rate prevent the collapse, or put it off?
        for seed in range(5)
        for case in (*UNBALANCED[:3], UNBALANCED[4])
    ]
)
def run(
    loss: str,
    source: str,
    share: float,
    beta: float,
    seed: int,
    weighted: bool = False,
    learning_rate: float | None = None,
    steps: int = STEPS,
) -> dict:
    """All measures of a run, at its loss's best learning rate on balanced thumbs or at this one."""
    rows, options = labelled(source, share, seed), weights(share) if weighted else ""
    settings = {"beta": beta, "learning_rate": learning_rate or best_rate(loss), "seed": seed}
    settings |= {"steps": steps}
    found = trained(rows, loss, loss_options=options, **settings)
    keys = [key for key in ("kl", "delta", "reward", "accuracy") if key in found.history[-1]]
    return found.last(*keys) | found.evaluation(seed)


if __name__ == "__main__":
    study.main()
