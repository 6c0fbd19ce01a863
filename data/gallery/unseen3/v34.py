import copy
import torch
import torch.nn.functional as F


def rows_of(tok, pair):
    """Two rows of equal width for one pair, with the mask of the answers."""
    p = tok(pair["prompt"]).input_ids
    c = tok(pair["chosen"]).input_ids + [tok.eos_token_id]
    r = tok(pair["rejected"]).input_ids + [tok.eos_token_id]
    both = torch.tensor(list(zip(c, r))).T
    head = torch.tensor(p).expand(2, -1)
    ids = torch.cat([head, both], dim=1)
    mask = torch.cat([torch.zeros_like(head), torch.ones_like(both)], dim=1)
    return ids, mask


def connect(model, tokenizer, pairs):
    reference = copy.deepcopy(model).eval().requires_grad_(False)
    opt = torch.optim.SGD(model.parameters(), lr=0.05)

    def collate(pairs):
        return [rows_of(tokenizer, p) for p in pairs]

    def score(net, batch):
        out = []
        for ids, mask in batch:
            lp = F.log_softmax(net(input_ids=ids).logits[:, :-1], -1)
            out.append((lp.gather(-1, ids[:, 1:, None]).squeeze(-1) * mask[:, 1:]).sum(-1))
        return torch.stack(out).unbind(1)

    def loss(pc, pr, rc, rr):
        return -F.logsigmoid(0.1 * ((pc - rc) - (pr - rr)))

    def step(pairs):
        batch = collate(pairs)
        with torch.no_grad():
            r = score(reference, batch)
        value = loss(*score(model, batch), *r).mean()
        opt.zero_grad()
        value.backward()
        opt.step()
        return value.item()

    return {"collate": collate, "score": score, "policy": model, "reference": reference, "loss": loss, "step": step}
