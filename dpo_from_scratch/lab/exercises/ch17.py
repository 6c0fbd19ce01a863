"""Chapter 17, the preference game: a round of exact DNO, averages of rounds, Nash-MD."""

from functools import cache

import numpy as np

from ... import exact, world
from . import Function, values

PROMPT = "film : how was the plot ?"
OPENINGS = ("the plot was lovely .", "the plot was dull .", "it was my second time .")
GRAMMAR = np.array(world.HOUSE.first)


@cache
def panel() -> np.ndarray:
    """The chapter's table, (3, 3)."""
    return np.array([[world.panel(PROMPT, a, b) for b in OPENINGS] for a in OPENINGS])


# ---------------------------------------------------------------- 17.0: a round of exact DNO
def dno_step(now, P, eta, *, reward="wins", start="now", price="divides", norm=True, log=False):
    """The policy after one round of exact DNO, shares (N,)."""
    even = np.full(len(now), 1 / len(now))
    won = {
        "wins": lambda: P @ now,
        "loses": lambda: P.T @ now,
        "even": lambda: P @ even,
        "best": lambda: P.max(1),
        "odds": lambda: np.log(P @ now / (1 - P @ now)),
        "own share": lambda: now * (P @ now),
        "own sum": lambda: P.sum(1),
        "stretched": lambda: (P @ now - 0.5) * 2,
    }[reward]()
    steps = {"divides": won / eta, "multiplies": won * eta, "none": won}[price]
    begin = {"now": np.log(now), "even": np.log(even), "no log": now}[start]
    shares = np.exp(begin + steps)
    shares = shares / shares.sum() if norm else shares
    return np.log(shares) if log else shares


def _scaled(shares):
    return shares / shares.sum()


def whole(ask, cases) -> str:
    """Shares that don't add up to 1."""
    for case in cases:
        found = values.numbers(ask(case))
        if found is not None and abs(found.sum() - 1) > 1e-3:
            return f"shares must add up to 1; for one input yours add up to {found.sum():.3g}."
    return ""


def _games():
    rng = np.random.default_rng(17)
    for n, eta in ((3, 0.7), (4, 1.6), (3, 3.0)):
        upper = np.triu(rng.uniform(0.1, 0.9, (n, n)), 1)
        P = upper + np.tril(1 - upper.T, -1) + 0.5 * np.eye(n)
        yield {"now": _scaled(rng.uniform(0.1, 1, n)), "P": P, "eta": eta}


STEP = Function(
    dno_step,
    list(_games()),
    switches={
        "reward": (
            "loses",
            "the replies that lose gain: P is read the wrong way round, or a sign is turned.",
        ),
        "start": ("even", "the step leaves from even shares, not from the present policy."),
        "price": ("multiplies", "a larger η must make a shorter step; yours makes a longer one."),
        "norm": (False, "the shares don't add up to 1."),
        "log": (True, "those are log-probabilities; shares are asked."),
    },
    wrongs=[
        ("η is left out.", lambda *a: dno_step(*a, price="none")),
        ("a reply plays against even shares, not against the present policy.",
         lambda *a: dno_step(*a, reward="even")),
        ("the win rates are added up over the opponents, without their shares.",
         lambda *a: dno_step(*a, reward="own sum")),
        ("a reply's easiest opponent counts alone; the policy plays all of its replies.",
         lambda *a: dno_step(*a, reward="best")),
        ("the win rates have become log-odds; they are rewards as they stand.",
         lambda *a: dno_step(*a, reward="odds")),
        ("each win rate is multiplied by the reply's own share before the step.",
         lambda *a: dno_step(*a, reward="own share")),
        ("the step is twice as long as asked (are the win rates stretched from 0…1 to -1…1?).",
         lambda *a: dno_step(*a, reward="stretched")),
        ("the present shares stand in the exponent as they are, not as logarithms.",
         lambda *a: dno_step(*a, start="no log")),
        ("η divides the logarithm of the present shares, too.",
         lambda now, P, eta: _scaled(np.exp((np.log(now) + P @ now) / eta))),
        ("all goes to the reply that wins most; a Gibbs step leaves something to each.",
         lambda now, P, eta: np.eye(len(now))[np.argmax(P @ now)]),
        ("the win rates multiply the shares as they are: the exponential is missing.",
         lambda now, P, eta: _scaled(now * (P @ now))),
        ("the exponential is missing: the step is only its straight beginning, 1 + r/η.",
         lambda now, P, eta: _scaled(now * (1 + P @ now / eta))),
        ("the present policy is left out: those are the exponentials of the rewards alone.",
         lambda now, P, eta: np.exp(P @ now / eta)),
        ("those are the win rates; the step is missing.", lambda now, P, eta: P @ now),
        ("that is the present policy: it doesn't move.", lambda now, P, eta: now),
        ("that is two rounds.", lambda now, P, eta: dno_step(dno_step(now, P, eta), P, eta)),
        ("the win rates have become Bradley-Terry rewards: that is a round of iterated DPO.",
         lambda now, P, eta: _scaled(now * np.exp(exact.fit_bradley_terry(
             np.outer(now, now) * P, prior=1e-6).scores / eta))),
        ("η multiplies the logarithm of the present shares, where it should divide the win rates.",
         lambda now, P, eta: _scaled(now**eta * np.exp(P @ now))),
        ("the present policy goes in twice: squared.",
         lambda now, P, eta: _scaled(now**2 * np.exp(P @ now / eta))),
        ("the new policy is mixed with the present one.",
         lambda now, P, eta: (now + dno_step(now, P, eta)) / 2),
        ("each opponent gets an exponential of its own, and these are averaged: the mean over "
         "the opponents comes first.", lambda now, P, eta: _scaled(now * (np.exp(P / eta) @ now))),
    ],
    traits=[whole],
    shows="The Gibbs step of chapter 03: win rates are rewards, the last policy is the reference.",
    atol=6e-4,
)  # fmt: skip


