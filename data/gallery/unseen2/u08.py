import copy
import tempfile

import torch
from transformers import Trainer, TrainingArguments


class Collator:
    def __init__(self, tok):
        tok.pad_token = tok.eos_token
        self.tok = tok

    def __call__(self, features):
        enc = []
        for side in ("chosen", "rejected"):
            for f in features:
                p = self.tok(f["prompt"])["input_ids"]
                r = self.tok(f[side])["input_ids"] + [self.tok.eos_token_id]
                enc.append((p, r))
        n = max(len(p + r) for p, r in enc)
        fill = lambda xs, v: torch.tensor([x + [v] * (n - len(x)) for x in xs])  # noqa: E731
        return {
            "input_ids": fill([p + r for p, r in enc], self.tok.pad_token_id),
            "attention_mask": fill([[1] * len(p + r) for p, r in enc], 0),
            "labels": fill([[-100] * len(p) + r for p, r in enc], -100),
        }


class DPOTrainerHF(Trainer):
    def __init__(self, *args, ref_model=None, beta=0.1, **kw):
        super().__init__(*args, **kw)
        self.ref_model = ref_model.eval()
        self.beta = beta

    def logps(self, model, inputs):
        logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
        labels = inputs["labels"][:, 1:].clone()
        mask = labels != -100
        labels[~mask] = 0
        per_token = torch.gather(logits[:, :-1].log_softmax(-1), 2, labels.unsqueeze(2)).squeeze(2)
        return (per_token * mask).sum(-1).chunk(2)

    def preference_loss(self, pc, pr, rc, rr):
        return -torch.nn.functional.logsigmoid(self.beta * ((pc - rc) - (pr - rr)))

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        pc, pr = self.logps(model, inputs)
        with torch.no_grad():
            rc, rr = self.logps(self.ref_model, inputs)
        loss = self.preference_loss(pc, pr, rc, rr).mean()
        return (loss, {"margin": (pc - pr).detach()}) if return_outputs else loss


def connect(model, tokenizer, pairs):
    args = TrainingArguments(
        output_dir=tempfile.mkdtemp(), use_cpu=True, report_to=[], learning_rate=1e-4, remove_unused_columns=False
    )
    ref = copy.deepcopy(model).requires_grad_(False)
    collate = Collator(tokenizer)
    trainer = DPOTrainerHF(model=model, args=args, data_collator=collate, train_dataset=pairs, ref_model=ref)
    trainer.create_optimizer()
    trainer.current_gradient_accumulation_steps = 1

    def step(pairs):
        loss = trainer.training_step(trainer.model, collate(pairs))
        trainer.optimizer.step()
        trainer.model.zero_grad()
        return loss.item()

    return dict(
        collate=collate,
        score=trainer.logps,
        policy=trainer.model,
        reference=ref,
        loss=trainer.preference_loss,
        step=step,
    )
