"""One row per pair, [prompt | chosen | rejected], with a mask of who may see whom."""
import copy

import torch
import torch.nn.functional as F

NEG = torch.finfo(torch.float32).min


class TreeRows:
    """Row layout and attention of a prompt with two continuations."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def layout(self, pair):
        p = self.tokenizer.encode(pair["prompt"])
        branches = [self.tokenizer.encode(pair[k]) + [self.tokenizer.eos_token_id] for k in ("chosen", "rejected")]
        ids, part, pos = list(p), [0] * len(p), list(range(len(p)))
        for n, b in enumerate(branches, start=1):
            ids += b
            part += [n] * len(b)
            pos += range(len(p), len(p) + len(b))
        parent = list(range(-1, len(ids) - 1))
        parent[0] = 0
        parent[len(p) + len(branches[0])] = len(p) - 1
        return ids, part, pos, parent

    def __call__(self, pairs):
        rows = [self.layout(p) for p in pairs]
        n = max(len(r[0]) for r in rows)
        fills = (self.tokenizer.pad_token_id, 3, 0, 0)
        ids, part, pos, parent = (
            torch.tensor([r[k] + [fill] * (n - len(r[k])) for r in rows]) for k, fill in enumerate(fills)
        )
        causal = torch.ones(n, n, dtype=torch.bool).tril()
        same = part[:, :, None] == part[:, None, :]
        to_prompt = (part[:, None, :] == 0).expand_as(same)
        visible = causal & (same | to_prompt)
        mask = torch.zeros(visible.shape).masked_fill(~visible, NEG).unsqueeze(1)
        return {"ids": ids, "part": part, "pos": pos, "parent": parent, "mask": mask}


class TreeDPO:
    def __init__(self, model, tokenizer, beta=0.1, lr=1e-4):
        self.model = model
        self.anchor = copy.deepcopy(model).eval().requires_grad_(False)
        self.rows = TreeRows(tokenizer)
        self.beta = beta
        self.optimizer = torch.optim.NAdam(model.parameters(), lr=lr)

    def score(self, model, batch):
        out = model(
            input_ids=batch["ids"], attention_mask=batch["mask"], position_ids=batch["pos"], use_cache=False
        )
        logp = out.logits.log_softmax(-1)
        n, t = batch["ids"].shape
        lp = logp[torch.arange(n)[:, None].expand(n, t), batch["parent"], batch["ids"]]
        return (lp * (batch["part"] == 1)).sum(-1), (lp * (batch["part"] == 2)).sum(-1)

    def loss(self, c, r, ac, ar):
        return -F.logsigmoid(self.beta * ((c - r) - (ac - ar)))

    def learn(self, pairs):
        batch = self.rows(pairs)
        with torch.no_grad():
            ac, ar = self.score(self.anchor, batch)
        c, r = self.score(self.model, batch)
        loss = self.loss(c, r, ac, ar).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    """Shared-prompt rows."""
    t = TreeDPO(model, tokenizer)
    return {
        "collate": t.rows, "score": t.score, "policy": t.model,
        "reference": t.anchor, "loss": t.loss, "step": t.learn,
    }
