"""Many responses drawn by several processes, each its share, and put together in their order."""

from torch import nn

from ..sampling import Sample, sample
from .group import here


def sample_shared(
    model: nn.Module, tokenizer, prompts: list, *, stream: str = "row", **how
) -> list[Sample]:
    """As `sampling.sample`, the same in every process; `how` are its other options.

    A draw belongs to its row, so the texts are those of one process. With `stream="batch"` it
    belongs to the whole call, and the first process makes it.
    """
    processes = here()
    if processes.size == 1 or stream == "batch":
        draw = lambda: sample(model, tokenizer, prompts, stream=stream, **how)
        return processes.from_first(draw)
    mine = processes.share(len(prompts))
    rows = range(len(prompts))[mine]
    how["progress"] = how.get("progress", False) and processes.first
    return processes.every(sample(model, tokenizer, prompts[mine], rows=rows, **how))
