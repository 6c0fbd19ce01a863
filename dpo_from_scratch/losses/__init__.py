"""Preference losses: pure functions of log-probabilities, (B,) in and (B,) out, unreduced.

Notation: ell_w, ell_l are the policy's log-probabilities of the chosen and the rejected response
(sums over tokens, nats), rho = ell - ell_ref the log-ratio (no beta), Delta = rho_w - rho_l, r =
beta * rho the implicit reward, m = beta * Delta the margin, |y| a response's tokens, end-of-text
included. All raise ValueError for shapes that differ and options out of range.

`LOSSES` has them all, by name; a loss registers itself in the line above it (registry.py).
"""

from .margin import aot, cdpo, discopop, dno, dpo, exo, hinge, ipo, robust_dpo
from .registry import LOSSES, Loss
from .sides import (
    apo_down,
    apo_zero,
    bco_pair,
    chi_po,
    dpop,
    f_dpo,
    length_normalized_dpo,
    nca,
    r_dpo,
    sppo,
)
from .thumbs import bco, class_mean_delta, kto, kto_kl, underlying_distribution_weights
from .without_reference import cpo, nll, orpo, simpo

# in the order in which chapter 10 shows them; a loss that is not named here comes last
_FIRST = ["dpo", "cdpo", "robust_dpo", "ipo", "hinge", "exo", "nca", "apo_zero", "apo_down", "sppo"]
_FIRST += ["bco_pair", "dno", "soft_dpo", "dpop", "r_dpo", "length_normalized_dpo", "f_dpo"]
_FIRST += ["chi_po", "discopop", "aot", "simpo", "orpo", "cpo", "kto", "bco", "sft"]
for _name in [*_FIRST, *(name for name in list(LOSSES) if name not in _FIRST)]:
    LOSSES[_name] = LOSSES.pop(_name)
