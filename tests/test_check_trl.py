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
    who = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}
    found = [{key: turn(role, row[key]) for key, role in who.items()} for row in rows]
    return datasets.Dataset.from_list(found)


def load(folder):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=False).eval()


def build(folder, tiny, data=None, model=None, kind=None, tokenizer=None, more=None, **settings):
    """A trainer as people build it."""
    defaults = {
        "beta": 0.6, "learning_rate": 5e-4, "max_steps": 128, "per_device_train_batch_size": 4,
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


def asked(trainer, steps=3):
    return doctor.check_trl(trainer, steps=steps)


def grown(model):
    """A LoRA adapter that has been trained, as after supervised fine-tuning."""
    torch.manual_seed(0)
    for name, p in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p, std=0.05)
    return model


def chat_tokenizer(tiny, template=CHATML):
    tokenizer = copy.deepcopy(tiny[1])
    tokenizer.chat_template = template
    return tokenizer


def with_dropout(model):
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.1
    return model


HEALTHY = {
    "as it is": {},
    "LoRA": {"more": {"peft_config": lora()}},
    "precomputed reference": {"precompute_ref_log_probs": True},
    "IPO": {"loss_type": ["ipo"]},
    "hinge": {"loss_type": ["hinge"]},
    "robust": {"loss_type": ["robust"], "label_smoothing": 0.1},
    "several losses": {"loss_type": ["sigmoid", "bco_pair", "sft"], "loss_weights": [0.8, 0.2, 1]},
    "parts of a batch": {"gradient_accumulation_steps": 4, "per_device_train_batch_size": 2},
    "warm-up": {"warmup_steps": 100},
    "dropout that TRL takes out": {"dropout": True},
    "iterable rows": {"data": strings().to_iterable_dataset()},
    "chat": {"data": chats(), "chat": True},
}


def made(folder, tiny, chat=False, dropout=False, **settings):
    if chat:
        settings["tokenizer"] = chat_tokenizer(tiny)
    if dropout:
        settings["model"] = with_dropout(load(folder))
    return build(folder, tiny, **settings)


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_trainers_of_trl_get_no_problem(name, folder, tiny):
    found = asked(made(folder, tiny, **HEALTHY[name]))
    assert problems(found) == []
    assert {f.code for f in found} == {"effective_beta"}, "and no note but beta"


