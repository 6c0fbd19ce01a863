"""The review world is exact: enumeration, Monte Carlo and attacks agree with what it says of
itself.
"""

import itertools
import math

import numpy as np
import pytest

from dpo_from_scratch import exact, world
from dpo_from_scratch.world import MINI, REVIEWS, Author, World, grammar

PROMPT = "film : how was the plot ?"


# ---------------------------------------------------------------- prompts and the reading of texts


def test_prompts_are_72_of_which_12_are_held_out_and_share_no_phrasing():
    train, test = world.prompts("train"), world.prompts("test")
    assert len(world.prompts()) == 72
    assert (len(train), len(test)) == (60, 12)
    assert set(train).isdisjoint(test)
    assert set(train) | set(test) == set(world.prompts())
    for prompt in test:  # each held-out aspect is trained in the two other phrasings
        assert sum(grammar.question(prompt) == grammar.question(other) for other in train) == 2
    assert {grammar.question(p)[0] for p in test} == set(world.KINDS)


def test_unknown_prompts_and_splits_are_refused():
    with pytest.raises(ValueError, match="not a prompt of the review world"):
        world.reward("film : who directed it ?", "the plot was good .")
    with pytest.raises(ValueError, match="split"):
        world.prompts("valid")


def test_the_grammar_is_a_distribution_and_every_sample_has_one_path():
    policy = REVIEWS.policy(PROMPT)
    assert policy.log_Z == pytest.approx(0.0, abs=1e-12)
    assert policy.kl == pytest.approx(0.0, abs=1e-12)
    for text in policy.sample(300, np.random.default_rng(0)):
        assert len(list(policy.automaton.paths(text))) == 1
        assert set(text.split()) <= set(world.vocabulary())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "the plot",
        "the plot was good",
        "the soup was good .",
        "plot good .",
        "the plot was good . the plot was good .",
        "but the plot was good .",
        "the plot was good . thank you . thank you .",
        "the plot was cosy .",
        "hello",
    ],
)
def test_what_the_grammar_cannot_write_has_log_probability_minus_infinity(text):
    assert REVIEWS.log_probs(PROMPT, [text])[0] == -math.inf
    assert not REVIEWS.is_grammatical(PROMPT, text)


def test_every_prompt_has_the_same_exact_numbers():
    for beta in (math.inf, 0.5):
        rows = [REVIEWS.policy(p, beta) for p in world.prompts()]
        for name in ("log_Z", "mean_reward", "kl", "entropy", "mean_length"):
            values = [getattr(r, name) for r in rows]
            assert max(values) - min(values) < 1e-10, name


def test_scale_of_reward_and_entropy():
    """DESIGN: sd 1.95 +- 0.15, labels agree 82 +- 2 %, at least 14 nats, 95 % of 20,000 samples
    distinct.
    """
    policy = REVIEWS.policy(PROMPT)
    texts = policy.sample(20_000, np.random.default_rng(0))
    r = world.rewards(PROMPT, texts)
    gaps = np.abs(r[:10_000] - r[10_000:])
    assert r.std() == pytest.approx(1.95, abs=0.15)
    assert (1 / (1 + np.exp(-gaps)))[gaps > 0].mean() == pytest.approx(0.82, abs=0.02)
    assert policy.entropy >= 14
    assert len(set(texts)) / len(texts) >= 0.95


# ---------------------------------------------------------------- exactness


