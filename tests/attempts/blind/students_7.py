"""Blind attempts of students at chapters 00 to 03 (written from the student edition alone)."""

import numpy as np
import torch
import torch.nn.functional as F

ATTEMPTS = []


def value(exercise, kind, mistake, attempt):
    ATTEMPTS.append(
        {"exercise": exercise, "kind": kind, "mistake": mistake, "attempt": attempt}
    )


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


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


# ---- 00.0: the loss of each pair


@wrong("00.0", "Takes the mean over the batch, as one does before going back.")
def loss_mean(chosen, rejected, ref_chosen, ref_rejected, beta):
    margin = beta * ((chosen - ref_chosen) - (rejected - ref_rejected))
    return -F.logsigmoid(margin).mean()


@wrong("00.0", "Hands in the log-probability of the choice and forgets the loss's minus.")
def loss_without_minus(chosen, rejected, ref_chosen, ref_rejected, beta):
    return F.logsigmoid(beta * ((chosen - ref_chosen) - (rejected - ref_rejected)))


@wrong("00.0", "Compares only the policy's two texts: the reference should cancel anyway.")
def loss_without_reference(chosen, rejected, ref_chosen, ref_rejected, beta):
    return -F.logsigmoid(beta * (chosen - rejected))


@wrong("00.0", "Takes the ratio in the formula for a quotient of the two log-probabilities.")
def loss_quotient_of_logs(chosen, rejected, ref_chosen, ref_rejected, beta):
    return -F.logsigmoid(beta * (chosen / ref_chosen - rejected / ref_rejected))


@wrong("00.0", "Multiplies only the chosen text's log-ratio by beta, not the rejected one's.")
def loss_beta_once(chosen, rejected, ref_chosen, ref_rejected, beta):
    return -F.logsigmoid(beta * (chosen - ref_chosen) - (rejected - ref_rejected))


@wrong("00.0", "Computes in NumPy on detached numbers: the loss is right, the gradient lost.")
def loss_in_numpy(chosen, rejected, ref_chosen, ref_rejected, beta):
    w, lost, rw, rl = (t.detach().numpy() for t in (chosen, rejected, ref_chosen, ref_rejected))
    return torch.as_tensor(np.logaddexp(0, -beta * ((w - rw) - (lost - rl))))


@right("00.0")
def loss_logsigmoid(chosen, rejected, ref_chosen, ref_rejected, beta):
    return -F.logsigmoid(beta * (chosen - ref_chosen) - beta * (rejected - ref_rejected))


@right("00.0")
def loss_logaddexp(chosen, rejected, ref_chosen, ref_rejected, beta):
    margin = beta * (chosen - rejected - ref_chosen + ref_rejected)
    return torch.logaddexp(torch.zeros_like(margin), -margin)


@right("00.0")
def loss_cross_entropy(chosen, rejected, ref_chosen, ref_rejected, beta):
    margin = beta * ((chosen - ref_chosen) - (rejected - ref_rejected))
    ones = torch.ones_like(margin)
    return F.binary_cross_entropy_with_logits(margin, ones, reduction="none")


# ---- 00.3: swapped columns (each trained for 64 steps of 16 and measured with 300 samples)

value("00.3", "wrong", "Trains on the pairs as they are; the new list was made and not handed in.",
      (1.379, 0.740))  # pairs[:1024] in place of the swapped rows
value("00.3", "wrong", "Predicts that contradicting good taste teaches nothing: the reference's.",
      (-0.173, 0.0))  # quality(reference, ...)
value("00.3", "wrong", "Leaves beta at 0.2, left over from exercise 2.",
      (-2.290, 1.069))  # dataclasses.replace(config, beta=0.2, ...)
value("00.3", "wrong", "Hands in the distance first and the reward second.",
      (0.730, -1.965))
value("00.3", "wrong", "Does not train again: takes the run on right columns and turns the sign.",
      (-1.379, 0.740))
value("00.3", "wrong", "Hands in how far the reward fell from the reference's, not the mean.",
      (-1.791, 0.730))  # -1.965 + 0.173
value("00.3", "right", "", (-1.965, 0.730))  # fresh copy, swapped rows, config's beta of 0.6
value("00.3", "right", "", [-1.9646483333, 0.7296213913])  # the same, not rounded


# ---- 01.1: one word

# log-probabilities with the end: -7.9448 and -9.1380
value("01.1", "wrong", "Hands in the log-probability as the probability.", (-7.94, 3.30))
value("01.1", "wrong", "Takes the difference of the log-probabilities for the number of times.",
      (0.0003545, 1.193))  # 9.1380 - 7.9448
