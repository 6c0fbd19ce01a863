"""Exercises of chapter 00: the loss, the loss by hand, which way β works, swapped columns."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from .ch00_by_hand import BY_HAND
from .ch00_runs import OTHER_WAY, WHICH_WAY
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
    "beta of ref": lambda own, ref, beta: own / beta - ref,
    "mixed": lambda own, ref, beta: own - ref.mean(),
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
    "done": lambda w, r: -F.logsigmoid(w - r) * (w < r),
    "mean first": lambda w, r: -F.logsigmoid((w - r).mean()),
    "sum first": lambda w, r: -F.logsigmoid((w - r).sum()),
    "only r": lambda w, r: -F.logsigmoid(-r),
    "square": lambda w, r: (1 - (w - r)) ** 2,
    "half square": lambda w, r: (0.5 - (w - r)) ** 2,
    "perceptron": lambda w, r: torch.relu(r - w),
    "counted": lambda w, r: (w < r).to(w.dtype),
    "smoothed": lambda w, r: -0.9 * F.logsigmoid(w - r) - 0.1 * F.logsigmoid(r - w),
    "target": lambda w, r: -F.logsigmoid(w - r - 1),
    "both ways": lambda w, r: -F.logsigmoid(w - r) - F.logsigmoid(r - w),
    "weight": lambda w, r: -torch.sigmoid(r - w),
    "entropy": lambda w, r: -torch.sigmoid(w - r) * F.logsigmoid(w - r),
    "likelihood too": lambda w, r: w - F.logsigmoid(w - r),
    "price": lambda w, r: (w + r) / 2 - F.logsigmoid(w - r),
    "price of both": lambda w, r: w + r - F.logsigmoid(w - r),
    "price, a mean": lambda w, r: ((w + r) / 2).mean() - F.logsigmoid(w - r),
    "price of chosen, a mean": lambda w, r: w.mean() - F.logsigmoid(w - r),
    "paid": lambda w, r: -w - F.logsigmoid(w - r),
    "sigmoids apart": lambda w, r: torch.sigmoid(r) - torch.sigmoid(w),
    "tanh": lambda w, r: -torch.tanh(w - r),
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
    "beta of ref": "β multiplies the reference's value alone, not the policy's.",
    "mixed": "the reference's values are averaged; each text has its own.",
    "no beta": "β multiplies the policy's value alone, not the reference's.",
}
PENALTY = "log-ratios are added besides, as for a KL penalty; the loss has the margin alone."
ENDINGS |= {
    "sum first": "the sum over the batch is taken, and before σ; every pair has its own loss.",
    "only r": "the chosen text doesn't count.",
    "square": "that is a square, least at a margin of 1; -log σ falls for ever.",
    "half square": "that is a square, least at a margin of one half; -log σ falls for ever.",
    "done": "a pair on the right side costs nothing in yours; -log σ is never zero.",
    "perceptron": "the loss is zero as soon as the side is right; -log σ never is.",
    "counted": "that counts mistakes; a loss has to have a slope.",
    "smoothed": "the labels are smoothed by a tenth: that is another loss.",
    "target": "a margin of 1 is taken off; there is no such target in the loss.",
    "both ways": "both choices are counted; only the one that was made belongs in.",
    "weight": "that is minus σ(−margin), the weight in the gradient, not the loss.",
    "entropy": "the logarithm is weighted with its probability; the choice was made, once.",
    "likelihood too": PENALTY,
    "price": PENALTY,
    "price of both": PENALTY,
    "price, a mean": PENALTY,
    "price of chosen, a mean": PENALTY,
    "paid": "the chosen text's log-ratio is taken off besides; the loss has the margin alone.",
    "sigmoids apart": "sigmoids are subtracted; the difference belongs inside σ, then a logarithm.",
    "tanh": "tanh stands in place of log σ.",
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

EXERCISES = {
    "00.0": LOSS,
    "00.1": BY_HAND,
    "00.2": WHICH_WAY,
    "00.3": OTHER_WAY,
}
