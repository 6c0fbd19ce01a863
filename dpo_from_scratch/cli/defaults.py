"""What applies where an option is not given, in words, for `--help`; none of it loads torch."""

from collections import Counter
from dataclasses import Field

from ..training.presets import PRESETS

# for help and completion: every loss with its own beta or, where it has none, the factor of the
# reward columns; a test holds this equal to losses.LOSSES, which is the source and needs torch
LOSS_BETAS = {
    "dpo": 0.1,
    "cdpo": 0.1,
    "robust_dpo": 0.1,
    "ipo": 0.1,
    "hinge": 0.1,
    "exo": 0.1,
    "nca": 0.01,
    "apo_zero": 0.1,
    "apo_down": 0.1,
    "sppo": 0.001,
    "bco_pair": 0.1,
    "dno": 0.1,
    "soft_dpo": 0.1,
    "dpop": 0.3,
    "r_dpo": 0.1,
    "length_normalized_dpo": 5.0,
    "f_dpo": 0.1,
    "chi_po": 0.1,
    "discopop": 0.05,
    "aot": 0.01,
    "simpo": 2.0,
    "orpo": 0.1,
    "cpo": 0.1,
    "kto": 0.1,
    "bco": 0.1,
    "sft": 0.1,
}
# what a preset has for the book's last digits costs a large file, so no preset sets it here
QUICK = {"score_all": False}
# what a loss wants, whatever the preset says: AOT sorts the pairs of a whole batch
LOSS_SETTINGS = {"aot": {"accumulation": 1}}


def in_force(setting: Field, own: dict) -> str:
    """The value of a setting that is not given: one for all presets, or one for each.

    `own` are the command's own values, which stand before those of a preset that nobody named.
    """
    if setting.name == "beta":
        return f"default: {_betas()}"
    by_preset = {p: (PRESETS[p] | QUICK).get(setting.name, setting.default) for p in PRESETS}
    told = {p: _shown(value) for p, value in by_preset.items()}
    one = len(set(told.values())) == 1
    words = next(iter(told.values())) if one else _listed(told)
    if setting.name in own:
        return f"default: {_shown(own[setting.name])}; with --preset: {words}"
    return f"default: {words}" if one else f"default, by preset: {words}"


def _betas() -> str:
    """Losses whose number is the same in all presets and not the usual one, then each preset's."""
    numbers = {p: LOSS_BETAS | dict(PRESETS[p].get("beta") or {}) for p in PRESETS}
    same = {n: b for n, b in LOSS_BETAS.items() if all(t[n] == b for t in numbers.values())}
    rest = {p: {n: b for n, b in t.items() if n not in same} for p, t in numbers.items()}
    by_preset = ", ".join(f"{p} {_most(table)}" for p, table in rest.items())
    return f"{_listed(same)}; for every other loss, by preset: {by_preset}"


def _most(table: dict[str, float]) -> str:
    """The number that most have, and in parentheses those that have another."""
    usual = Counter(table.values()).most_common(1)[0][0]
    others = {name: number for name, number in table.items() if number != usual}
    return f"{usual:g}" + (f" ({_listed(others)})" if others else "")


def _listed(table: dict) -> str:
    return ", ".join(f"{name} {_shown(value)}" for name, value in table.items())


def _shown(value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return (value or "none") if isinstance(value, str) else f"{value:g}"
