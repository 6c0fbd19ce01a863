import copy
import tempfile
from functools import partial

import torch
import torch.nn.functional as F
import transformers


def preference_collator(examples, tokenizer):
    tokenizer.pad_token = tokenizer.eos_token
    texts, prompt_lens = [], []
    for key in ("chosen", "rejected"):
        for ex in examples:
            texts.append(f"{ex['prompt']} {ex[key]} {tokenizer.eos_token}")
            prompt_lens.append(len(tokenizer(ex["prompt"])["input_ids"]))
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    labels = batch["input_ids"].clone()
    for row, n in zip(labels, prompt_lens):
        row[:n] = -100
    labels[labels == tokenizer.pad_token_id] = -100
    return {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"], "labels": labels}


def batch_logps(model, inputs):
    labels = inputs["labels"][:, 1:]
    logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits[:, :-1]
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="none")
    return -losses.view(labels.shape).sum(-1)


class MyDPO(transformers.Trainer):
    beta = 0.1

    def attach(self, ref_model):
        self.ref_model = ref_model
        return self

    def both(self, model, inputs):
        all_logps = batch_logps(model, inputs)
        n = all_logps.size(0) // 2
        return all_logps[:n], all_logps[n:]

    def dpo_loss(self, pc, pr, rc, rr):
        return -F.logsigmoid(self.beta * ((pc - pr) - (rc - rr)))

    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        policy = self.both(model, inputs)
        with torch.no_grad():
            reference = self.both(self.ref_model, inputs)
        loss = self.dpo_loss(*policy, *reference).mean()
        return (loss, policy) if return_outputs else loss


def connect(model, tokenizer, pairs):
    reference = copy.deepcopy(model).eval().requires_grad_(False)
    collate = partial(preference_collator, tokenizer=tokenizer)
    config = transformers.TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        use_cpu=True,
        report_to=[],
        learning_rate=2e-4,
        remove_unused_columns=False,
    )
    trainer = MyDPO(model=model, args=config, data_collator=collate, train_dataset=pairs).attach(reference)
    optimizer = trainer.create_optimizer()
    trainer.current_gradient_accumulation_steps = 1

    def step(pairs):
        optimizer.zero_grad()
        loss = trainer.training_step(trainer.model, collate(pairs))
        optimizer.step()
        return float(loss)

    return dict(
        collate=collate, score=trainer.both, policy=model, reference=reference, loss=trainer.dpo_loss, step=step
    )
