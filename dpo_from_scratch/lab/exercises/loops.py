"""A very small model and a few pairs, on which a reader's training code is tried with care."""

import copy
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

from ...data import DataError, data_path, read_rows
from ...models import Scorer, load_model, pad_id
from ...tokens import collate, encode_rows
from . import attempts

SIZE = {"n_positions": 64, "n_embd": 16, "n_layer": 1, "n_head": 2}
SIZE |= dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)


# ---------------------------------------------------------------- the chapter's model and pairs
@cache
def tiny() -> tuple[nn.Module, object]:
    """The model and its tokenizer; nobody trains this one."""
    return load_model("tiny")


@cache
def small() -> nn.Module:
    """A model of 6,496 untrained weights that reads the same tokens: a step takes milliseconds."""
    from transformers import GPT2Config, GPT2LMHeadModel  # slow to import

    vocabulary = len(tiny()[1])
    with torch.random.fork_rng():
        torch.manual_seed(6)
        config = GPT2Config(vocab_size=vocabulary, bos_token_id=1, eos_token_id=1, **SIZE)
        model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for p in model.parameters():
            p *= 5 if p.ndim > 1 else 1
    return model


def moved(by: float = 0.03) -> nn.Module:
    """The small model, with some noise on its weights: no longer the reference."""
    policy, noise = copy.deepcopy(small()), torch.Generator().manual_seed(6)
    with torch.no_grad():
        for p in policy.parameters():
            p += by * torch.randn(p.shape, generator=noise)
    return policy


@cache
def rows(n: int) -> list[dict]:
    """The first n pairs of the chapter's file."""
    return read_rows(data_path("reviews_pairs_train.jsonl"))[0][:n]


def gather(pairs: list[dict]) -> dict[str, Tensor]:
    """A batch: the chosen texts, then the rejected ones."""
    tokenizer = tiny()[1]
    chosen, rejected = zip(*encode_rows(tokenizer, pairs)[0], strict=True)
    return collate([*chosen, *rejected], pad_id(tokenizer))


@cache
def batch_of(start: int, stop: int) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """(batch, ref_chosen, ref_rejected) of some pairs; the small model is the reference."""
    batch = gather(rows(64)[start:stop])
    with torch.no_grad():
        return batch, *Scorer(small())(**batch).chunk(2)


def flat(model: nn.Module) -> Tensor:
    """All weights in one vector."""
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def carefully(attempt: Callable, work: Callable) -> attempts.Outcome:
    """`work()`, which calls the attempt on things that it may change."""

    def tried(_):
        try:
            return (work(),)
        except DataError as error:
            return str(error)
        except Exception as error:
            return attempts.raised(attempt, error)

    out = attempts.call(tried, {"nothing": 0.0}, attempts.Clock())
    if isinstance(out.value, str):
        return attempts.Outcome(trouble=out.value)
    return out if out.trouble else attempts.Outcome(out.value[0])
