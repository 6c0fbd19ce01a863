"""DPO where the model has no padding token of its own, so the end-of-text token pads."""
import copy
import torch
import torch.nn.functional as F


def connect(model, tokenizer, pairs):
    tok = copy.deepcopy(tokenizer)
    tok.pad_token = tok.eos_token
    ref = copy.deepcopy(model).eval().requires_grad_(False)
    opt = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0)

    def collate(pairs):
        rows = [(p["prompt"], p[k]) for k in ("chosen", "rejected") for p in pairs]
        enc = tok([p + " " + a + tok.eos_token for p, a in rows], padding=True, return_tensors="pt")
        labels = enc["input_ids"].clone()
        for i, (p, _) in enumerate(rows):
            labels[i, : len(tok(p)["input_ids"])] = -100
        labels[labels == tok.pad_token_id] = -100
        return {"input_ids": enc["input_ids"], "attention_mask": enc["attention_mask"], "labels": labels}

    def score(net, batch):
        logits = net(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        labels = batch["labels"][:, 1:]
        mask = labels >= 0
        lp = logits[:, :-1].log_softmax(2).gather(2, labels.clamp(min=0).unsqueeze(2)).squeeze(2)
        return (lp * mask).sum(1).split(len(lp) // 2)

    def loss(pc, pr, rc, rr):
        return -F.logsigmoid(0.1 * ((pc - pr) - (rc - rr)))

    def step(pairs):
        batch = collate(pairs)
        with torch.no_grad():
            rc, rr = score(ref, batch)
        value = loss(*score(model, batch), rc, rr).mean()
        opt.zero_grad()
        value.backward()
        opt.step()
        return value.item()

    return {"collate": collate, "score": score, "policy": model, "reference": ref, "loss": loss, "step": step}
