"""Other people's models, tiny and random: each family's positions, special tokens and template."""

from functools import cache

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors, trainers
from tokenizers.models import BPE
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    RwkvConfig,
    RwkvForCausalLM,
)

WORDS = ["how was the food ? it was fine , thanks .", "user assistant system model Be brief"]
ASK = [{"role": "user", "content": "how was the food ?"}]
ANSWER = "it was fine ."

EACH = "{% for m in messages %}"
CHATML = (
    EACH + "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SMOLLM = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nBe brief<|im_end|>\n{% endif %}"
    + CHATML
)
LLAMA3 = (
    "{{ bos_token }}" + EACH + "<|start|>{{ m['role'] }}<|end|>\n\n"
    "{{ m['content'] | trim }}<|eot|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant<|end|>\n\n{% endif %}"
)
GEMMA = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{{ bos_token }}" + EACH + "<turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<turn>model\n{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}" + EACH + "{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
    "{% else %} {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)


def tokenizer_of(special: list[str], template: str | None = None, **named):
    """A byte-level tokenizer that knows a few words, with these special tokens first."""
    core = Tokenizer(BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=340, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(WORDS * 4, trainer)
    if "bos_token" in named and named["bos_token"] != named["eos_token"]:
        bos = (named["bos_token"], core.token_to_id(named["bos_token"]))
        core.post_processor = processors.TemplateProcessing(
            single=f"{bos[0]} $A", special_tokens=[bos]
        )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, **named)
    tokenizer.chat_template = template
    return tokenizer


def _rotary(kind, config, tokenizer, **more):
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128}
    ids = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
    ids["pad_token_id"] = tokenizer.pad_token_id
    return kind(config(vocab_size=len(tokenizer), **sizes | heads | ids | more)).eval()


def qwen():
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = tokenizer_of(special, CHATML, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    return _rotary(Qwen2ForCausalLM, Qwen2Config, tokenizer, tie_word_embeddings=True), tokenizer


def chatml_on_base():
    """A base model, which ends a text with <|endoftext|>, and a template that ends turns."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = tokenizer_of(special, CHATML, eos_token="<|endoftext|>")
    return _rotary(Qwen2ForCausalLM, Qwen2Config, tokenizer), tokenizer


def smollm2():
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    named = {"eos_token": "<|im_end|>", "bos_token": "<|im_start|>", "pad_token": "<|im_end|>"}
    tokenizer = tokenizer_of(special, SMOLLM, **named)
    tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return _rotary(LlamaForCausalLM, LlamaConfig, tokenizer), tokenizer


def llama3():
    special = ["<|begin|>", "<|end_of_text|>", "<|start|>", "<|end|>", "<|eot|>"]
    named = {"bos_token": "<|begin|>", "eos_token": "<|end_of_text|>"}
    tokenizer = tokenizer_of(special, LLAMA3, **named)
    model = _rotary(LlamaForCausalLM, LlamaConfig, tokenizer)
    model.generation_config.eos_token_id = [1, 4]
    return model, tokenizer


def gemma():
    special = ["<pad>", "<eos>", "<bos>", "<turn>", "<end_of_turn>"]
    named = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>"}
    tokenizer = tokenizer_of(special, GEMMA, **named)
    return _rotary(GemmaForCausalLM, GemmaConfig, tokenizer, head_dim=8), tokenizer


def mistral():
    special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
    tokenizer = tokenizer_of(special, MISTRAL, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    return _rotary(MistralForCausalLM, MistralConfig, tokenizer), tokenizer


TEXT = {"eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}


def gpt2():
    """Learned positions, no padding token, no template."""
    tokenizer = tokenizer_of(["<|endoftext|>"], **TEXT)
    sizes = {"n_positions": 128, "n_embd": 32, "n_layer": 2, "n_head": 4}
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=0, **sizes)
    return GPT2LMHeadModel(config).eval(), tokenizer


def bloom():
    """ALiBi: no positions at all."""
    tokenizer = tokenizer_of(["<|endoftext|>"], **TEXT)
    torch.manual_seed(0)
    ids = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    config = BloomConfig(vocab_size=len(tokenizer), hidden_size=32, n_layer=2, n_head=4, **ids)
    return BloomForCausalLM(config).eval(), tokenizer


def mamba():
    """A state-space model: no keys and values to keep."""
    tokenizer = tokenizer_of(["<|endoftext|>"], **TEXT)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}
    ids = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    return MambaForCausalLM(
        MambaConfig(vocab_size=len(tokenizer), **sizes, **ids)
    ).eval(), tokenizer


def rwkv():
    tokenizer = tokenizer_of(["<|endoftext|>"], **TEXT)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "attention_hidden_size": 32, "num_hidden_layers": 2}
    ids = {"bos_token_id": 0, "eos_token_id": 0}
    return RwkvForCausalLM(RwkvConfig(vocab_size=len(tokenizer), **sizes, **ids)).eval(), tokenizer


CHAT = {  # a family -> how its template ends a turn
    "qwen": "<|im_end|>",
    "chatml_on_base": "<|im_end|>",
    "smollm2": "<|im_end|>",
    "llama3": "<|eot|>",
    "gemma": "<end_of_turn>",
    "mistral": "</s>",
}
PLAIN = ("gpt2", "bloom", "mamba", "rwkv")


@cache
def stranger(name: str):
    """(model, tokenizer) of a family, made once; tests that change one take a copy."""
    return globals()[name]()
