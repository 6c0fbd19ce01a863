"""Model folders: code that lies in one is not run, damage is named, adapters are merged, and saving
touches nothing that no model was saved to.
"""

import copy
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from strangers import ANSWER, ASK, stranger
from transformers import GenerationConfig

from dpo_from_scratch import world
from dpo_from_scratch.models import (
    ModelError,
    check_target,
    load_model,
    save_model,
    try_saving,
)
from dpo_from_scratch.sampling import sample
from dpo_from_scratch.training import TrainConfig, train

ROOT = Path(__file__).parent.parent


@pytest.fixture
def folder(tiny, tmp_path):
    save_model(*tiny, tmp_path / "model")
    return tmp_path / "model"


# ---------------------------------------------------------------- code
def with_code(folder: Path, known: bool) -> Path:
    """The folder names code of its own, which would write a file; returns that file's path."""
    seen = folder.parent / "seen"
    code = f"open({str(seen)!r}, 'w').close()\n"
    code += "from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast\n"
    code += "class C(GPT2Config):\n    model_type = 'theirs'\n"
    code += "class M(GPT2LMHeadModel):\n    config_class = C\n"
    code += "class T(PreTrainedTokenizerFast):\n    pass\n"
    (folder / "theirs.py").write_text(code)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "theirs.C", "AutoModelForCausalLM": "theirs.M"}
    config["model_type"] = config["model_type"] if known else "theirs"
    (folder / "config.json").write_text(json.dumps(config))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings |= {"auto_map": {"AutoTokenizer": [None, "theirs.T"]}, "tokenizer_class": "T"}
    if not known:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return seen


def test_a_folders_own_code_is_never_run_not_even_if_asked(folder):
    seen = with_code(folder, known=False)
    with pytest.raises(ModelError, match="can't be loaded"):
        load_model(str(folder))
    command = [sys.executable, "-m", "dpo_from_scratch", "sample", "--model", str(folder)]
    told = subprocess.run(command, input="y\n" * 9, capture_output=True, text=True, cwd=ROOT)
    assert told.returncode == 2
    assert re.fullmatch(r"dpo sample: .*model: can't be loaded .*\n", told.stderr)
    assert not seen.exists()


def test_a_folder_of_a_known_kind_is_opened_by_our_own_code(folder):
    seen = with_code(folder, known=True)
    assert type(load_model(str(folder))[0]).__name__ == "GPT2LMHeadModel"
    assert not seen.exists()


def test_every_call_that_opens_a_model_forbids_its_code():
    opening = re.compile(r"\b(Auto\w+|GPT2LMHeadModel|\bc)\.from_pretrained\(")
    files = [p for d in ("dpo_from_scratch", "tests", "data") for p in (ROOT / d).rglob("*.py")]
    found = 0
    for path in files:
        text = path.read_text(encoding="utf-8")
        for call in opening.finditer(text):
            found += 1
            assert "trust_remote_code=False" in text[call.end() : call.end() + 400], path
    assert found >= 8


def test_pickled_weights_are_refused(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="can't be loaded"):
        load_model(str(folder))


# ---------------------------------------------------------------- damage
def rewrite(path: Path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes))


