import copy

import torch
import torch.nn.functional as F


class PairDataset(torch.utils.data.Dataset):
    def __init__(self, pairs, tokenizer):
        self.items = []
        for p in pairs:
            x = tokenizer(p["prompt"])["input_ids"]
            yw = tokenizer(p["chosen"])["input_ids"] + [tokenizer.eos_token_id]
            yl = tokenizer(p["rejected"])["input_ids"] + [tokenizer.eos_token_id]
            self.items.append({"w": x + yw, "l": x + yl, "n": len(x)})

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


class Trainer:
    def __init__(self, model, tokenizer, beta=0.1, learning_rate=1e-4):
        self.model = model
        self.ref = copy.deepcopy(model)
        self.ref.eval()
        self.ref.requires_grad_(False)
        self.tokenizer = tokenizer
        self.beta = beta
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=learning_rate)

    def loader_batch(self, pairs):
        data = PairDataset(pairs, self.tokenizer)
        loader = torch.utils.data.DataLoader(data, batch_size=len(data), collate_fn=self.pad)
        return next(iter(loader))

    def pad(self, items):
        batch = {}
        for k in "wl":
            longest = max(len(i[k]) for i in items)
            ids = torch.full((len(items), longest), self.tokenizer.pad_token_id)
            att = torch.zeros(len(items), longest, dtype=torch.long)
            lab = torch.full((len(items), longest), -100)
            for row, i in enumerate(items):
                ids[row, : len(i[k])] = torch.tensor(i[k])
                att[row, : len(i[k])] = 1
                lab[row, i["n"] : len(i[k])] = torch.tensor(i[k][i["n"] :])
            batch[k] = {"input_ids": ids, "attention_mask": att, "labels": lab}
        return batch

    def logp(self, m, part):
        out = m(input_ids=part["input_ids"], attention_mask=part["attention_mask"])
        lab = part["labels"][:, 1:]
        lp = -F.cross_entropy(out.logits[:, :-1].permute(0, 2, 1), lab, ignore_index=-100, reduction="none")
        return lp.sum(dim=-1)

    def score(self, m, batch):
        return self.logp(m, batch["w"]), self.logp(m, batch["l"])

    def dpo(self, w, l, ref_w, ref_l):
        policy = torch.stack([w, l], dim=1)
        margin = policy[:, :1] - policy[:, 1:]
        ref_margin = ref_w - ref_l
        logits = self.beta * (margin - ref_margin)
        return -F.logsigmoid(logits).mean()

    def training_step(self, pairs):
        batch = self.loader_batch(pairs)
        w, l = self.score(self.model, batch)
        with torch.no_grad():
            ref_w, ref_l = self.score(self.ref, batch)
        loss = self.dpo(w, l, ref_w, ref_l)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    """A plain trainer class with a DataLoader."""
    t = Trainer(model, tokenizer)
    return {
        "collate": t.loader_batch, "score": t.score, "policy": t.model,
        "reference": t.ref, "loss": t.dpo, "step": t.training_step,
    }
