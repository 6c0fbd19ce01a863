import tempfile

import torch
from transformers import Trainer, TrainingArguments


class PairCollator:
    """Pads to the left, as the tokenizer is used for generation during evaluation as well."""

    def __init__(self, tokenizer, max_length=64):
        self.tokenizer = tokenizer
        self.max_length = max_length

    def _pad_left(self, seqs, value):
        n = max(len(s) for s in seqs)
        return torch.tensor([[value] * (n - len(s)) + list(s) for s in seqs])

    def __call__(self, features):
        ids, mask, labels = [], [], []
        for key in ("chosen", "rejected"):
            for f in features:
                p = self.tokenizer(f["prompt"], add_special_tokens=False)["input_ids"]
                r = self.tokenizer(f[key], add_special_tokens=False)["input_ids"]
                r = r + [self.tokenizer.eos_token_id]
                ids.append((p + r)[: self.max_length])
                labels.append(([-100] * len(p) + r)[: self.max_length])
                mask.append([1] * len(ids[-1]))
        return {
            "input_ids": self._pad_left(ids, self.tokenizer.pad_token_id),
            "attention_mask": self._pad_left(mask, 0),
            "labels": self._pad_left(labels, -100),
        }


class DPOTrainer(Trainer):
    def __init__(self, *args, ref_model=None, beta=0.1, **kwargs):
        super().__init__(*args, **kwargs)
        self.ref_model = ref_model
        self.beta = beta

    def get_logps(self, model, inputs):
        logits = model(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False
        ).logits
        labels = inputs["labels"][:, 1:].clone()
        logits = logits[:, :-1, :]
        mask = labels != -100
        labels[~mask] = 0
        per_token = torch.gather(logits.log_softmax(-1), 2, labels.unsqueeze(2)).squeeze(2)
        sums = (per_token * mask).sum(-1)
        half = sums.shape[0] // 2
        return sums[:half], sums[half:]

    def preference_loss(self, pc, pr, rc, rr):
        return -torch.nn.functional.logsigmoid(self.beta * ((pc - pr) - (rc - rr))).mean()

    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        pc, pr = self.get_logps(model, inputs)
        with torch.no_grad():
            rc, rr = self.get_logps(self.ref_model, inputs)
        loss = self.preference_loss(pc, pr, rc, rr)
        return (loss, {"margin": (pc - pr).detach()}) if return_outputs else loss

    def single_step(self, features):
        if self.optimizer is None:
            self.create_optimizer()
        inputs = self._prepare_inputs(self.data_collator(features))
        self.model.train()
        loss = self.compute_loss(self.model, inputs)
        self.accelerator.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()


def connect(model, tokenizer, pairs):
    """Trainer subclass with a frozen copy as reference."""
    import copy

    ref = copy.deepcopy(model).eval().requires_grad_(False)
    args = TrainingArguments(
        output_dir=tempfile.mkdtemp(), per_device_train_batch_size=8, learning_rate=1e-4,
        report_to=[], use_cpu=True, remove_unused_columns=False, disable_tqdm=True,
    )
    trainer = DPOTrainer(
        model=model, args=args, data_collator=PairCollator(tokenizer), train_dataset=pairs, ref_model=ref
    )
    return {
        "collate": trainer.data_collator,
        "score": trainer.get_logps,
        "policy": trainer.model,
        "reference": trainer.ref_model,
        "loss": trainer.preference_loss,
        "step": trainer.single_step,
    }
