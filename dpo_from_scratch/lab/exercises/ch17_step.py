"""Chapter 17's key cell: a round of exact DNO."""

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


def scaled(shares):
    """Shares that add up to 1."""
    return shares / shares.sum()


def dno_step(now, P, eta, *, turned=False, start="now", price="divides", norm=True, log=False):
    """The policy after one round of exact DNO, shares (N,)."""
    won = (P.T if turned else P) @ now
    steps = {"divides": won / eta, "multiplies": won * eta, "none": won}[price]
    even = np.full(len(now), 1 / len(now))
    grown = (now if start == "now" else even) * np.exp(steps)
    shares = scaled(grown) if norm else grown
    return np.log(shares) if log else shares


def whole(ask, cases) -> str:
    """Shares that don't add up to 1."""
    for case in cases:
        found = values.numbers(ask(case))
        if found is not None and abs(found.sum() - 1) > 1e-3:
            return f"shares must add up to 1; for one input yours add up to {found.sum():.3g}."
    return ""


def _games():
    rng = np.random.default_rng(17)
    for n, eta in ((3, 0.35), (4, 0.8), (3, 2.2), (3, 0.6)):
        upper = np.triu(rng.uniform(0.1, 0.9, (n, n)), 1)
        P = upper + np.tril(1 - upper.T, -1) + 0.5 * np.eye(n)
        yield {"now": scaled(rng.uniform(0.1, 1, n)), "P": P, "eta": eta}


def logit(p: np.ndarray) -> np.ndarray:
    """Log-odds of shares."""
    return np.log(p / (1 - p))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Shares of log-odds."""
    return 1 / (1 + np.exp(-x))


def fitted(now: np.ndarray, P: np.ndarray) -> np.ndarray:
    """Bradley-Terry scores, fitted to the games that the policy's own replies play."""
    return exact.fit_bradley_terry(np.outer(now, now) * P, prior=1e-6).scores


