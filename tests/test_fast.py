"""The fast path: the plain Scorer's log-probabilities and gradients, to the last digits, and where
that can't be, a sentence and the plain way.
"""

import math
from functools import partial

import numpy as np
import pytest
import torch
import transformers
from families import FALLS_BACK, ROTARY, SHARES, InFloat64, family
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from dpo_from_scratch import fast, losses
from dpo_from_scratch.fast import precision, scorer
from dpo_from_scratch.fast.head import Head, head_logps
from dpo_from_scratch.fast.tricks import ALL, HEAD_ONLY, PLAIN, Tricks, allowed
from dpo_from_scratch.models import Scorer
from dpo_from_scratch.tokens import Example, collate
from dpo_from_scratch.training.lora import add_lora

PACKED = Tricks(share=False)
WAYS = {"shared": ALL, "packed": PACKED, "head": HEAD_ONLY}
PROMPTS = {"of one token": 1, "short": 5, "medium": 20, "long": 60}


def draw(length: int, generator) -> tuple[int, ...]:
    return tuple(torch.randint(2, 97, (length,), generator=generator).tolist())


def texts(prompt: int, responses=((9, 1, 14, 5), (23, 11), (2, 17))) -> list[Example]:
    """For each prompt responses of these lengths. A third prompt has 3 tokens more."""
    generator, found = torch.Generator().manual_seed(prompt), []
    for i, lengths in enumerate(responses):
        start = draw(prompt + 3 * (i == 2), generator)
        found += [Example(start + draw(n, generator), len(start)) for n in lengths]
    return found


def dpo(logps: torch.Tensor) -> torch.Tensor:
    """DPO's loss where chosen and rejected take turns."""
    ref = torch.linspace(-40, -10, len(logps), dtype=logps.dtype)
    return losses.dpo(logps[::2], logps[1::2], ref[::2], ref[1::2], beta=0.1).mean()


def log_probabilities_and_gradients(model, tricks: Tricks, batch: dict, loss=dpo):
    """(logps, {name: gradient} of every weight that learns) by the plain Scorer or the fast one."""
    model.zero_grad()
    logps = (Scorer(model) if tricks == PLAIN else fast.FastScorer(model, tricks))(**batch)
    loss(logps).backward()
    learns = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    return logps.detach(), {name: None if g is None else g.clone() for name, g in learns.items()}


def off(one, other) -> tuple[float, float]:
    """By how much two of those differ: relative log-probabilities, gradients over the largest."""
    (a, x), (b, y) = one, other
    assert x.keys() == y.keys()
    assert all((x[name] is None) == (y[name] is None) for name in x)
    names = [name for name in x if x[name] is not None]
    top = max(float(x[name].abs().max()) for name in names)
    assert top > 1e-3
    return (
        float(((a - b).abs() / (1 + a.abs())).max()),
        max(float((x[name] - y[name]).abs().max()) for name in names) / top,
    )


def compare(model, tricks: Tricks, batch: dict, loss=dpo) -> tuple[float, float]:
    ways = (log_probabilities_and_gradients(model, t, batch, loss) for t in (PLAIN, tricks))
    return off(*ways)


# --- Exactness -----------------------------------------------------------------------------------


@pytest.mark.parametrize("length", PROMPTS)
@pytest.mark.parametrize("name", SHARES)
def test_every_trick_has_the_gradient_of_the_plain_way(name, length):
    """All weights, in float64; what the models round to float32 inside stays in float64 here."""
    model, batch = family(name), collate(texts(PROMPTS[length]), 0)
    assert allowed(model, 90) == (ALL, "")
    with InFloat64():
        plain = log_probabilities_and_gradients(model, PLAIN, batch)
        for way, tricks in WAYS.items():
            found = log_probabilities_and_gradients(model, tricks, batch)
            assert max(off(plain, found)) < 1e-10, way


@pytest.mark.parametrize("name", FALLS_BACK)
def test_where_rows_are_not_shared_the_chunked_head_has_the_gradient_of_the_plain_way(name):
    model, batch = family(name), collate(texts(5), 0)
    tricks, told = allowed(model, 20)
    assert tricks == HEAD_ONLY
    assert told == (
        "prompts are not shared and rows not packed: it isn't known that "
        f"{model.config.model_type} takes an attention mask of our own"
    )
    with InFloat64():
        assert max(compare(model, HEAD_ONLY, batch)) < 1e-10


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen3", "gemma3", "opt", "phi", "gpt_neox"])
def test_eager_attention_is_as_exact(name):
    model, batch = family(name, attention="eager"), collate(texts(5), 0)
    with InFloat64():
        plain = log_probabilities_and_gradients(model, PLAIN, batch)
        for way, tricks in WAYS.items():
            found = log_probabilities_and_gradients(model, tricks, batch)
            assert max(off(plain, found)) < 1e-10, way


