"""IPO written functionally: parameters in, gradients out, RMSprop by hand."""

import torch
from torch.func import functional_call, grad_and_value

TAU, LR, RHO, EPS = 0.1, 5e-5, 0.99, 1e-8


def encode(tok, pairs, side):
    out = []
    for p in pairs:
        head = tok(p["prompt"]).input_ids
        out.append((head, tok(p[side]).input_ids + [tok.eos_token_id]))
    T = max(len(h + t) for h, t in out)
    ids = torch.tensor([h + t + [tok.pad_token_id] * (T - len(h + t)) for h, t in out])
    real = torch.tensor([[1] * len(h + t) + [0] * (T - len(h + t)) for h, t in out])
    tail = torch.tensor([[0.0] * len(h) + [1.0] * len(t) + [0.0] * (T - len(h + t)) for h, t in out])
    return ids, real, tail


def mean_logp(net, params, ids, real, tail):
    logits = functional_call(net, params, (), {"input_ids": ids, "attention_mask": real}).logits
    logp = torch.log_softmax(logits[:, :-1], -1).gather(-1, ids[:, 1:, None]).squeeze(-1)
    return (logp * tail[:, 1:]).sum(-1) / tail[:, 1:].sum(-1)


class Holder(torch.nn.Module):
    """A frozen set of parameters for a network."""

    def __init__(self, net):
        super().__init__()
        self.shape = [net]
        self.names = [n for n, _ in net.named_parameters()]
        frozen = [torch.nn.Parameter(p.detach().clone(), requires_grad=False) for _, p in net.named_parameters()]
        self.values = torch.nn.ParameterList(frozen)

    def forward(self, **inputs):
        return functional_call(self.shape[0], dict(zip(self.names, self.values)), (), inputs)


def connect(model, tokenizer, pairs):
    reference = Holder(model)
    square = {n: torch.zeros_like(p) for n, p in model.named_parameters()}

    def collate(pairs):
        return encode(tokenizer, pairs, "chosen"), encode(tokenizer, pairs, "rejected")

    def score(net, batch):
        params = {n: p for n, p in net.named_parameters()}
        return tuple(mean_logp(net, params, *side) for side in batch)

    def loss(pc, pr, rc, rr):
        return ((pc - pr) - (rc - rr) - 0.5 / TAU).square()

    def step(pairs):
        batch = collate(pairs)
        with torch.no_grad():
            ref = score(reference, batch)

        def objective(params):
            return loss(*(mean_logp(model, params, *side) for side in batch), *ref).mean()

        params = {n: p.detach() for n, p in model.named_parameters()}
        grads, value = grad_and_value(objective)(params)
        with torch.no_grad():
            for n, p in model.named_parameters():
                square[n].mul_(RHO).addcmul_(grads[n], grads[n], value=1 - RHO)
                p.sub_(LR * grads[n] / (square[n].sqrt() + EPS))
        return float(value)

    return dict(collate=collate, score=score, policy=model, reference=reference, loss=loss, step=step)
