import copy
import tempfile

import torch
import torch.nn.functional as F
from datasets import Dataset
from trl import DPOConfig, DPOTrainer


class RewardLoggingDPOTrainer(DPOTrainer):
    """DPOTrainer whose implicit rewards are first-class: they are logged and the loss is made of them."""

    def concatenated_forward(self, model, inputs):
        logits = model(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False
        ).logits
        logps = logits[:, :-1].log_softmax(-1)
        logps = logps.gather(-1, inputs["input_ids"][:, 1:].unsqueeze(-1)).squeeze(-1)
        logps = (logps * inputs["completion_mask"][:, 1:]).sum(-1)
        return logps.chunk(2)

    def rewards(self, logps, ref_logps):
        return self.beta * (logps - ref_logps)

    def preference_loss(self, chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps):
        chosen_rewards = self.rewards(chosen_logps, ref_chosen_logps)
        rejected_rewards = self.rewards(rejected_logps, ref_rejected_logps)
        return -F.logsigmoid(self.beta * (chosen_rewards - rejected_rewards))

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        chosen, rejected = self.concatenated_forward(model, inputs)
        with torch.no_grad():
            ref_chosen, ref_rejected = self.concatenated_forward(self.ref_model, inputs)
        loss = self.preference_loss(chosen, rejected, ref_chosen, ref_rejected).mean()
        margin = self.rewards(chosen.detach(), ref_chosen) - self.rewards(rejected.detach(), ref_rejected)
        self._metrics["train"]["rewards/margins"].append(margin.mean().item())
        return (loss, {}) if return_outputs else loss

    def encode(self, pairs):
        rows = [{"prompt": p["prompt"], "chosen": " " + p["chosen"], "rejected": " " + p["rejected"]} for p in pairs]
        data = self._prepare_dataset(Dataset.from_list(rows), self.processing_class, self.args, "pairs")
        keep = ("prompt_ids", "chosen_ids", "rejected_ids")
        return self.data_collator([{k: row[k] for k in keep} for row in data])

    def step(self, pairs):
        if self.optimizer is None:
            self.create_optimizer()
        loss = self.compute_loss(self.model, self._prepare_inputs(self.encode(pairs)))
        self.accelerator.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()


def connect(model, tokenizer, pairs):
    """Built the usual way with a DPOConfig; the pairs are the training set."""
    args = DPOConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=8,
        learning_rate=1e-4,
        beta=0.3,
        max_length=64,
        report_to=[],
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        disable_tqdm=True,
    )
    rows = [{"prompt": p["prompt"], "chosen": " " + p["chosen"], "rejected": " " + p["rejected"]} for p in pairs]
    trainer = RewardLoggingDPOTrainer(
        model=model,
        ref_model=copy.deepcopy(model),
        args=args,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    return {
        "collate": trainer.encode,
        "score": trainer.concatenated_forward,
        "policy": trainer.model,
        "reference": trainer.ref_model,
        "loss": trainer.preference_loss,
        "step": trainer.step,
    }
