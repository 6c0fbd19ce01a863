"""DPO for a small Llama in bf16 mixed precision: weights in float32, matrix products in bfloat16."""
import copy
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM


class Batch(NamedTuple):
    ids: Tensor
    attention: Tensor
    answer: Tensor


def tiny_llama(tokenizer, seed=3):
    torch.manual_seed(seed)
    cfg = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, initializer_range=0.05,
    )
    return LlamaForCausalLM(cfg)


class MixedPrecisionDPO:
    def __init__(self, model, tokenizer, *, beta=0.1, lr=1e-4, max_norm=10.0):
        self.tokenizer, self.beta, self.max_norm = tokenizer, beta, max_norm
        self.policy = model
        self.reference = copy.deepcopy(model).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(self.policy.parameters(), lr=lr, weight_decay=0.01)

    def make_batch(self, pairs) -> Batch:
        rows = []
        for side in ("chosen", "rejected"):
            for pair in pairs:
                question = self.tokenizer(pair["prompt"]).input_ids
                answer = self.tokenizer(pair[side]).input_ids + [self.tokenizer.eos_token_id]
                rows.append((question, answer))
        # a multiple of 8 keeps the kernels happy
        width = -(-max(len(q) + len(a) for q, a in rows) // 8) * 8
        ids, attention, answer_mask = [], [], []
        for q, a in rows:
            fill = width - len(q) - len(a)
            ids.append(q + a + [self.tokenizer.pad_token_id] * fill)
            attention.append([1] * (len(q) + len(a)) + [0] * fill)
            answer_mask.append([False] * len(q) + [True] * len(a) + [False] * fill)
        return Batch(torch.tensor(ids), torch.tensor(attention), torch.tensor(answer_mask))

    def log_likelihoods(self, model, batch: Batch):
        with torch.autocast(device_type="cpu", dtype=torch.bfloat16):
            logits = model(input_ids=batch.ids, attention_mask=batch.attention).logits
        logp = torch.log_softmax(logits.float(), dim=-1)[:, :-1]
        logp = logp.gather(2, batch.ids[:, 1:, None])[:, :, 0]
        per_text = torch.where(batch.answer[:, 1:], logp, torch.zeros(())).sum(dim=1)
        chosen, rejected = per_text.view(2, -1)
        return chosen, rejected

    def dpo(self, chosen, rejected, ref_chosen, ref_rejected):
        logit = self.beta * (chosen - ref_chosen - (rejected - ref_rejected))
        return torch.nn.functional.softplus(-logit)

    def train_batch(self, pairs):
        self.policy.train()
        batch = self.make_batch(pairs)
        with torch.no_grad():
            ref = self.log_likelihoods(self.reference, batch)
        loss = self.dpo(*self.log_likelihoods(self.policy, batch), *ref).mean()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_norm)
        self.optimizer.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    """Uses its own randomly initialised Llama with the given tokenizer."""
    t = MixedPrecisionDPO(tiny_llama(tokenizer), tokenizer)
    return {
        "collate": t.make_batch,
        "score": t.log_likelihoods,
        "policy": t.policy,
        "reference": t.reference,
        "loss": t.dpo,
        "step": t.train_batch,
    }
