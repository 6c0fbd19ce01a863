"""Which tricks are sound for a model: asked of its architecture, not tried and hoped."""

from dataclasses import dataclass, replace

from torch import nn

from ..models import takes


@dataclass(frozen=True)
class Tricks:
    """What the fast path does; they are dropped from the left."""

    share: bool = True  # a prompt is read once for all its responses
    pack: bool = True  # several prompts lie in one row
    head: bool = True  # the head works where something is scored, a chunk at a time

    def __str__(self) -> str:
        names = {"share": "shared prompts", "pack": "packed rows", "head": "chunked head"}
        return ", ".join(text for name, text in names.items() if getattr(self, name)) or "plain"

    def less(self) -> "Tricks":
        """Without the first of those that are left."""
        first = next(name for name in ("share", "pack", "head") if getattr(self, name))
        return replace(self, **{first: False})


ALL, HEAD_ONLY, PLAIN = Tricks(), Tricks(False, False), Tricks(False, False, False)

# architectures whose attention takes an own mask as it is, and counts positions by position_ids
ROWS = {
    "gpt2", "llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "opt", "mistral", "phi",
    "phi3", "smollm3", "olmo2", "granite", "gpt_neox",
}  # fmt: skip


def allowed(model: nn.Module, longest: int) -> tuple[Tricks, str]:
    """The tricks for rows of at most `longest` tokens, and a sentence where some are left out.

    Prompts are shared, and rows packed, by an own mask. A model with a window (Mistral, Gemma),
    or whose rotary frequencies hang on the length, is right under it only inside the window.
    """
    config = getattr(model, "config", None)
    if config is None or not hasattr(model, "get_output_embeddings"):
        return PLAIN, "the model is none of transformers': it is read the plain way"
    config = config.get_text_config()
    kind, most = config.model_type, window(config)
    if getattr(model, "base_model", model) is model or model.get_output_embeddings() is None:
        return PLAIN, f"the head of {kind} can't be called alone: it is read the plain way"
    if kind not in ROWS or not takes(model, "position_ids"):
        why = "prompts are not shared and rows not packed"
        return HEAD_ONLY, f"{why}: it isn't known that {kind} takes an attention mask of our own"
    if config._attn_implementation not in ("sdpa", "eager"):
        why = "prompts are not shared and rows not packed"
        return HEAD_ONLY, f"{why}: {config._attn_implementation} takes no mask of our own"
    if most is not None and longest > most:
        why = "prompts are not shared and rows not packed"
        return HEAD_ONLY, f"{why}: a row has {longest} tokens and {kind} looks back only {most}"
    return ALL, ""


def window(config) -> int | None:
    """The most tokens a row may have so that all of it sees all of it; None: there is no limit.

    Sliding windows, chunked attention, and rotary frequencies that change with the length
    ("dynamic", "longrope") from the length that the model was made for.
    """
    sizes = [getattr(config, "attention_chunk_size", None)]
    if getattr(config, "use_sliding_window", True):
        sizes.append(getattr(config, "sliding_window", None))
    for rope in _ropes(config):
        if rope.get("rope_type", rope.get("type")) in ("dynamic", "longrope", "su"):
            known = rope.get("original_max_position_embeddings")
            sizes.append(known or config.max_position_embeddings)
    return min((size for size in sizes if size), default=None)


def _ropes(config) -> list[dict]:
    """The rotary settings of a configuration: one for all layers, or one for each kind of layer."""
    found = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    return [
        r
        for r in ([found] if "rope_type" in found or "type" in found else found.values())
        if isinstance(r, dict)
    ]
