import torch
import torch.nn.functional as F


class SimPOTrainer:
    """Reference-free, average log-probability as the implicit reward."""

    def __init__(self, model, tokenizer, beta=2.0, gamma_beta_ratio=0.25, lr=5e-5):
        self.model = model
        self.tokenizer = tokenizer
        self.beta = beta
        self.gamma_beta_ratio = gamma_beta_ratio
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=lr, weight_decay=0.0)

    def build_row(self, prompt, answer):
        prompt_ids = self.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        answer_ids = self.tokenizer(answer, add_special_tokens=False)["input_ids"]
        answer_ids = answer_ids + [self.tokenizer.eos_token_id]
        return {
            "input_ids": prompt_ids + answer_ids,
            "attention_mask": [1] * (len(prompt_ids) + len(answer_ids)),
            "labels": [-100] * len(prompt_ids) + answer_ids,
        }

    def concatenated_inputs(self, pairs):
        rows = [self.build_row(p["prompt"], p["chosen"]) for p in pairs]
        rows += [self.build_row(p["prompt"], p["rejected"]) for p in pairs]
        size = max(len(r["input_ids"]) for r in rows)
        fill = {"input_ids": self.tokenizer.pad_token_id, "attention_mask": 0, "labels": -100}
        return {k: torch.tensor([r[k] + [v] * (size - len(r[k])) for r in rows]) for k, v in fill.items()}

    def get_batch_logps(self, logits, labels, attention_mask, average_log_prob=True):
        labels = labels[:, 1:].clone()
        logits = logits[:, :-1, :]
        loss_mask = labels != -100
        labels[labels == -100] = 0
        per_token_logps = torch.gather(logits.log_softmax(-1), dim=2, index=labels.unsqueeze(2)).squeeze(2)
        total = (per_token_logps * loss_mask).sum(-1)
        return total / attention_mask[:, 1:].sum(-1) if average_log_prob else total

    def concatenated_forward(self, model, batch):
        logits = model(batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False).logits
        all_logps = self.get_batch_logps(logits, batch["labels"], batch["attention_mask"])
        n = len(all_logps) // 2
        return all_logps[:n], all_logps[n:]

    def simpo_loss(self, policy_chosen, policy_rejected, reference_chosen=None, reference_rejected=None):
        logits = policy_chosen - policy_rejected - self.gamma_beta_ratio
        return -F.logsigmoid(self.beta * logits)

    def train_step(self, pairs):
        self.model.train()
        self.optimizer.zero_grad()
        chosen, rejected = self.concatenated_forward(self.model, self.concatenated_inputs(pairs))
        loss = self.simpo_loss(chosen, rejected).mean()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    t = SimPOTrainer(model, tokenizer)
    return {
        "collate": t.concatenated_inputs,
        "score": t.concatenated_forward,
        "policy": t.model,
        "reference": None,
        "loss": t.simpo_loss,
        "step": t.train_step,
    }
