"""Every loss pinned three ways: closed-form values, gradients against finite differences, and a
public implementation's numbers.
"""

import inspect
import json
import math
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dpo_from_scratch import losses
from dpo_from_scratch.losses import LOSSES, without_reference

GOLDEN = json.loads(Path(__file__).with_name("golden_losses.json").read_text())
LN2 = math.log(2)
PAIR_LOSSES = [name for name, row in LOSSES.items() if row.needs == "pairs"]
LABEL_LOSSES = [name for name, row in LOSSES.items() if row.needs == "labels"]
WITH_REFERENCE = [name for name in PAIR_LOSSES if "reference" in LOSSES[name].inputs]


def t(*values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype)


def call(name, chosen, rejected, ref_chosen=None, ref_rejected=None, lengths=None, **options):
    """A loss of the registry on log-probabilities, with what it needs besides them."""
    row = LOSSES[name]
    zero = torch.zeros_like(chosen)
    options = row.defaults | options
    if row.needs == "labels":
        desirable = torch.arange(len(chosen)) % 2 == 0
        return row.fn(
            chosen,
            zero if ref_chosen is None else ref_chosen,
            desirable,
            torch.tensor(0.2),
            **options,
        )
    if "lengths" in row.inputs:
        a, b = lengths or (
            torch.full_like(chosen, 5.0).detach(),
            torch.full_like(chosen, 7.0).detach(),
        )
        options |= {"chosen_lengths": a, "rejected_lengths": b}
    reference = (
        [zero if x is None else x for x in (ref_chosen, ref_rejected)]
        if "reference" in row.inputs
        else []
    )
    return row.fn(chosen, rejected, *reference, **options)


def slope(name, m, **options):
    """(value, derivative) of a loss of the margin alone at Delta = m, with beta 1."""
    delta = t(m).requires_grad_()
    zero = torch.zeros(1, dtype=torch.float64)
    loss = LOSSES[name].fn(delta, zero, zero, zero, beta=1.0, **options)
    return loss.item(), torch.autograd.grad(loss.sum(), delta)[0].item()


# ---------------------------------------------------------------- 1. closed-form values


AT_THE_REFERENCE = {
    "dpo": LN2,
    "cdpo": LN2,
    "robust_dpo": LN2,
    "ipo": 1 / (4 * 0.1**2),
    "hinge": 1.0,
    "exo": 0.5 * math.log(0.5 / 0.999) + 0.5 * math.log(0.5 / 0.001),
    "nca": 2 * LN2,
    "apo_zero": 1.0,
    "apo_down": 1.0,
    "sppo": 2 * 500.0**2,
    "bco_pair": 2 * LN2,
    "dno": LN2,
    "soft_dpo": LN2,
    "dpop": LN2,
    "r_dpo": math.log1p(math.exp(0.02)),
    "length_normalized_dpo": LN2,
    "f_dpo": LN2,
    "chi_po": LN2,
    "discopop": 0.5 * LN2 + 0.5,
    "aot": LN2,
}


@pytest.mark.parametrize("name", WITH_REFERENCE)
def test_where_policy_and_reference_agree(name):
    logps = t(-40.25, -3.5)
    loss = call(name, logps, logps - 1, logps, logps - 1)
    torch.testing.assert_close(loss, torch.full_like(loss, AT_THE_REFERENCE[name]))


def test_dpo_is_exactly_ln_2_there_in_float32():
    logps = torch.tensor([-40.25, -3.5])
    loss = losses.dpo(logps, logps - 1, logps, logps - 1, beta=0.7)
    assert (loss == torch.tensor(2.0).log()).all()


def test_dpo_by_hand():
    chosen, rejected, ref_chosen, ref_rejected = (
        t(-10.0, -5.0),
        t(-12.0, -4.0),
        t(-11.0, -6.0),
        t(-11.5, -5.5),
    )
    # Delta = (1.0 - (-0.5), 1.0 - 1.5) = (1.5, -0.5); loss = log(1 + exp(-beta Delta))
    expected = t(math.log1p(math.exp(-0.3)), math.log1p(math.exp(0.1)))
    torch.testing.assert_close(
        losses.dpo(chosen, rejected, ref_chosen, ref_rejected, beta=0.2), expected
    )


def test_only_the_difference_of_log_ratios_counts_and_swapping_the_pair_mirrors_the_margin():
    chosen, rejected, ref_chosen, ref_rejected = t(-9.0), t(-8.0), t(-7.0), t(-6.5)
    shifted = losses.dpo(chosen + 3, rejected + 3, ref_chosen, ref_rejected, beta=0.5)
    torch.testing.assert_close(
        shifted, losses.dpo(chosen, rejected, ref_chosen, ref_rejected, beta=0.5)
    )
    there = losses.dpo(chosen, rejected, ref_chosen, ref_rejected, beta=0.5)
    back = losses.dpo(rejected, chosen, ref_rejected, ref_chosen, beta=0.5)
    torch.testing.assert_close(
        there - back, t(-0.5 * ((-9 + 7) - (-8 + 6.5)))
    )  # softplus(-m) - softplus(m) = -m


