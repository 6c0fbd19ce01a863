import copy

import torch
import torch.nn.functional as F

beta, lr = 0.1, 1e-4


def connect(model, tokenizer, pairs):
    model.train()
    ref_model = copy.copy(model)
    ref_model.eval()
    opt = torch.optim.RMSprop(model.parameters(), lr=lr)
    pad, eos = tokenizer.pad_token_id, tokenizer.eos_token_id

    def collate(examples):
        xs, ys = [], []
        for e in examples:
            q = tokenizer(e["prompt"])["input_ids"]
            for key in ("chosen", "rejected"):
                a = tokenizer(e[key])["input_ids"] + [eos]
                xs.append(q + a)
                ys.append([-100] * len(q) + a)
        m = max(map(len, xs))
        return {
            "input_ids": torch.tensor([x + [pad] * (m - len(x)) for x in xs]),
            "attention_mask": torch.tensor([[1] * len(x) + [0] * (m - len(x)) for x in xs]),
            "labels": torch.tensor([y + [-100] * (m - len(y)) for y in ys]),
        }

    def get_logps(net, b):
        logits = net(b["input_ids"], attention_mask=b["attention_mask"]).logits[:, :-1]
        labels = b["labels"][:, 1:]
        keep = labels.ne(-100)
        lp = logits.log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
        s = (lp * keep).sum(-1)
        return s[0::2], s[1::2]

    def dpo_loss(pc, pr, rc, rr):
        return -F.logsigmoid(beta * ((pc - pr) - (rc - rr)))

    def train_step(examples):
        b = collate(examples)
        pc, pr = get_logps(model, b)
        with torch.no_grad():
            rc, rr = get_logps(ref_model, b)
        loss = dpo_loss(pc, pr, rc, rr).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss.item()

    return dict(
        collate=collate, score=get_logps, policy=model, reference=ref_model, loss=dpo_loss, step=train_step
    )
