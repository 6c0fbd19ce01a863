"""Exercises of chapter 00: the loss, the loss by hand, which way β works, swapped columns."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

from . import values
from .answers import Numbers, Own
from .verdicts import Verdict, misformed, right, unknown, wrong
from .worked import Trainable


# ---------------------------------------------------------------- 00.0: the loss of a pair
def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta, *, ref="minus", end="", **slips):
    """-log sigmoid(beta * difference of the log-ratios), (B,); the keywords are mistakes."""
    if slips.get("crossed"):
        ref_chosen, ref_rejected = ref_rejected, ref_chosen
    if slips.get("turned"):
        chosen, rejected, ref_chosen, ref_rejected = rejected, chosen, ref_rejected, ref_chosen
    against = REFERENCE[ref]
    first, second = against(chosen, ref_chosen, beta), against(rejected, ref_rejected, beta)
    if slips.get("added"):
        second = -second
    if slips.get("alone"):
        second = 0 * second
    inside = 1.0 if slips.get("plain") else beta ** slips.get("power", 1)
    if slips.get("outside"):
        out = beta * ENDS[end](first, second)
    else:
        out = ENDS[end](inside * first, second if slips.get("half") else inside * second)
    return OVER[slips.get("over", "")](out)


OVER = {"": lambda out: out, "mean": torch.mean, "sum": torch.sum, "first": lambda out: out[0]}
REFERENCE: dict[str, Callable] = {
    "minus": lambda own, ref, beta: own - ref,
    "none": lambda own, ref, beta: own,
    "only": lambda own, ref, beta: ref,
    "divided": lambda own, ref, beta: own / ref,
    "log divided": lambda own, ref, beta: torch.log(own / ref),
    "log": lambda own, ref, beta: torch.log(own) - torch.log(ref),
    "exp": lambda own, ref, beta: torch.exp(own - ref),
    "apart": lambda own, ref, beta: torch.exp(own) - torch.exp(ref),
    "no beta": lambda own, ref, beta: own - ref / beta,
}
ENDS: dict[str, Callable] = {
    "": lambda w, r: -F.logsigmoid(w - r),
    "no log": lambda w, r: torch.sigmoid(w - r),
    "minus no log": lambda w, r: -torch.sigmoid(w - r),
    "one less": lambda w, r: 1 - torch.sigmoid(w - r),
    "no minus": lambda w, r: F.logsigmoid(w - r),
    "margin": lambda w, r: w - r,
    "minus margin": lambda w, r: r - w,
    "each": lambda w, r: -F.logsigmoid(w) - F.logsigmoid(-r),
    "difference": lambda w, r: -F.logsigmoid(w) + F.logsigmoid(r),
    "only w": lambda w, r: -F.logsigmoid(w),
    "hinge": lambda w, r: torch.relu(1 - (w - r)),
    "exp": lambda w, r: torch.exp(-(w - r)),
    "log of margin": lambda w, r: -torch.log(w - r),
    "abs": lambda w, r: -F.logsigmoid((w - r).abs()),
    "cut": lambda w, r: -F.logsigmoid((w - r).clamp(min=0)),
    "mean first": lambda w, r: -F.logsigmoid((w - r).mean()),
}


def loss_with(**slips) -> Callable:
    """The loss with these mistakes."""
    return lambda *arguments: dpo_loss(*arguments, **slips)


def pairs_of_numbers() -> list[dict]:
    """Log-probabilities of some pairs; the policy within a few nats of the reference."""
    rng, cases = torch.Generator().manual_seed(3), []
    for size, beta in ((3, 0.6), (2, 0.25), (4, 1.7)):
        draw = lambda scale, n=size: scale * torch.randn(n, generator=rng)
        refs = {"ref_chosen": -9 - draw(2).abs(), "ref_rejected": -12 - draw(3).abs()}
        own = {"chosen": refs["ref_chosen"] + draw(1.2), "rejected": refs["ref_rejected"] + draw(2)}
        cases.append(own | refs | {"beta": beta})
    return cases


ENDINGS = {
    "no log": "that is the probability of what the reader did; its negative logarithm is asked.",
    "minus no log": "the logarithm is missing: that is minus a probability.",
    "one less": "that is the probability of the other choice; a logarithm is asked.",
    "no minus": "the minus before the logarithm is missing: a loss is never below zero.",
    "margin": "that is the margin; σ and the negative logarithm are still to come.",
    "minus margin": "that is minus the margin; σ and the logarithm are still to come.",
    "each": "each text has a sigmoid of its own; only the difference of the two goes into one.",
    "difference": "the logarithms of two sigmoids are subtracted; the difference belongs inside σ.",
    "only w": "the rejected text doesn't count.",
    "hinge": "that is a hinge, which is zero from a margin of 1 on; -log σ never is.",
    "exp": "the 1 in σ(z) = 1/(1 + e^-z) got lost.",
    "log of margin": "the logarithm of the margin itself is taken: σ is missing.",
    "abs": "the margin loses its sign: a pair that is on the wrong side has to cost more.",
    "cut": "negative margins become 0: a pair that is on the wrong side has to cost more.",
    "mean first": "the mean over the batch is taken, and before σ; every pair has its own loss.",
}
COMPARED = {
    "only": "only the reference is used; the policy's own values are missing.",
    "divided": "log-probabilities are divided; the log of a ratio is their difference.",
    "log divided": "log-probabilities are divided, then a log is taken: they are logs already.",
    "log": "a logarithm is taken of log-probabilities: they are logarithms already.",
    "exp": "the ratio stands in place of the log-ratio: an exp too many.",
    "apart": "probabilities are subtracted; a log-ratio is a difference of logarithms.",
    "no beta": "β multiplies the policy's value alone, not the reference's.",
}
CROSSED = "the reference is added, or each text is compared with its value for the other text."
LOSS = Trainable(
    dpo_loss,
    pairs_of_numbers(),
    switches={
        "over": ("mean", "the mean over the batch is taken; every pair has its own loss."),
        "power": (2, "β goes in twice."),
        "plain": (True, "β is left out."),
        "turned": (True, "the margin's sign is turned: chosen and rejected, or the two models."),
        "ref": ("none", "the reference is left out."),
        "added": (True, "the two rewards are added; their difference decides."),
        "crossed": (True, CROSSED),
        "outside": (True, "β stands before the logarithm; it belongs inside, with the log-ratios."),
        "half": (True, "β multiplies only the chosen text's log-ratio."),
        "end": ("no minus", ENDINGS["no minus"]),
        "alone": (True, ENDINGS["only w"]),
    },
    wrongs=[
        *((why, loss_with(end=end)) for end, why in ENDINGS.items()),
        *((why, loss_with(ref=ref)) for ref, why in COMPARED.items()),
        ("the sum over the batch is taken; every pair has its own loss.", loss_with(over="sum")),
        ("only the first pair has a loss; every pair is to have one.", loss_with(over="first")),
    ],
    through=("chosen", "rejected"),
    shows="The loss needs four log-probabilities and β, and no reward model.",
)

# ---------------------------------------------------------------- 00.1: the loss by hand
NAMES = ("right way", "wrong way")
SLIPS: list[tuple[Callable[[float], float], str]] = [  # of the sign of the margin, 1 or -1
    (lambda s: cost(3 * s), "β is left out of the margin."),
    (lambda s: cost(0.36 * 3 * s), "β goes in twice."),
    (lambda s: cost(3 * s / 0.6), "the log-ratios are divided by β."),
    (lambda s: cost(0.6 * s), "that has a margin of β · 1, but 2 and −1 don't differ by 1."),
    (
        lambda s: cost(1.0 * s),
        "2 and −1 don't differ by 1; and β is left out.",
    ),
    (lambda s: cost(1.2 * s), "only the chosen text is counted in the margin."),
    (lambda s: 0.6 * cost(3 * s), "β stands before the logarithm; it belongs into the margin."),
    (lambda s: 0.6 * cost(1.8 * s), "the loss itself is multiplied by β once more."),
    (lambda s: cost(0.6 * s * (math.exp(2) - math.exp(-1))), "nats are logarithms: no exp here."),
    (lambda s: 1 / (1 + math.exp(-1.8 * s)), "that is σ of the margin: no logarithm was taken."),
    (lambda s: -1 / (1 + math.exp(-1.8 * s)), "that is minus σ: no logarithm was taken."),
    (lambda s: 1.8 * s, "that is the margin, not yet the loss."),
    (lambda s: -1.8 * s, "that is minus the margin: σ is missing."),
    (lambda s: math.exp(-1.8 * s), "the 1 in 1 + exp(−margin) is missing, and the logarithm."),
    (lambda s: 1 + math.exp(-1.8 * s), "the logarithm is missing."),
    (lambda s: max(0.0, 1 - 1.8 * s), "that is a hinge; the loss is a logarithm."),
    (lambda s: math.log(2), "that is the loss at a margin of zero."),
    (lambda s: cost(1.8 * s) / math.log(2), "that is in bits: a logarithm to base 2."),
    (lambda s: cost(1.8 * s) / math.log(10), "that is a logarithm to base 10; ours is natural."),
    (lambda s: -cost(1.8 * s), "the minus of −log σ is missing."),
]


def cost(margin: float) -> float:
    """-log sigmoid."""
    return math.log1p(math.exp(-margin))


def both_ways() -> dict[str, float]:
    """The book's loss for log-ratios of 2 and -1 at β = 0.6, and with the labels swapped."""
    nil = torch.zeros(2, dtype=torch.float64)
    of = dpo_loss(nil + torch.tensor([2.0, -1.0]), nil + torch.tensor([-1.0, 2.0]), nil, nil, 0.6)
    return dict(zip(NAMES, of.tolist(), strict=True))


