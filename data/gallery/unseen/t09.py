# DPO on GPT-2, the short version.
import copy
import torch
import torch.nn.functional as F

beta = 0.1
lr = 1e-4


def connect(model, tokenizer, pairs):
    """Everything as closures over the script's globals."""
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.pad_token = tokenizer.eos_token  # GPT-2 has none
    tokenizer.padding_side = "right"

    ref_model = copy.deepcopy(model)
    ref_model.eval()
    for param in ref_model.parameters():
        param.requires_grad = False
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)

    def tokenize(prompts, answers):
        texts = [p + " " + a + tokenizer.eos_token for p, a in zip(prompts, answers)]
        enc = tokenizer(texts, padding=True, truncation=True, max_length=64, return_tensors="pt")
        labels = enc["input_ids"].clone()
        labels[labels == tokenizer.pad_token_id] = -100
        for i, p in enumerate(prompts):
            n = len(tokenizer(p)["input_ids"])
            labels[i, :n] = -100
        return enc["input_ids"], enc["attention_mask"], labels

    def collate_fn(batch):
        prompts = [b["prompt"] for b in batch]
        return {
            "chosen": tokenize(prompts, [b["chosen"] for b in batch]),
            "rejected": tokenize(prompts, [b["rejected"] for b in batch]),
        }

    def get_log_prob(m, input_ids, attention_mask, labels):
        logits = m(input_ids=input_ids, attention_mask=attention_mask).logits
        log_probs = F.log_softmax(logits[:, :-1, :], dim=-1)
        labels = labels[:, 1:]
        mask = labels != -100
        safe = labels.masked_fill(~mask, 0)
        token_log_probs = log_probs.gather(-1, safe.unsqueeze(-1)).squeeze(-1)
        return (token_log_probs * mask).sum(-1)

    def run_model(m, batch):
        return get_log_prob(m, *batch["chosen"]), get_log_prob(m, *batch["rejected"])

    def calculate_DPO_loss(model_preferred, model_dispreferred, ref_preferred, ref_dispreferred):
        prefered_relative = model_preferred - ref_preferred
        disprefered_relative = model_dispreferred - ref_dispreferred
        return -F.logsigmoid(beta * (prefered_relative - disprefered_relative)).mean()

    def train_step(batch_pairs):
        model.train()
        optimizer.zero_grad()
        batch = collate_fn(batch_pairs)
        w, l = run_model(model, batch)
        with torch.no_grad():
            rw, rl = run_model(ref_model, batch)
        loss = calculate_DPO_loss(w, l, rw, rl)
        loss.backward()
        optimizer.step()
        return loss.item()

    return {
        "collate": collate_fn,
        "score": run_model,
        "policy": model,
        "reference": ref_model,
        "loss": calculate_DPO_loss,
        "step": train_step,
        "tokenizer": tokenizer,
    }