def test_cdpo_stops_at_a_finite_margin_and_its_floor_is_the_entropy_of_the_noise():
    value, gradient = slope("cdpo", math.log(9), label_smoothing=0.1)
    assert value == pytest.approx(0.325083, abs=1e-6)
    assert gradient == pytest.approx(0, abs=1e-12)
    assert (
        slope("cdpo", 3.0, label_smoothing=0.1)[1] > 0 > slope("cdpo", 1.0, label_smoothing=0.1)[1]
    )


@given(st.floats(-5, 5), st.floats(0, 0.45))
def test_robust_dpo_averages_over_flips_to_dpo_on_clean_labels(m, eps):
    kept, turned = (
        slope("robust_dpo", m, label_smoothing=eps)[0],
        slope("robust_dpo", -m, label_smoothing=eps)[0],
    )
    assert (1 - eps) * kept + eps * turned == pytest.approx(slope("dpo", m)[0], abs=1e-9)


def test_robust_dpo_never_stops_and_becomes_negative():
    value, gradient = slope("robust_dpo", 20.0, label_smoothing=0.1)
    assert value == pytest.approx(-2.5, abs=1e-6)
    assert gradient < 0


def test_ipo_pulls_to_its_margin_from_both_sides_and_sums_and_means_need_different_tau():
    zero = t(0.0)
    for h in (4.0, 5.0, 6.0):
        chosen = t(h).requires_grad_()
        losses.ipo(chosen, zero, zero, zero, tau=0.1).backward()
        assert chosen.grad.item() == pytest.approx(2 * (h - 5))
    lengths = t(8.0)
    mean = losses.ipo(
        t(4.0), zero, zero, zero, tau=0.4, chosen_lengths=lengths, rejected_lengths=lengths
    )
    torch.testing.assert_close(mean, losses.ipo(t(4.0), zero, zero, zero, tau=0.05) / 64)


def test_hinge_has_one_slope_and_then_none():
    assert slope("hinge", 0.5) == (0.5, -1.0)
    assert slope("hinge", 1.5) == (0.0, 0.0)


def test_exo_is_zero_at_its_target_and_the_reverse_kl_around_it():
    target = math.log(0.9 / 0.1)
    value, gradient = slope("exo", target, label_smoothing=0.1)
    assert value == pytest.approx(0, abs=1e-12)
    assert gradient == pytest.approx(0, abs=1e-12)
    s = 1 / (1 + math.exp(-1))
    assert slope("exo", 1.0, label_smoothing=0.1)[1] == pytest.approx(s * (1 - s) * (1 - target))


def test_discopop_starts_uphill():
    value, gradient = slope("discopop", 0.0, tau=0.05)
    assert value == pytest.approx(0.84657, abs=1e-5)
    assert gradient == pytest.approx(0.7843, abs=1e-4)
    value, gradient = slope("discopop", -0.11857, tau=0.05)
    assert value == pytest.approx(0.7859, abs=1e-4)
    assert gradient == pytest.approx(0, abs=1e-3)
    assert slope("discopop", 0.07201, tau=0.05)[1] == pytest.approx(0, abs=1e-3)


def test_dno_with_a_hard_label_is_dpo_and_with_a_half_one_rests_at_the_reference():
    assert slope("dno", 1.3) == slope("dpo", 1.3)
    assert slope("dno", 0.0, win_probability=0.5)[1] == pytest.approx(0)
    assert slope("dno", math.log(4), win_probability=0.8)[1] == pytest.approx(0, abs=1e-12)
    zero = t(0.0, 0.0)
    both = losses.dno(t(1.0, 1.0), zero, zero, zero, beta=1.0, win_probability=t(1.0, 0.0))
    torch.testing.assert_close(both[1] - both[0], t(1.0)[0])


def test_soft_dpo_is_cdpo_with_a_share_of_its_own_for_each_pair_and_the_loss_that_dno_has():
    four = t(-9.0, -4.0, -6.0), t(-8.0, -6.5, -7.0), t(-7.0, -5.0, -6.5), t(-6.5, -6.0, -8.0)
    shares = t(0.9, 0.7, 1.0)
    loss = LOSSES["soft_dpo"].fn(*four, beta=0.4, win_probability=shares)
    for i, share in enumerate(shares.tolist()):
        one = [x[i : i + 1] for x in four]
        alone = losses.cdpo(*one, beta=0.4, label_smoothing=1 - share)
        torch.testing.assert_close(loss[i : i + 1], alone)
    torch.testing.assert_close(loss, losses.dno(*four, beta=0.4, win_probability=shares))


def gradient_of(name, rho_w, rho_l, **options):
    """Derivatives by the chosen and the rejected log-ratio."""
    chosen, rejected = t(rho_w).requires_grad_(), t(rho_l).requires_grad_()
    call(name, chosen, rejected, **options).sum().backward()
    return chosen.grad.item(), rejected.grad.item()


