"""DPO with TRL's DPOTrainer (1.16), as its documentation shows it. No bug as it stands.

python trl_script.py MODEL PAIRS.jsonl OUT writes OUT/trainer_state.json and the model.
"""

import json
import sys
from pathlib import Path

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer


def load(rows, tokenizer):
    """TRL joins prompt and response as they are: the space between them belongs to the prompt."""
    return Dataset.from_list([{"prompt": r["prompt"] + " ", "chosen": r["chosen"], "rejected": r["rejected"]} for r in rows])


def config(out, seed):
    return DPOConfig(
        out, beta=0.6, learning_rate=5e-4, max_steps=128, per_device_train_batch_size=32, warmup_steps=10, max_length=64,
        logging_steps=1, save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True, seed=seed, bf16=False,
        gradient_checkpointing=False, weight_decay=0.0,
    )  # fmt: skip


def make(model, tokenizer, rows, out, seed=0):
    return DPOTrainer(model, args=config(out, seed), train_dataset=load(rows, tokenizer), processing_class=tokenizer)


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
