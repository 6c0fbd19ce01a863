"""What a checkpoint holds: all state that decides the future, with checksums, and no pickle.

A folder with the trained weights and the optimizer's moments (state.safetensors, in more files
where a file would be too large), and state.json: numbers such as BCO's delta, and a checksum of
each file.
"""

import hashlib
import json
import os
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..processes.shard import slice_like, whole

MOMENTS = ("step", "exp_avg", "exp_avg_sq")
MOST = 2**30  # bytes of a file: some file systems take no more than 4 GiB


def write_state(folder: Path, tensors: dict[str, Tensor], notes: dict) -> None:
    """Write tensors and numbers into a folder that is there, safe from a power cut."""
    sums = {}
    for number, part in enumerate(_parts(tensors, _most_bytes()), start=1):
        path = folder / ("state.safetensors" if number == 1 else f"state-{number}.safetensors")
        save_file(part, path)
        sums[path.name] = checksum(path)
    text = json.dumps(notes | {"sha256": sums}, indent=2) + "\n"
    (folder / "state.json").write_text(text, encoding="utf-8")
    for path in folder.iterdir():
        sync(path)
    sync(folder)


def read_state(folder: Path) -> tuple[dict[str, Tensor], dict]:
    """What `write_state` wrote; ValueError says what is wrong with it."""
    notes, tensors = _read_notes(folder), {}
    for name, expected in notes["sha256"].items():
        if expected and checksum(folder / name) != expected:
            raise ValueError(f"{name} is not what was written: its checksum is another one")
        tensors |= load_file(folder / name)
    if "random_state" not in tensors:
        raise ValueError("it holds no random state")
    return tensors, notes


def _read_notes(folder: Path) -> dict:
    """state.json; a version that wrote none yet had one file and no checksum."""
    try:
        notes = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"sha256": {"state.safetensors": None}}
    sums = notes.get("sha256") if isinstance(notes, dict) else None
    if not isinstance(sums, dict) or "state.safetensors" not in sums:
        raise ValueError("state.json is not what was written")
    return notes


def state_of(
    model: nn.Module, optimizer: torch.optim.Optimizer, moments: bool = True, keep: bool = True
) -> dict[str, Tensor]:
    """Trainable weights and their AdamW moments under their names, and the random state.

    Where several processes have slices of them, each must ask; who doesn't `keep` gets nothing.
    """
    out, all_of = {"random_state": torch.get_rng_state()}, {}
    for name, p in trainable(model).items():
        found = optimizer.state.get(p, {}) if moments else {}
        out[f"weight.{name}"] = p
        out |= {f"{key}.{name}": found[key] for key in MOMENTS if key in found}
    for key, value in out.items():
        tensor = whole(value.detach())
        all_of |= {key: tensor.cpu().clone().contiguous()} if keep else {}
    return all_of


@torch.no_grad()
def put_back(
    tensors: dict[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer, moments: bool
) -> None:
    """Load what `state_of` took; ValueError says what does not fit.

    `moments` says that there must be some.
    """
    if moments and not any(key.startswith("exp_avg.") for key in tensors):
        raise ValueError("it holds no moments of the optimizer")
    for name, p in trainable(model).items():
        found = {key: tensors[f"{key}.{name}"] for key in MOMENTS if f"{key}.{name}" in tensors}
        weight = tensors.get(f"weight.{name}")
        if weight is None or weight.shape != p.shape or len(found) not in (0, len(MOMENTS)):
            raise ValueError(f"{name} is missing, or incomplete")
        p.copy_(slice_like(weight, p))
        for key, value in found.items():
            here = key == "step" and not optimizer.defaults.get("fused")
            optimizer.state[p][key] = value if here else _placed(key, value, p)
    torch.set_rng_state(tensors["random_state"])


def _placed(key: str, value: Tensor, p: Tensor) -> Tensor:
    """A moment where its weight is, and sliced as that is; the step is a number."""
    return value.to(p.device) if key == "step" else slice_like(value, p)


def trainable(model: nn.Module) -> dict[str, Tensor]:
    """The weights that are trained, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def not_finite(tensors: dict[str, Tensor]) -> str | None:
    """The name of the first tensor that holds nan or inf."""
    floats = (name for name, t in tensors.items() if t.is_floating_point())
    finite = lambda tensor: bool(torch.isfinite(whole(tensor)).all())
    return next((name for name in floats if not finite(tensors[name])), None)


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Have the system write a file, or a folder's list of names, to the disk now."""
    if path.is_dir() and os.name == "nt":
        return  # Windows can't
    number = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _most_bytes() -> int:
    """The largest file to write: half of what the system lets this process write."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return MOST
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return MOST if limit == resource.RLIM_INFINITY else min(MOST, limit // 2)


def _parts(tensors: dict[str, Tensor], most: int):
    """The tensors in order, as dictionaries of at most so many bytes, or of one tensor."""
    part, size = {}, 0
    for name, tensor in tensors.items():
        if part and size + tensor.nbytes > most:
            yield part
            part, size = {}, 0
        part[name] = tensor
        size += tensor.nbytes
    yield part
