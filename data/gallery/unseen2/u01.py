"""Preference tuning for the review bot, two forward passes per side."""

import copy

import torch
import torch.nn.functional as F


class PreferenceTuner:
    def __init__(self, model, tokenizer, beta=0.1, lr=2e-4):
        self.tok = tokenizer
        self.beta = beta
        self.policy = model
        self.ref = copy.deepcopy(model).eval()
        self.ref.requires_grad_(False)
        self.opt = torch.optim.AdamW(self.policy.parameters(), lr=lr, weight_decay=0.0)

    def encode_side(self, prompts, answers):
        rows, spans = [], []
        for p, a in zip(prompts, answers):
            p_ids = self.tok(p, add_special_tokens=False)["input_ids"]
            a_ids = self.tok(a, add_special_tokens=False)["input_ids"] + [self.tok.eos_token_id]
            rows.append(p_ids + a_ids)
            spans.append((len(p_ids), len(p_ids) + len(a_ids)))
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), self.tok.pad_token_id)
        attn = torch.zeros_like(ids)
        answer = torch.zeros(ids.shape)
        for i, (row, (start, stop)) in enumerate(zip(rows, spans)):
            ids[i, : len(row)] = torch.tensor(row)
            attn[i, : len(row)] = 1
            answer[i, start:stop] = 1.0
        return {"ids": ids, "attn": attn, "answer": answer}

    def collate(self, pairs):
        prompts = [p["prompt"] for p in pairs]
        return {side: self.encode_side(prompts, [p[side] for p in pairs]) for side in ("chosen", "rejected")}

    def side_logps(self, model, side):
        logits = model(side["ids"], attention_mask=side["attn"]).logits[:, :-1]
        picked = F.log_softmax(logits, -1).gather(2, side["ids"][:, 1:].unsqueeze(2)).squeeze(2)
        return (picked * side["answer"][:, :-1]).sum(1)

    def score(self, model, batch):
        return self.side_logps(model, batch["chosen"]), self.side_logps(model, batch["rejected"])

    def loss(self, pc, pr, rc, rr):
        return -F.logsigmoid(self.beta * ((pc - rc) - (pr - rr)))

    def step(self, pairs):
        batch = self.collate(pairs)
        with torch.no_grad():
            rc, rr = self.score(self.ref, batch)
        pc, pr = self.score(self.policy, batch)
        loss = self.loss(pc, pr, rc, rr).mean()
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    t = PreferenceTuner(model, tokenizer)
    return dict(collate=t.collate, score=t.score, policy=t.policy, reference=t.ref, loss=t.loss, step=t.step)
