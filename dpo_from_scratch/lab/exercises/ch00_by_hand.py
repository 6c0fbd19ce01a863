"""Exercise 1 of chapter 00: the loss of one pair by hand, and with its labels swapped."""

import math
from collections.abc import Callable

from .answers import Numbers

NAMES = ("right way", "wrong way")
RATIOS = (2.0, -1.0)
MARGINS: dict[str, Callable[[float, float], float]] = {  # of the two log-ratios
    "β is left out of the margin, or is 1 in it.": lambda a, b: a - b,
    "β goes in twice.": lambda a, b: 0.36 * (a - b),
    "the log-ratios are divided by β.": lambda a, b: (a - b) / 0.6,
    "that has a margin of β · 1, but 2 and −1 don't differ by 1.": lambda a, b: 0.6 * (a + b),
    "2 and −1 don't differ by 1; and β is left out.": lambda a, b: a + b,
    "2 and −1 don't differ by 1; and it is divided by β.": lambda a, b: (a + b) / 0.6,
    "only the chosen text is counted in the margin.": lambda a, b: 0.6 * a,
    "only the chosen text is counted, and β is left out.": lambda a, b: a,
    "only the rejected text is counted in the margin.": lambda a, b: -0.6 * b,
    "β multiplies only the chosen text's log-ratio.": lambda a, b: 0.6 * a - b,
    "β multiplies only the rejected text's log-ratio.": lambda a, b: a - 0.6 * b,
    "nats are logarithms: no exp here.": lambda a, b: 0.6 * (math.exp(a) - math.exp(b)),
    "the log-ratios are multiplied; the margin has their difference.": lambda a, b: 0.6 * a * b,
    "2 nats likelier isn't twice as likely: the log-ratio is 2.": lambda a, b: (
        0.6 * (likely(a) - likely(b))
    ),
    "2 nats likelier isn't twice as likely, nor 1 nat less half: the log-ratios are 2 and −1.": (
        lambda a, b: 0.6 * (likely(a, -1.0) - likely(b, -1.0))
    ),
    "the margin is halved: it is a difference, no mean.": lambda a, b: 0.3 * (a - b),
    "the margin is doubled: each text counts once.": lambda a, b: 1.2 * (a - b),
    "that is the loss at a margin of zero.": lambda a, b: 0.0,
    "that is at β = 0.5; it is 0.6 here.": lambda a, b: 0.5 * (a - b),
    "that is at β = 0.1; it is 0.6 here.": lambda a, b: 0.1 * (a - b),
    "that is at β = 0.2; it is 0.6 here.": lambda a, b: 0.2 * (a - b),
}
ENDS: dict[str, Callable[[float], float]] = {  # of the margin
    "that is σ of the margin: no logarithm was taken.": lambda m: sigmoid(m),
    "that is minus σ: no logarithm was taken.": lambda m: -sigmoid(m),
    "that is σ(−margin), the weight in the gradient: no logarithm was taken.": lambda m: sigmoid(
        -m
    ),
    "that is the margin, not yet the loss.": lambda m: m,
    "that is minus the margin: σ is missing.": lambda m: -m,
    "the 1 in 1 + exp(−margin) is missing, and the logarithm.": lambda m: math.exp(-m),
    "that is exp of the margin.": lambda m: math.exp(m),
    "the logarithm is missing.": lambda m: 1 + math.exp(-m),
    "that is a hinge; the loss is a logarithm.": lambda m: max(0.0, 1 - m),
    "negative margins count, and positive ones don't: σ is missing.": lambda m: max(0.0, -m),
    "that is a square; the loss is a logarithm.": lambda m: (1 - m) ** 2,
    "that is in bits: a logarithm to base 2.": lambda m: cost(m) / math.log(2),
    "that is a logarithm to base 10; ours is natural.": lambda m: cost(m) / math.log(10),
    "the minus of −log σ is missing.": lambda m: -cost(m),
    "the loss itself is multiplied by β once more.": lambda m: 0.6 * cost(m),
    "the loss is divided by β.": lambda m: cost(m) / 0.6,
    "that is the mean of the loss and the swapped one.": lambda m: (cost(m) + cost(-m)) / 2,
    "that is the sum of the loss and the swapped one.": lambda m: cost(m) + cost(-m),
    "that is how many times as much the swapped one costs.": lambda m: cost(-m) / cost(m),
}


