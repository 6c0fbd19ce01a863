"""Exercises 08.1 and 08.2: the ends of lambda, and the first minibatch."""

import torch

from .best import slips


def to_come(x):
    """The sum of what stands here and later, along the last axis."""
    return x.flip(-1).cumsum(-1).flip(-1)


# ---------------------------------------------------------------- 08.1: the ends of lambda
def shrunk(r, by: float = 0.95):
    """What still comes of a text's rewards, each place later worth less by a factor."""
    powers = by ** torch.arange(len(r), dtype=r.dtype)
    return torch.stack([r[t:] @ powers[: len(r) - t] for t in range(len(r))])


def ends(rewards, values, low: str = "", high: str = ""):
    """(2, T): the advantages of a text's tokens at lambda 0, and at lambda 1."""
    r, v = (torch.as_tensor(x, dtype=torch.float64) for x in (rewards, values))
    zero = torch.zeros(1, dtype=torch.float64)
    after, before = torch.cat([v[1:], zero]), torch.cat([zero, v[:-1]])
    to_go = to_come
    kept, wrap = torch.cat([v[1:], v[-1:]]), v.roll(-1)
    step = {"no after": r - v, "no before": r + after, "reward": r, "no reward": after - v}
    step |= {"previous": r + v - before, "turned": r - after + v, "both": r + after + v}
    step |= {"last kept": r + kept - v, "wrap": r + wrap - v, "zero": 0 * r, "minus": v - r - after}
    step |= {"the other": to_go(r) - v, "size": (r + after - v).abs(), "first": r + after - v[0]}
    step |= {"next reward": torch.cat([r[1:], zero]) + after - v, "mean": r + after - v.mean()}
    step |= {"no end": torch.cat([(r + after - v)[:-1], zero]), "before": r + before - v}
    surprise = r + after - v
    left = torch.arange(len(r), 0, -1)
    whole = {
        "last kept": to_go(r) + v[-1] - v,
        "wrap": to_go(r) + v[0] - v,
        "backwards": r.flip(0).cumsum(0) - v,
        "turned over": r.cumsum(0).flip(0) - v,
        "all off": r.sum() - v.sum() + 0 * r,
        "last": r[-1] - v,
        "mean reward": r.mean() - v,
        "mean value": to_go(r) - v.mean(),
        "last value": to_go(r) - v[-1],
        "values twice": to_go(r + after) - v,
        "off twice": to_go(r + after - v) - v,
        "twice": to_go(to_go(r)) - v,
        "0.95": shrunk(r) - v,
        "mean surprise": to_go(surprise) / left,
        "next": torch.cat([r[1:], zero]) + after - v,
        "only sum": r.sum() + 0 * r,
        "size": (to_go(r) - v).abs(),
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
    "size": "at λ = 0: the sign is lost.",
    "first": "at λ = 0: each token has a guess of its own, not the first one's.",
    "next reward": "at λ = 0: that is the next token's reward; the token's own belongs here.",
    "mean": "at λ = 0: the mean value is taken off; each token has a guess of its own.",
    "no end": "at λ = 0: the last token has a surprise, too: no value follows it.",
    "before": "at λ = 0: V_{t-1} stands where V_{t+1} should.",
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
    "last kept": "at λ = 1: after the last token the value is 0; yours goes on with its own.",
    "wrap": "at λ = 1: after the last token the value is 0; yours is the first token's.",
    "backwards": "at λ = 1: added up from the end, and not turned back.",
    "turned over": "at λ = 1: turn first, add up, and turn back; yours only turns the sums.",
    "all off": "at λ = 1: all tokens get the whole reward less all values.",
    "last": "at λ = 1: only the last reward is in it; all that still come count.",
    "mean reward": "at λ = 1: that is the mean reward; asked is the sum of what still comes.",
    "mean value": "at λ = 1: the mean value is taken off; each token has a guess of its own.",
    "last value": "at λ = 1: the last token's value is taken off; each has a guess of its own.",
    "values twice": "at λ = 1: the later values are added up and not taken off.",
    "off twice": "at λ = 1: V_t is taken off twice.",
    "twice": "at λ = 1: what still comes is added up twice.",
    "0.95": "at λ = 1: rewards that come later count in full; yours shrinks them by 0.95.",
    "mean surprise": "at λ = 1: the surprises are averaged; they are added up.",
    "next": "at λ = 1: that is one later token's surprise; all rewards that still come count.",
    "only sum": "at λ = 1: that is the whole text's reward, and V_t is left out.",
    "size": "at λ = 1: the sign is lost.",
}


def one_text(seed: int, length: int) -> dict:
    """A case: rewards and values of a text's tokens."""
    rng = torch.Generator().manual_seed(seed)
    draw = lambda: torch.randn(length, generator=rng, dtype=torch.float64)
    return {"rewards": draw(), "values": 1 + draw()}


