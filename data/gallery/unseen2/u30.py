"""Hinge (SLiC-style) preference loss with a reference; one concatenated pass."""

import copy

import torch


class Hinge:
    def __init__(self, model, tokenizer, beta=0.05, lr=1e-4):
        self.student = model
        self.teacher = copy.deepcopy(model)
        self.teacher.eval()
        for p in self.teacher.parameters():
            p.requires_grad_(False)
        self.tokenizer = tokenizer
        self.beta = beta
        self.optim = torch.optim.Adamax(self.student.parameters(), lr=lr)

    def collate(self, pairs):
        names = sorted(k for k in pairs[0] if k != "prompt")
        grouped = {}
        for name in reversed(names):
            grouped[name] = [self.encode(p["prompt"], p[name]) for p in pairs]
        flat = [row for rows in grouped.values() for row in rows]
        width = max(len(ids) for ids, _ in flat)
        ids = torch.full((len(flat), width), self.tokenizer.pad_token_id)
        lens = torch.tensor([len(i) for i, _ in flat])
        cut = torch.tensor([n for _, n in flat])
        for k, (i, _) in enumerate(flat):
            ids[k, : len(i)] = torch.tensor(i)
        at = torch.arange(width).unsqueeze(0)
        return {
            "input_ids": ids,
            "attention_mask": (at < lens[:, None]).long(),
            "response": (at >= cut[:, None]) & (at < lens[:, None]),
        }

    def encode(self, prompt, response):
        head = self.tokenizer(prompt)["input_ids"]
        tail = self.tokenizer(response)["input_ids"]
        return head + tail + [self.tokenizer.eos_token_id], len(head)

    def score(self, model, batch):
        logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        logp = torch.log_softmax(logits[:, :-1], dim=-1)
        logp = logp.gather(-1, batch["input_ids"][:, 1:].unsqueeze(-1)).squeeze(-1)
        chosen, rejected = (logp * batch["response"][:, 1:]).sum(-1).chunk(2)
        return chosen, rejected

    def loss(self, pc, pr, rc, rr):
        return torch.clamp(1 - self.beta * ((pc - rc) - (pr - rr)), min=0)

    def step(self, pairs):
        batch = self.collate(pairs)
        with torch.no_grad():
            rc, rr = self.score(self.teacher, batch)
        pc, pr = self.score(self.student, batch)
        loss = self.loss(pc, pr, rc, rr).mean()
        self.optim.zero_grad()
        loss.backward()
        self.optim.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    t = Hinge(model, tokenizer)
    return {
        "collate": t.collate,
        "score": t.score,
        "policy": t.student,
        "reference": t.teacher,
        "loss": t.loss,
        "step": t.step,
    }
