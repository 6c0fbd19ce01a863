# both answers of a pair share one row with their prompt
import copy
import itertools

import torch
import torch.nn.functional as F


def pair_row(tok, pair):
    prompt = tok.encode(pair["prompt"])
    answers = [tok.encode(pair[k]) + [tok.eos_token_id] for k in ("chosen", "rejected")]
    ids = prompt + answers[0] + answers[1]
    n, a, b = len(prompt), len(answers[0]), len(answers[1])
    see = torch.ones(len(ids), len(ids), dtype=torch.bool).tril()
    see[n + a :, n : n + a] = False
    where = [
        torch.tensor([n - 1, *range(n, n + a - 1)]),
        torch.tensor([n - 1, *range(n + a, n + a + b - 1)]),
    ]
    goal = [torch.tensor(answers[0]), torch.tensor(answers[1])]
    return torch.tensor(ids), see, where, goal


def collate_rows(tok, pairs):
    rows = [pair_row(tok, p) for p in pairs]
    T = max(len(r[0]) for r in rows)
    ids = torch.stack([F.pad(r[0], (0, T - len(r[0])), value=tok.pad_token_id) for r in rows])
    see = torch.eye(T, dtype=torch.bool).repeat(len(rows), 1, 1)
    for k, r in enumerate(rows):
        n = len(r[0])
        see[k, :n, :n] = r[1]
    position_ids = torch.arange(T).expand(len(rows), T)
    bias = torch.where(see, 0.0, torch.finfo(torch.float32).min)[:, None]
    return {
        "model": {"input_ids": ids, "attention_mask": bias, "position_ids": position_ids, "use_cache": False},
        "where": [r[2] for r in rows],
        "goal": [r[3] for r in rows],
    }


def score(net, batch):
    logp = net(**batch["model"]).logits.log_softmax(-1)
    sums = [[], []]
    for k, side in itertools.product(range(len(logp)), (0, 1)):
        at, goal = batch["where"][k][side], batch["goal"][k][side]
        sums[side].append(logp[k, at, goal].sum())
    return torch.stack(sums[0]), torch.stack(sums[1])


class OneRowDPO:
    def __init__(self, model, tok, beta, lr):
        self.net, self.tok, self.beta = model, tok, beta
        self.old = copy.deepcopy(model).requires_grad_(False)
        self.sgd = torch.optim.SGD(model.parameters(), lr=lr)

    def collate(self, pairs):
        return collate_rows(self.tok, pairs)

    def loss(self, pc, pr, rc, rr):
        return -F.logsigmoid(self.beta * ((pc - rc) - (pr - rr)))

    def step(self, pairs):
        batch = self.collate(pairs)
        with torch.no_grad():
            old = score(self.old, batch)
        loss = self.loss(*score(self.net, batch), *old).mean()
        self.sgd.zero_grad()
        loss.backward()
        self.sgd.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    t = OneRowDPO(model, tokenizer, beta=0.1, lr=0.01)
    return {"collate": t.collate, "score": score, "policy": t.net, "reference": t.old, "loss": t.loss, "step": t.step}
