"""Language models: the Scorer gives log-probabilities; lengths, ids, and `load_model` by name."""

import copy
import gzip
import inspect
import os
from functools import cache

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from .data import DataError, data_path
from .folders import ModelError as ModelError
from .folders import open_folder
from .logprobs import sequence_logps
from .saving import check_target, save_model, try_saving  # noqa: F401 (asked for here)
from .smollm2 import cache_folder, smollm2_folder  # noqa: F401


def load_model(
    name: str | os.PathLike = "tiny", dtype: torch.dtype = torch.float32
) -> tuple[nn.Module, PreTrainedTokenizerFast]:
    """(model in eval mode, tokenizer) of a name.

    "tiny" (shipped), "smollm2" (`make smollm2`), a folder, or any hub id such as "gpt2". A LoRA
    folder is merged into its base. Weights are read as safetensors only, and no code that a folder
    or the hub holds is run. ModelError says in one sentence what is wrong.
    """
    shipped = {"tiny": lambda: data_path("tiny"), "smollm2": smollm2_folder}
    place = shipped[name]() if name in shipped else name
    model, tokenizer = open_folder(place, dtype)
    return model.eval(), tokenizer


def gpt2_tokenizer() -> PreTrainedTokenizerFast:
    """GPT-2's own tokenizer, 50,257 tokens, from OpenAI's list of merges, which the book ships.

    Ids follow from the list: 256 bytes, those that print first, then each merge, then the end.
    """
    packed = data_path("gpt2_tokenizer/vocab.bpe.gz").read_bytes()
    lines = gzip.decompress(packed).decode("utf-8").splitlines()[1:]  # the first names a version
    merges = [tuple(line.split(" ")) for line in lines]
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = map(chr, [*printing, *range(0x100, 0x200 - len(printing))])
    tokens = [*letters, *map("".join, merges), "<|endoftext|>"]
    core = Tokenizer(BPE({token: i for i, token in enumerate(tokens)}, merges))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = dict.fromkeys(("bos_token", "eos_token", "unk_token"), tokens[-1])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, model_max_length=1024, clean_up_tokenization_spaces=False, **special
    )


class Scorer(nn.Module):
    """A language model as a map from a batch to log pi(y|x).

    All training and evaluation goes through this forward, so that what wraps a module (several
    processes, autocast) sees it. Rows may be padded on either side: positions are counted from a
    row's first real token.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, response_mask: Tensor) -> Tensor:
        """log pi(y|x), (B,), of a batch as `tokens.collate` makes it.

        input_ids, attention_mask (B, T) int64 and response_mask (B, T) bool.
        """
        at = positions(attention_mask)
        logits = read(self.model, input_ids, attention_mask, at, use_cache=False).logits
        return sequence_logps(logits, input_ids, response_mask)


def read(model: nn.Module, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, **more):
    """The model's output; positions (B, T) go only to a model that takes them.

    DataError for token ids or positions that it doesn't have.
    """
    if takes(model, "position_ids"):
        more["position_ids"] = position_ids
    try:
        return model(input_ids=input_ids, attention_mask=attention_mask, **more)
    except IndexError as error:
        raise DataError(_out_of_range(model, input_ids, position_ids)) from error


def _out_of_range(model: nn.Module, input_ids: Tensor, position_ids: Tensor) -> str:
    """What an index error of an embedding means."""
    known, largest = model.get_input_embeddings().weight.shape[0], int(input_ids.max())
    if largest >= known:
        mend = "take the model's own tokenizer, or resize_token_embeddings"
        return f"the tokenizer gives the token id {largest}, and the model has {known}: {mend}"
    length = int(position_ids.max()) + 1
    mend = f"give max_length (--max-length) {context_length(model)} or less"
    return f"a text of {length} tokens is longer than the model can read: {mend}"


def takes(model: nn.Module, name: str) -> bool:
    """Whether the model's forward has a parameter of this name, under adapters if there are any."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    names = _parameters(type(inner))
    return name in names or "input_ids" not in names  # a wrapper that hands on what it gets


@cache
def _parameters(kind: type) -> frozenset[str]:
    return frozenset(inspect.signature(kind.forward).parameters)


def positions(attention_mask: Tensor) -> Tensor:
    """Position of each token in its own row, (B, T).

    Without these GPT-2 is wrong by nats on left-padded rows.
    """
    return (attention_mask.cumsum(-1) - 1).clamp(min=0)


def frozen_copy(model: nn.Module) -> nn.Module:
    """A reference: the same weights, in eval mode, without gradients."""
    return copy.deepcopy(model).eval().requires_grad_(False)


def device_of(model: nn.Module) -> torch.device:
    """Where a model's weights are."""
    return next(model.parameters()).device


def pad_id(tokenizer) -> int:
    """The id to pad with. Masks come from lengths, so it may be the end-of-text token itself.

    The smaller of the two, since a padding token may have been added that the model doesn't have.
    """
    named = (tokenizer.pad_token_id, tokenizer.eos_token_id)
    return min((i for i in named if i is not None), default=0)


def context_length(model: nn.Module) -> int | None:
    """The most tokens that the model can read, or None where it has no such limit.

    Learned and rotary positions have one; ALiBi (arXiv 2108.12409) and state-space models have not.
    """
    config = getattr(model, "config", None)
    config = config.get_text_config() if hasattr(config, "get_text_config") else config
    found = getattr(config, "max_position_embeddings", None)
    counts = isinstance(found, int) and not isinstance(found, bool) and found > 0
    endless = getattr(config, "alibi", False) or getattr(config, "model_type", "") == "rwkv"
    return found if counts and not endless else None


def length_limit(model: nn.Module, asked: int = 0) -> int | None:
    """The most tokens of a row: the smaller of what was asked (0: nothing) and what is read.

    None where neither says a number.
    """
    known = [n for n in (asked, context_length(model)) if n]
    return min(known, default=None)