@pytest.mark.parametrize("name", SHARES | FALLS_BACK)
def test_in_float32_the_gradient_is_the_same_to_one_in_ten_thousand(name):
    model, batch = family(name, torch.float32), collate(texts(20), 0)
    tricks, _ = allowed(model, 60)
    logps, gradients = compare(model, tricks, batch)
    assert logps < 1e-5
    assert gradients < 1e-4


def holes(batch: dict) -> dict:
    """Every third token of the responses is not scored, and the first of them in one row."""
    mask = batch["response_mask"].clone()
    mask[:, ::3] = False
    mask[0, mask[0].nonzero()[0]] = False
    return batch | {"response_mask": mask}


def one_row_unscored(batch: dict) -> dict:
    mask = batch["response_mask"].clone()
    mask[3] = False
    return batch | {"response_mask": mask}


def thumbs(logps: torch.Tensor) -> torch.Tensor:
    """KTO's loss, every second response desirable."""
    ref = torch.linspace(-40, -10, len(logps), dtype=logps.dtype)
    good = torch.arange(len(logps)) % 2 == 0
    return losses.kto(logps, ref, good, torch.tensor(0.3, dtype=logps.dtype), beta=0.1).mean()


BATCHES = {
    "a prompt that two responses share": (collate(texts(7, [(5, 8)]), 0), dpo),
    "a prompt that eight share": (collate(texts(7, [(3, 9, 1, 4, 12, 1, 6, 2), (4, 4)]), 0), dpo),
    "single responses, each of its own prompt": (collate(texts(7, [[5], [9], [1]]), 0), thumbs),
    "single responses, some of one prompt": (collate(texts(7, [(5, 3, 8), [9], [1]]), 0), thumbs),
    "nothing but one-token responses": (collate(texts(4, [(1, 1), (1, 1)]), 0), dpo),
    "padding on the left": (collate(texts(7), 0, "left"), dpo),
    "padding with a token of the texts": (collate(texts(7), 5), dpo),
    "tokens scored here and there": (holes(collate(texts(7), 0)), dpo),
    "tokens scored here and there, left": (holes(collate(texts(7), 0, "left")), dpo),
    "a row in which nothing is scored": (one_row_unscored(collate(texts(7), 0)), dpo),
    "twice the same text": (collate(texts(7)[:2] * 2, 0), dpo),
}


@pytest.mark.parametrize("name", ["gpt2", "llama"])
@pytest.mark.parametrize("what", BATCHES)
def test_any_batch_has_the_gradient_of_the_plain_way(what, name):
    model, (batch, loss) = family(name), BATCHES[what]
    with InFloat64():
        plain = log_probabilities_and_gradients(model, PLAIN, batch, loss)
        for way, tricks in WAYS.items():
            found = log_probabilities_and_gradients(model, tricks, batch, loss)
            assert max(off(plain, found)) < 1e-10, way


def test_where_nothing_is_scored_every_log_probability_is_0():
    batch = collate(texts(5), 0)
    batch["response_mask"] = torch.zeros_like(batch["response_mask"])
    logps = fast.FastScorer(family("llama"))(**batch)
    assert torch.equal(logps.detach(), torch.zeros(8, dtype=torch.float64))
    logps.sum().backward()


@pytest.mark.parametrize("tricks", WAYS.values(), ids=WAYS)
def test_a_first_token_that_is_scored_is_refused(tricks):
    batch = collate(texts(5), 0)
    batch["response_mask"][2, 0] = True
    with pytest.raises(ValueError, match="the first token of a row can't be scored"):
        fast.FastScorer(family("gpt2"), tricks)(**batch)


def test_padding_that_is_scored_is_refused():
    batch = collate(texts(5), 0)
    batch["response_mask"][1, -1] = True
    with pytest.raises(ValueError, match="padding can't be scored"):
        fast.FastScorer(family("gpt2"))(**batch)


