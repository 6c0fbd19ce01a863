"""Chapter 16: the loss at the first step of a run whose policy and reference are exchanged."""

import numpy as np

from . import Function


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
        *((f"`lead` is multiplied by {b}: it is a margin already, β is in it.",
           lambda lead, b=b: wrong_start(b * lead)) for b in (0.1, 0.3, 0.5, 0.6, 1.2)),
        *((f"`lead` is multiplied by {b}, β is in it already; and a sign is turned.",
           lambda lead, b=b: wrong_start(-b * lead)) for b in (0.1, 0.3, 0.5, 0.6, 1.2)),
        ("that is the smallest loss; the mean is asked.",
         lambda lead: wrong_start(lead, over="none").min()),
        ("that is the first pair's loss; the mean is asked.",
         lambda lead: wrong_start(lead, over="none")[0]),
        ("that is the last pair's loss; the mean is asked.",
         lambda lead: wrong_start(lead, over="none")[-1]),
        ("that is how far the losses spread; their mean is asked.",
         lambda lead: wrong_start(lead, over="none").std()),
        ("that is how far the losses spread; their mean is asked.",
         lambda lead: wrong_start(lead, over="none").std(ddof=1)),
        ("the sum is divided by one less than the pairs.",
         lambda lead: wrong_start(lead, over="sum") / (len(lead) - 1)),
        ("that is the mean over the pairs in which the policy is ahead; all count.",
         lambda lead: wrong_start(lead, over="none")[lead < 0].mean()),
        ("that is the median margin's loss; asked is the mean of the losses.",
         lambda lead: wrong_start(np.median(lead)[None])),
        ("ln 2 is added to the mean margin; the loss is curved.",
         lambda lead: np.log(2) + lead.mean()),
        ("ln 2 is added to the right loss.", lambda lead: np.log(2) + wrong_start(lead)),
        ("that is e to the lead, averaged; a logarithm is missing.",
         lambda lead: np.exp(-lead).mean()),
        ("that is log of e to the lead, averaged; 1 is missing in the logarithm.",
         lambda lead: np.log(np.exp(lead).mean())),
        ("the logarithm is of 1 + the mean of e to the lead; the mean comes last.",
         lambda lead: np.log1p(np.exp(lead).mean())),
        ("the loss is squared.", lambda lead: (wrong_start(lead, over="none") ** 2).mean()),
        ("that is e to minus the mean loss: a probability.",
         lambda lead: np.exp(-wrong_start(lead))),
        ("both ways round are averaged; only the exchanged one is asked.",
         lambda lead: (wrong_start(lead) + wrong_start(-lead)) / 2),
        ("both ways round are added up; only the exchanged one is asked.",
         lambda lead: wrong_start(lead) + wrong_start(-lead)),
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