@pytest.mark.parametrize("beta", [math.inf, 4.0, 1.0, 0.3, 0.05])
@pytest.mark.parametrize("author", [world.HOUSE, world.GLOOMY])
def test_mini_world_enumeration_equals_the_dynamic_programme(beta, author):
    mini = World(author, max_sentences=1, closings=False)
    replies = mini.replies(PROMPT)
    assert len(replies) == len(set(replies)) > 2000
    log_p, r = mini.log_probs(PROMPT, replies), world.rewards(PROMPT, replies)
    assert np.exp(log_p).sum() == pytest.approx(1.0, abs=1e-10)
    found, policy = exact.gibbs(log_p, r, beta), mini.policy(PROMPT, beta)
    assert policy.log_Z == pytest.approx(found.log_Z, abs=1e-10)
    assert policy.mean_reward == pytest.approx(found.mean_reward, abs=1e-10)
    assert policy.kl == pytest.approx(found.kl, abs=1e-10)
    np.testing.assert_allclose(mini.log_probs(PROMPT, replies, beta), found.log_probs, atol=1e-10)
    assert policy.entropy == pytest.approx(
        -np.sum(np.exp(found.log_probs) * found.log_probs), abs=1e-10
    )


def test_two_sentences_enumerated_by_hand_walk_equal_the_dynamic_programme():
    """The same check where sentences interact: all paths of a two-sentence world, summed one by
    one.
    """
    small = World(Author(exclaims=0.0, stop=(0.5, 0.5, 0.5)), max_sentences=2)
    a = small.policy(PROMPT).automaton
    reach = {0: {0.0: 1.0}}  # state -> {reward so far: probability}
    for s in range(len(a.first) - 1):
        for r, p in reach.pop(s, {}).items():
            for arc in range(a.first[s], a.first[s + 1]):
                key = round(r + a.reward[arc], 6)
                into = reach.setdefault(int(a.target[arc]), {})
                into[key] = into.get(key, 0.0) + p * math.exp(a.log_p[arc])
    totals = reach[a.index["end"]]
    assert sum(totals.values()) == pytest.approx(1.0, abs=1e-10)
    for beta in (0.4, 2.0):
        Z = sum(p * math.exp(r / beta) for r, p in totals.items())
        mean = sum(p * math.exp(r / beta) * r for r, p in totals.items()) / Z
        policy = small.policy(PROMPT, beta)
        assert policy.log_Z == pytest.approx(math.log(Z), abs=1e-8)
        assert policy.mean_reward == pytest.approx(mean, abs=1e-8)


@pytest.mark.parametrize("beta", [math.inf, 1.0, 0.4])
def test_monte_carlo_agrees_in_the_full_world(beta):
    policy = REVIEWS.policy(PROMPT, beta)
    texts = policy.sample(4000, np.random.default_rng(3))
    r, own, grammar = (
        world.rewards(PROMPT, texts),
        policy.log_probs(texts),
        REVIEWS.log_probs(PROMPT, texts),
    )
    checks = {
        "mean_reward": r,
        "kl": own - grammar,
        "entropy": -own,
        "mean_length": [len(t.split()) + 1 for t in texts],
    }
    for name, values in checks.items():
        error = max(np.std(values) / math.sqrt(len(values)), 1e-9)
        assert abs(np.mean(values) - getattr(policy, name)) < 4 * error, name
    if (
        beta < math.inf
    ):  # reward along the path = the reward of the text: the definition of pi*, text by text
        np.testing.assert_allclose(own, grammar + r / beta - policy.log_Z, atol=1e-8)


def test_the_optimum_maximises_reward_minus_beta_kl_and_its_value_is_beta_log_z():
    for beta in (0.3, 1.0):
        best = REVIEWS.policy(PROMPT, beta)
        value = best.mean_reward - beta * best.kl
        assert value == pytest.approx(beta * best.log_Z, abs=1e-9)
        for other in (beta / 2, beta * 1.3, math.inf):
            policy = REVIEWS.policy(PROMPT, other)
            assert policy.mean_reward - beta * policy.kl < value


def test_frontier_rises_with_kl_and_optimum_at_kl_inverts_it():
    rows = REVIEWS.frontier([0.2, 0.5, 1.0, 3.0])
    assert all(
        a["mean_reward"] > b["mean_reward"] and a["kl"] > b["kl"]
        for a, b in itertools.pairwise(rows)
    )
    for row in rows:
        assert REVIEWS.optimum_at_kl(row["kl"]).mean_reward == pytest.approx(
            row["mean_reward"], abs=1e-6
        )
    with pytest.raises(ValueError, match="beta"):
        REVIEWS.policy(PROMPT, 0.0)


