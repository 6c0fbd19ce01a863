from copy import deepcopy
import torch
import torch.nn.functional as F

cfg = dict(beta=0.1, lr=1e-6, dtype=torch.bfloat16)


def connect(model, tokenizer, pairs):
    model = model.to(cfg["dtype"])
    ref = deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg["lr"], weight_decay=0.0)

    def collate(pairs):
        texts = [p["prompt"] + " " + p["chosen"] + tokenizer.eos_token for p in pairs]
        texts += [p["prompt"] + " " + p["rejected"] + tokenizer.eos_token for p in pairs]
        b = tokenizer(texts, padding=True, return_tensors="pt")
        plen = torch.tensor([len(tokenizer(p["prompt"]).input_ids) for p in pairs] * 2)
        b["loss_mask"] = b["attention_mask"] * (torch.arange(b["input_ids"].shape[1]) >= plen[:, None])
        return b

    def score(net, b):
        logits = net(input_ids=b["input_ids"], attention_mask=b["attention_mask"]).logits.float()
        lp = torch.log_softmax(logits[:, :-1], -1)
        lp = lp.gather(-1, b["input_ids"][:, 1:].unsqueeze(-1)).squeeze(-1)
        s = (lp * b["loss_mask"][:, 1:]).sum(-1)
        return s[: len(s) // 2], s[len(s) // 2 :]

    def loss(pc, pr, rc, rr):
        return -F.logsigmoid(cfg["beta"] * ((pc - rc) - (pr - rr)))

    def step(pairs):
        b = collate(pairs)
        with torch.no_grad():
            rc, rr = score(ref, b)
        value = loss(*score(model, b), rc, rr).mean()
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        return value.item()

    return {"collate": collate, "score": score, "policy": model, "reference": ref, "loss": loss, "step": step}
