"""What work costs: seconds, bytes that it moves, bytes that it keeps for the way back."""

import time
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Work = Callable[[], object]


def fastest(works: Mapping[str, Work], rounds: int = 3) -> dict[str, float]:
    """Seconds of each work: the least of some rounds, in which all take turns.

    Taking turns, a busy moment of the machine meets all of them; the least is what was disturbed
    least.
    """
    best = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            best[name] = min(best[name], time.perf_counter() - began)
    return best


class Traffic(TorchDispatchMode):
    """Within, counts calls of PyTorch's operators, and the bytes that they read and write.

    `calls` is an int, `bytes` an int. Views count neither. Each tensor counts whole, each time:
    what a cache remembers is not known here.
    """

    def __init__(self):
        super().__init__()
        self.calls, self.bytes = 0, 0

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        named = named or {}
        result = function(*arguments, **named)
        asked = function._schema.arguments
        given = [*arguments, *(named.get(a.name) for a in asked[len(arguments) :])]
        read = [value for a, value in zip(asked, given, strict=True) if not a.is_out]
        written = [
            value
            for a, value in zip(asked, given, strict=True)
            if a.alias_info is not None and a.alias_info.is_write
        ]
        places = {t.untyped_storage().data_ptr() for t in _tensors(given)}
        made = [t for t in _tensors([result]) if t.untyped_storage().data_ptr() not in places]
        if made or written:
            self.calls += 1
            self.bytes += sum(t.numel() * t.itemsize for t in _tensors([*read, *written, *made]))
        return result


def _tensors(values: Iterable) -> list[Tensor]:
    """The tensors among these, those in lists too."""
    found = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += _tensors(value)
    return found


def moved(work: Work) -> tuple[int, int]:
    """(bytes, calls) of a work, as `Traffic` counts them."""
    with Traffic() as traffic:
        work()
    return traffic.bytes, traffic.calls


def kept(forward: Work, weights: Iterable[Tensor]) -> int:
    """Bytes that a forward pass keeps for the backward pass, the weights aside."""
    own = {weight.untyped_storage().data_ptr() for weight in weights}
    sizes = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = forward()  # alive until it is counted, or addresses would be given out again
    return sum(size for place, size in sizes.items() if place not in own and result is not None)
