"""Credit per token in the review world: against an enumeration, and in what it must add up to."""

import numpy as np
import pytest

from dpo_from_scratch import world
from dpo_from_scratch.studies.own_samples import prefix_logps, token_advantages

PROMPT = world.prompts("test")[0]


@pytest.mark.parametrize("beta", [0.3, 1.0])
def test_the_value_of_a_beginning_is_what_an_enumeration_says(beta):
    replies = world.MINI.replies(PROMPT)
    p = np.exp(world.MINI.log_probs(PROMPT, replies))
    tilted = p * np.exp(world.rewards(PROMPT, replies) / beta)
    for text in replies[::900]:
        words = text.split()
        begins = [
            np.array([r.split()[:t] == words[:t] for r in replies]) for t in range(len(words) + 1)
        ]
        begins.append(np.array([r == text for r in replies]))
        value = [beta * np.log(tilted[b].sum() / p[b].sum()) for b in begins]
        found = token_advantages(PROMPT, text, beta, world.MINI)
        np.testing.assert_allclose(found, np.diff(value), atol=1e-9)


def test_in_the_full_world_a_texts_advantages_add_up_to_its_reward_less_beta_log_z():
    policy = world.REVIEWS.policy(PROMPT, 0.6)
    for text in world.REVIEWS.sample(PROMPT, 5, seed=3):
        total = token_advantages(PROMPT, text, 0.6).sum()
        assert total == pytest.approx(world.reward(PROMPT, text) - 0.6 * policy.log_Z)
        logps = prefix_logps(policy, text)
        assert len(logps) == len(text.split()) + 2
        assert (np.diff(logps) < 1e-9).all()
        assert logps[-1] == pytest.approx(policy.log_probs([text])[0])


def test_a_text_that_the_grammar_cannot_write_has_no_probability_where_it_breaks():
    logps = prefix_logps(world.REVIEWS.policy(PROMPT), "the plot was thank you .")
    assert np.isfinite(logps[:4]).all()
    assert (logps[4:] == -np.inf).all()
