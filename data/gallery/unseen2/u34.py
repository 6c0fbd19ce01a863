"""A DPOTrainer with our own margin and reward logging."""

import copy
import tempfile

import torch.nn.functional as F
from datasets import Dataset
from trl import DPOConfig, DPOTrainer


def as_dataset(pairs):
    columns = {"prompt": [], "chosen": [], "rejected": []}
    for p in pairs:
        columns["prompt"].append(p["prompt"])
        columns["chosen"].append(" " + p["chosen"])
        columns["rejected"].append(" " + p["rejected"])
    return Dataset.from_dict(columns)


class LoggingDPOTrainer(DPOTrainer):
    def collate(self, pairs):
        data = self._prepare_dataset(as_dataset(pairs), self.processing_class, self.args, "pairs")
        return self.data_collator([data[i] for i in range(len(data))])

    def logps(self, model, inputs):
        labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100)
        passed = {k: inputs[k] for k in ("input_ids", "attention_mask")}
        per_token = model(**passed, labels=labels, use_cache=False, fused_lm_head=True).log_probs
        return per_token.sum(1).chunk(2)

    def margin_loss(self, pc, pr, rc, rr):
        chosen_shift = pc - rc
        rejected_shift = rr - pr
        self.last_rewards = (self.beta * chosen_shift).detach(), (self.beta * rejected_shift).detach()
        return -F.logsigmoid(self.beta * (chosen_shift - rejected_shift))

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        rc, rr = self.compute_ref_log_probs(self.ref_model, inputs)
        pc, pr = self.logps(model, inputs)
        loss = self.margin_loss(pc, pr, rc, rr).mean()
        return (loss, {"rewards": self.last_rewards}) if return_outputs else loss


def connect(model, tokenizer, pairs):
    args = DPOConfig(
        output_dir=tempfile.mkdtemp(),
        beta=0.1,
        learning_rate=1e-4,
        max_length=64,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        disable_tqdm=True,
    )
    trainer = LoggingDPOTrainer(
        model,
        ref_model=copy.deepcopy(model),
        args=args,
        train_dataset=as_dataset(pairs),
        processing_class=tokenizer,
    )
    trainer.create_optimizer()
    trainer.current_gradient_accumulation_steps = 1

    def step(pairs):
        loss = trainer.training_step(trainer.model, trainer.collate(pairs))
        trainer.optimizer.step()
        trainer.optimizer.zero_grad()
        return loss.item()

    return {
        "collate": trainer.collate,
        "score": trainer.logps,
        "policy": trainer.model,
        "reference": trainer.ref_model,
        "loss": trainer.margin_loss,
        "step": step,
    }
