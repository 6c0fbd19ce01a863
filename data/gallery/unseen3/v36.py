"""Raw DPO with linear warm-up and weight decay on matrices only."""
import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Config:
    beta: float = 0.1
    lr: float = 1e-4
    warmup: int = 10
    decay: float = 0.1


def token_loss(net, ids, att, keep):
    """Negative log-likelihood of each kept token, zero elsewhere."""
    logits = net(input_ids=ids, attention_mask=att).logits
    nll = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    return nll.view(ids.shape[0], -1) * keep[:, 1:]


def connect(model, tokenizer, pairs, cfg=Config()):
    reference = copy.deepcopy(model).eval().requires_grad_(False)
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    opt = torch.optim.AdamW([{"params": matrices, "weight_decay": cfg.decay},
                             {"params": vectors, "weight_decay": 0.0}], lr=cfg.lr)
    sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda n: min(1.0, (n + 1) / cfg.warmup))

    def collate(pairs):
        enc = tokenizer([f"{p['prompt']} {p[k]}{tokenizer.eos_token}" for p in pairs for k in ("rejected", "chosen")],
                        padding=True, return_tensors="pt")
        heads = [len(tokenizer(p["prompt"]).input_ids) for p in pairs for _ in range(2)]
        keep = enc.attention_mask * (torch.arange(enc.input_ids.shape[1])[None] >= torch.tensor(heads)[:, None])
        return enc.input_ids, enc.attention_mask, keep

    def score(net, batch):
        total = -token_loss(net, *batch).sum(-1).view(-1, 2)
        return total[:, 1], total[:, 0]

    def loss(pc, pr, rc, rr):
        return F.binary_cross_entropy_with_logits(cfg.beta * (pc - pr - rc + rr), torch.ones_like(pc), reduction="none")

    def step(pairs):
        batch = collate(pairs)
        with torch.no_grad():
            rc, rr = score(reference, batch)
        value = loss(*score(model, batch), rc, rr).mean()
        opt.zero_grad()
        value.backward()
        opt.step()
        sched.step()
        return value.item()

    return {"collate": collate, "score": score, "policy": model, "reference": reference, "loss": loss, "step": step}
