from copy import deepcopy
from dataclasses import dataclass

import torch
from torch.nn.functional import logsigmoid


@dataclass
class TrainConfig:
    beta: float = 0.1
    label_smoothing: float = 0.05
    lr: float = 1e-4
    weight_decay: float = 0.01
    grad_clip: float = 5.0


def build_optimizer(model, cfg):
    decay = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": decay, "weight_decay": cfg.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=cfg.lr)


class Trainer:
    def __init__(self, base, tokenizer, cfg):
        self.cfg, self.tokenizer = cfg, tokenizer
        self.policy = deepcopy(base)
        self.reference = base.eval()
        self.optimizer = build_optimizer(base, cfg)

    def collate(self, pairs):
        seqs = []
        for p in pairs:
            x = self.tokenizer(p["prompt"]).input_ids
            seqs += [(x, self.tokenizer(p[s]).input_ids + [self.tokenizer.eos_token_id]) for s in ("chosen", "rejected")]
        T = max(len(x + y) for x, y in seqs)
        return {
            "ids": torch.tensor([x + y + [self.tokenizer.pad_token_id] * (T - len(x + y)) for x, y in seqs]),
            "real": torch.tensor([[1] * len(x + y) + [0] * (T - len(x + y)) for x, y in seqs]),
            "resp": torch.tensor([[0] * len(x) + [1] * len(y) + [0] * (T - len(x + y)) for x, y in seqs]),
        }

    def score(self, model, batch):
        logits = model(batch["ids"], attention_mask=batch["real"]).logits[:, :-1]
        logp = logits.log_softmax(-1).gather(-1, batch["ids"][:, 1:, None]).squeeze(-1)
        total = (logp * batch["resp"][:, 1:]).sum(-1)
        return total[::2], total[1::2]

    def loss(self, pc, pr, rc, rr):
        z = self.cfg.beta * ((pc - rc) - (pr - rr))
        e = self.cfg.label_smoothing
        return -(1 - e) * logsigmoid(z) - e * logsigmoid(-z)

    def step(self, pairs):
        self.policy.train()
        batch = self.collate(pairs)
        with torch.no_grad():
            ref = self.score(self.reference, batch)
        loss = self.loss(*self.score(self.policy, batch), *ref).mean()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.cfg.grad_clip)
        self.optimizer.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    t = Trainer(model, tokenizer, TrainConfig())
    return {
        "collate": t.collate,
        "score": t.score,
        "policy": t.policy,
        "reference": t.reference,
        "loss": t.loss,
        "step": t.step,
    }
