"""Chapter 08: advantages, the ends of lambda, the first minibatch; the other two are in ppo.py."""

import torch

from .best import slips
from .functions import Function
from .ppo import GRPO_SLIPS, RLOO_SLIPS, NoKL, group_advantages, groups, two_rows


# ---------------------------------------------------------------- 08.0: advantages
def advantages(rewards, values, mask, lam, slip: str = ""):
    """Generalised advantages, (B, T): A_t = R_t + V_{t+1} - V_t + lam A_{t+1}; 0 off the mask."""
    if slip not in ("beyond", "nowhere masked"):
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
        "rewards only": rewards,
    }.get(slip, rewards + after - values)
    by = {"all count": 1.0, "one step": 0.0, "twice": lam * lam, "rest": 1 - lam}.get(slip, lam)
    out, following = torch.zeros_like(rewards), torch.zeros_like(rewards[:, 0])
    places = range(rewards.shape[1])
    for t in places if slip == "forward" else reversed(places):
        if slip == "times all":
            following = by * (surprise[:, t] + following)
        elif slip == "averaged":
            following = (1 - by) * surprise[:, t] + by * following
        else:
            following = surprise[:, t] + by * following
        following = following if slip.endswith("masked") else following * mask[:, t]
        out[:, t] = following
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
}


def texts(seed: int, spans: list[tuple[int, int]], width: int, lam: float) -> dict:
    """A case: texts whose responses stand at these places."""
    rng = torch.Generator().manual_seed(seed)
    draw = lambda: torch.randn(len(spans), width, generator=rng, dtype=torch.float64)
    mask = torch.zeros(len(spans), width, dtype=torch.bool)
    for row, (start, stop) in zip(mask, spans, strict=True):
        row[start:stop] = True
    return {"rewards": draw() * mask, "values": 1 + draw(), "mask": mask, "lam": lam}


TEXTS = [
    texts(1, [(1, 4), (2, 6)], 6, 0.9),
    texts(2, [(0, 3)], 5, 0.6),
    texts(3, [(2, 5), (0, 2)], 6, 0.3),
]


# ---------------------------------------------------------------- 08.1: the ends of lambda
def ends(rewards, values, low: str = "", high: str = ""):
    """(2, T): the advantages of a text's tokens at lambda 0, and at lambda 1."""
    r, v = (torch.as_tensor(x, dtype=torch.float64) for x in (rewards, values))
    zero = torch.zeros(1, dtype=torch.float64)
    after, before = torch.cat([v[1:], zero]), torch.cat([zero, v[:-1]])
    to_go = lambda x: x.flip(0).cumsum(0).flip(0)
    kept, wrap = torch.cat([v[1:], v[-1:]]), v.roll(-1)
    step = {"no after": r - v, "no before": r + after, "reward": r, "no reward": after - v}
    step |= {"previous": r + v - before, "turned": r - after + v, "both": r + after + v}
    step |= {"last kept": r + kept - v, "wrap": r + wrap - v, "zero": 0 * r, "minus": v - r - after}
    step |= {"the other": to_go(r) - v}
    whole = {
        "no value": to_go(r),
        "from the left": r.cumsum(0) - v,
        "surprises": (r + after - v).cumsum(0),
        "strictly": to_go(r) - r - v,
        "total": r.sum() - v,
        "total, first": r.sum() - v[0] + 0 * r,
        "first value": to_go(r) - v[0],
        "next value": to_go(r) - after,
        "both values": to_go(r) + after - v,
        "after only": to_go(r) + after,
        "values too": to_go(r) - to_go(v),
        "mean": to_go(r) / torch.arange(len(r), 0, -1) - v,
        "mean of all": to_go(r) / len(r) - v,
        "value added": to_go(r) + v,
        "one reward": r - v,
        "minus": v - to_go(r),
        "the other": r + after - v,
    }
    return torch.stack([step.get(low, r + after - v), whole.get(high, to_go(r) - v)])


