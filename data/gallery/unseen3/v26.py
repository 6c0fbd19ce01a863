"""Chat DPO. The assistant turn is what gets scored."""
import copy
import torch
import torch.nn.functional as F

CHAT = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ 'a : ' + m.content + eos_token }}"
    "{% else %}{{ ' the : ' + m.content + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ ' the : ! ! ' }}{% endif %}"
)


class ChatDPO:
    def __init__(self, model, tok, beta=0.1):
        self.model, self.tok, self.beta = model, copy.deepcopy(tok), beta
        self.tok.chat_template = CHAT
        self.ref = copy.deepcopy(model).eval().requires_grad_(False)
        self.opt = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0)

    def render(self, turns, **kw):
        return self.tok(self.tok.apply_chat_template(turns, tokenize=False, **kw)).input_ids

    def example(self, prompt, answer):
        turns = [{"role": "user", "content": prompt}]
        cut = len(self.render(turns, add_generation_prompt=True))
        full = self.render(turns + [{"role": "assistant", "content": answer}])
        return full, [-100] * cut + full[cut:]

    def collate(self, pairs):
        rows = [self.example(p["prompt"], p[k]) for k in ("chosen", "rejected") for p in pairs]
        n = max(len(f) for f, _ in rows)
        return {
            "input_ids": torch.tensor([f + [self.tok.pad_token_id] * (n - len(f)) for f, _ in rows]),
            "attention_mask": torch.tensor([[1] * len(f) + [0] * (n - len(f)) for f, _ in rows]),
            "labels": torch.tensor([l + [-100] * (n - len(l)) for _, l in rows]),
        }

    def score(self, net, b):
        logits = net(input_ids=b["input_ids"], attention_mask=b["attention_mask"]).logits
        nll = F.cross_entropy(logits[:, :-1].transpose(1, 2), b["labels"][:, 1:], reduction="none")
        return nll.sum(1).neg().chunk(2)

    def loss(self, pc, pr, rc, rr):
        return -F.logsigmoid(self.beta * ((pc - pr) - (rc - rr)))

    def step(self, pairs):
        b = self.collate(pairs)
        with torch.no_grad():
            r = self.score(self.ref, b)
        value = self.loss(*self.score(self.model, b), *r).mean()
        self.opt.zero_grad()
        value.backward()
        self.opt.step()
        return value.item()


def connect(model, tokenizer, pairs):
    c = ChatDPO(model, tokenizer)
    return {"collate": c.collate, "score": c.score, "policy": c.model, "reference": c.ref, "loss": c.loss, "step": c.step}
