"""Blind attempts at exercises of chapters 06, 07, 08, 10 and 12."""
import math

import numpy as np
import torch
from scipy.special import expit
from scipy.stats import binom
from torch import sigmoid
from torch.nn.functional import logsigmoid, softplus

from dpo_from_scratch import losses
from dpo_from_scratch.models import Scorer

ATTEMPTS = []


def wrong(exercise, mistake, attempt=None):
    if attempt is not None:
        ATTEMPTS.append({"exercise": exercise, "kind": "wrong", "mistake": mistake,
                         "attempt": attempt})
        return attempt
    return lambda f: wrong(exercise, mistake, f)


def right(exercise, attempt=None):
    if attempt is not None:
        ATTEMPTS.append({"exercise": exercise, "kind": "right", "mistake": "",
                         "attempt": attempt})
        return attempt
    return lambda f: right(exercise, f)


def set_rate(optimizer, rate):
    for group in optimizer.param_groups:
        group["lr"] = rate


# ---------------------------------------------------------------- 06.0

@right("06.0")
def step_package(policy, optimizer, batch, ref_chosen, ref_rejected, rate, beta):
    chosen, rejected = Scorer(policy)(**batch).chunk(2)
    loss = losses.dpo(chosen, rejected, ref_chosen, ref_rejected, beta=beta).mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
    optimizer.param_groups[0]["lr"] = rate
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


@right("06.0")
def step_by_hand(policy, optimizer, batch, ref_chosen, ref_rejected, rate, beta):
    set_rate(optimizer, rate)
    optimizer.zero_grad()
    ids = batch["input_ids"]
    logits = policy(input_ids=ids, attention_mask=batch["attention_mask"]).logits
    logp = logits[:, :-1].log_softmax(-1)
    of_token = logp.gather(2, ids[:, 1:, None]).squeeze(2)
    logps = (of_token * batch["response_mask"][:, 1:]).sum(1)
    n = len(logps) // 2
    rho_w, rho_l = logps[:n] - ref_chosen, logps[n:] - ref_rejected
    loss = softplus(-beta * (rho_w - rho_l)).sum() / n
    loss.backward()
    length = torch.sqrt(sum((p.grad ** 2).sum() for p in policy.parameters()
                            if p.grad is not None))
    if length > 1:
        for p in policy.parameters():
            if p.grad is not None:
                p.grad /= length
    optimizer.step()
    for p in policy.parameters():
        p.grad = None
    return loss.item()


@right("06.0")
def step_autograd(policy, optimizer, batch, ref_chosen, ref_rejected, rate, beta):
    weights = list(policy.parameters())
    logps = Scorer(policy)(**batch)
    n = logps.shape[0] // 2
    total = 0
    for i in range(n):
        margin = beta * (logps[i] - logps[n + i] - ref_chosen[i] + ref_rejected[i])
        total = total - logsigmoid(margin)
    loss = total / n
    for p, g in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        p.grad = g
    torch.nn.utils.clip_grad_norm_(weights, max_norm=1)
    set_rate(optimizer, rate)
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    return loss.detach()


def make_step(*, rate_set=True, clip="norm", clip_when="after", zero="end", side="halves",
              reduce="mean", score="sum", margin="dpo", beta_at="inside", give="before"):
    def dpo_step(policy, optimizer, batch, ref_chosen, ref_rejected, rate, beta):
        if zero == "start":
            optimizer.zero_grad()
        weights = list(policy.parameters())
        if rate_set == "times":
            for group in optimizer.param_groups:
                group["lr"] *= rate
        elif rate_set:
            set_rate(optimizer, rate)

        def the_loss():
            logps = Scorer(policy)(**batch)
            if score == "mean":
                logps = logps / batch["response_mask"].sum(1)
            if side == "halves":
                chosen, rejected = logps.chunk(2)
            elif side == "swapped":
                rejected, chosen = logps.chunk(2)
            else:
                chosen, rejected = logps[0::2], logps[1::2]
            if margin == "dpo":
                m = (chosen - ref_chosen) - (rejected - ref_rejected)
            elif margin == "no reference":
                m = chosen - rejected
            elif margin == "added":
                m = (chosen - rejected) + (ref_chosen - ref_rejected)
            elif margin == "odds":
                m = (chosen - ref_chosen).exp() - (rejected - ref_rejected).exp()
            if beta_at == "inside":
                each = -logsigmoid(beta * m)
            elif beta_at == "outside":
                each = -beta * logsigmoid(m)
            else:
                each = -logsigmoid(m)
            return each.mean() if reduce == "mean" else each.sum()

        loss = the_loss()
        if clip_when == "before":
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
        loss.backward()
        if clip_when == "after" and clip == "norm":
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
        elif clip_when == "after" and clip == "value":
            torch.nn.utils.clip_grad_value_(weights, 1.0)
        elif clip == "each weight tensor":
            for p in weights:
                torch.nn.utils.clip_grad_norm_([p], 1.0)
        elif clip == "always":
            length = torch.sqrt(sum((p.grad ** 2).sum() for p in weights))
            for p in weights:
                p.grad /= length
        if zero == "before step":
            optimizer.zero_grad()
        optimizer.step()
        if clip_when == "at the end":
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
        if zero == "end":
            optimizer.zero_grad()
        if give == "after":
            with torch.no_grad():
                return the_loss().item()
        return loss.item()
    return dpo_step


wrong("06.0", "forgets to give the optimizer this step's learning rate",
      make_step(rate_set=False))
wrong("06.0", "takes rate for a factor on the optimizer's learning rate",
      make_step(rate_set="times"))
wrong("06.0", "leaves the clipping out", make_step(clip=None))
wrong("06.0", "clips each entry of the gradient to 1 instead of its norm",
      make_step(clip="value"))
wrong("06.0", "clips each weight tensor to norm 1 by itself",
      make_step(clip="each weight tensor"))
wrong("06.0", "scales the gradient to length 1 always, also when it is shorter",
      make_step(clip="always"))
wrong("06.0", "clips before backward, when there is no gradient yet",
      make_step(clip_when="before"))
wrong("06.0", "clips only after the optimizer has stepped", make_step(clip_when="at the end"))
wrong("06.0", "zeroes the gradients at the start of the step only, so that one is left over",
      make_step(zero="start"))
wrong("06.0", "never clears the gradients, so they add up from step to step",
      make_step(zero=None))
wrong("06.0", "clears the gradients between backward and the optimizer's step",
      make_step(zero="before step"))
wrong("06.0", "thinks that the rejected texts come first", make_step(side="swapped"))
wrong("06.0", "thinks that chosen and rejected texts alternate in the batch",
      make_step(side="alternate"))
wrong("06.0", "sums the losses of the pairs instead of averaging", make_step(reduce="sum"))
wrong("06.0", "uses the mean log-probability per token", make_step(score="mean"))
wrong("06.0", "forgets the reference", make_step(margin="no reference"))
wrong("06.0", "adds the reference's margin instead of subtracting it",
      make_step(margin="added"))
wrong("06.0", "uses the ratios of probabilities instead of log-ratios",
      make_step(margin="odds"))
wrong("06.0", "puts beta in front of the loss instead of into the sigmoid",
      make_step(beta_at="outside"))
wrong("06.0", "forgets beta", make_step(beta_at="nowhere"))
wrong("06.0", "returns the loss after the step instead of the one the gradient came from",
      make_step(give="after"))

# ---------------------------------------------------------------- 06.2

_s = lambda x: 1 / (1 + math.exp(-x))
right("06.2", (0.6 * _s(0), 0.6 * _s(-4), 0.6 * _s(4)))
right("06.2", (0.3, 0.011, 0.589))
right("06.2", 0.6 * torch.sigmoid(torch.tensor([0.0, -4.0, 4.0])))
right("06.2", [0.3, 0.6 * (1 - 1 / (1 + np.exp(-4.0))), 0.6 / (1 + np.exp(-4.0))])
right("06.2", np.float32(0.6) * expit(np.array([0, -4, 4], dtype=np.float32)))
wrong("06.2", "forgets beta in front", (_s(0), _s(-4), _s(4)))
wrong("06.2", "multiplies the margin by beta once more",
      (0.6 * 0.5, 0.6 * _s(-2.4), 0.6 * _s(2.4)))
wrong("06.2", "puts beta only inside the sigmoid", (0.5, _s(-2.4), _s(2.4)))
wrong("06.2", "takes sigma of the margin: right pairs get the large weight",
      (0.6 * 0.5, 0.6 * _s(4), 0.6 * _s(-4)))
wrong("06.2", "gives the loss instead of the weight",
      (math.log(2), math.log1p(math.exp(-4)), math.log1p(math.exp(4))))
