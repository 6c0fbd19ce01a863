"""Blind attempts for 13.0, 14.0, 14.1, 16.0, 16.2, 16.3, 17.0, 17.1, 17.2, 20.0, 20.1, 07.1, 06.2."""
import dataclasses
import math
from collections import deque

import numpy as np
import torch
from torch.nn.functional import logsigmoid, softplus

from dpo_from_scratch import exact, world
from dpo_from_scratch.models import frozen_copy, load_model
from dpo_from_scratch.tokens import Example
from dpo_from_scratch.training import train

ATTEMPTS = []


def wrong(exercise, mistake, attempt):
    ATTEMPTS.append({"exercise": exercise, "kind": "wrong", "mistake": mistake, "attempt": attempt})


def right(exercise, attempt):
    ATTEMPTS.append({"exercise": exercise, "kind": "right", "mistake": "", "attempt": attempt})


# ---------------------------------------------------------------- 13.0 mismatched rows
def joined(mine, other):
    return Example(mine.ids[:mine.prompt_length] + other.ids[other.prompt_length:],
                   mine.prompt_length)


def m_loop(batch):
    rows = []
    for i in range(len(batch)):
        other = batch[(i + 1) % len(batch)]
        rows.append(joined(batch[i], other))
    return rows


def m_zip(batch):
    return [joined(a, b) for a, b in zip(batch, batch[1:] + batch[:1])]


def m_deque(batch):
    later = deque(batch)
    later.rotate(-1)
    return [dataclasses.replace(a, ids=(*a.ids[:a.prompt_length], *b.ids[b.prompt_length:]))
            for a, b in zip(batch, later)]


def m_negative_index(batch):
    return [joined(batch[i - 1], batch[i]) for i in range(1, len(batch))] + [
        joined(batch[-1], batch[0])]


for f in (m_loop, m_zip, m_deque, m_negative_index):
    right("13.0", f)


def m_previous(batch):
    return [joined(batch[i], batch[i - 1]) for i in range(len(batch))]


def m_next_prompt(batch):
    n = len(batch)
    return [joined(batch[(i + 1) % n], batch[i]) for i in range(n)]


def m_no_last(batch):
    return [joined(a, b) for a, b in zip(batch, batch[1:])]


def m_last_own(batch):
    return m_no_last(batch) + [batch[-1]]


def m_without_end(batch):
    return [Example(a.ids[:a.prompt_length] + b.ids[b.prompt_length:-1], a.prompt_length)
            for a, b in zip(batch, batch[1:] + batch[:1])]


def m_own_length(batch):
    return [Example(a.ids[:a.prompt_length] + b.ids[a.prompt_length:], a.prompt_length)
            for a, b in zip(batch, batch[1:] + batch[:1])]


def m_their_prompt_length(batch):
    return [Example(a.ids[:a.prompt_length] + b.ids[b.prompt_length:], b.prompt_length)
            for a, b in zip(batch, batch[1:] + batch[:1])]


def m_whole_next(batch):
    return [Example(a.ids[:a.prompt_length] + b.ids, a.prompt_length)
            for a, b in zip(batch, batch[1:] + batch[:1])]


def m_reversed(batch):
    return [joined(a, b) for a, b in zip(batch, batch[::-1])]


def m_everyone(batch):
    return [joined(a, b) for a in batch for b in batch if a is not b]


def m_fixed_length(batch):
    rows = []
    for a, b in zip(batch, batch[1:] + batch[:1]):
        response = b.ids[b.prompt_length:][:len(a.ids) - a.prompt_length]
        rows.append(Example(a.ids[:a.prompt_length] + response, a.prompt_length))
    return rows


wrong("13.0", "gives each prompt the response of the row before, not of the next", m_previous)
wrong("13.0", "turned round: each response behind the next row's prompt", m_next_prompt)
wrong("13.0", "leaves out the last row, since it has no next one", m_no_last)
wrong("13.0", "the last prompt keeps its own response, not the first row's", m_last_own)
wrong("13.0", "drops the end token of the response", m_without_end)
wrong("13.0", "cuts the next row at its own prompt's length, not at the next row's", m_own_length)
wrong("13.0", "prompt_length is that of the row which the response came from", m_their_prompt_length)
wrong("13.0", "appends the whole next row, its prompt included", m_whole_next)
wrong("13.0", "pairs the batch with itself in reversed order", m_reversed)
wrong("13.0", "puts each prompt with all other rows' responses", m_everyone)
wrong("13.0", "cuts the response to the length of the one that stood there", m_fixed_length)


# ---------------------------------------------------------------- 14.0 R-DPO
def r_torch(w, l, ref_w, ref_l, n_w, n_l, beta, alpha):
    return -logsigmoid(beta * ((w - ref_w) - (l - ref_l)) + alpha * (n_w - n_l))


def r_softplus(w, l, ref_w, ref_l, n_w, n_l, beta, alpha):
    chosen = beta * (w - ref_w) + alpha * n_w
    rejected = beta * (l - ref_l) + alpha * n_l
    return softplus(rejected - chosen)


def r_log1p(w, l, ref_w, ref_l, n_w, n_l, beta, alpha):
    margin = beta * (w - l) - beta * (ref_w - ref_l) - alpha * (n_l - n_w)
    return torch.log1p(torch.exp(-margin))


def r_loop(w, l, ref_w, ref_l, n_w, n_l, beta, alpha):
    out = []
    for i in range(len(w)):
        m = beta * (w[i] - ref_w[i] - l[i] + ref_l[i]) + alpha * (n_w[i] - n_l[i])
        out.append(-torch.nn.functional.logsigmoid(m))
    return torch.stack(out)