def change_tensors(folder: Path, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def first_block(tensors):
    return next(name for name in tensors if name.endswith("h.0.ln_1.weight"))


DAMAGE = {
    "a layer's tensors are missing": (
        lambda f: change_tensors(f, lambda t: t.pop(first_block(t))),
        r"the tensor '.*h\.0\.ln_1\.weight' is missing from its weights, and would be random",
    ),
    "more layers than weights": (
        lambda f: rewrite(f / "config.json", n_layer=9),
        r"the tensor '.*h\.\d.*' is missing .* more\)",
    ),
    "fewer layers than weights": (
        lambda f: rewrite(f / "config.json", n_layer=1),
        r"the tensor '.*h\.1\..*' is among its weights, and its configuration has no place",
    ),
    "less than no layers": (lambda f: rewrite(f / "config.json", n_layer=-1), "tensor|-1"),
    "layers in words": (lambda f: rewrite(f / "config.json", n_layer="two"), "can't be loaded"),
    "another shape": (
        lambda f: rewrite(f / "config.json", n_positions=32),
        r"'.*wpe\.weight' has (the shape 64x.*, and its configuration says 32x|another shape)",
    ),
    "a weight that is nan": (
        lambda f: change_tensors(f, lambda t: t[first_block(t)].view(-1)[:2].fill_(math.nan)),
        r"the tensor '.*h\.0\.ln_1\.weight' is not finite \(2 of ",
    ),
    "a weight that is inf": (
        lambda f: change_tensors(f, lambda t: t[first_block(t)].view(-1)[:1].fill_(math.inf)),
        r"is not finite \(1 of ",
    ),
    "a configuration that is a list": (
        lambda f: (f / "config.json").write_text("[]"),
        r"config\.json: holds a JSON list, not an object",
    ),
    "a configuration that is null": (
        lambda f: (f / "config.json").write_text("null"),
        r"config\.json: holds a JSON NoneType",
    ),
    "settings of sampling that are empty": (
        lambda f: (f / "generation_config.json").write_text(""),
        r"generation_config\.json: can't be read",
    ),
    "half a list of special tokens": (
        lambda f: (f / "special_tokens_map.json").write_text('{"eos_token": '),
        r"special_tokens_map\.json: can't be read",
    ),
    "an empty tokenizer": (
        lambda f: (f / "tokenizer.json").write_text(""),
        r"tokenizer\.json: can't be read",
    ),
    "half a tokenizer": (
        lambda f: (f / "tokenizer.json").write_text((f / "tokenizer.json").read_text()[:500]),
        r"tokenizer\.json: can't be read",
    ),
    "a tokenizer without tokens": (
        lambda f: (f / "tokenizer.json").write_text("{}"),
        "can't be loaded",
    ),
    "no settings of the tokenizer": (
        lambda f: (f / "tokenizer_config.json").unlink(),
        r"tokenizer_config\.json is missing",
    ),
    "no tokenizer at all": (
        lambda f: [(f / n).unlink() for n in ("tokenizer.json", "tokenizer_config.json")],
        r"can't be loaded|has no tokens",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_folder_is_one_sentence_that_names_the_place(name, folder):
    damage, told = DAMAGE[name]
    damage(folder)
    with pytest.raises(ModelError, match=told) as error:
        load_model(str(folder))
    assert str(error.value).startswith(str(folder))
    assert "\n" not in str(error.value)


def test_tied_heads_are_not_missing(tmp_path):
    model, tokenizer = stranger("qwen")
    save_model(model, tokenizer, tmp_path / "model")
    loaded, _ = load_model(str(tmp_path / "model"))
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight


def test_the_end_of_text_comes_from_the_generation_configuration_where_no_other_is_named(tmp_path):
    model, tokenizer = stranger("gpt2")
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.eos_token = tokenizer.bos_token = tokenizer.unk_token = None
    save_model(model, tokenizer, tmp_path / "model")
    assert load_model(str(tmp_path / "model"))[1].eos_token == "<|endoftext|>"


# ---------------------------------------------------------------- adapters
def adapter(model, folder: Path, base: str, tokenizer=None, **config):
    """A LoRA folder with weights that do something, on the base of this name."""
    torch.manual_seed(0)
    lora = LoraConfig(r=2, target_modules="all-linear", fan_in_fan_out=True, **config)
    wrapped = get_peft_model(copy.deepcopy(model), lora)
    with torch.no_grad():
        for name, p in wrapped.named_parameters():
            if "lora_B" in name:
                p.normal_(std=0.3)
    wrapped.save_pretrained(folder)
    rewrite(folder / "adapter_config.json", base_model_name_or_path=base)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    return wrapped.eval()


@pytest.mark.parametrize("where", ["absolute", "beside"])
def test_a_lora_folder_is_its_base_with_the_adapter_merged_in(where, tiny, folder, tmp_path):
    base = str(folder) if where == "absolute" else "../model"
    wrapped = adapter(tiny[0], tmp_path / "lora", base)
    model, tokenizer = load_model(str(tmp_path / "lora"))
    assert tokenizer.get_vocab() == tiny[1].get_vocab()
    ids = torch.tensor([[3, 5, 8, 13]])
    with torch.no_grad():
        torch.testing.assert_close(model(ids).logits, wrapped(ids).logits, rtol=1e-4, atol=1e-4)
        assert (model(ids).logits - tiny[0](ids).logits).abs().max() > 0.1
    assert sample(model, tokenizer, world.prompts("test")[:2], max_new_tokens=3)
    config = TrainConfig(steps=1, batch_size=4, warmup=0, accumulation=1, learning_rate=1e-4)
    row = train(model, tokenizer, world.make_pairs(8), config, progress=False)[0]
    assert row["loss"] == pytest.approx(math.log(2), abs=1e-6)  # the reference is the merged model
    assert all(p.requires_grad for p in model.parameters())
    again = TrainConfig(steps=1, batch_size=4, warmup=0, accumulation=1, lora_rank=2)
    train(
        model, tokenizer, world.make_pairs(8), again, progress=False
    )  # new adapters are no second


def test_a_lora_folder_brings_its_own_tokenizer(tiny, folder, tmp_path):
    own = copy.deepcopy(tiny[1])
    own.chat_template = "{{ messages[0].content }}"
    adapter(tiny[0], tmp_path / "lora", str(folder), own)
    assert load_model(str(tmp_path / "lora"))[1].chat_template == own.chat_template


LORA_DAMAGE = {
    "base not here": (
        lambda f: rewrite(f / "adapter_config.json", base_model_name_or_path="nobody/base"),
        r"is a LoRA adapter on the base model 'nobody/base', which can't be loaded",
    ),
    "no base named": (
        lambda f: rewrite(f / "adapter_config.json", base_model_name_or_path=None),
        "names no base model",
    ),
    "its own base": (
        lambda f: rewrite(f / "adapter_config.json", base_model_name_or_path=str(f)),
        "names the adapter as its own base",
    ),
    "pickled": (
        lambda f: (f / "adapter_model.safetensors").rename(f / "adapter_model.bin"),
        "pickled weights are never read",
    ),
    "a tensor missing": (
        lambda f: save_file(
            dict(list(load_file(f / "adapter_model.safetensors").items())[1:]),
            f / "adapter_model.safetensors",
        ),
        "the tensor 'base_model.*stands in its weights or in its configuration alone",
    ),
    "another rank": (lambda f: rewrite(f / "adapter_config.json", r=5), "can't be loaded"),
    "no object": (
        lambda f: (f / "adapter_config.json").write_text("7"),
        "adapter_config.json: holds a JSON int",
    ),
}


@pytest.mark.parametrize("name", LORA_DAMAGE)
def test_a_lora_folder_that_cannot_be_merged_says_why(name, tiny, folder, tmp_path):
    adapter(tiny[0], tmp_path / "lora", str(folder))
    damage, told = LORA_DAMAGE[name]
    damage(tmp_path / "lora")
    with pytest.raises(ModelError, match=told) as error:
        load_model(str(tmp_path / "lora"))
    assert "\n" not in str(error.value)


# ---------------------------------------------------------------- saving
def test_names_of_tokens_in_any_script_are_saved_on_any_system(tmp_path):
    model, tokenizer = copy.deepcopy(stranger("gpt2"))
    tokenizer.add_special_tokens({"eos_token": "<｜конец▁文｜>"})
    model.resize_token_embeddings(len(tokenizer))
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    save_model(model, tokenizer, tmp_path / "first")
    program = "import sys; from dpo_from_scratch.models import load_model, save_model\n"
    program += "save_model(*load_model(sys.argv[1]), sys.argv[2])"
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", program, str(tmp_path / "first"), str(tmp_path / "second")]
    subprocess.run(command, check=True, env=environment, cwd=ROOT)
    assert load_model(str(tmp_path / "second"))[1].eos_token == "<｜конец▁文｜>"


def test_a_generation_configuration_that_transformers_refuses_loses_no_weights(tmp_path):
    model, tokenizer = copy.deepcopy(stranger("llama3"))
    model.generation_config = odd = GenerationConfig(eos_token_id=[1, 4])
    odd.do_sample, odd.temperature, odd.top_p = False, 0.6, 0.9
    try_saving(model, tokenizer, tmp_path / "model")
    save_model(model, tokenizer, tmp_path / "model")
    loaded, _ = load_model(str(tmp_path / "model"))
    assert loaded.generation_config.eos_token_id == [1, 4]
    assert not loaded.generation_config.do_sample
    assert model.generation_config is odd
    for ours, theirs in zip(model.parameters(), loaded.parameters(), strict=True):
        assert torch.equal(ours, theirs)


class Unsaveable:
    """A tokenizer that can't be written."""

    def save_pretrained(self, folder):
        raise RuntimeError("no such piece")


def test_the_weights_are_safe_before_what_may_fail_and_the_sentence_says_where(tiny, tmp_path):
    place = tmp_path / "model"
    with pytest.raises(ModelError, match=r"weights are safe in .*model\.partial"):
        save_model(tiny[0], Unsaveable(), place)
    kept = load_file(tmp_path / "model.partial" / "model.safetensors")
    assert torch.equal(kept["transformer.wte.weight"], tiny[0].transformer.wte.weight)
    assert not place.exists()
    with pytest.raises(ModelError, match=r"can't be saved to .*RuntimeError: no such piece"):
        try_saving(tiny[0], Unsaveable(), tmp_path / "run" / "model")
    try_saving(*tiny, tmp_path / "run" / "model")
    assert list((tmp_path / "run").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="can't be saved to"):
        try_saving(*tiny, tmp_path / "file" / "model")


def theirs(place: Path):
    place.mkdir()
    (place / "thesis.txt").write_text("years of work")


TAKEN = {
    "somebody's folder": (theirs, "holds 'thesis.txt', which is no file of a model"),
    "a file": (lambda p: p.write_text("mine"), "is a file"),
    "a link": (lambda p: p.symlink_to(p.parent / "elsewhere"), "is a link"),
    "a link to nowhere": (lambda p: p.symlink_to("nowhere"), "is a link"),
}


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("which", ["model", "model.partial"])
def test_nothing_that_no_model_was_saved_to_is_touched(name, which, tiny, tmp_path):
    theirs(tmp_path / "elsewhere")
    make, told = TAKEN[name]
    make(tmp_path / which)
    before = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*"))
    for call in (
        lambda: check_target(tmp_path / "model"),
        lambda: try_saving(*tiny, tmp_path / "model"),
        lambda: save_model(*tiny, tmp_path / "model"),
    ):
        with pytest.raises(ModelError, match=told):
            call()
    assert sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*")) == before
    assert (tmp_path / "elsewhere" / "thesis.txt").read_text() == "years of work"


def test_a_model_that_was_saved_or_half_saved_is_replaced(tiny, folder):
    (folder.parent / "model.partial").mkdir()
    (folder.parent / "model.partial" / "model.safetensors").write_text("half")
    (folder / "config.json").unlink()
    save_model(*tiny, folder)
    assert [p.name for p in folder.parent.iterdir()] == ["model"]
    assert load_model(str(folder))


def test_a_chat_model_that_was_saved_here_is_replaced_and_read_again(tmp_path):
    model, tokenizer = stranger("gemma")
    for _ in range(2):
        save_model(model, tokenizer, tmp_path / "model")
    loaded, other = load_model(str(tmp_path / "model"))
    drawn = [
        sample(m, t, [ASK], max_new_tokens=5) for m, t in ((model, tokenizer), (loaded, other))
    ]
    assert drawn[0] == drawn[1]
    assert other(ANSWER)["input_ids"] == tokenizer(ANSWER)["input_ids"]