wrong("06.2", "gives beta times the loss",
      tuple(0.6 * math.log1p(math.exp(-m)) for m in (0, 4, -4)))
wrong("06.2", "gives the derivative of the sigmoid, sigma (1 - sigma), times beta",
      tuple(0.6 * _s(m) * _s(-m) for m in (0, 4, -4)))
wrong("06.2", "thinks that with both rewards zero nothing is pushed at the start",
      (0.0, 0.6 * _s(-4), 0.6 * _s(4)))
wrong("06.2", "thinks that at the start sigma is 1, so that the weight is beta",
      (0.6, 0.6 * _s(-4), 0.6 * _s(4)))
wrong("06.2", "gives the slope of the loss, with its minus sign",
      (-0.3, -0.6 * _s(-4), -0.6 * _s(4)))
wrong("06.2", "divides the margin by beta to get nats before taking the sigmoid",
      (0.3, 0.6 * _s(-4 / 0.6), 0.6 * _s(4 / 0.6)))
wrong("06.2", "gives each pair's share of the total weight",
      tuple(_s(m) / (_s(0) + _s(-4) + _s(4)) for m in (0, -4, 4)))
wrong("06.2", "divides by beta instead of multiplying",
      tuple(_s(m) / 0.6 for m in (0, -4, 4)))

# ---------------------------------------------------------------- 06.3


def vector(policy):
    return torch.cat([p.grad.flatten() for p in policy.parameters()])


@right("06.3")
def parts_sum(policy, parts):
    n = sum(len(ref_chosen) for _, ref_chosen, _ in parts)
    for batch, ref_chosen, ref_rejected in parts:
        chosen, rejected = Scorer(policy)(**batch).chunk(2)
        each = losses.dpo(chosen, rejected, ref_chosen, ref_rejected, beta=0.6)
        (each.sum() / n).backward()
    return torch.cat([p.grad.flatten() for p in policy.parameters()])


