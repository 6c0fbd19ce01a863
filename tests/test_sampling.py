"""Sampling: the cache changes nothing, the batch changes nothing, and the texts come from the
model's distribution.
"""

import numpy as np
import pytest
import torch

from dpo_from_scratch import world
from dpo_from_scratch.sampling import next_token, sample

PROMPTS = [
    "film : how was the plot ?",
    "hotel : tell me about the breakfast .",
    "book : and the hero ?",
]


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


def test_seeded_and_in_the_order_of_the_prompts(tiny):
    model, tokenizer = tiny
    asked = PROMPTS * 20
    first, again, other = (
        sample(model, tokenizer, asked, seed=s, batch_size=16) for s in (1, 1, 2)
    )
    assert first == again
    assert first != other
    assert [s.prompt for s in first] == asked


def test_length_limit_leaves_an_unfinished_response_without_an_end(tiny):
    model, tokenizer = tiny
    for s in sample(model, tokenizer, PROMPTS, max_new_tokens=3):
        assert not s.finished
        assert s.example.response_length == 3
        assert tokenizer.eos_token_id not in s.example.ids[s.example.prompt_length :]


def test_temperature():
    logits = torch.tensor([[0.0, 1.0, 2.0]]).repeat(20_000, 1)
    for temperature in (0.5, 1.0, 2.0):
        drawn = next_token(logits, temperature, torch.Generator().manual_seed(0))
        share = torch.bincount(drawn, minlength=3) / len(drawn)
        torch.testing.assert_close(share, (logits[0] / temperature).softmax(-1), atol=0.02, rtol=0)
    assert (next_token(logits, 0, torch.Generator()) == 2).all()


def test_samples_have_the_grammars_reward_and_length(tiny):
    model, tokenizer = tiny
    drawn = sample(model, tokenizer, [world.prompts("test")[i % 12] for i in range(2000)], seed=3)
    grammar = world.REVIEWS.policy(world.prompts()[0])
    r = np.array([world.reward(s.prompt, s.text) for s in drawn])
    assert abs(r.mean() - grammar.mean_reward) < 0.15 + 2 * r.std() / 2000**0.5
    assert np.mean([s.finished for s in drawn]) > 0.999


def test_refuses_what_it_cannot_do(tiny):
    model, tokenizer = tiny
    with pytest.raises(ValueError, match="temperature"):
        sample(model, tokenizer, PROMPTS, temperature=-1)
    with pytest.raises(ValueError, match="fills the model's context"):
        sample(model, tokenizer, ["film " * 80])
    assert sample(model, tokenizer, []) == []
