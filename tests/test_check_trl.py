"""One call for a TRL trainer that is built and has not run: `doctor.check_trl`."""

import copy
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dpo_from_scratch import doctor, world
from dpo_from_scratch.data import DataError
from dpo_from_scratch.models import save_model
from dpo_from_scratch.world.tiny import new_tiny_model

trl = pytest.importorskip("trl", reason="make trl installs TRL")
datasets = pytest.importorskip("datasets", reason="make trl installs TRL")
peft = pytest.importorskip("peft", reason="make trl installs TRL")

pytestmark = pytest.mark.filterwarnings("ignore")
PAIRS = world.make_pairs(24, seed=31)
CHATML = (
    "{% for m in messages %}{{ '<eos> ' + m['role'] + ' ' + m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ ' <eos>' }}{% endif %}{{ ' ' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<eos> assistant ' }}{% endif %}"
)


@pytest.fixture(scope="session")
def folder(tiny, tmp_path_factory):
    """The tiny model as a folder, from which TRL loads its reference."""
    path = tmp_path_factory.mktemp("tiny")
    save_model(*tiny, path)
    return path


def strings(rows=PAIRS):
    return datasets.Dataset.from_list([row | {"prompt": row["prompt"] + " "} for row in rows])


def chats(rows=PAIRS):
    turn = lambda role, text: [{"role": role, "content": text}]
    return datasets.Dataset.from_list([
        {
            "prompt": turn("user", row["prompt"]),
            "chosen": turn("assistant", row["chosen"]),
            "rejected": turn("assistant", row["rejected"]),
        }
        for row in rows
    ])  # fmt: skip


def load(folder):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder).eval()


def build(folder, tiny, data=None, model=None, kind=None, tokenizer=None, more=None, **settings):
    """A trainer as people build it."""
    defaults = {
        "beta": 0.6, "learning_rate": 5e-4, "max_steps": 128, "per_device_train_batch_size": 8,
        "max_length": 64, "report_to": [], "disable_tqdm": True, "use_cpu": True, "bf16": False,
        "gradient_checkpointing": False, "save_strategy": "no", "logging_steps": 1,
    }  # fmt: skip
    return (kind or trl.DPOTrainer)(
        model or load(folder),
        args=trl.DPOConfig(str(folder / "out"), **(defaults | settings)),
        train_dataset=strings() if data is None else data,
        processing_class=tokenizer or copy.deepcopy(tiny[1]),
        **(more or {}),
    )


def lora(**settings):
    return peft.LoraConfig(
        r=4, lora_alpha=8, target_modules=["c_attn"], task_type="CAUSAL_LM", **settings
    )


def problems(found):
    return [f.code for f in found if f.level == "problem"]