value("01.1", "wrong", "Divides the rarer by the commoner, so the second is 0.3 times rarer.",
      (0.0003545, 0.303))  # exp(-1.1932)
value("01.1", "wrong", "Leaves out the end token, so the reply only begins with this text.",
      (0.00855, 3.279))  # exp of the sum of the first five tokens
value("01.1", "wrong", "Scores the prompt's tokens too, as part of the text.", (6.67e-26, 3.298))
value("01.1", "wrong", "Divides each log-probability by its six tokens before exp.",
      (0.266, 1.220))
value("01.1", "right", "", (0.0003545, 3.30))  # exp(-7.9448), exp(1.1932)
value("01.1", "right", "", [float(np.exp(-7.9448)), float(np.exp(-7.9448 + 9.1380))])


# ---- 01.3: half precision (2,000 texts, 248 of them of 30 tokens or more)

value("01.3", "wrong", "Blames the bfloat16 log-softmax from habit, whatever the numbers say.",
      (0.0448, 0.0469, 0.415, 0.413, "a"))
value("01.3", "wrong", "Hands in the mean error with its sign in place of the mean absolute one.",
      (-0.00123, -0.00328, -0.172, -0.169, "c"))
value("01.3", "wrong", "Averages over all 2,000 texts in place of the longest group.",
      (0.0346, 0.0357, 0.320, 0.319, "c"))
value("01.3", "wrong", "Counts the prompt's seven tokens in the length, so shorter replies get in.",
      (0.0419, 0.0434, 0.385, 0.384, "c"))  # len(example.ids) >= 30: 868 texts
value("01.3", "wrong", "Takes the 100 off after rounding, so the logits were rounded near zero.",
      (0.0448, 0.0469, 0.0448, 0.435, "a"))
value("01.3", "wrong", "Adds up the tokens in bfloat16 too, and so blames the adding.",
      (0.0595, 0.0615, 0.412, 0.414, "b"))
value("01.3", "right", "", (0.0448, 0.0469, 0.415, 0.413, "c"))
value("01.3", "right", "", [0.04483, 0.04692, 0.41548, 0.41299, "c"])


# ---- 01.4: a seam that merges

value("01.4", "wrong", "One line break in front, which BPE still keeps apart from the prompt's.",
      ("\nThe plot was good.", "a"))
value("01.4", "wrong", "A space in front: takes the template's seam for that of a plain string.",
      (" The plot was good.", "a"))
value("01.4", "wrong", "Puts the line breaks at the response's end, away from the prompt's seam.",
      ("The plot was good.\n\n", "a"))
value("01.4", "wrong", "Compares with the whole ids uncut: the template's last break differs.",
      ("The plot was good.", "a"))
value("01.4", "wrong", "Thinks that encode scores what the template's whole text gives.",
      ("\n\nThe plot was good.", "b"))
value("01.4", "wrong", "Thinks that encode cleans line breaks away: the template has its own.",
      ("\n\nThe plot was good.", "c"))
value("01.4", "right", "", ("\n\nThe plot was good.", "a"))
value("01.4", "right", "", ["\n\n\nThe plot was good.", "a"])
value("01.4", "right", "", ("\n \nGood.", "a"))
value("01.4", "right", "", ("\n", "a"))  # nothing but a break: it merges with the prompt's


# ---- 02.0: the slope of the log-likelihood


@wrong("02.0", "Counts what the wins bring and forgets what the losses cost.")
def slope_of_wins(scores, wins):
    return np.sum(wins * sigmoid(scores[None, :] - scores[:, None]), axis=1)


@wrong("02.0", "Expected minus observed wins: the gradient of a loss, which one would descend.")
def slope_downwards(scores, wins):
    P = sigmoid(scores[:, None] - scores[None, :])
    return np.sum((wins + wins.T) * P - wins, axis=1)


@wrong("02.0", "Expects one game in each pair, as in the chapter, however many the table holds.")
def slope_one_game(scores, wins):
    P = sigmoid(scores[:, None] - scores[None, :])
    np.fill_diagonal(P, 0)
    return wins.sum(1) - P.sum(1)


@wrong("02.0", "Takes the difference the wrong way round: expected wins of j against i.")
def slope_other_difference(scores, wins):
    P = sigmoid(scores[None, :] - scores[:, None])
    return np.sum(wins - (wins + wins.T) * P, axis=1)


@wrong("02.0", "Averages over the opponents where the formula adds up.")
def slope_mean(scores, wins):
    P = sigmoid(scores[:, None] - scores[None, :])
    return np.mean(wins - (wins + wins.T) * P, axis=1)


