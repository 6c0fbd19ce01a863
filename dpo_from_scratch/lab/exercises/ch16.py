"""Chapter 16, sDPO: its loop, rewards that differ, the run to compare with, the wrong start."""

from functools import cache
from itertools import pairwise

import numpy as np

from ... import exact, world
from . import Function, Numbers
from .ch16_loop import LOOP


# ---------------------------------------------------------------- 16.1, 16.2: in the mini world
@cache
def _mini():
    """log_ref, rewards and words of the replies to the chapter's prompt."""
    prompt = world.prompts("test")[0]
    replies = world.MINI.replies(prompt)
    words = np.array([len(reply.split()) for reply in replies])
    letters = np.array([len(reply) for reply in replies])
    return world.MINI.log_probs(prompt, replies), world.rewards(prompt, replies), words, letters


WORDS = ("reference", "after one", "after two")


def words_of(*log_policies):
    """Mean words a reply of policies (N,)."""
    words = _mini()[2]
    return [float(np.exp(p) @ words) for p in log_policies]


def two_steps(beta=1.2, first=0.5, second=-0.5, anew=False, alone=False):
    """Words of the reference, after one step and after two."""
    log_ref, r, words, _ = _mini()
    r = 0 * r if alone else r
    one = exact.gibbs(log_ref, r + first * words, beta).log_probs
    two = exact.gibbs(log_ref if anew else one, r + second * words, beta).log_probs
    return words_of(log_ref, one, two)


def _words_wrong(answer):
    log_ref, r, words, letters = _mini()
    last = words_of(exact.gibbs(log_ref, r, 1.2).log_probs)[0]
    one_half = words_of(exact.gibbs(log_ref, r + 0.25 * words, 0.6).log_probs)[0]
    return [
        ("reference", words.mean(), "every reply counts alike there, however rare."),
        ("reference", float(log_ref @ words),
         "log-probabilities weigh the words; probabilities should."),
        ("reference", float(np.exp(log_ref) @ letters), "those are letters, not words."),
        ("reference", float(words[log_ref.argmax()]), "that is the likeliest reply alone."),
        (WORDS[1:], two_steps(first=-0.5, second=0.5)[1:],
         "the parts have changed places: the first one likes long replies."),
        ("after one", two_steps(first=-0.5)[1],
         "the first part's raters like long replies; yours like short ones."),
        (WORDS[1:], two_steps(0.6)[1:], "each step is made at 0.6; asked: 1.2 each."),
        (WORDS[1:], two_steps(2.4)[1:], "β is doubled; each step is made at 1.2."),
        (WORDS[1:], two_steps(alone=True)[1:], "r itself is left out: only the words are paid."),
        ("after one", two_steps(alone=True)[1], "r itself is left out: only the words are paid."),
        ("after one", two_steps(first=0.0)[1], "the first part's taste for words is left out."),
        ("after one", two_steps(first=1.0)[1], "a word is paid one; it should be a half."),
        (WORDS[1:], answer["after two"], "that is after both steps already."),
        ("after one", one_half, "that is a step at 0.6 on half of the words' pay."),
        ("after two", two_steps(anew=True)[2],
         "the second step starts at the reference again, not at the first step's policy."),
        ("after two", last, "that is one step at 1.2 on r; two steps go farther."),
        ("after two", two_steps(second=0.5)[2], "the second part's raters like short replies."),
        ("after two", two_steps(second=0.0)[2], "the second part's taste for words is left out."),
        (WORDS[1:], answer["after one"], "the second step is missing."),
        ("after two", answer["reference"],
         "the tastes cancel, and r remains: the policy isn't back at the reference."),
    ]  # fmt: skip


TASTES = Numbers(
    lambda: dict(zip(WORDS, two_steps(), strict=True)),
    _words_wrong,
    "The bonus for length is gone after the second step; r, which likes short replies, remains.",
    rtol=0.002,
)

PRICE = ("β to ask for", "its KL", "KL of DPO at 0.1")


