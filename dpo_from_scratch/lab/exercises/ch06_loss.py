"""DPO's loss of a batch of texts, and what it becomes with a mistake: for 06.0 and 06.3."""

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from ...models import Scorer

SCORES = {
    "mean of tokens": "the scores are means over the tokens; they are sums.",
    "padding scored": "the padding is scored, too; `response_mask` tells which tokens count.",
    "not shifted": "the logits aren't shifted: position t predicts token t + 1.",
    "mask not shifted": "the tokens are shifted and the mask is not.",
    "no end": "the last token of each response, end of text, is not scored.",
    "interleaved": "the batch is cut wrongly: it holds all chosen texts first, then all rejected.",
    "policy sides": "the policy's two scores are exchanged, the reference's aren't: the chosen"
    " texts come first in the batch.",
    "rejected detached": "no gradient flows through the rejected texts' scores.",
    "chosen detached": "no gradient flows through the chosen texts' scores.",
}
MARGINS = {
    "no reference": "the reference is left out of the loss.",
    "reference of chosen": "the reference's score of the rejected texts is left out.",
    "reference of rejected": "the reference's score of the chosen texts is left out.",
    "reference sides": "the reference is added, or its two scores are exchanged.",
    "own reference": "the policy's own scores stand in for the reference's.",
    "sides": "the margin has the wrong sign: chosen and rejected are exchanged.",
    "chosen alone": "only the chosen texts are in the loss.",
    "rejected alone": "only the rejected texts are in the loss.",
    "odds": "the ratios of probabilities stand in for their logarithms.",
    "quotient": "log-probabilities are divided; the log of a ratio is a difference of them.",
    "size": "the margin has lost its sign: a pair in the wrong order must cost more.",
}
BETAS = {
    "beta twice": "β goes in twice.",
    "no beta": "β is left out.",
    "default beta": "β is 0.1, the loss's default: hand over the one that is asked for.",
    "half beta": "β is 0.5 in yours; asked is another.",
    "over beta": "the margin is divided by β.",
    "beta on policy": "β multiplies the policy's scores alone; it multiplies log-ratios.",
    "beta on chosen": "β multiplies the chosen side alone: a bracket is missing.",
    "beta in front": "β stands in front of the loss; it belongs inside the sigmoid.",
    "beta around": "β stands inside the sigmoid, and once more in front of the loss.",
}
ENDS = {
    "no log": "the sigmoid lacks its logarithm.",
    "other chance": "that is the probability of the wrong order; the loss is minus the logarithm of"
    " the right one's.",
    "hinge": "that is a hinge loss; asked is DPO's, with a log-sigmoid.",
    "square": "that is the margin's squared distance from 1; asked is DPO's, a log-sigmoid.",
    "ipo": "that is IPO's squared distance; asked is DPO's, with a log-sigmoid.",
    "linear": "that is minus the margin: the log-sigmoid is missing.",
    "exp": "that is e to minus the margin: a `log(1 + ...)` is missing.",
    "positive": "the loss has the wrong sign: it lacks its minus, and the step goes uphill.",
    "bits": "the loss has a logarithm to base 2; ours are natural.",
    "each side": "each side goes through the sigmoid by itself; only their difference belongs in.",
    "loss of mean": "the loss of the mean margin is taken; asked is the mean of the pairs' losses.",
}  # fmt: skip
LOSS_SLIPS = SCORES | MARGINS | BETAS | ENDS


def scores(policy: nn.Module, batch: dict[str, Tensor], slip: str) -> tuple[Tensor, Tensor]:
    """The policy's scores of the chosen and of the rejected texts."""
    mask = batch["response_mask"]
    later = torch.arange(mask.shape[1]) > 0  # the first token can't be scored
    marked = {
        "padding scored": (mask | True) & later,
        "mask not shifted": mask.roll(1, 1) & later,
        "no end": mask & mask.roll(-1, 1),
    }.get(slip, mask)
    if slip == "not shifted":
        logits = policy(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        told = logits.log_softmax(-1).gather(2, batch["input_ids"][..., None])[..., 0]
        logps = (told * mask).sum(1)
    else:
        logps = Scorer(policy)(**batch | {"response_mask": marked})
    if slip == "mean of tokens":
        logps = logps / mask.sum(1)
    chosen, rejected = (logps[::2], logps[1::2]) if slip == "interleaved" else logps.chunk(2)
    if slip == "policy sides":
        chosen, rejected = rejected, chosen
    chosen = chosen.detach() if slip == "chosen detached" else chosen
    return chosen, rejected.detach() if slip == "rejected detached" else rejected


def margin(c: Tensor, r: Tensor, rc: Tensor, rr: Tensor, beta: float, slip: str) -> Tensor:
    """β times the difference of the log-ratios, (N,)."""
    a, b = c - rc, r - rr
    other = {
        "no reference": lambda: beta * (c - r),
        "reference of chosen": lambda: beta * (a - r),
        "reference of rejected": lambda: beta * (c - b),
        "reference sides": lambda: beta * (c - r + rc - rr),
        "own reference": lambda: beta * (c - r - c.detach() + r.detach()),
        "sides": lambda: beta * (b - a),
        "chosen alone": lambda: beta * a,
        "rejected alone": lambda: -beta * b,
        "odds": lambda: beta * (a.exp() - b.exp()),
        "quotient": lambda: beta * (c / rc - r / rr),
        "size": lambda: beta * (a - b).abs(),
        "beta twice": lambda: beta**2 * (a - b),
        "no beta": lambda: a - b,
        "beta in front": lambda: a - b,
        "default beta": lambda: 0.1 * (a - b),
        "half beta": lambda: 0.5 * (a - b),
        "over beta": lambda: (a - b) / beta,
        "beta on policy": lambda: beta * (c - r) - rc + rr,
        "beta on chosen": lambda: beta * a - b,
        "loss of mean": lambda: beta * (a - b).mean().expand(len(a)),
    }
    return other[slip]() if slip in other else beta * (a - b)


def each_loss(m: Tensor, beta: float, slip: str) -> Tensor:
    """The loss of each pair, (N,), from its margin."""
    other = {
        "no log": lambda: -torch.sigmoid(m),
        "other chance": lambda: torch.sigmoid(-m),
        "hinge": lambda: (1 - m).clamp(min=0),
        "square": lambda: (m - 1) ** 2,
        "ipo": lambda: (m / beta - 1 / (2 * beta)) ** 2,
        "linear": lambda: -m,
        "exp": lambda: torch.exp(-m),
        "positive": lambda: logsigmoid(m),
        "bits": lambda: -logsigmoid(m) / torch.tensor(2.0).log(),
        "beta in front": lambda: -beta * logsigmoid(m),
        "beta around": lambda: -beta * logsigmoid(m),
    }
    return other[slip]() if slip in other else -logsigmoid(m)


def pair_losses(
    policy: nn.Module, batch: dict, kept: tuple[Tensor, Tensor], beta: float, slip: str = ""
) -> tuple[Tensor, Tensor]:
    """(the loss of each pair, its margin), both (N,)."""
    chosen, rejected = scores(policy, batch, slip)
    if slip == "each side":
        a, b = beta * (chosen - kept[0]), beta * (rejected - kept[1])
        return softplus(-a) + softplus(b), a - b
    m = margin(chosen, rejected, *kept, beta, slip)
    return each_loss(m, beta, slip), m
