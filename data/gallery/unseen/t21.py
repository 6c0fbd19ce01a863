import tempfile

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from transformers import Trainer, TrainingArguments


def build_inputs(tokenizer, prompt, response, max_len=64):
    a = tokenizer(prompt)["input_ids"]
    b = tokenizer(response)["input_ids"] + [tokenizer.eos_token_id]
    return (a + b)[:max_len], ([-100] * len(a) + b)[:max_len]


class Collate:
    keys = ("chosen", "rejected")

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def __call__(self, examples):
        out = {}
        for k in self.keys:
            rows = [build_inputs(self.tokenizer, e["prompt"], e[k]) for e in examples]
            n = max(len(i) for i, _ in rows)
            out[f"{k}_ids"] = torch.tensor([i + [self.tokenizer.pad_token_id] * (n - len(i)) for i, _ in rows])
            out[f"{k}_mask"] = torch.tensor([[1] * len(i) + [0] * (n - len(i)) for i, _ in rows])
            out[f"{k}_labels"] = torch.tensor([l + [-100] * (n - len(l)) for _, l in rows])
        return out


class PeftDPOTrainer(Trainer):
    """The adapted model is trained, the model under it is the reference: no second copy in memory."""

    def __init__(self, *a, beta=0.1, **k):
        super().__init__(*a, **k)
        self.beta = beta
        self.ref_model = self.model.get_base_model()

    def log_probs(self, model, inputs, key):
        logits = model(input_ids=inputs[f"{key}_ids"], attention_mask=inputs[f"{key}_mask"]).logits
        labels = inputs[f"{key}_labels"][:, 1:]
        valid = labels.ne(-100)
        lp = F.log_softmax(logits[:, :-1], -1)
        lp = torch.gather(lp, -1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        return lp.masked_fill(~valid, 0.0).sum(-1)

    def score(self, model, inputs):
        return self.log_probs(model, inputs, "chosen"), self.log_probs(model, inputs, "rejected")

    def dpo(self, c, r, rc, rr):
        return -F.logsigmoid(self.beta * ((c - r) - (rc - rr)))

    def compute_loss(self, model, inputs, return_outputs=False, **_):
        with torch.no_grad():
            rc, rr = self.score(self.ref_model, inputs)
        c, r = self.score(model, inputs)
        loss = self.dpo(c, r, rc, rr).mean()
        return (loss, None) if return_outputs else loss

    def update(self, examples):
        if self.optimizer is None:
            self.create_optimizer()
        loss = self.compute_loss(self.model, self._prepare_inputs(self.data_collator(examples)))
        self.accelerator.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()


def connect(model, tokenizer, pairs):
    """LoRA through peft inside the Hugging Face trainer."""
    lora = LoraConfig(
        r=8, lora_alpha=16, lora_dropout=0.0, target_modules=["c_attn", "c_fc"],
        fan_in_fan_out=True, task_type="CAUSAL_LM",
    )
    args = TrainingArguments(
        output_dir=tempfile.mkdtemp(), learning_rate=1e-3, use_cpu=True, report_to=[],
        remove_unused_columns=False, disable_tqdm=True,
    )
    t = PeftDPOTrainer(get_peft_model(model, lora), args, data_collator=Collate(tokenizer), train_dataset=pairs)
    return {
        "collate": t.data_collator, "score": t.score, "policy": t.model,
        "reference": t.ref_model, "loss": t.dpo, "step": t.update,
    }
