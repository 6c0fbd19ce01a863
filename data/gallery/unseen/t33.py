"""Trains a difference to fixed weights: theta = theta_0 + delta, evaluated functionally."""
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call


class Shifted(nn.Module):
    def __init__(self, base, trainable):
        super().__init__()
        object.__setattr__(self, "base", base)
        self.keys = [n for n, _ in base.named_parameters()]
        self.delta = nn.ParameterList(
            [nn.Parameter(torch.zeros_like(p), requires_grad=trainable) for _, p in base.named_parameters()]
        )

    def weights(self):
        start = dict(self.base.named_parameters())
        return {k: start[k].detach() + d for k, d in zip(self.keys, self.delta)}

    def forward(self, **inputs):
        return functional_call(self.base, self.weights(), kwargs=inputs)


def encode(tok, pairs, side):
    prompts = [tok(p["prompt"]).input_ids for p in pairs]
    answers = [tok(p[side]).input_ids + [tok.eos_token_id] for p in pairs]
    rows = [p + a for p, a in zip(prompts, answers)]
    n = max(map(len, rows))
    return {
        "ids": torch.tensor([r + [tok.pad_token_id] * (n - len(r)) for r in rows]),
        "n_prompt": torch.tensor([len(p) for p in prompts]),
        "n_total": torch.tensor([len(r) for r in rows]),
    }


def side_logp(net, b):
    cols = torch.arange(b["ids"].size(1))
    real = (cols < b["n_total"][:, None]).long()
    logits = net(input_ids=b["ids"], attention_mask=real).logits[:, :-1]
    targets = b["ids"][:, 1:]
    where = torch.arange(targets.size(1))
    keep = (where >= b["n_prompt"][:, None]) & (where < b["n_total"][:, None] - 1)
    lp = logits.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return torch.where(keep, lp, 0.0).sum(-1)


def score(net, batch):
    return side_logp(net, batch["chosen"]), side_logp(net, batch["rejected"])


def loss(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return F.softplus(-beta * ((chosen - ref_chosen) - (rejected - ref_rejected)))


def make_step(tok, policy, reference, lr):
    opt = torch.optim.Adam(policy.delta, lr=lr)

    def step(pairs):
        batch = {s: encode(tok, pairs, s) for s in ("chosen", "rejected")}
        with torch.no_grad():
            ref = score(reference, batch)
        value = loss(*score(policy, batch), *ref).mean()
        opt.zero_grad()
        value.backward()
        opt.step()
        return value.item()

    return step


def connect(model, tokenizer, pairs):
    """The reference has a difference of zero."""
    policy, reference = Shifted(model, True), Shifted(model, False)
    return {
        "collate": lambda p: {s: encode(tokenizer, p, s) for s in ("chosen", "rejected")},
        "score": score,
        "policy": policy,
        "reference": reference,
        "loss": loss,
        "step": make_step(tokenizer, policy, reference, 1e-4),
    }
