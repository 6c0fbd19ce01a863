"""Blind attempts of students at chapters 00 to 05 (written from the student edition alone)."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from dpo_from_scratch import world

ATTEMPTS = []


def value(exercise, kind, mistake, attempt):
    entry = {"exercise": exercise, "kind": kind, "mistake": mistake, "attempt": attempt}
    ATTEMPTS.append(entry)


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


# 00.0: the loss of each pair, from four log-probabilities


@wrong("00.0", "Hands in one number for the batch, the mean, as training loops do.")
def mean_of_batch(chosen, rejected, ref_chosen, ref_rejected, beta):
    margin = beta * ((chosen - ref_chosen) - (rejected - ref_rejected))
    return -F.logsigmoid(margin).mean()


@wrong("00.0", "Forgets the minus: hands in the log-likelihood, which should rise.")
def log_likelihood(chosen, rejected, ref_chosen, ref_rejected, beta):
    return F.logsigmoid(beta * ((chosen - ref_chosen) - (rejected - ref_rejected)))


@wrong("00.0", "Leaves the reference out: the policy's own preference should be enough.")
def without_reference(chosen, rejected, ref_chosen, ref_rejected, beta):
    return -F.logsigmoid(beta * (chosen - rejected))


@wrong("00.0", "Turns the log-ratio over: reference minus policy.")
def upside_down(chosen, rejected, ref_chosen, ref_rejected, beta):
    return -F.logsigmoid(beta * ((ref_chosen - chosen) - (ref_rejected - rejected)))


@wrong("00.0", "Divides the log-probabilities, since the formula shows a fraction.")
def divided(chosen, rejected, ref_chosen, ref_rejected, beta):
    return -F.logsigmoid(beta * (chosen / ref_chosen) - beta * (rejected / ref_rejected))


@wrong("00.0", "Puts beta in front of the log, like the weight of a penalty.")
def beta_outside(chosen, rejected, ref_chosen, ref_rejected, beta):
    margin = (chosen - ref_chosen) - (rejected - ref_rejected)
    return -beta * F.logsigmoid(margin)


@wrong("00.0", "Multiplies only the first log-ratio by beta.")
def beta_once(chosen, rejected, ref_chosen, ref_rejected, beta):
    return -F.logsigmoid(beta * (chosen - ref_chosen) - (rejected - ref_rejected))


@wrong("00.0", "Divides by beta, as equation 4 does with the reward.")
def over_beta(chosen, rejected, ref_chosen, ref_rejected, beta):
    return -F.logsigmoid(((chosen - ref_chosen) - (rejected - ref_rejected)) / beta)


@wrong("00.0", "Stops at the sigmoid: the probability of the other choice, no logarithm.")
def no_logarithm(chosen, rejected, ref_chosen, ref_rejected, beta):
    return 1 - torch.sigmoid(beta * ((chosen - ref_chosen) - (rejected - ref_rejected)))


@wrong("00.0", "Adds the two implicit rewards, so that both texts should rise.")
def added(chosen, rejected, ref_chosen, ref_rejected, beta):
    return -F.logsigmoid(beta * (chosen - ref_chosen) + beta * (rejected - ref_rejected))


@wrong("00.0", "Takes the sigmoid of each implicit reward and then the difference.")
def sigmoid_of_each(chosen, rejected, ref_chosen, ref_rejected, beta):
    good = F.logsigmoid(beta * (chosen - ref_chosen))
    return -(good - F.logsigmoid(beta * (rejected - ref_rejected)))


@wrong("00.0", "Takes the numbers out of PyTorch to use math, so no gradient gets back.")
def no_gradient(chosen, rejected, ref_chosen, ref_rejected, beta):
    good = chosen.detach().numpy() - ref_chosen.detach().numpy()
    bad = rejected.detach().numpy() - ref_rejected.detach().numpy()
    return torch.as_tensor(np.log1p(np.exp(-beta * (good - bad))))


@wrong("00.0", "Thinks that a pair in the right order is done, and gives it no loss.")
def done_when_right(chosen, rejected, ref_chosen, ref_rejected, beta):
    margin = beta * ((chosen - ref_chosen) - (rejected - ref_rejected))
    return torch.where(margin > 0, 0.0 * margin, -F.logsigmoid(margin))


@right("00.0")
def three_lines(chosen, rejected, ref_chosen, ref_rejected, beta):
    good = beta * (chosen - ref_chosen)
    bad = beta * (rejected - ref_rejected)
    return -F.logsigmoid(good - bad)


@right("00.0")
def with_softplus(chosen, rejected, ref_chosen, ref_rejected, beta):
    return F.softplus(beta * (rejected - chosen + ref_chosen - ref_rejected))


@right("00.0")
def as_cross_entropy(chosen, rejected, ref_chosen, ref_rejected, beta):
    both = torch.stack([chosen - ref_chosen, rejected - ref_rejected], -1)
    return -(beta * both).log_softmax(-1)[..., 0]


# 00.1: margin 0.6 * (2 - (-1)) = 1.8; losses log(1 + exp(-1.8)) and log(1 + exp(1.8))
value("00.1", "wrong", "Takes the rejected log-ratio as +1: margin 0.6.", (0.437, 1.037))
value("00.1", "wrong", "Forgets beta: margin 3.", (0.0486, 3.049))
value("00.1", "wrong", "Divides by beta: margin 5.", (0.00672, 5.007))
value("00.1", "wrong", "Hands in the probabilities sigma(1.8) and sigma(-1.8).", (0.858, 0.142))
value("00.1", "wrong", "Takes the logarithm to base ten.", (0.0664, 0.848))
value("00.1", "wrong", "Puts beta in front of the log: 0.6 * log(1 + exp(-3)).", (0.0292, 1.829))
value("00.1", "wrong", "Gives the swapped labels first.", (1.953, 0.153))
value("00.1", "wrong", "Forgets the minus in front of the logarithm.", (-0.153, -1.953))
value("00.1", "wrong", "Swapping turns the sign of the loss, not of the margin.", (0.153, -0.153))
value("00.1", "wrong", "Hands in the margins.", (1.8, -1.8))
value("00.1", "wrong", "beta on the chosen term only: 1.2 + 1 and -0.6 - 2.", (0.105, 2.672))
value("00.1", "wrong", "Stops after one digit.", (0.2, 2.0))
value("00.1", "right", "", (0.153, 1.953))
value("00.1", "right", "", [math.log1p(math.exp(-1.8)), math.log1p(math.exp(1.8))])
value("00.1", "right", "", tuple(F.softplus(torch.tensor([-1.8, 1.8])).tolist()))

# 00.2: measured 0.81428 at beta 0.2 and 0.22075 at 2, with seed 0 and 300 texts
value("00.2", "wrong", "Trusts the step by hand: more beta, more push.", (0.814, 0.221, "a"))
value("00.2", "wrong", "Believes that the loss has a KL term.", (0.814, 0.221, "c"))
value("00.2", "wrong", "Believes that AdamW takes beta out.", (0.814, 0.221, "d"))
value("00.2", "wrong", "Gives beta = 2 first.", (0.221, 0.814, "b"))
value("00.2", "wrong", "Trains the second run on top of the first.", (0.814, 1.334, "a"))
value("00.2", "wrong", "Hands all 8,192 pairs to train.", (0.776, 0.154, "b"))
value("00.2", "wrong", "Swaps the two models in quality: KL(ref || policy).", (1.575, 0.277, "b"))
value("00.2", "wrong", "Reads off the true rewards.", (1.468, 0.845, "b"))
value("00.2", "wrong", "Reads off the objective.", (0.979, 0.712, "b"))
value("00.2", "wrong", "Takes the last margins for distances.", (0.378, 1.366, "a"))
value("00.2", "wrong", "Multiplies each KL by its beta.", (0.163, 0.441, "c"))
value("00.2", "wrong", "Hands in the exact optimum's KL, no training.", (11.059, 0.421, "b"))
value("00.2", "wrong", "Divides by the mean length, nats a token.", (0.0389, 0.0106, "b"))
value("00.2", "wrong", "Predicts only: ten times the beta, a tenth of the way.", (1.0, 0.1, "c"))
value("00.2", "right", "", (0.814, 0.221, "b"))
value("00.2", "right", "", [0.8142839622497559, 0.22074579079945883, "b"])

# 00.3: measured -1.96465 and 0.72962, with seed 0 and 300 texts; the reference has -0.17338
value("00.3", "wrong", "Predicts that it learns nothing: the reference's.", (-0.173, 0.0))
value("00.3", "wrong", "Forgets to swap the texts.", (1.379, 0.740))
value("00.3", "wrong", "Takes the mirror image of the right run for granted.", (-1.379, 0.740))
value("00.3", "wrong", "KL first.", (0.730, -1.965))
value("00.3", "wrong", "Leaves beta at 2 from exercise 2.", (-1.377, 0.402))
value("00.3", "wrong", "Goes on with a copy trained the right way round.", (0.0774, 0.151))
value("00.3", "wrong", "Trains the reference in place: no distance from itself.", (-1.965, 0.0))
value("00.3", "wrong", "Swaps the models in quality: the reference's texts.", (-0.173, 1.085))
value("00.3", "wrong", "Hands in the objective for the reward.", (-2.402, 0.730))
value("00.3", "wrong", "The change from the reference, -1.965 + 0.173.", (-1.791, 0.730))
value("00.3", "wrong", "Asks the training prompts.", (-2.082, 0.795))
value("00.3", "wrong", "Thinks a wrong-way KL is negative.", (-1.965, -0.730))
value("00.3", "wrong", "Predicts zero: right and wrong lessons cancel.", (0.0, 0.0))
value("00.3", "right", "", (-1.965, 0.730))
value("00.3", "right", "", [-1.9646483333333338, 0.7296213912963867])

# 01.1: log-probabilities -7.94483 and -9.13799, each with its end
value("01.1", "wrong", "Hands in the log-probability and the difference.", (-7.945, 1.193))
value("01.1", "wrong", "Leaves the end out: replies that begin so.", (0.00855, 3.28))
value("01.1", "wrong", "The probability, and the difference of logs, no exp.", (0.000354, 1.193))
value("01.1", "wrong", "Divides one log-probability by the other.", (0.000354, 1.150))
value("01.1", "wrong", "The ratio the wrong way round, 0.0001075 / 0.0003545.", (0.000354, 0.303))
value("01.1", "wrong", "exp of the mean per token, six tokens each.", (0.266, 1.220))
value("01.1", "wrong", "Takes the grammar's probabilities, not the model's.", (0.000348, 3.25))
value("01.1", "wrong", "Asks the mini world, where all replies are so short.", (0.00870, 3.25))
value("01.1", "wrong", "Scores the prompt too.", (6.67e-26, 3.297))
value("01.1", "wrong", "In per cent.", (0.0354, 3.297))
value("01.1", "wrong", "Rounded to four decimals first: 0.0004 / 0.0001.", (0.0004, 4.0))
value("01.1", "wrong", "The second text's probability for the first number.", (0.0001075, 3.297))
value("01.1", "wrong", "Only the last word counts: p(good) = exp(-2.970).", (0.0513, 3.276))
value("01.1", "right", "", (0.000354, 3.30))
value("01.1", "right", "", [math.exp(-7.944825), math.exp(-7.944825 + 9.137986)])
value("01.1", "right", "", np.array([0.00035449, 3.2975]))

# 01.2: "the plot was superb !" has five tokens, "thank you . <eos>" four; sum -10.964
value("01.2", "wrong", "Ends the first part with <eos>.", (-9.975, -4.188))
value("01.2", "wrong", "Scores the second part after the bare prompt.", (-6.776, -11.368))
value("01.2", "wrong", "Both parts as replies of their own.", (-9.975, -11.368))
value("01.2", "wrong", "The whole text's score for the second term.", (-6.776, -10.964))
value("01.2", "wrong", "Cuts before the mark, not after it.", (-5.586, -5.378))
value("01.2", "wrong", "Counts to the mark as the sixth token.", (-10.964, -0.000271))
value("01.2", "wrong", "Puts prompt_length=5, without the prompt's own seven.", (-6.776, -23.501))
value("01.2", "wrong", "The rest first.", (-4.188, -6.776))
value("01.2", "wrong", "Surprise, so both are positive.", (6.776, 4.188))
value("01.2", "wrong", "Means over the tokens, -6.776 / 5 and -4.188 / 4.", (-1.355, -1.047))
value("01.2", "wrong", "Probabilities, exp of each term.", (0.00114, 0.0152))
value("01.2", "wrong", "Scores the prompt with the first part (-50.02 more).", (-56.801, -4.188))
value("01.2", "wrong", "Whole minus first with <eos>, to make the sum right.", (-9.975, -0.989))
value("01.2", "right", "", (-6.776, -4.188))
value("01.2", "right", "", [-6.7764454, -4.18777847])
value("01.2", "right", "", torch.tensor([-6.77645, -4.18778]))

# 02.1: how many labels agree with the true reward


def rewards_of(row):
    """True reward of the chosen and of the rejected text."""
    return [world.reward(row["prompt"], row[side]) for side in ("chosen", "rejected")]


@wrong("02.1", "Gives the share, not the number.")
def share_of_labels(labels):
    return sum(a > b for a, b in map(rewards_of, labels)) / len(labels)


@wrong("02.1", "Counts the disagreements.")
def count_disagreements(labels):
    return sum(a < b for a, b in map(rewards_of, labels))


@wrong("02.1", "Counts a chosen text with a positive reward as agreement.")
def chosen_is_good(labels):
    return sum(rewards_of(row)[0] > 0 for row in labels)


@wrong("02.1", "Adds up the reward differences of the labels that agree.")
def adds_differences(labels):
    return sum(a - b for a, b in map(rewards_of, labels) if a > b)


@wrong("02.1", "Counts agreements minus disagreements, a net score.")
def net_score(labels):
    return int(sum(np.sign(a - b) for a, b in map(rewards_of, labels)))


@wrong("02.1", "Expects agreement by Bradley-Terry: the sum of sigma(difference).")
def expected_number(labels):
    return sum(1 / (1 + math.exp(b - a)) for a, b in map(rewards_of, labels))


@wrong("02.1", "Uses the first label's prompt for all labels.")
def first_prompt_only(labels):
    prompt = labels[0]["prompt"]
    scores = [[world.reward(prompt, row[k]) for k in ("chosen", "rejected")] for row in labels]
    return sum(a > b for a, b in scores)


@wrong("02.1", "Takes the longer text for the one with more reward.")
def longer_is_better(labels):
    return sum(len(row["chosen"].split()) > len(row["rejected"].split()) for row in labels)


@wrong("02.1", "Counts only the soup question, where it first looked.")
def soup_only(labels):
    rows = [row for row in labels if row["prompt"] == "restaurant : how was the soup ?"]
    return sum(a > b for a, b in map(rewards_of, rows))


@wrong("02.1", "Rounds the rewards to whole numbers first, so that close ones tie.")
def rounded_first(labels):
    return sum(round(a) > round(b) for a, b in map(rewards_of, labels))


@right("02.1")
def counted(labels):
    agree = 0
    for row in labels:
        good = world.reward(row["prompt"], row["chosen"])
        if good > world.reward(row["prompt"], row["rejected"]):
            agree += 1
    return agree


@right("02.1")
def counted_with_numpy(labels):
    good, bad = np.array([rewards_of(row) for row in labels]).reshape(-1, 2).T
    return int(np.count_nonzero(good > bad))


# 02.2: only last over first closes the circle, else some group at the top never loses
TEN = [(w, b) for w in range(5) for b in range(w)]
value("02.2", "wrong", "Any contradiction stops the scores.", TEN)
value("02.2", "wrong", "Swaps winner and loser.", [(0, 4)])
value("02.2", "wrong", "Counts from one.", [(5, 1)])
value("02.2", "wrong", "Neighbours: near ties.", [(1, 0), (2, 1), (3, 2), (4, 3)])
value("02.2", "wrong", "The first has to lose once, to anybody.", [(1, 0), (2, 0), (3, 0), (4, 0)])
value("02.2", "wrong", "The last has to win once.", [(4, 0), (4, 1), (4, 2), (4, 3)])
value("02.2", "wrong", "Either end is enough.", [p for p in TEN if p[1] == 0 or p[0] == 4])
value("02.2", "wrong", "None: one label cannot outweigh ten.", [])
value("02.2", "wrong", "Both ends must take part, or nearly.", [(4, 0), (3, 0), (4, 1)])
value("02.2", "wrong", "Lists those that are not enough.", [p for p in TEN if p != (4, 0)])
value("02.2", "wrong", "Middle answers have both neighbours.", [(2, 1), (3, 1), (3, 2)])
value("02.2", "right", "", [(4, 0)])
value("02.2", "right", "", ((4, 0),))
value("02.2", "right", "", [(w, b) for w, b in TEN if w - b == 4])

# 03.4: KL(pi* || ref) is 1.2340 and 3.9274, KL(ref || pi*) 1.7094 and 10.6675
value("03.4", "wrong", "Blames the smaller beta, which acts on both.", (3.183, 6.240, "c"))
value("03.4", "wrong", "Thinks the optimum leaves the support.", (3.183, 6.240, "a"))
value("03.4", "wrong", "Takes it for a matter of sampling.", (3.183, 6.240, "d"))
value("03.4", "wrong", "Takes the two divergences in the other order.", (6.240, 3.183, "b"))
value("03.4", "wrong", "Differences instead of quotients.", (2.693, 8.958, "b"))
value("03.4", "wrong", "The distances at beta 0.15 themselves.", (3.927, 10.668, "b"))
value("03.4", "wrong", "Second over first, at each beta.", (1.385, 2.716, "b"))
value("03.4", "wrong", "Divides 0.5 by 0.15 the wrong way.", (0.314, 0.160, "b"))
value("03.4", "wrong", "Rule of thumb: log-ratios grow as 1 / beta.", (3.333, 3.333, "c"))
value("03.4", "wrong", "Rule of thumb: KL is Var(r) / (2 beta^2).", (11.11, 11.11, "c"))
value("03.4", "wrong", "Uses the full world's policies.", (4.161, 6.359, "b"))
value("03.4", "wrong", "Second: plain mean over the list, without weights.", (3.183, 5.553, "b"))
value("03.4", "right", "", (3.18, 6.24, "b"))
value("03.4", "right", "", [3.9273549606 / 1.2339996952, 10.6675052819 / 1.7094247177, "b"])
value("03.4", "right", "", (np.float64(3.182622), np.float64(6.240407), "b"))

# 04.1: Z = 0.5 e^2 + 0.3 e^4 + 0.2 = 20.274, beta log Z = 1.50467
value("04.1", "wrong", "Multiplies by beta in the exponent.", (1.840, 0.443, -0.0548, 0.195, 0.576))
value("04.1", "wrong", "Forgets beta in the exponent.", (3.776, 0.587, -0.164, 0.336, 0.474))
value("04.1", "wrong", "Z without the reference.", (62.987, 0.867, -0.725, 0.531, 0.251))
value("04.1", "wrong", "Log-ratios without beta.", (20.274, 0.808, -1.009, 0.991, 0.127))
value("04.1", "wrong", "Subtracts log Z, not beta log Z.", (20.274, 0.808, -2.009, -1.009, 0.313))
value("04.1", "wrong", "Adds beta log Z.", (20.274, 0.808, 2.505, 3.505, 0.313))
value("04.1", "wrong", "Gives back the true rewards.", (20.274, 0.808, 1.0, 2.0, 0.313))
value("04.1", "wrong", "The pair the wrong way round.", (20.274, 0.808, -0.505, 0.495, 1.313))
value("04.1", "wrong", "The probability of the choice.", (20.274, 0.808, -0.505, 0.495, 0.731))
value("04.1", "wrong", "Hands in log Z.", (3.009, 0.808, -0.505, 0.495, 0.313))
value("04.1", "wrong", "The first reply's probability.", (20.274, 0.182, -0.505, 0.495, 0.313))
value("04.1", "wrong", "Does not divide by Z.", (20.274, 16.379, -0.505, 0.495, 0.313))
value("04.1", "wrong", "Reference over policy.", (20.274, 0.808, 0.505, -0.495, 1.313))
value("04.1", "wrong", "beta once more in the loss.", (20.274, 0.808, -0.505, 0.495, 0.474))
value("04.1", "wrong", "beta log pi, no reference.", (20.274, 0.808, -0.851, -0.107, 0.389))
value("04.1", "wrong", "Logarithms to base ten.", (20.274, 0.808, -0.219, 0.215, 0.499))
value("04.1", "right", "", (20.3, 0.808, -0.505, 0.495, 0.313))
value("04.1", "right", "", [20.27397, 0.807905, -0.504669, 0.495331, 0.313262])


def derive_by_hand():
    weights = np.array([0.5, 0.3, 0.2]) * np.exp(np.array([1, 2, 0]) / 0.5)
    implicit = np.array([1, 2]) - 0.5 * np.log(weights.sum())
    total = weights.sum()
    return np.array([total, weights[1] / total, *implicit, np.log1p(np.exp(-1))])


value("04.1", "right", "", derive_by_hand())

# 05.0: minus the log-probability of each response


def picked_logps(logits, input_ids):
    """Log-probability of each token but the first, (B, T - 1)."""
    return logits[:, :-1].log_softmax(-1).gather(-1, input_ids[:, 1:, None])[..., 0]


@wrong("05.0", "Forgets the shift: asks how likely each token is after itself.")
def no_shift(logits, input_ids, response_mask):
    picked = logits.log_softmax(-1).gather(-1, input_ids[..., None])[..., 0]
    return -(picked * response_mask).sum(-1)


@wrong("05.0", "Moves the labels, and leaves the mask where it was.")
def mask_not_moved(logits, input_ids, response_mask):
    return -(picked_logps(logits, input_ids) * response_mask[:, :-1]).sum(-1)


@wrong("05.0", "Hands in the mean over the response's tokens.")
def mean_of_tokens(logits, input_ids, response_mask):
    mask = response_mask[:, 1:]
    return -(picked_logps(logits, input_ids) * mask).sum(-1) / mask.sum(-1)


@wrong("05.0", "Adds up the whole batch to one number.")
def sum_of_batch(logits, input_ids, response_mask):
    return -(picked_logps(logits, input_ids) * response_mask[:, 1:]).sum()


@wrong("05.0", "Forgets the minus.")
def no_minus(logits, input_ids, response_mask):
    return (picked_logps(logits, input_ids) * response_mask[:, 1:]).sum(-1)


@wrong("05.0", "Ignores the mask, so that prompt and padding count.")
def everything(logits, input_ids, response_mask):
    return -picked_logps(logits, input_ids).sum(-1)


@wrong("05.0", "Scores the prompt instead of the response.")
def the_prompt(logits, input_ids, response_mask):
    before = response_mask.long().cumsum(-1) == 0
    return -(picked_logps(logits, input_ids) * before[:, 1:]).sum(-1)


@wrong("05.0", "Takes the logits themselves for log-probabilities.")
def raw_logits(logits, input_ids, response_mask):
    picked = logits[:, :-1].gather(-1, input_ids[:, 1:, None])[..., 0]
    return -(picked * response_mask[:, 1:]).sum(-1)


@wrong("05.0", "Masks the logits with zeros, so masked places cost log V each.")
def logits_masked(logits, input_ids, response_mask):
    kept = logits[:, :-1] * response_mask[:, 1:, None]
    return -picked_logps(torch.cat([kept, kept[:, -1:]], 1), input_ids).sum(-1)


@wrong("05.0", "Leaves the end of the response out, as it is not a word.")
def without_the_end(logits, input_ids, response_mask):
    mask = response_mask[:, 1:].clone()
    last = mask.long().cumsum(-1).argmax(-1)
    mask[torch.arange(len(mask)), last] = False
    return -(picked_logps(logits, input_ids) * mask).sum(-1)


@wrong("05.0", "Adds probabilities first and takes the logarithm of their sum.")
def log_of_the_sum(logits, input_ids, response_mask):
    return -(picked_logps(logits, input_ids).exp() * response_mask[:, 1:]).sum(-1).log()


@wrong("05.0", "Softmax over the places instead of the tokens.")
def wrong_axis(logits, input_ids, response_mask):
    logps = logits[:, :-1].log_softmax(1)
    picked = logps.gather(-1, input_ids[:, 1:, None])[..., 0]
    return -(picked * response_mask[:, 1:]).sum(-1)


@wrong("05.0", "Shifts the wrong way: place t is compared with the token before it.")
def shifted_back(logits, input_ids, response_mask):
    logps = logits[:, 1:].log_softmax(-1)
    picked = logps.gather(-1, input_ids[:, :-1, None])[..., 0]
    return -(picked * response_mask[:, 1:]).sum(-1)


@wrong("05.0", "Divides by the number of texts already, though the task says: not yet.")
def divided_by_batch(logits, input_ids, response_mask):
    return -(picked_logps(logits, input_ids) * response_mask[:, 1:]).sum(-1) / len(logits)


@right("05.0")
def gathered(logits, input_ids, response_mask):
    logits, labels, mask = logits[:, :-1], input_ids[:, 1:], response_mask[:, 1:]
    picked = logits.gather(-1, labels.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)
    return -picked.masked_fill(~mask, 0.0).sum(-1)


@right("05.0")
def with_cross_entropy(logits, input_ids, response_mask):
    labels = input_ids.masked_fill(~response_mask, -100)[:, 1:]
    losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), labels, reduction="none")
    return losses.sum(1)


@right("05.0")
def row_by_row(logits, input_ids, response_mask):
    totals = []
    for row, ids, mask in zip(logits, input_ids, response_mask, strict=True):
        places = mask.nonzero()[:, 0]
        totals.append(-row[places - 1].log_softmax(-1)[range(len(places)), ids[places]].sum())
    return torch.stack(totals)


# 05.1: floor 1.04620 nats a token, mean length 20.9063, entropy 21.8722 nats a text
value("05.1", "wrong", "Perplexity as 2 to the nats.", (2.065, 10.5, 2.09))
value("05.1", "wrong", "Perplexity of the whole text, exp(21.87).", (3.15e9, 10.5, 2.09))
value("05.1", "wrong", "A tenth of a nat is ten per cent.", (2.847, 10.0, 2.09))
value("05.1", "wrong", "The share, not per cent.", (2.847, 0.105, 2.09))
value("05.1", "wrong", "Per cent of nats: 0.1 / 1.0462.", (2.847, 9.56, 2.09))
value("05.1", "wrong", "The perplexities' difference, 3.146 - 2.847.", (2.847, 0.299, 2.09))
value("05.1", "wrong", "The difference, times a hundred.", (2.847, 29.9, 2.09))
value("05.1", "wrong", "The model's perplexity, exp(1.1462).", (3.146, 10.5, 2.09))
value("05.1", "wrong", "The floor in place of the perplexity.", (1.046, 10.5, 2.09))
value("05.1", "wrong", "Mean length without the end, 19.906.", (2.847, 10.5, 1.99))
value("05.1", "wrong", "The factor exp(2.0906) for the nats lost.", (2.847, 10.5, 8.09))
value("05.1", "wrong", "Uses the gap 0.01 of the closing question.", (2.847, 1.005, 0.209))
value("05.1", "wrong", "All of the model's nats a reply, 1.1462 * 20.906.", (2.847, 10.5, 23.96))
value("05.1", "wrong", "Compares the other way: 1 - exp(-0.1).", (2.847, 9.52, 2.09))
value("05.1", "wrong", "Per cent over the whole reply, exp(2.09) - 1.", (2.847, 709.0, 2.09))
value("05.1", "right", "", (2.85, 10.5, 2.09))
value("05.1", "right", "", [2.8468142, 10.5170918, 2.0906339])
ENDS = [math.exp(21.872222850 / 20.906338533), 100 * math.expm1(0.1), 2.0906338533]
value("05.1", "right", "", np.array(ENDS))
