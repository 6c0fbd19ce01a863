"""Conservative DPO, written with explicit parameters: everything is a function of (params, batch)."""
from functools import partial
from types import SimpleNamespace

import torch
from torch import nn
from torch.func import functional_call

hp = SimpleNamespace(beta=0.1, eps=0.15, lr=2e-4, b1=0.9, b2=0.99)


class Params(nn.Module):
    """A set of weights for a skeleton network; calling it runs the skeleton with these weights."""

    def __init__(self, skeleton, values, train):
        super().__init__()
        self.__dict__["skeleton"] = skeleton
        self.names = list(values)
        self.values = nn.ParameterList([nn.Parameter(v.detach().clone(), requires_grad=train) for v in values.values()])

    def as_dict(self):
        return dict(zip(self.names, self.values))

    def forward(self, *args, **kwargs):
        return functional_call(self.skeleton, self.as_dict(), args, kwargs)


def to_rows(tok, pairs, side):
    rows = []
    for pair in pairs:
        x = tok(pair["prompt"])["input_ids"]
        y = tok(pair[side])["input_ids"] + [tok.eos_token_id]
        rows.append((x, y))
    return rows


def collate(tok, pairs):
    rows = to_rows(tok, pairs, "chosen") + to_rows(tok, pairs, "rejected")
    T = max(len(x) + len(y) for x, y in rows)
    tokens = torch.zeros(len(rows), T, dtype=torch.int64) + tok.pad_token_id
    lx, lxy = torch.tensor([[len(x), len(x) + len(y)] for x, y in rows]).T
    for i, (x, y) in enumerate(rows):
        tokens[i, : lxy[i]] = torch.tensor(x + y)
    pos = torch.arange(T)[None]
    return {"tokens": tokens, "real": (pos < lxy[:, None]).long(), "weight": ((pos >= lx[:, None]) & (pos < lxy[:, None])).float()}


def score(net, batch):
    logits = net(input_ids=batch["tokens"], attention_mask=batch["real"]).logits
    nll = nn.functional.cross_entropy(
        logits[:, :-1].transpose(1, 2), batch["tokens"][:, 1:], reduction="none"
    )
    lp = -torch.einsum("nt,nt->n", nll, batch["weight"][:, 1:])
    n = lp.numel() // 2
    return lp[:n], lp[n:]


def cdpo(chosen, rejected, ref_chosen, ref_rejected):
    z = hp.beta * (chosen - ref_chosen - rejected + ref_rejected)
    return nn.functional.binary_cross_entropy_with_logits(z, torch.full_like(z, 1 - hp.eps), reduction="none")


def update(tok, policy, reference, moments, pairs):
    batch = collate(tok, pairs)
    with torch.no_grad():
        ref = score(reference, batch)
    loss = cdpo(*score(policy, batch), *ref).mean()
    grads = torch.autograd.grad(loss, list(policy.values))
    moments["t"] += 1
    with torch.no_grad():
        for p, g, m, v in zip(policy.values, grads, moments["m"], moments["v"]):
            m.lerp_(g, 1 - hp.b1)
            v.lerp_(g * g, 1 - hp.b2)
            mh = m / (1 - hp.b1 ** moments["t"])
            vh = v / (1 - hp.b2 ** moments["t"])
            p.sub_(hp.lr * mh / (vh.sqrt() + 1e-8))
    return loss.item()


def connect(model, tokenizer, pairs):
    """Policy and reference are two sets of weights for one skeleton."""
    weights = {k: v for k, v in model.named_parameters()}
    policy, reference = Params(model, weights, True), Params(model, weights, False)
    moments = {"t": 0, "m": [torch.zeros_like(p) for p in policy.values], "v": [torch.zeros_like(p) for p in policy.values]}
    return {
        "collate": partial(collate, tokenizer),
        "score": score,
        "policy": policy,
        "reference": reference,
        "loss": cdpo,
        "step": partial(update, tokenizer, policy, reference, moments),
    }
