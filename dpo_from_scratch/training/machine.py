"""How much memory a machine has, and how much of it is free; None where nobody says."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch

NO_LIMIT = 1 << 60  # what control groups of version 1 say where there is none is a little less
GROUPS = "/sys/fs/cgroup"
FILES = {  # of a control group, version 2 and 1: its limit, what it uses, what of that are files
    "": ("memory.max", "memory.current", ("inactive_file", "active_file")),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_cache",)),
}


def memory_of(device: torch.device) -> tuple[int | None, int | None]:
    """(total, free) bytes of a GPU; or of the machine, and of the control group we are in.

    A container has a control group, and a batch system's job too. Free is what may still be taken.
    Where torchrun has started several processes here, each has its part of a CPU's memory.
    """
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return total, free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(
            device
        )
    if device.type != "cpu":
        return None, None
    found = [_machine(), *groups()]
    totals, frees = ([n for n in column if n is not None] for column in zip(*found, strict=True))
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun's processes on this machine
    return tuple(min(n) // here if n else None for n in (totals, frees))


def _machine() -> tuple[int | None, int | None]:
    """Of the whole machine: Linux says both, other Unixes what there is in all."""
    total = free = None
    with suppress(AttributeError, OSError, ValueError):  # Windows has no sysconf
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = 1024 * next(int(w.split()[1]) for w in lines if w.startswith("MemAvailable"))
    return total, free


def groups(root: str = GROUPS, own: str = "/proc/self/cgroup") -> Iterator[tuple[int, int | None]]:
    """(limit, free) of each control group around this process that has a limit."""
    lines = []
    with suppress(OSError):
        lines = Path(own).read_text(encoding="utf-8").splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        kind = "memory" if controllers else ""
        top = Path(root) / kind
        here = top / path.lstrip("/")
        for folder in (here, *here.parents):
            yield from _limit(folder, *FILES[kind])
            if folder == top:
                break


def _limit(
    folder: Path, most: str, used: str, files: tuple[str, ...]
) -> Iterator[tuple[int, int | None]]:
    with suppress(OSError, ValueError):  # "max" is no number, and no limit
        limit = int((folder / most).read_text(encoding="ascii"))
        if limit >= NO_LIMIT:
            return
        free = None
        with suppress(OSError, ValueError):
            stat = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
            pairs = dict(line.split() for line in stat)
            cached = sum(int(pairs.get(name, 0)) for name in files)  # given back when asked for
            free = limit - int((folder / used).read_text(encoding="ascii")) + cached
        yield limit, free
