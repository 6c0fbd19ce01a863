"""Losses that look at the whole batch (chapter 11), and DPO held to another model (05)."""

import pytest
import torch
from torch.testing import assert_close

from dpo_from_scratch.losses import LOSSES, dpo
from dpo_from_scratch.studies import batch_losses, other_references


def four(n: int = 6) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return [-20 + torch.randn(n, generator=rng, dtype=torch.float64) for _ in range(4)]


def test_dr_dpo_weighs_a_pair_by_its_loss():
    chosen, *rest = four()
    given, temper = chosen.clone().requires_grad_(), 0.2
    loss = batch_losses.dr_dpo(temper)(given, *rest, beta=0.6)
    assert loss.shape == given.shape
    (slope,) = torch.autograd.grad(loss.mean(), given)
    alone = chosen.clone().requires_grad_()
    each = dpo(alone, *rest, beta=0.6)
    (own,) = torch.autograd.grad(each.sum(), alone)
    assert_close(slope, own * torch.softmax(-each.detach() / temper, 0))


def test_dr_dpo_at_a_large_temper_is_dpo():
    mean = dpo(*four(), beta=0.6).mean()
    assert_close(batch_losses.dr_dpo(1e6)(*four(), beta=0.6).mean(), mean, rtol=1e-5, atol=0)


def test_beta_dpo_raises_beta_where_the_gap_is_above_its_average():
    rows, used, before = [row[:5] for row in four()], [], 0.0
    gap = (rows[0] - rows[2]) - (rows[1] - rows[3])
    loss = batch_losses.beta_dpo(0.6, used, seed=0)
    for sign in (1, 1, -1):
        turned = rows if sign > 0 else [rows[1], rows[0], rows[3], rows[2]]
        found = loss(*turned, beta=0.6)
        kept = found > 0
        assert kept.sum() == 4  # one of five pairs is left out
        before = 0.9 * before + 0.1 * sign * gap.mean().item()
        beta = 0.6 * (1 + 0.6 * ((sign * gap)[kept].mean().item() - before))
        assert used[-1] == pytest.approx(beta, rel=1e-5)
        assert_close(found.mean(), dpo(*turned, beta=beta)[kept].mean(), rtol=1e-5, atol=0)


def test_beta_dpo_leaves_the_unusual_pair_out_most_often():
    chosen, *rest = [torch.zeros(10) for _ in range(4)]
    out = torch.zeros(10)
    for seed in range(40):
        loss = batch_losses.beta_dpo(0.6, [], seed)
        for _ in range(40):  # until the averages stand
            found = loss(chosen + torch.tensor([0.1] * 9 + [3.0]), *rest)
        out += found == 0
    assert out[9] > 30
    assert out[:9].max() < 20
    assert torch.isfinite(batch_losses.beta_dpo(0.6, [], 0)(chosen, *rest)).all()


def interrupted():
    with batch_losses.entered("dr_dpo", dpo):
        assert LOSSES["dr_dpo"].inputs == ("reference",)
        raise KeyboardInterrupt


def test_a_loss_leaves_the_registry_again_when_its_run_fails():
    names = list(LOSSES)
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(LOSSES) == names


def test_the_model_that_a_run_is_held_to():
    assert other_references.model_for("itself") is None
    shipped = other_references.model_for("shipped")
    assert not any(p.requires_grad for p in shipped.parameters())
