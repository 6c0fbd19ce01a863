"""What a step needs at least, in floating-point operations, and what the machine can do at most.

Needed is what the mathematics asks for, whoever computes it: a prompt once for all its responses,
the head where a token is scored, attention only where a token may look, no padding, nothing
computed twice, no reference. A product of (n, k) and (k, m) is 2 n k m operations; going back
costs twice as much as going forth, once by the weights and once by the inputs.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from dpo_from_scratch.tokens import Example


@dataclass(frozen=True)
class Work:
    """What texts ask of a model: tokens read, pairs (who looks, at whom), tokens scored."""

    tokens: int
    looks: int
    scored: int

    @classmethod
    def of(cls, texts: Sequence[Example]) -> "Work":
        """Of a batch; texts that begin with the same prompt share it. The last token isn't read."""
        groups = defaultdict(list)
        for text in texts:
            groups[text.ids[: text.prompt_length]].append(text.response_length)
        tokens = looks = 0
        for prompt, lengths in groups.items():
            p, read = len(prompt), [length - 1 for length in lengths]
            tokens += p + sum(read)
            looks += p * (p + 1) // 2 + sum(r * p + r * (r + 1) // 2 for r in read)
        return cls(tokens, looks, sum(text.response_length for text in texts))

    @classmethod
    def padded(cls, texts: Sequence[Example]) -> "Work":
        """The same as padded rows: every place is read, looks at all before it, and is scored."""
        rows, width = len(texts), max(len(text.ids) for text in texts)
        return cls(rows * width, rows * width * (width + 1) // 2, rows * width)


def step_flops(model: nn.Module, work: Work) -> int:
    """Operations of forward and backward of a causal language model whose weights all learn."""
    config = model.config.get_text_config()
    width, layers = config.hidden_size, config.num_hidden_layers
    forward = 2 * matrices(model) * work.tokens
    forward += 4 * layers * _attention_width(config) * work.looks  # scores, then values
    forward += 2 * width * config.vocab_size * work.scored
    return 3 * forward


def executed_flops(model: nn.Module, texts: Sequence[Example]) -> float:
    """About what the three sides do together on a batch; only to foresee how long it takes.

    The fast path what is needed, TRL at its fastest padded rows; by default it computes the
    forward pass twice more, by the reference and when it goes back through checkpoints.
    """
    padded = step_flops(model, Work.padded(texts))
    return step_flops(model, Work.of(texts)) + padded + padded * 5 / 3


def matrices(model: nn.Module) -> int:
    """Weights of all matrices in the layers: neither embeddings nor head, biases nor norms."""
    embedded = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    return sum(
        p.numel() for p in model.base_model.parameters() if p.dim() == 2 and id(p) not in embedded
    )


def _attention_width(config) -> int:
    """Heads times their width."""
    heads = config.num_attention_heads
    return heads * (getattr(config, "head_dim", None) or config.hidden_size // heads)


def matmul_peak(dtype: torch.dtype, device: str = "cpu", seconds: float = 1.0) -> float:
    """The most operations a second that square products of this type reach here, of any size."""
    best = 0.0
    sizes = (128, 256, 512, 1024, 2048) if device == "cpu" else (4096, 8192, 16384)
    for n in sizes:
        a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
        begun = time.perf_counter()
        while time.perf_counter() - begun < seconds / len(sizes):
            taken = _seconds(lambda a=a, b=b: a @ b, device)
            best = max(best, 2 * n**3 / taken)
            if taken > seconds:
                return best  # a slow machine is known by one product
    return best


def _seconds(call, device: str) -> float:
    wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)
    wait()
    begun = time.perf_counter()
    call()
    wait()
    return time.perf_counter() - begun