@right("06.3")
def parts_weighted_mean(policy, parts):
    sizes = [part[0]["input_ids"].shape[0] // 2 for part in parts]
    for size, (batch, rw, rl) in zip(sizes, parts, strict=True):
        w, l = Scorer(policy)(**batch).chunk(2)
        loss = -logsigmoid(0.6 * ((w - rw) - (l - rl))).mean()
        (loss * size / sum(sizes)).backward()
    return vector(policy)


@right("06.3")
def parts_without_backward(policy, parts):
    weights = list(policy.parameters())
    total, n = [torch.zeros_like(p) for p in weights], 0
    for batch, rw, rl in parts:
        w, l = Scorer(policy)(**batch).chunk(2)
        loss = softplus(-0.6 * (w - l - rw + rl)).sum()
        for t, g in zip(total, torch.autograd.grad(loss, weights), strict=True):
            t += g
        n += len(rw)
    return torch.cat([(t / n).flatten() for t in total])


@right("06.3")
def parts_one_graph_numpy(policy, parts):
    each = []
    for batch, rw, rl in parts:
        w, l = Scorer(policy)(**batch).chunk(2)
        each.append(losses.dpo(w, l, rw, rl, beta=0.6))
    torch.cat(each).mean().backward()
    return np.concatenate([p.grad.numpy().ravel() for p in policy.parameters()])


def make_parts(divide="total", beta=0.6, reference=True, zero=False, sign=1, clip=None,
               swap=False, score="sum", outside=False):
    def attempt_3(policy, parts):
        sizes = [len(rw) for _, rw, _ in parts]
        for k, (batch, rw, rl) in enumerate(parts):
            if zero:
                policy.zero_grad()
            logps = Scorer(policy)(**batch)
            if score == "mean":
                logps = logps / batch["response_mask"].sum(1)
            w, l = logps.chunk(2)
            if swap:
                w, l = l, w
            m = (w - rw) - (l - rl) if reference else w - l
            each = -0.6 * logsigmoid(m) if outside else -logsigmoid(beta * m)
            n = {"total": sum(sizes), "own": sizes[k], "own and parts": sizes[k] * len(parts),
                 "parts": len(parts), "nothing": 1, "32": 32, "texts": 2 * sum(sizes),
                 "first": sizes[0] * len(parts), "so far": sum(sizes[:k + 1]),
                 "tokens": batch["response_mask"].sum()}[divide]
            (each.sum() / n).backward()
            if clip == "each":
                torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        if clip == "end":
            torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        return sign * vector(policy)
    return attempt_3


wrong("06.3", "takes each part's own mean and adds them", make_parts("own"))
wrong("06.3", "averages the means of the parts, though they are unequal",
      make_parts("own and parts"))
wrong("06.3", "adds the sums and divides by nothing", make_parts("nothing"))
wrong("06.3", "divides the sum of each part by the number of parts", make_parts("parts"))
wrong("06.3", "divides by 32 because the text speaks of 32 pairs", make_parts("32"))
wrong("06.3", "divides by the number of texts, two for each pair", make_parts("texts"))
wrong("06.3", "takes all parts to be as large as the first", make_parts("first"))
wrong("06.3", "divides each part by the number of pairs seen so far", make_parts("so far"))
wrong("06.3", "divides by the number of scored tokens of the part", make_parts("tokens"))
wrong("06.3", "clears the gradients before each part, so that only the last one counts",
      make_parts(zero=True))
wrong("06.3", "clips the summed gradient to norm 1 as in the training step",
      make_parts(clip="end"))
wrong("06.3", "clips after each part", make_parts(clip="each"))
wrong("06.3", "forgets beta", make_parts(beta=1.0))
wrong("06.3", "puts beta in front of the loss", make_parts(outside=True))
wrong("06.3", "forgets the reference", make_parts(reference=False))
wrong("06.3", "takes the first half of the batch for the rejected texts",
      make_parts(swap=True))
wrong("06.3", "gives the direction of the step, minus the gradient", make_parts(sign=-1))
wrong("06.3", "averages log-probabilities over tokens", make_parts(score="mean"))

# ---------------------------------------------------------------- 07.0


@right("07.0")
def kl_where(log_ratio, kind):
    return np.where(np.asarray(kind), np.asarray(log_ratio), 0.0).mean()


@right("07.0")
def kl_loop(log_ratio, kind):
    total, n = 0.0, 0
    for value, mark in zip(log_ratio, kind, strict=True):
        n += 1
        if mark:
            total += float(value)
    return total / n


@right("07.0")
def kl_torch(log_ratio, kind):
    log_ratio = torch.as_tensor(np.asarray(log_ratio), dtype=torch.float32)
    kind = torch.as_tensor(np.asarray(kind))
    return (log_ratio[kind].sum() / len(log_ratio)).item()


@right("07.0")
def kl_literal(log_ratio, kind):
    return kind.mean() * log_ratio[kind].mean()


@wrong("07.0", "gives the mean log-ratio of the kind, without its share")
def kl_mean_only(log_ratio, kind):
    return log_ratio[kind].mean()


@wrong("07.0", "gives the sum over the kind, undivided")
def kl_sum(log_ratio, kind):
    return log_ratio[kind].sum()


@wrong("07.0", "gives the share of the KL instead of nats")
def kl_share(log_ratio, kind):
    return log_ratio[kind].sum() / log_ratio.sum()


@wrong("07.0", "gives the share of the samples times the whole KL")
def kl_share_of_all(log_ratio, kind):
    return kind.mean() * log_ratio.mean()


@wrong("07.0", "takes the texts of the other kind")
def kl_other(log_ratio, kind):
    return (log_ratio * ~kind).mean()


@wrong("07.0", "divides by the share: mean log-ratio over share")
def kl_divided(log_ratio, kind):
    return log_ratio[kind].mean() / kind.mean()


@wrong("07.0", "uses the formula of the thrown-away texts: mean log-ratio less log share")
def kl_conditional(log_ratio, kind):
    return log_ratio[kind].mean() - np.log(kind.mean())


@wrong("07.0", "weights the texts by their ratio though they are drawn from the policy")
def kl_importance(log_ratio, kind):
    return (np.exp(log_ratio) * log_ratio * kind).mean()


@wrong("07.0", "KL in the other direction: mean of log pi_ref/pi")
def kl_reverse(log_ratio, kind):
    return -(log_ratio * kind).mean()


@wrong("07.0", "thinks a contribution to a KL cannot be negative and takes absolute values")
def kl_abs(log_ratio, kind):
    return (np.abs(log_ratio) * kind).mean()


@wrong("07.0", "counts only the texts that became likelier, as KL is not negative")
def kl_clamped(log_ratio, kind):
    return (np.maximum(log_ratio, 0) * kind).mean()


@wrong("07.0", "applies the share twice: mean over all of the masked values times share")
def kl_share_twice(log_ratio, kind):
    return kind.mean() * (log_ratio * kind).mean()


@wrong("07.0", "odds in place of the share: number of the kind over number of the others")
def kl_odds(log_ratio, kind):
    return log_ratio[kind].sum() / max((~kind).sum(), 1)

# ---------------------------------------------------------------- 07.2


def by_value(rewards, log_probs):
    rewards, p = np.asarray(rewards, float), np.exp(np.asarray(log_probs, float))
    values, which = np.unique(rewards, return_inverse=True)
    mass = np.bincount(which.ravel(), p, len(values))
    return mass, which.ravel(), p


@right("07.2")
def best_numpy(rewards, log_probs, n):
    mass, _, _ = by_value(rewards, log_probs)
    up_to = np.concatenate([[0.0], np.cumsum(mass)])
    q = np.diff(up_to ** n)
    keep = q > 0
    return float((q[keep] * np.log(q[keep] / mass[keep])).sum())


@right("07.2")
def best_loop(rewards, log_probs, n):
    mass = {}
    for r, lp in zip(rewards, log_probs, strict=True):
        mass[float(r)] = mass.get(float(r), 0.0) + math.exp(lp)
    below, kl = 0.0, 0.0
    for r in sorted(mass):
        q = (below + mass[r]) ** n - below ** n
        below += mass[r]
        if q > 0:
            kl += q * math.log(q / mass[r])
    return kl


@right("07.2")
def best_torch(rewards, log_probs, n):
    rewards = torch.as_tensor(np.asarray(rewards), dtype=torch.float64)
    p = torch.as_tensor(np.asarray(log_probs), dtype=torch.float64).exp()
    F = torch.stack([p[rewards <= r].sum() for r in rewards])
    below = torch.stack([p[rewards < r].sum() for r in rewards])
    q = (F ** n - below ** n) * p / (F - below)          # of each reply
    return torch.where(q > 0, q * (q / p).log(), torch.zeros_like(q)).sum()


@right("07.2")
def best_rounded(rewards, log_probs, n):
    return round(best_numpy(rewards, log_probs, n), 5)


@wrong("07.2", "hands in the bound log n - (n - 1)/n")
def best_bound(rewards, log_probs, n):
    return math.log(n) - (n - 1) / n


@wrong("07.2", "hands in log n, as if every draw were kept with ratio n")
def best_log_n(rewards, log_probs, n):
    return math.log(n)


@wrong("07.2", "KL in the other direction, of the reference to best-of-n")
def best_reverse(rewards, log_probs, n):
    mass, _, _ = by_value(rewards, log_probs)
    q = np.maximum(np.diff(np.concatenate([[0.0], np.cumsum(mass)]) ** n), 1e-300)
    return float((mass * np.log(mass / q)).sum())


@wrong("07.2", "ignores ties: sorts the replies and lets each be strictly better than the last")
def best_no_ties(rewards, log_probs, n):
    p = np.exp(np.asarray(log_probs))[np.argsort(rewards, kind="stable")]
    q = np.diff(np.concatenate([[0.0], np.cumsum(p)]) ** n)
    keep = q > 0
    return float((q[keep] * np.log(q[keep] / p[keep])).sum())


@wrong("07.2", "gives the KL in bits, with log base 2")
def best_bits(rewards, log_probs, n):
    return best_numpy(rewards, log_probs, n) / math.log(2)


@wrong("07.2", "counts replies instead of adding up the reference's probability")
def best_uniform(rewards, log_probs, n):
    return best_numpy(rewards, np.full(len(rewards), -math.log(len(rewards))), n)


@wrong("07.2", "gives each tied reply the whole probability of its value")
def best_not_shared(rewards, log_probs, n):
    mass, which, p = by_value(rewards, log_probs)
    q = np.diff(np.concatenate([[0.0], np.cumsum(mass)]) ** n)[which]
    keep = q > 0
    return float((q[keep] * np.log(q[keep] / p[keep])).sum())


@wrong("07.2", "compares a value's probability with that of one reply, but sums over values")
def best_per_reply_ratio(rewards, log_probs, n):
    mass, which, p = by_value(rewards, log_probs)
    q = np.diff(np.concatenate([[0.0], np.cumsum(mass)]) ** n)
    share = q[which] * p / mass[which]
    keep = share > 0
    return float((share[keep] * np.log(q[which][keep] / p[keep])).sum())


@wrong("07.2", "cumulates from the best downwards: that is the worst of n")
def best_is_worst(rewards, log_probs, n):
    return best_numpy(-np.asarray(rewards), log_probs, n)


@wrong("07.2", "takes n F^(n-1) as the ratio, which holds only without ties")
def best_density(rewards, log_probs, n):
    mass, _, _ = by_value(rewards, log_probs)
    ratio = n * np.cumsum(mass) ** (n - 1)
    keep = ratio > 0
    return float((mass * ratio)[keep] @ np.log(ratio[keep]))


@wrong("07.2", "takes F^n itself for the probability of a value, not its differences")
def best_cumulative(rewards, log_probs, n):
    mass, _, _ = by_value(rewards, log_probs)
    q = np.cumsum(mass) ** n
    keep = q > 0
    return float((q[keep] * np.log(q[keep] / mass[keep])).sum())


@wrong("07.2", "gives the expected reward of best-of-n instead of its KL")
def best_reward(rewards, log_probs, n):
    mass, _, _ = by_value(rewards, log_probs)
    q = np.diff(np.concatenate([[0.0], np.cumsum(mass)]) ** n)
    return float(q @ np.unique(rewards))


@wrong("07.2", "averages the log-ratio over the reference's replies")
def best_mean_under_reference(rewards, log_probs, n):
    mass, _, _ = by_value(rewards, log_probs)
    q = np.maximum(np.diff(np.concatenate([[0.0], np.cumsum(mass)]) ** n), 1e-300)
    return float((mass * np.log(q / mass)).sum())

# ---------------------------------------------------------------- 07.3


@right("07.3")
def slope_polyfit(rho, true, beta):
    implicit = beta * (rho[:, 0] - rho[:, 1])
    return np.polyfit(true[:, 0] - true[:, 1], implicit, 1)[0]


@right("07.3")
def slope_cov(rho, true, beta):
    x = np.asarray(true)[:, 0] - np.asarray(true)[:, 1]
    y = np.asarray(rho)[:, 0] - np.asarray(rho)[:, 1]
    return beta * ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()


@right("07.3")
def slope_lstsq(rho, true, beta):
    x = torch.as_tensor(np.asarray(true), dtype=torch.float64)
    y = beta * torch.as_tensor(np.asarray(rho), dtype=torch.float64)
    x, y = x[:, 0] - x[:, 1], y[:, 0] - y[:, 1]
    A = torch.stack([x, torch.ones_like(x)], 1)
    return torch.linalg.lstsq(A, y[:, None]).solution[0, 0].item()


@right("07.3")
def slope_loop(rho, true, beta):
    xs = [float(t[1] - t[0]) for t in true]              # rejected less chosen, in both
    ys = [beta * float(r[1] - r[0]) for r in rho]
    n = len(xs)
    sx, sy = sum(xs), sum(ys)
    return ((n * sum(x * y for x, y in zip(xs, ys, strict=True)) - sx * sy)
            / (n * sum(x * x for x in xs) - sx ** 2))


_d = lambda a: np.asarray(a)[:, 0] - np.asarray(a)[:, 1]


@wrong("07.3", "forgets beta: regresses the log-ratios")
def slope_no_beta(rho, true, beta):
    return np.polyfit(_d(true), _d(rho), 1)[0]


@wrong("07.3", "divides the log-ratio by beta")
def slope_over_beta(rho, true, beta):
    return np.polyfit(_d(true), _d(rho) / beta, 1)[0]


@wrong("07.3", "regresses the true differences on the implicit ones")
def slope_other_way(rho, true, beta):
    return np.polyfit(beta * _d(rho), _d(true), 1)[0]


@wrong("07.3", "fits a line through the origin, without an intercept")
def slope_origin(rho, true, beta):
    x, y = _d(true), beta * _d(rho)
    return (x @ y) / (x @ x)


@wrong("07.3", "regresses all single texts instead of differences of pairs")
def slope_texts(rho, true, beta):
    return np.polyfit(np.ravel(true), beta * np.ravel(rho), 1)[0]


@wrong("07.3", "looks at the chosen texts alone")
def slope_chosen(rho, true, beta):
    return np.polyfit(true[:, 0], beta * rho[:, 0], 1)[0]


@wrong("07.3", "takes chosen less rejected in one and rejected less chosen in the other")
def slope_sign(rho, true, beta):
    return np.polyfit(true[:, 1] - true[:, 0], beta * (rho[:, 0] - rho[:, 1]), 1)[0]


@wrong("07.3", "gives the correlation instead of the slope")
def slope_correlation(rho, true, beta):
    return np.corrcoef(_d(true), beta * _d(rho))[0, 1]


@wrong("07.3", "gives the intercept: takes the wrong one of polyfit's numbers")
def slope_intercept(rho, true, beta):
    return np.polyfit(_d(true), beta * _d(rho), 1)[1]


@wrong("07.3", "takes the mean ratio of the differences for the slope")
def slope_mean_ratio(rho, true, beta):
    return (beta * _d(rho) / _d(true)).mean()


@wrong("07.3", "takes the ratio of the two spreads for the slope")
def slope_spreads(rho, true, beta):
    return (beta * _d(rho)).std() / _d(true).std()


@wrong("07.3", "takes ratio of the means for the slope")
def slope_means(rho, true, beta):
    return beta * _d(rho).mean() / _d(true).mean()


@wrong("07.3", "multiplies the true rewards by beta too")
def slope_both_beta(rho, true, beta):
    return np.polyfit(beta * _d(true), beta * _d(rho), 1)[0]


@wrong("07.3", "turns the differences into probabilities first")
def slope_sigma(rho, true, beta):
    return np.polyfit(expit(_d(true)), expit(beta * _d(rho)), 1)[0]

# ---------------------------------------------------------------- 08.0


@right("08.0")
def gae_loop(rewards, values, mask, lam):
    V = torch.where(mask, values, 0.0)
    A = torch.zeros_like(rewards)
    later = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        after = V[:, t + 1] if t + 1 < rewards.shape[1] else torch.zeros_like(later)
        later = torch.where(mask[:, t], rewards[:, t] + after - V[:, t] + lam * later, 0.0)
        A[:, t] = later
    return A


@right("08.0")
def gae_plain(rewards, values, mask, lam):
    values = values * mask
    following = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], dim=1)
    delta = (rewards + following - values) * mask
    out, running = [], 0.0
    for t in range(delta.size(1) - 1, -1, -1):
        running = (delta[:, t] + lam * running) * mask[:, t]
        out.insert(0, running)
    return torch.stack(out, 1)


