"""DPO with gradient accumulation."""

import copy

import torch
import torch.nn.functional as F


class AccumulatingTrainer:
    def __init__(self, model, tokenizer, beta=0.1, lr=0.01, micro_batch_size=2):
        self.policy_model = model
        self.ref_model = copy.deepcopy(model).eval()
        for p in self.ref_model.parameters():
            p.requires_grad = False
        self.tokenizer = tokenizer
        self.beta = beta
        self.micro_batch_size = micro_batch_size
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)

    def collate(self, pairs):
        chosen = self.pad([self.encode(p["prompt"], p["chosen"]) for p in pairs])
        rejected = self.pad([self.encode(p["prompt"], p["rejected"]) for p in pairs])
        return {"chosen": chosen, "rejected": rejected}

    def encode(self, prompt, response):
        p = self.tokenizer(prompt)["input_ids"]
        r = self.tokenizer(response)["input_ids"] + [self.tokenizer.eos_token_id]
        return p + r, [False] * len(p) + [True] * len(r)

    def pad(self, rows):
        length = max(len(ids) for ids, _ in rows)
        ids = torch.tensor([i + [self.tokenizer.pad_token_id] * (length - len(i)) for i, _ in rows])
        mask = torch.tensor([m + [False] * (length - len(m)) for _, m in rows])
        attention = torch.tensor([[1] * len(i) + [0] * (length - len(i)) for i, _ in rows])
        return ids, mask, attention

    def logprobs(self, model, ids, mask, attention):
        logits = model(input_ids=ids, attention_mask=attention).logits
        logps = F.log_softmax(logits[:, :-1], dim=-1).gather(2, ids[:, 1:].unsqueeze(2)).squeeze(2)
        return (logps * mask[:, 1:]).sum(dim=1)

    def score(self, model, batch):
        return self.logprobs(model, *batch["chosen"]), self.logprobs(model, *batch["rejected"])

    def loss(self, pc, pr, rc, rr):
        return -F.logsigmoid(self.beta * ((pc - rc) - (pr - rr)))

    def backward(self, batch, weight):
        self.policy_model.train()
        self.policy_model.zero_grad()
        with torch.no_grad():
            reference = self.score(self.ref_model, batch)
        loss = self.loss(*self.score(self.policy_model, batch), *reference).sum() * weight
        loss.backward()
        return loss.detach()

    def step(self, pairs):
        chunks = [pairs[i : i + self.micro_batch_size] for i in range(0, len(pairs), self.micro_batch_size)]
        loss = sum(self.backward(self.collate(chunk), 1 / len(pairs)) for chunk in chunks)
        self.optimizer.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    t = AccumulatingTrainer(model, tokenizer)
    return {
        "collate": t.collate,
        "score": t.score,
        "policy": t.policy_model,
        "reference": t.ref_model,
        "loss": t.loss,
        "step": t.step,
    }
