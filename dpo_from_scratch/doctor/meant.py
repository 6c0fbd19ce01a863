"""What may be meant: means over tokens, and a prompt that both sides score. The loss tells."""

from dataclasses import replace

from .case import Case

LARGE = 1.0  # a beta that is usual for means over tokens; for sums it is about 0.01 to 0.6


def weigh(case: Case) -> None:
    """Findings that the measured loss makes harmless are notes, and say why."""
    if "mean" in case.found and case.own_means is not None:
        _weigh_mean(case)
    sums = case.own_means is None and not case.has("weights")
    if "prompt_scored" in case.found and case.cancels and case.margin_alone and sums:
        told = "the same on both sides: it cancels, as the loss depends on their difference alone"
        _note(case, "prompt_scored", told)


def _weigh_mean(case: Case) -> None:
    if not case.own_means and case.has("batch_dependence", "left_padding"):
        mean = case.found.pop("mean")  # by the width of a batch: that is the cause
        for code in ("batch_dependence", "left_padding"):
            if code in case.found:
                told = f"{mean.seen}; {case.found[code].seen}"
                case.found[code] = replace(case.found[code], seen=told)
        return
    why = _means_are_meant(case) if case.own_means else None
    if why:
        _note(case, "mean", why)
    else:  # a fault without doubt goes first
        case.found["mean"] = case.found.pop("mean")


def _means_are_meant(case: Case) -> str | None:
    """Why means over tokens may be on purpose, None if they aren't."""
    plain = case.found.get("no_reference")
    if plain and plain.level == "note":
        return "as SimPO does on purpose, without a reference"
    if case.kind == "parabola":
        return "as IPO is often used, on purpose"
    if case.beta is not None:
        return f"meant, as it seems by the beta of {case.beta:.3g}" if case.beta >= LARGE else None
    return "whether that is meant can't be told from a loss that is not DPO's, or wasn't given"


def _note(case: Case, code: str, why: str) -> None:
    old = case.found[code]
    case.found[code] = replace(old, level="note", seen=f"{old.seen} ({why})")
