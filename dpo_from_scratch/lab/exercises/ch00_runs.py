"""Exercises 2 and 3 of chapter 00: which way β works, and swapped columns; both are trained."""

import math

from . import values
from .answers import Own
from .lettered import Lettered, flat
from .verdicts import Verdict, misformed, right, unknown, wrong


def two(attempt, form: str) -> list[float] | Verdict:
    """Two finite numbers."""
    parts = flat(attempt)
    found = values.numbers(parts)
    if found is None or found.size != 2:
        return misformed(f"write {form}: two numbers.")
    if not all(map(math.isfinite, found.ravel())):
        return misformed("one of the numbers isn't finite.")
    return found.ravel().tolist()


# ---------------------------------------------------------------- 00.2: which way β works
REASONS = {
    "a": "β is a factor of the gradient, but AdamW divides a gradient by its usual size. "
    "And compare: which of your two runs went farther?",
    "b": None,
    "c": "the loss that was trained has no KL term: look at its three lines.",
    "d": "your own two numbers differ, so something of β is left.",
}
FORM = '(KL at β = 0.2, KL at β = 2, "a" to "d")'


def distances(attempt) -> Verdict:
    """(KL at 0.2, KL at 2); the task fixes all but what a device draws, about 0.1 and 0.05."""
    read = two(attempt, FORM)
    if isinstance(read, Verdict):
        return read
    small, large = read
    if why := known_pair(small, large) or no_distance(small, large) or too_far(small, large):
        return wrong(why)
    if not (0.6 <= small <= 1.1 and 0.12 <= large <= 0.34):
        return unknown(f"{small:.2f} and {large:.2f} are not what these two runs give.")
    return right("")


PAIRS = (  # what other numbers of these runs are, and other runs' KLs; measured; how near
    ((1.468, 0.845), 0.12, "those look like the two `true_reward`s; asked is the `kl`."),
    ((0.979, 0.712), 0.1, "those look like the `objective`s, reward less 0.6 KL; asked is `kl`."),
    ((0.163, 0.441), 0.04, "that looks like β times the KL; asked is the `kl` itself."),
    ((4.07, 0.11), 0.03, "that looks like the KL over β; asked is the `kl` itself."),
    ((0.378, 1.366), 0.06, "those look like the last margins of the training; asked is the `kl`."),
    (
        (0.0389, 0.0106),
        0.003,
        "that looks like nats a token: a KL is over whole texts, divided by no length.",
    ),
    (
        (1.575, 0.277),
        0.12,
        "that looks like a mean over the reference's own texts; a KL is over the policy's.",
    ),
    ((11.06, 0.421), 0.02, "that looks like the exact optimum's KL; asked is the trained copies'."),
    ((0.814, 1.334), 0.05, "the second lies farther than the first: was it a fresh copy, too?"),
    ((0.776, 0.154), 0.004, "that looks like all 8,192 pairs; asked are the first 1,024 of them."),
)


def near(found, told, off: float) -> bool:
    """Whether numbers lie within `off` of these, and of large ones within a tenth."""
    return all(
        abs(a - b) <= (off if abs(b) < 2 else 0.1 * abs(b))
        for a, b in zip(found, told, strict=True)
    )


def known_pair(small: float, large: float) -> str:
    """Another pair of numbers that was measured; or the two runs exchanged, or a prediction."""
    for told, off, why in PAIRS:
        if near((small, large), told, off):
            return why
    if 0.6 <= large <= 1.1 and 0.12 <= small <= 0.34:
        return "the first is smaller: are the runs exchanged?"
    if small == round(small, 1) and math.isclose(small, 10 * large) and large:
        return "the second is a tenth of the first to the digit: is it a prediction? Measure both."
    return ""


def no_distance(small: float, large: float) -> str:
    """Numbers that no two such distances are."""
    if abs(small) < 2e-3 and abs(large) < 2e-3:
        return "zero is a model's distance from itself: either neither has moved, or the"\
               " reference was measured, or trained in place."  # fmt: skip
    if small < 0 or large < 0:
        return "a KL is negative only by noise: either the policy and the reference are exchanged"\
               " in the log-ratio, or that is another number."  # fmt: skip
    if min(small, large) < 0.03:
        return "one of the models would hardly have moved, and 64 steps move both: either"\
               " it wasn't trained, or that is another number than the `kl`."  # fmt: skip
    if abs(small - large) < 0.15 * max(small, large):
        return "the two are alike, and the KLs of these runs aren't: did each run get its own β,"\
               " and was each copy measured?"  # fmt: skip
    if small < large:
        return "the second is larger than the first, and with these KLs it isn't so: is it the"\
               " `kl`, that of β = 0.2 first, and of a fresh copy each?"  # fmt: skip
    return ""


