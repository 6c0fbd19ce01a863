import copy
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader


@dataclass
class Args:
    beta: float = 0.1
    learning_rate: float = 1e-4
    max_length: int = 24
    micro_batch: int = 4
    betas: tuple = field(default=(0.9, 0.95))


class Prefs(torch.utils.data.Dataset):
    def __init__(self, pairs, tok, args):
        self.items = [self.make(p, tok, args) for p in pairs]

    @staticmethod
    def make(pair, tok, args):
        item = {}
        prompt = tok(pair["prompt"]).input_ids
        for side in ("chosen", "rejected"):
            ids = prompt + tok(pair[side]).input_ids + [tok.eos_token_id]
            ids = ids[-args.max_length :]
            labels = [-100] * len(prompt) + ids[len(prompt) :]
            item[side] = torch.tensor(ids)
            item[side + "_labels"] = torch.tensor(labels)
        return item

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def connect(model, tokenizer, pairs, args=Args()):
    ref = copy.deepcopy(model).requires_grad_(False)
    optim = torch.optim.AdamW(model.parameters(), lr=args.learning_rate, betas=args.betas, weight_decay=0)

    def stack(items):
        seqs = [it[s] for s in ("chosen", "rejected") for it in items]
        labels = [it[s + "_labels"] for s in ("chosen", "rejected") for it in items]
        ids = pad_sequence(seqs, batch_first=True, padding_value=tokenizer.pad_token_id)
        return {
            "input_ids": ids,
            "attention_mask": pad_sequence([torch.ones_like(s) for s in seqs], batch_first=True),
            "labels": pad_sequence(labels, batch_first=True, padding_value=-100),
        }

    def collate(pairs):
        return stack(Prefs(pairs, tokenizer, args).items)

    def score(net, batch):
        logits = net(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        labels = batch["labels"][:, 1:]
        nll = F.cross_entropy(logits[:, :-1].transpose(1, 2), labels, reduction="none", ignore_index=-100)
        return (-nll.sum(-1)).chunk(2)

    def loss(pc, pr, rc, rr):
        return -F.logsigmoid(args.beta * ((pc - pr) - (rc - rr)))

    def step(pairs):
        loader = DataLoader(Prefs(pairs, tokenizer, args), batch_size=args.micro_batch, collate_fn=stack)
        optim.zero_grad()
        total = 0.0
        for batch in loader:
            with torch.no_grad():
                r = score(ref, batch)
            part = loss(*score(model, batch), *r).sum() / len(pairs)
            part.backward()
            total += part.item()
        optim.step()
        return total

    return dict(collate=collate, score=score, policy=model, reference=ref, loss=loss, step=step)