def test_nca_rests_at_a_chosen_reward_of_ln_2():
    assert gradient_of("nca", LN2, 0.0, beta=1.0)[0] == pytest.approx(0, abs=1e-12)
    assert gradient_of("nca", LN2, 0.0, beta=1.0)[1] == pytest.approx(0.25)


def test_apo_at_the_reference_pushes_as_its_name_says():
    assert gradient_of("apo_zero", 0.0, 0.0, beta=0.2) == pytest.approx((-0.05, 0.05))
    assert gradient_of("apo_down", 0.0, 0.0, beta=0.2) == pytest.approx((0.0, 0.05))


def test_sppo_is_the_sum_of_two_squares_twice_the_official_mean():
    loss = call("sppo", t(3.0), t(1.0), beta=0.5)
    torch.testing.assert_close(loss, t((3 - 1) ** 2 + (1 + 1) ** 2))
    assert gradient_of("sppo", 1.0, -1.0, beta=0.5) == (0, 0)


@given(st.floats(-4, 4), st.floats(-4, 4), st.floats(-3, 3))
def test_bco_on_pairs_is_at_least_dpo_whatever_delta_is(rho_w, rho_l, delta):
    assert (
        call("bco_pair", t(rho_w), t(rho_l), beta=1.0, delta=delta)
        >= call("dpo", t(rho_w), t(rho_l), beta=1.0) - 1e-9
    ).all()


def test_dpop_puts_its_penalty_inside_and_only_where_the_chosen_response_lost():
    torch.testing.assert_close(
        call("dpop", t(0.5), t(0.1), beta=0.3), call("dpo", t(0.5), t(0.1), beta=0.3)
    )
    expected = math.log1p(math.exp(-0.3 * (-0.02 - 0.1 - 50 * 0.02)))
    torch.testing.assert_close(call("dpop", t(-0.02), t(0.1), beta=0.3), t(expected))


def test_r_dpo_gives_a_longer_winner_its_credit_beforehand():
    short, long = (
        call("r_dpo", t(1.0), t(0.0), lengths=(t(n), t(5.0)), alpha=0.1, beta=1.0)
        for n in (3.0, 9.0)
    )
    torch.testing.assert_close(long, t(math.log1p(math.exp(-1.4))))
    torch.testing.assert_close(short, t(math.log1p(math.exp(-0.8))))


def test_length_normalised_dpo_is_dpo_for_responses_of_one_token():
    one = t(1.0, 1.0)
    args = t(-1.0, -2.0), t(-2.0, -1.0), t(-1.5, -1.5), t(-1.7, -1.2)
    torch.testing.assert_close(
        losses.length_normalized_dpo(*args, beta=0.4, chosen_lengths=one, rejected_lengths=one),
        losses.dpo(*args, beta=0.4),
    )
    there = losses.length_normalized_dpo(
        t(4.0), t(0.0), t(0.0), t(0.0), beta=2.0, chosen_lengths=t(8.0), rejected_lengths=t(3.0)
    )
    torch.testing.assert_close(there, t(math.log1p(math.exp(-1.0))))


def test_f_dpo_goes_from_reverse_to_forward_kl_with_the_papers_alpha():
    args = t(0.7), t(-0.4)
    torch.testing.assert_close(call("f_dpo", *args, divergence="reverse_kl"), call("dpo", *args))
    torch.testing.assert_close(
        call("f_dpo", *args, divergence="alpha", alpha=1e-6),
        call("dpo", *args),
        rtol=1e-5,
        atol=1e-6,
    )
    forward = call("f_dpo", *args, divergence="forward_kl")
    torch.testing.assert_close(call("f_dpo", *args, divergence="alpha", alpha=1.0), forward)
    torch.testing.assert_close(
        forward, t(math.log1p(math.exp(-0.1 * (-math.exp(-0.7) + math.exp(0.4)))))
    )
    js = math.log(2 * math.exp(0.7) / (1 + math.exp(0.7))) - math.log(
        2 * math.exp(-0.4) / (1 + math.exp(-0.4))
    )
    torch.testing.assert_close(
        call("f_dpo", *args, divergence="js"), t(math.log1p(math.exp(-0.1 * js)))
    )
    trl = call(
        "f_dpo", *args, divergence="alpha", alpha=1 - 0.3
    )  # TRL 1.16's alpha is one minus the paper's
    torch.testing.assert_close(
        trl, t(math.log1p(math.exp(-0.1 * (math.exp(0.28) - math.exp(-0.49)) / 0.7)))
    )


def test_chi_po_by_hand_twice_dpo_s_push_at_the_reference_and_its_chi_squared_far_from_it():
    phi = (0.7 + math.exp(0.7)) - (-0.4 + math.exp(-0.4))
    found = call("chi_po", t(0.7), t(-0.4), beta=0.2)
    torch.testing.assert_close(found, t(math.log1p(math.exp(-0.2 * phi))))
    assert gradient_of("chi_po", 0.0, 0.0, beta=0.2) == pytest.approx((-0.2, 0.2))
    assert gradient_of("dpo", 0.0, 0.0, beta=0.2) == pytest.approx((-0.1, 0.1))
    up, down = gradient_of("chi_po", 2.0, -30.0, beta=1e-6)  # the sigmoid's weight is a half
    assert -up / down == pytest.approx(1 + math.exp(2), rel=1e-6)
    single = call("chi_po", *(x.float() for x in (t(30.0, -90.0), t(85.0, 95.0))), beta=0.2)
    assert single.dtype == torch.float32
    assert torch.isfinite(single).all()