for f in (r_torch, r_softplus, r_log1p, r_loop):
    right("14.0", f)


def r_minus(w, l, ref_w, ref_l, n_w, n_l, beta, alpha):
    return -logsigmoid(beta * ((w - ref_w) - (l - ref_l)) - alpha * (n_w - n_l))


def r_in_beta(w, l, ref_w, ref_l, n_w, n_l, beta, alpha):
    return -logsigmoid(beta * ((w - ref_w + alpha * n_w) - (l - ref_l + alpha * n_l)))


def r_no_ref(w, l, ref_w, ref_l, n_w, n_l, beta, alpha):
    return -logsigmoid(beta * (w - l) + alpha * (n_w - n_l))


def r_per_token(w, l, ref_w, ref_l, n_w, n_l, beta, alpha):
    return -logsigmoid(beta * ((w - ref_w) / n_w - (l - ref_l) / n_l) + alpha * (n_w - n_l))


def r_mean(w, l, ref_w, ref_l, n_w, n_l, beta, alpha):
    return r_torch(w, l, ref_w, ref_l, n_w, n_l, beta, alpha).mean()


def r_outside(w, l, ref_w, ref_l, n_w, n_l, beta, alpha):
    return -logsigmoid(beta * ((w - ref_w) - (l - ref_l))) + alpha * (n_w - n_l)


def r_absolute(w, l, ref_w, ref_l, n_w, n_l, beta, alpha):
    return -logsigmoid(beta * ((w - ref_w) - (l - ref_l)) + alpha * (n_w - n_l).abs())


def r_chosen_only(w, l, ref_w, ref_l, n_w, n_l, beta, alpha):
    return -logsigmoid(beta * ((w - ref_w) - (l - ref_l)) + alpha * n_w)


def r_sum_lengths(w, l, ref_w, ref_l, n_w, n_l, beta, alpha):
    return -logsigmoid(beta * ((w - ref_w) - (l - ref_l)) + alpha * (n_w + n_l))


def r_alpha_over_beta(w, l, ref_w, ref_l, n_w, n_l, beta, alpha):
    return -logsigmoid(beta * ((w - ref_w) - (l - ref_l)) + alpha / beta * (n_w - n_l))


def r_share(w, l, ref_w, ref_l, n_w, n_l, beta, alpha):
    return -logsigmoid(beta * ((w - ref_w) - (l - ref_l)) + alpha * (n_w / n_l - 1))


def r_no_log(w, l, ref_w, ref_l, n_w, n_l, beta, alpha):
    return 1 - torch.sigmoid(beta * ((w - ref_w) - (l - ref_l)) + alpha * (n_w - n_l))


def r_ref_swapped(w, l, ref_w, ref_l, n_w, n_l, beta, alpha):
    return -logsigmoid(beta * ((ref_w - w) - (ref_l - l)) + alpha * (n_w - n_l))


wrong("14.0", "takes alpha |y| off inside the sigmoid, as in the goal r - alpha |y|", r_minus)
wrong("14.0", "puts alpha inside beta's bracket: beta (rho + alpha n)", r_in_beta)
wrong("14.0", "forgets the reference", r_no_ref)
wrong("14.0", "divides the log-ratios by the lengths as well, as LN-DPO", r_per_token)
wrong("14.0", "gives the batch's mean, not a value for each pair", r_mean)
wrong("14.0", "adds the length penalty outside the sigmoid, to the loss", r_outside)
wrong("14.0", "uses the absolute difference of the lengths", r_absolute)
wrong("14.0", "gives credit for the chosen length alone", r_chosen_only)
wrong("14.0", "adds the two lengths instead of taking their difference", r_sum_lengths)
wrong("14.0", "divides alpha by beta, as in the optimum's exponent", r_alpha_over_beta)
wrong("14.0", "counts length relative to the rejected one instead of in tokens", r_share)
wrong("14.0", "1 - sigma instead of -log sigma", r_no_log)
wrong("14.0", "log-ratios of reference to policy", r_ref_swapped)

# ---------------------------------------------------------------- 14.1
right("14.1", (0.1279023817475178, 0.8469798111303797))
right("14.1", [0.128, 0.847])
right("14.1", np.array([0.1279, 0.84698], dtype=np.float32))
right("14.1", torch.tensor([0.1279, 0.8470]))
wrong("14.1", "polyfit the wrong way round: tokens for each word", (0.1279, 1.1761))
wrong("14.1", "thinks that alpha must undo the labeller's 0.15 exactly", (0.15, 0.84698))
wrong("14.1", "brings the length back to the reference's, not to the optimum's", (0.1663, 0.84698))
wrong("14.1", "mean words divided by mean tokens instead of a slope", (0.1279, 0.7897))
wrong("14.1", "a line through the origin instead of polyfit's", (0.1279, 0.7953))
wrong("14.1", "minus the right alpha: solved for the goal s + alpha n", (-0.1279, 0.84698))
wrong("14.1", "starts from honest labels and asks which alpha gives the liking's length",
      (-0.1300, 0.84698))
wrong("14.1", "takes the alpha that makes the first push on length zero", (0.0473, 0.84698))
wrong("14.1", "subtracts alpha n after dividing the score by beta", (0.1072, 0.84698))
wrong("14.1", "does not solve: 0.15 a word times words a token, which ignores that the KL is held "
      "(0.1270, near the right number)", (0.15 * 0.8469798, 0.84698))
wrong("14.1", "the two numbers in the other order", (0.84698, 0.1279))


