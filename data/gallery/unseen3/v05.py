# SLiC-style hinge on DPO margins; the starting model's scores are computed once and kept.
import torch
from torch import nn


class Cache(dict):
    """(prompt, answer) -> log-probability under the starting model"""

    def fill(self, scorer, rows):
        todo = [r for r in dict.fromkeys(rows) if r not in self]
        if todo:
            with torch.no_grad():
                for row, value in zip(todo, scorer(todo).tolist()):
                    self[row] = value

    def look(self, rows):
        return torch.tensor([self[r] for r in rows])


class Hinge:
    beta = 0.5

    def __init__(self, lm: nn.Module, tok, data):
        self.lm, self.tok = lm.eval(), tok
        self.cache = Cache()
        self.remember(data)
        self.opt = torch.optim.RMSprop(lm.parameters(), lr=1e-4)

    def remember(self, data):
        for side in ("chosen", "rejected"):
            self.cache.fill(lambda rows: self.rows_logp(self.lm, self.pack(rows)), [(d["prompt"], d[side]) for d in data])

    def pack(self, rows):
        enc = [(self.tok(p).input_ids, self.tok(a).input_ids + [self.tok.eos_token_id]) for p, a in rows]
        w = max(len(p) + len(a) for p, a in enc)
        ids = torch.zeros(len(enc), w, dtype=torch.long)
        m = torch.zeros(len(enc), w)
        for k, (p, a) in enumerate(enc):
            ids[k, : len(p) + len(a)] = torch.tensor(p + a)
            m[k, len(p) : len(p) + len(a)] = 1.0
        return ids, m

    def rows_logp(self, lm, packed):
        ids, m = packed
        z = lm(ids).logits[:, :-1]
        lp = z.gather(-1, ids[:, 1:, None]).squeeze(-1) - z.logsumexp(-1)
        return (lp * m[:, 1:]).sum(1)

    def collate(self, pairs):
        return [self.pack([(d["prompt"], d[s]) for d in pairs]) for s in ("chosen", "rejected")]

    def score(self, lm, batch):
        return tuple(self.rows_logp(lm, b) for b in batch)

    def reference_scores(self, pairs):
        self_rows = [[(d["prompt"], d[s]) for d in pairs] for s in ("chosen", "rejected")]
        return self.cache.look(self_rows[0]), self.cache.look(self_rows[1])

    def loss(self, pc, pr, rc, rr):
        return (1 - self.beta * ((pc - rc) - (pr - rr))).clamp(min=0)

    def step(self, pairs):
        value = self.loss(*self.score(self.lm, self.collate(pairs)), *self.reference_scores(pairs)).mean()
        self.opt.zero_grad()
        value.backward()
        self.opt.step()
        return value.item()


def connect(model, tokenizer, pairs):
    h = Hinge(model, tokenizer, pairs)
    return {"collate": h.collate, "score": h.score, "policy": h.lm, "reference_scores": h.reference_scores,
            "loss": h.loss, "step": h.step}