BROKEN = {
    "max_length": ({"max_length": 24}, "truncated", "max_length=24"),
    "learning rate 0": ({"learning_rate": 0.0}, "no_gradient", "learning_rate=0.0"),
    "beta 0": ({"beta": 0.0}, "no_gradient", "beta=0.0"),
    "beta below 0": ({"beta": -0.5}, "wrong_direction", ""),
    "learning rate too high": ({"learning_rate": 2e-2}, "step_too_large", "learning_rate=0.02"),
    "too high behind a warm-up": (
        {"learning_rate": 2e-2, "warmup_steps": 100}, "step_too_large", "learning_rate=0.02"
    ),
    "dropout": ({"dropout": True, "disable_dropout": False}, "dropout", "disable_dropout=False"),
    "LoRA's dropout": (
        {"more": {"peft_config": lora(lora_dropout=0.05)}, "disable_dropout": False},
        "dropout", "lora_dropout",
    ),
    "LoRA that begins elsewhere": (
        {"more": {"peft_config": lora(init_lora_weights="pissa")}},
        "reference_differs", "adapters off",
    ),
    "LoRA that trains the base's biases": (
        {"more": {"peft_config": lora(bias="all")}}, "adapter_in_reference", "adapters off"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_settings_are_named_in_trls_words(name, folder, tiny):
    settings, code, words = BROKEN[name]
    found = asked(made(folder, tiny, **settings))
    assert problems(found) == [code]
    assert words in next(f.seen for f in found if f.code == code)


def test_another_model_as_the_reference_is_named(folder, tiny):
    more = {"ref_model": new_tiny_model(tiny[1], seed=5)}
    assert problems(asked(build(folder, tiny, more=more))) == ["reference_differs"]


def test_an_adapter_merged_in_memory_has_not_itself_as_the_reference(folder, tiny):
    model = grown(peft.get_peft_model(load(folder), lora())).merge_and_unload()
    frozen = asked(build(folder, tiny, model=model))
    assert problems(frozen) == ["no_gradient", "reference_differs"]
    assert "requires_grad_(True)" in frozen[0].seen
    found = asked(build(folder, tiny, model=model.requires_grad_(True)))
    assert problems(found) == ["reference_differs"]
    assert f"loaded from {folder}" in next(f.seen for f in found if f.code == "reference_differs")


def test_an_adapter_that_goes_on_training_is_healthy(folder, tiny):
    model = grown(peft.get_peft_model(load(folder), lora()))
    assert problems(asked(build(folder, tiny, model=model))) == []


def test_lora_on_lora_without_a_reference_is_named_however_it_is_stacked(folder, tiny):
    nested = peft.get_peft_model(grown(peft.get_peft_model(load(folder), lora())), lora())
    with pytest.raises(DataError, match=r"adapter on an adapter.*merge the first"):
        asked(build(folder, tiny, model=nested))
    both = grown(peft.get_peft_model(load(folder), lora()))
    both.add_adapter("second", lora())
    both.base_model.set_adapter(["default", "second"])
    found = asked(build(folder, tiny, model=both))
    assert problems(found) == ["adapter_unused"]
    assert "second is off" in found[0].seen
    assert both.active_adapters == ["default", "second"], "and the adapters are as they were"
    under = load(folder)
    under.add_adapter(lora(), adapter_name="sft")
    found = asked(build(folder, tiny, model=grown(under), more={"peft_config": lora()}))
    assert problems(found) == ["adapter_unused"]
    alone = load(folder)
    alone.add_adapter(lora(), adapter_name="sft")
    assert "reference_differs" in problems(asked(build(folder, tiny, model=grown(alone))))


def test_a_template_without_an_end_of_turn_and_an_end_written_twice_are_named(folder, tiny):
    endless = CHATML.replace("{{ ' <eos>' }}", "")
    tokenizer = chat_tokenizer(tiny, endless)
    found = asked(build(folder, tiny, data=chats(), tokenizer=tokenizer))
    assert problems(found) == ["eos_missing"]
    twice = [r | {key: r[key] + " <eos> <eos>" for key in ("chosen", "rejected")} for r in PAIRS]
    assert problems(asked(build(folder, tiny, data=strings(twice)))) == ["eos_doubled"]


def test_a_prompt_that_stands_in_both_responses_is_named(folder, tiny):
    joined = [
        {"prompt": ""} | {key: f"{r['prompt']} {r[key]}" for key in ("chosen", "rejected")}
        for r in PAIRS
    ]
    data = datasets.Dataset.from_list(joined)
    assert problems(asked(build(folder, tiny, data=data))) == ["prompt_scored"]


NOTES = {
    "nothing_learned": ({"learning_rate": 1e-7}, "all 128 steps"),
    "setting_ignored": ({"label_smoothing": 0.2}, "label_smoothing=0.2 has no effect"),
    "reference_moves": ({"sync_ref_model": True, "ref_model_sync_steps": 8}, "as sync_ref_model"),
    "not_looked_at": ({"bf16": True, "precompute_ref_log_probs": True}, "mixed precision (bf16)"),
}


@pytest.mark.parametrize("code", NOTES)
def test_what_is_meant_and_what_is_not_seen_are_notes(code, folder, tiny):
    settings, words = NOTES[code]
    found = asked(build(folder, tiny, **settings), steps=4)
    assert problems(found) == []
    assert {f.code for f in found} == {code, "effective_beta"}
    assert words in next(f.seen for f in found if f.code == code)


def test_settings_that_no_step_can_be_tried_with_are_said(folder, tiny):
    class Watcher(trl.trainer.dpo_trainer.TrainerCallback):
        pass

    found = asked(
        build(
            folder,
            tiny,
            ld_alpha=0.5,
            padding_free=True,
            f_divergence_type="forward_kl",
            more={"callbacks": [Watcher]},
        )
    )
    assert problems(found) == []
    told = next(f.seen for f in found if f.code == "not_looked_at")
    for words in ("steps, since ld_alpha weighs tokens", "padding_free", "callbacks: Watcher"):
        assert words in told


def test_a_subclass_with_a_loss_of_its_own_is_looked_at(folder, tiny):
    class Turned(trl.DPOTrainer):
        def _compute_loss(self, *args, **kwargs):
            return -super()._compute_loss(*args, **kwargs)

    class Plain(trl.DPOTrainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            ids, mask = inputs["input_ids"], inputs["completion_mask"][:, 1:]

            def ratio(m):
                logits = m(input_ids=ids, attention_mask=inputs["attention_mask"]).logits[:, :-1]
                logps = logits.log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
                chosen, rejected = (logps * mask).sum(1).chunk(2)
                return chosen - rejected

            with torch.no_grad():
                reference = ratio(self.ref_model)
            return torch.nn.functional.softplus(-self.beta * (ratio(model) - reference)).mean()

    assert problems(asked(build(folder, tiny, kind=Turned))) == ["wrong_direction"]
    found = asked(build(folder, tiny, kind=Plain))
    assert problems(found) == []
    assert "a subclass replaces" in next(f.seen for f in found if f.code == "not_looked_at")


# ---------------------------------------------------------------- left as it was
def state_of(trainer):
    model = trainer.model
    return {
        "weights": {k: v.clone() for k, v in model.state_dict().items()},
        "trains": [p.requires_grad for p in model.parameters()],
        "grads": [p.grad is None for p in model.parameters()],
        "modes": [m.training for m in model.modules()],
        "random": (random.getstate(), torch.get_rng_state()),
        "numpy": np.random.get_state()[1].tolist(),  # noqa: NPY002
        "optimizer": trainer.optimizer and copy.deepcopy(trainer.optimizer.state_dict()),
        "scheduler": trainer.lr_scheduler and dict(trainer.lr_scheduler.state_dict()),
        "state": copy.deepcopy(vars(trainer.state)),
        "control": copy.deepcopy(vars(trainer.control)),
        "metrics": copy.deepcopy(trainer._metrics),
        "callbacks": list(trainer.callback_handler.callbacks),
        "others": {
            k: id(v) for k, v in vars(trainer).items() if not isinstance(v, int | float | str)
        },
    }


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def given_optimizer(model):
    """An optimizer that has made a step already, and a schedule."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for p in model.parameters():
        p.grad = torch.full_like(p, 1e-3)
    optimizer.step()
    optimizer.zero_grad()
    return optimizer, torch.optim.lr_scheduler.LinearLR(optimizer, 0.5)


WAYS = {
    "full": {},
    "LoRA": {"peft_config": lora()},
    "an adapter goes on": "adapter",
    "an optimizer was given": "optimizer",
}


@pytest.mark.parametrize("way", WAYS)
def test_the_trainer_is_afterwards_what_it_was_and_trains_to_equal_weights(way, folder, tiny):
    ends = []
    for ask in (False, True):
        torch.manual_seed(0)
        model, more = load(folder), WAYS[way]
        if more == "adapter":
            model, more = grown(peft.get_peft_model(model, lora())), {}
        if more == "optimizer":
            more = {"optimizers": given_optimizer(model)}
        trainer = build(
            folder, tiny, model=model, more=more, max_steps=4, gradient_accumulation_steps=2
        )
        if ask:
            before = state_of(trainer)
            asked(trainer)
            after = state_of(trainer)
            assert [k for k in before if not same(before[k], after[k])] == []
        trainer.train()
        ends.append((trainer.model.state_dict(), trainer.state.log_history[:-1]))
    assert same(ends[0][0], ends[1][0]), "bit-equal weights"
    assert ends[0][1] == ends[1][1], "and the same log"


def test_the_trainer_is_left_as_it_was_by_a_check_that_fails_too(folder, tiny):
    class Failing(trl.DPOTrainer):
        calls = 0

        def training_step(self, *args, **kwargs):
            Failing.calls += 1
            if Failing.calls == 3:
                raise RuntimeError("no more")
            return super().training_step(*args, **kwargs)

    trainer = build(folder, tiny, kind=Failing)
    before = state_of(trainer)
    with pytest.raises(DataError, match="RuntimeError: no more"):
        asked(trainer)
    after = state_of(trainer)
    assert [k for k in before if not same(before[k], after[k])] == []


# ---------------------------------------------------------------- refused in a sentence
def test_what_is_no_trainer_of_trls_or_has_run_or_runs_elsewhere_is_refused(folder, tiny):
    with pytest.raises(DataError, match="takes TRL's DPOTrainer, not SimpleNamespace"):
        asked(SimpleNamespace())
    trainer = build(folder, tiny)
    refusals = {
        "has made 3 steps": ("state", SimpleNamespace(global_step=3)),
        "in one process": ("accelerator", SimpleNamespace(num_processes=2)),
        "rows with images": ("_is_vision_dataset", True),
        "padding_free=False": ("padding_free", True),
        "two rows or more": ("train_dataset", strings(PAIRS[:1])),
    }
    for words, (name, value) in refusals.items():
        was = getattr(trainer, name)
        setattr(trainer, name, value)
        with pytest.raises(DataError, match=words):
            asked(trainer)
        setattr(trainer, name, was)
    del trainer.loss_types
    with pytest.raises(DataError, match="has no loss_types: check_trl was tried with"):
        asked(trainer)


def test_without_trl_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "trl", None)
    with pytest.raises(DataError, match="check_trl needs TRL: pip install"):
        asked(SimpleNamespace())
