"""Dropout inside LoRA adapters: noise in the policy's training scores alone, as PEFT has it.

It is switched off while the rest is examined, which can then be exact, and told as a note.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from .alone import SHARED
from .case import Case

HIGHEST = 0.1  # what is usual; more noise than that is a problem


@contextlib.contextmanager
def quiet_adapters(case: Case) -> Iterator[None]:
    """Small dropouts of adapters do nothing inside, and when they were on is told at the end."""
    dropouts = _dropouts(case.policy) | _dropouts(case.reference)
    rates = {module: module.p for module in dropouts}
    on: list[tuple[str, str, bool]] = []  # which, while what ran, with gradients or without

    def note(module, args):
        if module.training:
            told = f"the adapter's dropout {dropouts[module]} of {rates[module]:g}"
            on.append((told, case.asking, torch.is_grad_enabled()))

    handles = [module.register_forward_pre_hook(note) for module in dropouts]
    for module in dropouts:
        module.p = 0.0
    try:
        yield
    finally:
        for module, rate in rates.items():
            module.p = rate
        for handle in handles:
            handle.remove()
    _tell(case, on)


def _dropouts(model: nn.Module | None) -> dict[nn.Module, str]:
    named = model.named_modules() if model is not None else ()
    kind = nn.modules.dropout._DropoutNd
    return {
        module: name
        for name, module in named
        if isinstance(module, kind) and "lora" in name.lower() and 0 < module.p <= HIGHEST
    }


def _tell(case: Case, on: list[tuple[str, str, bool]]) -> None:
    inside = [told for told, asking, grad in on if asking == "reference"]
    inside += [told for told, asking, grad in on if asking == "step" and not grad]
    if inside and not case.has(*SHARED):
        case.add("dropout", f"{inside[0]} is on while the reference is scored")
    elif on and not case.has("dropout"):
        told = f"{on[0][0]} is on: the policy is scored with some noise, the reference without"
        case.add("dropout", f"{told} (usual with LoRA, and off in the rest of this)", level="note")
