"""Sampling: the cache changes nothing, the batch changes nothing, and the texts come from the
model's distribution.
"""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from conftest import SHAPES, random_gpt2
from families import FALLS_BACK, SHARES, family
from scipy.stats import chisquare
from strangers import ASK, stranger
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel

import dpo_from_scratch
from dpo_from_scratch import world
from dpo_from_scratch.sampling import folds, next_token, sample, softmax, stream_of

PROMPTS = [
    "film : how was the plot ?",
    "hotel : tell me about the breakfast .",
    "book : and the hero ?",
]
BEFORE = [  # seed 0, as versions drew them that had one generator for the whole call
    "overall the villain was good ! and the ending was truly lovely ! and the villain was likeable "
    ". the cast was very good !",
    "the breakfast was very poor . the pool was truly shabby . the breakfast was poor . it was my "
    "second time . ask someone else .",
    "the style was very clever . but the cover was quite lovely . the hero was likeable ! my "
    "sister gave it to me . so there .",
]
STUDIES = sorted((Path(dpo_from_scratch.__file__).parent / "studies").rglob("*.py"))
DRAWS = {"sample", "judged_pairs", "winning_pairs", "plan", "respond", "pipeline"}


def reader(words: int):
    """A tokenizer of the words <0>, <1>, ...; <1> ends a text."""
    core = Tokenizer(WordLevel({f"<{i}>": i for i in range(words)}, unk_token="<2>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"eos_token": "<1>", "pad_token": "<0>", "unk_token": "<2>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=core, **special)


def asked(lengths: list[int], words: int = 97) -> list[str]:
    """Prompts of random words."""
    rng = np.random.default_rng(3)
    return [" ".join(f"<{i}>" for i in rng.integers(2, words, size=n)) for n in lengths]


def response(s) -> tuple[int, ...]:
    return s.example.ids[s.example.prompt_length :]


@torch.no_grad()
def logits_before(model, s, at: int) -> torch.Tensor:
    """The logits of token `at` of a response, from the text alone."""
    return model(torch.tensor([s.example.ids[: s.example.prompt_length + at]])).logits[0, -1]


# ---------------------------------------------------------------- greedy
FAMILIES = {name: (name, {}) for name in (*SHARES, *FALLS_BACK)} | {
    f"{name}, short window": (name, {"sliding_window": 8})
    for name in ("mistral", "gemma2", "gemma3")
}
# transformers' mask overflows in float64 where it is added to scores: ALiBi, and eager attention
IN_FLOAT32 = ("bloom", "gemma2", "gemma2, short window")


@pytest.mark.parametrize("name", FAMILIES)
def test_greedy_equals_generate_token_by_token(name):
    """But where the two largest logits are nearer than 1e-4."""
    known, more = FAMILIES[name]
    model = family(known, torch.float32 if name in IN_FLOAT32 else torch.float64, **more)
    prompts, ties = asked([3, 9, 9, 14, 5, 20]), 0
    new = {"max_new_tokens": 24}
    drawn = sample(model, reader(97), [*prompts, *prompts[::-1]], temperature=0, **new)
    for s in drawn:
        ids = torch.tensor([s.example.ids[: s.example.prompt_length]])
        told = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, **new)
        theirs, ours = told[0, ids.shape[1] :].tolist(), list(response(s))
        other = [i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b]
        if other:
            top = logits_before(model, s, other[0]).topk(2).values
            assert top[0] - top[1] < 1e-4
            ties += 1
        else:
            assert ours == theirs
    assert ties <= 1
    assert drawn[: len(prompts)] == drawn[len(prompts) :][::-1]


def test_greedy_with_cache_and_left_padding_equals_one_token_at_a_time(tiny):
    model, tokenizer = tiny
    together = sample(model, tokenizer, PROMPTS, temperature=0)
    for prompt, found in zip(PROMPTS, together, strict=True):
        ids = tokenizer(prompt)["input_ids"]
        start = len(ids)
        while len(ids) < 64 and ids[-1] != tokenizer.eos_token_id:
            with torch.no_grad():
                ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        assert found.example.ids == tuple(ids)
        assert found.example.prompt_length == start
        assert found.finished
        assert found.text == tokenizer.decode(ids[start:-1])


