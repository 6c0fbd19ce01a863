"""DPO with per-token helpers (so we can also log per-token rewards)."""

import copy

import torch


def token_logps(model, ids, attention):
    logits = model(input_ids=ids, attention_mask=attention).logits[:, :-1].float()
    target = ids[:, 1:]
    return logits.gather(-1, target[..., None])[..., 0] - logits.logsumexp(-1)


class Trainer:
    beta = 0.3

    def __init__(self, model, tok):
        self.model, self.tok = model, tok
        self.frozen = copy.deepcopy(model)
        self.frozen.eval()
        for p in self.frozen.parameters():
            p.requires_grad_(False)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)

    def _row(self, prompt, answer):
        x = self.tok(prompt)["input_ids"]
        y = self.tok(answer)["input_ids"] + [self.tok.eos_token_id]
        return x + y, [False] * (len(x) - 1) + [True] * len(y)

    def collate(self, pairs):
        rows = [self._row(p["prompt"], p["chosen"]) for p in pairs]
        rows += [self._row(p["prompt"], p["rejected"]) for p in pairs]
        n = max(len(ids) for ids, _ in rows)
        ids = [r + [self.tok.pad_token_id] * (n - len(r)) for r, _ in rows]
        att = [[1] * len(r) + [0] * (n - len(r)) for r, _ in rows]
        use = [m + [False] * (n - 1 - len(m)) for _, m in rows]
        return torch.tensor(ids), torch.tensor(att), torch.tensor(use)

    def score(self, model, batch):
        ids, att, use = batch
        lp = torch.where(use, token_logps(model, ids, att), 0.0).sum(-1)
        return lp[: len(lp) // 2], lp[len(lp) // 2 :]

    def rewards(self, policy_logps, reference_logps):
        return self.beta * (policy_logps - reference_logps)

    def preference_loss(self, pc, pr, rc, rr):
        good = self.rewards(pc, rc)
        bad = self.rewards(pr, rr)
        return torch.nn.functional.softplus(-self.beta * (good - bad))

    def train_step(self, pairs):
        self.model.train()
        batch = self.collate(pairs)
        with torch.no_grad():
            rc, rr = self.score(self.frozen, batch)
        pc, pr = self.score(self.model, batch)
        loss = self.preference_loss(pc, pr, rc, rr).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    t = Trainer(model, tokenizer)
    return {
        "collate": t.collate,
        "score": t.score,
        "policy": t.model,
        "reference": t.frozen,
        "loss": t.preference_loss,
        "step": t.train_step,
    }
