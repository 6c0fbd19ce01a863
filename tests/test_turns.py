"""The end of a turn: what other people's templates write is scored, and sampling stops at it."""

import copy
import json
from datetime import datetime

import pytest
import torch
from strangers import ANSWER, ASK, CHAT, CHATML, EACH, PLAIN, stranger
from transformers import GenerationConfig

from dpo_from_scratch import cli, turns
from dpo_from_scratch.data import DataError, write_rows
from dpo_from_scratch.models import Scorer, length_limit, pad_id, save_model
from dpo_from_scratch.sampling import sample
from dpo_from_scratch.scoring import score_examples
from dpo_from_scratch.tokens import IGNORES_TEMPLATE, collate, encode, encode_rows, prompt_ids
from dpo_from_scratch.training import TrainConfig, train
from dpo_from_scratch.world.tiny import review_tokenizer

REPLY = [{"role": "assistant", "content": ANSWER}]
PAIR = {"prompt": ASK, "chosen": REPLY, "rejected": [{"role": "assistant", "content": "was ?"}]}


def copied(name: str):
    model, tokenizer = stranger(name)
    return copy.deepcopy(model), copy.deepcopy(tokenizer)


def scored(tokenizer, example) -> str:
    return tokenizer.decode(example.ids[example.prompt_length :])


# ---------------------------------------------------------------- what is scored
@pytest.mark.parametrize("name", CHAT)
def test_a_turn_is_scored_up_to_the_end_that_the_template_writes_and_no_further(name):
    _, tokenizer = stranger(name)
    (example,) = encode(tokenizer, ASK, REPLY)
    end = tokenizer.convert_tokens_to_ids(CHAT[name])
    assert scored(tokenizer, example).strip() == ANSWER + CHAT[name]
    assert example.ids[-1] == end
    assert example.ids[example.prompt_length :].count(end) == 1
    assert turns.end_of_turn(tokenizer) == (end,)
    begin = tokenizer.apply_chat_template(ASK, add_generation_prompt=True, tokenize=False)
    assert tokenizer.decode(example.ids[: example.prompt_length]) == begin


@pytest.mark.parametrize("name", [*CHAT, *PLAIN])
def test_a_string_ends_with_the_end_of_text_once(name):
    _, tokenizer = stranger(name)
    (example,) = encode(tokenizer, "how was the food ?", " " + ANSWER)
    assert scored(tokenizer, example) == f" {ANSWER}{tokenizer.eos_token}"
    (again,) = encode(tokenizer, "how was the food ?", f" {ANSWER}{tokenizer.eos_token}")
    assert again == example


@pytest.mark.parametrize("name", CHAT)
@pytest.mark.parametrize("rest", ["", "\n", " \n"])
def test_a_text_that_was_rendered_beforehand_has_the_tokens_of_its_messages(name, rest):
    _, tokenizer = stranger(name)
    begin = tokenizer.apply_chat_template(ASK, add_generation_prompt=True, tokenize=False)
    whole = tokenizer.apply_chat_template(ASK + REPLY, tokenize=False)
    text = whole[len(begin) :].rstrip() + rest
    assert encode(tokenizer, begin, text) == encode(tokenizer, ASK, REPLY)


def test_a_template_that_writes_nothing_after_content_leaves_the_end_of_text():
    _, tokenizer = copied("gpt2")
    tokenizer.chat_template = (
        "{% for m in messages %}### {{ m.role }}\n{{ m.content }}\n{% endfor %}"
    )
    (example,) = encode(tokenizer, ASK, REPLY)
    assert scored(tokenizer, example).endswith(ANSWER + "<|endoftext|>")
    assert turns.end_of_turn(tokenizer) == (tokenizer.eos_token_id,)


def test_an_end_of_several_tokens_is_scored_whole_and_sampling_stops_behind_it():
    model, tokenizer = copied("gpt2")  # ChatML, and nobody added its tokens
    tokenizer.chat_template = CHATML
    end = turns.end_of_turn(tokenizer)
    assert len(end) > 1
    (example,) = encode(tokenizer, ASK, REPLY)
    assert example.ids[-len(end) :] == end
    assert end in turns.stops(model, tokenizer, [ASK])
    learn(model, tokenizer, {"prompt": ASK, "completion": REPLY})
    (drawn,) = sample(model, tokenizer, [ASK], temperature=0, max_new_tokens=40)
    assert (drawn.finished, drawn.example) == (True, example)
    assert drawn.text.strip() == ANSWER


