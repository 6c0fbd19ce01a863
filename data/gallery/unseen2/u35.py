"""Conservative DPO with a log-likelihood term on the chosen answer, under bf16 autocast."""

import copy

import torch
from torch import nn


class ConservativeDPO(nn.Module):
    def __init__(self, model, tokenizer, beta=0.2, noise=0.1, sft=0.02):
        super().__init__()
        self.policy = model
        self.reference = copy.deepcopy(model).requires_grad_(False)
        self.tokenizer = tokenizer
        self.hparams = {"beta": beta, "noise": noise, "sft": sft, "lr": 1e-4}

    def train(self, mode=True):
        super().train(mode)
        self.reference.eval()
        return self

    def collate(self, pairs):
        tok = self.tokenizer
        pad = tok.eos_token_id
        parts = [(tok.encode(p["prompt"]), tok.encode(p[k]) + [pad]) for k in ("chosen", "rejected") for p in pairs]
        starts = torch.tensor([len(x) for x, _ in parts])
        stops = torch.tensor([len(x) + len(y) for x, y in parts])
        width = int(stops.max())
        ids = torch.tensor([x + y + [pad] * (width - len(x) - len(y)) for x, y in parts])
        t = torch.arange(width)
        return {
            "ids": ids,
            "attention": (t < stops[:, None]).long(),
            "answer": (t >= starts[:, None]) & (t < stops[:, None]),
        }

    def forward(self, net, batch):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = net(batch["ids"], attention_mask=batch["attention"]).logits
        logp = logits[:, :-1].float().log_softmax(-1)
        logp = logp.gather(-1, batch["ids"][:, 1:, None]).squeeze(-1)
        return (logp * batch["answer"][:, 1:]).sum(-1).chunk(2)

    def loss(self, pc, pr, rc, rr):
        h = self.hparams
        z = h["beta"] * ((pc - rc) - (pr - rr))
        right, flipped = nn.functional.logsigmoid(z), nn.functional.logsigmoid(-z)
        return -(1 - h["noise"]) * right - h["noise"] * flipped - h["sft"] * pc

    def training_step(self, batch, batch_idx):
        with torch.no_grad():
            anchor = self(self.reference, batch)
        return self.loss(*self(self.policy, batch), *anchor).mean()

    def configure_optimizers(self):
        return torch.optim.AdamW(self.policy.parameters(), lr=self.hparams["lr"], weight_decay=0.0)


class Loop:
    def __init__(self, module):
        self.module, self.n = module, 0
        self.optimizer = module.configure_optimizers()

    def fit_batch(self, pairs):
        self.module.train()
        loss = self.module.training_step(self.module.collate(pairs), self.n)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.n += 1
        return loss.item()


def connect(model, tokenizer, pairs):
    module = ConservativeDPO(model, tokenizer)
    return {
        "collate": module.collate,
        "score": module.forward,
        "policy": module.policy,
        "reference": module.reference,
        "loss": module.loss,
        "step": Loop(module).fit_batch,
    }
