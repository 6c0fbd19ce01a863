"""SimPO trainer: reward is the average log-probability of the response, minus a margin."""
import torch
import torch.nn.functional as F

BETA, GAMMA = 2.0, 0.5


def collate_with(tok):
    def collate(pairs):
        seqs = [(tok(p["prompt"]).input_ids, tok(p[k]).input_ids + [tok.eos_token_id])
                for k in ("chosen", "rejected") for p in pairs]
        n = max(len(a) + len(b) for a, b in seqs)
        ids = torch.full((len(seqs), n), tok.pad_token_id)
        attention_mask = torch.zeros_like(ids)
        response_mask = torch.zeros_like(ids)
        for i, (a, b) in enumerate(seqs):
            ids[i, : len(a) + len(b)] = torch.tensor(a + b)
            attention_mask[i, : len(a) + len(b)] = 1
            response_mask[i, len(a) : len(a) + len(b)] = 1
        return dict(input_ids=ids, attention_mask=attention_mask, response_mask=response_mask)

    return collate


def score(net, batch):
    ids, mask = batch["input_ids"], batch["attention_mask"]
    logps = F.log_softmax(net(input_ids=ids, attention_mask=mask).logits[:, :-1], -1)
    logps = logps.gather(-1, ids[:, 1:].unsqueeze(-1)).squeeze(-1) * batch["response_mask"][:, 1:]
    average = logps.sum(-1) / mask[:, 1:].sum(-1)
    return average.chunk(2)


def loss(pc, pr, rc=None, rr=None):
    return -F.logsigmoid(BETA * (pc - pr) - GAMMA)


def connect(model, tokenizer, pairs):
    collate = collate_with(tokenizer)
    opt = torch.optim.RMSprop(model.parameters(), lr=1e-4)

    def step(pairs):
        opt.zero_grad()
        value = loss(*score(model, collate(pairs))).mean()
        value.backward()
        opt.step()
        return value.item()

    return {"collate": collate, "score": score, "policy": model, "reference": None, "loss": loss, "step": step}