# ---------------------------------------------------------------- 08.2: the first minibatch
def first_gradient(advantage, mask, slip: str = "", over: str = ""):
    """The policy loss's gradient by the log-probabilities where all ratios are 1, (B, T)."""
    a, m = advantage, mask.to(advantage.dtype)
    over = {
        "sum": 1,
        "rows": len(m),
        "places": m.numel(),
        "own tokens": m.sum(1, keepdim=True),
        "width": m.shape[1],
        "rows of tokens": m.sum(1, keepdim=True) * len(m),
        "one more": m.sum() + 1,
        "columns": m.sum(0, keepdim=True).clamp(min=1),
        "size of all": (a * m).abs().sum(),
        "sum of all": (a * m).sum(),
        "root": m.sum().sqrt(),
        "longest": len(m) * m.sum(1).max(),
        "mean length": m.sum() / len(m),
        "no mask": m.numel(),
        "squared tokens": m.sum() ** 2,
    }.get(over or slip, m.sum())
    inside = {
        "off the mask": a,
        "no advantage": m,
        "size": a.abs() * m,
        "good only": a.clamp(min=0),
    }
    inside |= {"good only": a.clamp(min=0) * m, "centred": (a - a[mask].mean()) * m}
    spread = a[mask].std(correction=0) if mask.any() else 1.0
    inside |= {"whitened": (a - a[mask].mean()) / spread * m, "one mean": a[mask].mean() * m}
    inside |= {"clipped": a.clamp(-0.2, 0.2) * m, "clipped to 1": a.clamp(0.8, 1.2) * m}
    inside |= {"sign": a.sign() * m, "bad only": a.clamp(max=0) * m, "no mask": a}
    inside |= {"edges": torch.where(a > 0, 1.2 * a, 0.8 * a) * m, "off alone": a * (1 - m)}
    inside |= {"other edges": torch.where(a > 0, 0.8 * a, 1.2 * a) * m}
    own = (a * m).sum(1, keepdim=True)
    inside |= {"text's mean": own / m.sum(1, keepdim=True) * m, "text's sum": own * m}
    inside |= {"to come": to_come(a * m) * m, "so far": (a * m).cumsum(1) * m}
    sign = 1 if slip == "plus" else -1
    return sign * inside.get(slip, a * m) / over


WHOLE = (
    "that is the loss, one number; asked is how it moves with each token's log-probability.",
    "that is one number a text; each token has its own.",
)
HALF = (
    "that is half of it. If that is for the tie with the clipped branch: at a ratio of 1 nothing is"
    " clipped, so that branch isn't flat."
)
LOSS_VALUES = [
    (HALF, lambda a, m: -0.5 * a * m / m.sum()),
    (WHOLE[0], lambda a, m: -(a * m).sum() / m.sum()),
    (WHOLE[0], lambda a, m: (a * m).sum() / m.sum()),
    (WHOLE[1], lambda a, m: -(a * m).sum(1) / m.sum()),
    (WHOLE[1], lambda a, m: -(a * m).sum(1) / m.sum(1)),
    (WHOLE[1], lambda a, m: -(a * m).sum(1)),
]
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
    "clipped to 1": "the ratio is clipped to 0.8 to 1.2, not the advantage.",
    "sign": "only the advantage's sign is in it; its size counts, too.",
    "bad only": "good tokens are pushed too: at a ratio of 1 nothing is clipped.",
    "edges": "the clip's edges 1.2 and 0.8 stand where the ratio should: it is 1.",
    "other edges": "the clip's edges 0.8 and 1.2 stand where the ratio should: it is 1.",
    "off alone": "the mask is turned round: yours pushes prompt and padding.",
    "text's mean": "all tokens of a text get its mean advantage; each is pushed by its own.",
    "text's sum": "all tokens of a text get the sum of its advantages; each is pushed by its own.",
    "to come": "later advantages are added up; a token is pushed by its own.",
    "so far": "earlier advantages are added up; a token is pushed by its own.",
    "one more": "that divides by one more than there are tokens.",
    "columns": "that divides each place by its texts; the mean is over all tokens.",
    "size of all": "that divides by the size of all advantages; it is a mean over tokens.",
    "sum of all": "that divides by the sum of all advantages; it is a mean over tokens.",
    "root": "that divides by the root of the number of tokens.",
    "squared tokens": "that divides by the number of tokens twice.",
    "longest": "that divides as if every text were as long as the longest.",
    "mean length": "that divides by the mean length of the texts; the mean is over all tokens.",
    "no mask": "the mask isn't used: prompt and padding are neither pushed nor counted.",
}
PUSHED = ("off the mask", "no advantage", "size", "centred", "whitened", "one mean", "text's mean")
PUSHED += ("text's sum", "sign")
DIVIDED = ("sum", "rows", "places", "own tokens", "rows of tokens", "width")
TWO_FIRST = [
    (f"two things. First: {FIRST_SLIPS[a]} Second: {FIRST_SLIPS[b]}",
     lambda adv, mask, a=a, b=b: first_gradient(adv, mask, a, b))
    for a in PUSHED for b in DIVIDED
]  # fmt: skip


def masked(spans: list[tuple[int, int]], width: int):
    """The mask of texts whose responses stand at these places."""
    mask = torch.zeros(len(spans), width, dtype=torch.bool)
    for row, (start, stop) in zip(mask, spans, strict=True):
        row[start:stop] = True
    return mask


def batch(seed: int, spans: list[tuple[int, int]], width: int) -> dict:
    """A case: advantages of a batch, at all places, and its mask."""
    rng = torch.Generator().manual_seed(seed)
    advantage = 0.3 + torch.randn(len(spans), width, generator=rng, dtype=torch.float64)
    return {"advantage": advantage, "mask": masked(spans, width)}


FIRST_WRONGS = slips(first_gradient, FIRST_SLIPS) + LOSS_VALUES + TWO_FIRST