# ---------------------------------------------------------------- 16.0 stepwise
def s_plain(parts, configs, moving=True):
    policy, tokenizer = load_model("tiny")
    models = [frozen_copy(policy)]
    for part, config in zip(parts, configs, strict=True):
        reference = models[-1] if moving else models[0]
        train(policy, tokenizer, part, config, reference=reference, progress=False)
        models.append(frozen_copy(policy))
    return models


def s_index(parts, configs, moving=True):
    first, tokenizer = load_model("tiny")
    stages, policy = [frozen_copy(first)], first
    for t in range(len(parts)):
        if moving:
            ref = frozen_copy(policy)
        else:
            ref = stages[0]
        train(policy, tokenizer, parts[t], configs[t], reference=ref, progress=False)
        stages += [frozen_copy(policy)]
    return stages


def s_fresh_copies(parts, configs, moving=True):
    policy, tokenizer = load_model("tiny")
    models = [policy]
    for part, config in zip(parts, configs):
        policy = frozen_copy(models[-1]).requires_grad_(True)
        train(policy, tokenizer, part, config, progress=False,
              reference=models[-1 if moving else 0])
        models.append(policy)
    return models


for f in (s_plain, s_index, s_fresh_copies):
    right("16.0", f)


def s_anew(parts, configs, moving=True):
    first, tokenizer = load_model("tiny")
    models = [frozen_copy(first)]
    for part, config in zip(parts, configs):
        policy, _ = load_model("tiny")
        reference = models[-1] if moving else models[0]
        train(policy, tokenizer, part, config, reference=reference, progress=False)
        models.append(frozen_copy(policy))
    return models


def s_never_moves(parts, configs, moving=True):
    policy, tokenizer = load_model("tiny")
    first = frozen_copy(policy)
    models = [first]
    for part, config in zip(parts, configs):
        train(policy, tokenizer, part, config, reference=first, progress=False)
        models.append(frozen_copy(policy))
    return models


def s_same_object(parts, configs, moving=True):
    policy, tokenizer = load_model("tiny")
    first = frozen_copy(policy)
    models = [first]
    for part, config in zip(parts, configs):
        reference = frozen_copy(policy) if moving else first
        train(policy, tokenizer, part, config, reference=reference, progress=False)
        models.append(policy)
    return models


def s_turned(parts, configs, moving=True):
    return s_plain(parts, configs, not moving)


def s_always_moves(parts, configs, moving=True):
    policy, tokenizer = load_model("tiny")
    first = frozen_copy(policy)
    models = [first]
    for part, config in zip(parts, configs):
        reference = frozen_copy(policy) if moving else None
        train(policy, tokenizer, part, config, reference=reference, progress=False)
        models.append(frozen_copy(policy))
    return models


def s_without_first(parts, configs, moving=True):
    return s_plain(parts, configs, moving)[1:]


def s_first_config(parts, configs, moving=True):
    return s_plain(parts, [configs[0]] * len(parts), moving)


def s_lags(parts, configs, moving=True):
    policy, tokenizer = load_model("tiny")
    models = [frozen_copy(policy)]
    for t, (part, config) in enumerate(zip(parts, configs)):
        reference = models[max(t - 1, 0)] if moving else models[0]
        train(policy, tokenizer, part, config, reference=reference, progress=False)
        models.append(frozen_copy(policy))
    return models


def s_cumulative(parts, configs, moving=True):
    seen, so_far = [], []
    for part in parts:
        so_far = so_far + list(part)
        seen.append(so_far)
    return s_plain(seen, configs, moving)


def s_only_last(parts, configs, moving=True):
    return s_plain(parts, configs, moving)[-1]


def s_moves_once(parts, configs, moving=True):
    policy, tokenizer = load_model("tiny")
    models = [frozen_copy(policy)]
    for t, (part, config) in enumerate(zip(parts, configs)):
        reference = models[1] if moving and t else models[0]
        train(policy, tokenizer, part, config, reference=reference, progress=False)
        models.append(frozen_copy(policy))
    return models


def s_control_anew(parts, configs, moving=True):
    policy, tokenizer = load_model("tiny")
    models = [frozen_copy(policy)]
    for part, config in zip(parts, configs):
        if not moving:
            policy, _ = load_model("tiny")
        reference = models[-1] if moving else models[0]
        train(policy, tokenizer, part, config, reference=reference, progress=False)
        models.append(frozen_copy(policy))
    return models


wrong("16.0", "each part's policy starts anew from the first model; only the reference moves", s_anew)
wrong("16.0", "the reference stays the first model although it should move", s_never_moves)
wrong("16.0", "the list holds the trained model itself again and again, no copies", s_same_object)
wrong("16.0", "takes `moving` the wrong way round", s_turned)
wrong("16.0", "for the control gives no reference, and thinks train then keeps the first model",
      s_always_moves)
wrong("16.0", "leaves the first model out of the list", s_without_first)
wrong("16.0", "uses the first part's settings for all parts", s_first_config)
wrong("16.0", "the reference is the model of two turns before", s_lags)
wrong("16.0", "each turn trains on all parts so far", s_cumulative)
wrong("16.0", "returns the last model alone", s_only_last)
wrong("16.0", "moves the reference once, after the first part, and then keeps it", s_moves_once)
wrong("16.0", "in the control the policy, too, starts from the first model in each part",
      s_control_anew)