@wrong("02.0", "Lets each answer play its games against an average opponent, with a score of zero.")
def slope_against_average(scores, wins):
    return wins.sum(1) - (wins + wins.T).sum(1) * sigmoid(scores)


@right("02.0")
def slope_table(scores, wins):
    P = sigmoid(scores[:, None] - scores[None, :])
    return (wins - (wins + wins.T) * P).sum(axis=1)


@right("02.0")
def slope_loops(scores, wins):
    slopes = np.zeros(len(scores))
    for i in range(len(scores)):
        for j in range(len(scores)):
            slopes[i] += wins[i, j] * sigmoid(scores[j] - scores[i])
            slopes[i] -= wins[j, i] * sigmoid(scores[i] - scores[j])
    return slopes


@right("02.0")
def slope_autograd(scores, wins):
    r = torch.tensor(np.asarray(scores, dtype=float), requires_grad=True)
    w = torch.tensor(np.asarray(wins, dtype=float))
    (w * F.logsigmoid(r[:, None] - r[None, :])).sum().backward()
    return r.grad.numpy()


# ---- 02.2: which contradiction is enough

ALL_TEN = [(winner, loser) for winner in range(5) for loser in range(winner)]
value("02.2", "wrong", "Any contradiction stops the scores, since no order fits all labels then.",
      ALL_TEN)
value("02.2", "wrong", "Writes the pair as (loser, winner), the way the table's order reads.",
      [(0, 4)])
value("02.2", "wrong", "Thinks it enough that the last answer wins once, against anybody.",
      [(4, 0), (4, 1), (4, 2), (4, 3)])
value("02.2", "wrong", "Thinks it enough that the top answer loses once, against anybody.",
      [(1, 0), (2, 0), (3, 0), (4, 0)])
value("02.2", "wrong", "Counts the answers from 1.", [(5, 1)])
value("02.2", "wrong", "Lists the ways in which the fit fails: takes the error for the sign.",
      [pair for pair in ALL_TEN if pair != (4, 0)])
value("02.2", "right", "", [(4, 0)])
value("02.2", "right", "", ((4, 0),))
value("02.2", "right", "", np.array([[4, 0]]))


# ---- 02.3: a labeller who flips (clean ceiling 0.7253, flipped 0.6352; p = 0.7311, flipped 0.6386)

value("02.3", "wrong", "Counts only labels that were meant and not flipped, not the double errors.",
      (0.580, 0.343))  # 0.8 * 0.7253, logit(0.8 * 0.7311)
value("02.3", "wrong", "Leaves the ceiling alone: a perfect model still knows the better answer.",
      (0.725, 0.569))
value("02.3", "wrong", "Lets the difference itself shrink by 1 - 2 * 0.2, as the probabilities do.",
      (0.635, 0.600))
value("02.3", "wrong", "Hands in the flipped probability and takes no log-odds.", (0.635, 0.639))
value("02.3", "wrong", "Says that four of five labels are right, and forgets their own noise.",
      (0.800, 0.569))
value("02.3", "wrong", "Rounds too early: 73 in 100 for both, and then 0.64.",
      (0.638, 0.575))  # 0.2 + 0.6 * 0.73, logit(0.64)
value("02.3", "right", "", (0.635, 0.569))
P_FLIPPED = 0.2 + 0.6 / (1 + np.exp(-1))
value("02.3", "right", "",
      [0.2 + 0.6 * 0.7252840355737371, float(np.log(P_FLIPPED / (1 - P_FLIPPED)))])


# ---- 03.2: reward by going backwards (log Z = 2.971, beta log Z = 1.485)

value("03.2", "wrong", "Runs the recursion with the reference's probabilities, not those of star.",
      (0.550, -1.871))  # (0.55 - 1.485) / 0.5
value("03.2", "wrong", "Takes V - beta log Z for the KL and forgets to divide by beta.",
      (2.190, 0.705))
value("03.2", "wrong", "Adds up only the first step's own rewards, without V of the next state.",
      (0.831, -1.308))
value("03.2", "wrong", "Takes the best way on in each state in place of the mean.",
      (2.650, 2.329))  # 1 + 0.65 + 1
value("03.2", "wrong", "Takes beta log Z for the mean reward, so that no KL is left.", (1.485, 0.0))
value("03.2", "wrong", "Checks the KL against the list the wrong way round, KL(reference || star).",
      (2.190, 1.871))
value("03.2", "right", "", (2.190, 1.409))
value("03.2", "right", "", [2.19010238, (2.19010238 - 0.5 * float(np.log(19.51117793))) / 0.5])