# ---------------------------------------------------------------- what decides a draw
def excused(model, ours, theirs, row: int, seed: int) -> int:
    """0 for equal responses, 1 if they part where a number is within 1e-5 of a share."""
    if ours == theirs:
        return 0
    pairs = zip(response(ours), response(theirs), strict=False)
    at = next(i for i, (a, b) in enumerate(pairs) if a != b)
    odds = softmax(logits_before(model, ours, at)[None], 1.0)[0].double().numpy()
    n = folds(len(odds))
    bits = np.random.Philox(key=np.array([seed, row], dtype=np.uint64)).random_raw(n * (at + 1))
    numbers, sets, near = (bits[-n:] >> np.uint64(11)) * 2.0**-53, [odds], 1.0
    for _ in range(n):
        half = (len(sets[-1]) + 1) // 2
        sets.append(sets[-1][:half] + np.pad(sets[-1][half:], (0, len(sets[-1]) % 2)))
    token = 0
    for u, folded, opened in zip(numbers, sets[:0:-1], sets[-2::-1], strict=True):
        share = opened[token] / folded[token]
        near, token = min(near, abs(u - share)), token + (u >= share) * len(folded)
    assert near < 1e-5
    return 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_text_depends_on_seed_and_row_and_on_no_batch(shape, dtype):
    model, tokenizer = SHAPES[shape](dtype), reader(160)
    prompts = asked([4, 7, 7, 12, 3, 30], 160) * 4
    how = {"seed": 5, "max_new_tokens": 20}
    whole = sample(model, tokenizer, prompts, **how)
    assert len({response(s) for s in whole}) == len(whole)
    order, near = np.random.default_rng(0).permutation(len(prompts)).tolist(), 0
    others = [(range(len(prompts)), size) for size in (1, 3, 7)]
    others += [(order, 256), (order[:5], 2), ([3, 3, 0, 3], 256)]
    for rows, size in others:
        some = [prompts[i] for i in rows]
        drawn = sample(model, tokenizer, some, rows=rows, batch_size=size, **how)
        assert [s.prompt for s in drawn] == some
        for row, s in zip(rows, drawn, strict=True):
            near += excused(model, whole[row], s, row, 5)
    assert near <= (2 if dtype == torch.float32 else 0)


def test_the_shipped_model_writes_the_same_in_any_batch(tiny):
    model, tokenizer = tiny
    prompts = world.prompts("test") * 8
    whole = sample(model, tokenizer, prompts, seed=1)
    parts = sample(model, tokenizer, prompts, seed=1, batch_size=7)
    near = [excused(model, a, b, i, 1) for i, (a, b) in enumerate(zip(whole, parts, strict=True))]
    assert sum(near) <= 1
    assert len({s.text for s in whole}) > 0.9 * len(whole)


def test_seeded_and_in_the_order_of_the_prompts(tiny):
    model, tokenizer = tiny
    prompts = PROMPTS * 20
    for stream in ("row", "batch"):
        how = {"batch_size": 16, "stream": stream}
        first, again, other = (sample(model, tokenizer, prompts, seed=s, **how) for s in (1, 1, 2))
        assert first == again
        assert first != other
        assert [s.prompt for s in first] == prompts


def test_a_longer_limit_goes_on_with_the_same_text():
    model, tokenizer = random_gpt2(torch.float64), reader(160)
    short, long = (
        sample(model, tokenizer, asked([4, 7], 160) * 5, max_new_tokens=n, seed=2) for n in (6, 12)
    )
    for a, b in zip(short, long, strict=True):
        assert response(a) == response(b)[:6]
    assert any(len(response(s)) == 12 for s in long)


