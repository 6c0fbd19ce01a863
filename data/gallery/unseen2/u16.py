"""Memory-light DPO: scores first without a graph, then one side at a time is replayed with its weight."""

import copy

import torch
import torch.nn.functional as F


class ReplayDPO:
    def __init__(self, model, tokenizer, beta=0.1, lr=0.02):
        self.model = model
        self.ref = copy.deepcopy(model).requires_grad_(False)
        self.tokenizer = tokenizer
        self.beta = beta
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr)

    def collate(self, pairs):
        return {s: self._side([(p["prompt"], p[s]) for p in pairs]) for s in ("chosen", "rejected")}

    def _side(self, items):
        tok = self.tokenizer
        enc = [(tok(p).input_ids, tok(a).input_ids + [tok.eos_token_id]) for p, a in items]
        n = max(len(p) + len(a) for p, a in enc)
        ids = torch.tensor([p + a + [tok.pad_token_id] * (n - len(p) - len(a)) for p, a in enc])
        att = torch.tensor([[1] * len(p + a) + [0] * (n - len(p) - len(a)) for p, a in enc])
        sel = torch.tensor([[0] * len(p) + [1] * len(a) + [0] * (n - len(p) - len(a)) for p, a in enc])
        return ids, att, sel

    def side_score(self, model, side):
        ids, att, sel = side
        lp = model(ids, attention_mask=att).logits[:, :-1].log_softmax(-1)
        return (lp.gather(-1, ids[:, 1:, None])[..., 0] * sel[:, 1:]).sum(-1)

    def score(self, model, batch):
        return tuple(self.side_score(model, side) for side in batch.values())

    def loss(self, pc, pr, rc, rr):
        return -F.logsigmoid(self.beta * (pc - rc - pr + rr))

    def step(self, pairs):
        batch = self.collate(pairs)
        with torch.no_grad():
            rc, rr = self.score(self.ref, batch)
            pc, pr = self.score(self.model, batch)
        pc.requires_grad_()
        pr.requires_grad_()
        loss = self.loss(pc, pr, rc, rr).mean()
        weights = torch.autograd.grad(loss, pc)
        self.optimizer.zero_grad()
        for side, weight in zip(batch.values(), weights):
            self.side_score(self.model, side).backward(weight)
        self.optimizer.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    t = ReplayDPO(model, tokenizer)
    return {
        "collate": t.collate,
        "score": t.score,
        "policy": t.model,
        "reference": t.ref,
        "loss": t.loss,
        "step": t.step,
    }