def test_shapes_that_are_mixed_become_messages():
    _, tokenizer = stranger("qwen")
    expected = encode(tokenizer, ASK, REPLY)
    assert encode(tokenizer, ASK[0]["content"], REPLY) == expected
    assert encode(tokenizer, ASK, ANSWER) == expected
    assert encode(tokenizer, ASK[0]["content"], REPLY, ANSWER) == expected * 2
    assert encode(tokenizer, [ASK[0] | {"name": None}], REPLY) == expected  # keys without a value


# ---------------------------------------------------------------- what stops
def test_sampling_stops_at_every_id_of_the_generation_configuration():
    model, tokenizer = stranger("llama3")
    assert turns.stops(model, tokenizer, ["how was the food ?"]) == [(1,), (4,)]
    model, tokenizer = copied("chatml_on_base")
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert turns.stops(model, tokenizer, ["how was the food ?"]) == [(0,)]
    rendered = tokenizer.apply_chat_template(ASK, add_generation_prompt=True, tokenize=False)
    for prompt in (ASK, rendered):
        assert turns.stops(model, tokenizer, [prompt]) == [(0,), (end,)]
    model.generation_config = GenerationConfig(eos_token_id=7)
    assert turns.stops(model, tokenizer, ["x"]) == [(0,), (7,)]


def learn(model, tokenizer, row, steps=30):
    config = TrainConfig(
        loss="sft", steps=steps, batch_size=1, warmup=1, learning_rate=1e-2, accumulation=1
    )
    train(model.requires_grad_(True), tokenizer, [row], config, progress=False)
    return model.eval()


@pytest.mark.parametrize("name", [*CHAT, *PLAIN])
def test_what_training_taught_is_sampled_token_for_token_end_included(name):
    model, tokenizer = copied(name)
    ask, reply = (ASK, REPLY) if name in CHAT else ("how was the food ?", " " + ANSWER)
    before = sample(model, tokenizer, [ask] * 2, max_new_tokens=3, seed=1)
    assert all(s.example.response_length <= 3 for s in before)
    learn(model, tokenizer, {"prompt": ask, "completion": reply})
    longer = (
        [{"role": "user", "content": "food , thanks . " * 2}] if name in CHAT else "food , " * 4
    )
    drawn = sample(model, tokenizer, [ask, longer], temperature=0, max_new_tokens=40)[0]
    assert drawn.finished
    assert [drawn.example] == encode(tokenizer, ask, reply)
    assert drawn.text.strip() == ANSWER
    assert drawn.example.ids[-1] in turns.end_ids(tokenizer)


@pytest.mark.parametrize("name", [*CHAT, *PLAIN])
def test_batched_scores_and_greedy_texts_equal_one_text_at_a_time(name):
    model, tokenizer = copied(name)
    exact = name != "bloom"  # in float64 transformers' mask overflows where ALiBi is added to it
    model, tolerance = (model.double(), 1e-9) if exact else (model, 1e-5)
    asked = ["how was the food ?", "food", "it was fine , thanks . how was it ?"]
    together = sample(model, tokenizer, asked, temperature=0, max_new_tokens=8)
    alone = [sample(model, tokenizer, [p], temperature=0, max_new_tokens=8)[0] for p in asked]
    assert together == alone
    examples = [s.example for s in together]
    scores = score_examples(Scorer(model), examples, pad_id(tokenizer))
    one = torch.stack([Scorer(model)(**collate([e], pad_id(tokenizer)))[0] for e in examples])
    torch.testing.assert_close(scores, one, rtol=tolerance, atol=tolerance)


