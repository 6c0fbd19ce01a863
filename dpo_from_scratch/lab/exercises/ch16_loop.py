"""Chapter 16's key cell: the loop of sDPO, read by what its models give to six texts."""

from collections.abc import Sequence
from functools import cache
from itertools import chain

import numpy as np
from torch import nn

from ... import world
from ...models import frozen_copy, load_model, pad_id
from ...scoring import log_ratios
from ...tokens import encode_rows
from ...training import PRESETS, TrainConfig, train
from . import Function, unknown


def stepwise(parts, configs, moving=True, *, bar="as told", start="last", rows="own", rate="own"):
    """The first model, and the model after each part; sDPO if the reference moves."""
    policy, tokenizer = load_model("tiny")
    stages = [frozen_copy(policy)]
    for t, (part, config) in enumerate(zip(parts, configs, strict=True)):
        if start == "first" or start == ("sDPO" if moving else "control"):
            policy = frozen_copy(stages[0]).requires_grad_(True)
        at = {
            "as told": -1 if moving else 0,
            "first": 0,
            "last": -1,
            "turned": 0 if moving else -1,
            "before last": max(t - 1, 0) if moving else 0,
            "once": min(t, 1) if moving else 0,
        }[bar]
        every = [*chain(*parts)]
        part = {
            "own": part, "all": every, "first": parts[0], "back": parts[-1 - t],
            "so far": [*chain(*parts[: t + 1])], "last": parts[-1],
        }[rows]  # fmt: skip
        config = {
            "own": config, "first": configs[0], "back": configs[-1 - t], "last": configs[-1],
        }[rate]  # fmt: skip
        train(policy, tokenizer, part, config, reference=stages[at], progress=False)
        stages.append(frozen_copy(policy))
    return stages


class Stages(Function):
    """A function that gives models; they are read as log-ratios to the shipped one."""

    @property
    def own(self):
        """The book's loop."""
        return stepwise

    def trouble(self, value, answer) -> str:
        """A word about models, not about numbers."""
        found = super().trouble(value, answer)
        asked = "a list of models is asked: the first one, then one for each part"
        return found and f"{asked}; {len(answer)} here."

    def verdict(self, gave, answers, ask):
        """A word about models where the cause isn't known."""
        said = super().verdict(gave, answers, ask)
        off = [(i, c) for i, c in enumerate(self.cases) if not self.near(gave[i], answers[i])]
        what = f"with moving = {off[0][1]['moving']} some model of the list isn't the right one."
        return unknown(what) if said.state == "unknown" else said


@cache
def _ruler():
    """The shipped model, the texts that stages are read by, and the padding."""
    model, tokenizer = load_model("tiny")
    examples, _ = encode_rows(tokenizer, world.make_pairs(3, seed=5))
    return frozen_copy(model), [e for pair in examples for e in pair], pad_id(tokenizer)


def log_ratios_of(stages):
    """A row a model, (T + 1, 6); of a single model a row; anything else as it is."""
    if isinstance(stages, nn.Module):
        return log_ratios_of([stages])[0]
    if not isinstance(stages, Sequence) or not all(isinstance(s, nn.Module) for s in stages):
        return str(type(stages))
    shipped, texts, pad = _ruler()
    return np.array([np.asarray(log_ratios(frozen_copy(s), shipped, texts, pad)) for s in stages])


_found: dict[str, np.ndarray] = {}


def read_stages(parts, configs, moving, *, kept="all", **mistakes):
    """What the loop's models give; each is trained once."""
    key = repr(([[row["chosen"] for row in part] for part in parts], configs, moving, mistakes))
    if key not in _found:
        _found[key] = log_ratios_of(stepwise(parts, configs, moving, **mistakes))
    rows = _found[key]
    return {
        "all": rows, "trained": rows[1:], "not last": rows[:-1], "last": rows[-1],
        "one": np.repeat(rows[-1:], len(rows), 0), "first and last": rows[[0, -1]],
        "one after": rows[[0] + [-1] * (len(rows) - 1)], "back": rows[::-1],
        "first twice": rows[[0, *range(len(rows))]],
        "too early": rows[[0, *range(len(rows) - 1)]], "first alone": rows[[0] * len(rows)],
        "last twice": rows[[*range(len(rows)), -1]], "first at the end": np.roll(rows, -1, 0),
    }[kept]  # fmt: skip


def _short(t: int) -> TrainConfig:
    settings = {"beta": 1.8, "learning_rate": 4e-3 / (t + 1), "steps": 1, "batch_size": 4}
    return TrainConfig(**PRESETS["tiny"] | {"seed": 0, "decay": "constant", "warmup": 0} | settings)