@right("08.0")
def gae_matrix(rewards, values, mask, lam):
    T = rewards.shape[1]
    V = values.masked_fill(~mask, 0.0)
    delta = (rewards + torch.nn.functional.pad(V[:, 1:], (0, 1)) - V).masked_fill(~mask, 0)
    t = torch.arange(T)
    apart = (t[:, None] - t).to(delta.dtype)             # from (row) minus to (column)
    weight = torch.where(apart >= 0, torch.as_tensor(float(lam), dtype=delta.dtype) ** apart.clamp(min=0), 0.0)
    return (delta @ weight).masked_fill(~mask, 0)


@right("08.0")
def gae_per_text(rewards, values, mask, lam):
    A = torch.zeros_like(rewards)
    for b in range(len(rewards)):
        places = mask[b].nonzero().flatten().tolist()
        nxt_v = nxt_a = 0.0
        for t in reversed(places):
            delta = rewards[b, t].item() + nxt_v - values[b, t].item()
            nxt_a = delta + lam * nxt_a
            nxt_v = values[b, t].item()
            A[b, t] = nxt_a
    return A


def _shift(V):
    return torch.cat([V[:, 1:], torch.zeros_like(V[:, :1])], 1)


def _carry(delta, lam):
    A, later = torch.zeros_like(delta), torch.zeros_like(delta[:, 0])
    for t in reversed(range(delta.shape[1])):
        later = delta[:, t] + lam * later
        A[:, t] = later
    return A


@wrong("08.0", "masks only the result: values of the padding leak into the last token")
def gae_leak(rewards, values, mask, lam):
    delta = rewards + _shift(values) - values
    return _carry(delta * mask, lam) * mask


@wrong("08.0", "ignores the mask until the end: the padding's surprises are added up too")
def gae_leak_more(rewards, values, mask, lam):
    return _carry(rewards + _shift(values) - values, lam) * mask


@wrong("08.0", "masks the values but not the result, so that the place before the response gets credit")
def gae_unmasked_result(rewards, values, mask, lam):
    V = values * mask
    return _carry(rewards + _shift(V) - V, lam)


@wrong("08.0", "the surprise the wrong way round: what was expected less what is expected now")
def gae_sign(rewards, values, mask, lam):
    V = values * mask
    return _carry((rewards + V - _shift(V)) * mask, lam) * mask


@wrong("08.0", "puts lambda before the next value too, as a discount")
def gae_lam_discount(rewards, values, mask, lam):
    V = values * mask
    return _carry((rewards + lam * _shift(V) - V) * mask, lam) * mask


@wrong("08.0", "puts lambda before the next value and none before the next advantage")
def gae_lam_place(rewards, values, mask, lam):
    V = values * mask
    return _carry((rewards + lam * _shift(V) - V) * mask, 1.0) * mask


@wrong("08.0", "runs forward: a token adds up the surprises of the earlier ones")
def gae_forward(rewards, values, mask, lam):
    V = values * mask
    delta = (rewards + _shift(V) - V) * mask
    return _carry(delta.flip(1), lam).flip(1) * mask


@wrong("08.0", "forgets lambda")
def gae_no_lam(rewards, values, mask, lam):
    V = values * mask
    return _carry((rewards + _shift(V) - V) * mask, 1.0) * mask


@wrong("08.0", "stops at the surprise, without the recursion")
def gae_delta(rewards, values, mask, lam):
    V = values * mask
    return (rewards + _shift(V) - V) * mask


@wrong("08.0", "reads the values one place early: V_t less V_(t-1)")
def gae_shift(rewards, values, mask, lam):
    V = values * mask
    earlier = torch.cat([torch.zeros_like(V[:, :1]), V[:, :-1]], 1)
    return _carry((rewards + V - earlier) * mask, lam) * mask


@wrong("08.0", "returns the returns A + V")
def gae_returns(rewards, values, mask, lam):
    return (gae_loop(rewards, values, mask, lam) + values) * mask


@wrong("08.0", "after the last token goes on with that token's own value instead of 0")
def gae_bootstrap(rewards, values, mask, lam):
    V = values * mask
    end = mask & ~torch.cat([mask[:, 1:], torch.zeros_like(mask[:, :1])], 1)
    return _carry((rewards + torch.where(end, V, _shift(V)) - V) * mask, lam) * mask


@wrong("08.0", "forgets to subtract what was expected before")
def gae_no_baseline(rewards, values, mask, lam):
    V = values * mask
    return _carry((rewards + _shift(V)) * mask, lam) * mask


@wrong("08.0", "whitens the advantages at once")
def gae_white(rewards, values, mask, lam):
    A = gae_loop(rewards, values, mask, lam)
    return (A - A[mask].mean()) / A[mask].std(correction=0) * mask


@wrong("08.0", "weights surprises by 1 - lambda, as a running average does")
def gae_average(rewards, values, mask, lam):
    V = values * mask
    return (1 - lam) * _carry((rewards + _shift(V) - V) * mask, lam) * mask

# ---------------------------------------------------------------- 08.1


@right("08.1")
def ends_torch(rewards, values):
    after = torch.cat([values[1:], values.new_zeros(1)])
    return rewards + after - values, rewards.flip(0).cumsum(0).flip(0) - values


@right("08.1")
def ends_loop(rewards, values):
    r, v = [float(x) for x in rewards], [float(x) for x in values]
    T = len(r)
    zero = [r[t] + (v[t + 1] if t + 1 < T else 0.0) - v[t] for t in range(T)]
    one = [sum(r[t:]) - v[t] for t in range(T)]
    return torch.tensor(zero), torch.tensor(one)


@right("08.1")
def ends_numpy(rewards, values):
    r, v = np.asarray(rewards), np.asarray(values)
    to_come = r.sum() - np.cumsum(r) + r
    return r + np.append(v[1:], 0) - v, to_come - v


@right("08.1")
def ends_by_surprises(rewards, values):
    delta = rewards - values
    delta[:-1] += values[1:]
    return torch.stack([delta, delta.flip(0).cumsum(0).flip(0)])


def _to_go(r):
    return r.flip(0).cumsum(0).flip(0)


def _own(r, v):
    return r + torch.cat([v[1:], v.new_zeros(1)]) - v


@wrong("08.1", "exchanges the two: first lambda 1, then lambda 0")
def ends_swapped(rewards, values):
    return _to_go(rewards) - values, _own(rewards, values)


