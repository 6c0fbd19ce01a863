"""Chapter 08: advantages; the ends of lambda and the first minibatch are in ch08_ends.py, the
other two in ppo.py."""

import torch

from .best import slips
from .ch08_ends import (
    FIRST_WRONGS,
    HIGH_SLIPS,
    LOW_SLIPS,
    batch,
    ends,
    first_gradient,
    masked,
    one_text,
    to_come,
)
from .functions import Function
from .ppo import GRPO_SLIPS, RLOO_SLIPS, NoKL, group_advantages, groups, row_by_row, two_rows


# ---------------------------------------------------------------- 08.0: advantages
def last(mask):
    """The last token of each text."""
    return mask & ~torch.cat([mask[:, 1:], torch.zeros_like(mask[:, :1])], 1)


def next_place(x):
    """What stands at the next place; 0 after the last."""
    return torch.cat([x[:, 1:], torch.zeros_like(x[:, :1])], 1)


def by_text(x, mask, spread: bool):
    """Each text's mean taken off, and its spread divided out."""
    size = mask.sum(1, keepdim=True)
    off = (x - (x * mask).sum(1, keepdim=True) / size) * mask
    return off / ((off**2).sum(1, keepdim=True) / (size - 1)).sqrt() if spread else off


# mistakes made at the end: (advantages, own surprises, mask, lam) -> what comes of it
AFTERWARDS = {
    "later only": lambda a, own, mask, lam: a - own,
    "two steps": lambda a, own, mask, lam: (own + lam * next_place(own)) * mask,
    "two steps, all places": lambda a, own, mask, lam: own + lam * next_place(own),
    "next surprise": lambda a, own, mask, lam: next_place(own) * mask,
    "places": lambda a, own, mask, lam: to_come(own * lam ** torch.arange(own.shape[1])) * mask,
    "from the text's start": lambda a, own, mask, lam: (
        to_come(own * lam ** (mask.cumsum(1) - 1).clamp(min=0)) * mask
    ),
    "text whitened": lambda a, own, mask, lam: by_text(a, mask, spread=True),
    "text centred": lambda a, own, mask, lam: by_text(a, mask, spread=False),
    "text's sum": lambda a, own, mask, lam: own.sum(1, keepdim=True) * mask,
    "first's": lambda a, own, mask, lam: (a * (mask.cumsum(1) == 1)).sum(1, keepdim=True) * mask,
    "no last": lambda a, own, mask, lam: a * ~last(mask),
    "no first": lambda a, own, mask, lam: a * (mask.cumsum(1) > 1),
    "one late": lambda a, own, mask, lam: next_place(a) * mask,
    "steps' mean": lambda a, own, mask, lam: a / to_come(mask * 1.0).clamp(min=1),
}


def advantages(rewards, values, mask, lam, slip: str = ""):
    """Generalised advantages, (B, T): A_t = R_t + V_{t+1} - V_t + lam A_{t+1}; 0 off the mask."""
    if slip not in ("beyond", "nowhere masked", "masked late"):
        values = values * mask
    zero = torch.zeros_like(values[:, :1])
    after = torch.cat([values[:, 1:], zero], 1)
    before = torch.cat([zero, values[:, :-1]], 1)
    surprise = {
        "no after": rewards - values,
        "no before": rewards + after,
        "no reward": after - values,
        "previous": rewards + values - before,
        "turned": rewards - after + values,
        "both added": rewards + after + values,
        "discounted": rewards + lam * after - values,
        "λ on the value": rewards + lam * after - values,
        "λ on both": lam * (rewards + after) - values,
        "λ on before": rewards + after - lam * values,
        "λ on reward": lam * rewards + after - values,
        "own at the end": rewards + torch.where(last(mask), values, after) - values,
        "reward at the end": rewards * last(mask) + after - values,
        "all at the end": rewards.sum(1, keepdim=True) * last(mask) + after - values,
        "previous, turned": rewards + before - values,
        "rewards only": rewards,
    }.get(slip, rewards + after - values)
    if slip == "sizes":
        surprise = surprise.abs()
    by = {"all count": 1.0, "λ on the value": 1.0, "one step": 0.0, "twice": lam * lam}
    by = (by | {"rest": 1 - lam, "root": lam**0.5, "over": 1 / (lam or 1.0)}).get(slip, lam)
    out, following = torch.zeros_like(rewards), torch.zeros_like(rewards[:, 0])
    places = range(rewards.shape[1])
    for t in places if slip == "forward" else reversed(places):
        if slip == "times all":
            following = by * (surprise[:, t] + following)
        elif slip == "averaged":
            following = (1 - by) * surprise[:, t] + by * following
        else:
            following = surprise[:, t] + by * following
        carried = slip.endswith("masked") or slip == "masked late"
        following = following if carried else following * mask[:, t]
        out[:, t] = following
    if slip == "masked late":
        out = out * mask
    own = surprise * mask
    if slip in AFTERWARDS:
        out = AFTERWARDS[slip](out, own, mask, lam)
    if slip == "returns":
        out = out + values
    if slip == "less value":
        out = out - values
    if slip in ("whitened", "centred", "scaled"):
        spread = {"whitened": out[mask].std(correction=0), "scaled": out[mask].std()}.get(slip, 1)
        out = (out - out[mask].mean()) / spread * mask
    if slip == "mean of text":
        out = out / mask.sum(1, keepdim=True)
    return out