def at(beta):
    """The optimum of the mini world."""
    log_ref, r, *_ = _mini()
    return exact.gibbs(log_ref, r, beta)


def _price_wrong(answer):
    log_ref = _mini()[0]
    policies = [log_ref] + [at(0.1 / t).log_probs for t in (1, 2, 3, 4)]
    steps = [exact.kl(b, a) for a, b in pairwise(policies)]
    far, near = at(0.025), at(0.1)
    return [
        (PRICE[0], 0.4, "at β times T a run goes less far; sDPO's steps add up."),
        (PRICE[0], 0.1, "that is the comparison that was reported: two different strengths."),
        (PRICE[0], 0.1 / 3, "the rule is right, but there are four steps."),
        (PRICE[0], 0.1 / 5, "the rule is right, but there are four steps."),
        (PRICE[0], 0.1 / 2, "four steps go farther than that run."),
        (PRICE[0], 0.1 / 16, "β is divided by the number of steps twice."),
        (PRICE[1:], (far.mean_reward, near.mean_reward), "those are true rewards, not KLs."),
        (PRICE[1], far.mean_reward, "that is its true reward, not its KL."),
        (PRICE[2], near.mean_reward, "that is its true reward, not its KL."),
        (PRICE[1:], (exact.kl(log_ref, far.log_probs), exact.kl(log_ref, near.log_probs)),
         "that is KL the other way round: the policy's replies count, not the reference's."),
        (PRICE[1], exact.kl(log_ref, far.log_probs), "that KL is taken the other way round."),
        (PRICE[1], sum(steps), "the KLs of four steps, each to its own reference, don't add up to "
         "the KL to the first model."),
        (PRICE[1], steps[-1], "that is the last step's KL to its own reference."),
        (PRICE[1], 4 * near.kl, "four steps go four times as far in reward over β, not in KL."),
        (PRICE[1], near.kl / 4, "a smaller β goes farther: its KL is larger."),
        (PRICE[1:], near.kl, "that is the KL at 0.1 twice; the run that you ask for goes farther."),
        (PRICE[1], exact.kl(far.log_probs, near.log_probs), "that is the KL between the two runs."),
        (PRICE[1], far.log_Z, "that is log Z, not the KL."),
        (PRICE[2], at(0.4).kl, "that is the KL at 0.4."),
    ]  # fmt: skip


def _own_beta(found, answer) -> str:
    """The right KL for another β."""
    beta = found[PRICE[0]]
    if 1e-3 < beta < 10 and abs(at(beta).kl - found[PRICE[1]]) < 0.005 * at(beta).kl:
        return "the KL fits your β, but that is not the run that goes as far as the four steps."
    return ""


ASKED = Numbers(
    lambda: dict(zip(PRICE, (0.1 / 4, at(0.1 / 4).kl, at(0.1).kl), strict=True)),
    _price_wrong,
    "The fair baseline of T steps at β is one run at β/T; at one β, strengths are compared.",
    rtol=0.005,
    tell=_own_beta,
)


# ---------------------------------------------------------------- 16.3: the wrong start
def wrong_start(lead, *, sign=1, over="mean", of="loss"):
    """Mean loss at the first step if policy and reference are exchanged."""
    m = -sign * np.asarray(lead, float)
    m = m.mean(keepdims=True) if over == "inside" else m
    m = np.median(m, keepdims=True) if over == "inside median" else m
    each = {
        "loss": np.logaddexp(0, -m), "weight": 1 / (1 + np.exp(m)), "σ": 1 / (1 + np.exp(-m)),
        "hinge": np.maximum(-m, 0), "line": np.log(2) - m / 2, "ahead": (m > 0) * 1.0,
        "behind": (m < 0) * 1.0, "margin": m, "odds": np.exp(-m), "sure": np.maximum(1 - m, 0),
    }[of]  # fmt: skip
    return {
        "none": lambda: each, "sum": each.sum, "half": lambda: each.mean() / 2,
        "inside": each.mean, "mean": each.mean, "median": lambda: np.median(each),
        "inside median": each.mean, "losers": lambda: each[m < 0].mean(),
    }[over]()  # fmt: skip


