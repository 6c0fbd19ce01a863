"""DPO as a subclass of the transformers Trainer, in the style of 2023: two forward passes, labels of -100. No bug as it stands.

python trainer_subclass.py MODEL PAIRS.jsonl OUT writes OUT/trainer_state.json and the model.
"""

import copy
import json
import sys
from pathlib import Path

import torch
from torch.nn.functional import logsigmoid
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainerCallback, TrainingArguments

PARAMETERS = {"learning_rate": 5e-4, "per_device_train_batch_size": 32, "warmup_steps": 10, "max_steps": 128}


class PreferenceCollator:
    def __init__(self, tokenizer, max_tokens=64):
        self.tokenizer, self.max_tokens = tokenizer, max_tokens

    def texts(self, prompts, answers):
        all_ids, all_labels = [], []
        for prompt, answer in zip(prompts, answers):
            question = self.tokenizer.encode(prompt)
            answer = self.tokenizer.encode(answer) + [self.tokenizer.eos_token_id]
            all_ids.append(torch.tensor(question + answer)[: self.max_tokens])
            all_labels.append(torch.tensor([-100] * len(question) + answer)[: self.max_tokens])
        mask = [torch.ones_like(ids) for ids in all_ids]
        side = "right"
        return {
            "input_ids": pad_sequence(all_ids, True, self.tokenizer.pad_token_id, padding_side=side),
            "attention_mask": pad_sequence(mask, True, 0, padding_side=side),
            "labels": pad_sequence(all_labels, True, -100, padding_side=side),
        }

    def __call__(self, features):
        prompts = [f["prompt"] for f in features]
        better = self.texts(prompts, [f["chosen"] for f in features])
        worse = self.texts(prompts, [f["rejected"] for f in features])
        return {f"better_{k}": v for k, v in better.items()} | {f"worse_{k}": v for k, v in worse.items()}


def response_logps(model, inputs, which):
    logits = model(inputs[f"{which}_input_ids"], attention_mask=inputs[f"{which}_attention_mask"]).logits[:, :-1]
    labels = inputs[f"{which}_labels"][:, 1:].clone()
    wanted = labels != -100
    labels[~wanted] = 0
    distribution = torch.log_softmax(logits, dim=-1)
    picked = torch.gather(distribution, 2, labels.unsqueeze(2)).squeeze(2)
    return (picked * wanted).sum(1)


class PreferenceTrainer(Trainer):
    beta = 0.6

    def __init__(self, model, **kwargs):
        super().__init__(model, **kwargs)
        self.anchor = copy.deepcopy(model).eval()
        for parameter in self.anchor.parameters():
            parameter.requires_grad = False
        self.extra = {}

    def objective(self, better, worse, better_anchor, worse_anchor):
        return -logsigmoid(self.beta * (better - better_anchor - worse + worse_anchor))

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        better, worse = (response_logps(model, inputs, w) for w in ("better", "worse"))
        with torch.no_grad():
            better_anchor, worse_anchor = (response_logps(self.anchor, inputs, w) for w in ("better", "worse"))
        good, bad = self.beta * (better - better_anchor).detach(), self.beta * (worse - worse_anchor).detach()
        self.extra = {
            "rewards/chosen": good.mean().item(), "rewards/rejected": bad.mean().item(),
            "rewards/margins": (good - bad).mean().item(), "rewards/accuracies": (good > bad).float().mean().item(),
            "logps/chosen": better.mean().item(), "logps/rejected": worse.mean().item(),
        }  # fmt: skip
        return self.objective(better, worse, better_anchor, worse_anchor).mean()

    def log(self, logs, *args, **kwargs):
        super().log(logs | self.extra if "loss" in logs else logs, *args, **kwargs)


class Callback(TrainerCallback):
    def on_step_end(self, args, state, control, model=None, **kwargs):
        pass


def make(model, tokenizer, rows, out, seed=0):
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    arguments = TrainingArguments(
        out, **PARAMETERS, lr_scheduler_type="linear", logging_steps=1, save_strategy="no", remove_unused_columns=False,
        report_to=[], disable_tqdm=True, use_cpu=True, seed=seed, weight_decay=0.0,
    )  # fmt: skip
    return PreferenceTrainer(
        model, args=arguments, train_dataset=rows, data_collator=PreferenceCollator(tokenizer), callbacks=[Callback]
    )


def train(model, tokenizer, rows, out, seed=0):
    trainer = make(model, tokenizer, rows, out, seed)
    trainer.train()
    Path(out).mkdir(parents=True, exist_ok=True)
    trainer.state.save_to_json(str(Path(out) / "trainer_state.json"))
    return trainer


if __name__ == "__main__":
    name, data, out = sys.argv[1:]
    tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    trained = train(AutoModelForCausalLM.from_pretrained(name, trust_remote_code=False), tokenizer, [json.loads(line) for line in open(data)], out)
    trained.save_model(out)
