import tempfile

import torch
from datasets import Dataset
from trl import DPOConfig, DPOTrainer


def spaced(pairs):
    return [{"prompt": p["prompt"], "chosen": " " + p["chosen"], "rejected": " " + p["rejected"]} for p in pairs]


class LabDPOTrainer(DPOTrainer):
    """TRL's own forward and loss; adds a scoring method for our notebooks and a one-batch update."""

    def encode(self, pairs):
        data = self._prepare_dataset(Dataset.from_list(spaced(pairs)), self.processing_class, self.args, "train")
        cols = ["prompt_ids", "chosen_ids", "rejected_ids"]
        return self.data_collator(data.select_columns(cols).to_list())

    def score(self, model, inputs):
        labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100)
        out = model(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            labels=labels,
            use_cache=False,
            fused_lm_head=True,
        )
        chosen, rejected = out.log_probs.sum(dim=1).chunk(2, dim=0)
        return chosen, rejected

    def one_batch(self, pairs):
        if self.optimizer is None:
            self.create_optimizer()
        inputs = self._prepare_inputs(self.encode(pairs))
        self.model.train()
        with self.compute_loss_context_manager():
            loss = self.compute_loss(self.model, inputs)
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.args.max_grad_norm)
        self._metrics["train"]["grad_norm"].append(float(norm))
        self.optimizer.step()
        self.model.zero_grad()
        return loss.detach().item()


def config():
    return DPOConfig(
        output_dir=tempfile.mkdtemp(),
        beta=0.1,
        learning_rate=2e-5,
        per_device_train_batch_size=8,
        max_length=64,
        pad_to_multiple_of=8,
        bf16=False,
        gradient_checkpointing=False,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
    )


def connect(model, tokenizer, pairs):
    """TRL makes the reference itself; its loss has no function of four numbers per pair."""
    torch.manual_seed(0)
    t = LabDPOTrainer(
        model=model,
        args=config(),
        train_dataset=Dataset.from_list(spaced(pairs)),
        processing_class=tokenizer,
    )
    return {
        "collate": t.encode,
        "score": t.score,
        "policy": t.model,
        "reference": t.ref_model,
        "step": t.one_batch,
    }
