"""The playground's page "Which bug?": ten runs that chapter 22's gallery lacks, with their seed.

Five minutes on one core. Four runs are healthy, six have faults that strangers wrote down or that
logs are known for. Runs and seed were chosen before any was trained.
"""

import json

from ..data import data_path
from ..doctor import hooks
from ..lab.studies import Study
from .gallery import PLAIN, probe, rows_of, trained

SEED = 5
BETA, RATE = "BETA = 0.6", "LEARNING_RATE = 5e-4"
HEALTHY = {  # patches of the plain loop, as in data/gallery/bugs.json
    "as it stands": [],
    "beta 0.35": [[BETA, "BETA = 0.35"]],
    "beta 2": [[BETA, "BETA = 2.0"]],
    "learning rate halved": [[RATE, "LEARNING_RATE = 2.5e-4"]],
}


def _from(name: str, *bugs: str) -> dict:
    """Patches from a file of data/gallery."""
    known = json.loads((data_path("gallery") / name).read_text(encoding="utf-8"))
    known = known.get(PLAIN, known)
    return {bug: known[bug]["patch"] for bug in bugs}


BROKEN = {
    "learning rate far too low": [[RATE, "LEARNING_RATE = 5e-7"]],
    **_from("logs.json", "padding counted as rows", "accumulation not divided"),
    **_from("strangers.json", "padding scored", "beta on policy only", "no zero grad"),
}
PATCHES = HEALTHY | BROKEN

study = Study(__file__, "Ten more runs for the page Which bug?")


@study.points([{"run": run, "seed": SEED} for run in PATCHES])
def trained_run(run: str, seed: int) -> dict:
    """The plain loop with these patches: both diagnoses, its curves, and what became of it."""
    rows, names = rows_of(seed), hooks.load_script(PLAIN, None, PATCHES[run])
    found = probe(PLAIN, names, rows)["probe"]
    return {"probe": found} | trained(names, rows, seed)


if __name__ == "__main__":
    study.main()
