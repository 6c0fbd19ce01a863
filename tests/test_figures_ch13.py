"""Chapter 13's figures and tables show what they were given, or what the record holds."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from dpo_from_scratch.lab.figures import ch13
from dpo_from_scratch.lab.records import Record
from dpo_from_scratch.studies import no_pairs


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def record():
    """Two betas of five seeds, one of two; and KTO at three shares."""
    result = lambda seed, beta: {"kl": seed + 1 / beta, "true_reward": seed + beta, "kl_batch": 0.0}
    same = {"loss": "kto", "source": "thumbs"}
    points = [
        same | {"share": 0.5, "beta": beta, "seed": seed}
        for beta in (2.0, 0.6, 1.0)
        for seed in range(2 if beta == 1.0 else 5)
    ]
    points += [same | {"share": s, "beta": 0.6, "seed": i} for s in (0.9, 0.1) for i in range(3)]
    return Record(
        {"points": [{"point": p, "result": result(p["seed"], p["beta"])} for p in points]}
    )


def test_a_path_has_the_betas_that_every_seed_has(record):
    kl, reward = ch13.path(record, "kto", "thumbs")
    assert ch13.whole_betas(record, "kto", "thumbs") == [0.6, 2.0]
    assert kl.shape == reward.shape == (5, 2)
    assert kl[1].tolist() == pytest.approx([1 + 1 / 0.6, 1.5])  # in the order of the betas
    assert reward[1].tolist() == pytest.approx([1.6, 3.0])


def test_reward_less_kl_of_an_arm_and_of_the_unrepaired_loss_at_one_half(record):
    runs = ch13.uneven_runs(record, "KTO", 0.9)
    assert runs["worth"].tolist() == pytest.approx([-0.4, 0.0, 0.4])
    assert len(ch13.uneven_runs(record, "KTO, weighted", 0.9)["kl"]) == 0
    assert len(ch13.uneven_runs(record, "KTO, weighted", 0.5)["kl"]) == 5


def test_z0_stands_beside_the_kl_of_the_same_runs(record):
    columns = ch13.z0_beside_kl(record)
    assert columns["β"] == ["0.6", "2", "0.6", "0.6"]  # 1.0 has two seeds only
    assert columns["thumbs up"] == ["50%", "50%", "10%", "90%"]
    assert columns["KL at the end"][0][0] == pytest.approx(2 + 1 / 0.6)


def test_the_panels_show_the_numbers_that_they_were_given(record):
    z = np.linspace(-6, 6, 5)
    left, right = ch13.values_and_slopes(z, {"BCO": z, "KTO": -z}, {"BCO": 2 * z}).axes
    assert [line.get_ydata().tolist() for line in left.lines[:2]] == [z.tolist(), (-z).tolist()]
    assert right.lines[0].get_ydata().tolist() == (2 * z).tolist()
    z0, delta, rewards = np.arange(8.0), -np.arange(8.0), -2 * np.arange(8.0)
    kto, bco = ch13.baselines(z0, [4, 6, 8], [1, 2, 3], [0.1] * 3, delta, rewards).axes
    assert kto.lines[0].get_ydata().tolist() == z0.tolist()
    assert kto.containers[0].lines[0].get_ydata().tolist() == [1, 2, 3]
    assert bco.lines[1].get_ydata().tolist() == delta.tolist()
    paths = {(loss, s): ch13.path(record, "kto", "thumbs") for loss, s in no_pairs.BALANCED}
    kto, _ = ch13.under_the_frontier(paths).axes
    assert kto.lines[1].get_ydata().tolist() == pytest.approx([4.0, 2.6])  # by KL


def test_shares_of_thumbs_stand_in_order_with_each_arms_means(record):
    found = {"KTO": {s: ch13.uneven_runs(record, "KTO", s) for s in (0.1, 0.5, 0.9)}}
    reward, kl = ch13.uneven(found, floor=-0.2).axes
    assert reward.containers[0].lines[0].get_ydata() == pytest.approx([1.6, 2.6, 1.6])
    assert kl.containers[0].lines[0].get_ydata() == pytest.approx(np.array([1, 2, 1]) + 1 / 0.6)
    assert [tick.get_text() for tick in kl.get_xticklabels()] == ["10%", "50%", "90%"]


def test_kto_weights_make_both_classes_count_alike_and_rates_stay():
    for share in (0.01, 0.3, 0.7, 0.99):
        up, down = (float(part.split("=")[1]) for part in no_pairs.weights(share).split(","))
        assert share * up == pytest.approx((1 - share) * down)
        assert max(up, down) == 1
    assert no_pairs.best_rate("dpo") == 5e-4  # tune_beyond's points don't count


def test_rates_with_few_thumbs_up_are_those_that_the_record_tuned():
    for case, rate in zip(no_pairs.UNBALANCED, no_pairs.FEW_UP, strict=True):
        assert no_pairs.study.record().best("learning_rate", **case, share=0.1) == rate