def test_a_long_prompt_takes_no_room_from_the_others():
    """Each row may fill the context, though the padding of its batch fills it earlier."""
    model, tokenizer = random_gpt2(torch.float64), reader(160)
    prompts = asked([3, 3, 3, 3, 30, 31, 120], 160)
    together = sample(model, tokenizer, prompts, batch_size=6, seed=1)
    lengths = [len(s.example.ids) for s in together]
    assert all(n == 128 or s.finished for n, s in zip(lengths, together, strict=True))
    assert 128 in lengths[:4]
    for row, (prompt, s) in enumerate(zip(prompts, together, strict=True)):
        assert [s] == sample(model, tokenizer, [prompt], rows=[row], seed=1)


def test_messages_in_a_call_change_nothing_for_strings():
    model, tokenizer = stranger("chatml_on_base")
    (alone,) = sample(model, tokenizer, ["food"], max_new_tokens=60, seed=1)
    beside = sample(model, tokenizer, ["food", ASK], max_new_tokens=60, seed=1)[0]
    assert beside == alone


# ---------------------------------------------------------------- the distribution
def test_temperature():
    logits = torch.tensor([[0.0, 1.0, 2.0, -torch.inf]]).repeat(20_000, 1)
    numbers = np.random.default_rng(1).random((len(logits), 2))
    for temperature in (0.5, 1.0, 2.0):
        odds = (logits[0].double() / temperature).softmax(-1)
        drawn = next_token(softmax(logits, temperature), numbers)
        count = torch.bincount(drawn, minlength=4)
        assert count[3] == 0
        assert chisquare(count[:3], odds[:3] * len(logits)).pvalue > 0.01


def test_a_number_at_a_boundary_belongs_to_the_half_above_and_impossible_tokens_have_none():
    odds, below, most = torch.tensor([[0.0, 0.25, 0.0, 0.0, 0.75]]), 0.25 - 2.0**-53, 1 - 2.0**-53
    for number, token in ((0.0, 1), (below, 1), (0.25, 4), (most, 4)):  # they meet in fold one
        for others in ([0.0, most], [0.5, 0.5], [most, 0.0]):
            found = next_token(odds, np.array([[*others, number]]))
            assert found.tolist() == [token]


def test_every_token_of_a_vocabulary_has_its_own_numbers():
    for vocabulary in (1, 2, 3, 5, 8, 97):
        odds, n = torch.eye(vocabulary), folds(vocabulary)
        numbers = np.random.default_rng(0).random((vocabulary, n))
        assert next_token(odds, numbers).tolist() == list(range(vocabulary))


def test_odds_that_are_not_finite_have_no_token():
    odds = torch.tensor([[torch.nan, 1.0], [torch.inf, 1.0], [0.5, 0.5]])
    assert next_token(odds, np.zeros((3, 1))).tolist() == [-1, -1, 0]


def test_two_tokens_have_the_frequencies_of_their_exact_probabilities():
    torch.manual_seed(0)
    sizes = {"vocab_size": 6, "n_positions": 8, "n_embd": 16, "n_layer": 1, "n_head": 2}
    ids = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
    model = GPT2LMHeadModel(GPT2Config(**sizes, **ids, initializer_range=0.5)).eval()
    drawn = sample(model, reader(6), ["<3> <4>"] * 6000, max_new_tokens=2, seed=4, batch_size=2000)
    with torch.no_grad():
        first = model(torch.tensor([[3, 4]])).logits[0, -1].double().softmax(-1)
        both = torch.tensor([[3, 4, i] for i in range(6)])
        second = model(both).logits[:, -1].double().softmax(-1)
    exact = first[:, None] * second
    exact[1] = torch.tensor([float(first[1]), 0, 0, 0, 0, 0])  # the end: nothing follows
    count = np.zeros((6, 6))
    for s in drawn:
        count[(*response(s), 0)[:2]] += 1
    some = exact.numpy() * len(drawn) > 5
    assert count[exact.numpy() == 0].sum() == 0
    pooled = [np.append(x[some], x[~some].sum()) for x in (count, exact.numpy() * len(drawn))]
    assert some.sum() > 8
    assert chisquare(*pooled).pvalue > 0.01


