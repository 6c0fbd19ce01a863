"""Conservative DPO (label smoothing), Lightning-shaped, interleaved rows, eos as padding, accumulated gradients."""
import copy

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader


class LitCDPO(nn.Module):
    def __init__(self, lm, tok, beta=0.2, smoothing=0.1, lr=2e-4, micro=2):
        super().__init__()
        self.lm, self.tok = lm, tok
        self.ref = copy.deepcopy(lm).eval().requires_grad_(False)
        self.beta, self.smoothing, self.lr, self.micro = beta, smoothing, lr, micro

    def collate(self, pairs):
        end = self.tok.eos_token_id
        ids, heads = [], []
        for p in pairs:
            h = self.tok(p["prompt"]).input_ids
            for key in ("chosen", "rejected"):
                ids.append(h + self.tok(p[key]).input_ids + [end])
                heads.append(len(h))
        sizes = torch.tensor([len(i) for i in ids]).unsqueeze(1)
        x = torch.full((len(ids), int(sizes.max())), end)
        for row, i in zip(x, ids):
            row[: len(i)] = torch.tensor(i)
        at = torch.arange(x.shape[1])
        real = at < sizes
        return x, real.long(), real & (at >= torch.tensor(heads).unsqueeze(1))

    def score(self, lm, batch):
        x, real, answer = batch
        lp = lm(input_ids=x, attention_mask=real).logits[:, :-1].log_softmax(-1).gather(-1, x[:, 1:, None])[..., 0]
        s = lp.masked_fill(~answer[:, 1:], 0).sum(1)
        return s[::2], s[1::2]

    def loss(self, pc, pr, rc, rr):
        h = self.beta * ((pc - pr) - (rc - rr))
        return -(1 - self.smoothing) * F.logsigmoid(h) - self.smoothing * F.logsigmoid(-h)

    def training_step(self, batch):
        with torch.no_grad():
            r = self.score(self.ref, batch)
        return self.loss(*self.score(self.lm, batch), *r)

    def configure_optimizers(self):
        return torch.optim.AdamW(self.lm.parameters(), lr=self.lr, weight_decay=0.0)


def connect(model, tokenizer, pairs):
    lit = LitCDPO(model, tokenizer)
    opt = lit.configure_optimizers()

    def step(pairs):
        total = 0.0
        for batch in DataLoader(pairs, batch_size=lit.micro, collate_fn=lit.collate):
            value = lit.training_step(batch).sum() / len(pairs)
            value.backward()
            total += value.item()
        opt.step()
        opt.zero_grad()
        return total

    return dict(collate=lit.collate, score=lit.score, policy=lit.lm, reference=lit.ref, loss=lit.loss, step=step)