# ---------------------------------------------------------------- templates that go wrong
BAD = {
    "needs a key": (
        EACH + "{{ m['name'] + m['content'] }}{% endfor %}",
        "Undefined",
    ),
    "syntax error": ("{% for m in messages %}{{ m.content }", "TemplateSyntaxError"),
    "recursion": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "RecursionError"),
    "forbidden": (
        "{{ messages.__class__.__mro__[1].__subclasses__() }}",
        "SecurityError|Undefined",
    ),
    "refuses": ("{{ raise_exception('users alone speak') }}", "users alone speak"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_template_that_fails_is_one_sentence_with_the_row_and_skip_bad_counts_it(name):
    _, tokenizer = copied("qwen")
    tokenizer.chat_template, told = BAD[name]
    with pytest.raises(DataError, match=f"row 1: the chat template raised .*({told})"):
        encode_rows(tokenizer, [PAIR])
    found, report = encode_rows(tokenizer, [PAIR, PAIR], skip_bad=True)
    assert (found, report.left_out.total()) == ([], 2)
    text = {"prompt": "how was the food ?", "completion": ANSWER}
    assert encode_rows(tokenizer, [text])[1].rows == 1  # strings don't go through it


def test_a_template_without_system_role_takes_along_no_good_row():
    _, tokenizer = stranger("gemma")
    system = PAIR | {"prompt": [{"role": "system", "content": "Be brief"}, *ASK]}
    found, report = encode_rows(tokenizer, [system, PAIR, system], skip_bad=True)
    assert len(found) == 1
    assert [report.lines[r] for r in report.left_out] == [[1, 3]]
    with pytest.raises(DataError, match=r"row 2: .*no system role"):
        encode_rows(tokenizer, [PAIR, system])


def test_a_template_that_never_ends_is_broken_off(monkeypatch):
    _, tokenizer = copied("qwen")
    tokenizer.chat_template = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}"
    tokenizer.chat_template += "{% endfor %}"
    wait = turns.guarded
    monkeypatch.setattr(turns, "guarded", lambda *a, **k: wait(*a, seconds=0.5, **k))
    with pytest.raises(DataError, match=r"row 1: the chat template had not ended after 0\.5 s"):
        encode_rows(tokenizer, [PAIR])


def test_a_template_that_writes_the_time_is_told_one_moment():
    _, tokenizer = copied("qwen")
    assert not turns.writes_the_time(tokenizer)
    tokenizer.chat_template = "{{ strftime_now('%Y-%m-%d %H:%M:%S %f') }}" + tokenizer.chat_template
    assert turns.writes_the_time(tokenizer)
    before = turns.clock()
    assert encode(tokenizer, ASK, REPLY) == encode(tokenizer, ASK, REPLY)
    turns.clock(datetime(2020, 5, 17))
    try:
        assert "2020-05-17 00:00:00" in turns.render(tokenizer, ASK)
    finally:
        turns.clock(before)


def test_a_tokenizer_that_raises_is_one_sentence():
    class Broken:
        bos_token_id = eos_token_id = chat_template = None

        def __call__(self, *args, **kwargs):
            raise KeyError("no such piece")

    with pytest.raises(DataError, match="row 1: the tokenizer raised KeyError"):
        encode_rows(Broken(), [{"prompt": "a", "completion": "b"}])


# ---------------------------------------------------------------- what is said of rows
def test_strings_for_a_chat_model_are_noted_once():
    _, tokenizer = stranger("qwen")
    row = {"prompt": "how was the food ?", "chosen": ANSWER, "rejected": "was ?"}
    _, report = encode_rows(tokenizer, [row] * 3)
    assert report.warnings == {IGNORES_TEMPLATE: 1}
    begin = tokenizer.apply_chat_template(ASK, add_generation_prompt=True, tokenize=False)
    assert not encode_rows(tokenizer, [row | {"prompt": begin}])[1].warnings
    assert not encode_rows(tokenizer, [PAIR])[1].warnings
    assert not encode_rows(stranger("gpt2")[1], [row])[1].warnings


def test_tokens_that_are_unknown_are_counted_above_a_tenth():
    tokenizer = review_tokenizer()
    known = {"prompt": "the plot ?", "chosen": "the plot was good .", "rejected": "the plot ."}
    strange = {
        "prompt": "my own words ?",
        "chosen": "nobody knows them .",
        "rejected": "the plot .",
    }
    assert not encode_rows(tokenizer, [known])[1].warnings
    found, report = encode_rows(tokenizer, [known, strange])
    assert len(found) == 2
    assert dict(report.warnings) == {"5 of 13 tokens unknown to this tokenizer": 1}
    assert list(report.lines.values()) == [[2]]


