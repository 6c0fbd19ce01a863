"""Low-rank adapters, for models too large to train whole."""

import warnings

from torch import nn

from ..data import DataError


def add_lora(model: nn.Module, rank: int) -> nn.Module:
    """The model with trainable low-rank adapters on its linear layers (arXiv 2106.09685).

    All else is frozen. DataError if the model has adapters already.
    """
    from peft import LoraConfig, get_peft_model

    # peft reads a name that transformers has changed
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")
    if hasattr(model, "peft_config"):
        merge = "merge them first (merge_and_unload), or the reference would be a mix"
        raise DataError(f"the model has LoRA adapters already: {merge}")
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules="all-linear",
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
        fan_in_fan_out=model.config.model_type == "gpt2",  # GPT-2's matrices lie the other way
    )
    return get_peft_model(model, config)
