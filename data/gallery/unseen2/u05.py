import copy
import math

import torch
from torch import nn


class DPO:
    """Separate chosen / rejected passes, linear warm-up, decoupled weight decay."""

    def __init__(self, policy: nn.Module, tokenizer, beta: float = 0.1, lr: float = 5e-4, warmup: int = 4):
        self.policy = policy
        self.reference = copy.deepcopy(policy)
        self.reference.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.beta = beta
        self.optimizer = torch.optim.AdamW(policy.parameters(), lr=lr, weight_decay=0.05)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda n: min(1.0, (n + 1) / warmup))

    def ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def collate(self, pairs):
        bos, eos = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        batch = {}
        for side in ("chosen", "rejected"):
            heads = [[bos, *self.ids(p["prompt"])] for p in pairs]
            tails = [[*self.ids(p[side]), eos] for p in pairs]
            longest = max(len(h) + len(t) for h, t in zip(heads, tails))
            longest = 8 * math.ceil(longest / 8)
            ids = torch.zeros(len(pairs), longest, dtype=torch.long) + self.tokenizer.pad_token_id
            real = torch.zeros(len(pairs), longest, dtype=torch.bool)
            tail = torch.zeros(len(pairs), longest, dtype=torch.bool)
            for n, (h, t) in enumerate(zip(heads, tails)):
                ids[n, : len(h + t)] = torch.tensor(h + t)
                real[n, : len(h + t)] = True
                tail[n, len(h) : len(h + t)] = True
            batch[side] = (ids, real.long(), tail)
        return batch

    def sequence_logp(self, model, ids, real, tail):
        logp = model(input_ids=ids, attention_mask=real).logits.log_softmax(dim=-1)
        logp = logp[:, :-1].gather(-1, ids[:, 1:].unsqueeze(-1)).squeeze(-1)
        return (logp * tail[:, 1:]).sum(dim=-1)

    def score(self, model, batch):
        return self.sequence_logp(model, *batch["chosen"]), self.sequence_logp(model, *batch["rejected"])

    def loss(self, policy_chosen, policy_rejected, reference_chosen, reference_rejected):
        chosen = policy_chosen - reference_chosen
        rejected = policy_rejected - reference_rejected
        return -nn.functional.logsigmoid(self.beta * (chosen - rejected)).mean()

    def step(self, pairs):
        batch = self.collate(pairs)
        with torch.no_grad():
            reference = self.score(self.reference, batch)
        loss = self.loss(*self.score(self.policy, batch), *reference)
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        return loss.item()


def connect(model, tokenizer, pairs):
    dpo = DPO(model, tokenizer)
    return {k: getattr(dpo, k) for k in ("collate", "score", "policy", "reference", "loss", "step")}
