"""A power law with a term that nothing removes, fitted to cells of a grid, and what it misses."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PowerLaw:
    """gap = floor + sum_k scale_k (x_k / middle_k)^(-exponent_k): arXiv 2203.15556, eq. 2.

    With K variables x_k and their geometric means `middle_k`, so that scale_k is the part of the
    gap that x_k accounts for in the middle of its range.
    """

    floor: float
    scales: np.ndarray  # (K,)
    exponents: np.ndarray  # (K,)
    middle: np.ndarray  # (K,)
    half_widths: np.ndarray  # (1 + 2 K,): of floor, scales, exponents, 95 %; inf: not determined

    def __call__(self, x) -> np.ndarray:
        """The gap, (P,), at x (P, K)."""
        return _gap(self._parameters(), np.asarray(x, float) / self.middle)

    def _parameters(self) -> np.ndarray:
        return np.concatenate([[self.floor], self.scales, self.exponents])

    def rows(self, names: list[str]) -> dict[str, tuple[float, float]]:
        """Name of a parameter -> value and half-width of its 95 % interval."""
        keys = ["floor", *(f"{n}: scale" for n in names), *(f"{n}: exponent" for n in names)]
        return dict(zip(keys, zip(self._parameters(), self.half_widths, strict=True), strict=True))


def _gap(parameters: np.ndarray, x: np.ndarray) -> np.ndarray:
    scales, exponents = parameters[1:].reshape(2, -1)
    return parameters[0] + (scales * x**-exponents).sum(1)


def fit_power_law(x, gaps, errors) -> PowerLaw:
    """Least squares on the gaps (P,) of P cells at x (P, K), each weighed by its standard error.

    Scales and floor are not negative, exponents between 0 and 3. The intervals are those of a
    linearised fit, widened where the residuals are larger than the errors say. ValueError for no
    more cells than parameters, or a variable that does not vary.
    """
    from scipy.optimize import least_squares
    from scipy.stats import t

    x, gaps, errors = (np.asarray(v, float) for v in (x, gaps, errors))
    cells, free = len(x), 1 + 2 * x.shape[1]
    if cells <= free or (x.max(0) == x.min(0)).any():
        raise ValueError(f"{cells} cells are too few for {free} parameters, or a variable is fixed")
    middle = np.exp(np.log(x).mean(0))
    misses = lambda p: (_gap(p, x / middle) - gaps) / errors
    bounds = [0.0] * free, [np.inf] * (1 + x.shape[1]) + [3.0] * x.shape[1]
    spread = float(np.ptp(gaps)) / (2 * x.shape[1]) + 1e-9
    starts = [
        np.array([share * gaps.min() + 1e-9] + [spread] * x.shape[1] + [slope] * x.shape[1])
        for share in (0.1, 0.9)
        for slope in (0.2, 0.8)
    ]
    found = min((least_squares(misses, s, bounds=bounds) for s in starts), key=lambda f: f.cost)
    wider = max(1.0, 2 * found.cost / (cells - free))
    half = t.ppf(0.975, cells - free) * np.sqrt(wider * _variances(found.jac))
    scales, exponents = found.x[1:].reshape(2, -1)
    return PowerLaw(float(found.x[0]), scales, exponents, middle, half)


def _variances(jacobian: np.ndarray) -> np.ndarray:
    """Of the parameters; infinite where the cells do not determine them."""
    precision = jacobian.T @ jacobian
    if np.linalg.cond(precision) > 1e12:
        return np.full(len(precision), np.inf)
    return np.diag(np.linalg.inv(precision))


def explained(law, x, gaps) -> float:
    """Share of the variance between cells that a law accounts for; below 0: worse than the mean."""
    gaps = np.asarray(gaps, float)
    return float(1 - ((gaps - law(x)) ** 2).sum() / ((gaps - gaps.mean()) ** 2).sum())


def residuals(law, x, gaps, errors) -> np.ndarray:
    """Gap less the law's, in standard errors of the cell, (P,): beyond 2 it is not explained."""
    return (np.asarray(gaps, float) - law(x)) / np.asarray(errors, float)


def pooled_errors(groups) -> np.ndarray:
    """Standard errors of the means of P groups of S values each, from their common variance, (P,).

    Three seeds tell a mean, but hardly a variance of their own.
    """
    groups = [np.asarray(g, float) for g in groups]
    variance = sum(((g - g.mean()) ** 2).sum() for g in groups) / sum(len(g) - 1 for g in groups)
    return np.array([math.sqrt(variance / len(g)) for g in groups])
