import copy
import tempfile

import torch
from transformers import Trainer, TrainingArguments


class IPOTrainer(Trainer):
    """Identity preference optimisation: regress the per-token log-ratio margin on 1 / (2 tau)."""

    def __init__(self, *args, reference=None, tau=0.1, **kw):
        super().__init__(*args, **kw)
        self.reference = reference
        self.tau = tau

    def average_logps(self, model, batch):
        outs = []
        for side in ("chosen", "rejected"):
            ids, att, resp = (batch[f"{side}_{k}"] for k in ("input_ids", "attention_mask", "response_mask"))
            logits = model(input_ids=ids, attention_mask=att).logits[:, :-1]
            lp = logits.log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
            resp = resp[:, 1:].to(lp.dtype)
            outs.append((lp * resp).sum(-1) / resp.sum(-1))
        return outs[0], outs[1]

    def ipo_loss(self, chosen, rejected, ref_chosen, ref_rejected):
        h = (chosen - rejected) - (ref_chosen - ref_rejected)
        return (h - 1.0 / (2.0 * self.tau)).pow(2)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        chosen, rejected = self.average_logps(model, inputs)
        with torch.no_grad():
            ref_chosen, ref_rejected = self.average_logps(self.reference, inputs)
        loss = self.ipo_loss(chosen, rejected, ref_chosen, ref_rejected).mean()
        return (loss, (chosen, rejected)) if return_outputs else loss

    def fit_on(self, pairs):
        if self.optimizer is None:
            self.create_optimizer()
        self.model.train()
        batch = self._prepare_inputs(self.data_collator(pairs))
        with self.compute_loss_context_manager():
            loss = self.compute_loss(self.model, batch)
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.args.max_grad_norm)
        self.optimizer.step()
        self.model.zero_grad()
        return loss.item()


class Collator:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def __call__(self, pairs):
        batch = {}
        for side in ("chosen", "rejected"):
            prompts = [self.tokenizer(p["prompt"])["input_ids"] for p in pairs]
            answers = [self.tokenizer(p[side])["input_ids"] + [self.tokenizer.eos_token_id] for p in pairs]
            padded = self.tokenizer.pad(
                {"input_ids": [p + a for p, a in zip(prompts, answers)]}, padding=True, return_tensors="pt"
            )
            resp = padded["attention_mask"].clone()
            for row, p in zip(resp, prompts):
                row[: len(p)] = 0
            batch[f"{side}_input_ids"] = padded["input_ids"]
            batch[f"{side}_attention_mask"] = padded["attention_mask"]
            batch[f"{side}_response_mask"] = resp
        return batch


def connect(model, tokenizer, pairs):
    """Trainer subclass with the IPO loss."""
    args = TrainingArguments(
        tempfile.mkdtemp(), learning_rate=5e-5, per_device_train_batch_size=8, max_grad_norm=1.0,
        report_to=[], use_cpu=True, remove_unused_columns=False, disable_tqdm=True,
    )
    ref = copy.deepcopy(model).eval()
    t = IPOTrainer(model=model, args=args, data_collator=Collator(tokenizer), train_dataset=pairs, reference=ref)
    return {
        "collate": t.data_collator, "score": t.average_logps, "policy": t.model,
        "reference": t.reference, "loss": t.ipo_loss, "step": t.fit_on,
    }
