"""A term that a step adds to the loss it was given: a pull towards the chosen responses."""

import torch
from torch import Tensor

from .case import Case


def named_nll(case: Case, seen: Tensor, wanted: Tensor, policy, lengths, more: float) -> bool:
    """Whether `adds_nll` explains a step; then a note says so, and the first loss is explained."""
    if not adds_nll(seen, wanted, policy, lengths, more):
        return False
    case.found.pop("first_loss", None)
    told = "a step adds a pull towards the chosen responses to its loss, as RPO's NLL term"
    case.add("step_differs", told, level="note")
    return True


def adds_nll(
    seen: Tensor, wanted: Tensor, policy: Tensor, lengths: Tensor | None, more: float
) -> bool:
    """Whether a step's pushes (2, N) are the loss's and those of an NLL term on chosen responses.

    Such a term, as in RPO (arXiv 2404.19733), is the mean of -log pi(chosen), or of
    that over the response's length, times a weight. The step's loss must be larger by just that,
    `more`.
    """
    n = seen.shape[1]
    shares = [torch.ones(n).double()] + ([] if lengths is None else [1 / lengths[0]])
    for share in shares:
        pull = torch.stack([-share / n, torch.zeros(n).double()])
        basis = torch.stack([wanted.double().flatten(), pull.flatten()], dim=1)
        target = seen.double().flatten()[:, None]
        found = torch.linalg.lstsq(basis, target, driver="gelsd").solution
        rest = float((basis @ found - target).norm() / target.norm().clamp(min=1e-30))
        factor, weight = found.flatten().tolist()
        due = weight * float((-policy[0].double() * share).mean())
        if rest < 0.03 and abs(factor - 1) < 0.05 and due > 0 and abs(due - more) < 0.05 * due:
            return True
    return False
