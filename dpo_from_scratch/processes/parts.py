"""A batch among processes: which rows are whose, and what is gathered before the loss."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..training.batches import Batch
from .group import Processes


@dataclass(frozen=True)
class Part:
    """A part of a global batch, as this process has it.

    `rows` are this process's, or one row that counts for nothing: where others have rows and this
    one has none, it must take part in the forward and backward pass all the same.
    """

    rows: Tensor
    whole: Tensor  # the rows of all processes, by rank
    counts: list[int]  # how many each has
    processes: Processes

    def of_all(
        self, batch: Batch, logps: Tensor, ref_logps: Tensor | None
    ) -> tuple[Batch, Tensor, Tensor | None]:
        """The part of all processes, by rank, from this one's: only own rows have a gradient.

        Each process then computes the loss of all rows, whatever it couples (AOT sorts them).
        """
        processes, n = self.processes, len(self.rows)
        if processes.size == 1:
            return batch, logps, ref_logps
        if logps.requires_grad:  # the engine takes the mean over processes, and the sum is wanted
            logps.register_hook(lambda gradient: gradient * processes.size)
        own = self.counts[processes.rank]
        by_row = [t.view(-1, n).T[:own] for t in (logps, batch.lengths)]
        by_row += [] if ref_logps is None else [ref_logps.view(-1, n).T[:own]]
        by_row += [] if batch.labels is None else [batch.labels[:own, None]]
        names = list(batch.counters)
        by_row += [batch.counters[name][:own, None] for name in names]
        found = [self._gathered(t) for t in by_row]
        counters = {name: found.pop().flatten() for name in reversed(names)}
        labels = None if batch.labels is None else found.pop().flatten()
        flat = [t.T.flatten() for t in found]
        everything = replace(
            batch, rows=self.whole, lengths=flat[1], labels=labels, counters=counters
        )
        return everything, flat[0], None if ref_logps is None else flat[2]

    def _gathered(self, mine: Tensor) -> Tensor:
        found = self.processes.gather(mine.double(), self.counts)
        found = [t.to(mine.dtype) for t in found]
        found[self.processes.rank] = mine  # with its gradient
        return torch.cat(found)


def parts(picked: Tensor, accumulation: int, processes: Processes) -> list[Part]:
    """A global batch as at most `accumulation` parts, of every process as many.

    `batch_size` counts the rows of all processes; each cuts its own share.
    """
    shares = picked.split(processes.counts(len(picked)))
    size = -(-len(shares[0]) // accumulation)
    number = -(-len(shares[0]) // size)
    out = []
    for at in range(number):
        each = [rows[at * size : (at + 1) * size] for rows in shares]
        mine = each[processes.rank]
        rows = mine if len(mine) else picked[:1]
        out.append(Part(rows, torch.cat(each), [len(r) for r in each], processes))
    return out
