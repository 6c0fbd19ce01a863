"""DPO with an extra NLL term on the winner (RPO), on chat-formatted text."""
import copy

import torch
from torch import nn

CHATML = (
    "{% for m in messages %}<|im_start|> {{ m['role'] }} \n {{ m['content'] }} <|im_end|> \n {% endfor %}"
    "{% if add_generation_prompt %}<|im_start|> assistant \n {% endif %}"
)


def prepare(model, tokenizer):
    """Adds the chat markers to a tokenizer and grows the embedding."""
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = CHATML
    torch.manual_seed(11)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    return model, tokenizer


class ChatRPO:
    def __init__(self, model, tokenizer, beta=0.1, alpha=0.01, lr=5e-5):
        self.model, self.tokenizer = prepare(model, tokenizer)
        self.ref = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.beta, self.alpha = beta, alpha
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=lr)

    def tokenize_row(self, prompt, answer):
        user = [{"role": "user", "content": prompt}]
        full = user + [{"role": "assistant", "content": answer}]
        kw = dict(tokenize=False)
        head = self.tokenizer.apply_chat_template(user, add_generation_prompt=True, **kw)
        text = self.tokenizer.apply_chat_template(full, **kw)
        assert text.startswith(head)
        head_ids = self.tokenizer(head, add_special_tokens=False)["input_ids"]
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        assert ids[: len(head_ids)] == head_ids
        labels = [-100] * len(head_ids) + ids[len(head_ids) :]
        return ids, labels

    def collate(self, pairs):
        rows = [self.tokenize_row(p["prompt"], p["chosen"]) for p in pairs]
        rows += [self.tokenize_row(p["prompt"], p["rejected"]) for p in pairs]
        w = max(len(ids) for ids, _ in rows)
        pad = self.tokenizer.pad_token_id
        return {
            "input_ids": torch.tensor([i + [pad] * (w - len(i)) for i, _ in rows]),
            "attention_mask": torch.tensor([[1] * len(i) + [0] * (w - len(i)) for i, _ in rows]),
            "labels": torch.tensor([l + [-100] * (w - len(l)) for _, l in rows]),
        }

    def forward(self, model, batch):
        logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        ce = nn.CrossEntropyLoss(reduction="none", ignore_index=-100)
        flat = ce(logits[:, :-1].reshape(-1, logits.size(-1)), batch["labels"][:, 1:].reshape(-1))
        logps = -flat.view(len(logits), -1).sum(1)
        return logps[: len(logps) // 2], logps[len(logps) // 2 :]

    def criterion(self, c, r, ref_c, ref_r):
        preference = -nn.functional.logsigmoid(self.beta * (c - ref_c) - self.beta * (r - ref_r))
        likelihood = -c
        return preference + self.alpha * likelihood

    def fit_batch(self, pairs):
        batch = self.collate(pairs)
        with torch.no_grad():
            ref_c, ref_r = self.forward(self.ref, batch)
        c, r = self.forward(self.model, batch)
        loss = self.criterion(c, r, ref_c, ref_r).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    """Returns its own tokenizer, the one with the chat markers."""
    t = ChatRPO(model, tokenizer)
    return {
        "collate": t.collate,
        "score": t.forward,
        "policy": t.model,
        "reference": t.ref,
        "loss": t.criterion,
        "step": t.fit_batch,
        "tokenizer": t.tokenizer,
    }
