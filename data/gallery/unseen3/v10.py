import copy
import torch
import torch.nn.functional as F

beta = 0.1


def token_logps(logits, ids):
    return logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:].unsqueeze(-1)).squeeze(-1)


def make_side(tok, pairs, name):
    prompts = tok([p["prompt"] for p in pairs], return_tensors="pt", padding=True)
    texts = [p["prompt"] + " " + p[name] + " " + tok.eos_token for p in pairs]
    full = tok(texts, return_tensors="pt", padding=True)
    labels = full.input_ids.masked_fill(full.attention_mask == 0, -100)
    labels[:, : prompts.input_ids.shape[1]] = -100
    return full.input_ids, full.attention_mask, labels


def side_score(net, side):
    ids, mask, labels = side
    lp = token_logps(net(input_ids=ids, attention_mask=mask).logits, ids)
    return (lp * (labels[:, 1:] != -100)).sum(1)


def connect(model, tokenizer, pairs):
    reference = copy.deepcopy(model)
    reference.eval()
    for p in reference.parameters():
        p.requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def collate(pairs):
        return make_side(tokenizer, pairs, "chosen"), make_side(tokenizer, pairs, "rejected")

    def score(net, batch):
        return side_score(net, batch[0]), side_score(net, batch[1])

    def loss(pc, pr, rc, rr):
        return -F.logsigmoid(beta * ((pc - pr) - (rc - rr)))

    def step(pairs):
        batch = collate(pairs)
        with torch.no_grad():
            ref = score(reference, batch)
        l = loss(*score(model, batch), *ref).mean()
        optimizer.zero_grad()
        l.backward()
        optimizer.step()
        return l.item()

    return {"collate": collate, "score": score, "policy": model, "reference": reference, "loss": loss, "step": step}
