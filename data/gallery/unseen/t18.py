"""Preference loss as an nn.Module next to a scoring helper (used by several trainers of the same code base)."""
import copy

import torch
from torch import nn


class ResponseScorer:
    def __init__(self, tok, max_tokens=64):
        self.tok = tok
        self.max_tokens = max_tokens

    def ids_and_mask(self, question, answer):
        q = self.tok.encode(question)
        a = self.tok.encode(answer)
        a.append(self.tok.eos_token_id)
        ids = (q + a)[: self.max_tokens]
        mask = ([False] * len(q) + [True] * len(a))[: self.max_tokens]
        return ids, mask

    def collate(self, pairs):
        batch = []
        for side in ("chosen", "rejected"):
            enc = [self.ids_and_mask(p["prompt"], p[side]) for p in pairs]
            size = max(len(i) for i, _ in enc)
            batch.append(
                {
                    "ids": torch.tensor([i + [self.tok.pad_token_id] * (size - len(i)) for i, _ in enc]),
                    "real": torch.tensor([[1] * len(i) + [0] * (size - len(i)) for i, _ in enc]),
                    "answer": torch.tensor([m + [False] * (size - len(m)) for _, m in enc]),
                }
            )
        return batch

    def one_side(self, lm, side):
        logits = lm(input_ids=side["ids"], attention_mask=side["real"]).logits
        logits, goal, use = logits[:, :-1], side["ids"][:, 1:], side["answer"][:, 1:]
        lp = logits.gather(-1, goal[..., None]).squeeze(-1) - logits.logsumexp(-1)
        return torch.stack([row[m].sum() for row, m in zip(lp, use)])

    def __call__(self, lm, batch):
        return self.one_side(lm, batch[0]), self.one_side(lm, batch[1])


class PreferenceLoss(nn.Module):
    def __init__(self, beta=0.1, reduction="none"):
        super().__init__()
        self.beta = beta
        self.reduction = reduction

    def forward(self, chosen, rejected, ref_chosen, ref_rejected):
        policy_margin = chosen - rejected
        reference_margin = ref_rejected - ref_chosen
        logits = policy_margin - reference_margin
        losses = -nn.functional.logsigmoid(self.beta * logits)
        return losses.mean() if self.reduction == "mean" else losses


def connect(model, tokenizer, pairs):
    """The loop lives in the framework, which only asks for a scorer and a loss."""
    scorer = ResponseScorer(tokenizer)
    reference = copy.deepcopy(model).eval().requires_grad_(False)
    return {
        "collate": scorer.collate,
        "score": scorer,
        "policy": model,
        "reference": reference,
        "loss": PreferenceLoss(beta=0.1),
    }
