"""Both answers of a pair share one row: prompt+chosen then prompt+rejected, positions restart."""
import copy

import torch
import torch.nn.functional as F


def pack_pair(tok, pair):
    p = tok(pair["prompt"]).input_ids
    c = tok(pair["chosen"]).input_ids + [tok.eos_token_id]
    r = tok(pair["rejected"]).input_ids + [tok.eos_token_id]
    ids = p + c + p + r
    pos = list(range(len(p) + len(c))) + list(range(len(p) + len(r)))
    seg = [0] * len(p) + [1] * len(c) + [0] * len(p) + [2] * len(r)
    return ids, pos, seg


def connect(model, tokenizer, pairs):
    ref = copy.deepcopy(model).eval().requires_grad_(False)
    opt = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0)

    def collate(pairs):
        rows = [pack_pair(tokenizer, p) for p in pairs]
        width = max(len(r[0]) for r in rows)
        grow = lambda xs, v: xs + [v] * (width - len(xs))
        return {
            "input_ids": torch.tensor([grow(i, tokenizer.pad_token_id) for i, _, _ in rows]),
            "position_ids": torch.tensor([grow(p, 0) for _, p, _ in rows]),
            "attention_mask": torch.tensor([grow([1] * len(i), 0) for i, _, _ in rows]),
            "segments": torch.tensor([grow(s, 0) for _, _, s in rows]),
        }

    def score(net, batch):
        ids, seg = batch["input_ids"], batch["segments"]
        logits = net(input_ids=ids, position_ids=batch["position_ids"], attention_mask=batch["attention_mask"]).logits
        lp = F.log_softmax(logits[:, :-1], -1).gather(-1, ids[:, 1:, None]).squeeze(-1)
        return (lp * (seg[:, 1:] == 1)).sum(-1), (lp * (seg[:, 1:] == 2)).sum(-1)

    def loss(pc, pr, rc, rr, beta=0.1):
        return -F.logsigmoid(beta * ((pc - rc) - (pr - rr)))

    def step(pairs):
        b = collate(pairs)
        with torch.no_grad():
            r = score(ref, b)
        out = loss(*score(model, b), *r).mean()
        opt.zero_grad()
        out.backward()
        opt.step()
        return out.item()

    return {"collate": collate, "score": score, "policy": model, "reference": ref, "loss": loss, "step": step}