def test_chi_po_at_the_optimum_of_reward_less_chi_squared_and_kl_orders_replies_as_the_reward():
    reward, beta = t(2.0, 0.5, -1.0, 0.0), 0.7
    logits = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    exact = {"tolerance_grad": 1e-13, "tolerance_change": 0, "line_search_fn": "strong_wolfe"}
    optimizer = torch.optim.LBFGS([logits], max_iter=200, **exact)
    ref = t(0.1, 0.4, 0.3, 0.2).log()

    def objective():
        optimizer.zero_grad()
        logps = logits.log_softmax(0)
        u = (logps - ref).exp()
        cost = (ref.exp() * (u * u.log() + u**2 / 2)).sum()
        loss = beta * cost - (logps.exp() * reward).sum()
        loss.backward()
        return loss

    optimizer.step(objective)
    logps = logits.log_softmax(0).detach()
    i, j = torch.combinations(torch.arange(4)).T
    found = losses.chi_po(logps[i], logps[j], ref[i], ref[j], beta=beta)
    expected = torch.nn.functional.softplus(reward[j] - reward[i])
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_aot_sorts_both_sides_and_is_dpo_for_one_pair():
    args = [t(3.0, -1.0, 0.5), t(0.0, 0.0, 0.0), t(1.0, 2.0, 0.0), t(0.0, 0.0, 0.0)]
    loss = losses.aot(*args, beta=1.0)
    torch.testing.assert_close(
        loss, torch.nn.functional.softplus(-t(-1.0 - 0.0, 0.5 - 1.0, 3.0 - 2.0))
    )
    one = [a[:1] for a in args]
    torch.testing.assert_close(losses.aot(*one, beta=0.3), losses.dpo(*one, beta=0.3))
    args[0].requires_grad_()
    losses.aot(*args, beta=1.0).sum().backward()
    assert (args[0].grad < 0).all()  # the gradient finds its way back through the sorting


def test_simpo_orpo_and_cpo_by_hand():
    chosen, rejected, a, b = t(-6.0), t(-6.0), t(3.0), t(2.0)
    torch.testing.assert_close(
        losses.simpo(chosen, rejected, a, b, beta=2.0, gamma=0.5),
        t(math.log1p(math.exp(-(2.0 * 1.0 - 0.5)))),
    )
    log_odds = [-2 - math.log(1 - math.exp(-2)), -3 - math.log(1 - math.exp(-3))]
    expected = 2 + 0.1 * math.log1p(math.exp(-(log_odds[0] - log_odds[1])))
    torch.testing.assert_close(losses.orpo(chosen, rejected, a, b, weight=0.1), t(expected))
    torch.testing.assert_close(
        losses.cpo(chosen, rejected - 1, beta=1.0, nll_weight=0.5), t(math.log1p(math.exp(-1)) + 3)
    )
    const = t(-9.0)
    torch.testing.assert_close(
        losses.cpo(chosen, rejected - 1, beta=0.3),
        losses.dpo(chosen, rejected - 1, const, const, beta=0.3),
    )


def test_kto_by_hand():
    rho, desirable = t(0.5, 0.6, 1.4, -1.5), torch.tensor([True, False, True, False])
    kl = losses.kto_kl(t(0.6, -0.2, 0.5, 0.3))
    assert kl.item() == pytest.approx(0.3)
    loss = losses.kto(rho, torch.zeros_like(rho), desirable, kl, beta=0.1)
    assert loss.mean().item() == pytest.approx(0.4825371, abs=1e-6)
    heavy = losses.kto(
        rho,
        torch.zeros_like(rho),
        desirable,
        kl,
        beta=0.1,
        desirable_weight=2.0,
        undesirable_weight=3.0,
    )
    torch.testing.assert_close(heavy, loss * torch.where(desirable, 2.0, 3.0))
    assert losses.kto_kl(t(-1.0, 0.5)).item() == 0  # clamped


def test_kto_stops_pushing_at_both_ends_and_its_steepest_slope_is_a_quarter_of_beta():
    rho = torch.linspace(-80, 80, 161, dtype=torch.float64, requires_grad=True)
    losses.kto(
        rho,
        torch.zeros(161, dtype=torch.float64),
        torch.ones(161, dtype=torch.bool),
        t(0.0)[0],
        beta=0.4,
    ).sum().backward()
    assert rho.grad.abs().max().item() == pytest.approx(0.1)
    assert rho.grad[[0, -1]].abs().max() < 1e-12


