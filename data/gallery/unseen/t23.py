"""Trust-region DPO: the reference follows the policy slowly (soft update after every optimizer step)."""
import copy

import torch
import torch.nn.functional as F


class MovingReference:
    def __init__(self, policy, weight):
        self.module = copy.deepcopy(policy).eval()
        for p in self.module.parameters():
            p.requires_grad = False
        self.weight = weight

    @torch.no_grad()
    def follow(self, policy):
        for mine, theirs in zip(self.module.parameters(), policy.parameters()):
            mine.mul_(1.0 - self.weight).add_(theirs, alpha=self.weight)


class TRDPO:
    def __init__(self, policy, tok, beta=0.1, lr=1e-4, alpha=0.1):
        self.policy = policy
        self.moving = MovingReference(policy, alpha)
        self.tok = tok
        self.beta = beta
        self.adam = torch.optim.AdamW(policy.parameters(), lr=lr, weight_decay=0.0)

    def collate(self, pairs):
        triples = []
        for side in ("chosen", "rejected"):
            for p in pairs:
                x, y = self.tok.encode(p["prompt"]), self.tok.encode(p[side])
                triples.append((x, y + [self.tok.eos_token_id]))
        n = max(len(x) + len(y) for x, y in triples)
        pad = self.tok.pad_token_id
        ids = torch.tensor([x + y + [pad] * (n - len(x) - len(y)) for x, y in triples])
        kind = torch.tensor([[1] * len(x) + [2] * len(y) + [0] * (n - len(x) - len(y)) for x, y in triples])
        return ids, kind

    def score(self, lm, batch):
        ids, kind = batch
        z = lm(input_ids=ids, attention_mask=(kind > 0).long()).logits[:, :-1]
        token = z.gather(-1, ids[:, 1:].unsqueeze(-1)).squeeze(-1) - torch.logsumexp(z, -1)
        total = token.where(kind[:, 1:] == 2, token.new_zeros(())).sum(-1)
        n = total.numel() // 2
        return total[:n], total[n:]

    def loss(self, c, r, c0, r0):
        return F.softplus(-self.beta * (c - c0 - r + r0))

    def step(self, pairs):
        batch = self.collate(pairs)
        with torch.no_grad():
            c0, r0 = self.score(self.moving.module, batch)
        c, r = self.score(self.policy, batch)
        loss = self.loss(c, r, c0, r0).mean()
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        self.moving.follow(self.policy)
        return loss.item()


def connect(model, tokenizer, pairs):
    """TR-DPO with a soft update, weight 0.1."""
    t = TRDPO(model, tokenizer)
    return {
        "collate": t.collate,
        "score": t.score,
        "policy": t.policy,
        "reference": t.moving.module,
        "loss": t.loss,
        "step": t.step,
    }
