# DPO with a likelihood term on the preferred answer (RPO), plain loop, two forward passes
import copy
import torch
from torch.nn.functional import logsigmoid
from torch.nn.utils.rnn import pad_sequence

BETA, ALPHA, LR = 0.1, 0.5, 0.02


def connect(model, tokenizer, pairs):
    frozen = copy.deepcopy(model).requires_grad_(False).eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=0.9)

    def side(pairs, key):
        ids, where = [], []
        for pair in pairs:
            p = tokenizer(pair["prompt"]).input_ids
            r = tokenizer(pair[key]).input_ids + [tokenizer.eos_token_id]
            ids.append(torch.tensor(p + r))
            where.append(torch.tensor([False] * len(p) + [True] * len(r)))
        return (pad_sequence(ids, batch_first=True, padding_value=tokenizer.pad_token_id),
                pad_sequence(where, batch_first=True, padding_value=False))

    def collate(pairs):
        return side(pairs, "chosen"), side(pairs, "rejected")

    def logp(net, ids, where):
        # right padding under a causal mask: nothing real ever looks at a pad
        lp = net(ids).logits.log_softmax(-1)
        tok = lp[:, :-1].gather(2, ids[:, 1:, None])[..., 0]
        return (tok * where[:, 1:]).sum(1)

    def score(net, batch):
        return logp(net, *batch[0]), logp(net, *batch[1])

    def loss(pc, pr, rc, rr):
        return -logsigmoid(BETA * (pc - pr - rc + rr))

    def step(pairs):
        batch = collate(pairs)
        pc, pr = score(model, batch)
        with torch.no_grad():
            rc, rr = score(frozen, batch)
        nll = -(pc / batch[0][1].sum(1)).mean()
        total = loss(pc, pr, rc, rr).mean() + ALPHA * nll
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        return float(total)

    return dict(collate=collate, score=score, policy=model, reference=frozen, loss=loss, step=step)
