"""Preference theory on tables: values by hand, identities, recovery of known scores, and what
has no answer.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpo_from_scratch import exact

REF, REWARDS = np.log([0.5, 0.3, 0.2]), np.array([1.0, 2.0, 0.0])
LOGITS = st.lists(st.floats(-3, 3), min_size=3, max_size=3)


def normalised(logits):
    logits = np.asarray(logits, float)
    return logits - np.logaddexp.reduce(logits)


def test_preferences_by_hand_for_any_size_of_reward():
    p = exact.preferences([0.0, math.log(3), 2000.0])
    np.testing.assert_allclose(p, [[0.5, 0.25, 0], [0.75, 0.5, 0], [1, 1, 0.5]], atol=1e-12)
    np.testing.assert_allclose(p + p.T, 1.0)
    np.testing.assert_allclose(exact.preferences([7.0, 8.0]), exact.preferences([-1.0, 0.0]))


def test_ceiling_by_hand():
    preferred = np.array([[0.5, 0.8, 1.0], [0.2, 0.5, 0.4], [0.0, 0.6, 0.5]])
    accuracy, loss = exact.ceiling(np.array([0.5, 0.25, 0.25]), preferred)
    # unordered pairs: ab and ac with probability 0.25, bc with 0.125, of 0.625 in all
    assert accuracy == pytest.approx((0.25 * 0.8 + 0.25 * 1.0 + 0.125 * 0.6) / 0.625)
    entropies = [-(p * math.log(p) + (1 - p) * math.log(1 - p)) for p in (0.8, 0.6)]
    assert loss == pytest.approx((0.25 * entropies[0] + 0.125 * entropies[1]) / 0.625)


def test_fit_by_hand_and_its_standard_error():
    fit = exact.fit_bradley_terry([[0, 30], [10, 0]])
    assert fit.scores[0] - fit.scores[1] == pytest.approx(math.log(3), abs=1e-10)
    assert fit.scores.sum() == pytest.approx(0.0, abs=1e-10)
    assert fit.standard_error(0, 1) == pytest.approx(1 / math.sqrt(40 * 0.75 * 0.25))
    assert fit.standard_error(1, 0) == pytest.approx(fit.standard_error(0, 1))
    assert fit.standard_error(1, 1) == 0


def test_fit_finds_the_scores_that_made_the_choices_even_when_they_are_large():
    for scale in (1.0, 4.0):
        scores = scale * np.array([-1.3, 0.2, 1.6, -0.5])
        fit = exact.fit_bradley_terry(
            exact.preferences(scores)
        )  # expected counts, itself against itself cancels
        np.testing.assert_allclose(fit.scores, scores, atol=1e-8)


def test_fit_maximises_the_penalised_likelihood():
    rng = np.random.default_rng(0)
    wins, prior = rng.integers(0, 4, (4, 4)).astype(float), 0.3
    np.fill_diagonal(wins, 0)
    best = exact.fit_bradley_terry(wins, prior).scores

    def value(s):
        return np.sum(wins * np.log(exact.preferences(s))) - prior / 2 * np.sum(s**2)

    for i in range(4):
        e = 1e-5 * np.eye(4)[i]
        assert (value(best + e) - value(best - e)) / 2e-5 == pytest.approx(0, abs=1e-6)
        assert value(best + 100 * e) < value(best)
    fit = exact.fit_bradley_terry(
        wins, prior
    )  # the covariance is minus the inverse of the second derivative
    curvature = np.array([[second(value, best, i, j) for j in range(4)] for i in range(4)])
    inverse = -np.linalg.inv(curvature)
    assert fit.standard_error(0, 2) == pytest.approx(
        math.sqrt(inverse[0, 0] + inverse[2, 2] - 2 * inverse[0, 2]), rel=1e-4
    )


def second(f, x, i, j, h=1e-3):
    a, b = h * np.eye(len(x))[i], h * np.eye(len(x))[j]
    return (f(x + a + b) - f(x + a - b) - f(x - a + b) + f(x - a - b)) / (4 * h * h)


def test_fit_settles_from_lopsided_counts_or_says_that_it_does_not():
    rng = np.random.default_rng(1)
    for _ in range(100):
        wins = np.exp(rng.normal(0, 4, (5, 5)))
        fit = exact.fit_bradley_terry(wins)
        expected = (wins + wins.T) * exact.preferences(fit.scores)
        np.testing.assert_allclose(
            wins.sum(1) - np.diag(wins), expected.sum(1) - np.diag(wins), rtol=1e-6
        )
    with pytest.raises(
        ValueError, match=r"^Newton's method did not settle in 100 steps: give a larger prior$"
    ):
        exact.fit_bradley_terry([[0, math.inf], [1, 0]])


def test_two_groups_that_were_never_compared_are_centred_apart():
    wins = np.zeros((4, 4))
    wins[0, 1], wins[1, 0], wins[2, 3], wins[3, 2] = 3, 1, 1, 3
    fit = exact.fit_bradley_terry(wins)
    np.testing.assert_allclose(fit.scores, np.log(3) / 2 * np.array([1, -1, -1, 1]), atol=1e-9)
    assert fit.standard_error(2, 3) == pytest.approx(1 / math.sqrt(4 * 0.75 * 0.25))


def test_scores_that_would_be_infinite_are_refused_and_a_prior_makes_them_finite():
    always = np.array([[0, 1, 1], [0, 0, 1], [0, 0, 0.0]])
    with pytest.raises(ValueError, match="prior > 0"):
        exact.fit_bradley_terry(always)
    circle = np.array(
        [[0, 1, 0, 9], [0, 0, 1, 9], [1, 0, 0, 9], [0, 0, 0, 0.0]]
    )  # three in a circle always beat the fourth
    with pytest.raises(
        ValueError,
        match=r"^some replies win every comparison with the others, "
        r"so their scores are infinite: give a prior > 0$",
    ):
        exact.fit_bradley_terry(circle)
    fit = exact.fit_bradley_terry(always, prior=0.1)
    assert fit.scores[0] > 1 > 0.1 > abs(fit.scores[1])
    long_circle = np.roll(np.eye(9), 1, axis=1)
    np.testing.assert_allclose(
        exact.fit_bradley_terry(long_circle).scores, 0, atol=1e-12
    )  # a chain of nine is followed to its end


def test_wins_that_cannot_be_counts_are_refused():
    for wins, prior in ((np.zeros(3), 0), (np.zeros((2, 3)), 0), (-np.eye(2), 0), (np.eye(2), -1)):
        with pytest.raises(ValueError, match="wins must be counts"):
            exact.fit_bradley_terry(wins, prior)


def test_kl_by_hand_with_zeros():
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.5, 0.25])
    with np.errstate(divide="ignore"):
        assert exact.kl(np.log(p), np.log(q)) == pytest.approx(0.5 * math.log(2))
        assert exact.kl(np.log(q), np.log(p)) == math.inf


def test_gibbs_takes_any_reference_and_checks_its_arguments():
    found = exact.gibbs(REF, REWARDS, 0.5)
    np.testing.assert_allclose(np.exp(found.log_probs), [0.182230, 0.807905, 0.009865], atol=1e-6)
    assert found.log_Z == pytest.approx(math.log(20.273973), abs=1e-6)
    assert found.mean_reward == pytest.approx(0.182230 + 2 * 0.807905, abs=1e-5)
    assert found.mean_reward - 0.5 * found.kl == pytest.approx(1.504669, abs=1e-6)
    assert exact.objective(found.log_probs, REF, REWARDS, 0.5) == pytest.approx(0.5 * found.log_Z)
    unnormalised = exact.gibbs(REF + 3, REWARDS, 0.5)
    assert unnormalised.log_Z == pytest.approx(found.log_Z)
    assert unnormalised.kl == pytest.approx(found.kl)
    for ref, r, beta in (
        (REF, REWARDS[:2], 1),
        (REF[None], REWARDS[None], 1),
        (REF, REWARDS, 0),
        (REF, REWARDS, math.nan),
    ):
        with pytest.raises(ValueError, match="one shape"):
            exact.gibbs(ref, r, beta)


@settings(max_examples=50, deadline=None)
@given(LOGITS, LOGITS, st.lists(st.floats(-2, 2), min_size=3, max_size=3), st.floats(0.2, 3))
def test_no_policy_beats_the_gibbs_optimum_and_misses_it_by_beta_times_its_kl(
    policy, reference, rewards, beta
):
    policy, reference, rewards = normalised(policy), normalised(reference), np.array(rewards)
    best = exact.gibbs(reference, rewards, beta)
    missed = best.log_Z * beta - exact.objective(policy, reference, rewards, beta)
    assert missed == pytest.approx(beta * exact.kl(policy, best.log_probs), abs=1e-9)
    assert missed > -1e-9
