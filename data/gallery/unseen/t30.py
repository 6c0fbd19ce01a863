"""Library half of a DPO code base for Llama-style models: tokens, scores, loss."""
import copy

import torch
import torch.nn.functional as F
from tokenizers.processors import TemplateProcessing
from transformers import LlamaConfig, LlamaForCausalLM


def llama_tokenizer(tokenizer):
    """Llama convention: every encoded text starts with <s>."""
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.add_special_tokens({"bos_token": "<s>"})
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", tokenizer.bos_token_id)]
    )
    return tokenizer


def small_llama(tokenizer):
    torch.manual_seed(21)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=48, intermediate_size=96, num_hidden_layers=2,
            num_attention_heads=4, max_position_embeddings=128, initializer_range=0.08,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    ).eval()


class Tokens:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def encode(self, prompt, response):
        prompt_ids = self.tokenizer(prompt)["input_ids"]
        response_ids = self.tokenizer(response)["input_ids"] + [self.tokenizer.eos_token_id]
        return {
            "input_ids": prompt_ids + response_ids,
            "labels": [-100] * len(prompt_ids) + response_ids,
        }

    def collate(self, pairs):
        rows = [self.encode(p["prompt"], p["chosen"]) for p in pairs]
        rows += [self.encode(p["prompt"], p["rejected"]) for p in pairs]
        longest = max(len(r["input_ids"]) for r in rows)
        ids, att, lab = [], [], []
        for r in rows:
            extra = longest - len(r["input_ids"])
            ids.append(r["input_ids"] + [self.tokenizer.pad_token_id] * extra)
            att.append([1] * len(r["input_ids"]) + [0] * extra)
            lab.append(r["labels"] + [-100] * extra)
        return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(att), "labels": torch.tensor(lab)}


def logps(model, batch):
    out = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    labels = batch["labels"][:, 1:]
    logp = out.logits[:, :-1].log_softmax(-1)
    per_token = logp.gather(2, labels.clamp(min=0).unsqueeze(2)).squeeze(2)
    total = (per_token * (labels != -100)).sum(1)
    return total.tensor_split(2)


def dpo(pc, pr, rc, rr, beta=0.1):
    return -F.logsigmoid(beta * ((pc - rc) - (pr - rr)))


def connect(model, tokenizer, pairs):
    """Own model and tokenizer; training loops are elsewhere in the code base."""
    tok = llama_tokenizer(tokenizer)
    policy = small_llama(tok)
    return {
        "collate": Tokens(tok).collate,
        "score": logps,
        "policy": policy,
        "reference": copy.deepcopy(policy).requires_grad_(False),
        "loss": dpo,
        "tokenizer": tok,
    }
