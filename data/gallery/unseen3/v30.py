"""IPO as a transformers Trainer: length-averaged log-ratios, squared distance to 1/(2 tau)."""
import copy
import tempfile

import torch
from transformers import Trainer, TrainingArguments


class IPOTrainer(Trainer):
    tau = 0.2

    def attach(self, reference, tok):
        self.anchor = reference.eval().requires_grad_(False)
        self.tok = tok
        self.data_collator = self.collate
        return self

    def collate(self, features):
        rows = [(self.tok(f["prompt"])["input_ids"], self.tok(f[k])["input_ids"] + [self.tok.eos_token_id])
                for k in ("chosen", "rejected") for f in features]
        width = -(-max(len(p) + len(r) for p, r in rows) // 8) * 8
        pad = self.tok.pad_token_id
        return {
            "input_ids": torch.tensor([p + r + [pad] * (width - len(p) - len(r)) for p, r in rows]),
            "attention_mask": torch.tensor([[1] * len(p + r) + [0] * (width - len(p) - len(r)) for p, r in rows]),
            "labels": torch.tensor([[-100] * len(p) + r + [-100] * (width - len(p) - len(r)) for p, r in rows]),
        }

    def mean_logps(self, net, batch):
        logits = net(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
        labels = batch["labels"][:, 1:]
        keep = labels != -100
        lp = logits.log_softmax(-1).gather(-1, labels.where(keep, 0).unsqueeze(-1)).squeeze(-1)
        return ((lp * keep).sum(-1) / keep.sum(-1)).chunk(2)

    def ipo(self, pc, pr, rc, rr):
        return ((pc - rc) - (pr - rr) - 1 / (2 * self.tau)) ** 2

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        with torch.no_grad():
            ref = self.mean_logps(self.anchor, inputs)
        out = self.ipo(*self.mean_logps(model, inputs), *ref).mean()
        return (out, {}) if return_outputs else out


def connect(model, tokenizer, pairs):
    args = TrainingArguments(output_dir=tempfile.mkdtemp(), report_to=[], use_cpu=True, learning_rate=1e-4,
                             weight_decay=0.0, remove_unused_columns=False, disable_tqdm=True)
    tr = IPOTrainer(model, args).attach(copy.deepcopy(model), tokenizer)
    tr.create_optimizer()
    tr.current_gradient_accumulation_steps = 1

    def step(pairs):
        value = tr.training_step(tr.model, tr.collate(pairs))
        tr.optimizer.step()
        tr.optimizer.zero_grad()
        return float(value)

    return dict(collate=tr.collate, score=tr.mean_logps, policy=tr.model, reference=tr.anchor, loss=tr.ipo, step=step)