def test_without_gradients_the_log_probabilities_are_the_same():
    model, batch = family("llama"), collate(texts(20), 0)
    with InFloat64(), torch.no_grad():
        expected = Scorer(model)(**batch)
        for tricks in WAYS.values():
            found = fast.FastScorer(model, tricks)(**batch)
            assert not found.requires_grad
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        with torch.inference_mode():
            torch.testing.assert_close(fast.FastScorer(model)(**batch), expected)


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2"])
def test_under_bf16_the_fast_way_is_as_near_to_float32_as_the_plain_way(name):
    model, batch = family(name, torch.float32), collate(texts(20), 0)
    exact = log_probabilities_and_gradients(model, PLAIN, batch)
    with torch.autocast("cpu", torch.bfloat16):
        plain, found = (
            log_probabilities_and_gradients(model, t, batch) for t in (PLAIN, allowed(model, 60)[0])
        )
    assert found[0].dtype == torch.float32
    for mine, theirs in zip(off(exact, found), off(exact, plain), strict=True):
        assert 1e-4 < mine < 2 * theirs  # bf16 rounds, and the fast way about as much


def test_float64_stays_float64_under_autocast():
    model, batch = family("gpt2"), collate(texts(5), 0)
    with torch.autocast("cpu", torch.bfloat16):
        assert max(compare(model, ALL, batch)) < 1e-10


# --- The head ------------------------------------------------------------------------------------

HEADS = {
    "plain": {},
    "a bias": {"bias": True},
    "a scale": {"scale": 0.25},
    "a soft cap": {"softcap": 1.5},
    "all of them": {"bias": True, "scale": 3.0, "softcap": 2.0},
}


def head_and_hidden(bias=False, **more):
    generator = torch.Generator().manual_seed(3)
    normal = partial(torch.randn, generator=generator, dtype=torch.float64)
    leaves = [normal(23, 8), normal(97, 8), normal(97)]
    hidden, weight, b = (leaf.requires_grad_() for leaf in leaves)
    labels = torch.randint(97, (23,), generator=generator)
    return hidden, Head(weight, b if bias else None, **more), labels, normal(23)


def written_out(hidden, head, labels):
    z = hidden @ head.weight.T + (0 if head.bias is None else head.bias)
    z = z * head.scale
    z = z if head.softcap is None else head.softcap * torch.tanh(z / head.softcap)
    return z.log_softmax(1).gather(1, labels[:, None]).squeeze(1)


@pytest.mark.parametrize("words", [1, 5, 96, 97, 1000])
@pytest.mark.parametrize("kind", HEADS)
def test_pieces_of_any_size_give_the_log_softmax_and_its_gradients(kind, words):
    hidden, head, labels, upstream = head_and_hidden(**HEADS[kind])
    leaves = [t for t in (hidden, head.weight, head.bias) if t is not None]
    expected = written_out(hidden, head, labels)
    found = head_logps(hidden, head, labels, words)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    ours, theirs = (torch.autograd.grad(x, leaves, upstream) for x in (found, expected))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_the_head_gives_gradients_only_to_what_learns():
    hidden, head, labels, upstream = head_and_hidden(bias=True)
    expected = torch.autograd.grad(written_out(hidden, head, labels), head.bias, upstream)
    found = head_logps(hidden.detach(), Head(head.weight.detach(), head.bias), labels, 40)
    torch.testing.assert_close(torch.autograd.grad(found, head.bias, upstream), expected)


def test_no_tokens_have_no_log_probabilities():
    hidden, head, labels, _ = head_and_hidden()
    found = head_logps(hidden[:0], head, labels[:0])
    assert found.shape == (0,)
    found.sum().backward()
    assert torch.equal(head.weight.grad, torch.zeros(97, 8, dtype=torch.float64))


def test_a_half_precision_head_sums_in_float32():
    hidden, head, labels, _ = head_and_hidden()
    half = Head(head.weight.detach().bfloat16())
    found = head_logps(hidden.detach().bfloat16(), half, labels)
    assert found.dtype == torch.float32
    torch.testing.assert_close(
        found.double(), written_out(hidden, head, labels).detach(), atol=0.1, rtol=0
    )


