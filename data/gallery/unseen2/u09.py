import copy

import torch
import torch.nn.functional as F


def pack(tok, prompts, answers):
    out = []
    for p, a in zip(prompts, answers):
        p, a = tok(p).input_ids, tok(a).input_ids + [tok.eos_token_id]
        out.append((p + a, [0] * len(p) + [1] * len(a)))
    w = max(len(i) for i, _ in out)
    ids = torch.tensor([i + [tok.pad_token_id] * (w - len(i)) for i, _ in out])
    answer = torch.tensor([m + [0] * (w - len(m)) for _, m in out])
    attend = torch.tensor([[1] * len(i) + [0] * (w - len(i)) for i, _ in out])
    return ids, attend, answer


def logp(net, ids, attend, answer):
    lp = F.log_softmax(net(ids, attention_mask=attend).logits, dim=-1)
    lp = lp[:, :-1].gather(2, ids[:, 1:, None]).squeeze(2)
    return torch.einsum("bt,bt->b", lp, answer[:, 1:].to(lp.dtype))


def connect(model, tokenizer, pairs, beta=0.1, lr=0.02):
    ref = copy.deepcopy(model)
    for p in ref.parameters():
        p.requires_grad = False
    weights = filter(lambda p: p.requires_grad, model.parameters())
    optimizer = torch.optim.SGD(weights, lr=lr, momentum=0.0)

    def collate(pairs):
        prompts = [p["prompt"] for p in pairs]
        return [pack(tokenizer, prompts, [p[k] for p in pairs]) for k in ("chosen", "rejected")]

    def score(net, batch):
        chosen, rejected = batch
        return logp(net, *chosen), logp(net, *rejected)

    def loss(pc, pr, rc, rr):
        return F.softplus(-beta * (pc - pr - (rc - rr)))

    def step(pairs):
        for w in weights:
            w.grad = None
        batch = collate(pairs)
        with torch.no_grad():
            r = score(ref, batch)
        value = loss(*score(model, batch), *r).mean()
        value.backward()
        optimizer.step()
        return value.item()

    return {"collate": collate, "score": score, "policy": model, "reference": ref, "loss": loss, "step": step}
