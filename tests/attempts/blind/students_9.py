"""Blind attempts of students at chapters 08 to 11 (written from the student edition alone)."""

import math

import numpy as np
import torch
from torch.nn.functional import logsigmoid, softplus

ATTEMPTS = []


def value(exercise, kind, mistake, attempt):
    row = {"exercise": exercise, "kind": kind, "mistake": mistake, "attempt": attempt}
    ATTEMPTS.append(row)


def wrong(exercise, mistake):
    def keep(attempt):
        value(exercise, "wrong", mistake, attempt)
        return attempt

    return keep


def right(exercise):
    def keep(attempt):
        value(exercise, "right", "", attempt)
        return attempt

    return keep


# 08.0 generalised advantages of a batch


def shifted(v):
    """The values one place on, 0 at the end of each row."""
    return torch.cat([v[:, 1:], torch.zeros_like(v[:, :1])], 1)


def summed_back(deltas, lam):
    """A_t = delta_t + lam A_{t+1} along each row."""
    out, later = torch.zeros_like(deltas), torch.zeros_like(deltas[:, 0])
    for t in reversed(range(deltas.shape[1])):
        later = deltas[:, t] + lam * later
        out[:, t] = later
    return out


@right("08.0")
def advantages_by_columns(rewards, values, mask, lam):
    v = torch.where(mask, values, torch.zeros_like(values))
    deltas = rewards + shifted(v) - v
    out, later = torch.zeros_like(deltas), torch.zeros_like(deltas[:, 0])
    for t in reversed(range(deltas.shape[1])):
        later = torch.where(mask[:, t], deltas[:, t] + lam * later, torch.zeros_like(later))
        out[:, t] = later
    return out


@right("08.0")
def advantages_text_by_text(rewards, values, mask, lam):
    out = torch.zeros_like(rewards)
    rows, width = rewards.shape
    for i in range(rows):
        next_v, next_a = 0.0, 0.0
        for t in range(width - 1, -1, -1):
            if mask[i, t]:
                next_a = rewards[i, t] + next_v - values[i, t] + lam * next_a
                next_v = values[i, t]
            else:
                next_v, next_a = 0.0, 0.0
            out[i, t] = next_a
    return out


@wrong("08.0", "takes the value model's guesses off the mask at face value, also after the end")
def advantages_values_unmasked(rewards, values, mask, lam):
    deltas = (rewards + shifted(values) - values) * mask
    return summed_back(deltas, lam) * mask


@wrong("08.0", "masks the values, but lets the credit run on into the prompt's places")
def advantages_into_prompt(rewards, values, mask, lam):
    v = values * mask
    return summed_back(rewards + shifted(v) - v, lam)


@wrong("08.0", "adds up the surprises that came before a token instead of those that follow")
def advantages_forwards(rewards, values, mask, lam):
    v = values * mask
    deltas = (rewards + shifted(v) - v) * mask
    return summed_back(deltas.flip(1), lam).flip(1) * mask


@wrong("08.0", "takes λ for a discount γ and multiplies the next value by it, too")
def advantages_value_discounted(rewards, values, mask, lam):
    v = values * mask
    return summed_back((rewards + lam * shifted(v) - v) * mask, lam) * mask


@wrong("08.0", "reads V_t as the guess after token t, so each surprise is V_t less V_(t-1)")
def advantages_one_place_off(rewards, values, mask, lam):
    v = values * mask
    before = torch.cat([torch.zeros_like(v[:, :1]), v[:, :-1]], 1)
    return summed_back((rewards + v - before) * mask, lam) * mask


@wrong("08.0", "goes one step on and hands in what the token was worth, A + V, the return")
def advantages_as_returns(rewards, values, mask, lam):
    v = values * mask
    return summed_back((rewards + shifted(v) - v) * mask, lam) * mask + v


# 08.1 the ends of λ, one text


def to_come(rewards):
    return rewards.flip(0).cumsum(0).flip(0)


def next_values(values):
    return torch.cat([values[1:], values.new_zeros(1)])


