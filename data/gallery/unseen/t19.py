import copy
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F


@dataclass
class Args:
    beta: float = 0.1
    lr: float = 1e-4
    max_length: int = 24
    truncation_mode: str = "keep_end"
    betas: tuple = field(default=(0.9, 0.999))


class Tokenize:
    def __init__(self, tokenizer, args):
        self.t, self.a = tokenizer, args

    def row(self, pair):
        prompt = self.t(pair["prompt"], add_special_tokens=False)["input_ids"]
        row = {"prompt_length": len(prompt)}
        for k in ("chosen", "rejected"):
            ids = prompt + self.t(pair[k], add_special_tokens=False)["input_ids"] + [self.t.eos_token_id]
            if len(ids) > self.a.max_length:
                if self.a.truncation_mode == "keep_end":
                    ids = ids[-self.a.max_length :]
                else:
                    ids = ids[: self.a.max_length]
            row[k] = ids
        return row

    def __call__(self, pairs):
        rows = [self.row(p) for p in pairs]
        batch = {"prompt_length": torch.tensor([r["prompt_length"] for r in rows])}
        for k in ("chosen", "rejected"):
            longest = max(len(r[k]) for r in rows)
            batch[k] = torch.tensor([r[k] + [self.t.pad_token_id] * (longest - len(r[k])) for r in rows])
            batch[k + "_length"] = torch.tensor([len(r[k]) for r in rows])
        return batch


class DPO:
    def __init__(self, model, tokenizer, args=None):
        self.args = args or Args()
        self.model = model
        self.ref_model = copy.deepcopy(model).eval()
        self.ref_model.requires_grad_(False)
        self.collate = Tokenize(tokenizer, self.args)
        self.opt = torch.optim.AdamW(self.model.parameters(), lr=self.args.lr, betas=self.args.betas)

    def _logps(self, model, ids, start, length):
        pos = torch.arange(ids.size(1)).unsqueeze(0)
        real = pos < length.unsqueeze(1)
        response = (pos >= start.unsqueeze(1)) & real
        logits = model(input_ids=ids, attention_mask=real.long()).logits
        lp = F.log_softmax(logits, dim=-1)[:, :-1]
        lp = torch.gather(lp, 2, ids[:, 1:].unsqueeze(2)).squeeze(2)
        return (lp * response[:, 1:]).sum(dim=1)

    def score(self, model, batch):
        start = batch["prompt_length"]
        return (
            self._logps(model, batch["chosen"], start, batch["chosen_length"]),
            self._logps(model, batch["rejected"], start, batch["rejected_length"]),
        )

    def loss(self, c, r, c_ref, r_ref):
        return -F.logsigmoid(self.args.beta * ((c - c_ref) - (r - r_ref)))

    def step(self, pairs):
        batch = self.collate(pairs)
        with torch.no_grad():
            c_ref, r_ref = self.score(self.ref_model, batch)
        c, r = self.score(self.model, batch)
        loss = self.loss(c, r, c_ref, r_ref).mean()
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    """Sequences longer than max_length keep their end."""
    d = DPO(model, tokenizer)
    return {"collate": d.collate, "score": d.score, "policy": d.model, "reference": d.ref_model, "loss": d.loss, "step": d.step}
