"""Preference theory where every reply can be listed, in NumPy and float64.

Bradley-Terry, the KL objective, its Gibbs optimum. Vectors of shape (N,) have an entry for each of
the N replies to one prompt. Log-probabilities are in nats, rewards in log-odds.
"""

from dataclasses import dataclass

import numpy as np


def preferences(rewards: np.ndarray) -> np.ndarray:
    """Bradley-Terry: P[i, j] = sigmoid(r_i - r_j), (N, N), how often i is preferred to j.

    arXiv 2305.18290, eq. 1. P[i, j] + P[j, i] = 1, and a constant added to all rewards changes
    nothing.
    """
    rewards = np.asarray(rewards)
    return 0.5 * (1 + np.tanh((rewards[:, None] - rewards[None, :]) / 2))


def ceiling(probs: np.ndarray, preferred: np.ndarray) -> tuple[float, float]:
    """(accuracy, loss) that no model can beat on fresh labels of two replies from `probs` (N,).

    `preferred` (N, N) is P[i, j]. The accuracy is the mean of max(P, 1 - P), the loss the mean
    entropy of a label in nats. Pairs of a reply with itself are left out.
    """
    weight = np.outer(probs, probs)
    np.fill_diagonal(weight, 0.0)
    weight /= weight.sum()
    surprise = -np.log(np.where(preferred > 0, preferred, 1.0))
    return float((weight * np.maximum(preferred, 1 - preferred)).sum()), float(
        2 * (weight * preferred * surprise).sum()
    )


@dataclass(frozen=True)
class Fit:
    """Scores (N,) and their covariance (N, N).

    Scores add up to zero within each connected group of replies; only differences mean anything.
    """

    scores: np.ndarray
    covariance: np.ndarray

    def standard_error(self, i: int, j: int) -> float:
        """Standard error of scores[i] - scores[j], two replies of one group."""
        c = self.covariance
        return float(np.sqrt(c[i, i] + c[j, j] - 2 * c[i, j]))


def fit_bradley_terry(wins: np.ndarray, prior: float = 0.0) -> Fit:
    """Scores that make the counted choices likeliest.

    argmax of sum wins[i, j] log sigmoid(s_i - s_j) - prior/2 sum s_i^2. `wins` (N, N) counts how
    often i was chosen over j; fractions are fine. Newton's method. Without a prior a maximum exists
    only if no reply or group of replies always wins (Ford 1957); otherwise ValueError, since scores
    would grow for ever.
    """
    wins = np.asarray(wins)
    if wins.ndim != 2 or wins.shape[0] != wins.shape[1] or (wins < 0).any() or prior < 0:
        raise ValueError(
            "wins must be counts of shape (N, N) and the prior not negative, "
            f"got {wins.shape} and {prior}"
        )
    reach = _reaches(wins > 0)
    if prior == 0 and (reach != reach.T).any():
        raise ValueError(
            "some replies win every comparison with the others, so their scores are infinite: "
            "give a prior > 0"
        )
    games, scores = wins + wins.T, np.zeros(len(wins))
    # ones here fill the one direction that no choice can see: a constant for a whole group
    group = _reaches(games > 0)
    for _ in range(100):
        p = preferences(scores)
        weight = games * p * (1 - p)
        covariance = np.linalg.inv(np.diag(weight.sum(1) + prior) - weight + group)
        step = covariance @ ((wins - games * p).sum(1) - prior * scores)
        scores = scores + step
        if np.abs(step).max() < 1e-9:
            return Fit(scores, covariance)
    raise ValueError("Newton's method did not settle in 100 steps: give a larger prior")


def _reaches(edges: np.ndarray) -> np.ndarray:
    """Which of N nodes can be reached from which, themselves included: bool (N, N)."""
    reach = edges | np.eye(len(edges), dtype=bool)
    for _ in range(len(edges).bit_length()):
        reach = reach @ reach
    return reach


def kl(log_p: np.ndarray, log_q: np.ndarray) -> float:
    """KL(p || q) = sum_y p(y) (log p(y) - log q(y)), nats, of log-probabilities (N,).

    0 log 0 is 0.
    """
    p = np.exp(log_p)
    return float(p[p > 0] @ (log_p - log_q)[p > 0])


def objective(
    log_policy: np.ndarray, log_ref: np.ndarray, rewards: np.ndarray, beta: float
) -> float:
    """E_pi[r] - beta KL(pi || pi_ref): what RLHF maximises, for listed replies (N,).

    arXiv 2305.18290, eq. 3.
    """
    return float(np.exp(log_policy) @ rewards) - beta * kl(log_policy, log_ref)


@dataclass(frozen=True)
class Gibbs:
    """The optimum over N listed replies: log_probs (N,), log_Z, mean_reward, kl (nats)."""

    log_probs: np.ndarray
    log_Z: float
    mean_reward: float
    kl: float


def gibbs(log_ref: np.ndarray, rewards: np.ndarray, beta: float) -> Gibbs:
    """pi* = pi_ref exp(r / beta) / Z over N listed replies, for any reference.

    arXiv 2305.18290, eq. 4. `log_ref` (N,) may come from the grammar or from a neural model; what
    it gives to texts outside the list is left out and the rest renormalised. ValueError on shapes
    that differ or beta <= 0.
    """
    log_ref, rewards = np.asarray(log_ref), np.asarray(rewards)
    if log_ref.shape != rewards.shape or log_ref.ndim != 1 or not beta > 0:
        raise ValueError(
            "need log_ref and rewards of one shape (N,) and beta > 0, "
            f"got {log_ref.shape}, {rewards.shape}, {beta}"
        )
    log_ref = log_ref - np.logaddexp.reduce(log_ref)
    log_Z = float(np.logaddexp.reduce(log_ref + rewards / beta))
    log_probs = log_ref + rewards / beta - log_Z
    return Gibbs(log_probs, log_Z, float(np.exp(log_probs) @ rewards), kl(log_probs, log_ref))


def exploitability(probs: np.ndarray, preferred: np.ndarray) -> float:
    """max_y P(y > pi): how often the best reply beats a policy (N,) in the game P (N, N).

    0.5 at a Nash policy, never less.
    """
    return float((preferred @ probs).max())
