"""The sides of a comparison. Each has `step()`: the next batch, forward, backward, update; a loss.

What a step does not need again is done before: our reference scores, and TRL's where it is told to.
"""

import threading
from contextlib import nullcontext

import torch

from dpo_from_scratch import losses
from dpo_from_scratch.fast import ALL, PLAIN, ClippingAdamW, FastScorer
from dpo_from_scratch.models import (
    Scorer,
    device_of,
    frozen_copy,
    gpt2_tokenizer,
    load_model,
    pad_id,
)
from dpo_from_scratch.tokens import collate, encode_rows

BETA, MOST, MAX_LENGTH = 0.1, 1.0, 1024
RATES = {"tiny": 5e-4, "smollm2": 1e-5}  # so large that three losses show a fault


class Ours:
    """The book's step: a scorer, the DPO loss, the gradient clipped inside fused AdamW."""

    def __init__(self, model, tokenizer, rows, pairs, precision="no", rate=1e-5, tricks=ALL):
        self.model, self.pairs, self.precision, self.taken = model, pairs, precision, 0
        self.scorer = Scorer(model) if tricks == PLAIN else FastScorer(model, tricks)
        self.examples, _ = encode_rows(tokenizer, rows, MAX_LENGTH)
        self.pad = pad_id(tokenizer)
        weights = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = ClippingAdamW(weights, lr=rate, weight_decay=0.0)
        with torch.no_grad():
            self.reference = [self.logps(i) for i in range(len(self.examples) // pairs)]

    def texts(self, step: int) -> list:
        """The examples of a step: chosen, rejected, chosen, ..."""
        of_step = self.examples[step * self.pairs : (step + 1) * self.pairs]
        return [example for pair in of_step for example in pair]

    def logps(self, step: int) -> torch.Tensor:
        """log pi of a step's texts, (2 pairs,)."""
        batch = collate(self.texts(step), self.pad, device=device_of(self.model))
        mixed = torch.autocast(device_of(self.model).type, torch.bfloat16)
        with mixed if self.precision == "bf16" else nullcontext():
            return self.scorer(**batch)

    def loss(self, step: int) -> torch.Tensor:
        """The DPO loss of a step's pairs, their mean."""
        chosen, rejected = self.logps(step).view(-1, 2).unbind(1)
        ref_chosen, ref_rejected = self.reference[step].view(-1, 2).unbind(1)
        return losses.dpo(chosen, rejected, ref_chosen, ref_rejected, beta=BETA).mean()

    def step(self) -> float:
        loss = self.loss(self.taken)
        loss.backward()
        self.optimizer.clip(MOST)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.taken += 1
        return loss.item()

    def close(self) -> None:
        """Nothing is left to end."""


TRL = {
    "TRL, default": {},
    "TRL, fastest": {"precompute_ref_log_probs": True, "gradient_checkpointing": False},
}


class Trl:
    """TRL's own loop, `DPOTrainer.train()`, held at the beginning of every step.

    It runs in a thread of its own; of that and the thread that calls `step` one runs at a time. A
    step is everything from one beginning to the next: the trainer's book-keeping, and collating
    the batch that follows. Rows come in their order; all else is as `settings` and TRL have it.
    """

    def __init__(self, model, tokenizer, rows, pairs, settings, out):
        trainer = build_trl(model, tokenizer, rows, pairs, settings, out)
        self.examples = [
            tuple(tuple(row["prompt_ids"] + row[side]) for side in ("chosen_ids", "rejected_ids"))
            for row in trainer.train_dataset
        ]
        self.trainer, self.lost, self.failed, self.closing = trainer, None, None, False
        self.theirs, self.mine = threading.Semaphore(0), threading.Semaphore(0)
        compute = trainer.compute_loss

        def keep(*args, **named):
            found = compute(*args, **named)
            self.lost = found.detach()
            return found

        trainer.compute_loss = keep
        trainer.add_callback(_gate(self))
        self.thread = threading.Thread(target=self._train, daemon=True)
        self.thread.start()
        self._wait()

    def _train(self) -> None:
        try:
            self.trainer.train()
        except _EnoughError:
            pass
        except BaseException as error:
            self.failed = error
        self.mine.release()

    def _wait(self) -> None:
        self.mine.acquire()
        if self.failed:
            raise self.failed

    def step(self) -> float:
        self.theirs.release()
        self._wait()
        return self.lost.item()

    def close(self) -> None:
        """End the thread, at the beginning of the step that is never made."""
        self.closing = True
        self.theirs.release()
        self.thread.join()


class _EnoughError(Exception):
    """Raised inside TRL's loop when no more steps are wanted."""


def _gate(side: Trl):
    from transformers import TrainerCallback

    class Gate(TrainerCallback):
        def on_step_begin(self, args, state, control, **more):
            side.mine.release()
            side.theirs.acquire()
            if side.closing:
                raise _EnoughError

    return Gate()


def build_trl(model, tokenizer, rows, pairs, settings: dict, out):
    """A DPOTrainer on these rows, in their order; `settings` beside TRL's defaults."""
    import datasets
    import trl

    datasets.disable_progress_bars()
    args = trl.DPOConfig(
        str(out), beta=BETA, max_grad_norm=MOST, max_length=MAX_LENGTH,
        lr_scheduler_type="constant", use_cpu=device_of(model).type == "cpu",
        per_device_train_batch_size=pairs, max_steps=len(rows) // pairs,
        report_to=[], save_strategy="no", disable_tqdm=True, **settings,
    )  # fmt: skip
    trainer = trl.DPOTrainer(
        model,
        ref_model=None if settings.get("precompute_ref_log_probs") else frozen_copy(model),
        args=args,
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    trainer.get_train_dataloader = lambda: torch.utils.data.DataLoader(
        trainer.train_dataset, pairs, collate_fn=trainer.data_collator
    )
    return trainer


SIDES = ["fast", *TRL]


def build(side: str, name: str, rows: list[dict], pairs: int, precision: str, out, device="cpu"):
    """A side with a model of its own; `rows` as `texts.rows_of` gives them."""
    model, tokenizer = RANDOM[name]() if name in RANDOM else load_model(name)
    model, rate = model.to(device), RATES.get(name, 1e-5)
    if side not in TRL and side not in LIGER:
        tricks = ALL if side == "fast" else PLAIN
        return Ours(model, tokenizer, rows, pairs, precision, rate, tricks)
    if not rows[0]["chosen"].startswith(" "):  # TRL joins strings as they are
        rows = [row | {"prompt": row["prompt"] + " "} for row in rows]
    settings = (TRL | LIGER)[side] | {"learning_rate": rate, "bf16": precision == "bf16"}
    return Trl(model, tokenizer, rows, pairs, settings, out)


# ---------------------------------------------------------------- for the GPU: random weights
LIGER = {"TRL, fastest, Liger": TRL["TRL, fastest"] | {"use_liger_kernel": True}}


def random_gpt2(layers: int = 12, width: int = 768):
    """GPT-2's shape, 124M parameters, with random weights, and its tokenizer."""
    from transformers import GPT2Config, GPT2LMHeadModel

    heads = {"n_layer": layers, "n_embd": width, "n_head": max(1, width // 64)}
    dropout = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(**heads, **dropout)).eval(), gpt2_tokenizer()


def random_llama(layers: int = 12, width: int = 768):
    """The same with Llama's layers, which Liger has kernels for; 124M parameters too."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=50257, hidden_size=width, intermediate_size=8 * width // 3,
        num_hidden_layers=layers, num_attention_heads=max(1, width // 64),
        max_position_embeddings=1024, tie_word_embeddings=True,
        bos_token_id=50256, eos_token_id=50256, pad_token_id=50256,
    )  # fmt: skip
    torch.manual_seed(0)
    return LlamaForCausalLM(config).eval(), gpt2_tokenizer()


RANDOM = {
    "GPT-2 124M": random_gpt2,
    "Llama 124M": random_llama,
    "GPT-2, two layers": lambda: random_gpt2(2, 64),
    "Llama, two layers": lambda: random_llama(2, 64),
}
