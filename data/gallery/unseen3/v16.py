# interleaved rows (c0, r0, c1, r1, ...), generation-style padding
import copy
import torch


class Data:
    def __init__(self, tok):
        self.tok = tok

    def __call__(self, pairs):
        rows = []
        for pair in pairs:
            head = self.tok(pair["prompt"]).input_ids
            for key in ("chosen", "rejected"):
                rows.append((head, self.tok(pair[key]).input_ids + [self.tok.eos_token_id]))
        n = max(len(h) + len(t) for h, t in rows)
        ids, att, lab = [], [], []
        for h, t in rows:
            gap = n - len(h) - len(t)
            ids.append([self.tok.pad_token_id] * gap + h + t)
            att.append([0] * gap + [1] * (n - gap))
            lab.append([-100] * (gap + len(h)) + t)
        return torch.tensor(ids), torch.tensor(att), torch.tensor(lab)


def score(net, batch):
    ids, att, lab = batch
    out = net(input_ids=ids, attention_mask=att).logits[:, :-1].log_softmax(-1)
    lab = lab[:, 1:]
    use = lab != -100
    s = (out.gather(-1, lab.clamp(min=0)[..., None])[..., 0] * use).sum(-1).view(-1, 2)
    return s[:, 0], s[:, 1]


def loss(pc, pr, rc, rr, beta=0.1):
    return torch.nn.functional.softplus(-beta * (pc - rc - pr + rr))


def connect(model, tokenizer, pairs):
    collate = Data(tokenizer)
    ref = copy.deepcopy(model).eval().requires_grad_(False)
    return {"collate": collate, "score": score, "policy": model, "reference": ref, "loss": loss}