def by_hand(answer: dict[str, float]) -> list:
    """Every slip in both numbers, then in one of them alone."""
    slips = [(NAMES, [f(1), f(-1)], why) for f, why in SLIPS]
    slips += [(NAMES, [f(-1), f(1)], f"the two are exchanged, and {why}") for f, why in SLIPS]
    good = answer[NAMES[0]]
    slips += [
        (NAMES, [good, -good], "swapped labels turn the margin's sign, not the loss's."),
        (NAMES, [good, good], "swapping the labels does change the loss."),
        (NAMES, [good, 1 - good], "a loss is no probability: the two don't add up to one."),
        (NAMES, [good, 1 / good], "swapped labels turn the margin's sign; nothing is inverted."),
    ]
    for name, sign in zip(NAMES, (1, -1), strict=True):
        slips += [(name, f(sign), f"`{name}`: {why}") for f, why in SLIPS]
        turned = f"`{name}`: the margin's sign is turned, and "
        slips += [(name, f(-sign), turned + why) for f, why in SLIPS]
    return slips


# ---------------------------------------------------------------- 00.2: which way β works
REASONS = {
    "a": "β is a factor of the gradient, but AdamW divides a gradient by its usual size. "
    "And compare: which of your two runs went farther?",
    "b": None,
    "c": "the loss that was trained has no KL term: look at its three lines.",
    "d": "your own two numbers differ, so something of β is left.",
}


