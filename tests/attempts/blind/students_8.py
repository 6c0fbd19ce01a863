"""Blind attempts of students at chapters 03 to 07 (written from the student edition alone)."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from dpo_from_scratch.models import Scorer

ATTEMPTS = []


def _add(exercise, kind, mistake, attempt):
    ATTEMPTS.append(
        {"exercise": exercise, "kind": kind, "mistake": mistake, "attempt": attempt}
    )


def wrong(exercise, mistake):
    def keep(function):
        _add(exercise, "wrong", mistake, function)
        return function

    return keep


def right(exercise):
    def keep(function):
        _add(exercise, "right", "", function)
        return function

    return keep


def value(exercise, kind, mistake, attempt):
    _add(exercise, kind, mistake, attempt)


# 03.3: the single beta that leads where several optimisations end


@wrong("03.3", "The optimum is the optimum: doing it again changes nothing.")
def twice_idempotent(beta, times):
    return beta


@wrong("03.3", "Saw that two times give beta / 2 and thinks that each further time halves again.")
def twice_halving(beta, times):
    return beta / 2 ** (times - 1)


@wrong("03.3", "The penalties add up, so beta is multiplied where it should be divided.")
def twice_multiplied(beta, times):
    return beta * times


@wrong("03.3", "Repeating multiplies the probabilities, so beta is raised to a power.")
def twice_power(beta, times):
    return beta**times


@wrong("03.3", "Hands in the factor of the reward in the exponent, 1 / beta in all, not beta.")
def twice_exponent(beta, times):
    return times / beta


@wrong("03.3", "Takes the optimisations for independent steps whose lengths add in squares.")
def twice_root(beta, times):
    return beta / math.sqrt(times)


@right("03.3")
def twice_closed_form(beta, times):
    return beta / times


@right("03.3")
def twice_loop(beta, times):
    in_exponent = 0.0
    for _ in range(times):
        in_exponent += 1 / beta
    return 1 / in_exponent


@right("03.3")
def twice_by_trial(beta, times):
    # optimise three replies again and again, and read the single beta from the odds
    reward, log_p = np.array([0.0, 0.5, 1.0]), np.log([0.5, 0.3, 0.2])
    start = log_p[2] - log_p[0]
    for _ in range(times):
        log_p = log_p + reward / beta
        log_p = log_p - np.logaddexp.reduce(log_p)
    return 1.0 / (log_p[2] - log_p[0] - start)


# 04.2: margin and nats at which the weight is 0.1; ln 9 = 2.19722

value("04.2", "wrong", "Multiplies the margin by beta instead of dividing by it.",
      (2.197, 1.318, 0.2197))  # ln 9, 0.6 ln 9, 0.1 ln 9
value("04.2", "wrong", "Solves sigma(m) = 0.1 and loses the minus sign.",
      (-2.197, -3.662, -21.97))  # -ln 9, and divided by beta
value("04.2", "wrong", "Takes sigma(-m) for e^(-m), so the margin is ln 10.",
      (2.303, 3.838, 23.03))  # ln 10, and divided by beta
value("04.2", "wrong", "Takes the margin for nats already, the same for each beta.",
      (2.197, 2.197, 2.197))  # ln 9 three times
value("04.2", "wrong", "Gives how far each of the two log-ratios moves, half of the difference.",
      (2.197, 1.831, 10.99))  # ln 9, and half of ln 9 / beta
value("04.2", "wrong", "Sets the loss to 0.1, not the weight.",
      (2.252, 3.754, 22.52))  # -ln(e^0.1 - 1), and divided by beta
value("04.2", "right", "", (2.197, 3.662, 21.97))
value("04.2", "right", "", [math.log(9), math.log(9) / 0.6, math.log(9) / 0.1])
value("04.2", "right", "", np.log(9) / np.array([1.0, 0.6, 0.1]))


# 04.3: where the loss without a reference leads


def _normal(logits):
    return logits - np.logaddexp.reduce(logits)


@wrong("04.3", "The reference cancels anyway, so the end is the usual optimum.")
def forget_nothing(log_ref, reward, beta):
    return _normal(log_ref + reward / beta)


@wrong("04.3", "Strikes log_ref out of equation 4 and keeps the Z that was summed with it.")
def forget_old_z(log_ref, reward, beta):
    return reward / beta - np.logaddexp.reduce(log_ref + reward / beta)


@wrong("04.3", "Beta belongs to the KL term, so without a reference it goes, too.")
def forget_beta(log_ref, reward, beta):
    return _normal(reward)


@wrong("04.3", "Nothing holds the policy back any more, so it writes the best reply for ever.")
def forget_all_but_best(log_ref, reward, beta):
    log_probs = np.full(len(reward), -np.inf)
    log_probs[np.argmax(reward)] = 0.0
    return log_probs


@wrong("04.3", "Multiplies the reward by beta, as the loss does with the log-ratio.")
def forget_upside_down(log_ref, reward, beta):
    return _normal(beta * reward)


@wrong("04.3", "Dropping the reference means dividing it out of the optimum of equation 4.")
def forget_by_dividing(log_ref, reward, beta):
    return _normal(reward / beta - log_ref)


@right("04.3")
def forget_softmax(log_ref, reward, beta):
    logits = reward / beta
    return logits - np.logaddexp.reduce(logits)


@right("04.3")
def forget_uniform_reference(log_ref, reward, beta):
    uniform = np.full(len(reward), -np.log(len(reward)))
    log_z = np.logaddexp.reduce(uniform + reward / beta)
    return uniform + reward / beta - log_z


@right("04.3")
def forget_torch(log_ref, reward, beta):
    return (torch.tensor(reward, dtype=torch.float64) / beta).log_softmax(0).numpy()


# 04.4: the loss of a ranking


@wrong("04.4", "Adds the DPO losses of neighbours only, each reply against the next one.")
def ranking_neighbours(log_ratios, beta):
    scores = beta * log_ratios
    return -F.logsigmoid(scores[:-1] - scores[1:]).sum()


@wrong("04.4", "Adds the DPO losses of all pairs that the ranking implies.")
def ranking_all_pairs(log_ratios, beta):
    scores, total = beta * log_ratios, 0.0
    for k in range(len(scores)):
        for j in range(k + 1, len(scores)):
            total = total - F.logsigmoid(scores[k] - scores[j])
    return total


@wrong("04.4", "Divides by the sum over all replies at every place, as if none were taken away.")
def ranking_with_replacement(log_ratios, beta):
    return -(beta * log_ratios).log_softmax(0).sum()


@wrong("04.4", "Stops after the first place: the best reply against the list.")
def ranking_first_place(log_ratios, beta):
    scores = beta * log_ratios
    return scores.logsumexp(0) - scores[0]


@wrong("04.4", "Takes the mean over the places where the logarithm of a product is a sum.")
def ranking_mean(log_ratios, beta):
    scores = beta * log_ratios
    places = [scores[k:].logsumexp(0) - scores[k] for k in range(len(scores))]
    return torch.stack(places).mean()


@wrong("04.4", "Puts beta before the logarithm instead of into the exponents.")
def ranking_beta_outside(log_ratios, beta):
    return beta * sum(
        log_ratios[k:].logsumexp(0) - log_ratios[k] for k in range(len(log_ratios))
    )


@right("04.4")
def ranking_loop(log_ratios, beta):
    scores = beta * log_ratios
    return sum(scores[k:].logsumexp(0) - scores[k] for k in range(len(scores)))


@right("04.4")
def ranking_cumulative(log_ratios, beta):
    scores = beta * log_ratios
    left = scores.flip(0).logcumsumexp(0).flip(0)
    return (left - scores).sum()


@right("04.4")
def ranking_numpy(log_ratios, beta):
    scores = beta * log_ratios.detach().double().numpy()
    left = np.logaddexp.accumulate(scores[::-1])[::-1]
    return float((left - scores).sum())


# 05.1: perplexity; floor 1.046201 nats a token, mean length 20.90634 tokens

value("05.1", "wrong", "Takes powers of 2, as for bits, of numbers that are nats.",
      (2.07, 7.18, 2.09))  # 2^floor, 100 (2^0.1 - 1), 0.1 length
value("05.1", "wrong", "By rule of thumb a tenth of a nat is ten per cent.",
      (2.85, 10.0, 2.09))  # e^floor, 100 * 0.1, 0.1 length
value("05.1", "wrong", "Gives the fraction, not per cent.",
      (2.85, 0.105, 2.09))  # e^floor, e^0.1 - 1, 0.1 length
value("05.1", "wrong", "Takes the difference of the two perplexities for the per cent.",
      (2.85, 29.9, 2.09))  # 100 (e^(floor + 0.1) - e^floor), not divided by e^floor
value("05.1", "wrong", "Hands in the perplexity of the model, not that of the grammar.",
      (3.15, 10.5, 2.09))  # e^(floor + 0.1)
value("05.1", "wrong", "Gives all nats of a reply under the model, not those that are lost.",
      (2.85, 10.5, 24.0))  # (floor + 0.1) length = 21.87 + 2.09
value("05.1", "right", "", (2.85, 10.5, 2.09))
value("05.1", "right", "", [2.8468142, 10.5170918, 2.0906339])  # computed, not rounded
value("05.1", "right", "", np.array([2.847, 10.52, 2.091]))


# 05.2: the mean length that mixed batches teach


def _rows(lengths, size):
    whole = len(lengths) // size * size
    return lengths[:whole].reshape(-1, size)


@wrong("05.2", "Averages the batches' mean lengths, so every batch and text counts the same.")
def mixed_plain_mean(lengths, size):
    return _rows(lengths, size).mean(axis=1).mean()


@wrong("05.2", "Weights each text by one over its own tokens: the harmonic mean of the texts.")
def mixed_own_tokens(lengths, size):
    kept = _rows(lengths, size).ravel()
    return 1 / (1 / kept).mean()


@wrong("05.2", "Shuffles once more inside, although the order is given.")
def mixed_shuffled(lengths, size):
    rows = _rows(np.random.default_rng(0).permutation(lengths), size)
    return 1 / (1 / rows.mean(axis=1)).mean()


@wrong("05.2", "Keeps the short batch at the end instead of dropping it.")
def mixed_with_rest(lengths, size):
    tokens = weight = 0.0
    for start in range(0, len(lengths), size):
        part = lengths[start : start + size]
        tokens += part.sum() / part.sum()
        weight += len(part) / part.sum()
    return tokens / weight


@wrong("05.2", "Adds one weight a batch, so that the result is tokens of a batch, not of a text.")
def mixed_per_batch(lengths, size):
    totals = _rows(lengths, size).sum(axis=1)
    w = 1 / totals
    return (w * totals).sum() / w.sum()


@wrong("05.2", "Weights each batch by its tokens instead of by one over them.")
def mixed_upside_down(lengths, size):
    rows = _rows(lengths, size)
    w = rows.sum(axis=1, keepdims=True)
    return (w * rows).sum() / (w * np.ones(rows.shape)).sum()


@right("05.2")
def mixed_weights(lengths, size):
    rows = _rows(lengths, size)
    w = np.repeat(1 / rows.sum(axis=1), size)
    return (w * rows.ravel()).sum() / w.sum()


@right("05.2")
def mixed_harmonic_of_means(lengths, size):
    return float(1 / np.mean(1 / _rows(lengths, size).mean(axis=1)))


@right("05.2")
def mixed_loop(lengths, size):
    above = below = 0.0
    for start in range(0, len(lengths) - size + 1, size):
        batch = [int(n) for n in lengths[start : start + size]]
        for n in batch:
            above += n / sum(batch)
            below += 1 / sum(batch)
    return above / below


# 05.3: what the prompt would cost


def _nats(model, batch, mask):
    with torch.no_grad():
        return -Scorer(model)(**batch | {"response_mask": mask}).sum().item()


def _all_but_first(batch):
    mask = batch["attention_mask"].bool().clone()
    mask[:, 0] = False
    return mask


@wrong("05.3", "Hands in the loss of the whole text, response included, as that of the prompt.")
def prompt_not_subtracted(model, batch):
    response = _nats(model, batch, batch["response_mask"])
    return response, _nats(model, batch, _all_but_first(batch))


@wrong("05.3", "Takes all that is no response for the prompt, the padding with it.")
def prompt_with_padding(model, batch):
    rest = ~batch["response_mask"]
    rest[:, 0] = False
    return _nats(model, batch, batch["response_mask"]), _nats(model, batch, rest)


@wrong("05.3", "Gives the mean loss of a token on each side, not the sums.")
def prompt_per_token(model, batch):
    response = batch["response_mask"]
    prompt = _all_but_first(batch) & ~response
    return tuple(_nats(model, batch, m) / m.sum().item() for m in (response, prompt))


@wrong("05.3", "Reads 'how much of the loss' as a share and gives two shares that add up to one.")
def prompt_shares(model, batch):
    response = _nats(model, batch, batch["response_mask"])
    total = _nats(model, batch, _all_but_first(batch))
    return response / total, 1 - response / total


@wrong("05.3", "Shifts the tokens but not the mask, which then marks the token after each one.")
def prompt_mask_unshifted(model, batch):
    ids, response = batch["input_ids"], batch["response_mask"]
    with torch.no_grad():
        logits = model(ids, attention_mask=batch["attention_mask"]).logits[:, :-1]
    nll = F.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    prompt = batch["attention_mask"].bool() & ~response
    return (nll * response[:, :-1]).sum().item(), (nll * prompt[:, :-1]).sum().item()


@wrong("05.3", "Writes the new mask into the batch it was handed, and so changes it for others.")
def prompt_changes_batch(model, batch):
    with torch.no_grad():
        response = -Scorer(model)(**batch).sum().item()
        batch["response_mask"] = _all_but_first(batch)
        total = -Scorer(model)(**batch).sum().item()
    return response, total - response


@right("05.3")
def prompt_by_subtraction(model, batch):
    with torch.no_grad():
        response = -Scorer(model)(**batch).sum()
        total = -Scorer(model)(**batch | {"response_mask": _all_but_first(batch)}).sum()
    return response.item(), (total - response).item()


@right("05.3")
def prompt_by_hand(model, batch):
    ids, response = batch["input_ids"], batch["response_mask"][:, 1:].bool()
    with torch.no_grad():
        logits = model(ids, attention_mask=batch["attention_mask"]).logits
    log_probs = logits[:, :-1].log_softmax(-1)
    nll = -log_probs.gather(2, ids[:, 1:, None]).squeeze(2)
    real = batch["attention_mask"][:, 1:].bool()
    return [nll[response].sum(), nll[real & ~response].sum()]


# 06.2: beta sigma(-margin) at margins 0, 4, -4

value("06.2", "wrong", "Leaves out the beta in front and gives the sigmoid alone.",
      (0.5, 0.0180, 0.982))  # sigma(0), sigma(-4), sigma(4)
value("06.2", "wrong", "Multiplies the margin by beta, though it has beta in it already.",
      (0.3, 0.0499, 0.550))  # 0.6 sigma(0), 0.6 sigma(-2.4), 0.6 sigma(2.4)
value("06.2", "wrong", "Takes the sigmoid of the margin itself: the right pair weighs more.",
      (0.3, 0.589, 0.0108))  # 0.6 sigma(m)
value("06.2", "wrong", "Gives the loss of the pair, not its weight in the gradient.",
      (0.693, 0.0181, 4.02))  # log(1 + e^-m)
value("06.2", "wrong", "Differentiates the sigmoid, not its logarithm.",
      (0.150, 0.0106, 0.0106))  # 0.6 sigma(m) sigma(-m)
value("06.2", "wrong", "Rounds the sigmoids to two decimals before multiplying by beta.",
      (0.300, 0.0120, 0.588))  # 0.6 * 0.50, 0.6 * 0.02, 0.6 * 0.98
value("06.2", "right", "", (0.300, 0.0108, 0.589))
value("06.2", "right", "", [0.6 / (1 + math.exp(m)) for m in (0, 4, -4)])
value("06.2", "right", "", 0.6 * torch.sigmoid(torch.tensor([0.0, -4.0, 4.0])))


# 07.0: what one kind of text contributes to the KL


@wrong("07.0", "Gives the mean log-ratio of the kind, without its share of the samples.")
def part_mean_of_kind(log_ratio, kind):
    return log_ratio[kind].mean()


@wrong("07.0", "Adds up the log-ratios of the kind and never divides by the number of texts.")
def part_sum(log_ratio, kind):
    return log_ratio[kind].sum()


@wrong("07.0", "Gives the share of the KL that the kind holds, not the nats.")
def part_share(log_ratio, kind):
    return log_ratio[kind].sum() / log_ratio.sum()


@wrong("07.0", "Weights by pi/pi_ref as well, though the texts were drawn from the policy.")
def part_weighted(log_ratio, kind):
    return np.mean(np.exp(log_ratio) * log_ratio * kind)


@wrong("07.0", "Takes what the kind adds: the mean of all texts minus the mean without the kind.")
def part_with_minus_without(log_ratio, kind):
    return log_ratio.mean() - log_ratio[~kind].mean()


@wrong("07.0", "No text can lower a distance, so takes the size of each log-ratio.")
def part_absolute(log_ratio, kind):
    return np.where(kind, np.abs(log_ratio), 0.0).mean()


@right("07.0")
def part_where(log_ratio, kind):
    return np.where(kind, log_ratio, 0.0).mean()


@right("07.0")
def part_loop(log_ratio, kind):
    total = 0.0
    for one, of_kind in zip(log_ratio, kind, strict=True):
        if of_kind:
            total += float(one)
    return total / len(log_ratio)


@right("07.0")
def part_share_times_mean(log_ratio, kind):
    if not kind.any():
        return 0.0
    return kind.mean() * log_ratio[kind].mean()
