"""A LightningModule-like DPO task with a tiny fit loop."""
import copy

import torch
import torch.nn.functional as F
from torch import nn
from transformers import GPT2LMHeadModel


class DPOTask(nn.Module):
    def __init__(self, policy, tokenizer, beta=0.1, lr=1e-4):
        super().__init__()
        self.policy = policy
        self.reference = copy.deepcopy(policy).eval()
        self.reference.requires_grad_(False)
        self.tokenizer = tokenizer
        self.beta, self.lr = beta, lr

    def configure_optimizers(self):
        return torch.optim.AdamW(self.policy.parameters(), lr=self.lr)

    def collate(self, pairs):
        seqs, resp = [], []
        for s in ("chosen", "rejected"):
            for p in pairs:
                a = self.tokenizer.encode(p["prompt"])
                b = self.tokenizer.encode(p[s]) + [self.tokenizer.eos_token_id]
                seqs.append(torch.tensor(a + b))
                resp.append(torch.tensor([0] * len(a) + [1] * len(b)))
        pad = nn.utils.rnn.pad_sequence
        return {
            "input_ids": pad(seqs, batch_first=True, padding_value=self.tokenizer.pad_token_id),
            "attention_mask": pad([torch.ones_like(s) for s in seqs], batch_first=True),
            "response": pad(resp, batch_first=True),
        }

    def logps(self, net, batch):
        logits = net(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        lp = logits[:, :-1].log_softmax(-1).gather(-1, batch["input_ids"][:, 1:, None])[..., 0]
        return (lp * batch["response"][:, 1:]).sum(-1).chunk(2)

    def dpo(self, c, r, rc, rr):
        return -F.logsigmoid(self.beta * ((c - rc) - (r - rr)))

    def training_step(self, batch, batch_idx):
        c, r = self.logps(self.policy, batch)
        with torch.no_grad():
            rc, rr = self.logps(self.reference, batch)
        return self.dpo(c, r, rc, rr).mean()


class Fit:
    """The part of a fit loop that one batch needs."""

    def __init__(self, task):
        self.task = task
        self.optimizer = task.configure_optimizers()
        self.seen = 0
        self.task.train()

    def batch(self, pairs):
        self.task.train()
        loss = self.task.training_step(self.task.collate(pairs), self.seen)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.seen += 1
        return loss.item()


def with_dropout(model, p=0.1):
    """The checkpoint with the dropout it was pretrained with."""
    config = copy.deepcopy(model.config)
    config.resid_pdrop = config.embd_pdrop = config.attn_pdrop = p
    net = GPT2LMHeadModel(config)
    net.load_state_dict(model.state_dict())
    return net


def connect(model, tokenizer, pairs):
    """GPT-2 with its usual dropout of 0.1."""
    task = DPOTask(with_dropout(model), tokenizer)
    fit = Fit(task)
    return {
        "collate": task.collate,
        "score": task.logps,
        "policy": task.policy,
        "reference": task.reference,
        "loss": task.dpo,
        "step": fit.batch,
    }
