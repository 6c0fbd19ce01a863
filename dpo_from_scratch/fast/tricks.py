"""Which tricks are sound for a model: asked of its architecture, not tried and hoped."""

from dataclasses import dataclass, replace

from torch import nn

from ..models import takes
from .head import body_of


@dataclass(frozen=True)
class Tricks:
    """What the fast path does; each stands on those below it, so they are dropped from the top."""

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
ROWS = (
    "gpt2", "llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "opt", "mistral", "phi",
    "phi3", "smollm3", "olmo2", "granite", "gpt_neox",
)  # fmt: skip


def allowed(model: nn.Module, longest: int) -> tuple[Tricks, str]:
    """The tricks for rows of at most `longest` tokens, and a sentence where some are left out.

    Prompts are shared, and rows packed, by an own mask. A model with a window (Mistral, Gemma),
    or whose rotary frequencies hang on the length, is right under it only inside the window.
    """
    if not hasattr(model, "config") or not hasattr(model, "get_output_embeddings"):
        return PLAIN, "the model is none of transformers': it is read the plain way"
    kind = model.config.model_type
    if why := _head_alone(model):
        return PLAIN, f"the head of {kind} can't be called alone, {why}: it is read the plain way"
    if why := _rows_apart(model, kind, longest):
        return HEAD_ONLY, f"prompts are not shared and rows not packed: {why}"
    return ALL, ""


def _head_alone(model: nn.Module) -> str:
    """Why hidden states and a product with the head's weight are not all of the model, or ""."""
    adapter = getattr(model, "active_peft_config", None)
    if getattr(adapter, "is_prompt_learning", False):
        return "since its adapter writes into the prompt"
    head = model.get_output_embeddings()
    if body_of(model) is None or head is None:
        return "since it has no body below it"
    return "" if type(head) is nn.Linear else f"since it is a {type(head).__name__}"


def _rows_apart(model: nn.Module, kind: str, longest: int) -> str:
    """Why several texts in a row would not stay apart, or ""."""
    config = model.config.get_text_config()
    implementation, looks, known = config._attn_implementation, window(config), unscaled(config)
    if kind not in ROWS or not takes(model, "position_ids"):
        return f"it isn't known that {kind} takes an attention mask of our own"
    if implementation not in ("sdpa", "eager"):
        return f"{implementation} takes no mask of our own"
    if implementation == "eager" and (places := _own_mask(model)):
        return f"{kind}'s eager attention has a causal mask of its own, of {places} places"
    if getattr(config, "use_bidirectional_attention", False):
        return f"this {kind} looks ahead too"
    if looks is not None and longest > looks:
        return f"a row has {longest} tokens and {kind} looks back only {looks}"
    if known is not None and longest > known:
        return f"a row has {longest} tokens and {kind} turns its positions otherwise above {known}"
    return ""


def _own_mask(model: nn.Module) -> int | None:
    """The places of a causal mask that attention keeps as a buffer (GPT-2 in transformers 4)."""
    found = (b for name, b in model.named_buffers() if name.endswith(".bias") and b.dim() == 4)
    return next((mask.shape[-1] for mask in found), None)


def window(config) -> int | None:
    """The tokens that a layer with a sliding window or chunks sees at most; None: all of them."""
    sizes = [getattr(config, "attention_chunk_size", None)]
    if getattr(config, "use_sliding_window", True):
        sizes.append(getattr(config, "sliding_window", None))
    return min((size for size in sizes if size), default=None)


def unscaled(config) -> int | None:
    """The length above which rotary frequencies hang on the length of a batch; None: they don't.

    For "dynamic" and "longrope" it is the length that the model was first made for.
    """
    name, sizes = "original_max_position_embeddings", []
    for rope in _ropes(config):
        if rope.get("rope_type", rope.get("type")) in ("dynamic", "longrope", "su"):
            known = rope.get(name) or getattr(config, name, None)
            sizes.append(known or config.max_position_embeddings)
    return min(sizes, default=None)


def _ropes(config) -> list[dict]:
    """The rotary settings of a configuration: one for all layers, or one for each kind of layer."""
    found = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    return [
        r
        for r in ([found] if "rope_type" in found or "type" in found else found.values())
        if isinstance(r, dict)
    ]
