import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


@dataclass(frozen=True)
class Settings:
    beta: float = 0.1
    lr: float = 2e-4
    weight_decay: float = 0.0
    micro_batch: int = 3
    max_grad_norm: float = 1.0


def key(pair: dict) -> str:
    return hashlib.sha1("\x1f".join([pair["prompt"], pair["chosen"], pair["rejected"]]).encode()).hexdigest()


class Run:
    def __init__(self, model, tokenizer, pairs, settings: Settings):
        self.model, self.tokenizer, self.cfg = model, tokenizer, settings
        self.store: dict[str, tuple[float, float]] = {}
        self.remember(sorted(pairs, key=lambda p: len(p["chosen"])))
        self.opt = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)

    def collate(self, pairs) -> dict[str, Tensor]:
        seqs = []
        for side in ("rejected", "chosen"):
            for pair in pairs:
                head = self.tokenizer.encode(pair["prompt"], add_special_tokens=False)
                tail = self.tokenizer.encode(pair[side], add_special_tokens=False)
                seqs.append((head, [*tail, self.tokenizer.eos_token_id]))
        longest = max(len(h) + len(t) for h, t in seqs)
        ids, attention, labels = [], [], []
        for h, t in seqs:
            gap = longest - len(h) - len(t)
            ids.append(h + t + [self.tokenizer.pad_token_id] * gap)
            attention.append([1] * (longest - gap) + [0] * gap)
            labels.append([-1] * len(h) + t + [-1] * gap)
        return {"ids": torch.tensor(ids), "attention": torch.tensor(attention), "labels": torch.tensor(labels)}

    def score(self, model, batch) -> tuple[Tensor, Tensor]:
        logits = model(input_ids=batch["ids"], attention_mask=batch["attention"]).logits[:, :-1]
        labels = batch["labels"][:, 1:]
        scored = labels != -1
        logp = logits.log_softmax(-1).gather(-1, labels.clamp_min(0).unsqueeze(-1)).squeeze(-1)
        rejected, chosen = logp.mul(scored).sum(-1).chunk(2)
        return chosen, rejected

    @torch.no_grad()
    def remember(self, pairs):
        chosen, rejected = self.score(self.model, self.collate(pairs))
        for pair, c, r in zip(pairs, chosen.tolist(), rejected.tolist(), strict=True):
            self.store[key(pair)] = (c, r)

    def reference_scores(self, pairs):
        rows = torch.tensor([self.store[key(p)] for p in pairs])
        return rows[:, 0], rows[:, 1]

    def loss(self, pc, pr, rc, rr):
        return -logsigmoid(self.cfg.beta * ((pc - pr) - (rc - rr)))

    def step(self, pairs) -> float:
        total = 0.0
        for start in range(0, len(pairs), self.cfg.micro_batch):
            part = pairs[start : start + self.cfg.micro_batch]
            losses = self.loss(*self.score(self.model, self.collate(part)), *self.reference_scores(part))
            loss = losses.sum() / len(pairs)
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.cfg.max_grad_norm)
        self.opt.step()
        self.opt.zero_grad()
        return total


def connect(model, tokenizer, pairs):
    run = Run(model, tokenizer, pairs, Settings())
    return dict(
        collate=run.collate,
        score=run.score,
        policy=run.model,
        reference_scores=run.reference_scores,
        loss=run.loss,
        step=run.step,
    )
