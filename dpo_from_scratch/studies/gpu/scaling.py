"""GPT-2's shape, 85M parameters without its vocabulary, in the study of scaling; three seeds.

The same points, targets and rates as `studies.scaling`, on one GPU; estimated, not measured: an
hour on an H200. `--dry-run` makes a few steps of everything on whatever there is, and keeps
nothing.
"""

from pathlib import Path

from ...lab.studies import Study
from ..scaling import FULL, Setup, grid

# so far from the grammar that the first check ends the reference's training
DRY = Setup(target=1e3, every=1, texts=64, checked=12, measured=24, samples=12, pairs=64)


def made(setup: Setup) -> Study:
    """The study at this size."""
    study = Study(__file__, "The gap to the exact optimum at GPT-2's shape")
    grid(study, ["GPT-2"], setup)
    return study


study = made(FULL)


@study.dry_run
def small(folder: Path) -> Study:
    """The first point of every kind, a step or two of each training."""
    study = made(DRY)
    study.makers = [(points[:1], make) for points, make in study.makers]
    return study


if __name__ == "__main__":
    study.main()
