"""Hinge preference loss (max-margin instead of logistic) with cached reference scores."""
import copy
import hashlib

import torch


def key_of(pair):
    return hashlib.sha1("\x1f".join((pair["prompt"], pair["chosen"], pair["rejected"])).encode()).hexdigest()


class HingeDPO:
    def __init__(self, model, tokenizer, beta=0.05, lr=1e-4, ref_batch=3):
        self.model = model
        self.base = copy.deepcopy(model).eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.beta = beta
        self.ref_batch = ref_batch
        self.table = {}
        self.optimizer = torch.optim.Adamax(model.parameters(), lr=lr)

    # -- tokens
    def side(self, pairs, name):
        qs = [self.tokenizer.encode(p["prompt"]) for p in pairs]
        rs = [self.tokenizer.encode(p[name]) + [self.tokenizer.eos_token_id] for p in pairs]
        n = max(len(q) + len(r) for q, r in zip(qs, rs))
        ids = torch.full((len(pairs), n), self.tokenizer.pad_token_id)
        lo, hi = torch.tensor([len(q) for q in qs]), torch.tensor([len(q) + len(r) for q, r in zip(qs, rs)])
        for row, (q, r) in enumerate(zip(qs, rs)):
            ids[row, : len(q) + len(r)] = torch.tensor(q + r)
        return {"ids": ids, "lo": lo, "hi": hi}

    def collate(self, pairs):
        return {"chosen": self.side(pairs, "chosen"), "rejected": self.side(pairs, "rejected")}

    # -- scores
    def side_logp(self, net, s):
        j = torch.arange(s["ids"].size(1))
        real = j < s["hi"][:, None]
        wanted = (real & (j >= s["lo"][:, None]))[:, 1:]
        logits = net(s["ids"], attention_mask=real.long()).logits[:, :-1]
        lp = logits.log_softmax(2).gather(2, s["ids"][:, 1:, None])[..., 0]
        return (lp * wanted).sum(1)

    def score(self, net, batch):
        return self.side_logp(net, batch["chosen"]), self.side_logp(net, batch["rejected"])

    @torch.no_grad()
    def fill_table(self, pairs):
        todo = [p for p in pairs if key_of(p) not in self.table]
        todo.sort(key=lambda p: len(p["chosen"]) + len(p["rejected"]), reverse=True)
        for i in range(0, len(todo), self.ref_batch):
            part = todo[i : i + self.ref_batch]
            for p, c, r in zip(part, *self.score(self.base, self.collate(part))):
                self.table[key_of(p)] = (float(c), float(r))

    def cached(self, pairs):
        self.fill_table(pairs)
        numbers = torch.tensor([self.table[key_of(p)] for p in pairs])
        return numbers[:, 0], numbers[:, 1]

    # -- learning
    def hinge(self, c, r, c0, r0):
        return torch.clamp(1.0 - self.beta * ((c - r) - (c0 - r0)), min=0.0)

    def update(self, pairs):
        c0, r0 = self.cached(pairs)
        loss = self.hinge(*self.score(self.model, self.collate(pairs)), c0, r0).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    """The training set is cached at the start; other pairs when they come."""
    h = HingeDPO(model, tokenizer)
    h.fill_table(pairs)
    return {
        "collate": h.collate,
        "score": h.score,
        "policy": h.model,
        "reference": h.base,
        "reference_scores": h.cached,
        "loss": h.hinge,
        "step": h.update,
    }
