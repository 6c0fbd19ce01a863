"""DPO as one short script that imports nothing of this book: what chapter 22 breaks, line by line. It has no bug as it stands.

python plain_loop.py MODEL PAIRS.jsonl OUT [--bug NAME] writes OUT/metrics.jsonl and OUT/model.
"""

import copy
import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

BETA = 0.6
LEARNING_RATE = 5e-4
BATCH = 32


def collate(rows, tokenizer, max_length=64):
    """Chosen responses first, then the rejected ones; loss_mask marks what is scored."""
    pad, ids, masks = tokenizer.pad_token_id, [], []
    for side in ("chosen", "rejected"):
        for row in rows:
            prompt = tokenizer(row["prompt"]).input_ids
            response = tokenizer(row[side]).input_ids + [tokenizer.eos_token_id]
            ids.append((prompt + response)[:max_length])
            masks.append(([0] * len(prompt) + [1] * len(response))[:max_length])
    width = max(map(len, ids))
    fill = lambda row, value: row + [value] * (width - len(row))
    return {
        "input_ids": torch.tensor([fill(i, pad) for i in ids]),
        "attention_mask": torch.tensor([fill([1] * len(i), 0) for i in ids]),
        "loss_mask": torch.tensor([fill(m, 0) for m in masks]),
    }


def score(model, batch):
    """log pi(y|x) of the chosen and of the rejected responses."""
    logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    labels, mask = batch["input_ids"][:, 1:], batch["loss_mask"][:, 1:]
    logps = logits[:, :-1].log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    return (logps * mask).sum(-1).chunk(2)


def loss(chosen, rejected, ref_chosen, ref_rejected):
    return -F.logsigmoid(BETA * ((chosen - ref_chosen) - (rejected - ref_rejected)))


def prepare(model):
    """Policy, reference, optimizer."""
    policy = model.eval()
    reference = copy.deepcopy(policy).requires_grad_(False)
    return policy, reference, torch.optim.AdamW(policy.parameters(), lr=LEARNING_RATE, weight_decay=0.0)


def step(policy, reference, optimizer, rows, tokenizer, share=0.0, number=0):
    """One update; `share` of the run is over. Returns what the dashboard shows."""
    batch = collate(rows, tokenizer)
    with torch.no_grad():
        ref_chosen, ref_rejected = score(reference, batch)
    chosen, rejected = score(policy, batch)
    losses = loss(chosen, rejected, ref_chosen, ref_rejected)
    optimizer.param_groups[0]["lr"] = LEARNING_RATE * (1 - share) * min(1.0, (number + 1) / 10)
    optimizer.zero_grad()
    losses.mean().backward()
    norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
    optimizer.step()
    good, bad = (BETA * (a - b).detach().float() for a, b in ((chosen, ref_chosen), (rejected, ref_rejected)))
    scored = batch["loss_mask"].bool() & (batch["input_ids"] == tokenizer.eos_token_id)
    return {
        "loss": losses.mean().item(), "grad_norm": norm.item(), "learning_rate": optimizer.param_groups[0]["lr"],
        "margin": (good - bad).mean().item(), "accuracy": ((good > bad).float() + 0.5 * (good == bad).float()).mean().item(),
        "chosen_reward": good.mean().item(), "rejected_reward": bad.mean().item(),
        "chosen_logp": chosen.mean().item(), "rejected_logp": rejected.mean().item(),
        "chosen_length": batch["loss_mask"].chunk(2)[0].sum(-1).float().mean().item(),
        "rejected_length": batch["loss_mask"].chunk(2)[1].sum(-1).float().mean().item(),
        "eos": scored.sum(-1).float().mean().item(),  # ends of text that are scored, per response: one
        "scored": (batch["loss_mask"].sum() / batch["attention_mask"].sum()).item(),  # share of the tokens that are scored
    }  # fmt: skip


def train(model, tokenizer, rows, steps=128, seed=0, on_step=None):
    """Steps over shuffled rows; returns policy, reference and one row of metrics a step."""
    torch.manual_seed(seed)
    policy, reference, optimizer = prepare(model)
    order = torch.cat([torch.randperm(len(rows)) for _ in range(steps * BATCH // len(rows) + 1)]).tolist()
    history = []
    for number in range(steps):
        picked = [rows[i] for i in order[number * BATCH : (number + 1) * BATCH]]
        history.append({"step": number + 1} | step(policy, reference, optimizer, picked, tokenizer, number / steps, number))
        if on_step:
            on_step(number + 1, policy)
    return policy, reference, history


if __name__ == "__main__":
    if "--bug" in sys.argv:
        patches = json.loads(Path(__file__).with_name("bugs.json").read_text())["plain_loop.py"][sys.argv.pop()]["patch"]
        source = Path(__file__).read_text().split("\nif __name__")[0]
        for old, new in patches:
            source = source.replace(old, new)
        exec(source)
        sys.argv.pop()
    model_name, data, out = sys.argv[1:]
    tokenizer = AutoTokenizer.from_pretrained(model_name, trust_remote_code=False)
    model = AutoModelForCausalLM.from_pretrained(model_name, trust_remote_code=False)
    policy, _, history = train(model, tokenizer, [json.loads(line) for line in open(data)])
    Path(out).mkdir(parents=True, exist_ok=True)
    (Path(out) / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in history))
    policy.save_pretrained(Path(out) / "model")
    tokenizer.save_pretrained(Path(out) / "model")
