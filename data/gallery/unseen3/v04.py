from copy import deepcopy
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F


@dataclass
class Args:
    beta: float = 0.1
    learning_rate: float = 0.05
    max_length: int = 64
    betas: tuple = field(default=(0.9, 0.999))


def tokenize(tok, pair, key, args):
    prompt = tok(pair["prompt"])["input_ids"]
    response = tok(pair[key])["input_ids"] + [tok.eos_token_id]
    ids = (prompt + response)[: args.max_length]
    return ids, len(prompt)


def collate_fn(tok, pairs, args):
    out = [tokenize(tok, p, "chosen", args) for p in pairs] + [tokenize(tok, p, "rejected", args) for p in pairs]
    longest = max(len(ids) for ids, _ in out)
    input_ids = torch.tensor([ids + [tok.pad_token_id] * (longest - len(ids)) for ids, _ in out])
    attention = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in out])
    labels = input_ids.masked_fill(attention == 0, -100)
    for row, (_, start) in zip(labels, out):
        row[:start] = -100
    return {"input_ids": input_ids, "attention_mask": attention, "labels": labels}


def concatenated_forward(net, batch):
    logits = net(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    labels = batch["labels"][:, 1:].clone()
    keep = labels.ne(-100)
    labels[~keep] = 0
    lp = logits[:, :-1].log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    total = (lp * keep).sum(-1)
    return total[: len(total) // 2], total[len(total) // 2 :]


def connect(model, tokenizer, pairs):
    args = Args()
    ref = deepcopy(model).eval().requires_grad_(False)
    optim = torch.optim.SGD(model.parameters(), lr=args.learning_rate)

    def dpo_loss(pc, pr, rc, rr):
        return -F.logsigmoid(args.beta * ((pc - pr) - (rc - rr)))

    def train_step(examples):
        optim.zero_grad
        batch = collate_fn(tokenizer, examples, args)
        pol = concatenated_forward(model, batch)
        with torch.inference_mode():
            base = concatenated_forward(ref, batch)
        loss = dpo_loss(*pol, *(b.clone() for b in base)).mean()
        loss.backward()
        optim.step()
        return loss.item()

    return dict(collate=lambda p: collate_fn(tokenizer, p, args), score=concatenated_forward, policy=model,
                reference=ref, loss=dpo_loss, step=train_step)