def test_samples_have_the_grammars_reward_and_length(tiny):
    model, tokenizer = tiny
    drawn = sample(model, tokenizer, [world.prompts("test")[i % 12] for i in range(2000)], seed=3)
    grammar = world.REVIEWS.policy(world.prompts()[0])
    r = np.array([world.reward(s.prompt, s.text) for s in drawn])
    assert abs(r.mean() - grammar.mean_reward) < 0.15 + 2 * r.std() / 2000**0.5
    assert np.mean([s.finished for s in drawn]) > 0.999


# ---------------------------------------------------------------- the work
def test_equal_prompts_are_read_once_and_no_text_is_read_beyond_its_end(tiny, monkeypatch):
    model, tokenizer = tiny
    forward, shapes = model.forward, []

    def watched(input_ids, **how):
        shapes.append(tuple(input_ids.shape))
        return forward(input_ids=input_ids, **how)

    monkeypatch.setattr(model, "forward", watched)
    monkeypatch.setattr("dpo_from_scratch.next_logits.takes", lambda model, name: True)
    drawn = sample(model, tokenizer, PROMPTS * 8, seed=1)
    assert shapes[0] == (3, max(len(tokenizer(p)["input_ids"]) for p in PROMPTS))
    assert {width for _, width in shapes[1:]} == {1}
    assert sum(rows for rows, _ in shapes[1:]) == sum(len(response(s)) - 1 for s in drawn)


@pytest.mark.parametrize("error", [AttributeError, IndexError, NotImplementedError])
def test_a_cache_whose_rows_cannot_be_picked_is_done_without(tiny, monkeypatch, error):
    model, tokenizer = tiny
    before = sample(model, tokenizer, PROMPTS * 2, max_new_tokens=8)

    def refuses(*_):
        raise error

    monkeypatch.setattr(DynamicCache, "reorder_cache", refuses)
    after = sample(model, tokenizer, PROMPTS * 2, max_new_tokens=8)
    near = [excused(model, a, b, i, 0) for i, (a, b) in enumerate(zip(before, after, strict=True))]
    assert sum(near) <= 1


def test_length_limit_leaves_an_unfinished_response_without_an_end(tiny):
    model, tokenizer = tiny
    for s in sample(model, tokenizer, PROMPTS, max_new_tokens=3):
        assert not s.finished
        assert s.example.response_length == 3
        assert tokenizer.eos_token_id not in s.example.ids[s.example.prompt_length :]


# ---------------------------------------------------------------- the stream of before
def test_the_stream_of_before_draws_what_it_drew(tiny):
    drawn = sample(*tiny, PROMPTS, seed=0, stream="batch")
    assert [s.text for s in drawn] == BEFORE
    assert sample(*tiny, PROMPTS, seed=0) != drawn


def test_a_run_that_recorded_no_stream_has_the_one_of_before():
    assert stream_of(None) == "row"
    assert stream_of({"loss": "dpo"}) == "batch"
    assert stream_of({"stream": "row"}) == "row"


def test_every_draw_of_a_study_names_the_stream_of_its_record():
    calls = [
        (path.name, node)
        for path in STUDIES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in DRAWS
    ]
    assert len(calls) > 20
    silent = [(name, c.lineno) for name, c in calls if "stream" not in {k.arg for k in c.keywords}]
    assert not silent


def test_refuses_what_it_cannot_do(tiny):
    model, tokenizer = tiny
    with pytest.raises(ValueError, match="temperature"):
        sample(model, tokenizer, PROMPTS, temperature=-1)
    with pytest.raises(ValueError, match="fills the model's context"):
        sample(model, tokenizer, ["film " * 80])
    with pytest.raises(ValueError, match="stream is one of row, batch, not 'rows'"):
        sample(model, tokenizer, PROMPTS, stream="rows")
    with pytest.raises(ValueError, match="rows must be 3 numbers, one for each prompt, not 2"):
        sample(model, tokenizer, PROMPTS, rows=[0, 1])
    assert sample(model, tokenizer, []) == []