def test_bco_and_its_delta():
    logps, desirable = t(1.0, 1.0, 1.0, -1.0), torch.tensor([True, True, True, False])
    delta = losses.class_mean_delta(logps, desirable)
    assert delta.item() == 0  # the mean of the class means; over all rows it would be 0.5
    loss = losses.bco(logps, torch.zeros_like(logps), desirable, delta, beta=1.0)
    torch.testing.assert_close(loss, torch.full_like(loss, math.log1p(math.exp(-1))))
    assert losses.class_mean_delta(
        logps + 2, desirable, before=3.0, momentum=0.9
    ).item() == pytest.approx(0.9 * 3 + 0.1 * 2)
    assert losses.class_mean_delta(
        logps + 2, desirable, before=3.0, momentum=0.0
    ).item() == pytest.approx(2)
    assert losses.class_mean_delta(logps, torch.ones(4, dtype=torch.bool)).dtype == torch.float64
    moved = losses.bco(logps, t(0.5, 0.5, 0.5, 0.5), desirable, 0.3, beta=2.0)
    torch.testing.assert_close(
        moved, t(*[math.log1p(math.exp(-0.7))] * 3, math.log1p(math.exp(-3.3)))
    )
    assert losses.class_mean_delta(
        logps, torch.ones(4, dtype=torch.bool), before=0.7
    ).item() == pytest.approx(0.7)
    assert losses.class_mean_delta(logps, torch.zeros(4, dtype=torch.bool)).item() == 0
    assert not losses.class_mean_delta(logps.requires_grad_(), desirable).requires_grad


def test_weights_are_the_odds_that_a_prompt_comes_from_the_liked_ones():
    groups, desirable = (
        torch.zeros(160, 2),
        torch.arange(160) < 80,
    )  # 80 liked, 80 not, in two kinds of prompts
    groups[:60, 0] = groups[60:80, 1] = groups[80:100, 0] = groups[100:, 1] = 1.0
    weights = losses.underlying_distribution_weights(groups, desirable, low=0.1)
    assert (weights[:80] == 1).all()
    torch.testing.assert_close(
        weights[80:100], torch.full((20,), 3.0), rtol=0.03, atol=0
    )  # 60 of 80 against 20 of 80
    torch.testing.assert_close(weights[100:], torch.full((60,), 1 / 3), rtol=0.03, atol=0)
    groups[:79], groups[80:81], groups[81:] = (
        torch.tensor([1.0, 0]),
        torch.tensor([1.0, 0]),
        torch.tensor([0, 1.0]),
    )
    assert (
        losses.underlying_distribution_weights(groups, desirable)[80] == 10
    )  # one foreigner among the liked: clipped


def test_log_of_the_rest_is_exact_near_one_and_near_zero_in_float32():
    log_p = torch.tensor([-1e-6, -1e-4, -0.5, -0.7, -3.0, -30.0])
    expected = torch.log(-torch.expm1(log_p.double()))
    torch.testing.assert_close(
        without_reference._log_of_the_rest(log_p).double(), expected, rtol=1e-5, atol=1e-12
    )


def test_underlying_distribution_weights():
    rng = torch.Generator().manual_seed(0)
    features, desirable = torch.randn(400, 3, generator=rng), torch.arange(400) % 4 == 0
    alike = losses.underlying_distribution_weights(features, desirable)
    assert (alike[desirable] == 1).all()
    assert alike[~desirable].mean().item() == pytest.approx(
        1, abs=0.15
    )  # prompts of both classes alike, whatever their numbers
    features[:, 0] += 4 * desirable
    apart = losses.underlying_distribution_weights(features, desirable)
    assert (
        apart.min() == 0.5
    )  # a disliked text whose prompt is foreign to the liked ones counts less
    near = (~desirable) & (features[:, 0] > 2)
    assert apart[near].mean() > apart[~desirable].mean()


# ---------------------------------------------------------------- 2. gradients


@pytest.mark.parametrize("name", PAIR_LOSSES)
def test_gradient_of_pairs_against_finite_differences(name):
    torch.manual_seed(0)
    inputs = [(-12 + 2 * torch.randn(5, dtype=torch.float64)).requires_grad_() for _ in range(4)]
    for options in (
        [{"divergence": d} for d in ("reverse_kl", "forward_kl", "js", "alpha")]
        if name == "f_dpo"
        else [{}]
    ):
        assert torch.autograd.gradcheck(lambda *x, o=options: call(name, *x, **o), inputs)


@pytest.mark.parametrize("name", LABEL_LOSSES)
def test_gradient_of_labels_against_finite_differences(name):
    torch.manual_seed(0)
    logps, ref = (
        (-12 + 2 * torch.randn(5, dtype=torch.float64)).requires_grad_() for _ in range(2)
    )
    assert torch.autograd.gradcheck(lambda a, b: call(name, a, None, b), (logps, ref))


