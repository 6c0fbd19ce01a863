"""DPO with left-padded batches (shared with the sampler) and gradient accumulation."""
import copy
from contextlib import nullcontext

import torch
import torch.nn.functional as F


class LeftPadDPO:
    def __init__(self, model, tokenizer, beta=0.1, lr=1e-4, micro_batch=3):
        self.tokenizer = copy.deepcopy(tokenizer)
        self.tokenizer.padding_side = "left"
        self.model = model
        self.initial = copy.deepcopy(model).eval().requires_grad_(False)
        self.beta = beta
        self.micro_batch = micro_batch
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)

    def collate(self, pairs):
        full, n_answer = [], []
        for pair in pairs:
            for side in ("chosen", "rejected"):
                answer = self.tokenizer(pair[side])["input_ids"] + [self.tokenizer.eos_token_id]
                full.append(self.tokenizer(pair["prompt"])["input_ids"] + answer)
                n_answer.append(len(answer))
        enc = self.tokenizer.pad({"input_ids": full}, padding=True, return_tensors="pt")
        from_end = torch.arange(enc["input_ids"].size(1), 0, -1)
        enc["answer"] = from_end.unsqueeze(0) <= torch.tensor(n_answer).unsqueeze(1)
        return enc

    def score(self, net, enc):
        mask = enc["attention_mask"]
        position_ids = mask.long().cumsum(-1) - 1
        position_ids.masked_fill_(mask == 0, 1)
        logits = net(input_ids=enc["input_ids"], attention_mask=mask, position_ids=position_ids).logits
        lp = logits.log_softmax(-1)[:, :-1].gather(-1, enc["input_ids"][:, 1:, None]).squeeze(-1)
        lp = lp.masked_fill(~enc["answer"][:, 1:], 0).sum(-1).view(-1, 2)
        return lp[:, 0], lp[:, 1]

    def loss(self, c, r, c_init, r_init):
        return F.binary_cross_entropy_with_logits(
            self.beta * (c - c_init - r + r_init), torch.ones_like(c), reduction="none"
        )

    def accumulate(self, micro, total, sync=nullcontext):
        enc = self.collate(micro)
        with sync():
            with torch.no_grad():
                init = self.score(self.initial, enc)
            loss = self.loss(*self.score(self.model, enc), *init).mean()
            weighted = loss * len(micro) / total
            weighted.backward()
        return weighted.item()

    def step(self, pairs):
        self.optimizer.zero_grad()
        done = sum(
            self.accumulate(pairs[i : i + self.micro_batch], len(pairs))
            for i in range(0, len(pairs), self.micro_batch)
        )
        self.optimizer.step()
        return done


def connect(model, tokenizer, pairs):
    """Micro-batches of three, the last one may be smaller."""
    t = LeftPadDPO(model, tokenizer)
    return {
        "collate": t.collate,
        "score": t.score,
        "policy": t.model,
        "reference": t.initial,
        "loss": t.loss,
        "step": t.step,
        "tokenizer": t.tokenizer,
    }
