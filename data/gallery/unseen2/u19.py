import copy
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from transformers import get_constant_schedule_with_warmup

args = SimpleNamespace(beta=0.1, lr=5e-7, warmup_steps=2, betas=(0.9, 0.999), dtype=torch.bfloat16)


def connect(model, tokenizer, pairs):
    policy = model.to(args.dtype)
    reference = copy.deepcopy(policy).eval()
    reference.requires_grad_(False)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=args.lr, betas=args.betas, weight_decay=0.0)
    scheduler = get_constant_schedule_with_warmup(optimizer, args.warmup_steps)
    scheduler.step()

    def collate(pairs):
        columns = {"input_ids": [], "attention_mask": [], "loss_mask": []}
        for side in ("chosen", "rejected"):
            for p in pairs:
                prompt = tokenizer(p["prompt"]).input_ids
                reply = tokenizer(p[side]).input_ids + [tokenizer.eos_token_id]
                columns["input_ids"].append(torch.tensor(prompt + reply))
                columns["attention_mask"].append(torch.ones(len(prompt) + len(reply), dtype=torch.long))
                columns["loss_mask"].append(torch.tensor([0.0] * len(prompt) + [1.0] * len(reply)))
        padding = {"input_ids": tokenizer.pad_token_id, "attention_mask": 0, "loss_mask": 0.0}
        return {
            k: torch.nn.utils.rnn.pad_sequence(v, batch_first=True, padding_value=padding[k])
            for k, v in columns.items()
        }

    def score(net, batch):
        logits = net(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        logp = logits.float().log_softmax(-1)[:, :-1]
        logp = logp.gather(-1, batch["input_ids"][:, 1:, None]).squeeze(-1)
        return (logp * batch["loss_mask"][:, 1:]).sum(-1).chunk(2)

    def loss(pc, pr, rc, rr):
        return -F.logsigmoid(args.beta * ((pc - rc) - (pr - rr)))

    def step(pairs):
        policy.train()
        batch = collate(pairs)
        with torch.no_grad():
            ref = score(reference, batch)
        value = loss(*score(policy, batch), *ref).mean()
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 10.0)
        optimizer.step()
        scheduler.step()
        return value.item()

    return dict(collate=collate, score=score, policy=policy, reference=reference, loss=loss, step=step)