# ---------------------------------------------------------------- 17.1: the average of rounds
def rounds_of(eta, rounds, turned=False, fixed=False, rewards=None, inverse=False):
    """Policies of exact DNO with the start, (rounds + 1, 3)."""
    path, table = [GRAMMAR], panel().T if turned else panel()
    for _ in range(rounds):
        now = path[-1]
        won = rewards(now) if rewards else table @ now
        start = np.log(GRAMMAR if fixed else now)
        beta = 1 / eta if inverse else eta
        path.append(np.exp(exact.gibbs(start, won, beta).log_probs))
    return np.array(path)


def fitted(shares):
    """DPO's rewards for pairs of these shares."""
    return exact.fit_bradley_terry(np.outer(shares, shares) * panel(), prior=1e-6).scores


def of_average(
    eta, rounds, *, first=1, more=0, of="average", score="exploitability", **play
) -> float:
    """Exploitability of the average of exact DNO's rounds."""
    path = rounds_of(eta, rounds + more, **play)[first:]
    among = {
        "average": lambda: path.mean(0)[None],
        "last": lambda: path[-1:],
        "each": lambda: path,
        "logs": lambda: _scaled(np.exp(np.log(path).mean(0)))[None],
        "late": lambda: path[len(path) // 2 :].mean(0)[None],
        "middle": lambda: np.median(path, 0)[None],
    }[of]()
    P = panel()
    scores = {
        "exploitability": lambda p: float((P @ p).max()),
        "least": lambda p: float((P @ p).min()),
        "mean": lambda p: float((P @ p).mean()),
        "above half": lambda p: float((P @ p).max() - 0.5),
    }
    return float(np.mean([scores[score](p) for p in among]))


def _best(eta, rounds):
    return min(exact.exploitability(p, panel()) for p in rounds_of(eta, rounds)[1:])


AVERAGE = Function(
    of_average,
    [{"eta": 1.0, "rounds": 14}, {"eta": 0.4, "rounds": 8}, {"eta": 3.0, "rounds": 30}],
    switches={
        "first": (0, "the policy before the first round is in the average."),
        "of": ("last", "that is the last round's figure, not the average policy's."),
        "fixed": (True, "the reference stays at the grammar: here it moves along."),
        "turned": (True, "P is read the wrong way round somewhere: the row beats the column."),
        "inverse": (True, "a larger η must make shorter steps; yours makes longer ones."),
        "more": (-1, "a round is missing."),
    },
    wrongs=[
        ("that is the mean of the rounds' exploitabilities; asked is the exploitability of their "
         "mean policy.", lambda *a: of_average(*a, of="each")),
        ("that is the mean of the rounds' exploitabilities, the start's among them; asked is the "
         "exploitability of a mean policy.", lambda *a: of_average(*a, of="each", first=0)),
        ("the start stands in the average, and the last round doesn't.",
         lambda *a: of_average(*a, first=0, more=-1)),
        ("there is one round too many.", lambda *a: of_average(*a, more=1)),
        ("the first round is left out of the average.", lambda *a: of_average(*a, first=2)),
        ("that is the least exploitable round.", _best),
        ("that is the most exploitable round.",
         lambda *a: max(exact.exploitability(p, panel()) for p in rounds_of(*a)[1:])),
        ("the logarithms of the policies are averaged; asked is the mean of their shares.",
         lambda *a: of_average(*a, of="logs")),
        ("only the later half of the rounds is averaged.", lambda *a: of_average(*a, of="late")),
        ("that is the median of the rounds, not their mean.",
         lambda *a: of_average(*a, of="middle")),
        ("those are iterated DPO's rounds: rewards fitted by Bradley-Terry, not win rates.",
         lambda *a: of_average(*a, rewards=fitted)),
        ("that is how far it lies above one half; how often the best reply wins is asked.",
         lambda *a: of_average(*a, score="above half")),
        ("that is one half for any policy (the mean over all replies, or the policy against "
         "itself); the best reply's win rate is asked.", lambda *a: of_average(*a, score="mean")),
        ("that is the worst reply's win rate, not the best one's.",
         lambda *a: of_average(*a, score="least")),
    ],
    shows="A small η soon averages whole turns; a large one needs more rounds and ends nearer.",
    rtol=0.0,
    atol=6e-4,
)  # fmt: skip


# ---------------------------------------------------------------- 17.2: Nash-MD
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
    price="eta",
    turned=False,
    more=0,
    gives="policy",
):
    """The policy after so many rounds of Nash-MD from the grammar, (3,)."""
    now, path, P = GRAMMAR, [], panel().T if turned else panel()
    a = {"alpha": alpha, "other": 1 - alpha}[part]
    beta = {"eta": eta, "both": alpha * eta, "alpha": alpha, "inverse": 1 / eta}[price]
    for _ in range(rounds + more):
        mix = now ** (1 - a) * GRAMMAR**a if mean == "geometric" else (1 - a) * now + a * GRAMMAR
        mix = _scaled(mix) if whole else mix
        of = {"mix": mix, "now": now, "grammar": GRAMMAR}
        now = np.exp(exact.gibbs(np.log(of[start]), P @ of[against], beta).log_probs)
        path.append(now)
    if gives == "log":
        return np.log(now)
    return {"policy": now, "mix": mix, "average": np.mean(path, 0)}[gives]


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
        ("a round is missing.", lambda *a: nash_md(*a, more=-1)),
        ("that is a mixture, made after the last step; asked is the policy.",
         lambda *a: nash_md(*a, more=1, gives="mix")),
        ("that is the average of the rounds; asked is the last policy.",
         lambda *a: nash_md(*a, gives="average")),
        ("those are log-probabilities; shares are asked.", lambda *a: nash_md(*a, gives="log")),
        ("a nat is charged at αη in each step; the step itself costs η.",
         lambda *a: nash_md(*a, price="both")),
        ("α stands where η belongs.", lambda *a: nash_md(*a, price="alpha")),
        ("a larger η must make shorter steps; yours makes longer ones.",
         lambda *a: nash_md(*a, price="inverse")),
        ("the opponent is always the grammar.", lambda *a: nash_md(*a, against="grammar")),
        ("each step leaves from the grammar: that is the fixed reference.",
         lambda *a: nash_md(*a, start="grammar")),
        ("each step leaves from the grammar, and the opponent is the policy itself: that is "
         "DNO's rewards with a fixed reference.",
         lambda *a: nash_md(*a, start="grammar", against="now")),
        ("the mixture is nowhere: that is plain DNO.",
         lambda *a: nash_md(*a, start="now", against="now")),
        ("that is how often each reply beats the policy; asked is the policy.",
         lambda *a: panel() @ nash_md(*a)),
    ],
    traits=[whole],
    shows="A geometric mixture with the grammar is an anchor, and the short steps come to rest.",
    rtol=0.0,
    atol=6e-4,
)  # fmt: skip

EXERCISES = {"17.0": STEP, "17.1": AVERAGE, "17.2": NASH_MD}
