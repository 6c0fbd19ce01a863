"""Where BCO comes to rest in chapter 13's mini world, and where it would with mistakes.

The fit to the thumbs of all replies is solved for exactly: replies of one reward move alike.
"""

from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from ... import exact, world
from .answers import Numbers

ODDS, BALANCED, FALL = 1 / 9, 8, 4


class Mini:
    """The replies to the chapter's prompt, and the policy that fits their thumbs best."""

    beta = 0.6

    def __init__(self):
        prompt = world.prompts("test")[0]
        replies = world.MINI.replies(prompt)
        self.log_ref = world.MINI.log_probs(prompt, replies)
        self.reward = world.rewards(prompt, replies)
        self.star = exact.gibbs(self.log_ref, self.reward, self.beta)
        self.kinds, self.kind = np.unique(self.reward, return_inverse=True)
        seen = np.exp(self.log_ref) * expit(self.reward)
        unseen = np.exp(self.log_ref) - seen
        self.up, self.down = seen / seen.sum(), unseen / unseen.sum()

    def score(self, delta: float, odds: float) -> np.ndarray:
        """beta rho - delta (N,) of the best fit to the thumbs of all replies.

        Where the baseline is too low it is that of all replies but the one with what is left.
        """
        full = self.kinds + np.log(odds)
        share = np.bincount(self.kind, np.exp(self.log_ref))

        def at(log_pressure: float) -> np.ndarray:
            low, high = np.full(len(full), -60.0), full.copy()
            for _ in range(28):
                s = (low + high) / 2
                pull = odds * expit(self.kinds) * expit(-s) - expit(-self.kinds) * expit(s)
                more = self.beta * pull > np.exp(log_pressure + (s + delta) / self.beta)
                low, high = np.where(more, s, low), np.where(more, high, s)
            return (low + high) / 2

        asked = lambda s: share @ np.exp((s + delta) / self.beta) - 1
        if asked(full) > 1e-9:
            full = at(brentq(lambda log: asked(at(log)), -30, 10, xtol=1e-4))
        return full[self.kind]

    def rounds(self, middle, odds: float = 1.0, n: int = BALANCED, delta: float = 0.0):
        """delta after n rounds, and the last fit's log-probabilities (N,)."""
        for _ in range(n):
            rho = (self.score(delta, odds) + delta) / self.beta
            delta = float(middle(self, rho))
        return delta, self.log_ref + rho


def _middle(m: Mini, rho) -> float:
    return (m.up + m.down) @ (m.beta * rho) / 2


def _under_the_policy(m: Mini, rho) -> float:
    p, liked = np.exp(m.log_ref + rho), expit(m.reward)
    means = [p * side @ rho / (p @ side) for side in (liked, 1 - liked)]
    return m.beta * sum(means) / 2


mini = cache(Mini)
AT_REST, AWAY, FALLEN = "δ at rest", "KL to π*", "δ with a ninth of the odds"
OTHERS = (
    ("the two class means are added up; δ is their middle.",
     lambda m, rho: 2 * _middle(m, rho)),
    ("the middle of ρ: β is left out.", lambda m, rho: _middle(m, rho) / m.beta),
    ("β goes in twice.", lambda m, rho: _middle(m, rho) * m.beta),
    ("the middle of the rewards; δ is that of βρ.",
     lambda m, rho: (m.up + m.down) @ m.reward / 2),
    ("the mean over all replies; δ is the middle of the two classes' means.",
     lambda m, rho: np.exp(m.log_ref) @ (m.beta * rho)),
    ("that is the mean of the liked replies alone.", lambda m, rho: m.up @ (m.beta * rho)),
    ("that is the mean of the disliked replies alone.", lambda m, rho: m.down @ (m.beta * rho)),
    ("half the difference of the class means; δ is half their sum.",
     lambda m, rho: (m.up - m.down) @ (m.beta * rho) / 2),
    ("the class means are taken under the policy; the thumbs' replies come from the reference.",
     _under_the_policy),
    ("δ goes in with the wrong sign.", lambda m, rho: -_middle(m, rho)),
)  # fmt: skip


@cache
def _resting() -> dict[str, float]:
    delta, log_pi = mini().rounds(_middle)
    fallen = mini().rounds(_middle, ODDS, FALL)[0]
    away = exact.kl(log_pi, mini().star.log_probs)
    return {AT_REST: delta, AWAY: away, FALLEN: fallen}


