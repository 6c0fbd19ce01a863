import copy
import torch
import torch.nn.functional as F


class DPOLoss(torch.nn.Module):
    def __init__(self, beta):
        super().__init__()
        self.beta = beta

    def forward(self, policy_chosen, policy_rejected, ref_chosen, ref_rejected):
        logits = self.beta * policy_chosen - ref_chosen * self.beta - (policy_rejected - ref_rejected)
        return -F.logsigmoid(logits)


class Tuner:
    def __init__(self, model, tok):
        self.model, self.tok = model, tok
        self.ref_model = copy.deepcopy(model).eval()
        self.ref_model.requires_grad_(False)
        self.criterion = DPOLoss(beta=0.1)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0)

    def batchify(self, pairs):
        prompts = [p["prompt"] for p in pairs] * 2
        answers = [p["chosen"] for p in pairs] + [p["rejected"] for p in pairs]
        enc = self.tok([f"{p} {a} {self.tok.eos_token}" for p, a in zip(prompts, answers)], padding=True, return_tensors="pt")
        n = torch.tensor([[len(x)] for x in self.tok(prompts)["input_ids"]])
        where = torch.arange(enc["input_ids"].size(1)).expand_as(enc["input_ids"])
        enc["response"] = (where >= n) * enc["attention_mask"]
        return enc

    def logps(self, net, enc):
        lp = net(input_ids=enc["input_ids"], attention_mask=enc["attention_mask"]).logits.log_softmax(-1)[:, :-1]
        lp = lp.gather(-1, enc["input_ids"][:, 1:].unsqueeze(-1)).squeeze(-1)
        return (lp * enc["response"][:, 1:]).sum(-1).chunk(2)

    def train_on(self, pairs):
        enc = self.batchify(pairs)
        with torch.no_grad():
            ref = self.logps(self.ref_model, enc)
        out = self.criterion(*self.logps(self.model, enc), *ref).mean()
        self.optimizer.zero_grad()
        out.backward()
        self.optimizer.step()
        return out.item()


def connect(model, tokenizer, pairs):
    t = Tuner(model, tokenizer)
    return dict(collate=t.batchify, score=t.logps, policy=t.model, reference=t.ref_model, loss=t.criterion, step=t.train_on)
