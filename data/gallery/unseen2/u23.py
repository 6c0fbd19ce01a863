import copy

import torch

CONFIG = dict(tau=0.05, lr=1e-4, alpha=0.95)


class IPO:
    """Identity preference optimisation with average log-probabilities."""

    def __init__(self, model, tok):
        self.policy, self.tok = model, tok
        self.prior = copy.deepcopy(model)
        for p in self.prior.parameters():
            p.requires_grad_(False)
        self.tau = CONFIG["tau"]
        self.opt = torch.optim.RMSprop(model.parameters(), lr=CONFIG["lr"], alpha=CONFIG["alpha"])

    def tensors(self, texts):
        enc = [(self.tok.encode(p), self.tok.encode(a) + [self.tok.eos_token_id]) for p, a in texts]
        width = max(len(p) + len(a) for p, a in enc)
        x = torch.full((len(enc), width), self.tok.pad_token_id)
        seen = torch.zeros_like(x)
        y = torch.zeros(x.shape, dtype=torch.bool)
        for i, (p, a) in enumerate(enc):
            n = len(p) + len(a)
            x[i, :n] = torch.tensor(p + a)
            seen[i, :n] = 1
            y[i, len(p) : n] = True
        return x, seen, y

    def collate(self, pairs):
        return [self.tensors([(p["prompt"], p[side]) for p in pairs]) for side in ("chosen", "rejected")]

    def mean_logp(self, model, x, seen, y):
        lp = model(input_ids=x, attention_mask=seen).logits[:, :-1].log_softmax(-1)
        lp = lp.gather(-1, x[:, 1:].unsqueeze(-1)).squeeze(-1)
        y = y[:, 1:].to(lp.dtype)
        return (lp * y).sum(1) / y.sum(1)

    def score(self, model, batch):
        return [self.mean_logp(model, *side) for side in batch]

    def loss(self, pc, pr, rc, rr):
        h = (pc - rc) - (pr - rr)
        return (h - 1 / 2 * self.tau) ** 2

    def step(self, pairs):
        batch = self.collate(pairs)
        with torch.no_grad():
            prior = self.score(self.prior, batch)
        loss = self.loss(*self.score(self.policy, batch), *prior).mean()
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    t = IPO(model, tokenizer)
    return dict(collate=t.collate, score=t.score, policy=t.policy, reference=t.prior, loss=t.loss, step=t.step)
