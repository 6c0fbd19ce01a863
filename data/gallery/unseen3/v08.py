# Packed preference rows: [prompt chosen | prompt rejected] under one block mask.
import torch
import torch.nn as nn
from copy import deepcopy


class PackedDPO(nn.Module):
    def __init__(self, lm, tok, beta=0.3):
        super().__init__()
        self.lm, self.tok, self.beta = lm, tok, beta
        self.base = deepcopy(lm).requires_grad_(False).eval()
        self.optim = torch.optim.SGD(self.lm.parameters(), lr=0.03)

    def collate(self, pairs):
        rows = []
        for pair in pairs:
            ids, pos, doc, ans = [], [], [], []
            for d, key in enumerate(("chosen", "rejected")):
                p = self.tok.encode(pair["prompt"])
                a = self.tok.encode(pair[key]) + [self.tok.eos_token_id]
                ids += p + a
                pos += range(len(p + a))
                doc += [d] * len(p + a)
                ans += [-1] * len(p) + [d] * len(a)
            rows.append((ids, pos, doc, ans))
        n = max(len(r[0]) for r in rows)
        fill = lambda k, v: torch.tensor([list(r[k]) + [v] * (n - len(r[k])) for r in rows])
        ids, pos, doc, ans = fill(0, 0), fill(1, 0), fill(2, 9), fill(3, -1)
        same = doc[:, None, :] == doc[:, :, None]
        see = same & torch.ones(n, n, dtype=torch.bool).tril()
        bias = torch.zeros(see.shape).masked_fill(~see, torch.finfo(torch.float32).min)[:, None]
        return ids, pos, bias, ans

    def score(self, lm, batch):
        ids, pos, bias, ans = batch
        lp = lm(input_ids=ids, position_ids=pos, attention_mask=bias, use_cache=False).logits.log_softmax(-1)
        tok = lp[:, :-1].gather(-1, ids[:, 1:].unsqueeze(-1)).squeeze(-1)
        return tuple(torch.where(ans[:, 1:] == d, tok, 0.0).sum(-1) for d in (0, 1))

    def loss(self, pc, pr, rc, rr):
        margin = (pc - rc) - (pr - rr)
        return torch.logaddexp(torch.zeros_like(margin), -self.beta * margin)

    def step(self, pairs):
        batch = self.collate(pairs)
        with torch.no_grad():
            rc, rr = self.score(self.base, batch)
        loss = self.loss(*self.score(self.lm, batch), rc, rr).mean()
        self.optim.zero_grad()
        loss.backward()
        self.optim.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    t = PackedDPO(model, tokenizer)
    return dict(collate=t.collate, score=t.score, policy=t.lm, reference=t.base, loss=t.loss, step=t.step)