@right("08.1")
def ends_with_cumsum(rewards, values):
    return rewards + next_values(values) - values, to_come(rewards) - values


@right("08.1")
def ends_with_sums(rewards, values):
    n = len(rewards)
    zero = torch.zeros_like(rewards)
    one = torch.zeros_like(rewards)
    for t in range(n):
        expected = values[t + 1] if t + 1 < n else 0.0
        zero[t] = rewards[t] + expected - values[t]
        one[t] = rewards[t:].sum() - values[t]
    return [zero, one]


@right("08.1")
def ends_with_a_triangle(rewards, values):
    deltas = rewards + next_values(values) - values
    later = torch.triu(torch.ones(len(rewards), len(rewards), dtype=rewards.dtype))
    return deltas, later @ deltas


@wrong("08.1", "after the last token repeats the last value, as if nothing would change")
def ends_last_value_kept(rewards, values):
    deltas = rewards + torch.cat([values[1:], values[-1:]]) - values
    return deltas, to_come(deltas)


@wrong("08.1", "thinks that λ = 1 trusts the guesses and λ = 0 what came, so hands in λ = 1 first")
def ends_swapped(rewards, values):
    return to_come(rewards) - values, rewards + next_values(values) - values


@wrong("08.1", "at λ = 1 takes the rewards still to come and forgets what was expected")
def ends_no_baseline(rewards, values):
    return rewards + next_values(values) - values, to_come(rewards)


@wrong("08.1", "at λ = 1 gives each token the whole text's reward, also what came before it")
def ends_whole_text(rewards, values):
    return rewards + next_values(values) - values, rewards.sum() - values


@wrong("08.1", "thinks that λ = 0 ignores the future altogether: reward less guess, no next value")
def ends_no_next_value(rewards, values):
    return rewards - values, to_come(rewards) - values


@wrong("08.1", "adds up from the text's beginning at λ = 1 instead of from its end")
def ends_summed_from_start(rewards, values):
    deltas = rewards + next_values(values) - values
    return deltas, deltas.cumsum(0)


# 08.2 gradient of the first minibatch


@right("08.2")
def first_gradient_closed(advantage, mask):
    mask = mask.bool()
    return torch.where(mask, -advantage / mask.sum(), torch.zeros_like(advantage))


@right("08.2")
def first_gradient_autograd(advantage, mask):
    leaf = torch.zeros_like(advantage).requires_grad_()
    ratio = (leaf - leaf.detach()).exp()
    near = ratio.clamp(0.8, 1.2)
    loss = torch.maximum(-advantage * ratio, -advantage * near)[mask.bool()].mean()
    (found,) = torch.autograd.grad(loss, leaf)
    return found


@wrong("08.2", "forgets that the loss is a mean: each token's gradient is minus its advantage")
def first_gradient_no_mean(advantage, mask):
    return -advantage * mask


@wrong("08.2", "gives the direction of ascent: a good token's log-probability should go up")
def first_gradient_ascent(advantage, mask):
    return advantage * mask / mask.sum()


@wrong("08.2", "takes the mean over all places of the batch, also those off the mask")
def first_gradient_all_places(advantage, mask):
    return -advantage * mask / mask.numel()


@wrong("08.2", "takes the mean within each text and then over the texts")
def first_gradient_text_means(advantage, mask):
    return -advantage * mask / mask.sum(1, keepdim=True) / len(mask)


@wrong("08.2", "divides by the number of response tokens, but gives other places a gradient, too")
def first_gradient_unmasked(advantage, mask):
    return -advantage / mask.sum()


@wrong("08.2", "whitens the advantages first, because the loop does so before the loss")
def first_gradient_whitened(advantage, mask):
    there = advantage[mask.bool()]
    white = (advantage - there.mean()) / there.std(correction=0)
    return -white * mask / mask.sum()


# 08.4 RLOO and GRPO


@right("08.4")
def groups_torch(rewards):
    k = rewards.shape[1]
    others = (rewards.sum(1, keepdim=True) - rewards) / (k - 1)
    mean, std = rewards.mean(1, keepdim=True), rewards.std(1, keepdim=True)
    return rewards - others, (rewards - mean) / std


