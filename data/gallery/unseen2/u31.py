import copy

import torch
import torch.nn.functional as F


class SmoothClip:
    """Scales a large gradient down gradually instead of cutting it at the norm."""

    def __init__(self, params, cap):
        self.params, self.cap = list(params), cap

    @torch.no_grad()
    def __call__(self):
        norm = torch.stack([p.grad.norm() for p in self.params if p.grad is not None]).norm()
        excess = torch.clamp(norm - self.cap, min=0.0) / self.cap
        for p in self.params:
            if p.grad is not None:
                p.grad.mul_(1.0 - excess)
        return norm


def connect(model, tokenizer, pairs):
    beta, lr = 0.1, 0.01
    ref = copy.deepcopy(model).eval().requires_grad_(False)
    opt = torch.optim.SGD(model.parameters(), lr=lr)
    clip = SmoothClip(model.parameters(), cap=0.25)

    def encode(p, side):
        q = tokenizer(p["prompt"]).input_ids
        a = tokenizer(p[side]).input_ids + [tokenizer.eos_token_id]
        return torch.tensor(q + a), torch.tensor([0.0] * len(q) + [1.0] * len(a))

    def collate(pairs):
        rows = [encode(p, s) for s in ("chosen", "rejected") for p in pairs]
        pad = torch.nn.utils.rnn.pad_sequence
        ids = pad([r[0] for r in rows], batch_first=True, padding_value=tokenizer.pad_token_id)
        weights = pad([r[1] for r in rows], batch_first=True)
        attention = pad([torch.ones_like(r[0]) for r in rows], batch_first=True)
        return ids, attention, weights

    def score(net, batch):
        ids, attention, weights = batch
        logp = F.log_softmax(net(ids, attention_mask=attention).logits, -1)[:, :-1]
        logp = logp.gather(2, ids[:, 1:, None])[:, :, 0]
        s = (logp * weights[:, 1:]).sum(1)
        return s[: len(s) // 2], s[len(s) // 2 :]

    def loss(pc, pr, rc, rr):
        return -F.logsigmoid(beta * (pc - pr) - beta * (rc - rr))

    def step(pairs):
        opt.zero_grad()
        batch = collate(pairs)
        with torch.no_grad():
            r = score(ref, batch)
        value = loss(*score(model, batch), *r).mean()
        value.backward()
        clip()
        opt.step()
        return value.item()

    return dict(collate=collate, score=score, policy=model, reference=ref, loss=loss, step=step)
