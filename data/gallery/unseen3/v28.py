# DPO, padded blocks, plain SGD
import copy
import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence


def set_dropout(net, p):
    for m in net.modules():
        if isinstance(m, torch.nn.Dropout):
            m.p = p


def connect(model, tokenizer, pairs):
    beta = 0.1
    set_dropout(model, 0.1)
    model.train()
    ref = copy.deepcopy(model)
    ref.requires_grad_(False)
    set_dropout(model, 0.0)
    opt = torch.optim.SGD(model.parameters(), lr=0.05)

    def collate(pairs):
        seqs, masks = [], []
        for key in ("chosen", "rejected"):
            for p in pairs:
                a = tokenizer(p["prompt"]).input_ids
                b = tokenizer(p[key]).input_ids + [tokenizer.eos_token_id]
                seqs.append(torch.tensor(a + b))
                masks.append(torch.tensor([0] * len(a) + [1] * len(b)))
        return pad_sequence(seqs, True, tokenizer.pad_token_id), pad_sequence(masks, True, 0)

    def score(net, batch):
        ids, mask = batch
        lp = net(ids).logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
        return (lp * mask[:, 1:]).sum(-1).chunk(2)

    def step(pairs):
        batch = collate(pairs)
        with torch.no_grad():
            rc, rr = score(ref, batch)
        pc, pr = score(model, batch)
        value = -F.logsigmoid(beta * ((pc - rc) - (pr - rr))).mean()
        opt.zero_grad()
        value.backward()
        opt.step()
        return value.item()

    return {"collate": collate, "score": score, "policy": model, "reference": ref, "step": step}
