"""The DPO loss: closed-form values, gradient against finite differences, limits, and what it refuses."""

import math

import pytest
import torch

from dpo_from_scratch import losses
from dpo_from_scratch.losses import LOSSES


def tensors(*values, dtype=torch.float64):
    return [torch.tensor(v, dtype=dtype) for v in values]


def test_ln_2_exactly_where_policy_and_reference_agree():
    logps = torch.tensor([-40.25, -3.5])
    loss = losses.dpo(logps, logps - 1, logps, logps - 1, beta=0.7)
    assert (loss == torch.tensor(2.0).log()).all()


def test_by_hand():
    chosen, rejected, ref_chosen, ref_rejected = tensors([-10.0, -5.0], [-12.0, -4.0], [-11.0, -6.0], [-11.5, -5.5])
    # Delta = (1.0 - (-0.5), 1.0 - 1.5) = (1.5, -0.5); loss = log(1 + exp(-beta Delta))
    expected = torch.tensor([math.log1p(math.exp(-0.3)), math.log1p(math.exp(0.1))], dtype=torch.float64)
    torch.testing.assert_close(losses.dpo(chosen, rejected, ref_chosen, ref_rejected, beta=0.2), expected)


def test_gradient_is_the_papers_and_that_of_finite_differences():
    torch.manual_seed(0)
    inputs = [(10 * torch.randn(5, dtype=torch.float64)).requires_grad_() for _ in range(4)]
    assert torch.autograd.gradcheck(lambda *x: losses.dpo(*x, beta=0.3), inputs)
    loss = losses.dpo(*inputs, beta=0.3)
    gradients = torch.autograd.grad(loss.sum(), inputs)
    delta = (inputs[0] - inputs[2]) - (inputs[1] - inputs[3])
    weight = torch.sigmoid(-0.3 * delta)  # sigmoid(r_l - r_w): large where the pair is ranked wrongly
    for gradient, sign in zip(gradients, (-1, 1, 1, -1), strict=True):
        torch.testing.assert_close(gradient, sign * 0.3 * weight.detach())


def test_only_the_difference_of_log_ratios_counts_and_swapping_the_pair_mirrors_the_margin():
    chosen, rejected, ref_chosen, ref_rejected = tensors([-9.0], [-8.0], [-7.0], [-6.5])
    shifted = losses.dpo(chosen + 3, rejected + 3, ref_chosen, ref_rejected, beta=0.5)
    torch.testing.assert_close(shifted, losses.dpo(chosen, rejected, ref_chosen, ref_rejected, beta=0.5))
    there = losses.dpo(chosen, rejected, ref_chosen, ref_rejected, beta=0.5)
    back = losses.dpo(rejected, chosen, ref_rejected, ref_chosen, beta=0.5)
    margin = 0.5 * ((-9 + 7) - (-8 + 6.5))
    torch.testing.assert_close(there - back, torch.tensor([-margin], dtype=torch.float64))  # softplus(-m) - softplus(m) = -m


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_finite_for_enormous_log_ratios_with_a_gradient_that_does_not_vanish_when_wrong(dtype):
    big, zero = torch.tensor([1e4, -1e4], dtype=dtype, requires_grad=True), torch.zeros(2, dtype=dtype)
    loss = losses.dpo(big, zero, zero, zero, beta=0.5)
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert loss.dtype == dtype
    torch.testing.assert_close(loss.detach(), torch.tensor([0.0, 5000.0], dtype=dtype), atol=1e-6, rtol=0.01)
    torch.testing.assert_close(big.grad, torch.tensor([0.0, -0.5], dtype=dtype))


def test_refuses_beta_of_zero_and_shapes_that_differ():
    one, two = torch.zeros(1), torch.zeros(2)
    for beta in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="beta must be positive"):
            losses.dpo(one, one, one, one, beta=beta)
    for position in range(4):
        mixed = [two if i == position else one for i in range(4)]
        with pytest.raises(ValueError, match="share one shape"):
            losses.dpo(*mixed)  # would broadcast in silence
    assert losses.dpo(one, one, one, one - 1).item() == losses.dpo(one, one, one, one - 1, beta=0.1).item()
    with pytest.raises(ValueError, match="share one shape"):
        losses.nll(torch.zeros(2, 3))


def test_registry_rows_are_complete_and_call_their_function():
    for name, loss in LOSSES.items():
        assert loss.needs in ("pairs", "labels", "texts"), name
        assert loss.title
        assert loss.equation
        assert len(loss.paper.split(".")) == 2, "an arXiv id"
    row = LOSSES["dpo"]
    assert row.fn is losses.dpo
    assert row.fn(*[torch.zeros(3)] * 4, **row.defaults).tolist() == pytest.approx([math.log(2)] * 3)
    assert losses.nll(torch.tensor([-2.5])).item() == 2.5
