import copy
import tempfile

import torch
import torch.nn.functional as F
from datasets import Dataset
from trl import DPOConfig, DPOTrainer


class PlainDPO(DPOTrainer):
    """TRL trainer whose log-probabilities and objective we can call on their own."""

    def logps(self, net, batch):
        out = net(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
        lp = out.log_softmax(-1).gather(-1, batch["input_ids"][:, 1:, None]).squeeze(-1)
        return (lp * batch["completion_mask"][:, 1:]).sum(-1).chunk(2)

    def pair_loss(self, pc, pr, rc, rr):
        ratio_chosen, ratio_rejected = pc - rc, pr - rr
        return -F.logsigmoid(self.beta * (ratio_chosen - ratio_rejected))

    def _compute_loss(self, model, inputs, return_outputs=False):
        with torch.no_grad():
            rc, rr = self.logps(self.ref_model, inputs)
        loss = self.pair_loss(*self.logps(model, inputs), rc, rr).mean()
        return (loss, {}) if return_outputs else loss


def connect(model, tokenizer, pairs):
    data = lambda pairs: Dataset.from_list([{"prompt": p["prompt"], "chosen": " " + p["chosen"],
                                             "rejected": " " + p["rejected"]} for p in pairs])
    args = DPOConfig(output_dir=tempfile.mkdtemp(), report_to=[], use_cpu=True, bf16=False, beta=0.25, learning_rate=3e-4,
                     gradient_checkpointing=False, disable_tqdm=True, max_length=64)
    trainer = PlainDPO(model, ref_model=copy.deepcopy(model), args=args, train_dataset=data(pairs), processing_class=tokenizer)
    trainer.create_optimizer()
    trainer.current_gradient_accumulation_steps = 1

    def collate(pairs):
        rows = trainer._prepare_dataset(data(pairs), tokenizer, args, "step")
        return trainer.data_collator(list(rows))

    def step(pairs):
        trainer.optimizer.zero_grad()
        value = trainer.training_step(trainer.model, collate(pairs))
        trainer.optimizer.step()
        return float(value)

    return {"collate": collate, "score": trainer.logps, "policy": trainer.model, "reference": trainer.ref_model,
            "loss": trainer.pair_loss, "step": step}