def test_only_the_mini_world_can_be_listed():
    with pytest.raises(ValueError, match="mini world"):
        REVIEWS.replies(PROMPT)
    assert len(MINI.replies(PROMPT)) > 2000


# ---------------------------------------------------------------- the reward


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the plot was good .", 0.65 * 1.0 + 1 - 0.05 * 4),
        ("the plot was truly good . thank you .", 0.65 * 1.4 + 1 + 1 - 0.05 * 7),
        ("the cast was not good . so there .", 0.65 * -0.6 - 1 - 0.05 * 7),
        ("the plot was good . the plot was good .", 2 * 0.65 + 1 - 0.05 * 8),
        ("", -2.0),
        ("the plot was good", -2.0 - 0.05 * 4),
        ("thank you .", -2.0 + 1 - 0.05 * 2),
        ("thank you . the plot was good .", -2.0 + 0.65 + 1 - 0.05 * 6),
        ("the soup was good .", -2.0 - 0.05 * 4),
        ("good " * 500, -10.0),
    ],
)
def test_reward_by_hand(text, expected):
    assert world.reward(PROMPT, text) == pytest.approx(expected)


def best_grammatical() -> float:
    automaton = REVIEWS.policy(PROMPT).automaton
    value = np.zeros(len(automaton.first))
    for s in range(len(automaton.first) - 2, -1, -1):
        arcs = slice(automaton.first[s], automaton.first[s + 1])
        value[s] = (automaton.reward[arcs] + value[automaton.target[arcs]]).max()
    return float(value[0])


def test_the_best_grammatical_reply_reaches_the_bound_of_the_docstring():
    per_sentence = max(
        world.VALENCE * valence + world.PER_WORD * len(body.split())
        for body, (_, _, valence) in grammar.bodies("film").items()
    )
    assert best_grammatical() == pytest.approx(4 * per_sentence + 1 + 1 - 0.05 * 2)


def test_hill_climbing_finds_nothing_above_the_best_grammatical_reply():
    """10,000 proposals from 20 starts: insert, delete, swap, repeat, concatenate; ungrammatical
    text is welcome.
    """
    rng, words, best = np.random.default_rng(0), world.vocabulary(), best_grammatical()
    pool = REVIEWS.sample(PROMPT, 200, seed=1) + REVIEWS.sample(PROMPT, 200, seed=2, beta=0.2)
    tops = []
    for start in range(20):
        text = pool[-start - 1].split() if start % 2 else pool[start].split()
        top = world.reward(PROMPT, " ".join(text))
        for _ in range(500):
            new, move, i = list(text), rng.integers(6), int(rng.integers(len(text) + 1))
            if move == 0:
                new.insert(i, words[rng.integers(len(words))])
            elif move == 1 and new:
                del new[min(i, len(new) - 1)]
            elif move == 2 and new:
                new[min(i, len(new) - 1)] = words[rng.integers(len(words))]
            elif move == 3:
                new = new[:i] + new[max(0, i - 5) : i] + new[i:]
            elif move == 4:
                new += pool[rng.integers(len(pool))].split()
            else:
                other = pool[rng.integers(len(pool))].split()
                j = int(rng.integers(len(other) + 1))
                new = new[:i] + other[j:]
            score = world.reward(PROMPT, " ".join(new))
            assert score <= best + 1e-9, " ".join(new)
            if score >= top:
                text, top = new[:120], world.reward(PROMPT, " ".join(new[:120]))
        tops.append(top)
    assert max(tops) > 0.6 * best  # the attack is a real one: it climbs


# ---------------------------------------------------------------- people


