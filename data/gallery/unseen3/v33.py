# cDPO: a share `noise` of the labels is taken to be flipped
import copy
import torch
import torch.nn.functional as F


def cdpo(pc, pr, rc, rr, beta=0.2, noise=0.1):
    h = beta * ((pc - pr) - (rc - rr))
    agree, disagree = -F.logsigmoid(h), -F.logsigmoid(-h)
    return torch.lerp(disagree, agree, noise)


def logps(net, ids, resp):
    lp = net(input_ids=ids).logits.log_softmax(-1)[:, :-1]
    return (lp.gather(-1, ids[:, 1:, None])[..., 0] * resp[:, 1:]).sum(-1)


def connect(model, tokenizer, pairs):
    ref = copy.deepcopy(model).eval().requires_grad_(False)
    opt = torch.optim.SGD(model.parameters(), lr=0.03)

    def block(pairs, key):
        rows = [(tokenizer(p["prompt"]).input_ids, tokenizer(p[key]).input_ids + [tokenizer.eos_token_id]) for p in pairs]
        n = max(len(a + b) for a, b in rows)
        ids = torch.tensor([a + b + [tokenizer.pad_token_id] * (n - len(a + b)) for a, b in rows])
        resp = torch.tensor([[0] * len(a) + [1] * len(b) + [0] * (n - len(a + b)) for a, b in rows])
        return ids, resp

    def collate(pairs):
        return block(pairs, "chosen") + block(pairs, "rejected")

    def score(net, b):
        return logps(net, b[0], b[1]), logps(net, b[2], b[3])

    def step(pairs):
        b = collate(pairs)
        with torch.no_grad():
            rc, rr = score(ref, b)
        value = cdpo(*score(model, b), rc, rr).mean()
        opt.zero_grad()
        value.backward()
        opt.step()
        return value.item()

    return {"collate": collate, "score": score, "policy": model, "reference": ref, "loss": cdpo, "step": step}
