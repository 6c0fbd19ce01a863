"""Module with training_step / configure_optimizers, the way Lightning wants it, without Lightning."""

import copy

import torch
import torch.nn.functional as F


class DPOModule(torch.nn.Module):
    def __init__(self, model, tokenizer, beta=0.5, lr=2e-4):
        super().__init__()
        self.net = model
        self.anchor = copy.deepcopy(model).eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.beta, self.lr = beta, lr
        self.logged = {}

    def collate(self, pairs):
        seqs = []
        for side in ("chosen", "rejected"):
            for pair in pairs:
                x = self.tokenizer(pair["prompt"])["input_ids"]
                y = self.tokenizer(pair[side])["input_ids"] + [self.tokenizer.eos_token_id]
                seqs.append((x, y))
        size = max(len(x) + len(y) for x, y in seqs)
        ids = torch.full((len(seqs), size), self.tokenizer.pad_token_id)
        keep = torch.zeros(len(seqs), size)
        att = torch.zeros(len(seqs), size, dtype=torch.long)
        for i, (x, y) in enumerate(seqs):
            n = len(x) + len(y)
            ids[i, :n] = torch.tensor(x + y)
            att[i, :n] = 1
            keep[i, len(x) : n] = 1
        return ids, att, keep

    def forward(self, net, batch):
        ids, att, keep = batch
        logp = net(ids, attention_mask=att).logits.log_softmax(-1)
        logp = logp[:, :-1].gather(-1, ids[:, 1:].unsqueeze(-1)).squeeze(-1) * keep[:, 1:]
        return logp.sum(-1).chunk(2)

    def loss(self, policy_chosen, policy_rejected, ref_chosen, ref_rejected):
        chosen_reward = self.beta * (policy_chosen - ref_chosen)
        rejected_reward = self.beta * (policy_rejected - ref_rejected)
        margin = chosen_reward.mean() - rejected_reward.mean()
        self.logged.update(margin=float(margin), accuracy=float((chosen_reward > rejected_reward).float().mean()))
        return -F.logsigmoid(margin)

    def training_step(self, batch):
        with torch.no_grad():
            anchor = self(self.anchor, batch)
        return self.loss(*self(self.net, batch), *anchor)

    def configure_optimizers(self):
        return torch.optim.AdamW(self.net.parameters(), lr=self.lr, weight_decay=0.0)


def connect(model, tokenizer, pairs):
    module = DPOModule(model, tokenizer)
    optimizer = module.configure_optimizers()

    def step(pairs):
        loss = module.training_step(module.collate(pairs))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return {
        "collate": module.collate,
        "score": module.forward,
        "policy": module.net,
        "reference": module.anchor,
        "loss": module.loss,
        "step": step,
    }
