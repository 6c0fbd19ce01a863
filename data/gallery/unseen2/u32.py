"""DPO against a slowly moving reference (exponential average of the policy), with a small Adam of our own."""

import copy

import torch
import torch.nn.functional as F


class TinyAdam:
    def __init__(self, params, lr=1e-4, b1=0.9, b2=0.99, eps=1e-8):
        self.params = [p for p in params if p.requires_grad]
        self.lr, self.b1, self.b2, self.eps = lr, b1, b2, eps
        self.m = [torch.zeros_like(p) for p in self.params]
        self.v = [torch.zeros_like(p) for p in self.params]
        self.t = 0

    @torch.no_grad()
    def step(self):
        self.t += 1
        for p, m, v in zip(self.params, self.m, self.v):
            m.lerp_(p.grad, 1 - self.b1)
            v.mul_(self.b2).addcmul_(p.grad, p.grad, value=1 - self.b2)
            m_hat = m / (1 - self.b1**self.t)
            v_hat = v / (1 - self.b2**self.t)
            p -= self.lr * m_hat / (v_hat.sqrt() + self.eps)

    def zero_grad(self):
        for p in self.params:
            p.grad = None


class MovingDPO:
    def __init__(self, model, tok, beta=0.1, tau=0.05):
        self.policy = model
        self.reference = copy.deepcopy(model).eval().requires_grad_(False)
        self.tok, self.beta, self.tau = tok, beta, tau
        self.opt = TinyAdam(model.parameters())

    def collate(self, pairs):
        eos, pad = self.tok.eos_token_id, self.tok.pad_token_id
        rows = [self.tok(f"{p['prompt']} {p[s]}").input_ids + [eos] for s in ("chosen", "rejected") for p in pairs]
        n = max(map(len, rows))
        ids = torch.tensor([r + [pad] * (n - len(r)) for r in rows])
        real = torch.tensor([[1] * len(r) + [0] * (n - len(r)) for r in rows])
        return ids, real

    def score(self, model, batch):
        # log p(prompt, answer): the prompt's share is the same on both sides
        ids, real = batch
        logp = model(ids, attention_mask=real).logits[:, :-1].log_softmax(-1)
        logp = logp.gather(-1, ids[:, 1:, None]).squeeze(-1)
        return (logp * real[:, 1:]).sum(-1).chunk(2)

    def loss(self, pc, pr, rc, rr):
        return -F.logsigmoid(self.beta * ((pc - pr) - (rc - rr)))

    @torch.no_grad()
    def follow(self):
        for slow, fast in zip(self.reference.parameters(), self.policy.parameters()):
            slow.lerp_(fast, self.tau)

    def step(self, pairs):
        batch = self.collate(pairs)
        with torch.no_grad():
            reference = self.score(self.reference, batch)
        loss = self.loss(*self.score(self.policy, batch), *reference).mean()
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        self.follow()
        return loss.item()


def connect(model, tokenizer, pairs):
    t = MovingDPO(model, tokenizer)
    return dict(collate=t.collate, score=t.score, policy=t.policy, reference=t.reference, loss=t.loss, step=t.step)