def test_gradient_of_dpo_is_the_papers():
    torch.manual_seed(0)
    inputs = [(10 * torch.randn(5, dtype=torch.float64)).requires_grad_() for _ in range(4)]
    gradients = torch.autograd.grad(losses.dpo(*inputs, beta=0.3).sum(), inputs)
    delta = (inputs[0] - inputs[2]) - (inputs[1] - inputs[3])
    weight = torch.sigmoid(
        -0.3 * delta
    )  # sigmoid(r_l - r_w): large where the pair is ranked wrongly
    for gradient, sign in zip(gradients, (-1, 1, 1, -1), strict=True):
        torch.testing.assert_close(gradient, sign * 0.3 * weight.detach())


@pytest.mark.parametrize("name", [n for n in WITH_REFERENCE if n not in ("discopop", "apo_down")])
def test_at_the_reference_every_loss_wants_the_margin_to_grow_but_two(name):
    chosen, rejected = gradient_of(name, 0.0, 0.0)
    assert chosen < 0 < rejected


# ---------------------------------------------------------------- 3. a public implementation


@pytest.mark.parametrize("name", GOLDEN["pairs"])
def test_public_code_gives_the_same_on_pairs(name):
    inputs, golden = {k: t(*v) for k, v in GOLDEN["inputs"].items()}, GOLDEN["pairs"][name]
    four = [
        inputs[k]
        for k in ("chosen_logps", "rejected_logps", "ref_chosen_logps", "ref_rejected_logps")
    ]
    torch.testing.assert_close(
        LOSSES[name.split()[0]].fn(*four, **golden["options"]), t(*golden["loss"])
    )


@pytest.mark.parametrize("name", GOLDEN["no reference"])
def test_trl_gives_the_same_without_a_reference(name):
    inputs, golden = {k: t(*v) for k, v in GOLDEN["inputs"].items()}, GOLDEN["no reference"][name]
    two = [inputs["chosen_logps"], inputs["rejected_logps"]]
    lengths = (
        [inputs["chosen_lengths"], inputs["rejected_lengths"]]
        if "lengths" in LOSSES[name].inputs
        else []
    )
    torch.testing.assert_close(
        LOSSES[name].fn(*two, *lengths, **golden["options"]), t(*golden["loss"])
    )


def test_trl_gives_the_same_for_kto():
    inputs, golden = {k: t(*v) for k, v in GOLDEN["inputs"].items()}, GOLDEN["labels"]["kto"]
    logps = torch.cat([inputs["chosen_logps"], inputs["rejected_logps"]])
    ref = torch.cat([inputs["ref_chosen_logps"], inputs["ref_rejected_logps"]])
    kl = losses.kto_kl(
        inputs["rejected_logps"].flip(0) - (inputs["ref_rejected_logps"].flip(0) - 1.5)
    )
    assert kl.item() == pytest.approx(golden["kl"])
    loss = losses.kto(logps, ref, torch.arange(16) < 8, kl, **golden["options"])
    torch.testing.assert_close(loss, t(*golden["loss"]))


# ---------------------------------------------------------------- safety


@pytest.mark.parametrize("name", [*PAIR_LOSSES, *LABEL_LOSSES])
def test_enormous_log_ratios_leave_loss_and_gradient_finite_in_float32(name):
    big = torch.tensor([1e4, -1e4, 1e4, -1e4, 0.0, 0.0], requires_grad=True)
    other = torch.tensor([-1e4, 1e4, 1e4, -1e4, 1e4, 0.0], requires_grad=True)
    if "reference" not in LOSSES[name].inputs:  # log-probabilities themselves: never above zero
        big, other = ((-x.detach().abs()).requires_grad_() for x in (big, other))
    for options in (
        [{"divergence": d} for d in ("reverse_kl", "forward_kl", "js", "alpha")]
        if name == "f_dpo"
        else [{}]
    ):
        big.grad = other.grad = None
        loss = call(name, big, other, **options)
        loss.sum().backward()
        assert torch.isfinite(loss).all()
        assert torch.isfinite(big.grad).all()
        assert other.grad is None or torch.isfinite(other.grad).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_dpo_keeps_the_dtype_and_a_gradient_that_does_not_vanish_when_wrong(dtype):
    big, zero = (
        torch.tensor([1e4, -1e4], dtype=dtype, requires_grad=True),
        torch.zeros(2, dtype=dtype),
    )
    loss = losses.dpo(big, zero, zero, zero, beta=0.5)
    loss.sum().backward()
    assert loss.dtype == dtype
    torch.testing.assert_close(
        loss.detach(), torch.tensor([0.0, 5000.0], dtype=dtype), atol=1e-6, rtol=0.01
    )
    torch.testing.assert_close(big.grad, torch.tensor([0.0, -0.5], dtype=dtype))


def test_single_tokens_and_certain_responses_are_safe():
    one = torch.ones(3)
    certain = torch.tensor([0.0, -1e-9, -1e-3], requires_grad=True)
    for name in ("orpo", "simpo", "length_normalized_dpo", "r_dpo"):
        certain.grad = None
        loss = call(name, certain, torch.tensor([-5.0, 0.0, -1e-9]), lengths=(one, one))
        loss.sum().backward()
        assert torch.isfinite(loss).all()
        assert torch.isfinite(certain.grad).all()


