"""Many methods against one: paired tests, corrected for their number, and what they could miss."""

import math
from itertools import product

import numpy as np


def sign_flip_p(differences) -> float:
    """Two-sided p-value of the mean of N paired differences, exact: all 2^N flips of their signs.

    If a difference is as likely to be positive as negative, every flip is as likely as what was
    seen. The smallest p that N pairs can give is 2 / 2^N: five can't reach 0.05. ValueError for
    more than 20.
    """
    differences = np.asarray(differences, float)
    if not 1 <= len(differences) <= 20 or not np.isfinite(differences).all():
        raise ValueError(f"1 to 20 finite differences, not {differences}")
    signs = np.array(list(product((-1.0, 1.0), repeat=len(differences))))
    sums = abs(signs @ differences)
    return float(np.mean(sums >= sums[-1] * (1 - 1e-12)))  # the last flips nothing


def holm(p_values) -> np.ndarray:
    """p-values corrected for their number, Holm's way, in the order given.

    The smallest is multiplied by M, the next by M - 1, ..., none becomes smaller than one before
    it. Below a level, at most a share `level` of such families holds a false finding.
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    raised = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    out = np.empty_like(raised)
    out[order] = raised
    return out


def smallest_seen(deviation: float, n: int, level: float = 0.05, power: float = 0.8) -> float:
    """The smallest true mean of N paired differences that a t-test would find with this `power`.

    deviation: of a difference, over pairs. With M tests, Holm's first step has level / M.
    """
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    edge = t.ppf(1 - level / 2, n - 1)
    found = lambda shift: nct.sf(edge, n - 1, shift)  # the other tail is below 1e-5
    return float(brentq(lambda s: found(s) - power, 1e-6, 12) * deviation / math.sqrt(n))
