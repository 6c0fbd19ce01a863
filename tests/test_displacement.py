"""What pushes a chosen response, and the figures that chapter 09 draws of it."""

import copy

import matplotlib
import numpy as np
import pytest
import torch

from dpo_from_scratch import world
from dpo_from_scratch.doctor import hooks
from dpo_from_scratch.lab.figures import ch09
from dpo_from_scratch.lab.records import Record
from dpo_from_scratch.models import frozen_copy, pad_id
from dpo_from_scratch.studies import displacement, squeezing
from dpo_from_scratch.studies.reading_curves import pairs_of
from dpo_from_scratch.tokens import encode_rows

matplotlib.use("Agg")
KIND = "one adjective differs"


def test_the_first_rows_are_the_same_whatever_the_number():
    for kind in (KIND, "any two replies", "the words are shuffled"):
        assert pairs_of(kind, 3, 8)[:4] == pairs_of(kind, 3, 4)


def test_a_push_is_what_a_small_step_does(tiny):
    model, tokenizer = copy.deepcopy(tiny[0]).double(), tiny[1]
    script, rows = hooks.load_script("plain_loop.py"), pairs_of(KIND, 1, 5)
    pair, others, reference = rows[0], rows[1:], frozen_copy(model)
    found = displacement.pushes(script, model, reference, tokenizer, [pair], others)
    score = lambda of: script["score"](of, script["collate"]([pair], tokenizer))[0].item()
    for by, name in (([pair], "own"), (others, "batch")):
        moved, eta = copy.deepcopy(model), 1e-7
        anchors = script["score"](reference, script["collate"](by, tokenizer))
        scores = script["score"](moved, script["collate"](by, tokenizer))
        script["loss"](*scores, *(a.detach() for a in anchors)).mean().backward()
        with torch.no_grad():
            for weight in moved.parameters():
                weight -= eta * weight.grad
        expected = eta * script["BETA"] * found[name][0]
        assert score(moved) - score(model) == pytest.approx(expected, rel=0.02)


def test_an_untrained_policy_ties_with_its_reference(tiny):
    model, tokenizer = tiny
    examples = encode_rows(tokenizer, pairs_of(KIND, 1, 6))[0]
    told = displacement.unseen_scores(model, model, examples, pad_id(tokenizer))
    assert told["chosen"] == told["rejected"] == told["chosen_fell"] == 0
    assert told["ordered"] == 0.5


def test_the_figures_show_what_they_are_given():
    told = [
        {"chosen": -1.0, "rejected": -2.0, "kl": 0.5},
        {"chosen": -2.0, "rejected": -3.0, "kl": 1.0},
    ]
    result = {"steps": [1, 2], "told": told, "true_reward": 0.5}
    points = [
        {"point": {"beta": 1.0, "learning_rate": 0.1, "seed": s}, "result": result}
        for s in range(3)
    ]
    record = Record({"points": points})
    curves = ch09.over_the_run(record, "chosen", beta=1.0)
    assert curves.tolist() == [[-1.0, -2.0]] * 3
    assert ch09.intervals(curves) == [(-1.0, 0.0), (-2.0, 0.0)]
    where = {"beta": 1.0, "learning_rate": 0.1}
    figure = ch09.dial_frame(record, where, lambda kl, seed: (-kl, -2 * kl))
    assert "β 1.0" in figure.axes[0].get_title()
    found = {"steps": [1, 2], "chosen": curves, "rejected": curves, "optimum": np.zeros((3, 2, 2))}
    panels = {"a": found, "b": found}
    figure = ch09.log_ratios_beside_the_optimum(panels)
    assert [ax.get_title() for ax in figure.axes] == ["a", "b"]
    assert figure.axes[0].lines[0].get_ydata().tolist() == [-1.0, -2.0]
    assert ch09.told([1.0, np.nan]) is None
    assert ch09.told([1.0, 1.0]) == (1.0, 0.0)


def test_another_authors_pairs_are_less_likely_for_the_house(tiny):
    rows = squeezing.rows_of("another author", 1, 40)
    logps = [world.REVIEWS.log_probs(r["prompt"], [r["rejected"]])[0] for r in rows]
    own = pairs_of("any two replies", 1, 40)
    assert np.mean(logps) < np.mean(
        [world.REVIEWS.log_probs(r["prompt"], [r["rejected"]])[0] for r in own]
    )


def test_a_sharper_model_has_likelier_top_tokens(tiny):
    model, tokenizer = tiny
    sharp = copy.deepcopy(model)
    with torch.no_grad():
        sharp.transformer.ln_f.weight *= 2
    examples = [pair[0] for pair in encode_rows(tokenizer, pairs_of(KIND, 1, 4))[0]]
    plain, sharper = (squeezing.top_token(m, examples, pad_id(tokenizer)) for m in (model, sharp))
    assert 0 < plain < sharper < 1


def test_the_change_of_a_run_that_squeezed():
    figures = {"true_reward": 1.0, "kl": 0.0, "rejected_logp": -9.0}
    sides = {"before": figures | {"entropy": 5.0}, "after": figures | {"entropy": 3.0, "kl": 0.5}}
    result = sides | {"chosen": -1.0, "rejected": -8.0}
    record = Record({"points": [{"point": {"arm": "DPO", "seed": 0}, "result": result}]})
    found = ch09.where_mass_went(record, arm="DPO")
    assert found["entropy"].tolist() == [-2.0]
    assert found["kl"].tolist() == [0.5]
    assert found["worth_after"].tolist() == [1.0]
    assert found["rejected"].tolist() == [-8.0]
