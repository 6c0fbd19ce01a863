"""SimPO: no reference, length-averaged log-probabilities, target margin gamma. Chat-formatted."""
import torch
import torch.nn.functional as F

TEMPLATE = ("{% for m in messages %}{{ ('a : ' if m.role == 'user' else 'the : ') + m.content + eos_token + ' ' }}"
            "{% endfor %}{% if add_generation_prompt %}{{ 'the : ' }}{% endif %}")


class SimPO:
    def __init__(self, lm, tok, beta=2.0, gamma=1.0, lr=1e-4):
        self.lm, self.tok, self.beta, self.gamma = lm, tok, beta, gamma
        self.opt = torch.optim.AdamW(lm.parameters(), lr=lr, weight_decay=0.01)

    def ids(self, messages, **kw):
        text = self.tok.apply_chat_template(messages, chat_template=TEMPLATE, tokenize=False, **kw)
        return self.tok(text, add_special_tokens=False)["input_ids"]

    def row(self, prompt, answer):
        ask = [{"role": "user", "content": prompt}]
        head = self.ids(ask, add_generation_prompt=True)
        full = self.ids(ask + [{"role": "assistant", "content": answer}])
        assert full[: len(head)] == head
        return full, len(head)

    def collate(self, pairs):
        rows = [self.row(p["prompt"], p["chosen"]) for p in pairs] + [self.row(p["prompt"], p["rejected"]) for p in pairs]
        width = max(len(f) for f, _ in rows)
        ids = torch.full((len(rows), width), self.tok.pad_token_id)
        keep = torch.zeros_like(ids)
        att = torch.zeros_like(ids)
        for k, (full, head) in enumerate(rows):
            ids[k, : len(full)] = torch.tensor(full)
            att[k, : len(full)] = 1
            keep[k, head : len(full)] = 1
        return {"ids": ids, "att": att, "keep": keep}

    def score(self, lm, b):
        lp = lm(input_ids=b["ids"], attention_mask=b["att"]).logits[:, :-1].log_softmax(-1)
        lp = lp.gather(-1, b["ids"][:, 1:, None]).squeeze(-1)
        keep = b["keep"][:, 1:]
        mean = (lp * keep).sum(-1) / keep.sum(-1)
        return mean.chunk(2)

    def loss(self, pc, pr, rc=None, rr=None):
        return -F.logsigmoid(self.beta * (pc - pr) - self.gamma)

    def step(self, pairs):
        value = self.loss(*self.score(self.lm, self.collate(pairs))).mean()
        self.opt.zero_grad()
        value.backward()
        self.opt.step()
        return value.item()


def connect(model, tokenizer, pairs):
    s = SimPO(model, tokenizer)
    return {"collate": s.collate, "score": s.score, "policy": s.lm, "reference": None, "loss": s.loss, "step": s.step}