@wrong("08.1", "at lambda 1 forgets to subtract the value")
def ends_no_value(rewards, values):
    return _own(rewards, values), _to_go(rewards)


@wrong("08.1", "at lambda 0 takes reward less value and forgets the next guess")
def ends_no_next(rewards, values):
    return rewards - values, _to_go(rewards) - values


@wrong("08.1", "at lambda 0 thinks that only the token's own reward is left")
def ends_reward_only(rewards, values):
    return rewards.clone(), _to_go(rewards) - values


@wrong("08.1", "at lambda 1 gives every token the whole text's reward less its value")
def ends_total(rewards, values):
    return _own(rewards, values), rewards.sum() - values


@wrong("08.1", "at lambda 1 gives every token the same: total reward less the first value")
def ends_total_first(rewards, values):
    return _own(rewards, values), torch.full_like(rewards, (rewards.sum() - values[0]).item())


@wrong("08.1", "after the last token the values wrap round to the first")
def ends_roll(rewards, values):
    return rewards + values.roll(-1) - values, _to_go(rewards) - values


@wrong("08.1", "goes on with the last token's own value after the end")
def ends_bootstrap(rewards, values):
    after = torch.cat([values[1:], values[-1:]])
    return rewards + after - values, _to_go(rewards) + values[-1] - values


@wrong("08.1", "at lambda 1 adds up the rewards from the beginning")
def ends_forward(rewards, values):
    return _own(rewards, values), rewards.cumsum(0) - values


@wrong("08.1", "at lambda 1 leaves out the token's own reward")
def ends_later_only(rewards, values):
    return _own(rewards, values), _to_go(rewards) - rewards - values


@wrong("08.1", "takes the surprise the wrong way round, old guess less new one")
def ends_sign(rewards, values):
    delta = rewards + values - torch.cat([values[1:], values.new_zeros(1)])
    return delta, _to_go(delta)


@wrong("08.1", "at lambda 1 subtracts all values still to come, not only the first")
def ends_all_values(rewards, values):
    return _own(rewards, values), _to_go(rewards - values)


@wrong("08.1", "at lambda 1 averages over the tokens still to come")
def ends_mean(rewards, values):
    left = torch.arange(len(rewards), 0, -1, dtype=rewards.dtype)
    return _own(rewards, values), _to_go(rewards) / left - values

# ---------------------------------------------------------------- 08.2


@right("08.2")
def first_formula(advantage, mask):
    return -advantage * mask / mask.sum()


@right("08.2")
def first_autograd(advantage, mask):
    leaf = torch.zeros_like(advantage, requires_grad=True)
    ratio = leaf.exp()
    worst = torch.maximum(-advantage * ratio, -advantage * ratio.clamp(0.8, 1.2))
    (grad,) = torch.autograd.grad(worst[mask].mean(), leaf)
    return grad


@right("08.2")
def first_loop(advantage, mask):
    n = int(mask.sum())
    out = torch.zeros_like(advantage)
    for b in range(advantage.shape[0]):
        for t in range(advantage.shape[1]):
            if mask[b, t]:
                out[b, t] = -advantage[b, t] / n
    return out


@right("08.2")
def first_numpy(advantage, mask):
    a, m = np.asarray(advantage), np.asarray(mask)
    return np.where(m, -a, 0) / np.count_nonzero(m)


@wrong("08.2", "forgets the minus of the loss")
def first_sign(advantage, mask):
    return advantage * mask / mask.sum()


@wrong("08.2", "forgets that the loss is a mean")
def first_sum(advantage, mask):
    return -advantage * mask


@wrong("08.2", "takes the mean over all places of the batch, padding too")
def first_numel(advantage, mask):
    return -advantage * mask / mask.numel()


@wrong("08.2", "takes the mean over the texts")
def first_texts(advantage, mask):
    return -advantage * mask / len(mask)


@wrong("08.2", "takes a mean over each text, then over texts")
def first_mean_of_means(advantage, mask):
    return -advantage * mask / mask.sum(1, keepdim=True) / len(mask)


@wrong("08.2", "takes the mean over each text's tokens and sums over texts")
def first_each_text(advantage, mask):
    return -advantage * mask / mask.sum(1, keepdim=True)


@wrong("08.2", "lets places off the mask have a gradient as well")
def first_unmasked(advantage, mask):
    return -advantage / mask.sum()


@wrong("08.2", "thinks the ratio of 1 makes the gradient the same for all tokens")
def first_constant(advantage, mask):
    return -mask.float() / mask.sum()


@wrong("08.2", "thinks that clipping stops the good tokens, whose gradient would be zero")
def first_clipped(advantage, mask):
    return torch.where(advantage < 0, -advantage, 0.0) * mask / mask.sum()


@wrong("08.2", "thinks that at a ratio of 1 nothing is pushed yet: zero everywhere")
def first_zero(advantage, mask):
    return torch.zeros_like(advantage)


@wrong("08.2", "thinks both sides of the maximum add up: twice the gradient")
def first_twice(advantage, mask):
    return -2 * advantage * mask / mask.sum()


@wrong("08.2", "takes the halves of the maximum: half the gradient, as the two are equal")
def first_half(advantage, mask):
    return -0.5 * advantage * mask / mask.sum()


@wrong("08.2", "multiplies by 1 + eps, the clip's edge")
def first_edge(advantage, mask):
    return -1.2 * advantage * mask / mask.sum()


@wrong("08.2", "whitens the advantage first")
def first_white(advantage, mask):
    white = (advantage - advantage[mask].mean()) / advantage[mask].std(correction=0)
    return -white * mask / mask.sum()

# ---------------------------------------------------------------- 08.4


@right("08.4")
def group_torch(rewards):
    K = rewards.shape[1]
    mean = rewards.mean(1, keepdim=True)
    others = (rewards.sum(1, keepdim=True) - rewards) / (K - 1)
    return rewards - others, (rewards - mean) / rewards.std(1, keepdim=True)


@right("08.4")
def group_loop(rewards):
    rloo, grpo = torch.zeros_like(rewards), torch.zeros_like(rewards)
    for i, row in enumerate(rewards.tolist()):
        K = len(row)
        mean = sum(row) / K
        sd = math.sqrt(sum((x - mean) ** 2 for x in row) / (K - 1))
        for k, x in enumerate(row):
            others = row[:k] + row[k + 1:]
            rloo[i, k] = x - sum(others) / len(others)
            grpo[i, k] = (x - mean) / sd
    return rloo, grpo


@right("08.4")
def group_numpy(rewards):
    R = np.asarray(rewards, dtype=np.float64)
    centred = R - R.mean(1, keepdims=True)
    K = R.shape[1]
    return centred * K / (K - 1), centred / R.std(1, keepdims=True, ddof=1)


@right("08.4")
def group_float32(rewards):
    R = torch.as_tensor(rewards).float()
    K = R.size(-1)
    A = R - R.mean(-1, keepdim=True)
    return [K / (K - 1) * A, A / (R.var(-1, keepdim=True).sqrt() + 1e-8)]


def _rloo(R):
    return R - (R.sum(1, keepdim=True) - R) / (R.shape[1] - 1)


def _grpo(R):
    return (R - R.mean(1, keepdim=True)) / R.std(1, keepdim=True)


@wrong("08.4", "RLOO's baseline holds the text itself: mean of all K")
def group_mean_all(rewards):
    return rewards - rewards.mean(1, keepdim=True), _grpo(rewards)


@wrong("08.4", "GRPO without the division by the standard deviation")
def group_no_std(rewards):
    return _rloo(rewards), rewards - rewards.mean(1, keepdim=True)


@wrong("08.4", "GRPO with the standard deviation over K instead of K - 1")
def group_population(rewards):
    A = rewards - rewards.mean(1, keepdim=True)
    return _rloo(rewards), A / rewards.std(1, keepdim=True, correction=0)


@wrong("08.4", "divides GRPO by the standard deviation of the whole batch")
def group_batch_std(rewards):
    return _rloo(rewards), (rewards - rewards.mean(1, keepdim=True)) / rewards.std()


@wrong("08.4", "takes the group to be the column: means over prompts")
def group_dim(rewards):
    P = rewards.shape[0]
    return (rewards - (rewards.sum(0) - rewards) / (P - 1),
            (rewards - rewards.mean(0)) / rewards.std(0))


@wrong("08.4", "divides the sum of the others by K")
def group_over_k(rewards):
    K = rewards.shape[1]
    return rewards - (rewards.sum(1, keepdim=True) - rewards) / K, _grpo(rewards)