LOW_SLIPS = {
    "no after": "at λ = 0: V_{t+1} is left out.",
    "no before": "at λ = 0: V_t is left out.",
    "reward": "at λ = 0: the values are left out.",
    "no reward": "at λ = 0: the token's own reward is left out.",
    "previous": "at λ = 0: the values are one place off.",
    "turned": "at λ = 0: the values have the wrong signs.",
    "both": "at λ = 0: V_t is added; it is taken off.",
    "last kept": "at λ = 0: after the last token the value is 0.",
    "wrap": "at λ = 0: after the last token the value is 0; yours is the first token's.",
    "zero": "at λ = 0: later surprises are gone, and the token's own is still there.",
    "minus": "at λ = 0: the sign is turned.",
    "the other": "at λ = 0: that is the one for λ = 1.",
}
HIGH_SLIPS = {
    "no value": "at λ = 1: V_t is left out; what was expected is taken off.",
    "from the left": "at λ = 1: that adds up what came before; asked is what still comes.",
    "surprises": "at λ = 1: the surprises are added up from the left; those that follow count.",
    "strictly": "at λ = 1: the token's own reward is left out of what still comes.",
    "total": "at λ = 1: that is the whole text's reward; rewards of earlier tokens don't count.",
    "total, first": "at λ = 1: all tokens get the first one's.",
    "first value": "at λ = 1: each token has a guess of its own, not the first one's.",
    "next value": "at λ = 1: V_{t+1} is taken off; it is the guess before the token.",
    "both values": "at λ = 1: V_{t+1} is still in it; the values in between cancel.",
    "after only": "at λ = 1: V_{t+1} is still in it, and V_t isn't.",
    "values too": "at λ = 1: all later values are taken off; they cancel but for V_t.",
    "mean": "at λ = 1: what still comes is a sum, not a mean.",
    "mean of all": "at λ = 1: what still comes is a sum, not a mean.",
    "value added": "at λ = 1: V_t is added; it is taken off.",
    "one reward": "at λ = 1: the rewards that follow are left out.",
    "minus": "at λ = 1: the sign is turned.",
    "the other": "at λ = 1: that is the one for λ = 0.",
}


def one_text(seed: int, length: int) -> dict:
    """A case: rewards and values of a text's tokens."""
    rng = torch.Generator().manual_seed(seed)
    draw = lambda: torch.randn(length, generator=rng, dtype=torch.float64)
    return {"rewards": draw(), "values": 1 + draw()}


# ---------------------------------------------------------------- 08.2: the first minibatch
def first_gradient(advantage, mask, slip: str = ""):
    """The policy loss's gradient by the log-probabilities where all ratios are 1, (B, T)."""
    a, m = advantage, mask.to(advantage.dtype)
    over = {
        "sum": 1,
        "rows": len(m),
        "places": m.numel(),
        "own tokens": m.sum(1, keepdim=True),
        "width": m.shape[1],
        "rows of tokens": m.sum(1, keepdim=True) * len(m),
    }.get(slip, m.sum())
    inside = {
        "off the mask": a,
        "no advantage": m,
        "size": a.abs() * m,
        "good only": a.clamp(min=0),
    }
    inside |= {"good only": a.clamp(min=0) * m, "centred": (a - a[mask].mean()) * m}
    spread = a[mask].std(correction=0) if mask.any() else 1.0
    inside |= {"whitened": (a - a[mask].mean()) / spread * m, "one mean": a[mask].mean() * m}
    inside |= {"clipped": a.clamp(-0.2, 0.2) * m}
    sign = 1 if slip == "plus" else -1
    return sign * inside.get(slip, a * m) / over


FIRST_SLIPS = {
    "plus": "the sign is turned: the loss falls where the advantage is positive.",
    "sum": "the loss is a mean over tokens: divide by how many there are.",
    "rows": "that divides by the number of texts; the mean is over tokens.",
    "places": "that divides by all places; padding and prompt aren't in the mean.",
    "own tokens": "that divides by the text's own tokens; the mean is over the batch's.",
    "rows of tokens": "that is a mean over texts of means over tokens; it is one mean over tokens.",
    "width": "that divides by the batch's width; padding and prompt aren't in the mean.",
    "off the mask": "places off the mask have no gradient.",
    "no advantage": "the advantage is left out.",
    "size": "the advantages have lost their signs.",
    "good only": "bad tokens are pushed too, away.",
    "centred": "the mean is taken off the advantages; the loss takes them as they are.",
    "whitened": "the advantages are whitened; the loss takes them as they are.",
    "one mean": "all tokens get the mean advantage; each is pushed by its own.",
    "clipped": "the ratio is clipped, not the advantage; at 1 it isn't.",
}


def batch(seed: int, spans: list[tuple[int, int]], width: int) -> dict:
    """A case: advantages of a batch, at all places, and its mask."""
    rng = torch.Generator().manual_seed(seed)
    advantage = 0.3 + torch.randn(len(spans), width, generator=rng, dtype=torch.float64)
    return {"advantage": advantage, "mask": texts(seed, spans, width, 1.0)["mask"]}


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
        shows="λ = 0 trusts the guesses, λ = 1 what really came.",
    ),
    "08.2": Function(
        first_gradient,
        [
            batch(1, [(1, 4), (2, 3)], 5),
            batch(2, [(0, 3), (2, 5)], 5),
            batch(3, [(2, 6), (1, 3), (3, 5)], 6),
        ],
        wrongs=slips(first_gradient, FIRST_SLIPS),
        shows="On the first minibatch PPO is the plain policy gradient.",
    ),
    "08.3": NoKL(),
    "08.4": Function(
        group_advantages,
        [groups(1, 2, 3), groups(2, 3, 4), groups(3, 2, 3)],
        wrongs=two_rows(group_advantages, RLOO_SLIPS, GRPO_SLIPS),
        shows="The group's mean stands in for the value model.",
        rtol=2e-3,
        atol=1e-4,
    ),
}
