"""Chosen and rejected share one row: [prompt | chosen | rejected], so the prompt is read once."""
import copy

import torch
from torch.nn import functional as F

MAXW = 128


def pack(pair, tok):
    p = tok.encode(pair["prompt"])
    c = tok.encode(pair["chosen"]) + [tok.eos_token_id]
    r = tok.encode(pair["rejected"]) + [tok.eos_token_id]
    ids = p + c + r
    pos = list(range(len(p) + len(c))) + list(range(len(p), len(p) + len(r)))
    seg = [0] * len(p) + [1] * len(c) + [2] * len(r)
    # index of the position whose logits predict each token
    prev = [0] + list(range(len(ids) - 1))
    prev[len(p) + len(c)] = len(p) - 1
    return ids, pos, seg, prev


class PackedCollator:
    def __init__(self, tok):
        self.tok = tok

    def __call__(self, pairs):
        packed = [pack(p, self.tok) for p in pairs]
        w = max(len(x[0]) for x in packed)
        assert w <= MAXW

        def stack(i, fill):
            return torch.tensor([x[i] + [fill] * (w - len(x[i])) for x in packed])

        return {
            "ids": stack(0, self.tok.pad_token_id),
            "pos": stack(1, 0),
            "seg": stack(2, -1),
            "prev": stack(3, 0),
        }


def packed_logps(model, batch):
    valid = (batch["seg"] >= 0).long()
    logits = model(
        input_ids=batch["ids"], attention_mask=valid, position_ids=batch["pos"], use_cache=False
    ).logits
    logp = F.log_softmax(logits, -1)
    at_prev = torch.gather(logp, 1, batch["prev"].unsqueeze(-1).expand(-1, -1, logp.size(-1)))
    tok_lp = at_prev.gather(-1, batch["ids"].unsqueeze(-1)).squeeze(-1)
    chosen = tok_lp.mul(batch["seg"] == 1).sum(-1)
    rejected = tok_lp.mul(batch["seg"] == 2).sum(-1)
    return chosen, rejected


def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    logits = beta * ((chosen - rejected) - (ref_chosen - ref_rejected))
    losses = -F.logsigmoid(logits)
    return losses


class PackedDPO:
    def __init__(self, model, tok):
        self.model = model
        self.frozen = copy.deepcopy(model).eval()
        for w in self.frozen.parameters():
            w.requires_grad_(False)
        self.collate = PackedCollator(tok)

    def loss_of(self, batch):
        chosen, rejected = packed_logps(self.model, batch)
        with torch.inference_mode():
            rc, rr = packed_logps(self.frozen, batch)
        return dpo_loss(chosen, rejected, rc.clone(), rr.clone()).mean()


def connect(model, tokenizer, pairs):
    """The caller owns the optimizer in this code base, so there is no step here."""
    d = PackedDPO(model, tokenizer)
    return {
        "collate": d.collate,
        "score": packed_logps,
        "policy": d.model,
        "reference": d.frozen,
        "loss": dpo_loss,
    }
