"""DPO for a small Qwen2; prompts are left-padded so that all answers end in the last column."""

import copy

import torch
import torch.nn.functional as F
from transformers import Qwen2Config, Qwen2ForCausalLM


def qwen(tokenizer):
    torch.manual_seed(3)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.15,
        eos_token_id=tokenizer.eos_token_id,
    )
    return Qwen2ForCausalLM(config).eval()


class QwenDPO:
    def __init__(self, tokenizer, beta=0.1, lr=5e-4):
        self.policy = qwen(tokenizer)
        self.reference = copy.deepcopy(self.policy).requires_grad_(False)
        self.tokenizer = tokenizer
        self.beta = beta
        self.optimizer = torch.optim.AdamW(self.policy.parameters(), lr=lr, weight_decay=0.0)

    def collate(self, pairs):
        sides = {}
        for side in ("chosen", "rejected"):
            rows, spans = [], []
            for p in pairs:
                answer = self.tokenizer(p[side]).input_ids + [self.tokenizer.eos_token_id]
                rows.append(self.tokenizer(p["prompt"]).input_ids + answer)
                spans.append(len(answer))
            T = max(map(len, rows))
            ids = torch.tensor([[self.tokenizer.pad_token_id] * (T - len(r)) + r for r in rows])
            sides[side] = {"ids": ids, "answer": torch.arange(T) >= T - torch.tensor(spans)[:, None]}
        return sides

    def side(self, model, ids, answer):
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
        logp = logits.log_softmax(-1).gather(-1, ids[:, 1:].unsqueeze(-1)).squeeze(-1)
        return logp.where(answer[:, 1:], 0.0).sum(-1)

    def score(self, model, batch):
        return self.side(model, **batch["chosen"]), self.side(model, **batch["rejected"])

    def loss(self, pc, pr, rc, rr):
        return -F.logsigmoid(self.beta * ((pc - rc) - (pr - rr)))

    def step(self, pairs):
        batch = self.collate(pairs)
        with torch.no_grad():
            rc, rr = self.score(self.reference, batch)
        loss = self.loss(*self.score(self.policy, batch), rc, rr).mean()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), 1.0)
        self.optimizer.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    t = QwenDPO(tokenizer)
    return {
        "collate": t.collate,
        "score": t.score,
        "policy": t.policy,
        "reference": t.reference,
        "loss": t.loss,
        "step": t.step,
    }
