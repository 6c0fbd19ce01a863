"""Exercises of chapter 14: R-DPO's loss, the right price of a token, where LN-DPO is least."""

from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import logsumexp

from ... import world
from .answers import Numbers
from .ch14_least import LEAST
from .ch14_r_dpo import R_DPO

# ---------------------------------------------------------------- 14.1: the right α
ALPHA, SLOPE = "α", "words a token"


class Replies:
    """The chapter's list of 10,000 replies and the goals of its losses on it."""

    def __init__(self):
        prompt = world.prompts()[0]
        texts = [text.split() for text in world.REVIEWS.sample(prompt, 10_000, seed=0)]
        self.n = np.array([len(text) + 1 for text in texts])
        self.words = np.array([sum(w not in (".", "!") for w in text) for text in texts])
        self.r = world.rewards(prompt, [" ".join(text) for text in texts])
        self.start = -np.log(len(texts))
        self.liked = self.r + 0.15 * self.words

    def goal(self, score, kl: float = 1.0) -> np.ndarray:
        """Log-probabilities of the optimum for a score that is so far from the list."""

        def at(log_beta):
            log_p = score / np.exp(log_beta)
            return log_p - logsumexp(log_p)

        far = lambda log_beta: np.exp(p := at(log_beta)) @ (p - self.start) - kl
        return at(brentq(far, -1, 7, xtol=1e-6))

    def mean(self, log_p, values) -> float:
        """Of the values (N,), under a policy."""
        return float(np.exp(log_p) @ values)

    def alpha(self, like=None, kl: float = 1.0, length: float | None = None) -> float:
        """The price of a token at which R-DPO's goal is as long as the true optimum."""
        like = self.liked if like is None else like
        wanted = self.mean(self.goal(self.r, kl), self.n) if length is None else length
        excess = lambda a: self.mean(self.goal(like - a * self.n, kl), self.n) - wanted
        return brentq(excess, -0.05, 0.35, xtol=1e-5)


replies = cache(Replies)


@cache
def _right_alpha() -> dict[str, float]:
    return {ALPHA: replies().alpha(), SLOPE: np.polyfit(replies().n, replies().words, 1)[0]}


@cache
def _alpha_wrongs() -> list:
    w, (alpha, slope) = replies(), _right_alpha().values()
    back, at_zero = np.polyfit(w.words, w.n, 1)[0], np.polyfit(w.n, w.words, 1)[1]
    by_three = 3.0 / (3.0 - 0.84) * 0.1
    correlated = np.corrcoef(w.n, w.words)[0, 1]
    liked = w.mean(w.goal(w.liked), w.n)
    paid = brentq(lambda a: w.mean(w.goal(w.r + a * w.n), w.n) - liked, 0, 0.35, xtol=1e-5)
    return [
        *((ALPHA, a, "that pays honest labels until they are as long as these; α is to take the "
           "length out of these.") for a in (paid, -paid)),
        (ALPHA, 0.15 * slope, "that is 0.15 times the words a token: near, but the KL is held at 1 "
         "nat, too. Solve for it."),
        (ALPHA, 0.0473, "there the first push on length is 0; asked is where the goal rests."),
        (ALPHA, 0.1072, "α n is taken off after the score is divided by β: it belongs beside it."),
        (ALPHA, 0.15 - alpha, "that is what remains of 0.15; α itself is asked."),
        (ALPHA, alpha / slope, "words a token divide it once too often."),
        (ALPHA, alpha * slope, "words a token multiply it once too often."),
        (ALPHA, w.n.mean(), "that is the list's mean length; α is a price of a token."),
        (ALPHA, w.mean(w.goal(w.r), w.n), "that is the optimum's length; α is a price of a token."),
        (ALPHA, liked, "that is a length; α is a price of a token."),
        (SLOPE, (w.n @ w.words) / (w.n @ w.n), "that line goes through the origin; polyfit's need "
         "not."),
        (SLOPE, w.words.mean() / (w.n.mean() - 1), "that is the mean share of words, the end left "
         "out; asked is what one token more adds."),
        (SLOPE, w.n.mean() - w.words.mean(), "that is how many tokens are no words."),
        (SLOPE, w.words.mean(), "that is the mean number of words."),
        (SLOPE, 1 - slope, "that is what a token adds besides words."),
        (ALPHA, 0.15, "that is what the labeller pays for a word; R-DPO's α is paid for a token."),
        (ALPHA, 0.15 / slope, "words a token goes in upside down."),
        (ALPHA, 0.15 * w.words.mean() / w.n.mean(),
         "that is 0.15 times the mean share of words: asked is where the lengths agree."),
        (ALPHA, w.alpha(length=w.n.mean()),
         "there the goal is as long as the reference, not as the true optimum."),
        (ALPHA, 0.0, "that is for honest labels: these like length."),
        (ALPHA, by_three, "a line through the table's two points: the goal bends; solve for it."),
        (ALPHA, alpha - 0.1, "that is what is missing at α = 0.1."),
        (SLOPE, back, "that is tokens for a word: the wrong way round."),
        (SLOPE, w.words.mean() / w.n.mean(),
         "that is the mean share of words among the tokens; asked is what one token more adds."),
        (SLOPE, w.n.mean() / w.words.mean(), "that is tokens for a word, and of the means."),
        (SLOPE, correlated, "not each token is a word; or is it the correlation?"),
        (SLOPE, at_zero, "that is the line's height at zero, not its slope."),
        ((ALPHA, SLOPE), (alpha, 0.15 * slope), "that is 0.15 times it: a price."),
        (SLOPE, np.cov(w.n, w.words)[0, 1], "that is the covariance: divide by a variance."),
    ]  # fmt: skip


def _goal_of(found, answer) -> str:
    """How long R-DPO's goal is for the α that was handed in."""
    a, w = found[ALPHA], replies()
    if not -0.05 <= a <= 0.35 or abs(a / answer[ALPHA] - 1) < 0.004:
        return ""
    long, best = w.mean(w.goal(w.liked - a * w.n), w.n), w.mean(w.goal(w.r), w.n)
    return f"α: with yours the goal has {long:.2f} tokens, and the true optimum {best:.2f}."


EXERCISES = {
    "14.0": R_DPO,
    "14.1": Numbers(
        _right_alpha,
        lambda answer: _alpha_wrongs(),
        shows="The labeller pays by the word, R-DPO charges by the token.",
        rtol=0.004,
        tell=_goal_of,
    ),
    "14.2": LEAST,
}