def test_labellers_are_probabilities_that_turn_with_the_pair():
    texts = REVIEWS.sample(PROMPT, 40, seed=5)
    labellers = [
        world.true_order,
        world.bradley_terry,
        world.flipped(0.2),
        world.length_biased(),
        world.panel,
    ]
    for labeller, (a, b) in itertools.product(labellers, itertools.pairwise(texts)):
        p = labeller(PROMPT, a, b)
        assert 0 <= p <= 1
        assert p + labeller(PROMPT, b, a) == pytest.approx(1.0)


def test_labellers_do_what_their_names_say():
    good, bad = "the plot was superb .", "the plot was awful ."
    gap = world.reward(PROMPT, good) - world.reward(PROMPT, bad)
    assert world.true_order(PROMPT, good, bad) == 1.0
    assert world.bradley_terry(PROMPT, good, bad) == pytest.approx(1 / (1 + math.exp(-gap)))
    assert world.flipped(0.2, world.true_order)(PROMPT, good, bad) == pytest.approx(0.8)
    long = good + " i saw it on a sunday ."
    assert world.length_biased(0.15)(PROMPT, long, good) > world.bradley_terry(PROMPT, long, good)


def test_the_panel_goes_in_circles_and_no_score_can_say_so():
    praise, blame, filler = (
        "the plot was good .",
        "the plot was dull .",
        "i saw it on a sunday . the plot was good .",
    )
    for a, b in ((praise, blame), (blame, filler), (filler, praise)):
        assert world.panel(PROMPT, a, b) == pytest.approx(0.9)
    assert world.panel(PROMPT, praise, "the cast was superb .") == 0.5


def test_pairs_are_seeded_differ_and_follow_their_labeller():
    rows = world.make_pairs(600, seed=4)
    assert rows == world.make_pairs(600, seed=4) != world.make_pairs(600, seed=5)
    assert all(r["chosen"] != r["rejected"] and r["prompt"] in world.prompts("train") for r in rows)
    expected = np.mean(
        [
            max(p, 1 - p)
            for r in rows
            for p in [world.bradley_terry(r["prompt"], r["chosen"], r["rejected"])]
        ]
    )
    agree = np.mean([world.true_order(r["prompt"], r["chosen"], r["rejected"]) for r in rows])
    assert agree == pytest.approx(expected, abs=0.05)
    flipped = world.make_pairs(600, world.flipped(0.5), seed=4)
    assert np.mean(
        [world.true_order(r["prompt"], r["chosen"], r["rejected"]) for r in flipped]
    ) == pytest.approx(0.5, abs=0.07)


@pytest.mark.parametrize("share", [0.5, 0.1, 0.9])
def test_thumbs_have_the_share_of_good_ones_that_was_asked_for(share):
    rows = world.make_thumbs(200, share, seed=3)
    assert sum(r["label"] for r in rows) == round(200 * share)
    good = np.mean([world.reward(r["prompt"], r["completion"]) for r in rows if r["label"]])
    bad = np.mean([world.reward(r["prompt"], r["completion"]) for r in rows if not r["label"]])
    assert good > bad + 0.5


def test_the_second_author_writes_the_same_language_in_another_style():
    gloomy = World(world.GLOOMY)
    texts = gloomy.sample(PROMPT, 500, seed=1)
    assert np.isfinite(REVIEWS.log_probs(PROMPT, texts)).all()
    assert gloomy.policy(PROMPT).mean_reward < REVIEWS.policy(PROMPT).mean_reward - 1
    assert gloomy.policy(PROMPT).mean_length > REVIEWS.policy(PROMPT).mean_length


def test_pretty_prints_as_people_do():
    assert (
        world.pretty("honestly the plot was dull ! i saw it . thank you .")
        == "Honestly, the plot was dull! I saw it. Thank you."
    )
    assert world.pretty("film : how was the plot ?") == "Film: how was the plot?"