def test_second_derivatives_and_weights_changed_before_backward_are_refused():
    hidden, head, labels, _ = head_and_hidden()
    loss = (head_logps(hidden, head, labels) ** 2).sum()
    (first,) = torch.autograd.grad(loss, hidden, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
    logps = head_logps(hidden, head, labels)
    with torch.no_grad():
        head.weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        logps.sum().backward()


class Watch(TorchDispatchMode):
    """The largest tensor that is made within, and the matrix products that have a side of V."""

    def __init__(self, vocabulary: int):
        super().__init__()
        self.vocabulary, self.largest, self.products = vocabulary, 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.largest = max(self.largest, out.numel())
        if function in (torch.ops.aten.mm.default, torch.ops.aten.addmm_.default):
            shapes = [a.shape for a in args if isinstance(a, torch.Tensor)] + [out.shape]
            self.products += any(self.vocabulary in shape for shape in shapes)
        return out


def test_no_tensor_of_tokens_times_vocabulary_is_made_or_kept(monkeypatch):
    """The plain way keeps some; the fast way makes logits of 256 words at a time."""
    words = 4096
    model, batch = family("llama", torch.float32, vocab_size=words), collate(texts(20), 0)
    monkeypatch.setattr(scorer, "head_logps", partial(head_logps, words=256))
    scored, found = int(batch["response_mask"].sum()), {}
    for tricks in (PLAIN, ALL):
        kept = []
        keep = lambda t, kept=kept: kept.append(t.numel()) or t
        score = Scorer(model) if tricks == PLAIN else fast.FastScorer(model, tricks)
        with Watch(words) as watch, torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
            dpo(score(**batch)).backward()
        found[tricks] = max(kept), watch.largest
    head = 32 * words  # its weight and the weight's gradient
    assert scored > 50
    assert min(found[PLAIN]) >= scored * words
    assert max(found[ALL]) <= head < scored * words


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_adapters_learn_the_same_and_a_frozen_head_is_multiplied_with_only_twice(name):
    """Once for the logits and once for the gradient of the hidden states, both on the way there."""
    model, batch = add_lora(family(name, torch.float32), 4).double().eval(), collate(texts(5), 0)
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if "lora_B" in key:
                weight += 0.2 * torch.randn(weight.shape, dtype=weight.dtype)
    assert allowed(model, 40) == (ALL, "")
    with InFloat64():
        plain = log_probabilities_and_gradients(model, PLAIN, batch)
        assert plain[1]
        assert all("lora" in key for key in plain[1])
        for tricks in WAYS.values():
            found = log_probabilities_and_gradients(model, tricks, batch)
            assert max(off(plain, found)) < 1e-10
    with Watch(97) as watch:
        logps = fast.FastScorer(model)(**batch)
        assert watch.products == 2
        dpo(logps).backward()
    assert watch.products == 2


def test_a_head_that_learns_is_multiplied_with_twice_more_on_the_way_back():
    with Watch(97) as watch:
        dpo(fast.FastScorer(family("llama"))(**collate(texts(5), 0))).backward()
    assert watch.products == 4


# --- The layout ----------------------------------------------------------------------------------


@st.composite
def batches(draw_):
    """Texts that begin with one of a few prompts, padded on either side, scored here and there."""
    word = st.integers(1, 3)
    prompts = draw_(st.lists(st.lists(word, min_size=1, max_size=4), min_size=1, max_size=3))
    response = st.lists(st.tuples(word, st.booleans()), min_size=1, max_size=5)
    drawn = draw_(
        st.lists(st.tuples(st.sampled_from(prompts), response), min_size=1, max_size=7).filter(
            lambda found: any(scored for _, tokens in found for _, scored in tokens)
        )
    )
    rows = [Example((*p, *(w for w, _ in tokens)), len(p)) for p, tokens in drawn]
    side = draw_(st.sampled_from(["left", "right"]))
    batch = collate(rows, 0, side)
    for i, (row, (_, tokens)) in enumerate(zip(rows, drawn, strict=True)):
        start = batch["input_ids"].shape[1] - len(row.ids) if side == "left" else 0
        start += row.prompt_length
        batch["response_mask"][i, start : start + len(tokens)] = torch.tensor(
            [scored for _, scored in tokens]
        )
    return rows, batch


@given(batches(), st.booleans(), st.booleans(), st.sampled_from([1.0, 30.0, 1000.0]))
@settings(max_examples=100, deadline=None)
def test_what_predicts_a_token_sees_its_own_text_before_it_and_nothing_else(
    drawn, share, pack, reach
):
    rows, batch = drawn
    laid = fast.lay_out(**batch, share=share, pack=pack, reach=reach)
    width, found = laid.input_ids.shape[1], {i: [] for i in range(len(rows))}
    scored = (t.tolist() for t in (laid.places, laid.labels, laid.texts))
    for place, label, text in zip(*scored, strict=True):
        r, w = divmod(place, width)
        seen = laid.sees[r, w].nonzero().flatten()
        at = laid.position_ids[r, seen]
        assert sorted(at.tolist()) == list(range(len(seen)))
        found[text].append((tuple(laid.input_ids[r, seen[at.argsort()]].tolist()), label))
    for i, row in enumerate(rows):
        real = batch["attention_mask"][i] == 1
        (scored,) = batch["response_mask"][i][real].nonzero(as_tuple=True)
        assert found[i] == [(row.ids[:t], row.ids[t]) for t in scored.tolist()]


@given(batches(), st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_no_token_sees_the_future_or_through_another_what_it_does_not_see(drawn, share, pack):
    laid = fast.lay_out(**drawn[1], share=share, pack=pack)
    sees = laid.sees
    assert not sees.triu(1).any()
    assert sees.diagonal(dim1=1, dim2=2).all()  # no row of the softmax is empty
    through = (sees.double() @ sees.double()) > 0
    assert torch.equal(through, sees)
    prompts = {row.ids[: row.prompt_length] for row in drawn[0]}
    if share and pack and batches_are_whole(drawn):
        once = sum(map(len, prompts)) + sum(row.response_length - 1 for row in drawn[0])
        assert laid.tokens == once


def batches_are_whole(drawn) -> bool:
    """Whether all tokens of all responses are scored."""
    return int(drawn[1]["response_mask"].sum()) == sum(row.response_length for row in drawn[0])


@pytest.mark.parametrize("pairs", [8, 16, 32])
def test_rows_hold_less_than_5_percent_padding(pairs):
    """Prompts of 40 to 60 tokens, responses of 21 to 80; the reach is that of SmolLM2-135M."""
    generator, padding = np.random.default_rng(0), []
    for _ in range(12):
        rows = []
        for start, *lengths in zip(
            generator.integers(40, 61, pairs), *generator.integers(21, 81, (2, pairs)), strict=True
        ):
            prompt = tuple(generator.integers(2, 97, start).tolist())
            rows += [
                Example(prompt + tuple(generator.integers(2, 97, n).tolist()), int(start))
                for n in lengths
            ]
        padding.append(fast.lay_out(**collate(rows, 0), reach=1500).padding)
    assert np.mean(padding) < 0.05


def test_many_responses_of_a_prompt_lie_in_several_rows_where_looking_along_one_costs_more():
    batch = collate(texts(20, [(60,) * 16]), 0)
    shapes = {r: tuple(fast.lay_out(**batch, reach=r).input_ids.shape) for r in (1.0, 1e3, 1e9)}
    assert shapes[1e9] == (1, 20 + 16 * 59)
    assert shapes[1.0] == (16, 20 + 59)
    assert 1 < shapes[1e3][0] < 16


def test_the_reach_is_the_tokens_over_which_attention_costs_as_much_as_the_matrices():
    """In a layer of GPT-2 the matrices have 12 d^2 weights: P / 4d = 3d, biases and norms aside."""
    config = transformers.GPT2Config(vocab_size=97, n_positions=2, n_embd=64, n_layer=2, n_head=2)
    assert fast.reach_of(transformers.GPT2LMHeadModel(config)) == pytest.approx(3 * 64, rel=0.03)


# --- What is allowed -----------------------------------------------------------------------------

WINDOWS = {
    "mistral": {},
    "gemma2": {},
    "gemma3": {},
    "phi3": {},
    "qwen2": {"use_sliding_window": True, "max_window_layers": 1},
}


@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize("name", WINDOWS)
def test_rows_are_shared_only_inside_a_sliding_window(name, more):
    rows = texts(5)
    longest = max(len(row.ids) for row in rows)
    model, batch = family(name, sliding_window=longest + more, **WINDOWS[name]), collate(rows, 0)
    tricks, told = allowed(model, longest)
    with InFloat64():
        assert max(compare(model, tricks, batch)) < 1e-10
    if more >= 0:
        assert (tricks, told) == (ALL, "")
    else:
        assert tricks == HEAD_ONLY
        kind = model.config.model_type
        assert told == (
            f"prompts are not shared and rows not packed: a row has {longest} tokens and {kind} "
            f"looks back only {longest - 1}"
        )


@pytest.mark.parametrize("name", WINDOWS)
def test_beyond_the_window_sharing_would_be_wrong(name):
    model, batch = family(name, sliding_window=8, **WINDOWS[name]), collate(texts(20), 0)
    with InFloat64():
        assert compare(model, ALL, batch)[0] > 1e-3


def test_a_window_that_is_not_used_is_none():
    model = family("qwen2", use_sliding_window=False, sliding_window=8)
    assert allowed(model, 90) == (ALL, "")


ROPES = {
    "dynamic": ("llama", {"max_position_embeddings": 40}, {"rope_type": "dynamic", "factor": 2.0}),
    "longrope": (
        "phi3",
        {"max_position_embeddings": 160, "original_max_position_embeddings": 40},
        {"type": "longrope", "short_factor": [1.0] * 4, "long_factor": [2.0] * 4},
    ),
    "dynamic, of a kind of layer": (
        "gemma3",
        {"max_position_embeddings": 40},
        {"rope_type": "dynamic", "factor": 2.0},
    ),
}


@pytest.mark.parametrize("kind", ROPES)
def test_rows_are_shared_only_where_rotary_frequencies_do_not_hang_on_the_length(kind):
    name, sizes, rope = ROPES[kind]
    model = family(name, rope_scaling=rope, **sizes)
    tricks, told = allowed(model, 40)
    assert (tricks, told) == (ALL, "")
    with InFloat64():
        batch = collate([row for row in texts(20) if len(row.ids) < 40], 0)
        assert max(compare(model, tricks, batch, thumbs)) < 1e-10
    tricks, told = allowed(model, 41)
    assert tricks == HEAD_ONLY
    assert told == (
        "prompts are not shared and rows not packed: a row has 41 tokens and "
        f"{model.config.model_type} turns its positions otherwise above 40"
    )


@pytest.mark.parametrize("rope", [{"rope_type": "linear", "factor": 2.0}, None])
def test_rotary_frequencies_that_do_not_change_have_no_limit(rope):
    assert allowed(family("llama", rope_scaling=rope), 150) == (ALL, "")


def test_chunked_attention_has_a_limit_and_an_unknown_family_is_not_shared():
    config = transformers.Llama4TextConfig(
        **ROTARY | {"head_dim": 8, "intermediate_size_mlp": 48, "num_local_experts": 2},
        attention_chunk_size=8,
    )
    model = transformers.Llama4ForCausalLM(config)
    tricks, told = allowed(model, 9)
    assert tricks == HEAD_ONLY
    assert "it isn't known that llama4_text takes an attention mask" in told
    model.config.model_type = "llama"  # as if it were known
    assert allowed(model, 8) == (ALL, "")
    assert allowed(model, 9)[1].endswith("a row has 9 tokens and llama looks back only 8")


def test_an_attention_that_takes_no_mask_is_not_given_one():
    model = family("llama")
    model.config._attn_implementation = "flash_attention_2"
    tricks, told = allowed(model, 9)
    assert tricks == HEAD_ONLY
    assert told.endswith("rows not packed: flash_attention_2 takes no mask of our own")


class Wrapper(nn.Module):
    """A language model that isn't one of transformers'."""

    def __init__(self):
        super().__init__()
        self.inner = family("gpt2")

    def forward(self, **batch):
        return self.inner(**batch)


def test_a_stranger_is_read_the_plain_way():
    model, batch = Wrapper(), collate(texts(5), 0)
    tricks, told = allowed(model, 20)
    assert tricks == PLAIN
    assert told == "the model is none of transformers': it is read the plain way"
    assert torch.equal(fast.FastScorer(model, tricks)(**batch), Scorer(model)(**batch))


def peft_model(**settings):
    peft = pytest.importorskip("peft")
    kind = settings.pop("kind", "LoraConfig")
    config = getattr(peft, kind)(task_type="CAUSAL_LM", **settings)
    return peft.get_peft_model(family("llama", torch.float32), config).eval()


HEADS_BY_PEFT = {
    "an adapter on the head": {"target_modules": ["lm_head", "q_proj"]},
    "a copy of the head": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
    "a prompt that is learned": {"kind": "PromptTuningConfig", "num_virtual_tokens": 4},
}


@pytest.mark.parametrize("what", HEADS_BY_PEFT)
def test_adapters_on_the_head_or_in_the_prompt_are_read_the_plain_way(what):
    """Before the first step they change nothing, so that comparing would not find them."""
    tricks, told = allowed(peft_model(**HEADS_BY_PEFT[what]), 20)
    assert tricks == PLAIN
    assert told.startswith("the head of llama can't be called alone, since it")
    assert told.endswith(": it is read the plain way")


def test_tricks_go_one_by_one_in_their_order():
    found = [ALL]
    while found[-1] != PLAIN:
        found.append(found[-1].less())
    assert [str(tricks) for tricks in found] == [
        "shared prompts, packed rows, chunked head",
        "packed rows, chunked head",
        "chunked head",
        "plain",
    ]


# --- The probe -----------------------------------------------------------------------------------


def probed(model, tricks=None):
    pairs = [tuple(texts(n, [(9, 14)])) for n in (5, 20, 8)]
    return fast.sound_tricks(model, pairs, 0, tricks)


def looks_at_its_neighbour(only_within: bool):
    """A Llama whose tokens mix with what lies before them in the row; or not at a text's start."""
    model, at = family("llama", torch.float32), {}

    def note(module, args, kwargs):
        at["positions"] = kwargs["position_ids"]

    def mix(module, args, out):
        before = 2 * out.roll(1, dims=1)
        before[:, 0] = 0
        return out + before * (at["positions"] > 0).unsqueeze(2) if only_within else out + before

    model.model.register_forward_pre_hook(note, with_kwargs=True)
    model.model.embed_tokens.register_forward_hook(mix)
    return model


def twice_as_sure(name: str):
    """A model whose logits are doubled, and its configuration doesn't say so."""

    def double(module, args, out):
        out["logits"] = 2 * out["logits"]

    model = family(name, torch.float32)
    model.register_forward_hook(double)
    return model


LIARS = {
    "one response sees the other": (
        lambda: looks_at_its_neighbour(True),
        *("shared prompts, packed rows, chunked head", PACKED),
    ),
    "one text sees the other": (
        lambda: looks_at_its_neighbour(False),
        *("packed rows, chunked head", HEAD_ONLY),
    ),
    "the head does more than it says": (
        lambda: twice_as_sure("llama"),
        *("chunked head", PLAIN),
    ),
}


@pytest.mark.parametrize(
    ("what", "dtype"),
    [(what, torch.float32) for what in LIARS]
    + [(what, torch.bfloat16) for what in LIARS if what != "one response sees the other"],
)
def test_a_model_that_misbehaves_loses_tricks_in_order_and_one_sentence_names_them(what, dtype):
    make, last, left = LIARS[what]
    model = make().to(dtype)
    assert allowed(model, 40) == (ALL, "")
    tricks, told = probed(model)
    assert tricks == left
    before, after = told.split(" the model gives log-probabilities that are ")
    assert before == f"with {last}"
    amount, after = after.split(" nats off")
    assert float(amount) > 0.01
    assert after == f" on this data, so it goes on with {left}"


def test_what_the_architecture_forbids_and_what_the_probe_finds_are_both_told():
    tricks, told = probed(twice_as_sure("cohere"))
    assert tricks == PLAIN
    first, second = told.split("; ")
    assert first.startswith("prompts are not shared and rows not packed")
    assert second.startswith("with chunked head the model gives")


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, torch.float32) for name in SHARES]
    + [(name, dtype) for name in ("gpt2", "gemma2") for dtype in (torch.float64, torch.bfloat16)],
)
def test_a_model_that_is_what_it_says_keeps_its_tricks(name, dtype):
    model = family(name, dtype)
    assert probed(model) == (ALL, "")
    assert probed(model, HEAD_ONLY) == (HEAD_ONLY, "")  # as settled before, on resume


