"""Who takes part, and what the processes tell each other: shares, gathered rows, one answer."""

import os
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from accelerate import PartialState
from torch import Tensor

from ..data import DataError
from . import several
from .watch import Watch


@dataclass(frozen=True)
class Processes:
    """One process of `size`; by itself it is the first, and asks nobody."""

    rank: int = 0
    size: int = 1
    device: torch.device | None = None
    watch: Watch | None = None

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and prints."""
        return self.rank == 0

    def counts(self, number: int) -> list[int]:
        """How many of `number` rows each process takes: as equal as can be, the first ones more."""
        return [number // self.size + (rank < number % self.size) for rank in range(self.size)]

    def share(self, number: int) -> slice:
        """Which of `number` rows are this process's; it may be none."""
        counts = self.counts(number)
        start = sum(counts[: self.rank])
        return slice(start, start + counts[self.rank])

    def gather(self, mine: Tensor, counts: list[int]) -> list[Tensor]:
        """What every process holds, (counts[rank], ...) each, by rank; no gradient passes."""
        if self.size == 1:
            return [mine]
        padded = mine.new_zeros((max(counts), *mine.shape[1:]), device=self.device)
        padded[: len(mine)] = mine.detach()
        found = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(found, padded)
        return [t[:n].to(mine.device) for t, n in zip(found, counts, strict=True)]

    def every(self, mine: list) -> list:
        """The lists of all processes as one, by rank; what is in them travels as objects."""
        if self.size == 1:
            return mine
        found: list = [None] * self.size
        dist.all_gather_object(found, mine)
        return [one for of_rank in found for one in of_rank]

    def most(self, number: int) -> int:
        """The largest of the processes' numbers."""
        if self.size == 1:
            return number
        own = torch.tensor([number], device=self.device or "cpu")
        return int(torch.cat(self.gather(own, [1] * self.size)).max())

    def from_first(self, call: Callable):
        """What `call` gives in the first process, for all; its error is everybody's error.

        The answer is small: it travels as an object. It may take hours: the others wait for the
        word that it is there, and only then for the answer, which has a limit of minutes.
        """
        if self.size == 1:
            return call()
        answer, error = None, None
        if self.first:
            try:
                answer = call()
            except Exception as caught:
                error = caught
        self.watch.wait_for_first()
        told = [answer, str(error) if error else None]
        dist.broadcast_object_list(told, src=0, device=self.device)
        if error:
            raise error
        if told[1] is not None:
            raise DataError(told[1])
        return told[0]


ALONE = Processes()
_joined: list[Processes] = []


def here() -> Processes:
    """This process among those that it has joined; alone until then."""
    return _joined[0] if _joined else ALONE


def device() -> torch.device:
    """Where this process computes what is no training: on its GPU, else on the CPU.

    ACCELERATE_USE_CPU keeps it off a GPU, as it keeps training.
    """
    gpu = torch.cuda.is_available() and not _keeps_off_gpus()
    return here().device or torch.device("cuda" if gpu else "cpu")


def _keeps_off_gpus() -> bool:
    return os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true")


def join() -> Processes:
    """Meet the other processes that the launcher has started; once, and before anything is written.

    DataError where there are fewer GPUs than processes, or where Accelerate counts otherwise than
    the launcher: each would then be alone, and all write into one folder.
    """
    if _joined or not several():
        return here()
    size = int(os.environ["WORLD_SIZE"])
    cpu = not torch.accelerator.is_available() or _keeps_off_gpus()
    local = int(os.environ.get("LOCAL_WORLD_SIZE", size))
    if not cpu and torch.accelerator.device_count() < local:
        there = torch.accelerator.device_count()
        told = f"{local} processes were started and this machine has {there} GPUs"
        raise DataError(f"{told}: start as many as there are (--nproc-per-node {there})")
    state = PartialState(cpu=cpu)
    if state.num_processes != size:
        told = f"the launcher started {size} processes and Accelerate counts {state.num_processes}"
        raise DataError(f"{told}: start them with torchrun, and make no Accelerator beforehand")
    watch = Watch(state.process_index, size)
    _joined.append(Processes(state.process_index, size, state.device, watch))
    return here()


def leave() -> None:
    """All have done their work, and part; to be called by every process."""
    if _joined:
        dist.barrier()
        _joined.pop().watch.end()
        dist.destroy_process_group()
