"""Models: saved here they open in plain transformers with the same log-probabilities; problems
are one sentence.
"""

import copy
import re
import tomllib
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from dpo_from_scratch import models, smollm2, world
from dpo_from_scratch.models import ModelError, Scorer, load_model, save_model
from dpo_from_scratch.tokens import collate, encode
from dpo_from_scratch.training import TrainConfig, train


def test_the_shipped_model_is_a_small_gpt2_without_dropout(tiny):
    model, tokenizer = tiny
    assert isinstance(model, GPT2LMHeadModel)
    assert 0.1e6 <= model.num_parameters() <= 0.4e6
    assert not model.training
    assert set(world.vocabulary()) <= set(tokenizer.get_vocab())
    assert tokenizer.unk_token_id not in tokenizer(" ".join(world.vocabulary()))["input_ids"]


def test_plain_transformers_opens_what_was_saved_and_agrees(tiny, tmp_path):
    model, tokenizer = tiny
    save_model(model, tokenizer, tmp_path / "model")
    assert (tmp_path / "model" / "model.safetensors").is_file()
    other, other_tokenizer = (
        c.from_pretrained(tmp_path / "model", trust_remote_code=False)
        for c in (AutoModelForCausalLM, AutoTokenizer)
    )
    (example,) = encode(tokenizer, "film : how was the plot ?", "the plot was superb ! thank you .")
    assert other_tokenizer("film : how was the plot ?")["input_ids"] == list(
        example.ids[: example.prompt_length]
    )
    with torch.no_grad():
        ours = Scorer(model)(**collate([example], 0))
        ids = torch.tensor([example.ids])
        logp = (
            other.eval()(ids)
            .logits.log_softmax(-1)[0, :-1]
            .gather(-1, ids[0, 1:, None])
            .squeeze(-1)
        )
    torch.testing.assert_close(
        ours[0], logp[example.prompt_length - 1 :].sum(), rtol=1e-6, atol=1e-5
    )


def test_saving_again_replaces_the_folder_and_leaves_no_partial_one(tiny, tmp_path):
    for _ in range(2):
        save_model(*tiny, tmp_path / "model")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_frozen_copy_does_not_follow(tiny):
    model = copy.deepcopy(tiny[0])
    reference = models.frozen_copy(model)
    with torch.no_grad():
        model.transformer.wte.weight.add_(1.0)
    assert not torch.equal(model.transformer.wte.weight, reference.transformer.wte.weight)
    assert not any(p.requires_grad for p in reference.parameters())


def test_what_cannot_be_loaded_says_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(ModelError, match=r"could not be fetched .*HF_HUB_OFFLINE is set"):
        load_model("nobody/nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        load_model(str(tmp_path / "empty"))
    monkeypatch.setenv("DPO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(smollm2, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="make smollm2"):
        load_model("smollm2")


def test_a_damaged_folder_says_so(tiny, tmp_path):
    save_model(*tiny, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="can't be loaded"):
        load_model(str(tmp_path / "model"))


@pytest.mark.slow
def test_a_gpt2_of_full_size_trains_two_steps_saves_and_loads(tiny, tmp_path):
    """124M random weights in GPT-2's shape: what `--model gpt2` trains, without the download."""
    torch.manual_seed(0)
    tokenizer = tiny[1]
    model = GPT2LMHeadModel(GPT2Config(bos_token_id=1, eos_token_id=1, pad_token_id=0))
    assert 120e6 < model.num_parameters() < 130e6
    before = model.transformer.wte.weight.detach().clone()
    config = TrainConfig(steps=2, batch_size=2, learning_rate=1e-4, warmup=0, accumulation=2)
    history = train(
        model, tokenizer, world.make_pairs(4), config, run_folder=tmp_path / "run", progress=False
    )
    assert history[0]["loss"] == pytest.approx(0.693147, abs=2e-4)
    assert not torch.equal(before, model.transformer.wte.weight)
    loaded, _ = load_model(str(tmp_path / "run" / "model"))
    torch.testing.assert_close(loaded.transformer.wte.weight, model.transformer.wte.weight)


def test_the_oldest_transformers_that_is_tested_is_the_oldest_that_is_allowed():
    root = Path(__file__).parent.parent
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (bound,) = (d for d in project["dependencies"] if d.startswith("transformers"))
    tested = re.search(r"transformers==(\d+\.\d+)", (root / "Makefile").read_text())[1]
    assert bound == f"transformers>={tested}"
