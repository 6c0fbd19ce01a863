# dpo with gradient accumulation: effective batch 8 = 4 x 2
import copy

import torch
import torch.nn.functional as F

ACCUM_STEPS = 4
BETA = 0.1
LEARNING_RATE = 1e-4


def encode_pair(tokenizer, pair):
    prompt = tokenizer(pair["prompt"]).input_ids
    eos = [tokenizer.eos_token_id]
    return prompt, tokenizer(pair["chosen"]).input_ids + eos, tokenizer(pair["rejected"]).input_ids + eos


def pad_and_stack(tokenizer, prompts, answers):
    length = max(len(p) + len(a) for p, a in zip(prompts, answers))
    ids = torch.full((len(prompts), length), tokenizer.pad_token_id)
    attention, answer_mask = torch.zeros(2, len(prompts), length)
    for i, (p, a) in enumerate(zip(prompts, answers)):
        end = len(p) + len(a)
        ids[i, :end] = torch.tensor(p + a)
        attention[i, :end] = 1
        answer_mask[i, len(p) : end] = 1
    return ids, attention, answer_mask


def build_batch(tokenizer, pairs):
    prompts, chosen, rejected = zip(*[encode_pair(tokenizer, p) for p in pairs])
    return pad_and_stack(tokenizer, prompts, chosen), pad_and_stack(tokenizer, prompts, rejected)


def answer_logp(model, ids, attention, answer_mask):
    logits = model(input_ids=ids, attention_mask=attention).logits
    logp = F.log_softmax(logits, dim=-1)
    logp = logp[:, :-1].gather(-1, ids[:, 1:].unsqueeze(-1)).squeeze(-1)
    return torch.sum(logp * answer_mask[:, 1:], dim=-1)


def score(model, batch):
    return answer_logp(model, *batch[0]), answer_logp(model, *batch[1])


def dpo_loss(chosen, rejected, ref_chosen, ref_rejected):
    return -F.logsigmoid(BETA * ((chosen - ref_chosen) - (rejected - ref_rejected))).mean()


def connect(model, tokenizer, pairs):
    """The loop body of the script as `step`."""
    reference = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)

    def step(batch_of_pairs):
        size = max(1, len(batch_of_pairs) // ACCUM_STEPS)
        micro_batches = [batch_of_pairs[i : i + size] for i in range(0, len(batch_of_pairs), size)]
        running = 0.0
        for k, micro in enumerate(micro_batches):
            batch = build_batch(tokenizer, micro)
            chosen, rejected = score(model, batch)
            with torch.no_grad():
                ref_chosen, ref_rejected = score(reference, batch)
            loss = dpo_loss(chosen, rejected, ref_chosen, ref_rejected) / len(micro_batches)
            optimizer.zero_grad()
            loss.backward()
            running += loss.item()
            if k + 1 == len(micro_batches):
                optimizer.step()
        return running

    return {
        "collate": lambda p: build_batch(tokenizer, p),
        "score": score,
        "policy": model,
        "reference": reference,
        "loss": dpo_loss,
        "step": step,
    }
