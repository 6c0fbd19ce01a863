"""A small Llama of our own, left-padded batches, hand-written Adam. Rotary positions are relative,
so the shift that left padding brings does not change anything."""
import copy

import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM


class Adam:
    def __init__(self, params, lr, b1=0.9, b2=0.99, eps=1e-8):
        self.params, self.lr, self.b1, self.b2, self.eps, self.t = list(params), lr, b1, b2, eps, 0
        self.m = [torch.zeros_like(p) for p in self.params]
        self.v = [torch.zeros_like(p) for p in self.params]

    @torch.no_grad()
    def update(self, grads):
        self.t += 1
        for p, g, m, v in zip(self.params, grads, self.m, self.v):
            m.lerp_(g, 1 - self.b1)
            v.lerp_(g * g, 1 - self.b2)
            mh, vh = m / (1 - self.b1**self.t), v / (1 - self.b2**self.t)
            p -= self.lr * mh / (vh.sqrt() + self.eps)


def connect(model, tokenizer, pairs):
    torch.manual_seed(7)
    lm = LlamaForCausalLM(LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, pad_token_id=0, bos_token_id=1, eos_token_id=1)).eval()
    start = copy.deepcopy(lm).requires_grad_(False)
    adam = Adam(lm.parameters(), lr=5e-4)

    def collate(pairs):
        rows = []
        for key in ("chosen", "rejected"):
            for p in pairs:
                a = tokenizer.encode(p["prompt"])
                b = tokenizer.encode(p[key]) + [tokenizer.eos_token_id]
                rows.append((a + b, len(b)))
        n = max(len(i) for i, _ in rows)
        ids = torch.tensor([[tokenizer.pad_token_id] * (n - len(i)) + i for i, _ in rows])
        mask = torch.tensor([[0] * (n - len(i)) + [1] * len(i) for i, _ in rows])
        answer = torch.tensor([[0] * (n - k) + [1] * k for _, k in rows])
        return ids, mask, answer

    def score(net, batch):
        ids, mask, answer = batch
        lp = F.log_softmax(net(input_ids=ids, attention_mask=mask).logits[:, :-1], dim=-1)
        lp = lp.gather(-1, ids[:, 1:, None]).squeeze(-1)
        lp = (lp * answer[:, 1:]).sum(-1)
        return lp[: len(lp) // 2], lp[len(lp) // 2 :]

    def loss(pc, pr, rc, rr):
        return -F.logsigmoid(0.2 * ((pc - rc) - (pr - rr)))

    def step(pairs):
        batch = collate(pairs)
        with torch.no_grad():
            rc, rr = score(start, batch)
        value = loss(*score(lm, batch), rc, rr).mean()
        adam.update(torch.autograd.grad(value, adam.params))
        return value.item()

    return {"collate": collate, "score": score, "policy": lm, "reference": start, "loss": loss, "step": step}
