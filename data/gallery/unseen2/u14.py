"""DPO with the reference scored once, up front."""

import torch
import torch.nn.functional as F


def tokenize(tok, pair, side):
    prompt = tok(pair["prompt"], add_special_tokens=False).input_ids
    answer = tok(pair[side], add_special_tokens=False).input_ids
    return prompt, answer + [tok.eos_token_id]


def make_batch(tok, pairs):
    both = [tokenize(tok, p, s) for s in ("chosen", "rejected") for p in pairs]
    T = max(len(a) + len(b) for a, b in both)
    batch = {"input_ids": [], "attention_mask": [], "labels": []}
    for prompt, answer in both:
        room = T - len(prompt) - len(answer)
        batch["input_ids"].append(prompt + answer + [tok.pad_token_id] * room)
        batch["attention_mask"].append([1] * (T - room) + [0] * room)
        batch["labels"].append([-100] * len(prompt) + answer + [-100] * room)
    return {k: torch.tensor(v) for k, v in batch.items()}


def logps(model, batch):
    logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    logits, labels = logits[:, :-1], batch["labels"][:, 1:]
    keep = labels >= 0
    chosen_logits = logits.gather(-1, labels.where(keep, 0).unsqueeze(-1)).squeeze(-1)
    per_token = chosen_logits - logits.logsumexp(-1)
    return (per_token * keep).sum(-1).chunk(2)


class CachedDPO:
    def __init__(self, model, tokenizer, pairs, beta=0.1, lr=1e-4):
        self.model, self.tok, self.beta = model, tokenizer, beta
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.cache = {}
        self.fill_cache(pairs)

    @torch.no_grad()
    def fill_cache(self, pairs, size=4):
        self.model.eval()
        for start in range(0, len(pairs), size):
            chunk = pairs[start : start + size]
            for pair, c, r in zip(chunk, *logps(self.model, make_batch(self.tok, chunk))):
                self.cache[pair["prompt"]] = (c.item(), r.item())

    def reference_scores(self, pairs):
        values = torch.tensor([self.cache[p["prompt"]] for p in pairs])
        return values[:, 0], values[:, 1]

    def collate(self, pairs):
        return make_batch(self.tok, pairs)

    def loss(self, pc, pr, rc, rr):
        return -F.logsigmoid(self.beta * ((pc - rc) - (pr - rr)))

    def step(self, pairs):
        loss = self.loss(*logps(self.model, self.collate(pairs)), *self.reference_scores(pairs)).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    t = CachedDPO(model, tokenizer, pairs)
    return {
        "collate": t.collate,
        "score": logps,
        "policy": t.model,
        "reference_scores": t.reference_scores,
        "loss": t.loss,
        "step": t.step,
    }