@wrong("08.4", "divides the sum of all by K - 1 and forgets to take the own reward out")
def group_own_stays(rewards):
    K = rewards.shape[1]
    return rewards - rewards.sum(1, keepdim=True) / (K - 1), _grpo(rewards)


@wrong("08.4", "hands in GRPO first, then RLOO")
def group_order(rewards):
    return _grpo(rewards), _rloo(rewards)


@wrong("08.4", "uses leave-one-out means in GRPO too")
def group_grpo_loo(rewards):
    return _rloo(rewards), _rloo(rewards) / rewards.std(1, keepdim=True)


@wrong("08.4", "divides RLOO by the standard deviation too")
def group_rloo_std(rewards):
    return _rloo(rewards) / rewards.std(1, keepdim=True), _grpo(rewards)


@wrong("08.4", "divides GRPO by the variance")
def group_variance(rewards):
    A = rewards - rewards.mean(1, keepdim=True)
    return _rloo(rewards), A / rewards.var(1, keepdim=True)


@wrong("08.4", "subtracts the sum of the others instead of their mean")
def group_sum(rewards):
    return rewards - (rewards.sum(1, keepdim=True) - rewards), _grpo(rewards)


@wrong("08.4", "baseline less reward: the sign of both is wrong")
def group_sign(rewards):
    return -_rloo(rewards), -_grpo(rewards)


@wrong("08.4", "takes the mean over the whole batch of texts for both")
def group_whole_batch(rewards):
    n = rewards.numel()
    return (rewards - (rewards.sum() - rewards) / (n - 1),
            (rewards - rewards.mean()) / rewards.std())


@wrong("08.4", "divides by the spread of the others, without the text itself")
def group_std_others(rewards):
    K = rewards.shape[1]
    sd = torch.stack([rewards[:, [j for j in range(K) if j != k]].std(1)
                      if K > 2 else rewards.std(1) for k in range(K)], 1)
    return _rloo(rewards), (rewards - rewards.mean(1, keepdim=True)) / sd

# ---------------------------------------------------------------- 10.0


def _leaves(rho_w, rho_l):
    return (rho_w.detach().clone().requires_grad_(), rho_l.detach().clone().requires_grad_())


@right("10.0")
def down_grad(loss, rho_w, rho_l):
    w, l = _leaves(rho_w, rho_l)
    up_w, up_l = torch.autograd.grad(loss(w, l).sum(), (w, l))
    return -up_w, -up_l


@right("10.0")
def down_backward(loss, rho_w, rho_l):
    w = torch.tensor(rho_w.tolist(), dtype=rho_w.dtype, requires_grad=True)
    l = torch.tensor(rho_l.tolist(), dtype=rho_l.dtype, requires_grad=True)
    (-loss(w, l)).sum().backward()
    return w.grad, l.grad


@right("10.0")
def down_points(loss, rho_w, rho_l):
    pushes = []
    for i in range(len(rho_w)):
        w, l = _leaves(rho_w[i:i + 1], rho_l[i:i + 1])
        g = torch.autograd.grad(loss(w, l)[0], (w, l))
        pushes.append([-g[0].item(), -g[1].item()])
    return torch.tensor(pushes, dtype=rho_w.dtype).T


@right("10.0")
def down_func(loss, rho_w, rho_l):
    g = torch.func.grad(lambda w, l: loss(w, l).sum(), argnums=(0, 1))(rho_w, rho_l)
    return tuple(-x for x in g)


@right("10.0")
def down_numpy(loss, rho_w, rho_l):
    w, l = _leaves(rho_w, rho_l)
    value = loss(w, l)
    grads = torch.autograd.grad(value, (w, l), grad_outputs=-torch.ones_like(value))
    return [g.numpy() for g in grads]


@wrong("10.0", "gives the slope itself, which points uphill")
def down_uphill(loss, rho_w, rho_l):
    w, l = _leaves(rho_w, rho_l)
    return torch.autograd.grad(loss(w, l).sum(), (w, l))


@wrong("10.0", "takes the mean over the points, so that every push is N times too small")
def down_mean(loss, rho_w, rho_l):
    w, l = _leaves(rho_w, rho_l)
    g = torch.autograd.grad(loss(w, l).mean(), (w, l))
    return -g[0], -g[1]


@wrong("10.0", "returns the push on rejected first")
def down_order(loss, rho_w, rho_l):
    a, b = down_grad(loss, rho_w, rho_l)
    return b, a


@wrong("10.0", "thinks the rejected push is to be counted downward: minus sign on chosen only")
def down_one_sign(loss, rho_w, rho_l):
    a, b = down_grad(loss, rho_w, rho_l)
    return a, -b


@wrong("10.0", "thinks every loss sees only the margin: rejected push is minus the chosen one")
def down_margin(loss, rho_w, rho_l):
    a, _ = down_grad(loss, rho_w, rho_l)
    return a, -a


@wrong("10.0", "gives directions of length one, without how hard the loss pushes")
def down_unit(loss, rho_w, rho_l):
    a, b = down_grad(loss, rho_w, rho_l)
    length = torch.sqrt(a ** 2 + b ** 2).clamp(min=1e-12)
    return a / length, b / length


@wrong("10.0", "gives arrows as long as the square root of the slope, as in the picture")
def down_root(loss, rho_w, rho_l):
    a, b = down_grad(loss, rho_w, rho_l)
    length = torch.sqrt(a ** 2 + b ** 2).clamp(min=1e-12)
    return a / length.sqrt(), b / length.sqrt()


@wrong("10.0", "stacks the pushes point by point, (N, 2), instead of two (N,)")
def down_stacked(loss, rho_w, rho_l):
    return torch.stack(down_grad(loss, rho_w, rho_l), dim=-1)


@wrong("10.0", "gives one total push for all points instead of one for each")
def down_total(loss, rho_w, rho_l):
    a, b = down_grad(loss, rho_w, rho_l)
    return a.sum().expand_as(a), b.sum().expand_as(b)


@wrong("10.0", "marks the arguments themselves as leaves, so a point whose two numbers are "
       "one tensor gets the sum of both slopes, and gradients add up between calls")
def down_in_place(loss, rho_w, rho_l):
    rho_w.requires_grad_()
    rho_l.requires_grad_()
    loss(rho_w, rho_l).sum().backward()
    return -rho_w.grad, -rho_l.grad


@wrong("10.0", "takes the slope of the loss's logarithm (relative descent)")
def down_log(loss, rho_w, rho_l):
    a, b = down_grad(loss, rho_w, rho_l)
    value = loss(rho_w.detach(), rho_l.detach()).clamp(min=1e-12)
    return a / value, b / value


@wrong("10.0", "returns the point after one step instead of the push")
def down_next_point(loss, rho_w, rho_l):
    a, b = down_grad(loss, rho_w, rho_l)
    return rho_w.detach() + a, rho_l.detach() + b


@wrong("10.0", "takes a forward difference with a step of 1 for the slope")
def down_difference(loss, rho_w, rho_l):
    here = loss(rho_w, rho_l)
    return here - loss(rho_w + 1, rho_l), here - loss(rho_w, rho_l + 1)

# ---------------------------------------------------------------- 10.1

right("10.1", lambda beta: (beta / 2, beta ** 2))


@right("10.1")
def family_by_zeros(beta):
    delta = 1 / beta                                      # both squares are zero there
    tau = 1 / (2 * delta)
    return [tau, 1 / delta ** 2]                          # at delta = 0 the left side is 1


@right("10.1")
def family_numpy(beta):
    tau = np.float32(beta) / 2
    return np.array([tau, 4 * tau ** 2])


@right("10.1")
def family_torch(beta):
    beta = torch.as_tensor(float(beta), dtype=torch.float64)
    return 0.5 * beta, beta.square()


wrong("10.1", "forgets that the bracket is squared: c = beta", lambda beta: (beta / 2, beta))
wrong("10.1", "solves 1/(2 tau) = beta", lambda beta: (1 / (2 * beta), beta ** 2))
wrong("10.1", "takes 1/tau for IPO's target and gets tau = beta", lambda beta: (beta, beta ** 2))
wrong("10.1", "takes tau for the target, tau = 1/beta", lambda beta: (1 / beta, beta ** 2))
wrong("10.1", "takes 2 tau for the target, tau = 1/(2 beta), and c = 1/beta^2",
      lambda beta: (1 / (2 * beta), 1 / beta ** 2))
wrong("10.1", "multiplies by 2 on the wrong side: tau = 2 beta", lambda beta: (2 * beta, beta ** 2))
wrong("10.1", "multiplies by 2 and inverts: tau = 2 / beta", lambda beta: (2 / beta, beta ** 2))
wrong("10.1", "hands in c first, then tau", lambda beta: (beta ** 2, beta / 2))
wrong("10.1", "divides out beta instead of taking it out: c = 1 / beta^2",
      lambda beta: (beta / 2, 1 / beta ** 2))