def told(attempt, count: int, form: str) -> tuple[list[float], list] | Verdict:
    """`count` numbers, and what comes after them."""
    attempt = list(attempt.values()) if isinstance(attempt, dict) else attempt
    if not isinstance(attempt, tuple | list):
        return misformed(f"write {form}.")
    found = values.numbers(list(attempt[:count]))
    if found is None or found.size != count:
        return misformed(f"write {form}, the first {count} of them numbers.")
    if not all(map(math.isfinite, found.ravel())):
        return misformed("one of the numbers isn't finite.")
    return found.ravel().tolist(), list(attempt[count:])


def which_way(attempt) -> Verdict:
    """(KL at 0.2, KL at 2, reason)."""
    form = '(KL at β = 0.2, KL at β = 2, "a" to "d")'
    read = told(attempt, 2, form)
    if isinstance(read, Verdict):
        return read
    (small, large), rest = read
    letter = str(rest[0]).strip(' ."()').lower() if len(rest) == 1 else ""
    if letter not in REASONS:
        return misformed(f"write {form}; the reason is one letter.")
    if why := apart(small, large):
        return wrong(why)
    if not (0.4 <= small <= 1.6 and 0.08 <= large <= 0.45 and small > 1.8 * large):
        return unknown(f"{small:.2f} and {large:.2f} are not what these two runs give.")
    if REASONS[letter]:
        return wrong(REASONS[letter])
    return right("With a small β the loss is flat only after several nats.")


