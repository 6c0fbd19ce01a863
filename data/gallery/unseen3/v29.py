"""Parameter-efficient DPO with PEFT."""
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model


class BaseView(torch.nn.Module):
    def __init__(self, wrapped):
        super().__init__()
        self.wrapped = [wrapped]

    def forward(self, **kw):
        with torch.no_grad(), self.wrapped[0].disable_adapter():
            return self.wrapped[0](**kw)


def connect(model, tokenizer, pairs):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    torch.manual_seed(3)
    policy = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=["c_attn", "c_proj"],
                                              fan_in_fan_out=True, task_type="CAUSAL_LM"))
    base = BaseView(policy)

    def collate(pairs):
        rows = [(p["prompt"], p[k]) for k in ("chosen", "rejected") for p in pairs]
        enc = tokenizer([f"{a} {b} {tokenizer.eos_token}" for a, b in rows], padding=True, return_tensors="pt")
        labels = enc.input_ids.masked_fill(enc.attention_mask == 0, -100)
        for row, (a, _) in zip(labels, rows):
            row[: len(tokenizer(a).input_ids)] = -100
        return {**enc, "labels": labels}

    def score(net, b):
        logits = net(input_ids=b["input_ids"], attention_mask=b["attention_mask"]).logits[:, :-1]
        target = b["labels"][:, 1:]
        nll = F.cross_entropy(logits.reshape(-1, logits.size(-1)), target.reshape(-1), reduction="none")
        return (-nll.view_as(target).sum(-1)).chunk(2)

    def loss(pc, pr, rc, rr):
        return -F.logsigmoid(0.1 * ((pc - pr) - (rc - rr)))

    def step(pairs):
        b = collate(pairs)
        value = loss(*score(policy, b), *score(base, b)).mean()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value.item()

    return {"collate": collate, "score": score, "policy": policy, "reference": base, "loss": loss, "step": step}
