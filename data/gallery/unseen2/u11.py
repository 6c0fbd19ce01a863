"""trl's own DPOTrainer, driven one step at a time."""

import copy
import tempfile

from datasets import Dataset
from trl import DPOConfig, DPOTrainer


class SteppingDPOTrainer(DPOTrainer):
    def batch_of(self, pairs):
        rows = [{"prompt": p["prompt"], "chosen": " " + p["chosen"], "rejected": " " + p["rejected"]} for p in pairs]
        data = self._prepare_dataset(Dataset.from_list(rows), self.processing_class, self.args, "step")
        return self._prepare_inputs(self.data_collator(list(data)))

    def sequence_logps(self, model, batch):
        labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, -100)
        out = model(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            labels=labels,
            use_cache=False,
            fused_lm_head=True,
        )
        return out.log_probs.sum(dim=1).chunk(2, dim=0)

    def one_step(self, pairs):
        if self.optimizer is None:
            self.create_optimizer()
        self.current_gradient_accumulation_steps = 1
        self.optimizer.zero_grad()
        loss = self.training_step(self.model, self.batch_of(pairs))
        self.optimizer.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    config = DPOConfig(
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
    rows = [{"prompt": p["prompt"], "chosen": " " + p["chosen"], "rejected": " " + p["rejected"]} for p in pairs]
    trainer = SteppingDPOTrainer(
        model=model,
        ref_model=copy.deepcopy(model),
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    return {
        "collate": trainer.batch_of,
        "score": trainer.sequence_logps,
        "policy": trainer.model,
        "reference": trainer.ref_model,
        "step": trainer.one_step,
    }
