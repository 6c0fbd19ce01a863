"""Packs the responses of a batch into few long rows to save padding."""

import copy

import torch
from torch.nn.functional import logsigmoid

ROW = 64


class Packer:
    def __init__(self, tokenizer):
        self.tok = tokenizer

    def sequences(self, pairs):
        for side in ("chosen", "rejected"):
            for pair in pairs:
                prompt = self.tok(pair["prompt"]).input_ids
                answer = self.tok(pair[side]).input_ids + [self.tok.eos_token_id]
                yield prompt, answer

    def __call__(self, pairs):
        rows, current = [], []
        for n, (prompt, answer) in enumerate(self.sequences(pairs)):
            used = sum(len(p) + len(a) for _, p, a in current)
            if current and used + len(prompt) + len(answer) > ROW:
                rows.append(current)
                current = []
            current.append((n, prompt, answer))
        rows.append(current)
        ids = torch.full((len(rows), ROW), self.tok.pad_token_id)
        positions = torch.zeros(len(rows), ROW, dtype=torch.long)
        owner = torch.full((len(rows), ROW), -1)
        real = torch.zeros(len(rows), ROW, dtype=torch.long)
        for r, row in enumerate(rows):
            at = 0
            for n, prompt, answer in row:
                end = at + len(prompt) + len(answer)
                ids[r, at:end] = torch.tensor(prompt + answer)
                positions[r, at:end] = torch.arange(end - at)
                owner[r, at + len(prompt) : end] = n
                real[r, at:end] = 1
                at = end
        return {"input_ids": ids, "position_ids": positions, "attention_mask": real, "owner": owner, "n": 2 * len(pairs)}


def score(model, batch):
    names = ("input_ids", "position_ids", "attention_mask")
    logits = model(**{k: batch[k] for k in names}, use_cache=False).logits
    logp = logits[:, :-1].log_softmax(-1).gather(-1, batch["input_ids"][:, 1:, None]).squeeze(-1)
    owner = batch["owner"][:, 1:]
    inside = owner >= 0
    sums = torch.zeros(batch["n"]).index_add(0, owner[inside], logp[inside])
    return sums.chunk(2)


def loss(pc, pr, rc, rr, beta=0.1):
    return -logsigmoid(beta * (pc - rc) - beta * (pr - rr))


def connect(model, tokenizer, pairs):
    policy = model
    reference = copy.deepcopy(model).requires_grad_(False)
    collate = Packer(tokenizer)

    return {"collate": collate, "score": score, "policy": policy, "reference": reference, "loss": loss}