@cache
def _resting_wrongs() -> list:
    m, told = mini(), []
    for why, middle in OTHERS:
        told.append((AT_REST, m.rounds(middle)[0], why))
    _, log_pi = m.rounds(_middle)
    right = -m.beta * m.star.log_Z
    from_right = lambda n: m.rounds(_middle, ODDS, n, right - np.log(ODDS))[0]
    for n in (2, 3, 4):
        delta, fit = m.rounds(_middle, n=n)
        why = f"that is after {n} rounds; eight are asked."
        told += [(AT_REST, delta, why), (AWAY, exact.kl(fit, m.star.log_probs), why)]
    away = exact.kl
    _, few = m.rounds(_middle, ODDS, FALL)
    fit, star, rest = np.exp(log_pi), np.exp(m.star.log_probs), _resting()[AT_REST]
    fallen, log9 = _resting()[FALLEN], -np.log(ODDS)
    return told + [
        ((AT_REST, FALLEN), (2 * rest, 2 * fallen), "both δ are doubled: half the sum is asked."),
        ((AT_REST, FALLEN), (rest / m.beta, fallen / m.beta), "both δ are divided by β."),
        ((AT_REST, FALLEN), (rest * m.beta, fallen * m.beta), "both δ are multiplied by β."),
        ((AT_REST, FALLEN), 0.0, "δ begins at 0; asked is where it goes."),
        (AT_REST, 0.0, "δ begins at 0; asked is where it goes."),
        (AT_REST, m.beta * m.star.log_Z, "that is β log Z; asked is where BCO's own δ goes."),
        (AT_REST, m.star.log_Z, "that is log Z; asked is where BCO's own δ goes."),
        (AT_REST, -m.star.log_Z, "that is −log Z; asked is where BCO's own δ goes."),
        (AWAY, away(log_pi, m.star.log_probs) + away(m.star.log_probs, log_pi),
         "that is the KL both ways, added up."),
        (AWAY, away(m.log_ref, log_pi), "that is the reference's KL to the fit."),
        (AWAY, m.star.kl - away(log_pi, m.log_ref), "that is a difference of two KLs to the "
         "reference, no KL to π*."),
        (AWAY, abs(fit - star).sum() / 2, "that is half the sum of the differences, no KL."),
        (AWAY, m.star.mean_reward - fit @ m.reward, "that is the reward that is missing, no KL."),
        (AWAY, away(few, m.star.log_probs), "that is the KL with a ninth of the odds."),
        (FALLEN, m.rounds(_middle, ODDS, 2)[0], "that is δ after two rounds; four are asked."),
        (FALLEN, m.rounds(_middle, ODDS, 6)[0], "that is δ after six rounds; four are asked."),
        (FALLEN, m.rounds(_middle, 1 / 8, FALL)[0], "that is with an eighth of the odds."),
        (FALLEN, -log9, "that is the logarithm of a ninth: rounds are to be made."),
        (FALLEN, rest + log9, "that is δ at rest, with log 9 added: rounds are to be made."),
        (FALLEN, rest - log9, "either log 9 is taken off δ at rest, or β goes in twice: make four "
         "rounds."),
        (AT_REST, m.rounds(_middle, n=1)[0], "that is δ after one round: go on with it."),
        (AT_REST, right, "that is -β log Z, where π* is; asked is where BCO's own δ goes."),
        (AT_REST, m.rounds(_middle, n=1, delta=right)[0], "that is the middle at π*, one round."),
        (AWAY, exact.kl(m.star.log_probs, log_pi), "either that is KL(π* || fit), the wrong way "
         "round, or it is after fewer rounds."),
        (AWAY, exact.kl(log_pi, m.log_ref), "that is the KL to the reference, not to π*."),
        (AWAY, m.star.kl, "that is how far π* is from the reference."),
        (AWAY, exact.kl(m.rounds(_middle, n=1)[1], m.star.log_probs), "that is after one round."),
        (AWAY, np.exp(log_pi) @ m.reward, "that is the fit's true reward, no KL."),
        (AWAY, m.beta * exact.kl(log_pi, m.star.log_probs), "that is β times the KL."),
        (AWAY, exact.kl(log_pi, m.star.log_probs) / m.beta, "that is the KL over β."),
        ((AT_REST, AWAY), (_resting()[AT_REST], 3.82),
         "that is with a ninth of the odds; asked is the KL of the eighth fit."),
        (FALLEN, m.rounds(_middle, 9.0, FALL)[0], "that is with nine times the odds."),
        (FALLEN, m.rounds(_middle, n=FALL)[0], "that is with the odds as they are."),
        (FALLEN, m.rounds(_middle, ODDS, 1)[0], "that is the first round's δ."),
        (FALLEN, -1.99, "that is by how much δ moves in the last round; δ itself is asked."),
        (FALLEN, m.rounds(_middle, ODDS, 3)[0], "that is δ after three rounds."),
        (FALLEN, m.rounds(_middle, ODDS, 5)[0], "that is δ after five rounds."),
        (FALLEN, m.rounds(_middle, ODDS, BALANCED)[0], "that is δ after eight rounds."),
        (FALLEN, from_right(FALL), "these rounds began at the right δ; begin at 0."),
        (FALLEN, m.rounds(_middle, ODDS, FALL, _resting()[AT_REST])[0],
         "these rounds began where the first eight ended; begin at 0."),
        (FALLEN, right - np.log(ODDS), "that is the right δ; asked is where BCO's own goes."),
    ] + [(FALLEN, m.rounds(middle, ODDS, FALL)[0], why) for why, middle in OTHERS]  # fmt: skip


def _runs_away(found, answer) -> str:
    if found[AT_REST] < -2:
        return "with the odds as they are δ settles; yours runs away: halve the sum, of βρ."
    return ""


REST = Numbers(
    _resting,
    lambda answer: _resting_wrongs(),
    shows="Balanced thumbs: it stops short of π*. Few thumbs up: δ runs away downwards.",
    tell=_runs_away,
    rtol=0.035,  # below the right δ the fit is not unique, and δ moves by some hundredths
)
