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
    """(KL at 0.2, KL at 2); seeds give 0.7 to 1 and 0.13 to 0.25."""
    read = two(attempt, FORM)
    if isinstance(read, Verdict):
        return read
    small, large = read
    if why := stuck(small, large) or other_quantity(small, large) or too_far(small, large):
        return wrong(why)
    if not (0.4 <= small <= 1.6 and 0.08 <= large <= 0.45 and small > 1.8 * large):
        return unknown(f"{small:.2f} and {large:.2f} are not what these two runs give.")
    return right("")


def stuck(small: float, large: float) -> str:
    """A model that has not moved, or two that are alike."""
    if abs(small) < 0.03 and abs(large) < 0.03:
        return "neither model has moved: was the reference itself measured, or trained in place?"
    if min(abs(small), abs(large)) < 0.03:
        return "one of the models has not moved at all: was the copy trained that you measure?"
    if small < 0 and large < 0 and min(small, large) > -1.5:
        return "the policy and the reference are exchanged: a KL is negative only by noise."
    if small < 0 or large < 0:
        return "a KL is never negative, but for noise: is that another entry of `quality`, or the"\
               " difference of two losses?"  # fmt: skip
    if abs(small - large) < 0.15 * max(small, large):
        return "the two are alike: β didn't reach the training, or one model was measured twice."
    return ""


def other_quantity(small: float, large: float) -> str:
    """Something else that `quality` gives, the price, or the two runs exchanged."""
    if 1.25 <= small <= 1.7 and 0.65 <= large <= 1.05:
        return "that looks like the two `true_reward`s; asked is the `kl`."
    if 0.8 <= small <= 1.2 and 0.55 <= large <= 0.9:
        return "that looks like the two `objective`s, reward less 0.6 KL; asked is the `kl`."
    if 0.1 <= small <= 0.25 and 0.25 <= large < 0.6:
        return "that looks like β times the KL; asked is the `kl` itself."
    if 3 <= small <= 5.5 and 0.05 <= large <= 0.15:
        return "that looks like the KL over β; asked is the `kl` itself."
    if small < large and large >= 0.4 and small <= 0.45:
        return "the first is smaller: are the runs exchanged?"
    if small < large:
        return "the second is farther than the first: was the second run a fresh copy, too?"
    return ""


def too_far(small: float, large: float) -> str:
    """Runs that went farther than 64 steps of 16 from a fresh copy."""
    if small > 1.5 and large > 0.9:
        return "both went much too far: were they copies of the trained policy, or 256 steps long?"
    if small > 1.8:
        return "the first is too far for 64 steps of 16: was it a fresh copy, with `steps=64`?"
    if large > 0.45:
        return "the second is too far for 64 steps of 16 at β = 2 from a fresh copy: was β 2?"
    if small > 1.25:
        return "either that is a mean over the reference's own texts, and a KL is over the"\
               " policy's, or the training was longer than 64 steps of 16."  # fmt: skip
    return ""


WHICH_WAY = Lettered(
    Own(distances, (0.81, 0.22)),
    2,
    REASONS,
    FORM,
    "With a small β the loss is flat only after several nats.",
)


# ---------------------------------------------------------------- 00.3: the other way round
def other_way(attempt) -> Verdict:
    """(mean true reward, KL) after training on swapped columns."""
    read = two(attempt, "(mean true reward, KL), both of the model trained on swapped pairs")
    if isinstance(read, Verdict):
        return read
    reward, kl = read
    if abs(kl) < 0.03:
        return wrong("this model has not moved: it is the reference, or an untrained copy.")
    if reward > 0 > kl and (reward < 1.3 or kl < -1.3):
        return wrong("(mean true reward, KL) in this order: the second is a distance.")
    if -2.7 < reward < -0.7 and -3.2 < kl < reward:
        return wrong("the second looks like `objective`, reward less 0.6 KL; asked is `kl`.")
    if kl < 0:
        return wrong("a KL is negative only by noise: were policy and reference exchanged?")
    if why := taste(reward):
        return wrong(why)
    if kl > 1.6 and reward < -2.6:
        return wrong("that is too far for 64 steps of 16: asked are the first 1,024 pairs, once.")
    if -3.2 < reward <= -0.7 and 0.25 < kl < 1.8:
        return right("DPO learns what it is told, the opposite taste as readily.")
    return unknown(f"a true reward of {reward:.2f} at a KL of {kl:.2f} isn't what this run gives.")


def taste(reward: float) -> str:
    """A reward that is too high."""
    if 1.7 < reward < 2.4:
        return "either the true reward has lost its sign, or that is the readers' taste: were the"\
               " columns swapped, and once?"  # fmt: skip
    if reward > 0.95:
        return "it learned the readers' taste: the columns were not swapped, or twice."
    if -0.4 < reward < -0.1:
        return "that is the reference's reward, near enough: was the trained model measured?"
    if abs(reward) < 0.03:
        return "it isn't zero: train it, and look what it does with the opposite taste."
    if reward > -0.7:
        return "something was unlearned: did you train a fresh copy of the reference?"
    return ""


OTHER_WAY = Own(other_way, (-1.96, 0.73))
