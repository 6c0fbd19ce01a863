"""Blind attempts of students at chapters 05 to 12 (written from the student edition alone)."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.functional import logsigmoid, softplus

from dpo_from_scratch import losses
from dpo_from_scratch.models import Scorer

ATTEMPTS = []


def value(exercise, kind, mistake, attempt):
    row = {"exercise": exercise, "kind": kind, "mistake": mistake, "attempt": attempt}
    ATTEMPTS.append(row)


def wrong(exercise, mistake):
    def keep(function):
        value(exercise, "wrong", mistake, function)
        return function

    return keep


def right(exercise):
    def keep(function):
        value(exercise, "right", "", function)
        return function

    return keep


# 05.3: the prompt in the loss


def nats(model, batch, mask):
    with torch.no_grad():
        return -Scorer(model)(**(batch | {"response_mask": mask}))


def all_tokens(batch):
    mask = batch["attention_mask"].bool().clone()
    mask[:, 0] = False
    return mask


def prompt_mask(batch):
    return all_tokens(batch) & ~batch["response_mask"].bool()


@right("05.3")
def both_by_scorer(model, batch):
    response = nats(model, batch, batch["response_mask"]).sum().item()
    everything = nats(model, batch, all_tokens(batch)).sum().item()
    return response, everything - response


@right("05.3")
def both_by_cross_entropy(model, batch):
    ids, attended = batch["input_ids"], batch["attention_mask"]
    with torch.no_grad():
        logits = model(ids, attention_mask=attended).logits
    loss = F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    inside = batch["response_mask"][:, 1:].bool()
    asked = attended[:, 1:].bool() & ~inside
    return [loss[inside].sum().item(), loss[asked].sum().item()]


@right("05.3")
def both_by_loops(model, batch):
    sums = [0.0, 0.0]
    with torch.no_grad():
        logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    logps = logits.double().log_softmax(-1)
    for row in range(len(batch["input_ids"])):
        for t in range(1, int(batch["attention_mask"][row].sum())):
            token = batch["input_ids"][row, t]
            side = 0 if batch["response_mask"][row, t] else 1
            sums[side] -= logps[row, t - 1, token].item()
    return np.array(sums)


@wrong("05.3", "hands in the whole text's loss as the prompt's, without subtracting")
def whole_for_prompt(model, batch):
    response = nats(model, batch, batch["response_mask"]).sum().item()
    return response, nats(model, batch, all_tokens(batch)).sum().item()


@wrong("05.3", "takes everything that is not response for the prompt, padding too")
def padding_too(model, batch):
    rest = ~batch["response_mask"].bool()
    rest[:, 0] = False
    response, _ = both_by_scorer(model, batch)
    return response, nats(model, batch, rest).sum().item()


@wrong("05.3", "means over tokens instead of sums")
def token_means(model, batch):
    response, prompt = both_by_scorer(model, batch)
    n, k = batch["response_mask"].sum().item(), prompt_mask(batch).sum().item()
    return response / n, prompt / k


@wrong("05.3", "divides by the number of texts, as training does")
def text_means(model, batch):
    return tuple(x / len(batch["input_ids"]) for x in both_by_scorer(model, batch))


@wrong("05.3", "log-probabilities, not losses: the sign is left negative")
def not_negated(model, batch):
    return tuple(-x for x in both_by_scorer(model, batch))


@wrong("05.3", "prompt first, because it comes first in the text")
def prompt_first(model, batch):
    return both_by_scorer(model, batch)[::-1]


@wrong("05.3", "shares of the whole loss instead of nats, since 'how much' was asked")
def as_shares(model, batch):
    response, prompt = both_by_scorer(model, batch)
    return response / (response + prompt), prompt / (response + prompt)


@wrong("05.3", "forgets that position t predicts token t + 1")
def not_shifted(model, batch):
    ids, inside = batch["input_ids"], batch["response_mask"].bool()
    with torch.no_grad():
        logits = model(ids, attention_mask=batch["attention_mask"]).logits
    loss = F.cross_entropy(logits.transpose(1, 2), ids, reduction="none")
    return loss[inside].sum().item(), loss[prompt_mask(batch)].sum().item()


@wrong("05.3", "shifts the tokens but not the masks, so all counts start one token late")
def mask_not_shifted(model, batch):
    ids = batch["input_ids"]
    with torch.no_grad():
        logits = model(ids, attention_mask=batch["attention_mask"]).logits
    loss = F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    inside = batch["response_mask"][:, :-1].bool()
    return loss[inside].sum().item(), loss[prompt_mask(batch)[:, :-1]].sum().item()


@wrong("05.3", "writes the new mask into the batch that was to stay as it is")
def batch_changed(model, batch):
    response = nats(model, batch, batch["response_mask"]).sum().item()
    batch["response_mask"] = all_tokens(batch)
    with torch.no_grad():
        return response, -Scorer(model)(**batch).sum().item() - response


@wrong("05.3", "leaves the end mark out of the response, it is no word")
def end_left_out(model, batch):
    mask = batch["response_mask"].bool().clone()
    last = batch["attention_mask"].sum(1) - 1
    mask[torch.arange(len(mask)), last] = False
    _, prompt = both_by_scorer(model, batch)
    return nats(model, batch, mask).sum().item(), prompt


@wrong("05.3", "scores the prompts from their second token on but skips one more")
def one_more_skipped(model, batch):
    mask = prompt_mask(batch)
    mask[:, 1] = False
    response, _ = both_by_scorer(model, batch)
    return response, nats(model, batch, mask).sum().item()


@wrong("05.3", "hands in the losses of each text, not their sums over the batch")
def text_by_text(model, batch):
    response = nats(model, batch, batch["response_mask"])
    return response, nats(model, batch, all_tokens(batch)) - response


# 06.2: the weight of a pair, 0.6 * sigma(-margin): 0.3, 0.6 * 0.017986, 0.6 * 0.982014

value("06.2", "right", "", (0.3, 0.0108, 0.589))
value("06.2", "right", "", [0.6 / (1 + math.exp(m)) for m in (0, 4, -4)])
value("06.2", "right", "", np.array([0.300, 0.01079, 0.5892]))
value("06.2", "right", "", tuple(0.6 * torch.sigmoid(torch.tensor([0.0, -4.0, 4.0]))))
# sigma alone: 0.5, 0.01799, 0.98201
value("06.2", "wrong", "forgets the factor beta", (0.5, 0.0180, 0.982))
# 0.6 * sigma(-2.4) = 0.04990, 0.6 * sigma(2.4) = 0.55010
value("06.2", "wrong", "multiplies the margin by beta once more", (0.3, 0.0499, 0.550))
value("06.2", "wrong", "sigma of the margin itself, so right pairs weigh most",
      (0.3, 0.589, 0.0108))
# softplus(0), softplus(-4), softplus(4)
value("06.2", "wrong", "the losses instead of the weights", (0.693, 0.0181, 4.02))
# 0.6 * 0.25, 0.6 * 0.017986 * 0.982014 = 0.010597, twice
value("06.2", "wrong", "takes sigma's derivative for the weight", (0.15, 0.0106, 0.0106))
value("06.2", "wrong", "thinks that at a margin of zero nothing pulls", (0.0, 0.0108, 0.589))
value("06.2", "wrong", "rounds to two decimals", (0.3, 0.01, 0.59))
value("06.2", "wrong", "slope of the loss in the margin, with its minus sign",
      (-0.3, -0.0108, -0.589))
# shares of the sum 0.9: 0.33333, 0.011991, 0.65468
value("06.2", "wrong", "scales the three weights so that they add up to one",
      (0.333, 0.0120, 0.655))
# 4 / 0.6 = 6.6667; 0.6 * sigma(-6.6667) = 0.0007628, 0.6 * sigma(6.6667) = 0.59924
value("06.2", "wrong", "divides the margin by beta to get log-ratios first",
      (0.3, 0.000763, 0.599))
# 1 - 0.6 * sigma(m), of the confusion 'one minus the probability'
value("06.2", "wrong", "one minus beta times the probability of the label",
      (0.7, 0.411, 0.989))
# exp(-4) * 0.6 = 0.010989; exp(4) * 0.6 = 32.8
value("06.2", "wrong", "e to the minus margin in the place of sigma", (0.6, 0.0110, 32.8))


# 06.3: gradients in parts


def of_part(policy, part, beta=0.6):
    batch, ref_chosen, ref_rejected = part
    chosen, rejected = Scorer(policy)(**batch).chunk(2)
    return losses.dpo(chosen, rejected, ref_chosen, ref_rejected, beta=beta)


def flat_gradient(policy):
    return torch.cat([p.grad.flatten() for p in policy.parameters()])


def pairs_in(parts):
    return sum(len(ref_chosen) for _, ref_chosen, _ in parts)


@right("06.3")
def sums_over_all(policy, parts):
    for part in parts:
        (of_part(policy, part).sum() / pairs_in(parts)).backward()
    return flat_gradient(policy)


@right("06.3")
def weighted_means(policy, parts):
    for part in parts:
        share = len(part[1]) / pairs_in(parts)
        (share * of_part(policy, part).mean()).backward()
    return flat_gradient(policy)


@right("06.3")
def one_graph(policy, parts):
    every = torch.cat([of_part(policy, part) for part in parts])
    found = torch.autograd.grad(every.mean(), list(policy.parameters()))
    return torch.cat([g.flatten() for g in found])


@right("06.3")
def divided_at_the_end(policy, parts):
    total = torch.zeros(sum(p.numel() for p in policy.parameters()))
    for batch, ref_chosen, ref_rejected in parts:
        chosen, rejected = Scorer(policy)(**batch).chunk(2)
        margin = 0.6 * ((chosen - ref_chosen) - (rejected - ref_rejected))
        found = torch.autograd.grad(softplus(-margin).sum(), list(policy.parameters()))
        total = total + torch.cat([g.flatten() for g in found])
    return total / pairs_in(parts)


@wrong("06.3", "backward on each part's own mean: the means are added up")
def means_added(policy, parts):
    for part in parts:
        of_part(policy, part).mean().backward()
    return flat_gradient(policy)


@wrong("06.3", "mean of the parts' means, as if all parts were equally large")
def mean_of_means(policy, parts):
    for part in parts:
        (of_part(policy, part).mean() / len(parts)).backward()
    return flat_gradient(policy)


@wrong("06.3", "sums the losses and divides by nothing")
def sums_only(policy, parts):
    for part in parts:
        of_part(policy, part).sum().backward()
    return flat_gradient(policy)


@wrong("06.3", "divides by the number of texts, two for each pair")
def by_texts(policy, parts):
    texts = sum(len(batch["input_ids"]) for batch, _, _ in parts)
    for part in parts:
        (of_part(policy, part).sum() / texts).backward()
    return flat_gradient(policy)


@wrong("06.3", "zeroes the gradients before each part, as a training step does")
def zeroed_between(policy, parts):
    for part in parts:
        policy.zero_grad()
        (of_part(policy, part).sum() / pairs_in(parts)).backward()
    return flat_gradient(policy)


@wrong("06.3", "takes all parts for as large as the first one")
def by_first_part(policy, parts):
    size = len(parts[0][1]) * len(parts)
    for part in parts:
        (of_part(policy, part).sum() / size).backward()
    return flat_gradient(policy)


@wrong("06.3", "divides by the tokens of all parts, as chapter 05's remedy does")
def by_tokens(policy, parts):
    tokens = sum(batch["response_mask"].sum() for batch, _, _ in parts)
    for part in parts:
        (of_part(policy, part).sum() / tokens).backward()
    return flat_gradient(policy)


@wrong("06.3", "takes chosen and rejected to alternate in the batch")
def alternating(policy, parts):
    for batch, ref_chosen, ref_rejected in parts:
        logps = Scorer(policy)(**batch)
        loss = losses.dpo(logps[::2], logps[1::2], ref_chosen, ref_rejected, beta=0.6)
        (loss.sum() / pairs_in(parts)).backward()
    return flat_gradient(policy)


@wrong("06.3", "clips the gradient to norm 1 before handing it in")
def clipped(policy, parts):
    sums_over_all(policy, parts)
    torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
    return flat_gradient(policy)


@wrong("06.3", "leaves the reference out of the loss")
def no_reference(policy, parts):
    for batch, ref_chosen, ref_rejected in parts:
        bare = batch, torch.zeros_like(ref_chosen), torch.zeros_like(ref_rejected)
        (of_part(policy, bare).sum() / pairs_in(parts)).backward()
    return flat_gradient(policy)


@wrong("06.3", "beta of the paper, 0.1, instead of 0.6")
def papers_beta(policy, parts):
    for part in parts:
        (of_part(policy, part, beta=0.1).sum() / pairs_in(parts)).backward()
    return flat_gradient(policy)


@wrong("06.3", "hands in the downhill direction, minus the gradient")
def downhill_handed_in(policy, parts):
    return -sums_over_all(policy, parts)


@wrong("06.3", "keeps each part's gradient in a row of its own instead of adding")
def rows_of_parts(policy, parts):
    rows = []
    for part in parts:
        policy.zero_grad()
        (of_part(policy, part).sum() / pairs_in(parts)).backward()
        rows.append(flat_gradient(policy))
    return torch.stack(rows)


@wrong("06.3", "each part divided by its own size, then by the number of pairs as well")
def divided_twice(policy, parts):
    for part in parts:
        (of_part(policy, part).mean() / pairs_in(parts)).backward()
    return flat_gradient(policy)


# 07.3: is the implicit reward calibrated?


def differences(rho, true, beta):
    rho, true = np.asarray(rho, dtype=float), np.asarray(true, dtype=float)
    return true[:, 0] - true[:, 1], beta * (rho[:, 0] - rho[:, 1])


@right("07.3")
def by_polyfit(rho, true, beta):
    return np.polyfit(*differences(rho, true, beta), 1)[0]


@right("07.3")
def by_covariance(rho, true, beta):
    x, y = differences(rho, true, beta)
    return float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())


@right("07.3")
def by_least_squares(rho, true, beta):
    x, y = map(torch.as_tensor, differences(rho, true, beta))
    A = torch.stack([x, torch.ones_like(x)], 1)
    return torch.linalg.lstsq(A, y[:, None]).solution[0, 0].item()


@right("07.3")
def rejected_less_chosen(rho, true, beta):
    # both differences turned round: the slope is the same
    implicit = beta * np.diff(np.asarray(rho), axis=1)[:, 0]
    covariance = np.cov(np.diff(np.asarray(true), axis=1)[:, 0], implicit)
    return covariance[0, 1] / covariance[0, 0]


@wrong("07.3", "log-ratios without beta")
def beta_forgotten(rho, true, beta):
    return np.polyfit(*differences(rho, true, 1.0), 1)[0]


@wrong("07.3", "divides the log-ratios by beta")
def by_beta(rho, true, beta):
    return np.polyfit(*differences(rho, true, 1 / beta), 1)[0]


@wrong("07.3", "regresses the true differences on the implicit ones")
def other_way_round(rho, true, beta):
    x, y = differences(rho, true, beta)
    return np.polyfit(y, x, 1)[0]


@wrong("07.3", "a line through the origin, without an intercept")
def through_origin(rho, true, beta):
    x, y = differences(rho, true, beta)
    return (x * y).sum() / (x * x).sum()


@wrong("07.3", "the correlation instead of the slope")
def correlation(rho, true, beta):
    return np.corrcoef(*differences(rho, true, beta))[0, 1]


@wrong("07.3", "the intercept, the last of polyfit's two numbers")
def intercept(rho, true, beta):
    return np.polyfit(*differences(rho, true, beta), 1)[1]


@wrong("07.3", "slope and intercept together, as polyfit gives them")
def both_of_polyfit(rho, true, beta):
    return np.polyfit(*differences(rho, true, beta), 1)


@wrong("07.3", "regresses single rewards, all 2N of them, not differences of pairs")
def single_rewards(rho, true, beta):
    return np.polyfit(np.ravel(true), beta * np.ravel(rho), 1)[0]


@wrong("07.3", "regresses the chosen side alone")
def chosen_alone(rho, true, beta):
    return np.polyfit(np.asarray(true)[:, 0], beta * np.asarray(rho)[:, 0], 1)[0]


@wrong("07.3", "quotient of the two mean differences")
def quotient_of_means(rho, true, beta):
    x, y = differences(rho, true, beta)
    return y.mean() / x.mean()


@wrong("07.3", "quotient of the two spreads, as if the points lay on the line")
def quotient_of_spreads(rho, true, beta):
    x, y = differences(rho, true, beta)
    return y.std() / x.std()


@wrong("07.3", "sorts each pair by its true reward first, so that no difference is negative")
def only_sizes(rho, true, beta):
    x, y = differences(rho, true, beta)
    return np.polyfit(np.abs(x), np.abs(y), 1)[0]


@wrong("07.3", "takes columns as rejected, chosen in one of the two arrays")
def one_turned_round(rho, true, beta):
    x, y = differences(rho, true, beta)
    return np.polyfit(x, -y, 1)[0]


@wrong("07.3", "covariance over N - 1 divided by variance over N")
def mixed_denominators(rho, true, beta):
    x, y = differences(rho, true, beta)
    return np.cov(x, y)[0, 1] / np.var(x)


# 08.0: generalised advantages


def surprises(rewards, values, mask):
    V = torch.where(mask, values, 0.0)  # values may be anything off the mask
    following = torch.cat([V[:, 1:], torch.zeros_like(V[:, :1])], 1)
    return rewards + following - V


def from_the_end(delta, lam):
    out, running = torch.zeros_like(delta), torch.zeros_like(delta[:, 0])
    for t in reversed(range(delta.shape[1])):
        running = delta[:, t] + lam * running
        out[:, t] = running
    return out


@right("08.0")
def by_recursion(rewards, values, mask, lam):
    return from_the_end(surprises(rewards, values, mask), lam) * mask


@right("08.0")
def by_powers(rewards, values, mask, lam):
    delta = surprises(rewards, values, mask) * mask
    t = torch.arange(delta.shape[1])
    away = (t[:, None] - t[None]).clamp(min=0)
    power = torch.tensor(float(lam), dtype=delta.dtype) ** away * (t[:, None] >= t[None])
    return (delta @ power.to(delta.dtype)) * mask


@right("08.0")
def text_by_text_in_numpy(rewards, values, mask, lam):
    R, V, inside = (x.detach().numpy() for x in (rewards, values, mask))
    out = np.zeros_like(R)
    for row in range(len(R)):
        following, running = 0.0, 0.0
        for t in np.flatnonzero(inside[row])[::-1]:
            running = R[row, t] + following - V[row, t] + lam * running
            following, out[row, t] = V[row, t], running
    return torch.from_numpy(out)


@wrong("08.0", "does not set V to 0 off the mask, so the padding's guess follows the end")
def padding_guesses(rewards, values, mask, lam):
    return from_the_end(surprises(rewards, values, torch.ones_like(mask)), lam) * mask


@wrong("08.0", "leaves advantages at the places before the response")
def not_masked(rewards, values, mask, lam):
    return from_the_end(surprises(rewards, values, mask), lam)


@wrong("08.0", "hands in the surprises alone, lambda unused")
def surprises_alone(rewards, values, mask, lam):
    return surprises(rewards, values, mask) * mask


@wrong("08.0", "adds up the surprises that follow without lambda")
def without_lambda(rewards, values, mask, lam):
    return from_the_end(surprises(rewards, values, mask), 1.0) * mask


@wrong("08.0", "only the next surprise counts, not the whole rest")
def one_step_only(rewards, values, mask, lam):
    delta = surprises(rewards, values, mask) * mask
    return (delta + lam * F.pad(delta[:, 1:], (0, 1))) * mask


@wrong("08.0", "runs from the first token to the last, so earlier surprises are added")
def forwards(rewards, values, mask, lam):
    delta = surprises(rewards, values, mask) * mask
    return from_the_end(delta.flip(1), lam).flip(1) * mask


@wrong("08.0", "multiplies the next guess by lambda as well, as if it were a discount")
def lambda_as_discount(rewards, values, mask, lam):
    V = values * mask
    delta = rewards + lam * F.pad(V[:, 1:], (0, 1)) - V
    return from_the_end(delta, lam) * mask


@wrong("08.0", "after the last token expects the last guess again, not 0")
def last_guess_again(rewards, values, mask, lam):
    following = F.pad(values[:, 1:], (0, 1))
    ends = mask & ~F.pad(mask[:, 1:], (0, 1))
    following = torch.where(ends, values, following)
    return from_the_end((rewards + following - values) * mask, lam) * mask


@wrong("08.0", "hands in returns, A + V")
def returns_handed_in(rewards, values, mask, lam):
    return (by_recursion(rewards, values, mask, lam) + values) * mask


@wrong("08.0", "whitens at once, the part that comes next")
def whitened(rewards, values, mask, lam):
    A = by_recursion(rewards, values, mask, lam)
    return (A - A[mask].mean()) / A[mask].std(correction=0) * mask


@wrong("08.0", "surprise with the sign turned: before less after")
def sign_turned(rewards, values, mask, lam):
    V = values * mask
    return from_the_end(rewards + V - F.pad(V[:, 1:], (0, 1)), lam) * mask


@wrong("08.0", "reward less guess, without what is now expected")
def no_next_guess(rewards, values, mask, lam):
    return from_the_end(rewards - values * mask, lam) * mask


@wrong("08.0", "a weighted mean: later surprises by lambda, the own one by 1 - lambda")
def running_mean(rewards, values, mask, lam):
    return from_the_end((1 - lam) * surprises(rewards, values, mask), lam) * mask


@wrong("08.0", "weighs each surprise by lambda to its place counted from the text's start")
def counted_from_start(rewards, values, mask, lam):
    place = (mask.long().cumsum(1) - 1).clamp(min=0)
    delta = surprises(rewards, values, mask) * mask * lam**place
    return from_the_end(delta, 1.0) * mask


@wrong("08.0", "gives every token its text's total reward less the guess")
def total_less_guess(rewards, values, mask, lam):
    return (rewards.sum(1, keepdim=True) - values) * mask


# 08.2: the gradient in the first minibatch


@right("08.2")
def closed_form(advantage, mask):
    return -advantage * mask / mask.sum()


@right("08.2")
def by_autograd(advantage, mask):
    logps = torch.zeros_like(advantage).requires_grad_()
    ratio = logps.exp()
    near = ratio.clamp(0.8, 1.2)
    loss = torch.maximum(-advantage * ratio, -advantage * near)[mask].mean()
    return torch.autograd.grad(loss, logps)[0]


@right("08.2")
def by_loops(advantage, mask):
    found, n = torch.zeros_like(advantage), int(mask.sum())
    for b in range(len(advantage)):
        for t in range(advantage.shape[1]):
            if mask[b, t]:
                found[b, t] = -advantage[b, t].item() / n
    return found


@wrong("08.2", "the direction that is wanted, without the loss's minus")
def wanted_direction(advantage, mask):
    return advantage * mask / mask.sum()


@wrong("08.2", "forgets that the loss is a mean")
def mean_forgotten(advantage, mask):
    return -advantage * mask


@wrong("08.2", "a mean over all places of the batch, padding too")
def mean_over_places(advantage, mask):
    return -advantage * mask / mask.numel()


@wrong("08.2", "a mean over texts of means over their own tokens")
def mean_of_texts(advantage, mask):
    return -advantage * mask / mask.sum(1, keepdim=True) / len(mask)


@wrong("08.2", "divides by the number of texts")
def by_number_of_texts(advantage, mask):
    return -advantage * mask / len(mask)


@wrong("08.2", "leaves gradients where the mask is False")
def off_the_mask(advantage, mask):
    return -advantage / mask.sum()


@wrong("08.2", "thinks that the clipped branch is flat and halves the gradient at the tie")
def half_of_it(advantage, mask):
    return -0.5 * advantage * mask / mask.sum()


@wrong("08.2", "bad tokens are clipped away, only positive advantages push")
def good_ones_only(advantage, mask):
    return -advantage.clamp(min=0) * mask / mask.sum()


@wrong("08.2", "whitens the advantages first")
def whitened_first(advantage, mask):
    spread = advantage[mask].std(correction=0)
    return -(advantage - advantage[mask].mean()) / spread * mask / mask.sum()


@wrong("08.2", "the loss itself at every token, its mean instead of each one's own")
def loss_everywhere(advantage, mask):
    return -advantage[mask].mean() * mask / mask.sum()


@wrong("08.2", "pushes up to the bound: the factor 1 + eps at good tokens, 1 - eps at bad")
def at_the_bound(advantage, mask):
    ratio = torch.where(advantage > 0, 1.2, 0.8)
    return -advantage * ratio * mask / mask.sum()


@wrong("08.2", "divides by each text's own tokens and forgets the number of texts")
def own_tokens(advantage, mask):
    return -advantage * mask / mask.sum(1, keepdim=True)


# 09.3: push down the favourite; all numbers from the chapter's cell, prompt 0, 24 steps
# mean true reward 0.149888 before, 0.005113 after; the three have 0.12 before, 0.457145 after

value("09.3", "right", "", (0.337, -0.145))
value("09.3", "right", "", [0.337145, -0.144776])
value("09.3", "right", "", np.array([0.33714, -0.14478]))
value("09.3", "wrong", "the three's probability afterwards, not what they gained",
      (0.457, -0.145))
value("09.3", "wrong", "before less after", (-0.337, 0.145))
value("09.3", "wrong", "only the reward's change turned round: how much is lost",
      (0.337, 0.145))
value("09.3", "wrong", "pushes the unlikeliest reply, the chapter's own example",
      (0.238, -0.164))
# order[:3] with the favourite itself among them: 0.184763
value("09.3", "wrong", "counts the favourite itself among the three likeliest", (0.185, -0.145))
value("09.3", "wrong", "one step instead of 24", (0.00725, 0.0110))
value("09.3", "wrong", "adds the gradient instead of subtracting: lifts the favourite",
      (-0.115, -0.474))
# the favourite's 0.04 shared out in proportion: 0.04 * 0.12 / 0.96 = 0.005; reward +0.020829
value("09.3", "wrong", "reasons that the others keep their proportions, without trying",
      (0.005, 0.0208))
value("09.3", "wrong", "the mean true reward afterwards, not its change", (0.337, 0.00511))
value("09.3", "wrong", "mean gain of one of the three", (0.112, -0.145))
value("09.3", "wrong", "counts four replies, as the chapter's table does", (0.335, -0.145))
# pair_step with l = order[0]: 0.004361, 0.017904
value("09.3", "wrong", "pushes with DPO's pair step, the favourite as the rejected reply",
      (0.00436, 0.0179))
# 0.6 / 2 in front of the push: 0.045602, 0.003012
value("09.3", "wrong", "puts DPO's weight of 0.3 before the push", (0.0456, 0.00301))
# only the three's own rewards: sum r * gain = -0.095524
value("09.3", "wrong", "adds up the rewards of the three replies alone", (0.337, -0.0955))
# 0.457145 / 0.12 = 3.8095; (0.005113 - 0.149888) / 0.149888 = -0.96589
value("09.3", "wrong", "relative changes: times as likely, and the share of reward lost",
      (3.81, -0.966))
# runs on to step 100: the favourite is gone, the three hold everything
value("09.3", "wrong", "a hundred steps, until nothing changes any more", (0.880, -0.433))
value("09.3", "wrong", "rounds to one decimal", (0.3, -0.1))


# 10.2: robust DPO's slope


@right("10.2")
def two_sigmas(m, eps):
    return (-(1 - eps) * torch.sigmoid(-m) - eps * torch.sigmoid(m)) / (1 - 2 * eps)


@right("10.2")
def dpo_and_force(m, eps):
    return -torch.sigmoid(-m) - eps / (1 - 2 * eps)


@right("10.2")
def slope_by_autograd(m, eps):
    x = m.detach().clone().requires_grad_()
    loss = ((1 - eps) * softplus(-x) - eps * softplus(x)) / (1 - 2 * eps)
    return torch.autograd.grad(loss.sum(), x)[0]


@right("10.2")
def one_sigma(m, eps):
    return torch.sigmoid(m) - (1 - eps) / (1 - 2 * eps)


@wrong("10.2", "cDPO's slope")
def slope_of_cdpo(m, eps):
    return torch.sigmoid(m) - (1 - eps)


@wrong("10.2", "forgets to divide by 1 - 2 eps")
def slope_not_divided(m, eps):
    return -(1 - eps) * torch.sigmoid(-m) - eps * torch.sigmoid(m)


@wrong("10.2", "the sign of the second term is lost: plus where the two minuses meet")
def second_sign(m, eps):
    return (-(1 - eps) * torch.sigmoid(-m) + eps * torch.sigmoid(m)) / (1 - 2 * eps)


@wrong("10.2", "the same sigma in both terms, so that DPO's slope comes out")
def same_sigma(m, eps):
    first, second = -(1 - eps) * torch.sigmoid(-m), eps * torch.sigmoid(-m)
    return (first + second) / (1 - 2 * eps)


@wrong("10.2", "the loss, not its slope")
def loss_for_slope(m, eps):
    return ((1 - eps) * softplus(-m) - eps * softplus(m)) / (1 - 2 * eps)


@wrong("10.2", "how hard it pushes, without the minus of a slope")
def push_for_slope(m, eps):
    return -two_sigmas(m, eps)


@wrong("10.2", "sigma of the wrong side: the push grows with the margin")
def wrong_side(m, eps):
    return (-(1 - eps) * torch.sigmoid(m) - eps * torch.sigmoid(-m)) / (1 - 2 * eps)


@wrong("10.2", "DPO's slope made steeper by 1 / (1 - 2 eps), as it is at the start")
def steeper_dpo(m, eps):
    return -torch.sigmoid(-m) / (1 - 2 * eps)


@wrong("10.2", "the force is eps, as in cDPO with the other sign")
def force_of_eps(m, eps):
    return -torch.sigmoid(-m) - eps


@wrong("10.2", "divides by 1 - eps")
def by_one_less_eps(m, eps):
    return (-(1 - eps) * torch.sigmoid(-m) - eps * torch.sigmoid(m)) / (1 - eps)


@wrong("10.2", "the slope of sigma instead of that of log sigma")
def slope_of_sigma(m, eps):
    both = torch.sigmoid(m) * torch.sigmoid(-m)
    return (-(1 - eps) * both - eps * both) / (1 - 2 * eps)


@wrong("10.2", "keeps the chapter's eps of 0.1 whatever is asked")
def chapters_eps(m, eps):
    return two_sigmas(m, 0.1)


@wrong("10.2", "the limit at large margins for every margin")
def limit_everywhere(m, eps):
    return torch.full_like(m, -eps / (1 - 2 * eps))


@wrong("10.2", "the mean slope over the batch, one number")
def mean_slope(m, eps):
    return two_sigmas(m, eps).mean()


# 11.0: robust DPO's loss


@right("11.0")
def robust_by_formula(m, eps=0.2):
    return (-(1 - eps) * logsigmoid(m) + eps * logsigmoid(-m)) / (1 - 2 * eps)


@right("11.0")
def robust_by_force(m, eps=0.2):
    return softplus(-m) - eps / (1 - 2 * eps) * m


@right("11.0")
def robust_solved(m, eps=0.2):
    a, b = np.linalg.solve([[1 - eps, eps], [eps, 1 - eps]], [1.0, 0.0])
    return float(a) * softplus(-m) + float(b) * softplus(m)


@wrong("11.0", "cDPO: the expected loss instead of the unbiased one")
def expected_loss(m, eps=0.2):
    return -(1 - eps) * logsigmoid(m) - eps * logsigmoid(-m)


@wrong("11.0", "right weights, but not divided by 1 - 2 eps")
def robust_not_divided(m, eps=0.2):
    return -(1 - eps) * logsigmoid(m) + eps * logsigmoid(-m)


@wrong("11.0", "solves with b positive: adds the opposite label's loss")
def b_positive(m, eps=0.2):
    return (-(1 - eps) * logsigmoid(m) - eps * logsigmoid(-m)) / (1 - 2 * eps)


@wrong("11.0", "a and b exchanged")
def exchanged_weights(m, eps=0.2):
    return (eps * logsigmoid(m) - (1 - eps) * logsigmoid(-m)) / (1 - 2 * eps)


@wrong("11.0", "the determinant half remembered: divides by (1 - eps)^2 + eps^2")
def wrong_determinant(m, eps=0.2):
    two = (1 - eps) ** 2 + eps**2
    return (-(1 - eps) * logsigmoid(m) + eps * logsigmoid(-m)) / two


@wrong("11.0", "only scales DPO's loss up by 1 / (1 - 2 eps)")
def scaled_up(m, eps=0.2):
    return -logsigmoid(m) / (1 - 2 * eps)


@wrong("11.0", "the force in the other direction")
def force_backwards(m, eps=0.2):
    return -logsigmoid(m) + eps / (1 - 2 * eps) * m


@wrong("11.0", "hands in the mean over the batch")
def one_number(m, eps=0.2):
    return robust_by_formula(m, eps).mean()


@wrong("11.0", "computes in NumPy, so no gradient reaches m")
def through_numpy(m, eps=0.2):
    x = m.detach().numpy()
    loss = (1 - eps) * np.logaddexp(0, -x) - eps * np.logaddexp(0, x)
    return torch.from_numpy(loss / (1 - 2 * eps))


@wrong("11.0", "cuts the loss off at zero, as a loss can't be negative")
def never_negative(m, eps=0.2):
    return robust_by_formula(m, eps).clamp(min=0)


@wrong("11.0", "takes eps for 0.2 whatever is handed over")
def always_a_fifth(m, eps=0.2):
    return robust_by_formula(m, 0.2)


@wrong("11.0", "mends the margin instead of the loss: m / (1 - 2 eps)")
def margin_mended(m, eps=0.2):
    return -logsigmoid(m / (1 - 2 * eps))


@wrong("11.0", "averages over the flips itself, which gives back the clean loss")
def averaged_over_flips(m, eps=0.2):
    return (1 - eps) * robust_by_formula(m, eps) + eps * robust_by_formula(-m, eps)


@wrong("11.0", "eps / (1 - 2 eps) as b, and a left at 1")
def a_left_at_one(m, eps=0.2):
    return -logsigmoid(m) + eps / (1 - 2 * eps) * logsigmoid(-m)


@wrong("11.0", "corrects the probability: minus log of (sigma - eps) / (1 - 2 eps)")
def probability_corrected(m, eps=0.2):
    return -((torch.sigmoid(m) - eps) / (1 - 2 * eps)).clamp(min=1e-6).log()


# 11.3: a clean loss from flipped labels


@right("11.3")
def mean_robust(margins, eps):
    loss = (1 - eps) * softplus(-margins) - eps * softplus(margins)
    return (loss / (1 - 2 * eps)).mean().item()


@right("11.3")
def plain_less_what_flips_add(margins, eps):
    return (softplus(-margins) - eps / (1 - 2 * eps) * margins).mean()


@right("11.3")
def from_two_means(margins, eps):
    m = margins.detach().double().numpy()
    seen, turned = np.logaddexp(0, -m).mean(), np.logaddexp(0, m).mean()
    return float(np.linalg.solve([[1 - eps, eps], [eps, 1 - eps]], [seen, turned])[0])


@wrong("11.3", "the plain held-out loss")
def plain_loss(margins, eps):
    return softplus(-margins).mean().item()


@wrong("11.3", "cDPO's loss: flips the labels a second time")
def mean_cdpo(margins, eps):
    return ((1 - eps) * softplus(-margins) + eps * softplus(margins)).mean().item()


@wrong("11.3", "robust DPO's loss not divided by 1 - 2 eps")
def clean_not_divided(margins, eps):
    return ((1 - eps) * softplus(-margins) - eps * softplus(margins)).mean().item()


@wrong("11.3", "subtracts eps times the seen margin, as if that were the right one's")
def seen_margin(margins, eps):
    return (softplus(-margins) - eps * margins).mean().item()


@wrong("11.3", "one loss for each pair, not their mean")
def for_each_pair(margins, eps):
    return ((1 - eps) * softplus(-margins) - eps * softplus(margins)) / (1 - 2 * eps)


@wrong("11.3", "the sum over the pairs")
def sum_of_pairs(margins, eps):
    return mean_robust(margins, eps) * len(margins)


@wrong("11.3", "drops the share eps of the largest losses, taking them for the flipped ones")
def trimmed(margins, eps):
    keep = len(margins) - round(eps * len(margins))
    return softplus(-margins).sort().values[:keep].mean().item()


@wrong("11.3", "turns the share eps of the smallest margins round: those must be wrong")
def turned_round(margins, eps):
    m = margins.sort().values.clone()
    m[: round(eps * len(m))] *= -1
    return softplus(-m).mean().item()


@wrong("11.3", "turns all negative margins round")
def absolute_margins(margins, eps):
    return softplus(-margins.abs()).mean().item()


@wrong("11.3", "the loss of the mean margin")
def of_mean_margin(margins, eps):
    m = margins.mean()
    return (softplus(-m) - eps / (1 - 2 * eps) * m).item()


@wrong("11.3", "thinks that flips make the loss too low and adds the correction")
def added(margins, eps):
    return (softplus(-margins) + eps / (1 - 2 * eps) * margins).mean().item()


@wrong("11.3", "divides the plain loss by 1 - 2 eps")
def rescaled(margins, eps):
    return softplus(-margins).mean().item() / (1 - 2 * eps)


@wrong("11.3", "takes the plain loss times the share of right labels")
def share_of_right(margins, eps):
    return (1 - eps) * softplus(-margins).mean().item()


@wrong("11.3", "subtracts eps itself, as one would from an error rate, and rescales")
def like_an_error_rate(margins, eps):
    return (softplus(-margins).mean().item() - eps) / (1 - 2 * eps)


@wrong("11.3", "cuts each pair's corrected loss off at zero")
def floor_at_zero(margins, eps):
    return (softplus(-margins) - eps / (1 - 2 * eps) * margins).clamp(min=0).mean().item()


# 12.0: IPO


def gap(chosen, rejected, ref_chosen, ref_rejected):
    return (chosen - ref_chosen) - (rejected - ref_rejected)


@right("12.0")
def ipo_squared(chosen, rejected, ref_chosen, ref_rejected, tau):
    return (gap(chosen, rejected, ref_chosen, ref_rejected) - 1 / (2 * tau)) ** 2


@right("12.0")
def ipo_multiplied_out(chosen, rejected, ref_chosen, ref_rejected, tau):
    delta = (chosen - rejected) - (ref_chosen - ref_rejected)
    return delta * delta - delta / tau + 1 / (4 * tau * tau)


@right("12.0")
def ipo_by_mse(chosen, rejected, ref_chosen, ref_rejected, tau):
    delta = gap(chosen, rejected, ref_chosen, ref_rejected)
    return F.mse_loss(delta, torch.full_like(delta, 0.5 / tau), reduction="none")


@wrong("12.0", "leaves the reference out")
def ipo_no_reference(chosen, rejected, ref_chosen, ref_rejected, tau):
    return (chosen - rejected - 1 / (2 * tau)) ** 2


@wrong("12.0", "reads 1/(2 tau) as tau / 2")
def ipo_half_tau(chosen, rejected, ref_chosen, ref_rejected, tau):
    return (gap(chosen, rejected, ref_chosen, ref_rejected) - tau / 2) ** 2


@wrong("12.0", "the target without the two: 1 / tau")
def ipo_without_two(chosen, rejected, ref_chosen, ref_rejected, tau):
    return (gap(chosen, rejected, ref_chosen, ref_rejected) - 1 / tau) ** 2


@wrong("12.0", "takes tau itself for the target")
def ipo_tau_as_target(chosen, rejected, ref_chosen, ref_rejected, tau):
    return (gap(chosen, rejected, ref_chosen, ref_rejected) - tau) ** 2


@wrong("12.0", "tau before the difference, as beta in DPO")
def ipo_tau_as_beta(chosen, rejected, ref_chosen, ref_rejected, tau):
    return (tau * gap(chosen, rejected, ref_chosen, ref_rejected) - 0.5) ** 2


@wrong("12.0", "the batch's mean, not one loss for each pair")
def ipo_mean(chosen, rejected, ref_chosen, ref_rejected, tau):
    return ipo_squared(chosen, rejected, ref_chosen, ref_rejected, tau).mean()


@wrong("12.0", "distance instead of its square")
def ipo_distance(chosen, rejected, ref_chosen, ref_rejected, tau):
    return (gap(chosen, rejected, ref_chosen, ref_rejected) - 1 / (2 * tau)).abs()


@wrong("12.0", "half the square, as in physics")
def ipo_half(chosen, rejected, ref_chosen, ref_rejected, tau):
    return ipo_squared(chosen, rejected, ref_chosen, ref_rejected, tau) / 2


@wrong("12.0", "a target for each side, plus and minus, squared by itself")
def ipo_each_side(chosen, rejected, ref_chosen, ref_rejected, tau):
    up, down = chosen - ref_chosen, rejected - ref_rejected
    return (up - 1 / (4 * tau)) ** 2 + (down + 1 / (4 * tau)) ** 2


@wrong("12.0", "no penalty beyond the target: only what is missing is squared")
def ipo_one_sided(chosen, rejected, ref_chosen, ref_rejected, tau):
    delta = gap(chosen, rejected, ref_chosen, ref_rejected)
    return torch.relu(1 / (2 * tau) - delta) ** 2


@wrong("12.0", "the sides exchanged: rejected less chosen")
def ipo_exchanged(chosen, rejected, ref_chosen, ref_rejected, tau):
    return (-gap(chosen, rejected, ref_chosen, ref_rejected) - 1 / (2 * tau)) ** 2


@wrong("12.0", "DPO's loss with tau as its beta")
def ipo_is_dpo(chosen, rejected, ref_chosen, ref_rejected, tau):
    return -logsigmoid(tau * gap(chosen, rejected, ref_chosen, ref_rejected))


@wrong("12.0", "the reference's difference with the wrong sign")
def ipo_reference_added(chosen, rejected, ref_chosen, ref_rejected, tau):
    return (chosen - rejected + ref_chosen - ref_rejected - 1 / (2 * tau)) ** 2


@wrong("12.0", "squares in NumPy, so no gradient flows back")
def ipo_in_numpy(chosen, rejected, ref_chosen, ref_rejected, tau):
    four = (x.detach().numpy() for x in (chosen, rejected, ref_chosen, ref_rejected))
    return torch.from_numpy((gap(*four) - 1 / (2 * tau)) ** 2)


@wrong("12.0", "one difference of the batch's mean log-ratios against the target")
def ipo_mean_gap(chosen, rejected, ref_chosen, ref_rejected, tau):
    delta = gap(chosen, rejected, ref_chosen, ref_rejected).mean()
    return (torch.zeros_like(chosen) + delta - 1 / (2 * tau)) ** 2


# 12.2: more labels for a pair


@right("12.2")
def all_or_none(n, p):
    return p**n + (1 - p) ** n


@right("12.2")
def by_draws(n, p):
    wins = np.random.default_rng(0).binomial(n, p, size=500_000)
    return float(((wins == 0) | (wins == n)).mean())


@right("12.2")
def less_the_mixed(n, p):
    mixed = sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(1, n))
    return 1 - mixed


@wrong("12.2", "forgets that all judges can choose the second")
def all_first(n, p):
    return p**n


@wrong("12.2", "the share where the resting place is finite")
def finite_share(n, p):
    return 1 - p**n - (1 - p) ** n


@wrong("12.2", "all first and all second, multiplied instead of added")
def multiplied(n, p):
    return p**n * (1 - p) ** n


@wrong("12.2", "all judges agree with the first judge, whoever that is: one power too few")
def power_too_few(n, p):
    return p ** (n - 1) + (1 - p) ** (n - 1)


@wrong("12.2", "at least one judge chooses the first")
def at_least_one(n, p):
    return 1 - (1 - p) ** n


@wrong("12.2", "both ends are equally likely: twice the first")
def twice_the_first(n, p):
    return min(1.0, 2 * p**n)


@wrong("12.2", "a rule of thumb: infinite as long as less than one contrary vote is expected")
def less_than_one_expected(n, p):
    return float(n * min(p, 1 - p) < 1)


@wrong("12.2", "rare events by Poisson: e to minus the expected contrary votes")
def poisson(n, p):
    return math.exp(-n * (1 - p))


@wrong("12.2", "takes all n + 1 shares for equally likely, of which two are 0 or 1")
def of_equal_values(n, p):
    return 2 / (n + 1)


@wrong("12.2", "counts only the pairs in which all judges choose the second")
def all_second(n, p):
    return (1 - p) ** n


@wrong("12.2", "a fair coin: p plays no part")
def fair_coin(n, p):
    return 2 * 0.5**n


@wrong("12.2", "fifty draws are enough")
def fifty_draws(n, p):
    wins = np.random.default_rng(0).binomial(n, p, size=50)
    return float(((wins == 0) | (wins == n)).mean())


@wrong("12.2", "thinks that the majority decides: the chance that most choose the first")
def majority(n, p):
    return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n // 2 + 1, n + 1))


@wrong("12.2", "multiplies the chance that two judges agree, once for each further judge")
def pairs_agree(n, p):
    return (p**2 + (1 - p) ** 2) ** (n - 1)


@wrong("12.2", "rounds to one decimal")
def one_decimal(n, p):
    return round(p**n + (1 - p) ** n, 1)