def test_the_longest_row_decides():
    model = family("mistral", torch.float32, sliding_window=30)
    short, long = tuple(texts(5, [(9, 14)])), tuple(texts(20, [(9, 14)]))
    assert fast.sound_tricks(model, [short, short], 0) == (ALL, "")
    tricks, told = fast.sound_tricks(model, [short, long, short], 0)
    assert tricks == HEAD_ONLY
    assert told.endswith("a row has 34 tokens and mistral looks back only 30")


# --- AdamW and products --------------------------------------------------------------------------

SETTINGS = {"lr": 1e-2, "weight_decay": 0.01}


def some_weights(dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    shapes = [(7, 5), (3,), (2, 3, 4), (), (4, 6)]
    found = [torch.randn(s, generator=generator, dtype=dtype).requires_grad_() for s in shapes]
    return found


def set_gradients(step: int, *sets):
    """Large at every second step; the last weight's is missing, as a frozen one's."""
    generator = torch.Generator().manual_seed(step)
    for weights in zip(*(found[:-1] for found in sets), strict=True):
        drawn = torch.randn(weights[0].shape, generator=generator, dtype=torch.float64)
        for weight in weights:
            weight.grad = (drawn * (3.0 if step % 2 else 0.01)).to(weight.dtype)


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-6), (torch.float64, 1e-8)])
def test_clipping_adamw_takes_the_steps_of_clip_grad_norm_and_adamw(dtype, limit):
    """The factor is a float32 number, also for float64 weights."""
    ours, theirs = some_weights(dtype), some_weights(dtype)
    fused, plain = fast.ClippingAdamW(ours, **SETTINGS), torch.optim.AdamW(theirs, **SETTINGS)
    for step in range(20):
        set_gradients(step, ours, theirs)
        before = [w.grad.clone() for w in ours[:-1]]
        norm, expected = fused.clip(1.0), torch.nn.utils.clip_grad_norm_(theirs, 1.0)
        assert torch.equal(norm, expected)
        assert (norm > 1) == (step % 2 == 1)
        assert all(torch.equal(w.grad, g) for w, g in zip(ours, before, strict=False))
        fused.step()
        plain.step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=limit)
    assert ours[-1] not in fused.state  # no gradient, no step