def sigmoid(margin: float) -> float:
    """1 / (1 + exp(-margin))."""
    return 1 / (1 + math.exp(-margin))


def cost(margin: float) -> float:
    """-log sigmoid."""
    return math.log1p(math.exp(-margin))


def likely(ratio: float, less: float = 0.0) -> float:
    """2 nats read as a factor of 2; and, with less, 1 nat less as a factor of one half."""
    return math.log(2) if ratio == 2 else less * math.log(2) if less else ratio


def margin(a: float, b: float) -> float:
    """The right one."""
    return 0.6 * (a - b)


def both_ways() -> dict[str, float]:
    """The loss for log-ratios of 2 and -1 at β = 0.6, and with the labels swapped."""
    right = margin(*RATIOS)
    return dict(zip(NAMES, (cost(right), cost(-right)), strict=True))


def known() -> list[tuple[str, Callable, Callable]]:
    """(why, margin, end): each mistake alone, then each two."""
    one = [(why, m, cost) for why, m in MARGINS.items()]
    one += [(why, margin, end) for why, end in ENDS.items()]
    before = "β stands before the logarithm; it belongs into the margin."
    one.insert(0, (before, lambda a, b: a - b, lambda m: 0.6 * cost(m)))
    two = [
        (f"two things. First: {a} Second: {b}", m, end)
        for a, m in MARGINS.items()
        for b, end in ENDS.items()
        if "swapped" not in b
    ]
    return one + two


def by_hand(answer: dict[str, float]) -> list:
    """Every mistake in both numbers, then in one of them alone."""
    good, bad = answer.values()
    (a, b), both, turned = RATIOS, [], []
    for why, of, end in known():
        way, back = of(a, b), of(b, a)
        both += [(NAMES, [end(way), end(other)], why) for other in (back, -way)]
        why = f"the two are exchanged, and {why}"
        turned += [(NAMES, [end(other), end(way)], why) for other in (back, -way)]
    both = [told for told in both if told[1] != [bad, good]]
    both += [
        (NAMES, [good, -good], "swapped labels turn the margin's sign, not the loss's."),
        (NAMES, [good, good], "swapping the labels does change the loss."),
        (NAMES, [bad, bad], "swapping the labels does change the loss."),
        (NAMES, [good, 1 - good], "a loss is no probability: the two don't add up to one."),
        (NAMES, [good, 1 / good], "swapped labels turn the margin's sign; nothing is inverted."),
        (NAMES, [good, bad - good], "the second is the margin, or by how much the loss rises;"
         " asked is the loss itself."),
        (NAMES, [round(good, 1), round(bad, 1)], "rounded to one digit; three are asked."),
        (NAMES, [round(good, 2), round(bad, 2)], "rounded to two digits; three are asked."),
        (NAMES, [good, bad / good], "the second is how many times as much it costs; asked is the"
         " loss itself."),
    ]  # fmt: skip
    return both + turned + list(alone(good, bad))


def alone(good: float, bad: float):
    """One mistake in one of the two; the other is right."""
    for why, of, end in known()[: 1 + len(MARGINS) + len(ENDS)]:
        way, back = of(*RATIOS), of(*RATIOS[::-1])
        for value in (end(back), end(-way)):
            yield NAMES, [good, value], f"`wrong way`: {why}"
        yield NAMES, [end(way), bad], f"`right way`: {why}"
        turned = f"the margin's sign is turned, and {why}"
        yield NAMES, [good, end(way)], f"`wrong way`: {turned}"
        yield NAMES, [end(-way), bad], f"`right way`: {turned}"


BY_HAND = Numbers(both_ways, by_hand, "A margin the wrong way costs 13 times as much.", rtol=0.004)
