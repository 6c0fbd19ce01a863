"""Chapter 17: Nash-MD, whose opponent is a mixture."""

from functools import cache

import numpy as np

from . import Function
from .ch17_step import GRAMMAR, fitted, logit, panel, scaled, whole

EVEN = np.full(3, 1 / 3)


def geometric(now, to, weight):
    """The geometric mixture: `to` with this weight."""
    return scaled(now ** (1 - weight) * to**weight)


def gibbs(start, against, eta, turned=False):
    """A Gibbs step from shares, win rates against shares as rewards."""
    return scaled(start * np.exp((panel().T if turned else panel()) @ against / eta))


@cache
def nash_md(
    eta,
    alpha,
    rounds,
    *,
    start="mix",
    against="mix",
    part="alpha",
    mean="geometric",
    whole=True,
    turned=False,
    more=0,
    gives="policy",
):
    """The policy after so many rounds of Nash-MD from the grammar, (3,)."""
    now, path = GRAMMAR, []
    a = alpha if part == "alpha" else 1 - alpha
    for _ in range(rounds + more):
        mix = now ** (1 - a) * GRAMMAR**a if mean == "geometric" else (1 - a) * now + a * GRAMMAR
        mix = scaled(mix) if whole else mix
        of = {"mix": mix, "now": now, "grammar": GRAMMAR}
        now = gibbs(of[start], of[against], eta, turned)
        path.append(now)
    if gives == "log":
        return np.log(now)
    return {"policy": now, "mix": mix, "average": np.mean(path, 0)}[gives]


def rounds_by(step):
    """Nash-MD with another round: step(now, mixture, η, α, path so far) -> the next policy."""

    @cache
    def play(eta, alpha, rounds, even=False):
        path = [EVEN if even else GRAMMAR]
        for _ in range(rounds):
            mix = geometric(path[-1], GRAMMAR, alpha)
            path.append(step(path[-1], mix, eta, alpha, path))
        return path[-1]

    return play


def _both(mixture):
    """A round with another mixture: mixture(now, α, path), both opponent and reference."""

    def step(now, mix, eta, alpha, path):
        other = mixture(now, alpha, path)
        return gibbs(other, other, eta)

    return step