def sigmoid(x):
    """σ."""
    return 1 / (1 + np.exp(-x))


def _log_of_mean(lead):
    return -np.log(np.mean(1 / (1 + np.exp(lead))))


def _leads():
    rng = np.random.default_rng(16)
    return [
        {"lead": rng.normal(m, s, n)} for n, m, s in ((6, 0.8, 1.5), (9, 1.7, 2.0), (5, -0.4, 1))
    ]


START = Function(
    wrong_start,
    _leads(),
    switches={
        "sign": (-1, "the policy is behind its reference there, not ahead: a sign."),
        "over": ("none", "that is a loss for each pair; their mean is asked."),
        "of": ("σ", "that is σ of the margin; the loss is minus its logarithm."),
    },
    wrongs=[
        ("policy and reference are not the same: ln 2 is the loss of the right start.",
         lambda lead: np.log(2) + 0 * lead.mean()),
        ("that is the loss of the mean margin; asked is the mean of the losses.",
         lambda lead: wrong_start(lead, over="inside")),
        ("that is the loss of the mean margin, and of the other sign.",
         lambda lead: wrong_start(lead, over="inside", sign=-1)),
        ("that is the log of a mean; asked is the mean of the logs.", _log_of_mean),
        ("that is the log of a mean; asked is the mean of the logs. And a sign is turned.",
         lambda lead: _log_of_mean(-lead)),
        ("the losses are added up; their mean is asked.",
         lambda lead: wrong_start(lead, over="sum")),
        ("that is the median of the losses.", lambda lead: wrong_start(lead, over="median")),
        ("that is the mean over the pairs in which the policy is behind; all count.",
         lambda lead: wrong_start(lead, over="losers")),
        ("the losses are added up, and a sign is turned.",
         lambda lead: wrong_start(lead, sign=-1, over="sum")),
        ("the sign of `lead` is lost: in some pairs the policy is ahead.",
         lambda lead: wrong_start(abs(lead))),
        ("the sign of `lead` is lost: in some pairs the policy is ahead.",
         lambda lead: wrong_start(-abs(lead))),
        ("that is e to the lead; a logarithm is missing.",
         lambda lead: wrong_start(lead, of="odds")),
        ("that is the largest loss; the mean is asked.",
         lambda lead: wrong_start(lead, over="none").max()),
        ("that is σ of the mean margin; the mean of the losses is asked.",
         lambda lead: sigmoid(lead.mean())),
        ("that is σ of the mean margin; the mean of the losses is asked.",
         lambda lead: sigmoid(-lead.mean())),
        ("that is the pairs' mean weight, not their loss.",
         lambda lead: wrong_start(lead, of="weight")),
        ("that is a hinge: the loss rounds it off.", lambda lead: wrong_start(lead, of="hinge")),
        ("that is a hinge: the loss is logistic.", lambda lead: wrong_start(lead, of="sure")),
        ("that is the loss's straight line at 0; the loss is curved.",
         lambda lead: wrong_start(lead, of="line")),
        ("that is a share of the pairs, not a loss.", lambda lead: wrong_start(lead, of="behind")),
        ("that is a share of the pairs, not a loss.", lambda lead: wrong_start(lead, of="ahead")),
        ("that is a mean margin, not a loss.", lambda lead: wrong_start(lead, of="margin")),
        ("that is a mean margin, not a loss.", lambda lead: lead.mean()),
        ("β goes in again: `lead` is a margin already.", lambda lead: wrong_start(1.8 * lead)),
        ("β goes in again, and a sign is turned: `lead` is a margin already.",
         lambda lead: wrong_start(-1.8 * lead)),
        ("β is taken out of `lead`: the loss needs the margin as it is.",
         lambda lead: wrong_start(lead / 1.8)),
    ],
    shows="Exchanged, each lead is a lag: the policy must first catch up with its reference.",
    atol=6e-4,
)  # fmt: skip

EXERCISES = {"16.0": LOOP, "16.1": TASTES, "16.2": ASKED, "16.3": START}
