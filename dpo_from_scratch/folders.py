"""Model folders, as Hugging Face writes them: opened with suspicion, saved with care.

Weights are safetensors, never pickle; no code that lies in a folder or on the hub is run. What is
missing, damaged or not a number is a ModelError before anything is trained on it.
"""

import json
import os
import re
import warnings
from contextlib import contextmanager
from pathlib import Path

import torch
import transformers
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

JSON_FILES = (  # those that a library reads, some of them without a word where they are broken
    *("config.json", "generation_config.json", "adapter_config.json"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    "model.safetensors.index.json",
)
# masks and frequencies that older versions kept among the weights, and newer ones compute
COMPUTED = re.compile(r"(rotary_emb\.inv_freq|attn\.(masked_)?bias|(^|\.)position_ids)$")
AGAIN = "copy the folder again from where it comes"


class ModelError(ValueError):
    """A model that can't be loaded or saved; the message says what to do."""


def open_folder(
    place: str | os.PathLike, dtype: torch.dtype = torch.float32
) -> tuple[nn.Module, PreTrainedTokenizerFast]:
    """(model, tokenizer) of a folder or a hub id; a LoRA folder is merged into its base.

    ModelError names the file or the tensor that is wrong.
    """
    path = Path(place)
    if (path / "adapter_config.json").is_file():
        return merged(path, dtype)
    if path.exists():
        _check_files(path)
    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
            model, told = AutoModelForCausalLM.from_pretrained(
                place,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are told below, by name
            )
    except Exception as error:  # a folder is other people's: what fails may fail in any way
        raise _not_loaded(place, error) from error
    _check_tensors(place, model, told)
    _check_tokenizer(place, model, tokenizer)
    return model, tokenizer


def _not_loaded(place, error: Exception) -> ModelError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no reason"]
    if Path(place).exists() or not isinstance(error, OSError | ValueError | ImportError):
        name = "" if isinstance(error, OSError | ValueError) else f"{type(error).__name__}: "
        return ModelError(f"{place}: can't be loaded ({name}{' '.join(lines[:2])[:300]})")
    offline = os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0")
    check = "check the spelling and the network"
    cause = "HF_HUB_OFFLINE is set: unset it" if offline else check
    told = f"{str(place)!r} is no folder here, and could not be fetched from the Hugging Face hub"
    return ModelError(f'{told} ({cause}); "tiny" needs neither')


@contextmanager
def _quiet():
    """No table of missing tensors from transformers: one sentence tells of them."""
    before = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.set_verbosity(max(before, transformers.logging.ERROR))
    try:
        yield
    finally:
        transformers.utils.logging.set_verbosity(before)


# ---------------------------------------------------------------- what may be wrong with one
def _check_files(path: Path) -> None:
    """The small files, before any library reads them."""
    if not (path / "config.json").is_file():
        give = "give a folder that save_pretrained wrote"
        raise ModelError(f"{path}: is there, but holds no config.json; {give}")
    for name in JSON_FILES:
        if (path / name).exists():
            read_json(path / name)
    older = any((path / name).exists() for name in ("vocab.json", "tokenizer.model"))
    alone = (path / "tokenizer.json").exists() and not older
    if alone and not (path / "tokenizer_config.json").exists():
        lost = "tokenizer_config.json is missing, so nothing says which token ends a text"
        raise ModelError(f"{path}: {lost}; {AGAIN}")


def read_json(path: Path) -> dict:
    """The object in a JSON file of a model folder; ModelError names the file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: can't be read ({error}); {AGAIN}") from None
    if not isinstance(found, dict):
        raise ModelError(f"{path}: holds a JSON {type(found).__name__}, not an object; {AGAIN}")
    return found


def _check_tensors(place, model: nn.Module, told: dict) -> None:
    """Every tensor of the model was in the folder, in its shape, and is finite; none was left."""
    if getattr(model, "_hf_peft_config_loaded", False):
        mend = "download it, and give its folder, so that it is merged into its base first"
        raise ModelError(f"{place}: is a LoRA adapter on the hub; {mend}")
    for key in sorted(told.get("mismatched_keys") or (), key=str):
        name, *shapes = key if isinstance(key, tuple) else (key,)  # transformers 4 tells no shapes
        shown = ["x".join(map(str, shape)) for shape in shapes]
        says = "has another shape than its configuration says"
        if shown:
            says = f"has the shape {shown[0]}, and its configuration says {shown[1]}"
        raise ModelError(f"{place}: the tensor {name!r} {says}; {AGAIN}")
    lost = sorted(told.get("missing_keys") or ())
    left = sorted(k for k in told.get("unexpected_keys") or () if not COMPUTED.search(k))
    for names, what in (
        (lost, "is missing from its weights, and would be random"),
        (left, "is among its weights, and its configuration has no place for it"),
    ):
        if names:
            more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            raise ModelError(f"{place}: the tensor {names[0]!r} {what}{more}; {AGAIN}")
    check_finite(place, model)


def check_finite(place, model: nn.Module) -> None:
    """ModelError with the name of the first tensor that holds nan or inf."""
    for name, tensor in model.named_parameters():
        if not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            of = f"{bad} of {tensor.numel()} numbers are nan or inf"
            mend = "take a checkpoint from before they were"
            raise ModelError(f"{place}: the tensor {name!r} is not finite ({of}); {mend}")


def _check_tokenizer(place, model: nn.Module, tokenizer) -> None:
    """It has tokens; where it names no end of text, the model's generation configuration does."""
    if len(tokenizer) <= len(tokenizer.all_special_tokens):  # made up, where files are missing
        raise ModelError(f"{place}: its tokenizer has no tokens (tokenizer.json is missing)")
    ends = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    first = ends[0] if isinstance(ends, list | tuple) and ends else ends
    if tokenizer.eos_token is None and isinstance(first, int) and first < len(tokenizer):
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(first)


# ---------------------------------------------------------------- adapters
def merged(
    folder: Path, dtype: torch.dtype = torch.float32
) -> tuple[nn.Module, PreTrainedTokenizerFast]:
    """(model, tokenizer) of a LoRA folder (arXiv 2106.09685): its base, with the adapter merged in.

    So the reference of a training that begins here is the merged model. The base is a folder, from
    here or from beside the adapter, or in the hub's cache; ModelError names it if it is not there.
    The tokenizer is the folder's own, where it holds one.
    """
    base = read_json(folder / "adapter_config.json").get("base_model_name_or_path")
    if not base or not isinstance(base, str):
        raise ModelError(f"{folder}: adapter_config.json names no base model; {AGAIN}")
    if not (folder / "adapter_model.safetensors").is_file():
        mend = "save it again as adapter_model.safetensors; pickled weights are never read"
        raise ModelError(f"{folder}: holds a LoRA adapter without its weights; {mend}")
    beside = folder / base
    place = next((p for p in (Path(base), beside) if p.exists()), base)
    if Path(place).resolve() == folder.resolve():
        raise ModelError(f"{folder}: adapter_config.json names the adapter as its own base")
    try:
        model, tokenizer = open_folder(place, dtype)
    except ModelError as error:
        told = f"is a LoRA adapter on the base model {base!r}, which can't be loaded"
        raise ModelError(f"{folder}: {told}: {error}") from error
    if (folder / "tokenizer.json").exists():
        read_json(folder / "tokenizer.json")
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        except Exception as error:
            raise _not_loaded(folder, error) from error
    model = _merge(model, folder)
    check_finite(folder, model)
    return model, tokenizer


def _merge(model: nn.Module, folder: Path) -> nn.Module:
    from peft import PeftModel
    from peft.utils import get_peft_model_state_dict
    from safetensors import safe_open

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is missing, which is told below
            whole = PeftModel.from_pretrained(model, str(folder))
        with safe_open(folder / "adapter_model.safetensors", "pt") as file:
            there = set(file.keys())
        lost = sorted(set(get_peft_model_state_dict(whole)) ^ there)
        if not lost:
            model = whole.merge_and_unload()
    except Exception as error:
        raise _not_loaded(folder, error) from error
    if lost:
        what = "stands in its weights or in its configuration alone"
        raise ModelError(f"{folder}: the tensor {lost[0]!r} {what}; {AGAIN}")
    if hasattr(model, "peft_config"):
        del model.peft_config  # nothing of the adapter is left
    return model.requires_grad_(True)