_straight = lambda now, a: (1 - a) * now + a * GRAMMAR
# other rounds
ROUNDS = {
    "a nat is charged at αη in each step; the step itself costs η.":
        lambda now, mix, eta, a, path: gibbs(mix, mix, a * eta),
    "a nat is charged at η/α in each step; the step itself costs η.":
        lambda now, mix, eta, a, path: gibbs(mix, mix, eta / a),
    "a nat is charged at (1 − α)η in each step; the step itself costs η.":
        lambda now, mix, eta, a, path: gibbs(mix, mix, (1 - a) * eta),
    "a nat is charged at η/(1 − α) in each step; the step itself costs η.":
        lambda now, mix, eta, a, path: gibbs(mix, mix, eta / (1 - a)),
    "a nat is charged at η + α in each step; the step itself costs η.":
        lambda now, mix, eta, a, path: gibbs(mix, mix, eta + a),
    "α stands where η belongs.": lambda now, mix, eta, a, path: gibbs(mix, mix, a),
    "a larger η must make shorter steps; yours makes longer ones.":
        lambda now, mix, eta, a, path: gibbs(mix, mix, 1 / eta),
    "η is left out.": lambda now, mix, eta, a, path: gibbs(mix, mix, 1.0),
    "the mixture is with the policy of the round before; π₀ is the grammar in every round.":
        _both(lambda now, a, path: geometric(now, path[max(len(path) - 2, 0)], a)),
    "the mixture is with even shares; π₀ is the grammar.":
        _both(lambda now, a, path: geometric(now, EVEN, a)),
    "each step leaves from even shares; it leaves from the mixture.":
        lambda now, mix, eta, a, path: gibbs(EVEN, mix, eta),
    "the policy stands in the mixture with the power 1; its power is 1 − α.":
        _both(lambda now, a, path: scaled(now * GRAMMAR**a)),
    "the mixture is the even one of the two, whatever α is.":
        _both(lambda now, a, path: geometric(now, GRAMMAR, 0.5)),
    "the mixture is a weighted mean of shares, without a norm or not; asked: a geometric one.":
        _both(lambda now, a, path: _straight(now, a)),
    "the mixture is a harmonic one, of 1 over the shares; asked: a geometric one.":
        _both(lambda now, a, path: scaled(1 / ((1 - a) / now + a / GRAMMAR))),
    "the opponent is a weighted mean of shares; asked: the geometric mixture.":
        lambda now, mix, eta, a, path: gibbs(mix, _straight(now, a), eta),
    "each step leaves from a weighted mean of shares; asked: the geometric mixture.":
        lambda now, mix, eta, a, path: gibbs(_straight(now, a), mix, eta),
    "in the opponent the weights are exchanged: α belongs to the grammar.":
        lambda now, mix, eta, a, path: gibbs(mix, geometric(now, GRAMMAR, 1 - a), eta),
    "where the step starts the weights are exchanged: α belongs to the grammar.":
        lambda now, mix, eta, a, path: gibbs(geometric(now, GRAMMAR, 1 - a), mix, eta),
    "the opponent is the average of the rounds; it is the mixture.":
        lambda now, mix, eta, a, path: gibbs(mix, np.mean(path, 0), eta),
    "the average of the rounds is mixed, not the present policy.":
        _both(lambda now, a, path: geometric(np.mean(path, 0), GRAMMAR, a)),
    "there are two steps in a round; asked is one.":
        lambda now, mix, eta, a, path: gibbs(*[gibbs(mix, mix, eta)] * 2, eta),
    "η divides the logarithm of the mixture, too.":
        lambda now, mix, eta, a, path: gibbs(mix ** (1 / eta), mix, eta),
    "the exponential is missing: the win rates multiply the mixture.":
        lambda now, mix, eta, a, path: scaled(mix * (panel() @ mix)),
    "the exponential is missing: the step is only its straight beginning, 1 + r/η.":
        lambda now, mix, eta, a, path: scaled(mix * (1 + panel() @ mix / eta)),
    "the win rates have become log-odds; they are rewards as they stand.":
        lambda now, mix, eta, a, path: scaled(mix * np.exp(logit(panel() @ mix) / eta)),
    "a logarithm of the win rates is taken; they are rewards as they stand.":
        lambda now, mix, eta, a, path: scaled(mix * np.exp(np.log(panel() @ mix) / eta)),
    "the win rates have become Bradley-Terry rewards; asked are the win rates.":
        lambda now, mix, eta, a, path: scaled(mix * np.exp(fitted(mix, panel()) / eta)),
    "each step is twice as long (are the win rates stretched from 0…1 to -1…1?).":
        lambda now, mix, eta, a, path: gibbs(mix, 2 * mix, eta),
    "the opponent is always the grammar.": lambda now, mix, eta, a, path: gibbs(mix, GRAMMAR, eta),
    "the step leaves from the policy, and the opponent is always the grammar.":
        lambda now, mix, eta, a, path: gibbs(now, GRAMMAR, eta),
    "each step leaves from the grammar: that is the fixed reference.":
        lambda now, mix, eta, a, path: gibbs(GRAMMAR, mix, eta),
    "each step leaves from the grammar, and the opponent is the policy itself: that is "
    "DNO's rewards with a fixed reference.":
        lambda now, mix, eta, a, path: gibbs(GRAMMAR, now, eta),
    "the mixture is nowhere: that is plain DNO.":
        lambda now, mix, eta, a, path: gibbs(now, now, eta),
    "the mixture is nowhere, and the opponent is the grammar.":
        lambda now, mix, eta, a, path: gibbs(GRAMMAR, GRAMMAR, eta),
    "the policy is mixed with the grammar after each step, by shares; asked: before it, and "
    "geometrically.": lambda now, mix, eta, a, path: _straight(gibbs(now, now, eta), a),
}  # fmt: skip


