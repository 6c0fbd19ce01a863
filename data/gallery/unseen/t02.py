from dataclasses import dataclass

import torch
from peft import LoraConfig, get_peft_model
from torch import nn


@dataclass
class Config:
    beta: float = 0.2
    lr: float = 1e-3
    rank: int = 4
    max_len: int = 64


class BaseOnly(nn.Module):
    """The same network with its adapters switched off."""

    def __init__(self, peft_model):
        super().__init__()
        self.peft_model = peft_model

    def forward(self, *args, **kwargs):
        with self.peft_model.disable_adapter():
            return self.peft_model(*args, **kwargs)


class LoraDPO:
    def __init__(self, base, tokenizer, cfg=None):
        self.cfg = cfg or Config()
        self.tok = tokenizer
        lora = LoraConfig(
            r=self.cfg.rank,
            lora_alpha=2 * self.cfg.rank,
            lora_dropout=0.0,
            target_modules=["c_attn", "c_fc"],
            fan_in_fan_out=True,
            task_type="CAUSAL_LM",
        )
        self.model = get_peft_model(base, lora)
        self.base_only = BaseOnly(self.model)
        trainable = [p for p in self.model.parameters() if p.requires_grad]
        self.optim = torch.optim.AdamW(trainable, lr=self.cfg.lr)

    # ---------------------------------------------------------------- data
    def collate(self, pairs):
        texts, starts = [], []
        for side in ("chosen", "rejected"):
            for pair in pairs:
                head = self.tok.encode(pair["prompt"])
                tail = self.tok.encode(pair[side]) + [self.tok.eos_token_id]
                texts.append((head + tail)[: self.cfg.max_len])
                starts.append(len(head))
        width = max(map(len, texts))
        ids = torch.full((len(texts), width), self.tok.pad_token_id)
        att = torch.zeros((len(texts), width), dtype=torch.long)
        resp = torch.zeros((len(texts), width), dtype=torch.bool)
        for i, (t, s) in enumerate(zip(texts, starts)):
            ids[i, : len(t)] = torch.tensor(t)
            att[i, : len(t)] = 1
            resp[i, s : len(t)] = True
        return {"input_ids": ids, "attention_mask": att, "response": resp}

    # ---------------------------------------------------------------- scores
    def concatenated_forward(self, model, batch):
        out = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
        logits = out.logits[:, :-1, :]
        target = batch["input_ids"][:, 1:]
        picked = torch.gather(logits, -1, target.unsqueeze(-1)).squeeze(-1)
        logp = picked - torch.logsumexp(logits, dim=-1)
        total = logp.masked_fill(~batch["response"][:, 1:], 0.0).sum(-1)
        return total.chunk(2)

    def dpo_loss(self, chosen, rejected, ref_chosen, ref_rejected):
        margin = (chosen - rejected) - (ref_chosen - ref_rejected)
        return nn.functional.softplus(-self.cfg.beta * margin)

    # ---------------------------------------------------------------- update
    def update(self, pairs):
        batch = self.collate(pairs)
        with torch.no_grad():
            ref = self.concatenated_forward(self.base_only, batch)
        now = self.concatenated_forward(self.model, batch)
        loss = self.dpo_loss(*now, *ref).mean()
        loss.backward()
        self.optim.step()
        self.optim.zero_grad()
        return loss.detach()


def connect(model, tokenizer, pairs):
    """LoRA on top of the given model; the reference is the network without adapters."""
    t = LoraDPO(model, tokenizer)
    return {
        "collate": t.collate,
        "score": t.concatenated_forward,
        "policy": t.model,
        "reference": t.base_only,
        "loss": t.dpo_loss,
        "step": t.update,
    }
