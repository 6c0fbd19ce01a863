"""What a run began with, in words: all that decides its result besides the settings.

The one list is `begun_with`; config.json holds it, and a run that goes on is compared with it.
"""

from collections.abc import Iterable
from hashlib import sha256

from torch import Tensor, nn

from .batches import TrainingData

LABELS = ("label", "probability")  # the keys of a row that say who wins
HINTS = {  # what to think of where this alone has changed
    "tokens of the rows": "the rows are the same, so the tokenizer is another one, or its chat "
    "template writes the date or the time"
}


def begun_with(
    rows: list[dict], data: TrainingData, model: nn.Module, reference: nn.Module | None
) -> dict[str, str]:
    """Name -> short hash of everything that decides a result besides the settings.

    The rows and their labels as they were given, the tokens of those that the run will use, the
    weights at the beginning, and the reference where it is another model.
    """
    texts = ({k: v for k, v in row.items() if k not in LABELS} for row in rows)
    labels = ([row.get(key) for key in LABELS] for row in rows)
    other = reference is not None
    return {
        "rows": fingerprint(texts),
        "labels of the rows": fingerprint(labels),
        "tokens of the rows": fingerprint(data.examples.items()),
        "starting model": fingerprint(model.parameters()),
        "reference": fingerprint(reference.parameters()) if other else "the starting model",
    }


def fingerprint(parts: Iterable[object]) -> str:
    """A short hash of data or weights, to tell whether they are the same again."""
    digest = sha256()
    for part in parts:
        tensor = isinstance(part, Tensor)
        whole = part.detach().cpu().float().numpy().tobytes() if tensor else repr(part).encode()
        digest.update(whole)
    return digest.hexdigest()[:16]


def differences(before: dict, settings: dict, begun: dict[str, str]) -> list[str]:
    """What is other than config.json says, a phrase each.

    A version that did not write something yet has nothing to compare it with.
    """
    # how often a run is saved doesn't decide where it ends, and how it computes goes on as begun
    free = {"save_every", "begun_with", "plain", "shard"}
    free |= {"precision"} if settings.get("precision") == "auto" else set()
    same = free | {k for k in settings if k not in before or before[k] == settings[k]}
    changed = sorted(settings.keys() - same)
    first = [
        k for k in changed if k not in ("options", "reward_factor")
    ]  # these follow from others
    out = [f"{k} was {before[k]!r} and is {settings[k]!r}" for k in first or changed]
    then = before.get("begun_with") or {}
    other = [name for name in begun if name in then and then[name] != begun[name]]
    if other:
        hint = f" ({HINTS[other[0]]})" if len(other) == 1 and other[0] in HINTS else ""
        verb = "is" if other in (["reference"], ["starting model"]) else "are"
        out.append(f"{' and '.join(other)} {verb} not what the run began with{hint}")
    return out