def test_a_gradient_below_the_limit_is_not_touched():
    weights = some_weights()
    optimizer = fast.ClippingAdamW(weights, **SETTINGS)
    set_gradients(0, weights)
    before = [w.grad.clone() for w in weights[:-1]]
    assert optimizer.clip(1.0) < 1
    assert float(optimizer.grad_scale) == 1.0
    optimizer.step()
    assert all(torch.equal(w.grad, g) for w, g in zip(weights, before, strict=False))


@pytest.mark.parametrize("begins", ["plain", "fused"])
def test_state_goes_from_adamw_to_clipping_adamw_and_back(begins):
    makers = {"plain": torch.optim.AdamW, "fused": fast.ClippingAdamW}
    other = {"plain": "fused", "fused": "plain"}[begins]

    def step(optimizer, weights, number):
        set_gradients(number, weights)
        if isinstance(optimizer, fast.ClippingAdamW):
            optimizer.clip(1.0)
        else:
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()

    weights, through = some_weights(), some_weights()
    first, whole = (makers[begins](w, **SETTINGS) for w in (weights, through))
    for number in range(4):
        step(first, weights, number)
        step(whole, through, number)
    second = makers[other](weights, **SETTINGS)
    second.load_state_dict(first.state_dict())
    assert set(second.state[weights[0]]) == {"step", "exp_avg", "exp_avg_sq"}
    for number in range(4, 8):
        step(second, weights, number)
        step(whole, through, number)
    for a, b in zip(weights, through, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


@pytest.mark.parametrize("broken", [math.inf, math.nan])
def test_a_gradient_that_is_not_finite_has_a_norm_that_is_not(broken):
    weights = some_weights()
    optimizer = fast.ClippingAdamW(weights, **SETTINGS)
    set_gradients(1, weights)
    weights[0].grad[2, 3] = broken
    assert not math.isfinite(optimizer.clip(1.0))


def test_products_go_the_fast_way_only_where_it_is_exact_and_are_put_back(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before = torch.get_float32_matmul_precision()
    assert before == "highest"
    for exact, within in ((True, "medium"), (False, "highest")):
        monkeypatch.setattr(precision, "stays_float32", lambda _, exact=exact: exact)
        with fast.exact_products() as said:
            assert said == torch.get_float32_matmul_precision() == within
        assert torch.get_float32_matmul_precision() == before
        with pytest.raises(ZeroDivisionError), fast.exact_products():
            raise ZeroDivisionError
        assert torch.get_float32_matmul_precision() == before
    with fast.exact_products(wanted=False) as said:
        assert said == "highest"


def test_whether_products_stay_float32_is_measured(monkeypatch):
    assert precision.stays_float32("highest")
    assert torch.get_float32_matmul_precision() == "highest"
    product = torch.Tensor.__matmul__
    rounded = lambda a, b: product(a, b) if a.dtype == torch.float64 else rounds(a, b)
    rounds = lambda a, b: product(a.bfloat16(), b.bfloat16()).float()
    monkeypatch.setattr(torch.Tensor, "__matmul__", rounded)
    assert not precision.stays_float32("medium")
