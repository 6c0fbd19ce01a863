"""One row per pair: prompt, chosen, rejected; the prompt is computed once."""

import copy

import torch
import torch.nn.functional as F


class SharedPrompt:
    def __init__(self, tok):
        self.tok = tok

    def layout(self, pair):
        p = self.tok(pair["prompt"]).input_ids
        c = self.tok(pair["chosen"]).input_ids + [self.tok.eos_token_id]
        r = self.tok(pair["rejected"]).input_ids + [self.tok.eos_token_id]
        ids = p + c + r
        positions = list(range(len(p) + len(c))) + list(range(len(p), len(p) + len(r)))
        part = [0] * len(p) + [1] * len(c) + [2] * len(r)
        # where the logits of each answer token are read from
        read_c = list(range(len(p) - 1, len(p) + len(c) - 1))
        read_r = [len(p) - 1] + list(range(len(p) + len(c), len(ids) - 1))
        return ids, positions, part, read_c + read_r

    def __call__(self, pairs):
        rows = [self.layout(p) for p in pairs]
        T = max(len(r[0]) for r in rows)
        B = len(rows)
        ids = torch.full((B, T), self.tok.pad_token_id)
        pos = torch.zeros(B, T, dtype=torch.long)
        part = torch.full((B, T), -1)
        read = torch.zeros(B, T, dtype=torch.long)
        for b, (i, q, s, source) in enumerate(rows):
            ids[b, : len(i)] = torch.tensor(i)
            pos[b, : len(i)] = torch.tensor(q)
            part[b, : len(i)] = torch.tensor(s)
            read[b, len(i) - len(source) : len(i)] = torch.tensor(source)
        query, key = part[:, :, None], part[:, None, :]
        allowed = ((key == 0) & (query >= 0)) | (query == key)
        allowed &= torch.ones(T, T, dtype=torch.bool).tril()
        bias = torch.zeros(B, 1, T, T).masked_fill(~allowed[:, None], torch.finfo(torch.float32).min)
        return dict(ids=ids, pos=pos, part=part, read=read, bias=bias)


def score(model, batch):
    logits = model(batch["ids"], attention_mask=batch["bias"], position_ids=batch["pos"], use_cache=False).logits
    logp = logits.log_softmax(-1)
    source = batch["read"][..., None].expand(-1, -1, logp.shape[-1])
    token = logp.gather(1, source).gather(-1, batch["ids"][..., None]).squeeze(-1)
    return tuple((token * (batch["part"] == k)).sum(1) for k in (1, 2))


def loss(pc, pr, rc, rr, beta=0.1):
    return -F.logsigmoid(beta * ((pc - rc) - (pr - rr)))


def connect(model, tokenizer, pairs):
    reference = copy.deepcopy(model).requires_grad_(False)
    collate = SharedPrompt(tokenizer)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def step(pairs):
        batch = collate(pairs)
        with torch.no_grad():
            r = score(reference, batch)
        value = loss(*score(model, batch), *r).mean()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value.item()

    return {"collate": collate, "score": score, "policy": model, "reference": reference, "loss": loss, "step": step}