def too_far(small: float, large: float) -> str:
    """Distances that 64 steps of 16 from a fresh copy don't reach."""
    if small > 1.5 and large > 0.9:
        return "both are much too far for 64 steps of 16: were they fresh copies, with `steps=64`,"\
               " and is it the `kl`?"  # fmt: skip
    if small > 1.25:
        return "the first is too far for 64 steps of 16: was it a fresh copy, with `steps=64`, and"\
               " is it the `kl`?"  # fmt: skip
    if large > 0.45:
        return "the second is too far for 64 steps of 16 at β = 2: was β 2, the copy fresh, and is"\
               " it the `kl`?"  # fmt: skip
    return ""


WHICH_WAY = Lettered(
    Own(distances, (0.81, 0.22)),
    2,
    REASONS,
    FORM,
    "With a small β the loss is flat only after several nats.",
)


# ---------------------------------------------------------------- 00.3: the other way round
OTHERS = (  # measured: (reward, KL), how near each, why
    (
        (-1.379, 0.740),
        (0.03, 0.03),
        "that looks like the right run's reward with its sign turned: train on the swapped pairs.",
    ),
    (
        (-1.377, 0.402),
        (0.16, 0.1),
        "that looks like β = 2, as in exercise 2; asked is the β of `config`.",
    ),
    (
        (-2.29, 1.069),
        (0.13, 0.14),
        "that looks like β = 0.2, as in exercise 2; asked is the β of `config`.",
    ),
    (
        (-2.402, 0.730),
        (0.13, 0.12),
        "the first looks like `objective`, reward less 0.6 KL; asked is `true_reward`.",
    ),
    (
        (-1.791, 0.730),
        (0.02, 0.01),
        "the first looks like the change from the reference; asked is the reward itself.",
    ),
    (
        (-2.082, 0.795),
        (0.015, 0.008),
        "that looks like answers to the training prompts; the test prompts are asked, as in"
        " exercise 2.",
    ),
    (
        (0.730, -1.965),
        (0.4, 0.3),
        "(mean true reward, KL) in this order: the second is a distance.",
    ),
    (
        (-1.965, -2.402),
        (0.3, 0.3),
        "the second looks like `objective`, reward less 0.6 KL; asked is `kl`.",
    ),
)


def other_way(attempt) -> Verdict:
    """(mean true reward, KL) after training on swapped columns; seeds give -2.1 to -1.8."""
    read = two(attempt, "(mean true reward, KL), both of the model trained on swapped pairs")
    if isinstance(read, Verdict):
        return read
    reward, kl = read
    for (r, d), (off, far), why in OTHERS:
        if abs(reward - r) <= off and abs(kl - d) <= far:
            return wrong(why)
    if why := no_distance_there(reward, kl) or taste(reward):
        return wrong(why)
    if kl > 1.6 and reward < -2.6:
        return wrong("that is too far for 64 steps of 16: asked are the first 1,024 pairs, once.")
    if -2.25 <= reward <= -1.65 and 0.5 < kl < 1.35:
        return right("DPO learns what it is told, the opposite taste as readily.")
    return unknown(f"a true reward of {reward:.2f} at a KL of {kl:.2f} isn't what this run gives.")


def no_distance_there(reward: float, kl: float) -> str:
    """A KL of zero or below."""
    if kl < -0.03:
        return "a KL is negative only by noise: were the models exchanged, or is its sign"\
               " turned?"  # fmt: skip
    if abs(kl) >= 0.03:
        return ""
    if reward < -0.7:
        return "a KL near zero is a model's distance from itself, and with such a reward it isn't"\
               " the reference as it was: was that trained in place?"  # fmt: skip
    if abs(reward) < 0.03:
        return "even the reference's reward isn't zero: train a copy, and measure both."
    return "a KL near zero: a model that has not moved, or one compared with itself. Was a copy"\
           " trained, and measured?"  # fmt: skip


def taste(reward: float) -> str:
    """A reward that is too high."""
    if 1.65 < reward < 2.25:
        return "either the true reward has lost its sign, or that is the readers' taste: were the"\
               " columns swapped, and once?"  # fmt: skip
    if reward > 0.95:
        return "such a reward goes with the readers' taste, and swapped pairs teach the opposite:"\
               " were the columns swapped, and once?"  # fmt: skip
    if -0.4 < reward < -0.1:
        return "that is the reference's reward, near enough: was the trained model measured?"
    if abs(reward) < 0.03:
        return "it isn't zero: train it, and look what it does with the opposite taste."
    if reward > -0.7:
        return "the reward is too high for a fresh copy and swapped pairs: was it a fresh"\
               " copy, were all pairs swapped, and is that its `true_reward`?"  # fmt: skip
    return ""


OTHER_WAY = Own(other_way, (-1.96, 0.73))