@right("08.4")
def groups_in_loops(rewards):
    rloo, grpo = torch.zeros_like(rewards), torch.zeros_like(rewards)
    for i, group in enumerate(rewards):
        k, mean = len(group), sum(group) / len(group)
        sd = (sum((x - mean) ** 2 for x in group) / (k - 1)) ** 0.5
        for j in range(k):
            others = [group[n] for n in range(k) if n != j]
            rloo[i, j] = group[j] - sum(others) / len(others)
            grpo[i, j] = (group[j] - mean) / sd
    return [rloo, grpo]


@right("08.4")
def groups_scaled(rewards):
    k = rewards.shape[1]
    centred = rewards - rewards.mean(1, keepdim=True)
    spread = (centred.square().sum(1, keepdim=True) / (k - 1)).sqrt()
    return centred * k / (k - 1), centred / spread


@wrong("08.4", "compares with the mean of all K for RLOO, the text itself included")
def groups_own_included(rewards):
    centred = rewards - rewards.mean(1, keepdim=True)
    return centred, centred / rewards.std(1, keepdim=True)


@wrong("08.4", "uses the standard deviation over K, as NumPy and whitening have it")
def groups_population_std(rewards):
    k = rewards.shape[1]
    others = (rewards.sum(1, keepdim=True) - rewards) / (k - 1)
    centred = rewards - rewards.mean(1, keepdim=True)
    return rewards - others, centred / rewards.std(1, keepdim=True, correction=0)


@wrong("08.4", "compares along the wrong axis: a text with the other prompts' texts")
def groups_wrong_axis(rewards):
    n = rewards.shape[0]
    others = (rewards.sum(0, keepdim=True) - rewards) / (n - 1)
    centred = rewards - rewards.mean(0, keepdim=True)
    return rewards - others, centred / rewards.std(0, keepdim=True)


@wrong("08.4", "takes the others' sum and divides it by K instead of K - 1")
def groups_divided_by_k(rewards):
    others = (rewards.sum(1, keepdim=True) - rewards) / rewards.shape[1]
    centred = rewards - rewards.mean(1, keepdim=True)
    return rewards - others, centred / rewards.std(1, keepdim=True)


@wrong("08.4", "thinks that GRPO is RLOO's advantage divided by the group's standard deviation")
def groups_rloo_over_std(rewards):
    others = (rewards.sum(1, keepdim=True) - rewards) / (rewards.shape[1] - 1)
    rloo = rewards - others
    return rloo, rloo / rewards.std(1, keepdim=True)


@wrong("08.4", "divides GRPO's differences by one standard deviation of the whole batch")
def groups_batch_std(rewards):
    others = (rewards.sum(1, keepdim=True) - rewards) / (rewards.shape[1] - 1)
    return rewards - others, (rewards - rewards.mean(1, keepdim=True)) / rewards.std()


# 09.0 what a step does to a log-probability


@right("09.0")
def predicted_torch(g, g_w, g_l, margins, eta, beta):
    return eta * beta * (torch.sigmoid(-margins) * ((g_w - g_l) @ g)).mean()


@right("09.0")
def predicted_in_loops(g, g_w, g_l, margins, eta, beta):
    total = 0.0
    for w, l, m in zip(g_w, g_l, margins, strict=True):
        total += (float(g @ w) - float(g @ l)) / (1 + math.exp(float(m)))
    return eta * beta * total / len(margins)


@right("09.0")
def predicted_numpy(g, g_w, g_l, margins, eta, beta):
    g, g_w, g_l, margins = (np.asarray(x, dtype=float) for x in (g, g_w, g_l, margins))
    pull = ((g_w - g_l) / (1 + np.exp(margins))[:, None]).mean(0)
    return float(eta * beta * g @ pull)


@wrong("09.0", "adds up over the batch instead of taking the mean")
def predicted_summed(g, g_w, g_l, margins, eta, beta):
    return eta * beta * (torch.sigmoid(-margins) * ((g_w - g_l) @ g)).sum()


