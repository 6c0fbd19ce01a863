import copy

import torch
import torch.nn.functional as F


def token_nll(logits, labels):
    """-log p of each label, 0 where the label is -100."""
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:], ignore_index=-100, reduction="none")


class Data:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def encode(self, prompt, response):
        ids = self.tokenizer(prompt + response + self.tokenizer.eos_token)["input_ids"]
        n_prompt = len(self.tokenizer(prompt)["input_ids"])
        return ids, [-100 if i < n_prompt else t for i, t in enumerate(ids)]

    def __call__(self, pairs):
        rows = [self.encode(p["prompt"], p[side]) for p in pairs for side in ("chosen", "rejected")]
        n = max(len(ids) for ids, _ in rows)
        input_ids = torch.tensor([ids + [self.tokenizer.pad_token_id] * (n - len(ids)) for ids, _ in rows])
        labels = torch.tensor([lab + [-100] * (n - len(lab)) for _, lab in rows])
        attention = torch.arange(n)[None] < torch.tensor([[len(ids)] for ids, _ in rows])
        return input_ids, attention.long(), labels


def score(model, batch):
    input_ids, attention, labels = batch
    per_token = token_nll(model(input_ids, attention_mask=attention).logits, labels)
    chosen, rejected = per_token.sum(-1).neg().unflatten(0, (-1, 2)).unbind(1)
    return chosen, rejected


def connect(model, tokenizer, pairs, beta=0.1):
    reference = copy.deepcopy(model).requires_grad_(False)
    collate = Data(tokenizer)
    optimizer = torch.optim.NAdam(model.parameters(), lr=1e-4)

    def step(pairs):
        optimizer.zero_grad()
        batch = collate(pairs)
        with torch.no_grad():
            ref_chosen, ref_rejected = score(reference, batch)
        chosen, rejected = score(model, batch)
        value = F.softplus(-beta * (chosen - ref_chosen - rejected + ref_rejected)).mean()
        value.backward()
        optimizer.step()
        return value.item()

    return {"collate": collate, "score": score, "policy": model, "reference": reference, "step": step}
