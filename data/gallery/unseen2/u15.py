import copy

import torch
import torch.nn.functional as F

TEMPLATE = (
    "{% for m in messages %}{{ m['content'] }}{% if m['role'] == 'assistant' %} <eos> {% else %} : {% endif %}"
    "{% endfor %}"
)


def connect(model, tokenizer, pairs):
    tokenizer.chat_template = TEMPLATE
    beta = 0.1
    ref = copy.deepcopy(model)
    ref.requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0)

    def render(messages):
        text = tokenizer.apply_chat_template(messages, tokenize=False)
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    def example(pair):
        history = [{"role": "user", "content": pair["prompt"]}]
        out = {}
        for side in ("chosen", "rejected"):
            context = render(history)
            history.append({"role": "assistant", "content": pair[side]})
            full = render(history)
            out[side] = full, len(context)
        return out

    def collate(pairs):
        examples = [example(p) for p in pairs]
        batch = {}
        for side in ("chosen", "rejected"):
            seqs = [e[side] for e in examples]
            longest = max(len(s) for s, _ in seqs)
            ids = torch.full((len(seqs), longest), tokenizer.pad_token_id)
            attention = torch.zeros_like(ids)
            target = torch.zeros_like(ids, dtype=torch.bool)
            for row, (s, start) in enumerate(seqs):
                ids[row, : len(s)] = torch.tensor(s)
                attention[row, : len(s)] = 1
                target[row, start : len(s)] = True
            batch[side] = dict(ids=ids, attention=attention, target=target)
        return batch

    def side_score(net, x):
        logp = F.log_softmax(net(x["ids"], attention_mask=x["attention"]).logits[:, :-1], -1)
        logp = logp.gather(-1, x["ids"][:, 1:, None]).squeeze(-1)
        return logp.masked_fill(~x["target"][:, 1:], 0).sum(-1)

    def score(net, batch):
        return side_score(net, batch["chosen"]), side_score(net, batch["rejected"])

    def loss(pc, pr, rc, rr):
        return -F.logsigmoid(beta * ((pc - rc) - (pr - rr)))

    def step(pairs):
        batch = collate(pairs)
        with torch.no_grad():
            rc, rr = score(ref, batch)
        value = loss(*score(model, batch), rc, rr).mean()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value.item()

    return dict(collate=collate, score=score, policy=model, reference=ref, loss=loss, step=step)