# what stands in the place of a reply's win rate -> how it is said
REWARDS = {
    "a reply plays against even shares, not against the present policy.": lambda now, P: P.mean(1),
    "the win rates are added up over the opponents, without their shares.":
        lambda now, P: P.sum(1),
    "a reply's easiest opponent counts alone; the policy plays all of its replies.":
        lambda now, P: P.max(1),
    "a reply's hardest opponent counts alone; the policy plays all of its replies.":
        lambda now, P: P.min(1),
    "only the policy's most frequent reply is the opponent; it plays all of its replies.":
        lambda now, P: P[:, now.argmax()],
    "the win rates have become log-odds; they are rewards as they stand.":
        lambda now, P: logit(P @ now),
    "the table has become log-odds; its win rates are rewards as they stand.":
        lambda now, P: logit(P) @ now,
    "the win rates have become odds, p / (1 − p); they are rewards as they stand.":
        lambda now, P: P @ now / (1 - P @ now),
    "the table has become odds, p / (1 − p); its win rates are rewards as they stand.":
        lambda now, P: (P / (1 - P)) @ now,
    "a logarithm of the win rates is taken; they are rewards as they stand.":
        lambda now, P: np.log(P @ now),
    "a σ is taken of the win rates; they are probabilities already.":
        lambda now, P: sigmoid(P @ now),
    "a σ is taken of the table; it holds probabilities already.": lambda now, P: sigmoid(P) @ now,
    "each win rate is multiplied by the reply's own share before the step.":
        lambda now, P: now * (P @ now),
    "each win rate against even shares is multiplied by the reply's own share.":
        lambda now, P: now * P.mean(1),
    "each win rate is divided by the reply's own share before the step.":
        lambda now, P: P @ now / now,
    "the step is twice as long as asked (are the win rates stretched from 0…1 to -1…1?).":
        lambda now, P: 2 * (P @ now),
    "the step is half as long as asked: is something divided by 2?": lambda now, P: P @ now / 2,
    "the win rates are divided by the number of replies: the shares weigh them already.":
        lambda now, P: P @ now / len(now),
    "a reply doesn't play against itself, in yours; there it wins one half, and that counts.":
        lambda now, P: P @ now - now / 2,
    "a reply plays against the others alone; the policy gives it itself, too, and then it wins "
    "one half.": lambda now, P: (P @ now - now / 2) / (1 - now),
    "only whether a reply wins more than it loses counts, in yours; asked is how often it wins.":
        lambda now, P: (P @ now > 0.5) * 1.0,
    "the table is rounded to 0 and 1; asked is how often a reply wins.":
        lambda now, P: (P > 0.5) @ now,
    "the win rates have become ranks; they are rewards as they stand.":
        lambda now, P: (P @ now).argsort().argsort() * 1.0,
    "the rewards are scaled to a spread of 1; the win rates are rewards as they stand.":
        lambda now, P: (P @ now - (P @ now).mean()) / (P @ now).std(),
    "the win rates have become Bradley-Terry rewards: that is a round of iterated DPO.": fitted,
    "the opponent is the grammar, whatever the present policy is.": lambda now, P: P @ GRAMMAR,
}  # fmt: skip
# other steps, of (now, win rates, eta)
STEPS = {
    "η is left out.": lambda now, won, eta: scaled(now * np.exp(won)),
    "the present shares stand in the exponent as they are, not as logarithms.":
        lambda now, won, eta: scaled(np.exp(now + won / eta)),
    "η divides the logarithm of the present shares, too.":
        lambda now, won, eta: scaled(np.exp((np.log(now) + won) / eta)),
    "all goes to the reply that wins most; a Gibbs step leaves something to each.":
        lambda now, won, eta: np.eye(len(now))[np.argmax(won)],
    "the win rates multiply the shares as they are: the exponential is missing.":
        lambda now, won, eta: scaled(now * won),
    "the exponential is missing: the step is only its straight beginning, 1 + r/η.":
        lambda now, won, eta: scaled(now * (1 + won / eta)),
    "the exponential is missing: the step is only its straight beginning.":
        lambda now, won, eta: now * (1 + (won - won @ now) / eta),
    "the present policy is left out: those are the exponentials of the rewards alone.":
        lambda now, won, eta: np.exp(won / eta),
    "both η and the present policy are left out: that is a softmax of the win rates.":
        lambda now, won, eta: scaled(np.exp(won)),
    "those are the win rates; the step is missing.": lambda now, won, eta: won,
    "those are the win rates, divided by their sum; the step is missing.":
        lambda now, won, eta: scaled(won),
    "that is the present policy: it doesn't move.": lambda now, won, eta: now,
    "η multiplies the logarithm of the present shares, where it should divide the win rates.":
        lambda now, won, eta: scaled(now**eta * np.exp(won)),
    "the present policy goes in twice: squared.":
        lambda now, won, eta: scaled(now**2 * np.exp(won / eta)),
    "the new policy is mixed with the present one.":
        lambda now, won, eta: (now + scaled(now * np.exp(won / eta))) / 2,
    "the shares and the exponentials are added up; they are multiplied.":
        lambda now, won, eta: scaled(now + np.exp(won / eta)),
    "the rewards are added to the shares themselves; they are added to their logarithms.":
        lambda now, won, eta: scaled(now + won / eta),
    "the rewards, less their mean, are added to the shares themselves; they are added to their "
    "logarithms.": lambda now, won, eta: now + (won - won.mean()) / eta,
    "the shares go through a softmax after they were made: divide them by their sum.":
        lambda now, won, eta: scaled(np.exp(now * np.exp(won / eta))),
    "a softmax is taken twice: the shares of the first are final.":
        lambda now, won, eta: scaled(np.exp(scaled(now * np.exp(won / eta)))),
    "the logarithm of the present shares is to base 10; the exponential needs the natural one.":
        lambda now, won, eta: scaled(np.exp(np.log10(now) + won / eta)),
    "the logarithm of the present shares is to base 2; the exponential needs the natural one.":
        lambda now, won, eta: scaled(np.exp(np.log2(now) + won / eta)),
    "2 to a power stands in place of e to it.":
        lambda now, won, eta: scaled(now * 2 ** (won / eta)),
    "10 to a power stands in place of e to it.":
        lambda now, won, eta: scaled(now * 10 ** (won / eta)),
    "the root of η divides the win rates; η itself should.":
        lambda now, won, eta: scaled(now * np.exp(won / np.sqrt(eta))),
    "1 + η divides the win rates and the logarithms; η divides the win rates, and nothing else.":
        lambda now, won, eta: scaled((now * np.exp(won)) ** (1 / (1 + eta))),
    "the right shares, but sorted: each must stand in its reply's place.":
        lambda now, won, eta: np.sort(scaled(now * np.exp(won / eta))),
    "that is by how much each share changes; the new shares are asked.":
        lambda now, won, eta: scaled(now * np.exp(won / eta)) - now,
    "that is each share over its old one; the new shares are asked.":
        lambda now, won, eta: scaled(now * np.exp(won / eta)) / now,
    "the shares are divided by the largest; divide by their sum.":
        lambda now, won, eta: now * np.exp(won / eta) / (now * np.exp(won / eta)).max(),
    "the step leaves from the grammar, not from the present policy.":
        lambda now, won, eta: scaled(GRAMMAR * np.exp(won / eta)),
}  # fmt: skip
WRONGS = [
    *((why, lambda *a, f=f: f(a[0], a[1] @ a[0], a[2])) for why, f in STEPS.items()),
    *((why, lambda now, P, eta, f=f: scaled(now * np.exp(f(now, P) / eta)))
      for why, f in REWARDS.items()),
    ("that is two rounds.", lambda now, P, eta: dno_step(dno_step(now, P, eta), P, eta)),
    ("each opponent gets an exponential of its own, and these are averaged: the mean over "
     "the opponents comes first.", lambda now, P, eta: scaled(now * (np.exp(P / eta) @ now))),
    ("the grammar is both opponent and start; both are the present policy.",
     lambda now, P, eta: scaled(GRAMMAR * np.exp(P @ GRAMMAR / eta))),
    ("the start and the opponent are even shares; both are the present policy.",
     lambda now, P, eta: scaled(np.exp(P.mean(1) / eta))),
    ("it takes the chapter's table; take the argument `P`.",
     lambda now, P, eta: dno_step(now, panel(), eta)),
    ("that is how often the best reply beats the policy; asked are the next policy's shares.",
     lambda now, P, eta: (P @ now).max()),
    ("that is the number of the reply that wins most; asked are shares.",
     lambda now, P, eta: (P @ now).argmax()),
]  # fmt: skip


class Step(Function):
    """With four replies, too; what stumbles there is looked at with three."""

    def tried(self, attempt):
        """The grammar, or the chapter's table, has three."""
        said = super().tried(attempt)
        if said.state != "form":
            return said
        threes = [case for case in self.cases if len(case["now"]) == 3]
        small = Function(self.right, threes, self.switches, self.wrongs, atol=self.atol)
        also = small.tried(attempt)
        return also if also.state == "wrong" else said


STEP = Step(
    dno_step,
    list(_games()),
    switches={
        "turned": (
            True,
            "the replies that lose gain: P is read the wrong way round, or a sign is turned.",
        ),
        "start": ("even", "the step leaves from even shares, not from the present policy."),
        "price": ("multiplies", "a larger η must make a shorter step; yours makes a longer one."),
        "norm": (False, "the shares don't add up to 1."),
        "log": (True, "those are log-probabilities; shares are asked."),
    },
    wrongs=WRONGS,
    traits=[whole],
    shows="The Gibbs step of chapter 03: win rates are rewards, the last policy is the reference.",
    atol=6e-4,
)