# ---------------------------------------------------------------- 16.2
right("16.2", (0.025, 6.41186192223039, 5.015777925071035))
right("16.2", [0.025, 6.41, 5.02])
right("16.2", np.array([0.1 / 4, 6.41186, 5.01578], dtype=np.float32))
wrong("16.2", "multiplies: 4 x 0.1, since each step goes only a quarter", (0.4, 1.5755519, 5.0157779))
wrong("16.2", "asks for the run at the same beta", (0.1, 5.0157779, 5.0157779))
wrong("16.2", "KLs in the other order", (0.025, 5.0157779, 6.4118619))
wrong("16.2", "KL of the reference to the policy", (0.025, 90.2734902, 18.2329554))
wrong("16.2", "guesses four times as far", (0.025, 4 * 5.0157779, 5.0157779))
wrong("16.2", "mean rewards instead of KLs", (0.025, 2.5670221, 2.4747616))
wrong("16.2", "KL in bits", (0.025, 6.4118619 / math.log(2), 5.0157779 / math.log(2)))
wrong("16.2", "the review world's optimum instead of the mini world's", (0.025, 25.2293740, 19.0244943))
wrong("16.2", "the KL of the four steps' end to DPO at 0.1 instead of to the reference",
      (0.025, 0.4734793, 5.0157779))
wrong("16.2", "log Z instead of the KL", (0.025, 96.2690202, 19.7318379))
wrong("16.2", "half the beta, thinking that strength grows with the root of the steps",
      (0.05, 6.0485257, 5.0157779))


# ---------------------------------------------------------------- 16.3
def w_numpy(lead):
    return np.logaddexp(0, lead).mean()


def w_lambda_like(lead):
    m = -np.asarray(lead)
    return float(np.mean(np.log1p(np.exp(-m))))


def w_torch(lead):
    return softplus(torch.as_tensor(np.asarray(lead), dtype=torch.float64)).mean().item()


def w_loop(lead):
    total = 0.0
    for m in lead:
        total += -math.log(1 / (1 + math.exp(float(m))))
    return total / len(lead)


for f in (w_numpy, w_lambda_like, w_torch, w_loop):
    right("16.3", f)


def w_unturned(lead):
    return np.logaddexp(0, -np.asarray(lead)).mean()


def w_ln2(lead):
    return math.log(2)


def w_of_mean(lead):
    return np.logaddexp(0, np.mean(lead))


def w_beta_again(lead):
    return np.logaddexp(0, 1.8 * np.asarray(lead)).mean()


def w_sum(lead):
    return np.logaddexp(0, np.asarray(lead)).sum()


def w_each(lead):
    return np.logaddexp(0, np.asarray(lead))


def w_weight(lead):
    return (1 / (1 + np.exp(-np.asarray(lead)))).mean()


def w_doubled(lead):
    return np.logaddexp(0, 2 * np.asarray(lead)).mean()


def w_above(lead):
    return np.logaddexp(0, np.asarray(lead)).mean() - math.log(2)


def w_bits(lead):
    return np.logaddexp(0, np.asarray(lead)).mean() / math.log(2)


def w_log_of_mean(lead):
    return -np.log((1 / (1 + np.exp(np.asarray(lead)))).mean())


def w_absolute(lead):
    return np.logaddexp(0, np.abs(lead)).mean()


def w_log_likelihood(lead):
    return -np.logaddexp(0, np.asarray(lead)).mean()


wrong("16.3", "the margin is the lead itself: policy and reference not exchanged", w_unturned)
wrong("16.3", "thinks that a first loss is always ln 2", w_ln2)
wrong("16.3", "the loss of the mean margin instead of the mean loss", w_of_mean)
wrong("16.3", "multiplies the lead by beta again", w_beta_again)
wrong("16.3", "the sum over the pairs", w_sum)
wrong("16.3", "a loss for each pair, not their mean", w_each)
wrong("16.3", "the mean weight instead of the mean loss", w_weight)
wrong("16.3", "counts the lead twice: once lost and once as reference", w_doubled)
wrong("16.3", "how far the loss is above ln 2 instead of the loss", w_above)
wrong("16.3", "log to base 2", w_bits)
wrong("16.3", "log of the mean probability instead of the mean of logs", w_log_of_mean)
wrong("16.3", "thinks that every pair is now behind: takes the size of the lead", w_absolute)
wrong("16.3", "the mean log sigma(m), without the minus", w_log_likelihood)

# ---------------------------------------------------------------- 17 the chapter's objects
prompt = "film : how was the plot ?"
openings = {"praise": "the plot was lovely .", "blame": "the plot was dull .",
            "filler": "it was my second time ."}
P = np.array([[world.panel(prompt, a, b) for b in openings.values()] for a in openings.values()])
PANEL = P
grammar = np.array(world.HOUSE.first)


def fitted(shares):
    return exact.fit_bradley_terry(np.outer(shares, shares) * P, prior=1e-6).scores


def win_rate(policy):
    return P @ policy


def play(rewards, beta, moving, rounds=40):
    policies = [grammar]
    for _ in range(rounds):
        now = policies[-1]
        start = np.log(now if moving else grammar)
        policies.append(np.exp(exact.gibbs(start, rewards(now), beta).log_probs))
    return np.array(policies)


# ---------------------------------------------------------------- 17.0 dno_step
def d_shares(now, P, eta):
    new = now * np.exp(P @ now / eta)
    return new / new.sum()


def d_logs(now, P, eta):
    log_new = np.log(now) + P @ now / eta
    return np.exp(log_new - np.logaddexp.reduce(log_new))


def d_loop(now, P, eta):
    n = len(now)
    new = []
    for y in range(n):
        rate = sum(P[y][z] * now[z] for z in range(n))
        new.append(now[y] * math.exp(rate / eta))
    total = sum(new)
    return np.array([x / total for x in new])