@wrong("09.0", "weighs with σ(m): thinks that pairs in the right order pull hardest")
def predicted_wrong_side(g, g_w, g_l, margins, eta, beta):
    return eta * beta * (torch.sigmoid(margins) * ((g_w - g_l) @ g)).mean()


@wrong("09.0", "multiplies the margins by β once more inside the σ")
def predicted_beta_twice(g, g_w, g_l, margins, eta, beta):
    return eta * beta * (torch.sigmoid(-beta * margins) * ((g_w - g_l) @ g)).mean()


@wrong("09.0", "takes the mean of the weights times the mean of the inner products")
def predicted_product_of_means(g, g_w, g_l, margins, eta, beta):
    return eta * beta * torch.sigmoid(-margins).mean() * ((g_w - g_l) @ g).mean()


@wrong("09.0", "puts the watched response in the place of each pair's chosen one")
def predicted_own_norm(g, g_w, g_l, margins, eta, beta):
    return eta * beta * (torch.sigmoid(-margins) * (g @ g - g_l @ g)).mean()


@wrong("09.0", "adds a minus because a descent step subtracts the gradient")
def predicted_minus(g, g_w, g_l, margins, eta, beta):
    return -eta * beta * (torch.sigmoid(-margins) * ((g_w - g_l) @ g)).mean()


# 09.1 cosine and quotient of lengths


@right("09.1")
def two_factors_torch(g_w, g_l):
    return g_w @ g_l / (g_w.norm() * g_l.norm()), g_l.norm() / g_w.norm()


@right("09.1")
def two_factors_floats(g_w, g_l):
    w, l = (np.asarray(g.detach(), dtype=float) for g in (g_w, g_l))
    quotient = float(np.sqrt((l**2).sum() / (w**2).sum()))
    return [float((w * l).sum() / (w**2).sum()) / quotient, quotient]


@wrong("09.1", "puts the chosen gradient's length above the rejected one's")
def two_factors_upside_down(g_w, g_l):
    return g_w @ g_l / (g_w.norm() * g_l.norm()), g_w.norm() / g_l.norm()


@wrong("09.1", "hands in the cosine and the whole ratio instead of the quotient of lengths")
def two_factors_whole_ratio(g_w, g_l):
    return g_w @ g_l / (g_w.norm() * g_l.norm()), g_w @ g_l / (g_w @ g_w)


@wrong("09.1", "compares squared lengths, because the ratio has a squared length below")
def two_factors_squared(g_w, g_l):
    return g_w @ g_l / (g_w.norm() * g_l.norm()), (g_l @ g_l) / (g_w @ g_w)


@wrong("09.1", "takes the correlation, which subtracts each mean first, for the cosine")
def two_factors_correlation(g_w, g_l):
    return torch.corrcoef(torch.stack([g_w, g_l]))[0, 1], g_l.norm() / g_w.norm()


@wrong("09.1", "reads length as the number of entries")
def two_factors_counts(g_w, g_l):
    return g_w @ g_l / (g_w.norm() * g_l.norm()), len(g_l) / len(g_w)


@wrong("09.1", "hands in the angle between the gradients instead of its cosine")
def two_factors_angle(g_w, g_l):
    return torch.acos(g_w @ g_l / (g_w.norm() * g_l.norm())), g_l.norm() / g_w.norm()


# 09.2 brentq over mean(r)/β - log Z(β): zero at 1.62483; top 0.162062, at β 3.3556

value("09.2", "right", "", (1.62, 0.16))
value("09.2", "right", "", [1.6248, 0.16206])
value("09.2", "right", "", (1.6, 0.16))  # two digits read as two significant ones
value("09.2", "wrong", "hands in the β of the top, from where a smaller β only lowers the mean",
      (3.36, 0.16))
value("09.2", "wrong", "gives the height as a reward, β times the log-ratio, at the top",
      (1.62, 0.54))  # 3.3556 * 0.16206
value("09.2", "wrong", "prints a grid in steps of 0.5 and takes the first β with a negative mean",
      (1.5, 0.16))  # means: +0.0946 at β 2, -0.0538 at 1.5; largest on this grid about 0.16
