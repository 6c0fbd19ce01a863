"""A run's folder for several processes: the first has it, the others hear what it says."""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from ..data import DataError
from ..training.checkpoints import put_back, read_state, state_of
from ..training.folders import ELSEWHERE, checkpoints
from ..training.no_run import NoRun
from ..training.runs import RunFolder
from .group import Processes, here
from .shard import is_sharded


class SharedRun:
    """In place of a RunFolder where there are several processes; `opened` gives the first its own.

    The other processes read what is written, so all must see the folder.
    """

    where, how_to_go_on, take = RunFolder.where, RunFolder.how_to_go_on, RunFolder.take

    def __init__(self, folder: str | Path, processes: Processes, opened: Callable[[], RunFolder]):
        self.folder, self.processes, self.run = Path(folder), processes, None
        self.metrics = self.folder / "metrics.jsonl"
        self.finished = processes.from_first(lambda: self._open(opened))
        if not self.folder.is_dir():
            raise DataError(f"rank {processes.rank} doesn't see {folder}: name one that all see")
        processes.watch.going_on = f"{folder} goes on with --resume, with any number of processes"

    def _open(self, opened: Callable[[], RunFolder]) -> bool:
        self.run = opened()
        return self.run.finished

    def __enter__(self) -> "SharedRun":
        return self

    def __exit__(self, *error) -> None:
        if self.run:
            self.run.close()

    def __getattr__(self, name: str) -> Callable:
        """What else a RunFolder does, the first process does it, and all get its answer."""
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *given: self.processes.from_first(lambda: getattr(self.run, name)(*given))

    def log(self, row: dict) -> None:
        """One step's metrics, which are the same in every process."""
        if self.run:
            self.run.log(row)

    def save(self, step, model, optimizer, notes=None, last=False) -> None:
        """A checkpoint; where weights are slices, every process hands in its own."""
        if self.run is None and is_sharded(model):
            state_of(model, optimizer, moments=not last, keep=False)
        self.processes.from_first(lambda: self.run.save(step, model, optimizer, notes, last))

    def restore(self, model: nn.Module, optimizer) -> tuple[int, list[dict], dict]:
        """The last checkpoint, in every process."""
        found = self.processes.from_first(lambda: self.run.restore(model, optimizer))
        if self.run is None and found[0]:
            tensors, _ = read_state(checkpoints(self.folder)[-1])
            put_back(tensors, model, optimizer, moments=False)
        return found


def open_run(
    folder: str | Path | None,
    settings: dict,
    begun_with: Callable[[], dict[str, str]],
    resume: bool,
    overwrite: bool,
    model: str = "model",
) -> RunFolder | SharedRun | NoRun:
    """The folder of a run, or what stands in its place where none is wanted.

    `model` is the last thing that the run writes.
    """
    if folder is None:
        return NoRun()
    if not str(folder).strip():
        raise DataError(f"the run's folder has no name (an unset variable?): {ELSEWHERE}")
    opened = lambda: RunFolder(folder, settings, begun_with(), resume, overwrite, model)
    return opened() if here().size == 1 else SharedRun(folder, here(), opened)