ADVANTAGE_SLIPS = {
    "all count": "λ isn't used: all later surprises count in full.",
    "one step": "only the token's own surprise is in it; the later ones count too, by λ each.",
    "twice": "λ goes in twice.",
    "rest": "1 - λ stands in place of λ.",
    "no after": "V_{t+1} is left out: what is now expected counts for a token.",
    "no before": "V_t is left out: what was expected before must be taken off.",
    "no reward": "R_t is left out.",
    "rewards only": "the values are left out: that is a discounted sum of rewards.",
    "previous": "the values are one place off: V_t less V_{t-1}, where V_{t+1} less V_t is meant.",
    "turned": "the values have the wrong signs: V_{t+1} is added, V_t taken off.",
    "discounted": "λ is on V_{t+1} too: there it would be the discount γ, which is 1.",
    "times all": "λ is on the token's own surprise too.",
    "averaged": "the surprises are averaged with weights 1 - λ and λ; they are added up.",
    "forward": "it adds up from the first token on: a token's credit comes from what follows it.",
    "beyond": "after the last token the value is 0; yours reads one from the padding.",
    "never masked": "places off the mask must be 0.",
    "nowhere masked": "the mask isn't used.",
    "returns": "that is the return, A + V.",
    "less value": "V_t is taken off twice.",
    "whitened": "whitening comes later: these are still in units of reward.",
    "scaled": "whitening comes later: these are still in units of reward.",
    "centred": "the mean is taken off: that comes later, with whitening.",
    "mean of text": "divided by the text's length: surprises are added up.",
    "both added": "V_t is added; what was expected before must be taken off.",
    "λ on the value": "λ stands before V_{t+1}, where γ = 1 belongs, and none before A_{t+1}.",
    "λ on before": "λ stands before V_t, too; it stands before A_{t+1} alone.",
    "λ on reward": "λ stands before R_t, too; it stands before A_{t+1} alone.",
    "λ on both": "λ stands before R_t and V_{t+1}, too; it stands before A_{t+1} alone.",
    "own at the end": "after the last token the value is 0; yours goes on with its own.",
    "reward at the end": "only the last token's reward is in it: R_t counts at every token.",
    "all at the end": "all of a text's reward stands at its last token: R_t belongs to token t.",
    "previous, turned": "the values are one place off, and turned.",
    "sizes": "the surprises have lost their signs.",
    "root": "the root of λ stands in place of λ.",
    "over": "1 / λ stands in place of λ: later surprises count less, not more.",
    "masked late": "the padding's V or surprises get into the text's; both are 0 off the mask.",
    "later only": "the token's own surprise is left out, or taken off again.",
    "two steps": "that ends after the next token's surprise; all later ones count.",
    "two steps, all places": "that ends after the next token's surprise; all later ones count.",
    "next surprise": "that is the next token's surprise alone.",
    "places": "the powers of λ count from the first place; they count from the token itself.",
    "from the text's start": "the powers of λ count from the text's first token; they count"
    " from the token itself.",
    "text whitened": "whitening comes later, and over the batch, not text by text.",
    "text centred": "each text's mean is taken off: these are still in units of reward.",
    "text's sum": "all tokens of a text get the sum of its surprises; each has its own.",
    "first's": "all tokens of a text get its first token's advantage; each has its own.",
    "no last": "the last token of a text has an advantage, too.",
    "no first": "the first token of a text has an advantage, too.",
    "one late": "each token gets the advantage of the next one.",
    "steps' mean": "divided by the number of tokens to come: surprises are added up.",
}


def texts(seed: int, spans: list[tuple[int, int]], width: int, lam: float) -> dict:
    """A case: texts whose responses stand at these places."""
    rng = torch.Generator().manual_seed(seed)
    draw = lambda: torch.randn(len(spans), width, generator=rng, dtype=torch.float64)
    mask = masked(spans, width)
    return {"rewards": draw() * mask, "values": 1 + draw(), "mask": mask, "lam": lam}


TEXTS = [
    texts(1, [(1, 4), (2, 6)], 6, 0.9),
    texts(2, [(0, 3)], 5, 0.6),
    texts(3, [(2, 5), (0, 2)], 6, 0.3),
]


EXERCISES = {
    "08.0": Function(
        advantages,
        TEXTS,
        wrongs=slips(advantages, ADVANTAGE_SLIPS),
        shows="A token is praised for what became better after it, less and less for later words.",
    ),
    "08.1": Function(
        ends,
        [one_text(1, 4), one_text(2, 6), one_text(3, 4)],
        wrongs=two_rows(ends, LOW_SLIPS, HIGH_SLIPS),
        traits=[row_by_row(ends, LOW_SLIPS, HIGH_SLIPS, ("at λ = 0", "at λ = 1"))],
        shows="λ = 0 trusts the guesses, λ = 1 what really came.",
    ),
    "08.2": Function(
        first_gradient,
        [
            batch(1, [(1, 4), (2, 3)], 5),
            batch(2, [(0, 3), (2, 5)], 5),
            batch(3, [(2, 6), (1, 3), (3, 5)], 6),
        ],
        wrongs=FIRST_WRONGS,
        shows="On the first minibatch PPO is the plain policy gradient.",
    ),
    "08.3": NoKL(),
    "08.4": Function(
        group_advantages,
        [groups(1, 2, 3), groups(2, 3, 4), groups(3, 2, 3)],
        wrongs=two_rows(group_advantages, RLOO_SLIPS, GRPO_SLIPS),
        traits=[row_by_row(group_advantages, RLOO_SLIPS, GRPO_SLIPS, ("RLOO", "GRPO"))],
        shows="The group's mean stands in for the value model.",
        rtol=2e-3,
        atol=1e-4,
    ),
}