def test_pairs_that_are_the_same_tokens_are_refused():
    tokenizer = review_tokenizer()
    row = {"prompt": "the plot ?", "chosen": "nobody knows", "rejected": "other words"}
    with pytest.raises(DataError, match="row 1: chosen and rejected are the same tokens"):
        encode_rows(tokenizer, [row])


# ---------------------------------------------------------------- lengths and ids
def test_the_limit_on_length_is_that_of_the_positions():
    limits = {name: length_limit(stranger(name)[0]) for name in ("qwen", "gpt2", *PLAIN)}
    assert limits == {"qwen": 128, "gpt2": 128, "bloom": None, "mamba": None, "rwkv": None}
    assert length_limit(stranger("gpt2")[0], 500) == 128
    assert length_limit(stranger("bloom")[0], 500) == 500
    model = torch.nn.Linear(1, 1)
    assert length_limit(model) is None
    for odd in (-1, None, 1e30, True, "long"):
        model.config = type("Config", (), {"max_position_embeddings": odd})()
        assert length_limit(model) is None
    inner = type("Config", (), {"max_position_embeddings": 64})()
    model.config = type("Config", (), {"get_text_config": lambda self: inner})()
    assert length_limit(model) == 64


def test_a_text_or_an_id_beyond_the_model_is_one_sentence():
    model, tokenizer = stranger("gpt2")
    (long,) = encode(tokenizer, "food " * 200, ANSWER)
    with pytest.raises(DataError, match=r"is longer than the model can read: .* 128 or less"):
        Scorer(model)(**collate([long], 0))
    _, tokenizer = copied("gpt2")
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    assert pad_id(tokenizer) == 0  # any id of the model will do
    (strange,) = encode(tokenizer, "[PAD] food", ANSWER)
    with pytest.raises(DataError, match=r"gives the token id .* the model has"):
        Scorer(model)(**collate([strange], 0))
    with pytest.raises(DataError, match=r"gives the token id .* the model has"):
        sample(model, tokenizer, ["[PAD] food"])


def test_a_tokenizer_that_names_no_end_samples_and_says_why_it_cannot_train():
    model, tokenizer = copied("gpt2")
    tokenizer.eos_token = tokenizer.bos_token = None
    assert pad_id(tokenizer) == 0
    assert len(sample(model, tokenizer, ["food"] * 2, max_new_tokens=2)) == 2
    with pytest.raises(DataError, match="row 1: the tokenizer names no end of text"):
        encode_rows(tokenizer, [{"prompt": "food", "completion": ANSWER}])
    with pytest.raises(DataError, match="names no end of text"):
        prompt_ids(tokenizer, "")


def test_logits_that_are_not_numbers_are_refused():
    model, tokenizer = copied("gpt2")
    with torch.no_grad():
        model.transformer.ln_f.weight.fill_(float("nan"))
    for temperature in (0, 1):
        with pytest.raises(DataError, match="logits that are nan or inf"):
            sample(model, tokenizer, ["food"], temperature=temperature)


# ---------------------------------------------------------------- the commands
def test_sample_and_score_say_which_line_and_count_a_tie_as_half(tmp_path, capsys):
    model, tokenizer = copied("gemma")
    learn(model, tokenizer, {"prompt": ASK, "completion": REPLY})
    save_model(model, tokenizer, tmp_path / "model")
    ask = ["--chat", "--prompt", ASK[0]["content"], "--temperature", "0"]
    assert cli.main(["sample", "--model", str(tmp_path / "model"), *ask]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["completion"], told["finished"]) == (ANSWER, True)

    path = tmp_path / "pairs.jsonl"
    write_rows(path, [PAIR, {"prompt": "no more"}, PAIR, PAIR | {"prompt": [REPLY[0], ASK[0]]}])
    score = ["score", "--data", str(path), "--model", str(tmp_path / "model")]
    assert cli.main(score) == 2
    assert "line 2: no 'chosen'" in capsys.readouterr().err
    score += ["--reference", str(tmp_path / "model"), "--skip-bad"]
    assert cli.main(score) == 0
    seen = capsys.readouterr()
    rows = [json.loads(line) for line in seen.out.splitlines()]
    assert [row["line"] for row in rows] == [1, 3, 4]
    assert (
        "3 pairs, 1 left out; implicit reward of the chosen above the rejected in 0.500" in seen.err
    )