def test_batches_that_are_all_good_or_all_bad():
    logps, zero = t(0.5, -0.5), t(0.0, 0.0)
    for label in (True, False):
        desirable = torch.tensor([label, label])
        assert torch.isfinite(
            losses.kto(logps, zero, desirable, losses.kto_kl(logps), beta=0.1)
        ).all()
        assert torch.isfinite(
            losses.bco(logps, zero, desirable, losses.class_mean_delta(logps, desirable), beta=0.1)
        ).all()


# ---------------------------------------------------------------- what is refused


ONE, TWO = torch.zeros(1), torch.zeros(2)


@pytest.mark.parametrize("name", WITH_REFERENCE)
def test_shapes_that_would_broadcast_are_refused(name):
    row = LOSSES[name]
    lengths = (
        {"chosen_lengths": ONE + 1, "rejected_lengths": ONE + 1} if "lengths" in row.inputs else {}
    )
    for position in range(4):
        mixed = [TWO if i == position else ONE for i in range(4)]
        with pytest.raises(ValueError, match="share one shape"):
            row.fn(*mixed, **row.defaults | lengths)


@pytest.mark.parametrize("name", [n for n in LOSSES if "beta" in LOSSES[n].defaults])
def test_a_beta_that_is_not_positive_is_refused(name):
    for beta in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="beta must be positive"):
            call(name, ONE, ONE, beta=beta)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cdpo", {"label_smoothing": 0.5}, "below 0.5"),
        ("cdpo", {"label_smoothing": -0.1}, "at least 0"),
        ("robust_dpo", {"label_smoothing": 0.5}, "below 0.5"),
        ("exo", {"label_smoothing": 0.0}, "above 0"),
        ("exo", {"label_smoothing": 0.5}, "below 0.5"),
        ("ipo", {"tau": 0.0}, "tau must be positive"),
        ("discopop", {"tau": 1.0}, "tau must be below 1"),
        ("discopop", {"tau": 0.0}, "tau must be positive"),
        ("dno", {"win_probability": 1.5}, "between 0 and 1"),
        ("dno", {"win_probability": -0.5}, "between 0 and 1"),
        ("soft_dpo", {"win_probability": 1.5}, "between 0 and 1"),
        ("dpop", {"penalty": -1.0}, "penalty"),
        ("f_dpo", {"divergence": "chi"}, "divergence is"),
        ("orpo", {"weight": -0.1}, "weight"),
        ("cpo", {"nll_weight": -1.0}, "nll"),
        ("dno", {"win_probability": torch.ones(1, 1)}, r"^win_.* one number or \(B,\)"),
        ("bco_pair", {"delta": torch.zeros(1)}, r"^delta must be one number"),
        ("f_dpo", {"alpha": 0.0}, "alpha must be positive"),
    ],
)
def test_options_out_of_range_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        call(name, ONE, ONE, **options)


@pytest.mark.parametrize("name", [n for n in PAIR_LOSSES if "lengths" in LOSSES[n].inputs])
def test_lengths_that_are_missing_or_make_no_sense_are_refused(name):
    row, four = LOSSES[name], [ONE] * (4 if "reference" in LOSSES[name].inputs else 2)
    good = {"chosen_lengths": ONE + 3, "rejected_lengths": ONE + 3}
    wrongs = (
        (None, r"^chosen_lengths and .* are needed"),
        (ONE, r"^a response has at least one token"),
        (TWO + 1, "share one shape"),
    )
    for wrong, message in wrongs:
        for key in good:
            with pytest.raises(ValueError, match=message):
                row.fn(*four, **row.defaults | good | {key: wrong})


def test_ipo_wants_both_lengths_or_none():
    for key in ("chosen_lengths", "rejected_lengths"):
        with pytest.raises(ValueError, match="are needed"):
            losses.ipo(ONE, ONE, ONE, ONE, **{key: ONE + 1})


def test_labels_that_make_no_sense_are_refused():
    good = torch.tensor([True])
    for fn, number in ((losses.kto, torch.tensor(0.0)), (losses.bco, 0.0)):
        with pytest.raises(ValueError, match="bool"):
            fn(ONE, ONE, ONE, number)
        with pytest.raises(ValueError, match="share one shape"):
            fn(ONE, TWO, good, number)
        with pytest.raises(ValueError, match="share one shape"):
            fn(TWO, ONE, good, number)
        with pytest.raises(ValueError, match="share one shape"):
            fn(ONE, ONE, torch.tensor([True, False]), number)
    with pytest.raises(ValueError, match=r"^KTO needs batches of two rows or more"):
        losses.kto_kl(ONE)
    for kl in (torch.tensor(-0.1), torch.tensor(1.0, requires_grad=True), torch.tensor([0.1])):
        with pytest.raises(ValueError, match=r"^kl must be one detached number"):
            losses.kto(ONE, ONE, good, kl)
    with pytest.raises(ValueError, match=r"^weights need rows of both classes"):
        losses.underlying_distribution_weights(torch.zeros(2, 1), torch.tensor([True, True]))
    with pytest.raises(ValueError, match="momentum"):
        losses.class_mean_delta(ONE, good, momentum=1.0)


