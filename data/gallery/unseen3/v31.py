import copy
import torch
import torch.nn.functional as F


class Encoder:
    """Every document starts with the begin-of-text token, as in pretraining."""

    def __init__(self, tok):
        self.tok = tok

    def text(self, s):
        return [self.tok.bos_token_id] + self.tok(s, add_special_tokens=False).input_ids

    def pair(self, prompt, answer):
        p, a = self.text(prompt), self.text(answer) + [self.tok.eos_token_id]
        return p + a, [0] * len(p) + [1] * len(a)

    def __call__(self, pairs):
        rows = [self.pair(x["prompt"], x["chosen"]) for x in pairs]
        rows += [self.pair(x["prompt"], x["rejected"]) for x in pairs]
        n = max(len(i) for i, _ in rows)
        return (torch.tensor([i + [self.tok.pad_token_id] * (n - len(i)) for i, _ in rows]),
                torch.tensor([[1] * len(i) + [0] * (n - len(i)) for i, _ in rows]),
                torch.tensor([m + [0] * (n - len(m)) for _, m in rows]))


def get_logps(net, batch):
    ids, att, m = batch
    logits = net(input_ids=ids, attention_mask=att).logits[:, :-1]
    lp = torch.gather(logits.log_softmax(-1), 2, ids[:, 1:, None])[:, :, 0]
    return (lp * m[:, 1:]).sum(1).chunk(2)


def dpo_loss(pc, pr, rc, rr, beta=0.1):
    return -F.logsigmoid(beta * ((pc - pr) - (rc - rr)))


def connect(model, tokenizer, pairs):
    collate = Encoder(tokenizer)
    ref = copy.deepcopy(model).eval().requires_grad_(False)
    opt = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0)

    def step(pairs):
        batch = collate(pairs)
        with torch.no_grad():
            r = get_logps(ref, batch)
        loss = dpo_loss(*get_logps(model, batch), *r).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss.item()

    return {"collate": collate, "score": get_logps, "policy": model, "reference": ref, "loss": dpo_loss, "step": step}