def d_torch(now, P, eta):
    p, table = torch.as_tensor(np.asarray(now)), torch.as_tensor(np.asarray(P))
    return torch.softmax(p.log() + table @ p / eta, -1).numpy()


def d_centred(now, P, eta):
    rates = P @ now
    new = now * np.exp((rates - rates @ now) / eta)
    return new / new.sum()


def d_float32(now, P, eta):
    now, P = np.asarray(now, np.float32), np.asarray(P, np.float32)
    new = now * np.exp(P @ now / np.float32(eta))
    return new / new.sum()


for f in (d_shares, d_logs, d_loop, d_torch, d_centred, d_float32):
    right("17.0", f)


def d_transposed(now, P, eta):
    new = now * np.exp(P.T @ now / eta)
    return new / new.sum()


def d_no_start(now, P, eta):
    new = np.exp(P @ now / eta)
    return new / new.sum()


def d_unscaled(now, P, eta):
    return now * np.exp(P @ now / eta)


def d_times(now, P, eta):
    new = now * np.exp(P @ now * eta)
    return new / new.sum()


def d_even_opponent(now, P, eta):
    new = now * np.exp(P.mean(1) / eta)
    return new / new.sum()


def d_log_odds(now, P, eta):
    new = now * np.exp(np.log(P / (1 - P)) @ now / eta)
    return new / new.sum()


def d_fitted(now, P, eta):
    r = exact.fit_bradley_terry(np.outer(now, now) * P, prior=1e-6).scores
    new = now * np.exp(r / eta)
    return new / new.sum()


def d_replicator(now, P, eta):
    new = now * (P @ now) / eta
    return new / new.sum()


def d_linear(now, P, eta):
    new = now * (1 + (P @ now) / eta)
    return new / new.sum()


def d_best(now, P, eta):
    return np.eye(len(now))[(P @ now).argmax()]


def d_log_probs(now, P, eta):
    return np.log(d_shares(now, P, eta))


def d_grammar(now, P, eta):
    new = grammar * np.exp(P @ now / eta)
    return new / new.sum()


def d_log_rate(now, P, eta):
    new = now * np.exp(np.log(P @ now) / eta)
    return new / new.sum()


wrong("17.0", "how often a reply loses instead of wins: the table transposed", d_transposed)
wrong("17.0", "forgets to start from the present policy", d_no_start)
wrong("17.0", "does not divide by the sum", d_unscaled)
wrong("17.0", "multiplies by eta instead of dividing", d_times)
wrong("17.0", "win rate against an even opponent instead of against the policy", d_even_opponent)
wrong("17.0", "log-odds as rewards instead of win rates", d_log_odds)
wrong("17.0", "iterated DPO: Bradley-Terry rewards fitted to the policy's pairs", d_fitted)
wrong("17.0", "multiplies shares with win rates, no exponential", d_replicator)
wrong("17.0", "the first-order step 1 + r / eta instead of the exponential", d_linear)
wrong("17.0", "the best reply alone", d_best)
wrong("17.0", "returns log-probabilities instead of shares", d_log_probs)
wrong("17.0", "keeps the grammar as the reference of the step (the anchor)", d_grammar)
wrong("17.0", "the log of the win rate as the reward", d_log_rate)


# ---------------------------------------------------------------- 17.1
def e_play(eta, rounds):
    return exact.exploitability(play(win_rate, eta, True, rounds)[1:].mean(0), P)


def e_loop(eta, rounds):
    now, total = grammar.copy(), np.zeros(3)
    for _ in range(rounds):
        now = now * np.exp(PANEL @ now / eta)
        now /= now.sum()
        total += now
    return float((PANEL @ (total / rounds)).max())


def e_torch(eta, rounds):
    table = torch.tensor(PANEL)
    p, seen = torch.tensor(grammar), []
    for _ in range(rounds):
        p = torch.softmax(p.log() + table @ p / eta, -1)
        seen.append(p)
    return (table @ torch.stack(seen).mean(0)).max().item()


def e_running(eta, rounds):
    now, average = grammar, 0.0
    for t in range(1, rounds + 1):
        now = d_logs(now, PANEL, eta)
        average = average + (now - average) / t
    return max(sum(PANEL[y, z] * average[z] for z in range(3)) for y in range(3))


for f in (e_play, e_loop, e_torch, e_running):
    right("17.1", f)


def e_with_grammar(eta, rounds):
    return exact.exploitability(play(win_rate, eta, True, rounds).mean(0), P)


def e_last(eta, rounds):
    return exact.exploitability(play(win_rate, eta, True, rounds)[-1], P)


def e_mean_of(eta, rounds):
    return np.mean([exact.exploitability(p, P) for p in play(win_rate, eta, True, rounds)[1:]])


def e_fixed(eta, rounds):
    return exact.exploitability(play(win_rate, eta, False, rounds)[1:].mean(0), P)


def e_fitted(eta, rounds):
    return exact.exploitability(play(fitted, eta, True, rounds)[1:].mean(0), P)


def e_short(eta, rounds):
    return exact.exploitability(play(win_rate, eta, True, rounds)[1:-1].mean(0), P)


def e_geometric(eta, rounds):
    logs = np.log(play(win_rate, eta, True, rounds)[1:]).mean(0)
    return exact.exploitability(np.exp(logs) / np.exp(logs).sum(), P)


def e_less_half(eta, rounds):
    return e_play(eta, rounds) - 0.5


def e_best_round(eta, rounds):
    return min(exact.exploitability(p, P) for p in play(win_rate, eta, True, rounds)[1:])


def e_inverse(eta, rounds):
    return e_play(1 / eta, rounds)


