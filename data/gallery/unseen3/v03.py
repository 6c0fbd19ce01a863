"""One module, two sets of weights: the reference is called through torch.func."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.func import functional_call


class WithWeights(nn.Module):
    def __init__(self, net, weights):
        super().__init__()
        self.call = lambda **kw: functional_call(net, weights, (), kw)

    @torch.no_grad()
    def forward(self, **kw):
        return self.call(**kw)


def snapshot(net):
    return {name: w.detach() for name, w in net.named_parameters()}


def connect(model, tokenizer, pairs):
    beta = 0.2
    anchor = WithWeights(model, snapshot(model))
    opt = torch.optim.SGD(model.parameters(), lr=0.05)

    def collate(pairs):
        texts = [(p["prompt"], p["chosen"]) for p in pairs] + [(p["prompt"], p["rejected"]) for p in pairs]
        heads = [len(tokenizer(p).input_ids) for p, _ in texts]
        full = tokenizer([f"{p} {r}{tokenizer.eos_token}" for p, r in texts], padding=True, return_tensors="pt")
        at = torch.arange(full.input_ids.shape[1])
        answer = (at >= torch.tensor(heads)[:, None]) & full.attention_mask.bool()
        return full.input_ids, full.attention_mask, answer

    def score(net, batch):
        ids, mask, answer = batch
        logp = F.log_softmax(net(input_ids=ids, attention_mask=mask).logits[:, :-1], -1)
        picked = torch.gather(logp, -1, ids[:, 1:].unsqueeze(-1)).squeeze(-1)
        s = (picked * answer[:, 1:]).sum(-1)
        n = len(s) // 2
        return s[:n], s[n:]

    def loss(pc, pr, rc, rr):
        return F.softplus(-beta * ((pc - pr) - (rc - rr)))

    def step(pairs):
        batch = collate(pairs)
        value = loss(*score(model, batch), *score(anchor, batch)).mean()
        opt.zero_grad(set_to_none=True)
        value.backward()
        opt.step()
        return value.item()

    return {"collate": collate, "score": score, "policy": model, "reference": anchor, "loss": loss, "step": step}