wrong("10.1", "thinks that the two are equal without a factor", lambda beta: (beta / 2, 1.0))
wrong("10.1", "takes c = 2 tau, unsquared, doubled: c = 2 beta", lambda beta: (beta / 2, 2 * beta))
wrong("10.1", "takes c = tau^2", lambda beta: (beta / 2, beta ** 2 / 4))
wrong("10.1", "thinks the square doubles the exponent of 1/2 too: c = 2 beta^2",
      lambda beta: (beta / 2, 2 * beta ** 2))
wrong("10.1", "gives IPO's target 1/beta instead of tau, and the root of the factor",
      lambda beta: (1 / beta, beta))

# ---------------------------------------------------------------- 10.2


@right("10.2")
def robust_formula(m, eps):
    return -((1 - eps) * sigmoid(-m) + eps * sigmoid(m)) / (1 - 2 * eps)


@right("10.2")
def robust_short(m, eps):
    return -sigmoid(-m) - eps / (1 - 2 * eps)


@right("10.2")
def robust_autograd(m, eps):
    m = m.detach().clone().requires_grad_()
    loss = ((1 - eps) * softplus(-m) - eps * softplus(m)) / (1 - 2 * eps)
    return torch.autograd.grad(loss.sum(), m)[0]


@right("10.2")
def robust_numpy(m, eps):
    m = np.asarray(m, dtype=np.float64)
    return 0.5 * np.tanh(m / 2) - 0.5 / (1 - 2 * eps)


wrong("10.2", "gives cDPO's slope: plus for the opposite label, no division",
      lambda m, eps: -(1 - eps) * sigmoid(-m) + eps * sigmoid(m))
wrong("10.2", "adds the opposite label's term: the sign of the second slope is wrong",
      lambda m, eps: (-(1 - eps) * sigmoid(-m) + eps * sigmoid(m)) / (1 - 2 * eps))
wrong("10.2", "forgets to divide by 1 - 2 eps",
      lambda m, eps: -(1 - eps) * sigmoid(-m) - eps * sigmoid(m))
wrong("10.2", "forgets the minus: gives the push, not the slope",
      lambda m, eps: ((1 - eps) * sigmoid(-m) + eps * sigmoid(m)) / (1 - 2 * eps))
wrong("10.2", "exchanges the sigmas",
      lambda m, eps: -((1 - eps) * sigmoid(m) + eps * sigmoid(-m)) / (1 - 2 * eps))
wrong("10.2", "divides only the second term by 1 - 2 eps",
      lambda m, eps: -(1 - eps) * sigmoid(-m) - eps * sigmoid(m) / (1 - 2 * eps))
wrong("10.2", "divides only the first term by 1 - 2 eps",
      lambda m, eps: -(1 - eps) * sigmoid(-m) / (1 - 2 * eps) - eps * sigmoid(m))
wrong("10.2", "scales DPO's slope by 1 / (1 - 2 eps) and drops the second term",
      lambda m, eps: -sigmoid(-m) / (1 - 2 * eps))
wrong("10.2", "drops the second term, keeping the weight 1 - eps",
      lambda m, eps: -(1 - eps) * sigmoid(-m) / (1 - 2 * eps))
wrong("10.2", "gives the loss, not its slope",
      lambda m, eps: ((1 - eps) * softplus(-m) - eps * softplus(m)) / (1 - 2 * eps))
wrong("10.2", "uses sigma(-m) in both terms",
      lambda m, eps: -((1 - eps) * sigmoid(-m) - eps * sigmoid(-m)) / (1 - 2 * eps))
wrong("10.2", "multiplies by 1 - 2 eps",
      lambda m, eps: -((1 - eps) * sigmoid(-m) + eps * sigmoid(m)) * (1 - 2 * eps))
wrong("10.2", "averages over the margins",
      lambda m, eps: robust_formula(m, eps) / len(m))
wrong("10.2", "differentiates sigma instead of log sigma: sigma (1 - sigma) in both terms",
      lambda m, eps: -((1 - 2 * eps) * sigmoid(m) * sigmoid(-m)) / (1 - 2 * eps))
wrong("10.2", "gives 1 + 2 eps as the divisor",
      lambda m, eps: -((1 - eps) * sigmoid(-m) + eps * sigmoid(m)) / (1 + 2 * eps))

# ---------------------------------------------------------------- 10.3


@right("10.3")
def table_short(pi, chosen, rejected):
    gap = pi[rejected] - pi[chosen]
    return 1 + gap, gap - 1


@right("10.3")
def table_numpy(pi, chosen, rejected):
    pi = np.asarray(pi)
    g_w, g_l = np.eye(len(pi))[chosen] - np.asarray(pi), np.eye(len(pi))[rejected] - np.asarray(pi)
    return g_w @ (g_w - g_l), g_l @ (g_w - g_l)


@right("10.3")
def table_loop(pi, chosen, rejected):
    g_w = [(i == chosen) - float(p) for i, p in enumerate(pi)]
    g_l = [(i == rejected) - float(p) for i, p in enumerate(pi)]
    dot = lambda a, b: sum(x * y for x, y in zip(a, b, strict=True))
    return [dot(g_w, g_w) - dot(g_w, g_l), dot(g_w, g_l) - dot(g_l, g_l)]


@right("10.3")
def table_autograd(pi, chosen, rejected):
    theta = torch.as_tensor(np.asarray(pi), dtype=torch.float32).log().requires_grad_()
    logp = theta.log_softmax(0)
    (g_w,) = torch.autograd.grad(logp[chosen], theta, retain_graph=True)
    (g_l,) = torch.autograd.grad(logp[rejected], theta)
    return torch.stack([g_w @ (g_w - g_l), g_l @ (g_w - g_l)])


wrong("10.3", "exchanges the signs of the probabilities: 1 + pi_w - pi_l",
      lambda pi, w, l: (1 + pi[w] - pi[l], -1 + pi[w] - pi[l]))
wrong("10.3", "thinks that in a table nothing at all is shared: +1 and -1",
      lambda pi, w, l: (1.0, -1.0))
wrong("10.3", "forgets that pi_l counts too: 1 - pi_w and -(1 - pi_l)",
      lambda pi, w, l: (1 - pi[w], -(1 - pi[l])))
wrong("10.3", "subtracts pi_l instead of adding: 1 - pi_w - pi_l",
      lambda pi, w, l: (1 - pi[w] - pi[l], -(1 - pi[w] - pi[l])))
wrong("10.3", "thinks that chosen and rejected move by equal amounts, opposite in sign",
      lambda pi, w, l: (1 - pi[w] + pi[l], -(1 - pi[w] + pi[l])))
wrong("10.3", "gives d rho_l as a positive fall",
      lambda pi, w, l: (1 - pi[w] + pi[l], 1 + pi[w] - pi[l]))
wrong("10.3", "hands in d rho_l first",
      lambda pi, w, l: (-1 - pi[w] + pi[l], 1 - pi[w] + pi[l]))
wrong("10.3", "takes DPO's slope of 1/2 in",
      lambda pi, w, l: ((1 - pi[w] + pi[l]) / 2, (-1 - pi[w] + pi[l]) / 2))
wrong("10.3", "takes the change of the probabilities, not of their logarithms",
      lambda pi, w, l: (pi[w] * (1 - pi[w] + pi[l]), pi[l] * (-1 - pi[w] + pi[l])))
wrong("10.3", "counts the places from 1",
      lambda pi, w, l: (1 - pi[w - 1] + pi[l - 1], -1 - pi[w - 1] + pi[l - 1]))


@wrong("10.3", "gives only the two squared lengths, without the inner product")
def table_norms(pi, chosen, rejected):
    g_w, g_l = np.eye(len(pi))[chosen] - np.asarray(pi), np.eye(len(pi))[rejected] - np.asarray(pi)
    return g_w @ g_w, -(g_l @ g_l)


@wrong("10.3", "moves along g_w + g_l instead of the difference")
def table_sum(pi, chosen, rejected):
    g_w, g_l = np.eye(len(pi))[chosen] - np.asarray(pi), np.eye(len(pi))[rejected] - np.asarray(pi)
    return g_w @ (g_w + g_l), g_l @ (g_w + g_l)


@wrong("10.3", "takes a step of length one, dividing by the length of g_w - g_l")
def table_unit(pi, chosen, rejected):
    return tuple(np.array(table_numpy(pi, chosen, rejected)) / np.sqrt(2))


