import copy
import logging

import torch
from torch.nn.functional import log_softmax, logsigmoid

log = logging.getLogger(__name__)


class Accumulating:
    """One optimizer update per call of `optimize`, in micro-batches of `micro`."""

    def __init__(self, lm, tokenizer, beta=0.1, lr=1e-4, micro=4):
        self.lm = lm
        self.frozen = copy.deepcopy(lm).requires_grad_(False).eval()
        self.tokenizer = tokenizer
        self.beta, self.micro = beta, micro
        self.optimizer = torch.optim.AdamW(lm.parameters(), lr=lr, weight_decay=0.0)
        self.updates = 0

    def make(self, pairs):
        seqs = {"chosen": [], "rejected": []}
        for pair in pairs:
            for k, v in seqs.items():
                q = self.tokenizer.encode(pair["prompt"])
                a = self.tokenizer.encode(pair[k]) + [self.tokenizer.eos_token_id]
                v.append((q, a))
        return {k: self._tensors(v) for k, v in seqs.items()}

    def _tensors(self, rows):
        width = max(len(q) + len(a) for q, a in rows)
        ids = torch.full((len(rows), width), self.tokenizer.pad_token_id, dtype=torch.long)
        attn = torch.zeros_like(ids)
        resp = torch.zeros_like(ids)
        for i, (q, a) in enumerate(rows):
            ids[i, : len(q) + len(a)] = torch.tensor(q + a)
            attn[i, : len(q) + len(a)] = 1
            resp[i, len(q) : len(q) + len(a)] = 1
        return {"input_ids": ids, "attention_mask": attn, "response": resp}

    def _side(self, net, s):
        logits = net(input_ids=s["input_ids"], attention_mask=s["attention_mask"]).logits
        dist = log_softmax(logits[:, :-1], dim=1)
        picked = dist.gather(2, s["input_ids"][:, 1:].unsqueeze(2)).squeeze(2)
        return picked.mul(s["response"][:, 1:]).sum(1)

    def evaluate(self, net, batch):
        return self._side(net, batch["chosen"]), self._side(net, batch["rejected"])

    def objective(self, c, r, fc, fr):
        return -logsigmoid(self.beta * (c - fc) - self.beta * (r - fr))

    def optimize(self, pairs):
        total = 0.0
        for i in range(0, len(pairs), self.micro):
            part = pairs[i : i + self.micro]
            batch = self.make(part)
            with torch.no_grad():
                fc, fr = self.evaluate(self.frozen, batch)
            c, r = self.evaluate(self.lm, batch)
            loss = self.objective(c, r, fc, fr).sum() / len(pairs)
            loss.backward()
            total += loss.item()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.updates += 1
        log.debug("update %d loss %.4f", self.updates, total)
        return total


def connect(model, tokenizer, pairs):
    """Two forward passes, accumulated."""
    a = Accumulating(model, tokenizer)
    return {
        "collate": a.make, "score": a.evaluate, "policy": a.lm,
        "reference": a.frozen, "loss": a.objective, "step": a.optimize,
    }
