"""More wrong attempts at chapter 06's exercises, with their messages."""

import math

import torch
from torch.nn.functional import logsigmoid

from dpo_from_scratch.models import Scorer


# ---------------------------------------------------------------- 06.0
def clip(policy):
    return torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)


def step(
    of=lambda c, r, rc, rr, b: -logsigmoid(b * (c - rc - r + rr)),
    over=torch.mean,
    clip=clip,
    go=lambda optimizer, policy, rate: optimizer.step(),
    rate=lambda rate: rate,
    gives=lambda loss, each, length, policy: loss.item(),
    scores=lambda policy, batch: Scorer(policy)(**batch).chunk(2),
    back=lambda loss: loss.backward(),
):
    def attempt(policy, optimizer, batch, ref_chosen, ref_rejected, lr, beta):
        each = of(*scores(policy, batch), ref_chosen, ref_rejected, beta)
        loss = over(each)
        back(loss)
        length = clip(policy)
        optimizer.param_groups[0]["lr"] = rate(lr)
        go(optimizer, policy, lr)
        optimizer.zero_grad()
        return gives(loss, each, length, policy)

    return attempt


def by_itself(policy):
    for p in policy.parameters():
        torch.nn.utils.clip_grad_norm_([p], 1.0)


def by_hand(optimizer, policy, rate):
    with torch.no_grad():
        for p in policy.parameters():
            p -= rate * p.grad