@wrong("10.3", "thinks pi stays in g_w - g_l once: e_w - e_l - pi")
def table_pi_left(pi, chosen, rejected):
    pi, e = np.asarray(pi), np.eye(len(pi))
    step = e[chosen] - e[rejected] - pi
    return (e[chosen] - pi) @ step, (e[rejected] - pi) @ step


@wrong("10.3", "takes the logits' own change, the entries of g_w - g_l weighted by pi")
def table_centred(pi, chosen, rejected):
    pi, step = np.asarray(pi), np.zeros(len(pi))
    step[chosen], step[rejected] = 1 - pi[chosen], -(1 - pi[rejected])
    return step[chosen] - pi @ step, step[rejected] - pi @ step

# ---------------------------------------------------------------- 12.0


@right("12.0")
def ipo_plain(chosen, rejected, ref_chosen, ref_rejected, tau):
    return ((chosen - ref_chosen) - (rejected - ref_rejected) - 1 / (2 * tau)) ** 2


@right("12.0")
def ipo_expanded(chosen, rejected, ref_chosen, ref_rejected, tau):
    delta = chosen - rejected - ref_chosen + ref_rejected
    return delta * delta - delta / tau + 0.25 / tau ** 2


@right("12.0")
def ipo_loop(chosen, rejected, ref_chosen, ref_rejected, tau):
    each = []
    for w, l, rw, rl in zip(chosen, rejected, ref_chosen, ref_rejected, strict=True):
        delta = (w - rw) - (l - rl)
        each.append(torch.pow(delta - 0.5 / tau, 2))
    return torch.stack(each)


@right("12.0")
def ipo_mse(chosen, rejected, ref_chosen, ref_rejected, tau):
    delta = (chosen - rejected) - (ref_chosen - ref_rejected)
    target = torch.full_like(delta, 1 / (2 * tau))
    return torch.nn.functional.mse_loss(delta, target, reduction="none")


def _delta(w, l, rw, rl):
    return (w - rw) - (l - rl)


wrong("12.0", "target 1/tau", lambda w, l, rw, rl, tau: (_delta(w, l, rw, rl) - 1 / tau) ** 2)
wrong("12.0", "reads 1/2 tau: target tau/2",
      lambda w, l, rw, rl, tau: (_delta(w, l, rw, rl) - tau / 2) ** 2)
wrong("12.0", "sides exchanged", lambda w, l, rw, rl, tau: (_delta(l, w, rl, rw) - 1 / (2 * tau)) ** 2)
wrong("12.0", "forgets the reference", lambda w, l, rw, rl, tau: (w - l - 1 / (2 * tau)) ** 2)
wrong("12.0", "adds the reference's difference",
      lambda w, l, rw, rl, tau: ((w - l) + (rw - rl) - 1 / (2 * tau)) ** 2)
wrong("12.0", "gives the mean over the batch",
      lambda w, l, rw, rl, tau: ((_delta(w, l, rw, rl) - 1 / (2 * tau)) ** 2).mean())
wrong("12.0", "multiplies Delta by tau as DPO does with beta, target 1/2",
      lambda w, l, rw, rl, tau: (tau * _delta(w, l, rw, rl) - 0.5) ** 2)
wrong("12.0", "multiplies Delta by tau and keeps the target",
      lambda w, l, rw, rl, tau: (tau * _delta(w, l, rw, rl) - 1 / (2 * tau)) ** 2)
wrong("12.0", "takes the absolute value in place of the square",
      lambda w, l, rw, rl, tau: (_delta(w, l, rw, rl) - 1 / (2 * tau)).abs())
wrong("12.0", "one half in front, as in a regression's loss",
      lambda w, l, rw, rl, tau: 0.5 * (_delta(w, l, rw, rl) - 1 / (2 * tau)) ** 2)
wrong("12.0", "adds the target", lambda w, l, rw, rl, tau: (_delta(w, l, rw, rl) + 1 / (2 * tau)) ** 2)
wrong("12.0", "stops beyond the target: no loss for an overshooting Delta",
      lambda w, l, rw, rl, tau: (1 / (2 * tau) - _delta(w, l, rw, rl)).clamp(min=0) ** 2)
wrong("12.0", "gives each log-ratio its own target, as SPPO does",
      lambda w, l, rw, rl, tau: (w - rw - 1 / (2 * tau)) ** 2 + (l - rl + 1 / (2 * tau)) ** 2)
wrong("12.0", "squares Delta and the target each by itself",
      lambda w, l, rw, rl, tau: _delta(w, l, rw, rl) ** 2 - (1 / (2 * tau)) ** 2)
wrong("12.0", "puts DPO's -log sigma around the distance from the target",
      lambda w, l, rw, rl, tau: -logsigmoid(_delta(w, l, rw, rl) - 1 / (2 * tau)))
wrong("12.0", "uses ratios of probabilities instead of log-ratios",
      lambda w, l, rw, rl, tau: ((w - rw).exp() - (l - rl).exp() - 1 / (2 * tau)) ** 2)


@wrong("12.0", "computes in NumPy, so that no gradient flows back")
def ipo_numpy(chosen, rejected, ref_chosen, ref_rejected, tau):
    c, r, rc, rr = (x.detach().numpy() for x in (chosen, rejected, ref_chosen, ref_rejected))
    return torch.tensor((c - r - rc + rr - 1 / (2 * tau)) ** 2)


@wrong("12.0", "keeps the rejected text fixed, so that a gradient flows only to the chosen one")
def ipo_detached(chosen, rejected, ref_chosen, ref_rejected, tau):
    return (chosen - ref_chosen - (rejected - ref_rejected).detach() - 1 / (2 * tau)) ** 2

# ---------------------------------------------------------------- 12.2

right("12.2", lambda n, p: p ** n + (1 - p) ** n)


@right("12.2")
def infinite_draws(n, p):
    rng = np.random.default_rng(0)
    wins = (rng.random((300_000, n)) < p).sum(1)
    return np.mean((wins == 0) | (wins == n))


@right("12.2")
def infinite_binomial(n, p):
    return binom.pmf(n, n, p) + binom.pmf(0, n, p)


@right("12.2")
def infinite_loop(n, p):
    first = second = 1.0
    for _ in range(n):
        first, second = first * p, second * (1 - p)
    return torch.tensor(first + second)


@right("12.2")
def infinite_complement(n, p):
    mixed = sum(math.comb(n, k) * p ** k * (1 - p) ** (n - k) for k in range(1, n))
    return float(f"{1 - mixed:.3g}")


wrong("12.2", "forgets the share of 0: only all for the first", lambda n, p: p ** n)
wrong("12.2", "counts only the pairs in which all choose the second", lambda n, p: (1 - p) ** n)
wrong("12.2", "gives the share of the finite ones", lambda n, p: 1 - p ** n - (1 - p) ** n)
wrong("12.2", "multiplies the two probabilities", lambda n, p: p ** n * (1 - p) ** n)
wrong("12.2", "treats them as independent events: inclusion and exclusion",
      lambda n, p: p ** n + (1 - p) ** n - p ** n * (1 - p) ** n)
wrong("12.2", "thinks the first label sets the side and only the n - 1 others must agree with it",
      lambda n, p: p ** (n - 1))
wrong("12.2", "thinks that judges agree when each next pair of judges agrees",
      lambda n, p: (p ** 2 + (1 - p) ** 2) ** (n - 1))
wrong("12.2", "thinks that one agreeing label is enough: at least one for the first",
      lambda n, p: 1 - (1 - p) ** n)
wrong("12.2", "thinks that all for the second is as likely as all for the first: 2 p^n", lambda n, p: 2 * p ** n)
wrong("12.2", "gives the odds of all for the first", lambda n, p: (p / (1 - p)) ** n)
wrong("12.2", "thinks that with one label the logit is finite and subtracts that case",
      lambda n, p: 0.0 if n == 1 else p ** n + (1 - p) ** n)
wrong("12.2", "counts all orders: n p^n + n (1 - p)^n",
      lambda n, p: n * p ** n + n * (1 - p) ** n)
wrong("12.2", "thinks that only an infinite p counts: none for p below 1",
      lambda n, p: 1.0 if p in (0, 1) else 0.0)
wrong("12.2", "confuses unanimous with a majority for the first",
      lambda n, p: sum(math.comb(n, k) * p ** k * (1 - p) ** (n - k)
                       for k in range(n // 2 + 1, n + 1)))


@wrong("12.2", "draws, but counts only shares of 1")
def infinite_draws_one(n, p):
    rng = np.random.default_rng(1)
    return np.mean((rng.random((200_000, n)) < p).all(1))