@cache
def _loops() -> list[dict]:
    pairs, found = world.make_pairs(12, seed=3), []
    for parts, moving in (
        ([pairs[:4], pairs[4:8], pairs[8:]], True),
        ([pairs[3:7], pairs[7:11]], False),
    ):
        configs = [_short(t) for t in range(len(parts))]
        found.append({"parts": parts, "configs": configs, "moving": moving})
    return found


class Cases(Sequence):
    """The inputs, made when they are first asked for."""

    def __getitem__(self, i):
        return _loops()[i]

    def __len__(self) -> int:
        return len(_loops())


ONE = "the models after the parts are one and the same model: keep a copy after each part,"
GOES_ON = "or training goes on in all of them."


def _alike(ask, cases) -> str:
    rows = log_ratios_of(ask(cases[0]))
    if isinstance(rows, np.ndarray) and rows.ndim == 2:
        if np.abs(rows[1:] - rows[-1]).max() < 1e-6:
            return f"{ONE} {GOES_ON}"
        if np.abs(rows[0]).max() > 1e-6:
            return "the list must begin with the first model, before any training."
    return ""


LOOP = Stages(
    read_stages,
    Cases(),
    switches={
        "bar": ("first", "with `moving` the reference must follow; yours stays the first model."),
        "start": (
            "first",
            "each part starts anew from the first model; it must go on with the last part's.",
        ),
        "kept": ("trained", "the first model, before any training, is missing in the list."),
        "rows": ("all", "each turn trains on the pairs of all parts, not on its own."),
        "rate": ("first", "each turn takes the first part's settings, not its own."),
    },
    wrongs=[  # those that train nothing of their own come first
        (f"{ONE} {GOES_ON}", lambda *a: read_stages(*a, kept="one after")),
        (f"{ONE} {GOES_ON}", lambda *a: read_stages(*a, kept="one")),
        ("the model after the last part is missing in the list.",
         lambda *a: read_stages(*a, kept="not last")),
        ("it gives the last model alone; the first and that of each part are asked.",
         lambda *a: read_stages(*a, kept="last")),
        ("it gives the first and the last model; that of each part is asked.",
         lambda *a: read_stages(*a, kept="first and last")),
        ("the list goes from the last model to the first.",
         lambda *a: read_stages(*a, kept="back")),
        ("the first model stands at the end of the list.",
         lambda *a: read_stages(*a, kept="first at the end")),
        ("the first model stands in the list twice.",
         lambda *a: read_stages(*a, kept="first twice")),
        ("the last model stands in the list twice.",
         lambda *a: read_stages(*a, kept="last twice")),
        ("a model is kept before its part's training, not after.",
         lambda *a: read_stages(*a, kept="too early")),
        ("all models are the first one: train the policy, and keep copies of it.",
         lambda *a: read_stages(*a, kept="first alone")),
        ("without `moving` the reference must stay the first model; yours moves.",
         lambda *a: read_stages(*a, bar="last")),
        ("`moving` is taken the wrong way round.", lambda *a: read_stages(*a, bar="turned")),
        ("the reference lags: it is the model of two parts ago.",
         lambda *a: read_stages(*a, bar="before last")),
        ("each turn trains on the first part.", lambda *a: read_stages(*a, rows="first")),
        ("the parts are taken from the last to the first.",
         lambda *a: read_stages(*a, rows="back")),
        ("each turn trains on all parts so far, not on its own.",
         lambda *a: read_stages(*a, rows="so far")),
        ("each turn trains on the last part.", lambda *a: read_stages(*a, rows="last")),
        ("each turn takes the last part's settings.", lambda *a: read_stages(*a, rate="last")),
        ("the reference moves once, after the first part, and then stays: it must go on.",
         lambda *a: read_stages(*a, bar="once")),
        ("without `moving` the policy starts anew in each part: only the reference stays.",
         lambda *a: read_stages(*a, start="control")),
        ("with `moving` the policy starts anew in each part: it goes on, and so does the "
         "reference.", lambda *a: read_stages(*a, start="sDPO")),
        ("the settings are taken from the last to the first.",
         lambda *a: read_stages(*a, rate="back")),
    ],
    traits=[_alike],
    shows="Each part's result is the next part's reference: that is all of sDPO.",
    rtol=1e-2,
    atol=2e-3,
    common=False,
    seconds=30.0,
    read=log_ratios_of,
)  # fmt: skip