value("09.2", "wrong", "averages chosen and rejected together, so it is below zero from β 8 on",
      (8.0, -0.03))  # optimal_log_ratios(rows, 8).mean() is -0.0298, the highest of the range
value("09.2", "wrong", "takes the pairs that differ in one adjective, as in the section before",
      (3.17, 0.05))  # zero at 3.1728, top 0.0462 at β 6.4
value("09.2", "wrong", "turns the height from nats into a factor of the probability",
      (1.62, 1.18))  # exp(0.16206) = 1.176


# 10.2 slope of robust DPO


@right("10.2")
def robust_slope_sigmoids(m, eps):
    return (-(1 - eps) * torch.sigmoid(-m) - eps * torch.sigmoid(m)) / (1 - 2 * eps)


@right("10.2")
def robust_slope_dpo_and_force(m, eps):
    return -torch.sigmoid(-m) - eps / (1 - 2 * eps)


@right("10.2")
def robust_slope_autograd(m, eps):
    x = m.detach().clone().requires_grad_()
    loss = ((1 - eps) * softplus(-x) - eps * softplus(x)) / (1 - 2 * eps)
    return torch.autograd.grad(loss.sum(), x)[0]


@wrong("10.2", "misses that the second term's inner sign turns its slope round")
def robust_slope_sign(m, eps):
    return (-(1 - eps) * torch.sigmoid(-m) + eps * torch.sigmoid(m)) / (1 - 2 * eps)


@wrong("10.2", "forgets the division by 1 - 2ε")
def robust_slope_undivided(m, eps):
    return -(1 - eps) * torch.sigmoid(-m) - eps * torch.sigmoid(m)


@wrong("10.2", "takes σ(m) for the slope of log σ(m) and σ(-m) for the other, the wrong way round")
def robust_slope_sides(m, eps):
    return (-(1 - eps) * torch.sigmoid(m) - eps * torch.sigmoid(-m)) / (1 - 2 * eps)


@wrong("10.2", "hands in the push, downhill, where the slope was asked")
def robust_slope_push(m, eps):
    return ((1 - eps) * torch.sigmoid(-m) + eps * torch.sigmoid(m)) / (1 - 2 * eps)


@wrong("10.2", "takes the steeper start for the whole story: DPO's slope divided by 1 - 2ε")
def robust_slope_steeper(m, eps):
    return -torch.sigmoid(-m) / (1 - 2 * eps)


@wrong("10.2", "differentiates the mean loss of the batch, so each slope is divided by N")
def robust_slope_of_mean(m, eps):
    slope = (-(1 - eps) * torch.sigmoid(-m) - eps * torch.sigmoid(m)) / (1 - 2 * eps)
    return slope / len(m)


# 10.3 no shared parameters


@right("10.3")
def table_closed(pi, chosen, rejected):
    apart = float(pi[rejected]) - float(pi[chosen])
    return 1 + apart, -1 + apart


@right("10.3")
def table_numpy(pi, chosen, rejected):
    pi = np.asarray(pi, dtype=float)
    g_w, g_l = np.eye(len(pi))[[chosen, rejected]] - pi
    return [g_w @ (g_w - g_l), g_l @ (g_w - g_l)]


@right("10.3")
def table_autograd(pi, chosen, rejected):
    theta = torch.tensor(np.log(np.asarray(pi, dtype=float)), requires_grad=True)
    logps = torch.log_softmax(theta, 0)
    g_w, g_l = (torch.autograd.grad(logps[i], theta, retain_graph=True)[0]
                for i in (chosen, rejected))
    return (g_w @ (g_w - g_l)).item(), (g_l @ (g_w - g_l)).item()


@wrong("10.3", "counts for each response only its own logit: 1 - π up, 1 - π down")
def table_own_logit(pi, chosen, rejected):
    return 1 - pi[chosen], -(1 - pi[rejected])


@wrong("10.3", "thinks that nothing shared means one-hot gradients, and leaves π out")
def table_one_hot(pi, chosen, rejected):
    n = len(pi)
    e_w, e_l = np.eye(n)[chosen], np.eye(n)[rejected]
    return e_w @ (e_w - e_l), e_l @ (e_w - e_l)