def unshifted(policy, batch):
    logits = policy(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    told = logits.log_softmax(-1).gather(2, batch["input_ids"][..., None])[..., 0]
    return (told * batch["response_mask"]).sum(1).chunk(2)


limit = lambda by, **how: lambda p: torch.nn.utils.clip_grad_norm_(p.parameters(), by, **how)
none = lambda policy: None
STEPS = [
    (step(clip=by_itself), "clipped by itself"),
    (step(of=lambda c, r, rc, rr, b: -logsigmoid(b * (r - rc - c + rr))), "the policy's two"),
    (step(of=lambda c, r, rc, rr, b: -logsigmoid(b * ((c - rc).exp() - (r - rr).exp()))), "ratios"),
    (step(of=lambda c, r, rc, rr, b: -b * logsigmoid(c - rc - r + rr)), "in front of the loss"),
    (step(of=lambda c, r, rc, rr, b: -b * logsigmoid(b * (c - rc - r + rr))), "once more in front"),
    (step(of=lambda c, r, rc, rr, b: -logsigmoid((c - rc - r + rr) / b)), "divided by β"),
    (step(of=lambda c, r, rc, rr, b: -logsigmoid(b * (c - rc) - (r - rr))), "bracket is missing"),
    (step(of=lambda c, r, rc, rr, b: -logsigmoid(b * (c - rc))), "only the chosen"),
    (step(of=lambda c, r, rc, rr, b: (1 / (2 * b) - (c - rc - r + rr)) ** 2), "IPO's"),
    (step(of=lambda c, r, rc, rr, b: -b * (c - rc - r + rr)), "minus the margin"),
    (step(of=lambda c, r, rc, rr, b: logsigmoid(b * (c - rc - r + rr))), "lacks its minus"),
    (step(of=lambda c, r, rc, rr, b: -logsigmoid(b * (c - r - (c - r).detach()))), "stand in for"),
    (step(scores=unshifted), "aren't shifted"),
    (step(clip=limit(0.5)), "cut to a length of 0.5"),
    (step(clip=limit(5.0)), "cut to a length of 5"),
    (step(clip=limit(1.0, norm_type=1)), "another norm"),
    (step(clip=limit(1.0, norm_type=math.inf)), "another norm"),
    (step(rate=lambda r: r * r), "`rate` goes in twice"),
    (step(rate=lambda r: r / 2), "0.5 times as long"),
    (step(rate=lambda r: r * 3), "3 times as long"),
    (step(go=by_hand), "not by the optimizer that was handed over"),
    (step(gives=lambda loss, each, length, p: each.sum().item()), "the sum over the pairs"),
    (step(gives=lambda loss, each, length, p: -loss.item()), "minus the loss"),
    (step(gives=lambda loss, each, length, p: length), "the length of the gradient"),
    (step(gives=lambda loss, each, length, p: each[0].item()), "the first pair's loss"),
    (step(over=lambda each: each.sum() / (len(each) - 1)), "divided by N - 1"),
    (step(over=lambda each: each[0]), "only the first pair"),
    (step(over=torch.sum, clip=none), "Second: the gradient isn't clipped"),
    (step(of=lambda c, r, rc, rr, b: -logsigmoid(b * (c - r)), clip=by_itself), "First: the ref"),
    (step(of=lambda c, r, rc, rr, b: -logsigmoid(c - rc - r + rr), rate=lambda r: 0.07), "Second"),
    (step(over=lambda each: each.sum() / 32), "divided by 32"),
]

# ---------------------------------------------------------------- 06.2
sigma = lambda x: 1 / (1 + math.exp(-x))
three = lambda of: tuple(of(m) for m in (0.0, 4.0, -4.0))
total = sum(three(lambda m: sigma(-m)))
WEIGHTS = [
    (three(lambda m: sigma(-m) / 0.6), "divided by β"),
    (three(lambda m: 0.6 * sigma(-m / 0.6)), "either the margin is divided by β"),
    (three(lambda m: sigma(-m / 0.6)), "and β in front is left out"),
    (three(lambda m: sigma(-m) / total), "each one's share of all three"),
    (three(lambda m: sigma(-0.6 * m)), "β multiplies the margin inside σ"),
    (three(lambda m: math.log1p(math.exp(-0.6 * m))), "that is a loss"),
    (three(lambda m: math.exp(-m)), "that is an exponential"),
    (three(lambda m: 0.1 * sigma(-m)), "a β of 0.1"),
    (three(lambda m: 0.5 * sigma(-m)), "a β of 0.5"),
    (three(lambda m: 1.2 * sigma(-m)), "twice the weight"),
    (three(lambda m: 2 * sigma(-m)), "over that at the start"),
    ((0.3, 0.0, 0.6), "never quite 0 or 1"),
    ((0.6, 0.0, 0.6), "a hinge's weight"),
    ((0.0, 0.0, 0.6), "as if σ were a step"),
    ((0.6931, 0.0108, 0.589), "the loss? Asked is the weight"),
    (three(lambda m: 0.6 * m * sigma(-m)), "the margin is multiplied on"),
    (three(lambda m: math.log(0.6 * sigma(-m))), "the logarithm"),
    ((0.3, 0.3, 0.3), "at the start, for all three"),
]


# ---------------------------------------------------------------- 06.3
def parts(
    each=lambda c, r, rc, rr: -logsigmoid(0.6 * (c - rc - r + rr)),
    by=lambda n, k, sizes, batch: sum(sizes),
    then=lambda policy: None,
    end=lambda policy: None,
    some=lambda parts: parts,
):
    def attempt(policy, whole):
        sizes = [len(chosen) for _, chosen, _ in whole]
        for k, (batch, *kept) in enumerate(some(whole)):
            losses = each(*Scorer(policy)(**batch).chunk(2), *kept)
            (losses.sum() / by(sizes[k], k, sizes, batch)).backward()
            then(policy)
        end(policy)
        return torch.cat([p.grad.flatten() for p in policy.parameters()])

    return attempt


def running(policy, whole):
    total = 0.0
    for batch, *kept in whole:
        c, r = Scorer(policy)(**batch).chunk(2)
        total = total - logsigmoid(0.6 * (c - kept[0] - r + kept[1])).sum()
        (total / sum(len(k) for _, k, _ in whole)).backward(retain_graph=True)
    return torch.cat([p.grad.flatten() for p in policy.parameters()])


tokens = lambda batch: batch["response_mask"].sum()
PARTS = [
    (parts(by=lambda n, k, sizes, b: len(sizes)), "the number of parts"),
    (parts(by=lambda n, k, sizes, b: sum(sizes[: k + 1])), "the pairs seen so far"),
    (parts(by=lambda n, k, sizes, b: tokens(b)), "its scored tokens"),
    (parts(by=lambda n, k, sizes, b: sum(sizes) - 1), "N - 1"),
    (parts(by=lambda n, k, sizes, b: sizes[-1]), "the last one's pairs"),
    (parts(by=lambda n, k, sizes, b: max(sizes) * len(sizes)), "as large as the largest"),
    (parts(by=lambda n, k, sizes, b: sum(sizes) ** 2), "twice by the number of pairs"),
    (parts(by=lambda n, k, sizes, b: sum(sizes) / n), "count twice"),
    (parts(by=lambda n, k, sizes, b: k + 1), "divided by its place"),
    (parts(by=lambda n, k, sizes, b: 2 * n), "divided by its texts"),
    (parts(then=clip), "clipped after each part"),
    (parts(end=clip), "clipped to length 1"),
    (parts(by=lambda n, k, sizes, b: 1, end=clip), "clipped to length 1"),
    (parts(some=lambda whole: whole[:1]), "only the first part"),
    (running, "earlier parts are counted again"),
    (parts(lambda c, r, rc, rr: -0.6 * logsigmoid(c - rc - r + rr)), "in front of the loss"),
    (parts(lambda c, r, rc, rr: -logsigmoid(0.6 * (r - rc - c + rr))), "the policy's two scores"),
    (parts(lambda c, r, rc, rr: -logsigmoid((c - rc - r + rr) / 0.6)), "divided by β"),
    (parts(lambda c, r, rc, rr: -torch.sigmoid(0.6 * (c - rc - r + rr))), "lacks its logarithm"),
    (parts(lambda c, r, rc, rr: -logsigmoid(0.5 * (c - rc - r + rr))), "β is 0.5"),
    (parts(lambda c, r, rc, rr: (1 - 0.6 * (c - rc - r + rr)).clamp(min=0)), "a hinge"),
    (parts(lambda c, r, rc, rr: -logsigmoid(0.6 * (c - r)), lambda n, k, s, b: n), "First: the r"),
]

# ---------------------------------------------------------------- 06.4
LN2 = math.log(2)
MOVING = [
    ((0.6, 0.66), "that is β"),
    ((0.3, 0.66), "the weight of a pair"),
    ((0.0, 0.66), "the margin, which stays 0"),
    ((1.0, 0.66), "base 2"),
    ((0.5, 0.66), "the probability"),
    ((-LN2, 0.66), "the sign is turned"),
    ((0.301, 0.66), "base 10"),
    ((5 * LN2, 0.66), "the five steps' losses"),
    ((32 * LN2, 0.66), "the pairs' losses are added"),
    ((LN2, 0.0025), "the largest move"),
    ((LN2, -0.66), "isn't negative"),
    ((LN2, 0.245), "after one step"),
    ((LN2, 0.118), "the last step alone"),
    ((LN2 / 2, 0.66), "half the loss"),
    ((LN2, 66.0), "per cent"),
]
WEIGHTS += [
    ((0.3, 0.01, 0.59), "rounded to two decimals"),
    ((0.7, 0.4108, 0.9892), "one minus β times a probability"),
    ((0.3, 0.01, 0.5892), "rounded to two decimals"),
]
WRONG = {"06.0": STEPS, "06.2": WEIGHTS, "06.3": PARTS, "06.4": MOVING}
