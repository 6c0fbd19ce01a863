"""What memory a run will take, before it begins: a table, a warning, or a refusal that helps.

    weights + reference + moments of AdamW + gradients + activations + head

A run takes most where a batch is gone through, or where AdamW's step or a checkpoint needs copies.
Activations are what autograd saves of the layers, the head is logits of every token, or chunks of
them, and their gradients. They are counted, not assumed (see `played.py`), for the part of a batch
that is the largest of the run's own rows. A CPU keeps what autograd lets go (glibc's malloc gives
small blocks back to nobody), so there gradients come on top of activations. On a GPU they replace
each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import nlargest

import numpy as np
from torch import Tensor, nn

from ..data import DataError
from ..losses import LOSSES
from ..models import device_of, pad_id
from ..tokens import Example, collate, fit
from .batches import TrainingData
from .machine import memory_of
from .played import Living, Rows, play, played
from .settings import TrainConfig, pick_rows

HOLES = {True: 0.75, False: 0.4}  # of a CPU, with adapters, plain or fast: see `_batch`
LIBRARIES = 60 * 10**6  # bytes of what is loaded on the way
STEPS = 1000  # at which batches are looked at, spread over the run
PARTS = (
    "weights",
    "reference",
    "optimizer",
    "gradients",
    "activations",
    "head",
    "copies",
    "libraries",
)


@dataclass(frozen=True)
class Need:
    """What a run takes: for each of its moments the bytes of each part."""

    moments: dict[str, dict[str, int]]

    @property
    def worst(self) -> str:
        """The moment that takes most."""
        return max(self.moments, key=lambda name: sum(self.moments[name].values()))

    @property
    def at_worst(self) -> dict[str, int]:
        """The parts of that moment."""
        return self.moments[self.worst]

    @property
    def total(self) -> int:
        """Bytes at that moment."""
        return sum(self.at_worst.values())

    @property
    def biggest(self) -> str:
        """The part that takes most of them."""
        return max(self.at_worst, key=self.at_worst.get)

    def __str__(self) -> str:
        """A table: a line for each part, a column for each moment, MB."""
        names = [part for part in PARTS if any(m.get(part) for m in self.moments.values())]
        columns = [[name, *(m.get(p, 0) for p in names)] for name, m in self.moments.items()]
        columns = [[*column, sum(column[1:])] for column in columns]
        lines = []
        for i, name in enumerate(["MB", *names, "in all"]):
            cells = (c[i] if i == 0 else f"{c[i] / 1e6:,.0f}" for c in columns)
            lines.append(f"{name:<12}" + "".join(f"{cell:>14}" for cell in cells))
        return "\n".join(lines)


def memory_needed(
    model: nn.Module,
    data: TrainingData,
    config: TrainConfig,
    reference: nn.Module | None = None,
    saves: bool = True,
) -> Need:
    """What training `model` on these rows will take, by part and moment, in bytes.

    `saves` says that there is a folder to write to. Less the weights it was from 8 % below to 11 %
    above what a CPU took (glibc, one thread, `make memory-check`) for the shapes of SmolLM2-135M
    and GPT-2: plain and fast, all weights and adapters, in one part and several, float32 and bf16.
    Nothing is promised below 200 MB. On a GPU it is to be `torch.cuda.max_memory_allocated`, what
    lives at the worst moment, and was not measured.
    """
    gpu, loss = device_of(model).type == "cuda", LOSSES[config.loss]
    part, first = (laid_out(e, model, data, config) for e in largest_of(data, config))
    with played(model, config.lora_rank) as twin:
        learns = [p for p in twin.parameters() if p.requires_grad]
        trained, largest = bytes_of(learns), max(map(nbytes, learns))
        weights = {"weights": bytes_of(twin.parameters())}
        if "reference" in loss.inputs:
            copied = config.live_reference or "kl" in loss.inputs
            other = bytes_of(reference.parameters()) if reference is not None else 0
            weights["reference"] = other + copied * (other or weights["weights"])
        step, scoring = play(twin, part, config), play(twin, first, config, learns=False)
    rest = weights | {"optimizer": 2 * trained}
    moments = {"a step": rest | _batch(step, trained, gpu, config)}
    if "reference" in loss.inputs:
        kept = rest if config.live_reference or "kl" in loss.inputs else weights
        moments["scoring"] = kept | _parts(scoring.at_most)
    passing = 0 if not config.plain else trained if gpu else 2 * largest  # of AdamW's own step
    moments["its update"] = rest | {"gradients": trained, "copies": passing}
    if saves and not gpu:
        copies = trained * (3 if 0 < config.save_every < config.steps else 1)
        moments["a checkpoint"] = rest | {"copies": copies}
    return Need(moments)


def _batch(step: Living, trained: int, gpu: bool, config: TrainConfig) -> dict[str, int]:
    """Activations, head and gradients of a step: at its worst moment, or what stays of them.

    On a CPU what was let go stays with the process in part, as measured there: of head and
    gradients, which do not live at the same time, half of the smaller; holes between the small
    tensors that adapters save, a share of the activations; and where a batch has parts, what the
    first left (gradients lie in its holes), as much again, with adapters half.
    """
    if gpu:
        return _parts(step.at_most)
    head, layers = step.largest["head"], step.largest["activations"]
    times = 1.0 + (HOLES[config.plain] if config.lora_rank else 0)
    times += (0.5 if config.lora_rank else 1) if config.accumulation > 1 else 0
    found = {"activations": int(times * layers)}
    smaller = "head" if head < trained else "gradients"
    found |= {"head": head, "gradients": trained, "libraries": LIBRARIES}
    return found | {smaller: found[smaller] // 2}


def _parts(living: dict[str, int]) -> dict[str, int]:
    """What lived, under the names of the table."""
    return {
        "activations": living["activations"],
        "head": living["head"],
        "gradients": living["gradients"] + living["passing"],
    }


def nbytes(tensor: Tensor) -> int:
    """The bytes of a tensor, which may have no numbers."""
    return tensor.numel() * tensor.element_size()


def bytes_of(tensors) -> int:
    """The bytes of several, a shared one once."""
    return sum(nbytes(t) for t in {id(t): t for t in tensors}.values())


# ---------------------------------------------------------------- the largest part of a batch
def largest_of(data: TrainingData, config: TrainConfig) -> tuple[list[Example], list[Example]]:
    """The part of a batch that has most to read, and the first batch that the reference scores.

    The former of `STEPS` batches spread over the run; the latter are the longest responses of all,
    as `scoring.score_examples` takes them.
    """
    cost = (lambda found: max(found) * len(found)) if config.plain else sum
    best: list[int] = []
    most = 0
    for step in np.unique(np.linspace(0, config.steps - 1, STEPS).astype(int)).tolist():
        for part in pick_rows(step, len(data), config).chunk(config.accumulation):
            found = cost([len(e.ids) for i in part.tolist() for e in data.examples[i]])
            if found > most:
                best, most = part.tolist(), found
    size = max(1, min(64, 4096 // max(len(e.ids) for e in data.longest)))
    flat = (example for row in data.examples.values() for example in row)
    first = nlargest(size, flat, key=lambda e: len(e.ids))
    return [e for i in best for e in data.examples[i]], first


def laid_out(examples: list[Example], model: nn.Module, data: TrainingData, config) -> Rows:
    """How these lie before the model: padded rows, or those of the fast path."""
    batch = collate(examples, pad_id(data.tokenizer))
    number, width = batch["input_ids"].shape
    scored = int(batch["response_mask"].sum())
    padded = Rows(number, width, scored, bool((batch["attention_mask"] == 0).any()))
    if config.plain:
        return padded
    from ..fast import allowed, lay_out, reach_of  # the core needs it for nothing else

    tricks, _ = allowed(model, max(len(e.ids) for e in data.longest))
    if not (tricks.share or tricks.pack):
        return padded
    layout = lay_out(**batch, share=tricks.share, pack=tricks.pack, reach=reach_of(model))
    return Rows(*layout.input_ids.shape, scored)


# ---------------------------------------------------------------- before the run
def look_at_memory(
    model: nn.Module,
    data: TrainingData,
    config: TrainConfig,
    reference: nn.Module | None,
    run_folder,
    force: bool,
) -> list[str]:
    """A sentence where the run needs more than is free; DataError where it is more than there is.

    With `force` the latter is a sentence too. Where nobody says what there is, or little is needed,
    nothing is said.
    """
    total, free = memory_of(device_of(model))
    if total is None or most_needed(model, data, config, reference) < min(total, free or total):
        return []
    try:
        need = memory_needed(model, data, config, reference, run_folder is not None)
    except Exception:  # a model of other people's code that can't be gone through without numbers
        return []
    there = sum(nbytes(p) for m in (model, reference) if m is not None for p in m.parameters())
    part = f"{gigabytes(need.at_worst[need.biggest])} of {need.biggest}"
    told = f"this run needs about {gigabytes(need.total)} ({part})"
    if need.total > total:
        told = f"{told}, and this machine has {gigabytes(total)}"
        if not force:
            mend = what_fits(model, data, config, reference, run_folder is not None, total)
            raise DataError(f"{told}: {mend} (--force goes on all the same)")
    elif free is None or need.total - there <= free:
        return []
    else:
        told = f"{told}, and {gigabytes(free)} are free beside the {gigabytes(there)} of its model"
    return [told]


def most_needed(model, data: TrainingData, config: TrainConfig, reference) -> float:
    """More bytes than any run of these takes, by a formula: most runs need no closer look.

    All weights with gradients, moments and copies; 80 vectors of a token's width in each layer, all
    rows of a batch padded; logits five times over. 0 for a model that says nothing of itself.
    """
    if not hasattr(model, "config"):
        return 0
    shape = model.config.get_text_config()
    longest = max(len(e.ids) for e in data.longest)
    tokens = longest * max(2 * config.batch_size, 64)
    layers = 4 * 80 * shape.hidden_size * shape.num_hidden_layers * tokens
    head = 4 * 5 * shape.vocab_size * tokens
    weights = sum(nbytes(p) for m in (model, reference) if m is not None for p in m.parameters())
    return 10 * weights + layers + head


def what_fits(model, data, config, reference, saves: bool, total: int) -> str:
    """The first change of settings with which a run takes less than there is, computed."""
    for change, shorter in changes(config, data):
        changed = replace(config, **change)
        need = memory_needed(model, shorter, changed, reference, saves)
        if need.total <= total:
            told = " ".join(f"--{k.replace('_', '-')} {v}" for k, v in change.items())
            return f"{told} would take {gigabytes(need.total)}"
    return "no setting makes it fit, so take a smaller model"


def changes(config: TrainConfig, data: TrainingData) -> Iterator[tuple[dict, TrainingData]]:
    """Settings that take less, and the rows under them, the mildest first.

    Parts of a batch; adapters; both; and then shorter rows too, down to the longest response.
    """
    most = config.batch_size if config.loss != "aot" else 1
    parts = [config.accumulation]
    while parts[-1] < most:
        parts.append(min(2 * parts[-1], most))
    lora = {} if config.lora_rank else {"lora_rank": 8}
    options = [{"accumulation": n} for n in parts[1:]]
    options += [lora, *({"accumulation": n} | lora for n in parts[1:])] if lora else []
    yield from ((change, data) for change in options)
    examples = [e for row in data.examples.values() for e in row]
    length, least = (
        max(len(e.ids) for e in examples) // 2,
        max(e.response_length for e in examples),
    )
    while length > least:
        change = {"accumulation": parts[-1]} | lora | {"max_length": length}
        yield change, shortened(data, length)
        length //= 2


def shortened(data: TrainingData, length: int) -> TrainingData:
    """The same rows with so many tokens at most."""
    cut = {i: tuple(fit(list(row), length)) for i, row in data.examples.items()}
    return replace(data, examples=cut, limit=length)


def gigabytes(number: int) -> str:
    """Bytes in GB, two digits."""
    return f"{number / 1e9:.3g} GB"