@wrong("10.3", "thinks that nothing shared makes the two gradients orthogonal")
def table_orthogonal(pi, chosen, rejected):
    pi = np.asarray(pi, dtype=float)
    g_w, g_l = np.eye(len(pi))[chosen] - pi, np.eye(len(pi))[rejected] - pi
    return g_w @ g_w, -(g_l @ g_l)


@wrong("10.3", "writes the rejected one's change by symmetry, |g_l|² less the inner product")
def table_symmetric(pi, chosen, rejected):
    pi = np.asarray(pi, dtype=float)
    g_w, g_l = np.eye(len(pi))[chosen] - pi, np.eye(len(pi))[rejected] - pi
    return g_w @ g_w - g_w @ g_l, g_l @ g_l - g_w @ g_l


@wrong("10.3", "takes the gradient of the probability, π (e - π), for that of its logarithm")
def table_of_probability(pi, chosen, rejected):
    pi = np.asarray(pi, dtype=float)
    g_w = pi[chosen] * (np.eye(len(pi))[chosen] - pi)
    g_l = pi[rejected] * (np.eye(len(pi))[rejected] - pi)
    return g_w @ (g_w - g_l), g_l @ (g_w - g_l)


@wrong("10.3", "scales to a step of length one, as the arrows of the figure are")
def table_unit_step(pi, chosen, rejected):
    pi = np.asarray(pi, dtype=float)
    g_w, g_l = np.eye(len(pi))[chosen] - pi, np.eye(len(pi))[rejected] - pi
    along = (g_w - g_l) / np.linalg.norm(g_w - g_l)
    return g_w @ along, g_l @ along


# 11.0 robust DPO's loss


@right("11.0")
def robust_two_terms(m, eps=0.2):
    a, b = (1 - eps) / (1 - 2 * eps), -eps / (1 - 2 * eps)
    return -a * logsigmoid(m) - b * logsigmoid(-m)


@right("11.0")
def robust_dpo_less_line(m, eps=0.2):
    return softplus(-m) - eps / (1 - 2 * eps) * m


@right("11.0")
def robust_solved(m, eps=0.2):
    a, b = np.linalg.solve([[1 - eps, eps], [eps, 1 - eps]], [1.0, 0.0]).tolist()
    both = torch.stack([-logsigmoid(m), -logsigmoid(-m)])
    return a * both[0] + b * both[1]


@wrong("11.0", "stops at the numerator, without the determinant 1 - 2ε below")
def robust_undivided(m, eps=0.2):
    return -(1 - eps) * logsigmoid(m) + eps * logsigmoid(-m)


@wrong("11.0", "solves with a positive b, so the opposite label's loss is added")
def robust_b_positive(m, eps=0.2):
    return (-(1 - eps) * logsigmoid(m) - eps * logsigmoid(-m)) / (1 - 2 * eps)


@wrong("11.0", "only makes up for the shrunken slope: DPO's loss divided by 1 - 2ε")
def robust_only_scaled(m, eps=0.2):
    return -logsigmoid(m) / (1 - 2 * eps)


@wrong("11.0", "gives the mean over the pairs, because a loss is one number")
def robust_mean(m, eps=0.2):
    return ((-(1 - eps) * logsigmoid(m) + eps * logsigmoid(-m)) / (1 - 2 * eps)).mean()


@wrong("11.0", "solves the equations for the chapter's ε and uses these numbers for every ε")
def robust_fixed_numbers(m, eps=0.2):
    return -4 / 3 * logsigmoid(m) - 1 / 3 * -logsigmoid(-m)  # a = 4/3, b = -1/3


@wrong("11.0", "computes in NumPy and wraps the result, so no gradient reaches m")
def robust_no_gradient(m, eps=0.2):
    x = m.detach().numpy()
    a, b = (1 - eps) / (1 - 2 * eps), -eps / (1 - 2 * eps)
    return torch.tensor(a * np.logaddexp(0, -x) + b * np.logaddexp(0, x))
