"""The head, only where something is scored, and never a tensor of tokens times vocabulary.

log pi(y_t | ...) = z[y_t] - log sum_v exp z[v] with z = W h_t + b. Its gradient by h_t is
W[y_t] - sum_v p_v W[v], which needs no more than h_t: the forward pass makes it and keeps it, a
vector a token. What W gets, sum_t g_t (onehot(y_t) - p_t) h_t', waits for g, and computes z again.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

CHUNK = 2**26  # bytes of logits at a time


@dataclass(frozen=True)
class Head:
    """z = cap(scale * (h W' + b)), cap(x) = softcap tanh(x / softcap), of a language model."""

    weight: Tensor  # (V, d)
    bias: Tensor | None = None  # (V,)
    scale: float = 1.0
    softcap: float | None = None

    def logits(self, hidden: Tensor) -> Tensor:
        """z, (N, V), of hidden states (N, d) of the weight's type; float32 or wider."""
        z = (hidden @ self.weight.T).to(wide(hidden.dtype))
        if self.bias is not None:
            z += self.bias
        if self.scale != 1.0:
            z *= self.scale
        return z if self.softcap is None else z.div_(self.softcap).tanh_().mul_(self.softcap)

    def back(self, gradient: Tensor, logits: Tensor) -> Tensor:
        """The gradient by h W' + b, from that by z; `gradient` is written over."""
        if self.softcap is not None:
            gradient *= 1 - (logits / self.softcap) ** 2
        return gradient.mul_(self.scale) if self.scale != 1.0 else gradient


def wide(dtype: torch.dtype) -> torch.dtype:
    """What sums are made in: float32, or the type itself where it is wider."""
    return torch.promote_types(dtype, torch.float32)


def body_of(model: nn.Module) -> nn.Module | None:
    """What lies below the head of a Hugging Face language model, or None if it isn't known.

    `base_model`, but where a family names its parts otherwise (Gemma 3 in transformers 4) `model`.
    """
    base = getattr(model, "base_model", model)
    return base if base is not model else getattr(model, "model", None)


def head_of(model: nn.Module) -> Head:
    """The head of a Hugging Face language model; what its configuration does to logits included.

    A bias, a scale (Cohere keeps it in the model; Granite divides) and a soft cap (Gemma 2).
    """
    linear, config = model.get_output_embeddings(), model.config.get_text_config()
    scale = (getattr(model, "logit_scale", None) or 1.0) / (
        getattr(config, "logits_scaling", None) or 1.0
    )
    softcap = getattr(config, "final_logit_softcapping", None)
    return Head(linear.weight, getattr(linear, "bias", None), scale, softcap)


def head_logps(hidden: Tensor, head: Head, labels: Tensor, chunk: int = CHUNK) -> Tensor:
    """log pi of N scored tokens, (N,), from the hidden states (N, d) that predict them.

    float32 or wider, differentiable in hidden, weight and bias. At most `chunk` bytes of logits
    are alive at a time. Under autocast the products are made in autocast's type.
    """
    kind = hidden.device.type
    cast = torch.is_autocast_enabled(kind) and hidden.dtype != torch.float64  # which it leaves
    dtype = torch.get_autocast_dtype(kind) if cast else hidden.dtype
    rows = max(1, chunk // (wide(dtype).itemsize * head.weight.shape[0]))
    with torch.autocast(kind, enabled=False):
        return _HeadLogps.apply(hidden.to(dtype), head.weight, head.bias, labels, head, rows)


class _HeadLogps(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, weight, bias, labels, head, rows):
        head = replace(head, weight=weight.to(hidden.dtype))
        logps = torch.empty(len(labels), dtype=wide(hidden.dtype), device=hidden.device)
        slope = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        for part in _parts(len(labels), rows):
            z = head.logits(hidden[part])
            norm = z.logsumexp(1)
            logps[part] = z.gather(1, labels[part].unsqueeze(1)).squeeze(1) - norm
            if slope is not None:
                d = _by_logits(head, z, norm, labels[part])
                slope[part] = d.to(hidden.dtype) @ head.weight
        ctx.head, ctx.rows = replace(head, weight=None, bias=None), rows
        again = (hidden, labels, weight, bias) if any(ctx.needs_input_grad[1:3]) else [None] * 4
        ctx.save_for_backward(slope, *again)  # a frozen head is done with
        return logps

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        slope, hidden, labels, weight, bias = ctx.saved_tensors
        _, weight_learns, bias_learns = ctx.needs_input_grad[:3]
        out = [None] * 6
        if slope is not None:
            out[0] = gradient.unsqueeze(1).to(slope.dtype) * slope
        if hidden is None:
            return tuple(out)
        head = replace(ctx.head, weight=weight.to(hidden.dtype), bias=bias)
        out[1] = torch.zeros_like(weight) if weight_learns else None
        out[2] = torch.zeros_like(bias) if bias_learns else None
        for part in _parts(len(labels), ctx.rows):
            z = head.logits(hidden[part])
            d = _by_logits(head, z, z.logsumexp(1), labels[part])
            d *= gradient[part].unsqueeze(1)
            if weight_learns:
                _add_product(out[1], d.to(hidden.dtype), hidden[part])
            if bias_learns:
                out[2] += d.sum(0)
        return tuple(out)


def _parts(number: int, most: int) -> list[slice]:
    """Equal parts of at most so many rows."""
    size = -(-number // max(1, -(-number // most)))
    return [slice(start, start + size) for start in range(0, number, size or 1)]


def _by_logits(head: Head, z: Tensor, norm: Tensor, labels: Tensor) -> Tensor:
    """onehot(y) - p, (N, V), through scale and cap; z is written over where there is no cap."""
    kept = z if head.softcap is None else z.clone()
    d = z.sub_(norm.unsqueeze(1)).exp_().neg_()
    d[torch.arange(len(labels), device=d.device), labels] += 1
    return head.back(d, kept)


def _add_product(total: Tensor, d: Tensor, hidden: Tensor) -> None:
    """total += d' hidden."""
    if hidden.dtype == total.dtype:
        total.addmm_(d.T, hidden)
    else:
        total += d.T @ hidden
