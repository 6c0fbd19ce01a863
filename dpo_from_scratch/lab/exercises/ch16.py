"""Chapter 16, sDPO: its loop, rewards that differ, the run to compare with, the wrong start."""

from functools import cache
from itertools import pairwise

import numpy as np

from ... import exact, world
from . import Numbers
from .ch16_loop import LOOP
from .ch16_start import START


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
    settings = (0.1, 0.3, 0.5, 0.6, 1.0, 1.8, 2.4)
    one_half = words_of(exact.gibbs(log_ref, r + 0.25 * words, 0.6).log_probs)[0]
    return [
        *((WORDS[1:], two_steps(b)[1:], f"each step is made at {b}; asked: 1.2.")
          for b in settings),
        *((WORDS[1:], two_steps(first=a, second=-a)[1:],
           f"a word is paid {a}; it should be a half.") for a in (0.05, 0.15, 0.3, 0.25)),
        *((WORDS[1:], [x - answer["reference"] for x in two_steps(second=c)[1:]],
           "those are differences to the reference; the lengths themselves are asked.")
          for c in (-0.5,)),
        (WORDS, [x + 1 for x in answer.values()], "one more than the words: is the end counted?"),
        (WORDS, [x - 1 for x in answer.values()], "one less than the words."),
        ("reference", float(np.median(words)), "that is a median; every reply counts alike there."),
        ("reference", float(words.max()), "that is the longest reply."),
        ("after one", two_steps(first=0.5, alone=False)[1] - answer["reference"],
         "that is by how much it grows; the length itself is asked."),
        ("after two", answer["after two"] - answer["reference"],
         "that is a difference; the length itself is asked."),
        ("after two", words_of(exact.gibbs(log_ref, r - 0.5 * words, 1.2).log_probs)[0],
         "the second step starts at the reference again, not at the first step's policy."),
        ("after two", words_of(exact.gibbs(log_ref, r - 0.5 * words, 0.6).log_probs)[0],
         "that is one step at 0.6 on the second part's reward."),
        ("after two", words_of(exact.gibbs(log_ref, 2 * r, 0.6).log_probs)[0],
         "r is paid twice, at 0.6 already: once is enough."),
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
    others = [(b, at(b)) for b in (0.2, 0.1 / 3, 0.05, 0.02, 0.01, 0.4, 0.6, 1.2, 1.8)]
    full = [world.REVIEWS.policy(world.prompts("test")[0], b).kl for b in (0.025, 0.1)]
    return [
        *((PRICE[1:], (a, b), "those are of the review world; the mini world's are asked.")
          for a, b in [full]),
        (PRICE[1], full[0], "that is of the review world; the mini world's is asked."),
        (PRICE[2], full[1], "that is of the review world; the mini world's is asked."),
        *((PRICE[0], 0.1 / n, "the rule is right, but there are four steps.") for n in (3, 5)),
        (PRICE[0], 4.0, "that is the number of steps, not β."),
        (PRICE[0], 0.1**4, "β is raised to the number of steps; the steps' 1/β add up."),
        (PRICE[0], 0.1**0.25, "that is a root of β; the steps' 1/β add up."),
        (PRICE[0], 0.2, "four steps go farther than at 0.1, and a larger β goes less far."),
        (PRICE[0], 0.3, "that is three times β; the steps' 1/β add up."),
        (PRICE[1:], (0.025 * far.kl, 0.1 * near.kl), "those are β times the KL."),
        (PRICE[1], 0.025 * far.kl, "that is β times its KL."),
        (PRICE[2], 0.1 * near.kl, "that is β times its KL."),
        (PRICE[1:], (far.mean_reward - 0.025 * far.kl, near.mean_reward - 0.1 * near.kl),
         "those are reward − β KL."),
        (PRICE[1:], (far.log_Z, near.log_Z), "those are log Z, not KLs."),
        (PRICE[2], near.log_Z, "that is log Z, not the KL."),
        (PRICE[1], far.kl - near.kl, "that is how much farther it goes; its own KL is asked."),
        (PRICE[1], far.kl / near.kl, "that is how many times as far; its own KL is asked."),
        (PRICE[1], 2 * near.kl, "that is twice the KL at 0.1: no such rule holds."),
        (PRICE[1], 16 * near.kl, "that is 16 times the KL at 0.1: it can't grow without end here."),
        (PRICE[2], far.kl / 4, "four steps don't go four times as far in KL."),
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
        *((PRICE[i], g.kl, f"that is the KL at β = {b:.3g}.") for i in (1, 2) for b, g in others),
    ]  # fmt: skip


def _own_beta(found, answer) -> str:
    """The right KL for another β."""
    beta = found[PRICE[0]]
    if 1e-3 < beta < 10 and abs(at(beta).kl - found[PRICE[1]]) < 0.005 * at(beta).kl:
        return "the KL fits your β, but that is not the run that goes as far as the four steps."
    if 1e-3 < beta < 10 and abs(beta / 0.025 - 1) > 0.005:
        return f"a run at your β goes as far as {0.1 / beta:.3g} steps at 0.1; there are four."
    return ""


ASKED = Numbers(
    lambda: dict(zip(PRICE, (0.1 / 4, at(0.1 / 4).kl, at(0.1).kl), strict=True)),
    _price_wrong,
    "The fair baseline of T steps at β is one run at β/T; at one β, strengths are compared.",
    rtol=0.005,
    tell=_own_beta,
)

EXERCISES = {"16.0": LOOP, "16.1": TASTES, "16.2": ASKED, "16.3": START}