# ---------------------------------------------------------------- the registry


def test_registry_rows_are_complete_and_their_defaults_are_those_of_the_functions():
    for name, row in LOSSES.items():
        assert row.needs in ("pairs", "labels", "texts"), name
        assert row.title
        assert row.equation
        assert re.fullmatch(r"\d{4}\.\d{5}", row.paper) or name in ("cdpo", "soft_dpo"), (
            "an arXiv id; cDPO is a note"
        )
        assert set(row.inputs) <= {"reference", "lengths", "kl", "delta", "win_probability"}
        parameters = inspect.signature(row.fn).parameters
        for key, value in row.defaults.items():
            assert parameters[key].default == value, f"{name}: {key}"
        assert row.paper in inspect.getsource(row.fn) or name == "sft", (
            f"{name}: its docstring names the paper"
        )
    assert losses.nll(torch.tensor([-2.5])).item() == 2.5
    with pytest.raises(ValueError, match="share one shape"):
        losses.nll(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="share one shape"):
        losses.cpo(ONE, TWO)


def test_what_is_wrong_with_shapes_lengths_and_batches_is_said_in_whole_sentences():
    one, two = torch.zeros(1), torch.zeros(2)
    with pytest.raises(ValueError, match=r"one shape \(B,\), got \[\(1,\), \(2,\)\]$"):
        losses.cpo(one, two)
    needed = "are needed: the tokens of each response, end-of-text included$"
    with pytest.raises(ValueError, match=needed):
        losses.simpo(one, one, None, None)
    with pytest.raises(
        ValueError, match="rows or more: a prompt is scored with another row's resp"
    ):
        losses.kto_kl(one)


# name: (paper, defaults, inputs), in order; a signature compared with itself proves nothing
REGISTRY = {
    "dpo": ("2305.18290", {"beta": 0.1}, ("reference",)),
    "cdpo": (
        "ericmitchell.ai/cdpo.pdf",
        {"beta": 0.1, "label_smoothing": 0.1},
        ("reference",),
    ),
    "robust_dpo": ("2403.00409", {"beta": 0.1, "label_smoothing": 0.1}, ("reference",)),
    "ipo": ("2310.12036", {"tau": 0.1}, ("reference",)),
    "hinge": ("2309.06657", {"beta": 0.1}, ("reference",)),
    "exo": ("2402.00856", {"beta": 0.1, "label_smoothing": 1e-3}, ("reference",)),
    "nca": ("2402.05369", {"beta": 0.01}, ("reference",)),
    "apo_zero": ("2408.06266", {"beta": 0.1}, ("reference",)),
    "apo_down": ("2408.06266", {"beta": 0.1}, ("reference",)),
    "sppo": ("2405.00675", {"beta": 1e-3}, ("reference",)),
    "bco_pair": ("2404.04656", {"beta": 0.1}, ("reference", "delta")),
    "dno": ("2404.03715", {"beta": 0.1}, ("reference", "win_probability")),
    "soft_dpo": ("ericmitchell.ai/cdpo.pdf", {"beta": 0.1}, ("reference", "win_probability")),
    "dpop": ("2402.13228", {"beta": 0.3, "penalty": 50.0}, ("reference",)),
    "r_dpo": ("2403.19159", {"beta": 0.1, "alpha": 0.01}, ("reference", "lengths")),
    "length_normalized_dpo": ("2411.15124", {"beta": 5.0}, ("reference", "lengths")),
    "f_dpo": (
        "2309.16240",
        {"beta": 0.1, "divergence": "reverse_kl", "alpha": 0.5},
        ("reference",),
    ),
    "chi_po": ("2407.13399", {"beta": 0.1}, ("reference",)),
    "discopop": ("2406.08414", {"beta": 0.05, "tau": 0.05}, ("reference",)),
    "aot": ("2406.05882", {"beta": 0.01}, ("reference",)),
    "simpo": ("2405.14734", {"beta": 2.0, "gamma": 1.0}, ("lengths",)),
    "orpo": ("2403.07691", {"weight": 0.1}, ("lengths",)),
    "cpo": ("2401.08417", {"beta": 0.1, "nll_weight": 0.0}, ()),
    "kto": (
        "2402.01306",
        {"beta": 0.1, "desirable_weight": 1.0, "undesirable_weight": 1.0},
        ("reference", "kl"),
    ),
    "bco": ("2404.04656", {"beta": 0.1}, ("reference", "delta")),
    "sft": ("2203.02155", {}, ()),
}


def test_the_registry_holds_each_loss_with_the_paper_s_defaults_and_what_it_must_be_handed():
    found = {name: (loss.paper, loss.defaults, loss.inputs) for name, loss in LOSSES.items()}
    assert list(found) == list(REGISTRY)
    assert found == REGISTRY
    needs = {name: loss.needs for name, loss in LOSSES.items() if loss.needs != "pairs"}
    assert needs == {"kto": "labels", "bco": "labels", "sft": "texts"}
    for loss in LOSSES.values():
        assert loss.title
        assert loss.equation
