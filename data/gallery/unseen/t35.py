"""Small pure functions, composed at the end."""
import copy
from functools import reduce

import torch

identity = lambda x: x  # noqa: E731
compose = lambda *fs: reduce(lambda f, g: lambda x: g(f(x)), fs, identity)  # noqa: E731


def tokens_of(tok):
    def f(pairs):
        def row(pair, side):
            p, a = tok.encode(pair["prompt"]), tok.encode(pair[side]) + [tok.eos_token_id]
            return {"ids": p + a, "resp": [0.0] * len(p) + [1.0] * len(a), "att": [1] * (len(p) + len(a))}

        return [[row(pair, side) for pair in pairs] for side in ("chosen", "rejected")]

    return f


def padded(pad_id):
    fill = {"ids": pad_id, "resp": 0.0, "att": 0}

    def one(rows):
        n = max(len(r["ids"]) for r in rows)
        return {k: torch.tensor([r[k] + [v] * (n - len(r[k])) for r in rows]) for k, v in fill.items()}

    return lambda sides: tuple(one(rows) for rows in sides)


def logp(model, part):
    z = model(input_ids=part["ids"], attention_mask=part["att"]).logits[:, :-1]
    target = part["ids"][:, 1:]
    return ((z.gather(-1, target.unsqueeze(-1)).squeeze(-1) - z.logsumexp(-1)) * part["resp"][:, 1:]).sum(-1)


def score(model, batch):
    return tuple(logp(model, part) for part in batch)


def margin(chosen, rejected, ref_chosen, ref_rejected):
    return (chosen - ref_chosen) - (rejected - ref_rejected)


def preference_probability(beta):
    return lambda *logps: torch.sigmoid(beta * margin(*logps))


def dpo(beta):
    prob = preference_probability(beta)
    return lambda *logps: -prob(*logps)


def no_grad(f):
    def g(*a):
        with torch.no_grad():
            return f(*a)

    return g


def updater(collate, policy, reference, loss, opt):
    ref_score = no_grad(score)

    def update(pairs):
        batch = collate(pairs)
        value = loss(*score(policy, batch), *ref_score(reference, batch)).mean()
        opt.zero_grad()
        value.backward()
        opt.step()
        return value.item()

    return update


def connect(model, tokenizer, pairs):
    """All pieces bound together."""
    collate = compose(tokens_of(tokenizer), padded(tokenizer.pad_token_id))
    reference = copy.deepcopy(model).eval().requires_grad_(False)
    loss = dpo(beta=0.1)
    opt = torch.optim.AdamW(model.parameters(), lr=1e-4)
    return {
        "collate": collate,
        "score": score,
        "policy": model,
        "reference": reference,
        "loss": loss,
        "step": updater(collate, model, reference, loss, opt),
    }
