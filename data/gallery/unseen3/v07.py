import copy

import torch
from torch import nn
from torch.utils.data import DataLoader


class LitPreference(nn.Module):
    """Lightning-shaped, without the dependency."""

    def __init__(self, lm, tok, beta=0.1, lr=2e-4):
        super().__init__()
        self.policy, self.tok, self.beta, self.lr = lm, tok, beta, lr
        self.reference = copy.deepcopy(lm)
        self.reference.eval().requires_grad_(False)

    def collate(self, pairs):
        tok = self.tok
        rows = [(p["prompt"], p[k]) for p in pairs for k in ("chosen", "rejected")]
        enc = tok([f"{a} {b} {tok.eos_token}" for a, b in rows], padding="longest", return_tensors="pt")
        start = torch.tensor([len(tok(a)["input_ids"]) for a, _ in rows]).unsqueeze(1)
        place = enc["attention_mask"].cumsum(1) - 1
        enc["answer"] = (place >= start) & (enc["attention_mask"] == 1)
        return enc

    def forward(self, lm, batch):
        x = batch["input_ids"]
        lp = lm(input_ids=x, attention_mask=batch["attention_mask"]).logits[:, :-1].log_softmax(-1)
        lp = lp.gather(-1, x[:, 1:, None])[..., 0].masked_fill(~batch["answer"][:, 1:], 0.0).sum(1)
        return lp[0::2], lp[1::2]

    def objective(self, pc, pr, rc, rr):
        better = torch.sigmoid(self.beta * ((pc - rc) - (pr - rr)))
        return 1 - better

    def training_step(self, batch, batch_idx=0):
        with torch.no_grad():
            rc, rr = self(self.reference, batch)
        pc, pr = self(self.policy, batch)
        return self.objective(pc, pr, rc, rr).mean()

    def configure_optimizers(self):
        return torch.optim.Adam(self.policy.parameters(), lr=self.lr)


def connect(model, tokenizer, pairs):
    lit = LitPreference(model, tokenizer)
    opt = lit.configure_optimizers()

    def fit(pairs):
        last = 0.0
        for i, batch in enumerate(DataLoader(pairs, batch_size=len(pairs), collate_fn=lit.collate)):
            loss = lit.training_step(batch, i)
            opt.zero_grad()
            loss.backward()
            opt.step()
            last = loss.item()
        return last

    return {"collate": lit.collate, "score": lit.forward, "policy": lit.policy, "reference": lit.reference,
            "loss": lit.objective, "step": fit}
