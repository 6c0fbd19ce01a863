import copy
import tempfile

import torch
import torch.nn.functional as F
from transformers import Trainer, TrainingArguments


class PreferenceTrainer(Trainer):
    def __init__(self, *args, reference, tok, beta=0.1, **kwargs):
        super().__init__(*args, **kwargs)
        self.reference, self.tok, self.beta = reference.eval(), tok, beta
        self.reference.requires_grad_(False)

    def collate(self, features):
        rows = []
        for key in ("chosen", "rejected"):
            for f in features:
                p = self.tok(f["prompt"])["input_ids"]
                r = self.tok(f[key])["input_ids"] + [self.tok.eos_token_id]
                rows.append({"ids": p + r, "labels": [-100] * len(p) + r})
        n = max(len(r["ids"]) for r in rows)
        pad = lambda k, v: torch.tensor([r[k] + [v] * (n - len(r[k])) for r in rows])
        return {"input_ids": pad("ids", self.tok.pad_token_id), "labels": pad("labels", -100)}

    def sequence_logps(self, net, batch):
        logits = net(input_ids=batch["input_ids"]).logits[:, :-1]
        labels = batch["labels"][:, 1:]
        lp = -F.cross_entropy(logits.permute(0, 2, 1), labels, reduction="none", ignore_index=-100).sum(-1)
        return lp.chunk(2)

    def dpo(self, pc, pr, rc, rr):
        chosen_reward = self.beta * (pc - rc)
        rejected_reward = self.beta * (pr - rr).detach()
        return -F.logsigmoid(chosen_reward - rejected_reward)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        with torch.no_grad():
            ref = self.sequence_logps(self.reference, inputs)
        return self.dpo(*self.sequence_logps(model, inputs), *ref).mean()


def connect(model, tokenizer, pairs):
    args = TrainingArguments(output_dir=tempfile.mkdtemp(), report_to=[], use_cpu=True, learning_rate=2e-4,
                             weight_decay=0.0, remove_unused_columns=False, disable_tqdm=True)
    trainer = PreferenceTrainer(model, args, reference=copy.deepcopy(model), tok=tokenizer)
    trainer.create_optimizer()
    trainer.current_gradient_accumulation_steps = 1

    def step(pairs):
        trainer.optimizer.zero_grad()
        value = trainer.training_step(trainer.model, trainer.collate(pairs))
        trainer.optimizer.step()
        return float(value)

    return dict(collate=trainer.collate, score=trainer.sequence_logps, policy=trainer.model,
                reference=trainer.reference, loss=trainer.dpo, step=step)
