"""Preference tuning, class version."""
import copy

import torch
import torch.nn.functional as F

IGNORE = -100


class PrefTuner:
    def __init__(self, net, tok, beta=0.1, lr=0.05):
        self.net, self.tok, self.beta = net, tok, beta
        self.ref = copy.deepcopy(net).eval()
        for w in self.ref.parameters():
            w.requires_grad = False
        self.opt = torch.optim.SGD(self.net.parameters(), lr=lr)

    def encode(self, prompt, answer):
        p = self.tok(prompt + " ")["input_ids"]
        a = self.tok(answer)["input_ids"] + [self.tok.eos_token_id]
        ids = p + a
        targets = [IGNORE] * len(p) + a
        return ids, targets[1:] + [IGNORE]

    def collate(self, pairs):
        rows = [self.encode(x["prompt"], x["chosen"]) for x in pairs]
        rows += [self.encode(x["prompt"], x["rejected"]) for x in pairs]
        width = max(len(i) for i, _ in rows)
        ids = torch.full((len(rows), width), self.tok.pad_token_id)
        targets = torch.full((len(rows), width), IGNORE)
        mask = torch.zeros(len(rows), width, dtype=torch.long)
        for n, (i, t) in enumerate(rows):
            ids[n, : len(i)] = torch.tensor(i)
            targets[n, : len(t)] = torch.tensor(t)
            mask[n, : len(i)] = 1
        return {"ids": ids, "targets": targets, "mask": mask}

    def score(self, net, batch):
        logits = net(input_ids=batch["ids"], attention_mask=batch["mask"]).logits[:, :-1]
        targets = batch["targets"][:, 1:]
        nll = F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=IGNORE, reduction="none")
        return (-nll.sum(-1)).chunk(2)

    def loss(self, pc, pr, rc, rr):
        return -F.logsigmoid(self.beta * ((pc - rc) - (pr - rr)))

    def step(self, pairs):
        batch = self.collate(pairs)
        with torch.no_grad():
            rc, rr = self.score(self.ref, batch)
        loss = self.loss(*self.score(self.net, batch), rc, rr).mean()
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    t = PrefTuner(model, tokenizer)
    return {"collate": t.collate, "score": t.score, "policy": t.net, "reference": t.ref,
            "loss": t.loss, "step": t.step}
