"""Studies that compare many things: what they are told, and what they leave out."""

import numpy as np
import pytest

from dpo_from_scratch import world
from dpo_from_scratch.lab import comparisons
from dpo_from_scratch.lab.records import Record
from dpo_from_scratch.losses import LOSSES
from dpo_from_scratch.studies import quality_or_gap, semi_online, tournament
from dpo_from_scratch.training import PRESETS, TrainConfig


def test_the_tournament_has_every_loss_that_it_does_not_name_as_left_out():
    assert set(LOSSES) - set(tournament.METHODS) == {"sft", "dno", "soft_dpo"}
    assert set(tournament.METHODS) - set(LOSSES) == {"sdpo"}


@pytest.mark.parametrize("method", tournament.METHODS)
def test_a_method_has_six_trials_that_can_be_run(method):
    trials = tournament.trials(method)
    assert len({str(trial) for trial in trials}) == 6
    configs = [TrainConfig(**PRESETS["tiny"] | tournament.settings(method, t)) for t in trials]
    strengths = {
        config.options().get(tournament.NO_BETA.get(config.loss, "beta")) for config in configs
    }
    assert strengths == set(tournament.GRIDS[method][0])
    assert len({str(config) for config in configs}) == 6


def test_no_prompt_of_the_tournament_is_used_twice():
    rows = tournament.pairs("few pairs", 0)
    assert len(rows) == tournament.FEW
    trained, chosen = {row["prompt"] for row in rows}, set(tournament.VALIDATION)
    assert not trained & chosen
    assert not (trained | chosen) & set(world.prompts("test"))


def test_the_finalists_are_dpo_and_the_four_best_of_the_named_problem(monkeypatch):
    def point(method, seed, objective):
        told = {"problem": tournament.NAMED, "method": method, "seed": seed}
        return {"point": told, "result": {"objective": objective}}

    worth = {method: i / 10 for i, method in enumerate(tournament.METHODS)}
    points = [point(m, seed, worth[m] + seed) for m in worth for seed in range(2)]
    monkeypatch.setattr(tournament.study, "record", lambda: Record({"points": points}))
    tournament.finalists.cache_clear()
    assert tournament.finalists() == ("dpo", *reversed(tournament.METHODS[-4:]))
    tournament.finalists.cache_clear()


def test_pairs_have_the_quality_and_the_gap_that_were_asked(monkeypatch):
    monkeypatch.setattr(quality_or_gap, "POOL", 4000)
    monkeypatch.setattr(quality_or_gap, "PAIRS", 50)
    quality_or_gap.pool.cache_clear()
    told = quality_or_gap.told(quality_or_gap.pairs(2.0, 1.5, 0))
    quality_or_gap.pool.cache_clear()
    assert told["chosen_found"] == pytest.approx(2.0, abs=0.25)
    assert told["gap_found"] == pytest.approx(1.5, abs=0.3)


def test_labels_follow_the_scores_and_a_bag_of_words_finds_the_word():
    rows = [{"prompt": "p", "chosen": "good book", "rejected": "dull book"}] * 400
    sure = lambda rows: np.array([[50.0, 0.0]] * len(rows))
    assert semi_online.labelled(rows, sure, 0) == rows
    even = lambda rows: np.zeros((len(rows), 2))
    kept = sum(a == b for a, b in zip(semi_online.labelled(rows, even, 0), rows, strict=True))
    assert 150 < kept < 250
    score = semi_online.bag_of_words(rows)
    good, dull = score(rows[:1])[0]
    assert good > 1 > -1 > dull
    assert np.ptp(score([rows[0] | {"chosen": "book", "rejected": "unseen book"}])) == 0


def test_the_loop_that_follows_the_policy_is_dpo(monkeypatch):
    monkeypatch.setattr(semi_online, "STEPS", 2)
    config = TrainConfig(**PRESETS["tiny"] | {"steps": 2, "beta": 0.6})
    found = semi_online.trained(semi_online.truth, 2, world.prompts("train"), config)
    figures = found.quality(world.prompts("test"), seed=0)
    assert 0 < figures["kl"] < 0.1


def test_sign_flips_are_counted():
    assert comparisons.sign_flip_p([1.0, 2.0, 3.0, 4.0, 5.0]) == 2 / 32
    assert comparisons.sign_flip_p([1.0, -1.0]) == 1.0
    assert comparisons.sign_flip_p([0.0, 0.0]) == 1.0
    # sums of +-1 +-1 +-3: 5, 3, 3, 1 and their opposites; 3 or more in 6 of 8
    assert comparisons.sign_flip_p([1.0, -1.0, 3.0]) == 6 / 8
    with pytest.raises(ValueError, match="1 to 20"):
        comparisons.sign_flip_p([])


def test_holm_by_hand():
    np.testing.assert_allclose(comparisons.holm([0.04, 0.01, 0.03]), [0.06, 0.03, 0.06])
    np.testing.assert_allclose(comparisons.holm([0.6, 0.9]), [1.0, 1.0])


def test_the_smallest_difference_is_found_as_often_as_it_says():
    size, rng = comparisons.smallest_seen(2.0, 15), np.random.default_rng(0)
    drawn = rng.normal(size, 2.0, size=(4000, 15))
    statistic = drawn.mean(1) / (drawn.std(1, ddof=1) / 15**0.5)
    assert np.mean(abs(statistic) > 2.1448) == pytest.approx(0.8, abs=0.02)
    assert (
        comparisons.smallest_seen(2.0, 15, level=0.01) > size > comparisons.smallest_seen(2.0, 60)
    )