def e_loses(eta, rounds):
    return (P.T @ play(win_rate, eta, True, rounds)[1:].mean(0)).min()


def e_second_half(eta, rounds):
    return exact.exploitability(play(win_rate, eta, True, rounds)[rounds // 2:].mean(0), P)


def e_column(eta, rounds):
    return (play(win_rate, eta, True, rounds)[1:].mean(0) @ P).max()


wrong("17.1", "takes the grammar, round 0, into the average", e_with_grammar)
wrong("17.1", "exploitability of the last round instead of the average", e_last)
wrong("17.1", "average of the rounds' exploitabilities instead of exploitability of the average",
      e_mean_of)
wrong("17.1", "keeps the reference fixed at the grammar", e_fixed)
wrong("17.1", "iterated DPO's fitted rewards instead of win rates", e_fitted)
wrong("17.1", "leaves out the last round as well", e_short)
wrong("17.1", "geometric average: averages log-probabilities and renormalises", e_geometric)
wrong("17.1", "how far above one half instead of the exploitability", e_less_half)
wrong("17.1", "the least exploitable round instead of the average policy", e_best_round)
wrong("17.1", "takes eta as the step's size, not as its price", e_inverse)
wrong("17.1", "how often the policy wins against its worst opponent: 1 - exploitability", e_loses)
wrong("17.1", "averages only the second half, to leave out the way in", e_second_half)
wrong("17.1", "how often the policy beats the reply that it beats most: P from the wrong side",
      e_column)


# ---------------------------------------------------------------- 17.2
def md(opponent="mix", start="mix", mixing="geometric", swap=False, to=None, price=None,
       out="now", norm=True, first=None):
    """Nash-MD with one of its parts replaced; only a helper to write the attempts short."""
    def attempt_2(eta, alpha, rounds):
        a = 1 - alpha if swap else alpha
        base = grammar if to is None else to
        now, seen = grammar, []
        for _ in range(rounds):
            mix = (now ** (1 - a) * base ** a if mixing == "geometric"
                   else (1 - a) * now + a * base)
            if norm:
                mix = mix / mix.sum()
            against = {"mix": mix, "now": now, "grammar": grammar}[opponent]
            begin = {"mix": mix, "now": now, "grammar": grammar}[start]
            cost = eta if price is None else price(eta, alpha)
            now = np.exp(exact.gibbs(np.log(begin), PANEL @ against, cost).log_probs)
            seen.append(now)
        if out == "mix":
            mix = now ** (1 - a) * base ** a
            return mix / mix.sum()
        return np.mean(seen, axis=0) if out == "average" else now
    return attempt_2


def n_gibbs(eta, alpha, rounds):
    now = grammar
    for _ in range(rounds):
        mix = now ** (1 - alpha) * grammar**alpha
        mix = mix / mix.sum()
        now = np.exp(exact.gibbs(np.log(mix), P @ mix, eta).log_probs)
    return now


def n_shares(eta, alpha, rounds):
    p = [float(x) for x in grammar]
    for _ in range(rounds):
        mix = [a ** (1 - alpha) * b ** alpha for a, b in zip(p, grammar)]
        total = sum(mix)
        mix = [m / total for m in mix]
        new = [mix[y] * math.exp(sum(PANEL[y, z] * mix[z] for z in range(3)) / eta)
               for y in range(3)]
        p = [x / sum(new) for x in new]
    return tuple(p)


def n_torch(eta, alpha, rounds):
    table, log0 = torch.tensor(PANEL), torch.tensor(grammar).log()
    log_p = log0
    for _ in range(rounds):
        log_mix = ((1 - alpha) * log_p + alpha * log0).log_softmax(-1)
        log_p = (log_mix + table @ log_mix.exp() / eta).log_softmax(-1)
    return log_p.exp()


for f in (n_gibbs, n_shares, n_torch):
    right("17.2", f)

wrong("17.2", "the opponent is the policy itself; only the step starts from the mixture",
      md(opponent="now"))
wrong("17.2", "the step starts from the policy; only the opponent is the mixture", md(start="now"))
wrong("17.2", "the step starts from the grammar in each round", md(start="grammar"))
wrong("17.2", "alpha and 1 - alpha exchanged", md(swap=True))
wrong("17.2", "an arithmetic mixture of the shares", md(mixing="arithmetic"))
wrong("17.2", "the mixture's shares are not divided by their sum before it is the opponent",
      md(norm=False))
wrong("17.2", "even shares in place of the reference", md(to=np.full(3, 1 / 3)))
wrong("17.2", "returns the mixture of the last round instead of the policy", md(out="mix"))
wrong("17.2", "returns the average of the rounds", md(out="average"))
wrong("17.2", "the step charges alpha eta instead of eta", md(price=lambda eta, alpha: alpha * eta))
wrong("17.2", "the opponent is the reference", md(opponent="grammar"))


def n_one_less(eta, alpha, rounds):
    return n_gibbs(eta, alpha, rounds - 1)


def n_no_mixture(eta, alpha, rounds):
    return play(win_rate, eta, True, rounds)[-1]


def n_logs(eta, alpha, rounds):
    return np.log(n_gibbs(eta, alpha, rounds))


def n_loses(eta, alpha, rounds):
    now = grammar
    for _ in range(rounds):
        mix = now ** (1 - alpha) * grammar**alpha
        mix = mix / mix.sum()
        now = np.exp(exact.gibbs(np.log(mix), P.T @ mix, eta).log_probs)
    return now


def n_last_round(eta, alpha, rounds):
    before, now = grammar, grammar
    for _ in range(rounds):
        mix = now ** (1 - alpha) * before**alpha
        mix = mix / mix.sum()
        before, now = now, np.exp(exact.gibbs(np.log(mix), P @ mix, eta).log_probs)
    return now


wrong("17.2", "counts the grammar as the first round: one round too few", n_one_less)
wrong("17.2", "plain DNO, no mixture", n_no_mixture)
wrong("17.2", "returns log-probabilities", n_logs)
wrong("17.2", "rewards how often a reply loses to the mixture", n_loses)
wrong("17.2", "mixes with the policy of the round before, as if pi_0 moved along", n_last_round)


# ---------------------------------------------------------------- 20.0 preference
def p_loop(a, b):
    score = 0
    for x, y in zip(a, b, strict=True):
        if x > y:
            score += 1
        elif x == y:
            score += 0.5
    return score / len(a)


def p_numpy(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return np.mean((a > b) + 0.5 * (a == b))


def p_sign(a, b):
    return (1 + np.sign(np.subtract(a, b)).mean()) / 2


def p_torch(a, b):
    d = torch.as_tensor(np.asarray(a)) - torch.as_tensor(np.asarray(b))
    return torch.heaviside(d.double(), torch.tensor(0.5).double()).mean().item()


def p_count(a, b):
    wins = sum(x > y for x, y in zip(a, b))
    losses = sum(x < y for x, y in zip(a, b))
    return 0.5 + (wins - losses) / (2 * len(a))


for f in (p_loop, p_numpy, p_sign, p_torch, p_count):
    right("20.0", f)


def p_no_ties(a, b):
    return np.mean(np.asarray(a) > np.asarray(b))


def p_ties_whole(a, b):
    return np.mean(np.asarray(a) >= np.asarray(b))


def p_ties_out(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return np.mean(a[a != b] > b[a != b]) if (a != b).any() else 0.5


def p_all_pairs(a, b):
    a, b = np.asarray(a)[:, None], np.asarray(b)
    return np.mean((a > b) + 0.5 * (a == b))


def p_means(a, b):
    return 0.5 * (1 + np.sign(np.mean(a) - np.mean(b)))


def p_net(a, b):
    return np.sign(np.subtract(a, b)).mean()


def p_turned(a, b):
    return p_numpy(b, a)


def p_sigmoid(a, b):
    return 1 / (1 + np.exp(-(np.mean(a) - np.mean(b))))


def p_sorted(a, b):
    return p_numpy(sorted(a), sorted(b))


def p_number(a, b):
    return float(np.sum(p_numpy(a, b) * len(a)))


def p_majority(a, b):
    return 0.5 * (1 + np.sign(np.sign(np.subtract(a, b)).sum()))


def p_size(a, b):
    d = np.subtract(a, b)
    return float(np.clip(0.5 + d.mean() / 16, 0, 1))


wrong("20.0", "a tie counts nothing", p_no_ties)
wrong("20.0", "a tie counts as rated higher", p_ties_whole)
wrong("20.0", "leaves ties out and divides by the others", p_ties_out)
wrong("20.0", "compares each rating of A with each of B (the second formula)", p_all_pairs)
wrong("20.0", "compares the mean ratings: 1, 0 or one half", p_means)
wrong("20.0", "wins less losses, from -1 to 1", p_net)
wrong("20.0", "the share who rate B higher", p_turned)
wrong("20.0", "Bradley-Terry of the mean ratings", p_sigmoid)
wrong("20.0", "sorts both lists first and so loses who is who", p_sorted)
wrong("20.0", "the number of people instead of their share", p_number)
wrong("20.0", "the majority's label instead of the share", p_majority)
wrong("20.0", "lets the size of the difference count", p_size)


# ---------------------------------------------------------------- 20.1
def v_loop(votes):
    votes, out = np.asarray(votes), []
    for i in range(votes.shape[1]):
        others = votes.sum(1) - votes[:, i]
        sure = (others != 0) & (votes[:, i] != 0)
        out.append(np.mean(np.sign(others[sure]) == votes[sure, i]))
    return out


def v_whole(votes):
    votes = np.asarray(votes)
    others = votes.sum(1, keepdims=True) - votes
    product = np.sign(others) * votes
    return (product > 0).sum(0) / (product != 0).sum(0)


def v_delete(votes):
    votes = np.asarray(votes)
    shares = []
    for i in range(votes.shape[1]):
        rest = np.sign(np.delete(votes, i, axis=1).sum(1))
        right_, both = 0, 0
        for mine, theirs in zip(votes[:, i], rest):
            if mine != 0 and theirs != 0:
                both += 1
                right_ += mine == theirs
        shares.append(right_ / both)
    return tuple(shares)


def v_torch(votes):
    v = torch.as_tensor(np.asarray(votes)).double()
    s = torch.sign(v.sum(1, keepdim=True) - v) * v
    return ((s > 0).sum(0) / (s != 0).sum(0)).numpy()


for f in (v_loop, v_whole, v_delete, v_torch):
    right("20.1", f)


def v_own_in(votes):
    s = np.sign(votes.sum(1, keepdims=True)) * votes
    return (s > 0).sum(0) / (s != 0).sum(0)


def v_half(votes):
    others = np.sign(votes.sum(1, keepdims=True) - votes)
    return ((1 + others * votes) / 2).mean(0)


def v_ties_wrong(votes):
    others = votes.sum(1, keepdims=True) - votes
    return (others * votes > 0).mean(0)


def v_own_ties_only(votes):
    out = []
    for i in range(votes.shape[1]):
        others = np.sign(votes.sum(1) - votes[:, i])
        sure = votes[:, i] != 0
        out.append((others[sure] == votes[sure, i]).mean())
    return np.array(out)


def v_other_ties_only(votes):
    out = []
    for i in range(votes.shape[1]):
        others = np.sign(votes.sum(1) - votes[:, i])
        sure = others != 0
        out.append((others[sure] == votes[sure, i]).mean())
    return np.array(out)


def v_one_number(votes):
    return float(np.mean(v_whole(votes)))


def v_by_pair(votes):
    s = np.sign(votes.sum(1, keepdims=True) - votes) * votes
    return (s > 0).sum(1) / np.maximum((s != 0).sum(1), 1)


def v_each_other(votes):
    out = []
    for i in range(votes.shape[1]):
        s = np.delete(votes, i, axis=1) * votes[:, [i]]
        out.append((s > 0).sum() / (s != 0).sum())
    return np.array(out)


def v_ties_agree(votes):
    others = np.sign(votes.sum(1, keepdims=True) - votes)
    return (others == votes).mean(0)


def v_net(votes):
    s = np.sign(votes.sum(1, keepdims=True) - votes) * votes
    return s.sum(0) / (s != 0).sum(0)


def v_weighted(votes):
    s = (votes.sum(1, keepdims=True) - votes) * votes
    return np.where(s > 0, s, 0).sum(0) / np.abs(s).sum(0)


def v_pooled(votes):
    s = np.sign(votes.sum(1, keepdims=True) - votes) * votes
    return np.full(votes.shape[1], (s > 0).sum() / (s != 0).sum())


wrong("20.1", "the person's own vote stays in the majority", v_own_in)
wrong("20.1", "ties count one half, as above", v_half)
wrong("20.1", "ties count as disagreement: divides by all pairs", v_ties_wrong)
wrong("20.1", "leaves out the person's ties, not the others'", v_own_ties_only)
wrong("20.1", "leaves out the others' ties, not the person's", v_other_ties_only)
wrong("20.1", "one number for the block instead of one for each person", v_one_number)
wrong("20.1", "a share for each pair instead of each person", v_by_pair)
wrong("20.1", "agreement with each other person, not with the majority", v_each_other)
wrong("20.1", "two ties count as agreement, and nothing is left out", v_ties_agree)
wrong("20.1", "right less wrong, from -1 to 1", v_net)
wrong("20.1", "lets the size of the others' majority weigh", v_weighted)
wrong("20.1", "the block's pooled share for every person", v_pooled)

# ---------------------------------------------------------------- 07.1
right("07.1", (0.6, 1.6314, 0.35, 2.5222))
right("07.1", [0.6, 1.63, 0.35, 2.52])
right("07.1", np.array([0.6, 1.6314, 0.35, 2.5222], dtype=np.float32))
wrong("07.1", "believes that the best beta is the price", (0.6, 1.6314, 0.2, 2.0463))
wrong("07.1", "charges each run its own beta, not the price", (0.35, 2.1566, 0.35, 2.1566))
wrong("07.1", "gives the reward at the best beta instead of J", (0.6, 2.6024, 0.35, 3.0096))
wrong("07.1", "takes the beta with the highest reward both times", (0.35, 1.5474, 0.35, 2.5222))
wrong("07.1", "adds the price of the KL", (0.05, 12.4250, 0.05, 4.2113))
wrong("07.1", "sums over the three seeds", (0.6, 4.8942, 0.35, 7.5666))
wrong("07.1", "the best seed instead of the mean", (0.6, 1.694, 0.35, 2.558))
wrong("07.1", "J of the exact optimum instead of the runs", (0.6, 2.2233, 0.2, 4.3797))
wrong("07.1", "the prices in the other order", (0.35, 2.5222, 0.6, 1.6314))
wrong("07.1", "counts J from the reference's reward", (0.6, 1.6314 + 0.2031, 0.35, 2.5222 + 0.2031))
wrong("07.1", "seed 0 alone", (0.6, 1.509, 0.35, 2.454))

# ---------------------------------------------------------------- 06.2
right("06.2", (0.3, 0.6 / (1 + math.exp(4)), 0.6 / (1 + math.exp(-4))))
right("06.2", [0.3, 0.0108, 0.589])
right("06.2", 0.6 * torch.sigmoid(torch.tensor([0.0, -4.0, 4.0])))
right("06.2", tuple(0.3 * (1 - np.tanh(np.array([0.0, 4.0, -4.0]) / 2))))
s = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
wrong("06.2", "forgets the beta in front", (0.5, s(-4), s(4)))
wrong("06.2", "sigma of the margin: the pair that is right weighs most", (0.3, 0.6 * s(4), 0.6 * s(-4)))
wrong("06.2", "multiplies the margin by beta again", (0.3, 0.6 * s(-2.4), 0.6 * s(2.4)))
wrong("06.2", "the loss -log sigma(m) instead of the weight",
      (math.log(2), -math.log(s(4)), -math.log(s(-4))))
wrong("06.2", "at the start the weight is zero, as both rewards are", (0.0, 0.6 * s(-4), 0.6 * s(4)))
wrong("06.2", "the slope of the sigmoid instead of the sigmoid",
      (0.6 * 0.25, 0.6 * s(4) * s(-4), 0.6 * s(4) * s(-4)))
wrong("06.2", "with the sign of the derivative", (-0.3, -0.6 * s(-4), -0.6 * s(4)))
wrong("06.2", "divides by beta", (0.5 / 0.6, s(-4) / 0.6, s(4) / 0.6))
wrong("06.2", "no beta in front but one on the margin", (0.5, s(-2.4), s(2.4)))
