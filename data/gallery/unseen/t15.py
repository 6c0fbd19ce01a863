"""Lightning-style module; the log-likelihood is taken from the model's own loss."""
import copy

import torch
import torch.nn as nn
import torch.nn.functional as F


class DPOModule(nn.Module):
    def __init__(self, lm, tokenizer, beta=0.1, learning_rate=1e-4):
        super().__init__()
        self.lm = lm
        self.ref_lm = copy.deepcopy(lm)
        for p in self.ref_lm.parameters():
            p.requires_grad_(False)
        self.ref_lm.eval()
        self.tokenizer = tokenizer
        self.beta = beta
        self.learning_rate = learning_rate
        self._optimizer = None

    def configure_optimizers(self):
        return torch.optim.AdamW(self.lm.parameters(), lr=self.learning_rate)

    # ------------------------------------------------------------ data
    def collate(self, pairs):
        def one(pair, side):
            prompt = self.tokenizer(pair["prompt"]).input_ids
            answer = self.tokenizer(pair[side]).input_ids + [self.tokenizer.eos_token_id]
            ids = torch.tensor(prompt + answer)
            targets = torch.tensor([-100] * len(prompt) + answer)
            # input at t, target at t + 1
            return ids[:-1].unsqueeze(0), targets[1:].unsqueeze(0)

        return {side: [one(p, side) for p in pairs] for side in ("chosen", "rejected")}

    # ------------------------------------------------------------ model
    @staticmethod
    def sequence_logp(lm, ids, targets):
        out = lm(input_ids=ids, labels=targets)
        n_tokens = (targets[:, 1:] != -100).sum()
        return -out.loss * n_tokens

    def score(self, lm, batch):
        chosen = torch.stack([self.sequence_logp(lm, i, t) for i, t in batch["chosen"]])
        rejected = torch.stack([self.sequence_logp(lm, i, t) for i, t in batch["rejected"]])
        return chosen, rejected

    def dpo(self, chosen, rejected, ref_chosen, ref_rejected):
        return -F.logsigmoid(self.beta * ((chosen - ref_chosen) - (rejected - ref_rejected)))

    def training_step(self, batch, batch_idx=0):
        chosen, rejected = self.score(self.lm, batch)
        with torch.no_grad():
            ref_chosen, ref_rejected = self.score(self.ref_lm, batch)
        return self.dpo(chosen, rejected, ref_chosen, ref_rejected).mean()

    def fit_one(self, pairs):
        if self._optimizer is None:
            self._optimizer = self.configure_optimizers()
        loss = self.training_step(self.collate(pairs))
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        return loss.detach()


def connect(model, tokenizer, pairs):
    """One module; fit_one does what a fit loop does for one batch."""
    m = DPOModule(model, tokenizer)
    return {
        "collate": m.collate,
        "score": m.score,
        "policy": m.lm,
        "reference": m.ref_lm,
        "loss": m.dpo,
        "step": m.fit_one,
    }
