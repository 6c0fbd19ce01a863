# One architecture, two weight dicts, everything through functional_call.
import torch
from torch.func import functional_call


class Frozen(torch.nn.Module):
    """Same forward as `net`, with the weights it had at construction."""

    def __init__(self, net):
        super().__init__()
        self.then = {k: v.detach().clone() for k, v in net.named_parameters()}
        self.then.update({k: v.clone() for k, v in net.named_buffers()})
        self.net = [net]

    def forward(self, *args, **kwargs):
        return functional_call(self.net[0], self.then, args, kwargs)


def connect(model, tokenizer, pairs, beta=0.1, lr=0.1):
    frozen = Frozen(model)

    def collate(pairs):
        batch = []
        for p in pairs:
            a = tokenizer.encode(p["prompt"])
            batch.append([(torch.tensor([a + tokenizer.encode(p[k]) + [tokenizer.eos_token_id]]), len(a))
                          for k in ("chosen", "rejected")])
        return batch

    def single(net, ids, start):
        lp = net(ids).logits[0, start - 1 : -1].log_softmax(-1)
        return lp.gather(1, ids[0, start:, None]).sum()

    def score(net, batch):
        both = torch.stack([torch.stack([single(net, *side) for side in pair]) for pair in batch])
        return both[:, 0], both[:, 1]

    def step(pairs):
        batch = collate(pairs)
        with torch.no_grad():
            rc, rr = score(frozen, batch)
        pc, pr = score(model, batch)
        value = torch.nn.functional.softplus(beta * ((pr - rr) - (pc - rc))).mean()
        params = list(model.parameters())
        grads = torch.autograd.grad(value, params)
        with torch.no_grad():
            for p, g in zip(params, grads):
                p.sub_(lr * g)
        return value.item()

    return {"collate": collate, "score": score, "policy": model, "reference": frozen, "step": step}
