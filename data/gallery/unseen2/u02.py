# dpo in one file, no classes
import copy

import torch
from torch.nn.functional import logsigmoid

BETA = 0.2
LR = 0.01


def connect(model, tokenizer, pairs):
    policy, reference = model, copy.deepcopy(model)
    for w in reference.parameters():
        w.requires_grad = False
    sgd = torch.optim.SGD(policy.parameters(), lr=LR)

    def collate(pairs):
        # all chosen first, then all rejected; pad on the left like for generation
        seqs, n_answer = [], []
        for side in ("chosen", "rejected"):
            for ex in pairs:
                a = tokenizer.encode(ex[side]) + [tokenizer.eos_token_id]
                seqs.append(tokenizer.encode(ex["prompt"]) + a)
                n_answer.append(len(a))
        T = max(len(s) for s in seqs)
        ids = torch.tensor([[tokenizer.pad_token_id] * (T - len(s)) + s for s in seqs])
        mask = torch.tensor([[0] * (T - len(s)) + [1] * len(s) for s in seqs])
        pos = (mask.cumsum(1) - 1).clamp(min=0)
        return ids, mask, pos, torch.tensor(n_answer)

    def score(net, batch):
        ids, mask, pos, n_answer = batch
        out = net(input_ids=ids, attention_mask=mask, position_ids=pos).logits
        lp = out.log_softmax(-1)[:, :-1]
        lp = torch.take_along_dim(lp, ids[:, 1:, None], 2)[..., 0]
        T = lp.shape[1]
        in_answer = torch.arange(T)[None] >= (T - n_answer)[:, None]
        total = lp.masked_fill(~in_answer, 0.0).sum(1)
        half = len(total) // 2
        return total[:half], total[half:]

    def loss(pc, pr, rc, rr):
        return -logsigmoid(BETA * (pc - pr - rc + rr))

    def step(pairs):
        batch = collate(pairs)
        with torch.no_grad():
            ref = score(reference, batch)
        value = loss(*score(policy, batch), *ref).mean()
        sgd.zero_grad()
        value.backward()
        sgd.step()
        return float(value)

    return {"collate": collate, "score": score, "policy": policy, "reference": reference, "loss": loss, "step": step}
