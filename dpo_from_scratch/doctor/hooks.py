"""How `check` is connected to trainers in three styles: the scripts of data/gallery, broken or not.

What `check` wants is four functions: collate, score, loss, step. A script of your own needs the
same handful of lines.
"""

import json

import torch

from ..data import data_path

FOLDER = data_path("gallery")
# script -> bug -> {"code", "patch": [[old, new], ...]}
BUGS = json.loads((FOLDER / "bugs.json").read_text(encoding="utf-8"))


def load_script(name: str, bug: str | None = None, patches: list | tuple = ()) -> dict:
    """The names that a script defines, as it stands or with one bug and other patches.

    ValueError if a patch doesn't fit.
    """
    source = (FOLDER / name).read_text(encoding="utf-8").split("\nif __name__")[0]
    for old, new in [*patches, *(BUGS[name][bug]["patch"] if bug else [])]:
        if source.count(old) != 1:
            many = source.count(old)
            raise ValueError(f"{name}, {bug}: {old!r} stands {many} times in the script")
        source = source.replace(old, new)
    names: dict = {"__name__": name, "__file__": str(FOLDER / name)}
    exec(compile(source, str(FOLDER / name), "exec"), names)
    return names


def plain_loop(script: dict, model, tokenizer, pairs, out) -> dict:
    """A loop of one's own: functions that are there, and one line for a step."""
    policy, reference, optimizer = script["prepare"](model)
    numbers = iter(range(10**6))

    def step(rows):
        script["step"](policy, reference, optimizer, rows, tokenizer, 0.0, next(numbers))

    return {
        "collate": lambda rows: script["collate"](rows, tokenizer),
        "score": script["score"],
        "loss": script["loss"],
        "step": step,
        "policy": policy,
        "reference": reference,
    }


def trainer_subclass(script: dict, model, tokenizer, pairs, out) -> dict:
    """A subclass of transformers' Trainer, which holds its reference and its loss."""
    trainer = script["make"](model, tokenizer, pairs, str(out))
    logps, sides = script["response_logps"], ("better", "worse")
    return _of_trainer(trainer, trainer.data_collator, trainer.anchor) | {
        "score": lambda m, batch: [logps(m, batch, which) for which in sides],
        "loss": trainer.objective,
    }


def trl_script(script: dict, model, tokenizer, pairs, out) -> dict:
    """TRL's trainer: its fused head never shows its logits.

    So its tokens and masks are scored by the plain sum over its completion_mask.
    """
    trainer = script["make"](model, tokenizer, pairs, str(out))
    data, collator = list(trainer.train_dataset), trainer.data_collator
    collator.max_length = getattr(collator, "max_length", None) or trainer.args.max_length

    def score(m, batch):
        ids, mask = batch["input_ids"], batch["attention_mask"]
        logits = m(input_ids=ids, attention_mask=mask).logits[:, :-1]
        logps = logits.log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
        return (logps * batch["completion_mask"][:, 1:]).sum(-1).chunk(2)

    collate = lambda rows: collator([data[pairs.index(row)] for row in rows])
    return _of_trainer(trainer, collate, trainer.ref_model) | {"score": score}


def _of_trainer(trainer, collate, reference) -> dict:
    trainer.create_optimizer_and_scheduler(trainer.args.max_steps)

    def step(rows):
        trainer.model.train()  # as the Trainer does
        trainer.compute_loss(trainer.model, collate(rows)).mean().backward()
        torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), trainer.args.max_grad_norm)
        trainer.optimizer.step()
        trainer.lr_scheduler.step()
        trainer.optimizer.zero_grad()
        trainer.state.global_step += 1
        trainer.callback_handler.on_step_end(trainer.args, trainer.state, trainer.control)

    return {"collate": collate, "step": step, "policy": trainer.model, "reference": reference}


HOOKS = {
    "plain_loop.py": plain_loop,
    "trainer_subclass.py": trainer_subclass,
    "trl_script.py": trl_script,
}
