"""Small random language models of many families: two layers, 97 tokens, 160 positions."""

import torch
import transformers
from torch import Tensor
from torch.overrides import TorchFunctionMode

IDS = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
GPT = {"vocab_size": 97, "n_embd": 32, "n_layer": 2, "n_head": 4, **IDS}
ROTARY = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 160,
    **IDS,
}
GEMMA = ROTARY | {"head_dim": 8, "query_pre_attn_scalar": 8}
SLIDING = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 160}

# name in transformers, and what its configuration is given; all heads but those said are untied
SHARES = {
    "gpt2": ("GPT2", GPT | {"n_positions": 160}),  # tied
    "llama": ("Llama", ROTARY | {"tie_word_embeddings": False}),
    "llama, tied": ("Llama", ROTARY | {"tie_word_embeddings": True}),
    "qwen2": ("Qwen2", ROTARY),
    "qwen3": ("Qwen3", ROTARY | {"head_dim": 8}),
    "gemma": ("Gemma", ROTARY | {"head_dim": 8}),  # tied, as Gemma 2 and 3
    "gemma2": ("Gemma2", GEMMA | SLIDING | {"final_logit_softcapping": 1.5}),
    "gemma3": ("Gemma3", GEMMA | SLIDING),
    "opt": (
        "OPT",
        {k: v for k, v in ROTARY.items() if k not in ("intermediate_size", "num_key_value_heads")}
        | {"ffn_dim": 48, "word_embed_proj_dim": 24},
    ),
    "mistral": ("Mistral", ROTARY | {"sliding_window": 160}),
    "phi": ("Phi", ROTARY),  # its head has a bias
    "phi3": ("Phi3", ROTARY | {"sliding_window": None}),
    "smollm3": ("SmolLM3", ROTARY | {"no_rope_layers": [1, 0]}),
    "olmo2": ("Olmo2", ROTARY),
    "granite": ("Granite", ROTARY | {"logits_scaling": 0.5, "embedding_multiplier": 3.0}),
    "gpt_neox": (
        "GPTNeoX",
        {k: v for k, v in ROTARY.items() if k != "num_key_value_heads"} | {"rotary_pct": 0.5},
    ),
}
FALLS_BACK = {  # the chunked head is all that is sound for these
    "mamba": (
        "Mamba",
        {"vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4, **IDS},
    ),
    "bloom": ("Bloom", {"vocab_size": 97, "hidden_size": 32, "n_layer": 2, "n_head": 4, **IDS}),
    "cohere": ("Cohere", ROTARY | {"logit_scale": 0.25}),
    "gpt_neo": (
        "GPTNeo",
        {
            **{"vocab_size": 97, "hidden_size": 32, "num_layers": 2, "num_heads": 4},
            **{"attention_types": [[["global", "local"], 1]], "window_size": 8},
            **{"max_position_embeddings": 160, "intermediate_size": 48, **IDS},
        },
    ),
    "falcon": ("Falcon", ROTARY | {"alibi": True, "new_decoder_architecture": False}),
}


def family(name: str, dtype=torch.float64, attention: str | None = None, **more):
    """A model of one of the families with weights large enough that its texts differ."""
    torch.manual_seed(0)
    kind, settings = (SHARES | FALLS_BACK)[name]
    suffix = "TextConfig" if kind == "Gemma3" else "Config"
    config = getattr(transformers, kind + suffix)(**(settings | more))
    if attention:
        config._attn_implementation = attention
    head = "LMHeadModel" if kind == "GPT2" else "ForCausalLM"
    model = getattr(transformers, kind + head)(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.2 * torch.randn(weight.shape)
    return model.to(dtype).eval()


class InFloat64(TorchFunctionMode):
    """Within, what the models round to float32 (norms, rotations, softmax) stays in float64."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        x = args[0] if args and isinstance(args[0], Tensor) else None
        if x is not None and function is Tensor.float:
            return x.double()
        if x is None or x.dtype != torch.float64:
            return function(*args, **kwargs)
        if kwargs.get("dtype") is torch.float32:
            kwargs["dtype"] = torch.float64
        if function is Tensor.to:
            args = tuple(torch.float64 if a is torch.float32 else a for a in args)
        return function(*args, **kwargs)
