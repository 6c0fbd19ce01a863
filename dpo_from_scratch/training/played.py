"""A step played on tensors without content: every byte that would live is counted, none is taken.

PyTorch's fake tensors have shapes and no numbers, so a model is built from its configuration and
gone through, forwards and backwards, in a second, whatever its size. What autograd would save, the
head's logits or chunks, gradients and what lives for a moment on the way are seen as they come and
go: the operations are the run's own, so no formula has to know the architecture.
"""

import copy
import weakref
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..logprobs import token_logps
from .lora import add_lora
from .settings import TrainConfig


@dataclass(frozen=True)
class Rows:
    """A part of a batch as the model reads it: R rows of W tokens, N of them scored."""

    rows: int
    width: int
    scored: int
    padded: bool = True  # whether a mask is needed


class Living(TorchDispatchMode):
    """Counts the bytes of the tensors that are made within and still live, by the `tag` of then.

    `at_most` is the count when the sum was largest, `largest` the most of each tag.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.tag, self.now, self.at_most, self.largest = "", Counter(), Counter(), Counter()
        self.known = {
            id(t.untyped_storage()): None for t in (*model.parameters(), *model.buffers())
        }

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._see(tensor.untyped_storage())
        if func.overloadpacket is torch.ops.aten.logsumexp:  # exponentials, inside one operation
            self._look(args[0].untyped_storage().nbytes())
        return out

    def _see(self, storage) -> None:
        key = id(storage)
        if key not in self.known:
            size, tag = storage.nbytes(), self.tag
            self.known[key] = [weakref.ref(storage, lambda _: self._gone(key)), size, tag]
            self.now[tag] += size
            self._look()

    def _gone(self, key: int) -> None:
        _, size, tag = self.known.pop(key)
        self.now[tag] -= size

    def _look(self, more: int = 0) -> None:
        now = self.now + Counter({self.tag: more})
        self.largest |= now
        if now.total() > self.at_most.total():
            self.at_most = now

    def move(self, tensor: Tensor, tag: str) -> None:
        """From now on a tensor's bytes count elsewhere."""
        found = self.known.get(id(tensor.untyped_storage()))
        if found:
            self.now[found[2]] -= found[1]
            self.now[tag] += found[1]
            found[2] = tag


def play(twin: nn.Module, rows: Rows, config: TrainConfig, learns: bool = True) -> Living:
    """A part of a batch, there and back; two where a batch has more, so that gradients are there.

    Without `learns` it is scored only.
    """
    from ..fast.scorer import inner  # the core needs it for nothing else

    living, half = Living(twin), config.precision in ("bf16", "fp16")
    hooks = []
    for p in twin.parameters() if learns else ():
        p.grad = None
        if p.requires_grad:
            note = lambda p: living.move(p.grad, "gradients")
            hooks.append(p.register_post_accumulate_grad_hook(note))
    with living, torch.set_grad_enabled(learns):
        for _ in range(2 if learns and config.accumulation > 1 else 1):
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                logps = _logps(living, inner(twin), rows, config.plain)
            if learns:
                logps.sum().backward()
            del logps
    for hook in hooks:
        hook.remove()
    return living


def _logps(living: Living, model: nn.Module, rows: Rows, plain: bool) -> Tensor:
    """Log-probabilities of the rows' tokens, the plain or the fast way."""
    from ..fast import head_logps, head_of
    from ..fast.scorer import as_bias, hidden_states

    living.tag = "activations"
    ids = torch.zeros(rows.rows, rows.width, dtype=torch.long, device="cpu")
    sees = torch.ones(*ids.shape, rows.width, dtype=torch.bool, device="cpu")
    mask = (sees.unsqueeze(1) if rows.padded else None) if plain else as_bias(sees, model)
    hidden = hidden_states(model, ids, mask, ids)
    living.tag = "head"
    if hidden.requires_grad:
        hidden.register_hook(lambda gradient: setattr(living, "tag", "passing"))
    if plain:
        return token_logps(model.get_output_embeddings()(hidden), ids)
    places = torch.zeros(rows.scored, dtype=torch.long, device="cpu")
    return head_logps(hidden.flatten(0, 1)[places], head_of(model), places)


@contextmanager
def played(model: nn.Module, lora_rank: int = 0):
    """A twin of a Hugging Face model without numbers, in which all that is made is as empty.

    With adapters where a rank is given. Outside of the `with` it is of no use.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(next(model.parameters()).dtype)
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            twin = type(model)(copy.deepcopy(model.config)).eval()
            twin = add_lora(twin, lora_rank) if lora_rank else twin
    finally:
        torch.set_default_dtype(before)
    with FakeTensorMode():
        _empty(twin)
        yield twin


def _empty(model: nn.Module) -> None:
    """Parameters and buffers as fake tensors of a CPU; those that are tied stay so."""
    known: dict[int, Tensor] = {}
    for module in model.modules():
        for found in (module._parameters, module._buffers):
            for name, tensor in found.items():
                if tensor is None:
                    continue
                made = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
                if isinstance(tensor, nn.Parameter):
                    made = nn.Parameter(made, tensor.requires_grad)
                found[name] = known.setdefault(id(tensor), made)
