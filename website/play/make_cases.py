"""cases.js, the runs of the page "Which bug?": recorded curves, and a pair as each score reads it.

All curves come from two studies, `gallery` (chapter 22) and `which_bug`; make.py writes the file.
"""

from functools import cache

from dpo_from_scratch import world
from dpo_from_scratch.doctor import Finding, hooks, scored_tokens
from dpo_from_scratch.lab.records import Record
from dpo_from_scratch.models import load_model
from dpo_from_scratch.studies import gallery, which_bug

OF_EVERY_RUN = ("effective_beta", "not_looked_at")  # notes that tell no run from another
CODES = {  # of the ten more: what the doctor calls the fault
    "learning rate far too low": "rate_too_low",
    "padding counted as rows": "padding_rows",
    "accumulation not divided": "accumulation",
    "padding scored": "padding_scored",
    "beta on policy only": "reference_weight",
    "no zero grad": "gradients_pile_up",
}


@cache
def pair_of(seed: int) -> list[dict]:
    """Of a run's first 32 pairs one that is long and clear, and the longest, to be padded to."""
    rows = gallery.rows_of(seed)[:32]
    words = lambda row, side: len(row[side].split())
    reward = lambda row, side: world.reward(row["prompt"], row[side])
    long = [row for row in rows if min(words(row, "chosen"), words(row, "rejected")) >= 19]
    clear = max(long, key=lambda row: reward(row, "chosen") - reward(row, "rejected"))
    longest = max(rows, key=lambda row: max(words(row, "chosen"), words(row, "rejected")))
    return [clear, longest]


def as_read(patches: list, bug: str | None, seed: int) -> dict:
    """What a score counts of one pair: texts, weights, and whether label t is token t + 1."""
    names, (model, tokenizer) = hooks.load_script(gallery.PLAIN, bug, patches), load_model("tiny")
    policy = names["prepare"](model)[0]
    seen = scored_tokens(names["score"], policy, names["collate"](pair_of(seed), tokenizer))
    return {
        "prompt": pair_of(seed)[0]["prompt"],
        "texts": [tokenizer.convert_ids_to_tokens(side.labels) for side in seen],
        "weights": [round(side.weights[0], 4) for side in seen],
        "shifted": all(side.shifted for side in seen),
    }


def findings(recorded: list[dict]) -> list[dict]:
    """A diagnosis without the notes that every run gets."""
    read = [Finding.read(plain) for plain in recorded if plain["code"] not in OF_EVERY_RUN]
    return [{"code": f.code, "level": f.level, "sure": f.sure, "seen": f.seen} for f in read]


def case(result: dict, name: str | None, code: str | None, patches: list, seed: int) -> dict:
    """One run: name and code are None for a healthy one, which may still have patches."""
    bug = name if name in hooks.BUGS[gallery.PLAIN] else None
    shown = hooks.BUGS[gallery.PLAIN][bug]["patch"] if bug else patches
    return {
        "bug": name if code else None,
        "called": name or "as it stands",
        "code": code,
        "seed": seed,
        "patch": shown,
        "curves": result["curves"],
        "log": findings(result["run"]),
        "probes": findings(result["probe"]),
        "reward": round(result["true_reward"], 2),
        "kl": round(result["kl"], 2),
        "pair": as_read(patches, bug, seed),
    }


def cases() -> list[dict]:
    """Chapter 22's fifteen kinds, the k-th with seed k modulo 3, then the ten more."""
    record, more, found = Record.load("gallery"), Record.load("which_bug"), []
    for k, bug in enumerate(gallery.BUGS):
        code = hooks.BUGS[gallery.PLAIN][bug]["code"] if bug else None
        found.append(case(record.at(bug=bug, seed=k % 3), bug, code, [], k % 3))
    for run, patches in which_bug.PATCHES.items():
        result = more.at(run=run, seed=which_bug.SEED)
        found.append(case(result, run, CODES.get(run), patches, which_bug.SEED))
    return found


def twins() -> dict:
    """The script as it stands on the same pairs, by seed: its curves and the true reward."""
    record, more = Record.load("gallery"), Record.load("which_bug")
    runs = {seed: record.at(bug=None, seed=seed) for seed in range(3)}
    runs[which_bug.SEED] = more.at(run="as it stands", seed=which_bug.SEED)
    return {
        seed: {"curves": run["curves"], "reward": round(run["true_reward"], 2)}
        for seed, run in runs.items()
    }