def _growing(eta, alpha, rounds):
    """The mixture of one round is the reference of the next one's."""
    now = ref = GRAMMAR
    for _ in range(rounds):
        ref = geometric(now, ref, alpha)
        now = gibbs(ref, ref, eta)
    return now


def plain(eta, rounds):
    """DNO without a mixture."""
    return rounds_by(ROUNDS["the mixture is nowhere: that is plain DNO."])(eta, 0.0, rounds)


ASKED = "; asked is the last policy, three shares."
ENDS = {
    "a round is missing.": lambda *a: nash_md(*a, more=-1),
    "that is a mixture, made after the last step; asked is the policy.":
        lambda *a: nash_md(*a, more=1, gives="mix"),
    "that is the average of the rounds; asked is the last policy.":
        lambda *a: nash_md(*a, gives="average"),
    "that is the average of the rounds and the start; asked is the last policy.":
        lambda eta, alpha, n: (n * nash_md(eta, alpha, n, gives="average") + GRAMMAR) / (n + 1),
    "that is the mean of the last two rounds; asked is the last policy.":
        lambda *a: (nash_md(*a) + nash_md(*a, more=-1)) / 2,
    "those are log-probabilities; shares are asked.": lambda *a: nash_md(*a, gives="log"),
    "that is how often each reply beats the policy; asked is the policy.":
        lambda *a: panel() @ nash_md(*a),
    "that is DNO, mixed once at the end; each round has its mixture.":
        lambda eta, alpha, n: geometric(plain(eta, n), GRAMMAR, alpha),
    "the mixture of one round is mixed again in the next; π₀ is the grammar in every round.":
        _growing,
    "it begins at even shares; it begins at the grammar.":
        lambda *a: rounds_by(_both(lambda now, alpha, path: geometric(now, GRAMMAR, alpha)))(
            *a, even=True),
    "that is the grammar: nothing has moved (no round, or all rewards alike).": lambda *a: GRAMMAR,
    "a third each, whatever the arguments are: where does it begin, and what is π₀?":
        lambda *a: EVEN,
    "that is how often the best reply beats the policy" + ASKED:
        lambda *a: (panel() @ nash_md(*a)).max(),
    "that is how far the policy can be beaten above one half" + ASKED:
        lambda *a: (panel() @ nash_md(*a)).max() - 0.5,
    "those are the policies of all rounds" + ASKED:
        lambda eta, alpha, n: [nash_md(eta, alpha, t + 1) for t in range(n)],
    "those are the policies of all rounds and the start" + ASKED:
        lambda eta, alpha, n: [GRAMMAR] + [nash_md(eta, alpha, t + 1) for t in range(n)],
}  # fmt: skip


NASH_MD = Function(
    nash_md,
    [
        {"eta": 1.0, "alpha": 0.1, "rounds": 6},
        {"eta": 2.0, "alpha": 0.3, "rounds": 9},
        {"eta": 0.5, "alpha": 0.6, "rounds": 4},
    ],
    switches={
        "start": ("now", "the step leaves from the policy itself, not from the mixture."),
        "against": ("now", "the opponent is the policy itself, not the mixture."),
        "part": ("other", "the weights are exchanged: α belongs to the grammar."),
        "mean": ("arithmetic", "the mixture is a weighted mean of shares; asked: a geometric one."),
        "whole": (False, "the opponent's shares don't add up to 1: the mixture needs a norm."),
        "turned": (True, "the policy runs after replies that lose: P is read the wrong way."),
        "more": (1, "there is one round too many."),
        "gives": ("mix", "that is the mixture of the last round; asked is the policy."),
    },
    wrongs=[
        *ENDS.items(),
        *((why, rounds_by(step)) for why, step in ROUNDS.items()),
    ],
    traits=[whole],
    shows="A geometric mixture with the grammar is an anchor, and the short steps come to rest.",
    rtol=0.0,
    atol=6e-4,
)  # fmt: skip
