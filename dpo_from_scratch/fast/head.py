"""The head, only where something is scored, and never a tensor of tokens times vocabulary.

log pi(y_t | ...) = z[y_t] - log sum_v exp z[v] with z = W h_t + b. Its gradient by h_t is
W[y_t] - sum_v p_v W[v], which needs no more than h_t: the forward pass makes it and keeps it, a
vector a token. What W gets, sum_t (onehot(y_t) - p_t) (g_t h_t)', waits for g, and computes z
again. Both go through the vocabulary in pieces that stay in a processor's cache; the sums over v
are made relative to the largest z so far (arXiv 1805.02867).
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

CHUNK, CACHED = 2**26, 2**21  # bytes of logits at a time; on a CPU, whose cache holds about that
NARROW = 512  # words at a time at least: products of less are slow


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

    def part(self, words: slice, dtype: torch.dtype) -> "Head":
        """The head of some words of the vocabulary, its weight in another type."""
        bias = None if self.bias is None else self.bias[words]
        return replace(self, weight=self.weight[words].to(dtype), bias=bias)

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


def head_logps(hidden: Tensor, head: Head, labels: Tensor, words: int | None = None) -> Tensor:
    """log pi of N scored tokens, (N,), from the hidden states (N, d) that predict them.

    float32 or wider, differentiable in hidden, weight and bias. The logits of so many `words` of
    the vocabulary are alive at a time, and as much again for their exponentials; None: of 512 or
    more, `CHUNK` bytes or on a CPU `CACHED`. Under autocast the products are made in its type.
    """
    kind = hidden.device.type
    cast = torch.is_autocast_enabled(kind) and hidden.dtype != torch.float64  # which it leaves
    dtype = torch.get_autocast_dtype(kind) if cast else hidden.dtype
    column = wide(dtype).itemsize * max(1, len(labels))
    words = words or max(NARROW, (CACHED if kind == "cpu" else CHUNK) // column)
    with torch.autocast(kind, enabled=False):
        return _HeadLogps.apply(hidden.to(dtype), head.weight, head.bias, labels, head, words)


class _HeadLogps(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, weight, bias, labels, head, words):
        sums = _Sums(hidden, slope=ctx.needs_input_grad[0])
        for part in _parts(len(weight), words):
            sums.add(head.part(part, hidden.dtype), labels - part.start)
        norm, slope = sums.norm(), None
        if ctx.needs_input_grad[0]:
            own = head.back(torch.ones_like(norm), sums.own).unsqueeze(1) * weight[labels]
            slope = (own - sums.slope / sums.total.unsqueeze(1)).to(hidden.dtype)
        ctx.head, ctx.words = replace(head, weight=None, bias=None), words
        again = (hidden, labels, norm, weight, bias)
        learns = any(ctx.needs_input_grad[1:3])
        ctx.save_for_backward(slope, *(again if learns else [None] * 5))  # frozen: done with
        return sums.own - norm

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        slope, hidden, labels, norm, weight, bias = ctx.saved_tensors
        _, weight_learns, bias_learns = ctx.needs_input_grad[:3]
        out = [None] * 6
        if slope is not None:
            out[0] = gradient.unsqueeze(1).to(slope.dtype) * slope
        if hidden is None:
            return tuple(out)
        head = replace(ctx.head, weight=weight, bias=bias)
        out[1] = torch.empty_like(weight) if weight_learns else None
        out[2] = torch.empty_like(bias) if bias_learns else None
        scaled = (gradient.unsqueeze(1) * hidden).to(hidden.dtype)
        for part in _parts(len(weight), ctx.words):
            z = head.part(part, hidden.dtype).logits(hidden)
            minus_p = (z - norm.unsqueeze(1)).exp_().neg_()
            d = head.back(_add_one(minus_p, labels - part.start), z)
            if weight_learns:
                out[1][part] = d.to(hidden.dtype).T @ scaled
            if bias_learns:
                out[2][part] = gradient @ d
        return tuple(out)


class _Sums:
    """Sums over the vocabulary, made piece by piece, of exp(z - the largest z so far)."""

    def __init__(self, hidden: Tensor, slope: bool):
        dtype = wide(hidden.dtype)
        self.hidden = hidden
        self.largest = hidden.new_full((len(hidden),), -torch.inf, dtype=dtype)  # (N,)
        self.total = torch.zeros_like(self.largest)  # of exponentials
        self.own = torch.zeros_like(self.largest)  # each label's logit
        self.slope = torch.zeros_like(hidden, dtype=dtype) if slope else None  # (N, d)

    def add(self, head: Head, labels: Tensor) -> None:
        """A piece of the vocabulary; labels (N,) count from its first word."""
        z = head.logits(self.hidden)
        at, here = _places(labels, z.shape[1])
        self.own = torch.where(here, z.gather(1, at.unsqueeze(1)).squeeze(1), self.own)
        largest = torch.maximum(self.largest, z.amax(1))
        shrink, e = (self.largest - largest).exp_(), (z - largest.unsqueeze(1)).exp_()
        self.largest, self.total = largest, self.total * shrink + e.sum(1)
        if self.slope is not None:
            part = head.back(e, z).to(self.hidden.dtype) @ head.weight
            self.slope.mul_(shrink.unsqueeze(1)).add_(part)

    def norm(self) -> Tensor:
        """log sum_v exp z[v], (N,)."""
        return self.largest + self.total.log()


def _parts(number: int, most: int) -> list[slice]:
    """Equal parts of at most so many words."""
    size = -(-number // max(1, -(-number // most)))
    return [slice(start, start + size) for start in range(0, number, size or 1)]


def _places(labels: Tensor, words: int) -> tuple[Tensor, Tensor]:
    """Where each label is in a piece of so many words, (N,), and whether it is there at all."""
    return labels.clamp(0, words - 1), (labels >= 0) & (labels < words)


def _add_one(minus_p: Tensor, labels: Tensor) -> Tensor:
    """onehot(y) - p, for the words of a piece; labels count from its first word."""
    at, here = _places(labels, minus_p.shape[1])
    return minus_p.scatter_add_(1, at.unsqueeze(1), here.unsqueeze(1).to(minus_p.dtype))
