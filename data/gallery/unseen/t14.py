import copy

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import get_linear_schedule_with_warmup

# settings as in a large run
LEARNING_RATE = 5e-7
WARMUP = 150
TOTAL = 1500
BETA = 0.1


def text_ids(tokenizer, pair, key):
    return torch.tensor(tokenizer.encode(pair["prompt"]) + tokenizer.encode(pair[key]) + [tokenizer.eos_token_id])


def collate(tokenizer, pairs):
    seqs = [text_ids(tokenizer, p, "chosen") for p in pairs] + [text_ids(tokenizer, p, "rejected") for p in pairs]
    lengths = torch.tensor([len(s) for s in seqs])
    ids = pad_sequence(seqs, batch_first=True, padding_value=tokenizer.pad_token_id)
    mask = torch.arange(ids.shape[1]).unsqueeze(0) < lengths.unsqueeze(1)
    return {"ids": ids, "mask": mask}


def score(model, batch):
    """log p of the whole text; what both sides share drops out of the margin."""
    ids, mask = batch["ids"], batch["mask"]
    logits = model(input_ids=ids, attention_mask=mask.long()).logits[:, :-1]
    logp = torch.distributions.Categorical(logits=logits).log_prob(ids[:, 1:])
    logp = logp.where(mask[:, 1:], torch.zeros_like(logp)).sum(1)
    n = len(logp) // 2
    return logp[:n], logp[n:]


def loss_fn(chosen, rejected, ref_chosen, ref_rejected):
    margin = (chosen - rejected) - (ref_chosen - ref_rejected)
    return torch.log1p(torch.exp(-BETA * margin))


def connect(model, tokenizer, pairs):
    """Raw loop, laid open."""
    policy = model.train()
    reference = copy.deepcopy(model).eval()
    reference.requires_grad_(False)
    optimizer = torch.optim.RMSprop(policy.parameters(), lr=LEARNING_RATE)
    scheduler = get_linear_schedule_with_warmup(optimizer, WARMUP, TOTAL)

    def step(samples):
        batch = collate(tokenizer, samples)
        chosen, rejected = score(policy, batch)
        with torch.no_grad():
            ref_chosen, ref_rejected = score(reference, batch)
        loss = loss_fn(chosen, rejected, ref_chosen, ref_rejected).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 10.0)
        optimizer.step()
        scheduler.step()
        return loss.item()

    return {
        "collate": lambda samples: collate(tokenizer, samples),
        "score": score,
        "policy": policy,
        "reference": reference,
        "loss": loss_fn,
        "step": step,
    }
