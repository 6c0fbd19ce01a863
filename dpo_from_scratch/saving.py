"""Saving a model: small files tried beforehand, weights first, nobody's files written over."""

import copy
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from torch import nn
from transformers import GenerationConfig

from .folders import ModelError

# what save_pretrained of a model and a tokenizer writes; a folder that holds more is not replaced
WRITTEN = re.compile(
    r"(model(-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.json|config\.json"
    r"|(generation|tokenizer)_config\.json|tokenizer\.(json|model)|special_tokens_map\.json"
    r"|added_tokens\.json|vocab\.(json|txt)|merges\.txt|chat_template\.(jinja|json)"
    r"|additional_chat_templates|\.tmp\w{6})"  # the last: what safetensors writes, then renames
)
# settings of sampling, which may contradict greedy decoding; without them it is greedy all the same
KNOBS = ("temperature", "top_p", "top_k", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff")


def save_model(model: nn.Module, tokenizer, folder: str | os.PathLike) -> None:
    """Write a Hugging Face folder that transformers, TRL or vLLM open; all of it, or nothing.

    It is written beside its place and renamed. Where the weights could be written and the rest not,
    ModelError says where they are. ModelError also for a place that holds other things.
    """
    folder = Path(folder)
    partial = _partial(folder)
    check_target(folder)
    shutil.rmtree(partial, ignore_errors=True)
    with _valid_generation(model):
        model.save_pretrained(partial)
    try:
        _save_tokenizer(tokenizer, partial)
        for path in partial.iterdir():  # safetensors writes files that only their owner can read
            path.chmod(0o755 if path.is_dir() else 0o644)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except Exception as error:
        told = " ".join(str(error).split())[:200]
        safe = f"the weights are safe in {partial}"
        raise ModelError(f"{folder} can't be finished ({told}): {safe}") from error


def check_target(folder: str | os.PathLike) -> None:
    """ModelError if saving to `folder` would touch what no model was saved to.

    The place, and the one beside it that is written first, must be free, or a folder with nothing
    but the files of a model. Links are never followed.
    """
    for place in (Path(folder), _partial(Path(folder))):
        if place.is_symlink():
            raise ModelError(
                f"{place} is a link, which is not followed: remove it, or save elsewhere"
            )
        if place.exists() and not place.is_dir():
            raise ModelError(f"{place} is a file: remove it, or save elsewhere")
        others = [] if not place.exists() else sorted(p.name for p in place.iterdir())
        others = [name for name in others if not WRITTEN.fullmatch(name)]
        if others:
            holds = f"holds {others[0]!r}, which is no file of a model"
            raise ModelError(f"{place} {holds}: nothing there is written over; save elsewhere")


def try_saving(model: nn.Module, tokenizer, folder: str | os.PathLike) -> None:
    """Write all but the weights beside `folder`, and remove it: what fails, fails before training.

    ModelError says what can't be written. `folder` itself is looked at and left as it is.
    """
    folder = Path(folder)
    check_target(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".try-") as place:
            with _valid_generation(model):
                for config in (model.config, getattr(model, "generation_config", None)):
                    if config is not None:
                        config.save_pretrained(place)
            _save_tokenizer(tokenizer, Path(place))
    except Exception as error:  # configurations and tokenizers are other people's
        told = " ".join(str(getattr(error, "strerror", None) or error).split())[:200]
        kind = type(error).__name__
        raise ModelError(f"the model can't be saved to {folder} ({kind}: {told})") from error


def _partial(folder: Path) -> Path:
    return folder.with_name(folder.name + ".partial")


def _save_tokenizer(tokenizer, folder: Path) -> None:
    tokenizer.save_pretrained(folder)
    # transformers 5 writes a class name that 4 doesn't know; both know this one
    config = folder / "tokenizer_config.json"
    text = config.read_text(encoding="utf-8")
    newer = text.replace('"TokenizersBackend"', '"PreTrainedTokenizerFast"')
    config.write_text(newer, encoding="utf-8")


@contextmanager
def _valid_generation(model: nn.Module):
    """For as long as it is saved, a generation configuration that transformers agrees to save.

    Some released models are greedy and have a temperature, for which saving raises. The ids that
    end a text stay in any case.
    """
    before = getattr(model, "generation_config", None)
    if before is not None and not _valid(before):
        model.generation_config = _mended(before)
    try:
        yield
    finally:
        if before is not None:
            model.generation_config = before


def _valid(config: GenerationConfig) -> bool:
    try:
        config.validate(strict=True)
    except ValueError:
        return False
    return True


def _mended(config: GenerationConfig) -> GenerationConfig:
    plain, mended = GenerationConfig(), copy.deepcopy(config)
    for name in KNOBS:
        setattr(mended, name, getattr(plain, name, None))
    if _valid(mended):
        return mended
    ids = ("bos_token_id", "eos_token_id", "pad_token_id")
    return GenerationConfig(**{name: getattr(config, name) for name in ids})