def apart(small: float, large: float) -> str:
    """What is wrong with the two distances, or ""."""
    if abs(small) < 0.03 and abs(large) < 0.03:
        return "neither model has moved: was the reference itself measured, or trained in place?"
    if min(abs(small), abs(large)) < 0.03:
        return "one of the models has not moved at all: was the copy trained that you measure?"
    if small < 0 and large < 0:
        return "the policy and the reference are exchanged: a KL is negative only by noise."
    if abs(small - large) < 0.15 * max(small, large):
        return "the two are alike: β didn't reach the training, or one model was measured twice."
    if 0.4 <= large <= 1.6 and 0.08 <= small <= 0.45:
        return "the first is smaller: are the runs exchanged, or is that β times the KL?"
    if small > 1.5 and large > 0.9 and small > large:
        return "both went much too far: were they copies of the trained policy, or 256 steps long?"
    if large > 0.45:
        return "the second is too far for 64 steps from a fresh copy, if it is the `kl`."
    if small > 1.8:
        return "the first is too far for 64 steps from a fresh copy, if it is the `kl`."
    if small > 1.25:
        return "is that a mean over the reference's own texts? A KL is over the policy's."
    return ""


# ---------------------------------------------------------------- 00.3: the other way round
def other_way(attempt) -> Verdict:
    """(mean true reward, KL) after training on swapped columns."""
    read = told(attempt, 2, "(mean true reward, KL), both of the model trained on swapped pairs")
    if isinstance(read, Verdict):
        return read
    (reward, kl), rest = read
    if rest:
        return misformed(f"two numbers are asked; you gave {2 + len(rest)}.")
    if abs(kl) < 0.03:
        return wrong("this model has not moved: it is the reference, or an untrained copy.")
    if reward > 0 > kl or (kl < -0.5 and reward > -3):
        return wrong("(mean true reward, KL) in this order: the second is a distance.")
    if reward > 0.95:
        return wrong("it learned the readers' taste: the columns were not swapped, or twice.")
    if reward > -0.7:
        return wrong("something was unlearned: did you train a fresh copy of the reference?")
    if kl > 1.6 and reward < -2.6:
        return wrong("that is too far for 64 steps of 16: asked are the first 1,024 pairs, once.")
    if -3.2 < reward <= -0.7 and 0.25 < kl < 1.8:
        return right("DPO learns what it is told, the opposite taste as readily.")
    return unknown(f"a true reward of {reward:.2f} at a KL of {kl:.2f} isn't what this run gives.")


EXERCISES = {
    "00.0": LOSS,
    "00.1": Numbers(
        both_ways,
        by_hand,
        "A margin the wrong way costs 13 times as much.",
    ),
    "00.2": Own(which_way, (0.81, 0.22, "b")),
    "00.3": Own(other_way, (-1.96, 0.73)),
}
