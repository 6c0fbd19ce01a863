"""SimPO: length-normalised log-probability as the reward, target margin gamma, no reference model."""
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass
class SimPOConfig:
    beta: float = 2.0
    gamma_beta_ratio: float = 0.5
    lr: float = 1e-5
    max_length: int = 64
    max_grad_norm: float = 1.0


class SimPO:
    def __init__(self, model, tokenizer, config=SimPOConfig()):
        self.model, self.tokenizer, self.config = model, tokenizer, config
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, betas=(0.9, 0.98))

    def features(self, pair):
        prompt = self.tokenizer(pair["prompt"], add_special_tokens=False).input_ids
        out = {}
        for side in ("chosen", "rejected"):
            answer = self.tokenizer(pair[side], add_special_tokens=False).input_ids
            answer = answer + [self.tokenizer.eos_token_id]
            ids = (prompt + answer)[: self.config.max_length]
            out[side] = {"ids": ids, "labels": ([-100] * len(prompt) + answer)[: self.config.max_length]}
        return out

    def collate(self, pairs):
        feats = [self.features(p) for p in pairs]
        rows = [f["chosen"] for f in feats] + [f["rejected"] for f in feats]
        n = max(len(r["ids"]) for r in rows)
        ids = torch.tensor([r["ids"] + [self.tokenizer.pad_token_id] * (n - len(r["ids"])) for r in rows])
        labels = torch.tensor([r["labels"] + [-100] * (n - len(r["labels"])) for r in rows])
        lengths = torch.tensor([len(r["ids"]) for r in rows])
        attention = (torch.arange(n)[None, :] < lengths[:, None]).to(torch.long)
        return {"concatenated_input_ids": ids, "concatenated_attention_mask": attention, "concatenated_labels": labels}

    def average_log_prob(self, logits, labels):
        labels = labels[:, 1:].clone()
        mask = labels != -100
        labels[~mask] = 0
        per_token = torch.gather(logits[:, :-1].log_softmax(-1), dim=2, index=labels.unsqueeze(2)).squeeze(2)
        return (per_token * mask).sum(-1) / mask.sum(-1)

    def concatenated_forward(self, model, batch):
        logits = model(
            batch["concatenated_input_ids"], attention_mask=batch["concatenated_attention_mask"], use_cache=False
        ).logits
        all_logps = self.average_log_prob(logits, batch["concatenated_labels"])
        n = all_logps.size(0) // 2
        return all_logps[:n], all_logps[n:]

    def simpo_loss(self, chosen_logps, rejected_logps, *unused):
        logits = chosen_logps - rejected_logps - self.config.gamma_beta_ratio
        return -F.logsigmoid(self.config.beta * logits)

    def training_step(self, pairs):
        self.model.train()
        loss = self.simpo_loss(*self.concatenated_forward(self.model, self.collate(pairs))).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()


def connect(model, tokenizer, pairs):
    """There is no reference; the loss takes the two policy scores and ignores what follows."""
    s = SimPO(model, tokenizer)
    return {
        "collate": s.collate,
        "score": s.concatenated_forward,
        "policy": s.model,
        "reference": None,
        "loss": s.simpo_loss,
        "step": s.training_step,
    }
