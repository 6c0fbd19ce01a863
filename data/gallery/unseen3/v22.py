import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass
class Settings:
    beta: float = 0.2
    lr: float = 0.02
    micro_batch: int = 2


class Runner:
    def __init__(self, model, tokenizer, s: Settings):
        self.model, self.tok, self.s = model, tokenizer, s
        self.ref = copy.deepcopy(model).eval().requires_grad_(False)
        self.opt = torch.optim.SGD(model.parameters(), lr=s.lr)

    def collate(self, pairs):
        seqs, marks = [], []
        for key in ("chosen", "rejected"):
            for p in pairs:
                a = self.tok(p["prompt"]).input_ids
                b = self.tok(p[key]).input_ids + [self.tok.eos_token_id]
                seqs.append(torch.tensor(a + b))
                marks.append(torch.tensor([0.0] * len(a) + [1.0] * len(b)))
        pad = torch.nn.utils.rnn.pad_sequence
        return pad(seqs, batch_first=True, padding_value=self.tok.pad_token_id), pad(marks, batch_first=True)

    def score(self, net, batch):
        ids, mark = batch
        lp = F.log_softmax(net(ids).logits[:, :-1], -1).gather(-1, ids[:, 1:, None]).squeeze(-1)
        return (lp * mark[:, 1:]).sum(-1).chunk(2)

    def loss(self, pc, pr, rc, rr):
        return torch.relu(1 - self.s.beta * ((pc - pr) - (rc - rr)))

    def micro(self, pairs, share):
        batch = self.collate(pairs)
        with torch.no_grad():
            rc, rr = self.score(self.ref, batch)
        self.opt.zero_grad()
        value = self.loss(*self.score(self.model, batch), rc, rr).mean() * share
        value.backward()
        return value.item()

    def step(self, pairs):
        n, total = self.s.micro_batch, 0.0
        for i in range(0, len(pairs), n):
            part = pairs[i : i + n]
            total += self.micro(part, len(part) / len(pairs))
        self.opt.step()
        return total


def connect(model, tokenizer, pairs):
    r = Runner(model, tokenizer, Settings())
    return {"collate": r.collate, "score": r.score, "policy": r.model, "reference": r.ref, "loss": r.loss, "step": r.step}
