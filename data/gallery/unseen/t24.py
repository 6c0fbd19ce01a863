import copy
from functools import partial

import torch
import torch.nn.functional as F

CFG = {"beta": 0.1, "lr": 5e-3, "momentum": 0.0}


def tokenise(tok, pair, which):
    prompt_ids = tok(pair["prompt"])["input_ids"]
    answer_ids = tok(pair[which])["input_ids"]
    return prompt_ids, answer_ids + [tok.eos_token_id]


def collate(tok, pairs):
    rows = [tokenise(tok, p, "chosen") for p in pairs] + [tokenise(tok, p, "rejected") for p in pairs]
    width = max(len(p) + len(a) for p, a in rows)
    x, m, t = [], [], []
    for p, a in rows:
        gap = width - len(p) - len(a)
        x.append(p + a + [tok.pad_token_id] * gap)
        m.append([1] * (width - gap) + [0] * gap)
        # targets already belong to the position that predicts them
        t.append([-100] * (len(p) - 1) + a + [-100] * (gap + 1))
    return torch.tensor(x), torch.tensor(m), torch.tensor(t)


def logprob_pairs(net, batch):
    x, m, t = batch
    logits = net(input_ids=x, attention_mask=m).logits
    ce = F.cross_entropy(logits.flatten(0, 1), t.flatten(), ignore_index=-100, reduction="none")
    return tuple((-ce).view_as(x).sum(dim=1).chunk(2))


def preference_loss(chosen, rejected, ref_chosen, ref_rejected):
    advantage = chosen - ref_chosen - (rejected - ref_rejected)
    return -F.logsigmoid(CFG["beta"] * advantage)


def train_step(tok, policy, reference, optimizer, pairs):
    optimizer.zero_grad
    batch = collate(tok, pairs)
    with torch.no_grad():
        ref = logprob_pairs(reference, batch)
    loss = preference_loss(*logprob_pairs(policy, batch), *ref).mean()
    loss.backward()
    optimizer.step()
    return loss.item()


def freeze(net):
    net = copy.deepcopy(net)
    net.eval()
    net.requires_grad_(False)
    return net


def connect(model, tokenizer, pairs):
    """Functions with their arguments bound."""
    reference = freeze(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=CFG["lr"], momentum=CFG["momentum"])
    return {
        "collate": partial(collate, tokenizer),
        "score": logprob_pairs,
        "policy": model,
        "reference": reference,
        "loss": preference_loss,
        "step": partial(train_step, tokenizer, model, reference, optimizer),
    }
