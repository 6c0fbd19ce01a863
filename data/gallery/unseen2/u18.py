"""LoRA fine-tuning on preferences; the base model under the adapters serves as the reference."""

import peft
import torch
import torch.nn.functional as F


def build(model):
    cfg = peft.LoraConfig(
        task_type="CAUSAL_LM", r=8, lora_alpha=16, target_modules=["c_attn"], fan_in_fan_out=True, bias="none"
    )
    return peft.get_peft_model(model, cfg)


def to_batch(tok, pairs):
    rows = []
    for side in ("chosen", "rejected"):
        for p in pairs:
            q = tok(p["prompt"])["input_ids"]
            a = tok(p[side])["input_ids"] + [tok.eos_token_id]
            rows.append((q + a, len(q)))
    T = max(len(r) for r, _ in rows)
    ids = torch.tensor([r + [tok.pad_token_id] * (T - len(r)) for r, _ in rows])
    att = torch.tensor([[1] * len(r) + [0] * (T - len(r)) for r, _ in rows])
    span = torch.tensor([[0] * n + [1] * (len(r) - n) + [0] * (T - len(r)) for r, n in rows])
    return {"input_ids": ids, "attention_mask": att, "span": span}


def score(model, batch):
    out = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    lp = F.log_softmax(out.logits[:, :-1, :], dim=2)
    lp = torch.gather(lp, 2, batch["input_ids"][:, 1:].unsqueeze(-1)).squeeze(-1)
    lp = (lp * batch["span"][:, 1:]).sum(dim=1)
    n = lp.shape[0] // 2
    return lp[:n], lp[n:]


def connect(model, tokenizer, pairs, beta=0.1, lr=5e-3):
    policy = build(model)
    optimizer = torch.optim.AdamW((p for p in policy.parameters() if p.requires_grad), lr=lr, weight_decay=0.0)

    def collate(pairs):
        return to_batch(tokenizer, pairs)

    def reference_scores(pairs):
        policy.disable_adapter()
        with torch.no_grad():
            scores = score(policy, collate(pairs))
        policy.set_adapter("default")
        return scores

    def loss(pc, pr, rc, rr):
        return -F.logsigmoid(beta * (pc - rc) - beta * (pr - rr))

    def step(pairs):
        policy.train()
        rc, rr = reference_scores(pairs)
        pc, pr = score(policy, collate(pairs))
        value = loss(pc, pr, rc, rr).mean()
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        return value.item()

    return {
        "collate": collate,
        "score": score,
        "policy": policy,
        "reference_scores": reference_scores,
        "loss": loss,
        "step": step,
    }
