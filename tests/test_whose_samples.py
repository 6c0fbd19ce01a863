"""Chapter 15's study: what its controls share with the rounds that they control."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from dpo_from_scratch.lab.figures import ch15
from dpo_from_scratch.lab.records import Record
from dpo_from_scratch.studies import whose_samples


@pytest.mark.parametrize("control", ["the reference, in rounds", "the reference, same rate"])
def test_a_control_samples_the_first_model_in_every_round(control, monkeypatch):
    asked, seen = whose_samples.world.prompts("train"), {}

    def two_rounds(policy, tokenizer, parts, rows_of, config, moving, progress):
        assert (parts, moving) == (4, False)
        first = rows_of(0)
        with torch.no_grad():  # a policy that has moved
            policy.get_output_embeddings().weight.mul_(0.5)
        return [first, rows_of(1)]

    monkeypatch.setattr(whose_samples, "LABELS", 16)
    monkeypatch.setattr(whose_samples, "in_rounds", two_rounds)
    for arm in ("iterated", control):
        seen[arm] = whose_samples.trained(arm, 0.6, 1e-3, asked, seed=0).history
    before, after = seen["iterated"], seen[control]
    assert before[0] == after[0]
    assert before[1] != after[1]


def test_a_control_at_the_same_rate_takes_the_rate_of_what_it_controls():
    rate = whose_samples.best_rate("iterated")
    assert whose_samples.best_rate("the reference, same rate") == rate
    assert [a for a in whose_samples.ARMS if a != "the reference, same rate"] == whose_samples.TUNED


def test_curves_keep_whole_seeds_and_gaps_pair_them():
    points = [
        {"point": {"arm": arm, "beta": beta, "seed": seed}, "result": {"kl": kl, "true_reward": 1}}
        for arm, seeds in {"a": 3, "b": 2}.items()
        for seed in range(seeds)
        for beta, kl in ((2.0, 1.0), (1.0, 4.0))
    ]
    record = Record({"points": points[:-1]})  # b's second seed lacks a beta
    assert ch15.curve(record, "a", "kl").tolist() == [[1.0, 4.0]] * 3
    assert ch15.curve(record, "b", "kl").tolist() == [[1.0, 4.0]]
    found = ch15.gap(Record({"points": points}), "a", "b", 2.0)
    assert np.array_equal(found.values, [0.0, 0.0])
    assert ch15.told(found.values) == (0.0, 0.0)
    assert ch15.told(ch15.gap(Record({"points": points}), "a", "b", 5.0).values) is None
    assert ch15.told([1.0]) is None


def test_no_seed_chooses_the_setting_that_it_is_judged_by():
    rewards = [[1.0, 2.0], [1.5, 2.5], [9.0, 0.0]]  # the last seed alone likes the first setting
    assert ch15.best_by_others(rewards).tolist() == [1.0, 1.5, 0.0]
    with pytest.raises(ValueError, match="two seeds"):
        ch15.best_by_others([[1.0, 2.0]])


def test_a_judge_s_line_by_sync_leaves_out_what_some_seed_does_not_reach():
    earned = {
        "nobody": {128: np.array([1.0, 1.2])},
        "bag": {1: np.array([2.0, 2.2]), 128: np.array([1.0, np.nan])},
    }
    (ax,) = ch15.by_sync(earned | {"rm": {1: np.array([np.nan, 1.0])}}, 3.0).axes
    assert [text.get_text() for text in ax.texts] == ["exact optimum", "nobody", "bag"]
    plt.close("all")


def test_a_line_for_each_way_to_train_and_one_for_texts_as_good_as_the_chosen():
    earned = {name: {-1.0: np.array([0.0, 0.2]), 3.0: np.array([2.0, 2.2])} for name in "abcd"}
    (ax,) = ch15.quality_and_gap(earned, -0.2).axes
    assert [text.get_text() for text in ax.texts][2:] == list("abcd")
    assert ax.lines[0].get_xydata().tolist() == [[-1.0, -1.0], [3.0, 3.0]]
    assert ax.lines[2].get_ydata().tolist() == pytest.approx([0.1, 2.1])
    plt.close("all")
