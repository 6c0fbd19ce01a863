"""Attempts at chapter 03's exercises."""

import math

import numpy as np
import torch


# ---------------------------------------------------------------- 03.0
def in_probabilities(log_ref, rewards, beta):
    weights = np.exp(log_ref) * np.exp(rewards / beta)
    return np.log(weights / weights.sum())


def by_loop(log_ref, rewards, beta):
    weights = [math.exp(p) * math.exp(r / beta) for p, r in zip(log_ref, rewards, strict=True)]
    return [math.log(w / sum(weights)) for w in weights]


def in_torch(log_ref, rewards, beta):
    return torch.log_softmax(torch.tensor(log_ref) + torch.tensor(rewards) / beta, 0)


def climbed(log_ref, rewards, beta):
    logits = log_ref.copy()
    for _ in range(200):
        logits = logits + 0.5 * (rewards - beta * (logits - log_ref))
    return logits - np.logaddexp.reduce(logits)


def scaled(logits):
    return logits - np.logaddexp.reduce(logits)


lse = np.logaddexp.reduce
KEY_WRONG = [
    (lambda ref, r, b: scaled(ref + r), "β is left out"),
    (lambda ref, r, b: scaled(ref + r * b), "multiplied by β"),
    (lambda ref, r, b: scaled(r / b), "the reference is left out"),
    (lambda ref, r, b: np.add(ref, r / b), "isn't divided by Z"),
    (lambda ref, r, b: np.exp(scaled(ref + r / b)), "those are probabilities"),
    (lambda ref, r, b: scaled(ref - r / b), "the wrong sign: the worst"),
    (lambda ref, r, b: scaled(r / b - ref), "the reference goes in with the wrong sign"),
    (lambda ref, r, b: scaled(np.exp(ref) + r / b), "the reference's probabilities stand"),
    (lambda ref, r, b: ref + r / b - np.exp(lse(ref + r / b)), "Z itself is subtracted"),
    (lambda ref, r, b: ref + r / b - lse(r / b), "Z lacks the reference"),
    (lambda ref, r, b: ref + r / b + lse(ref + r / b), "log Z is added"),
    (lambda ref, r, b: ref + r / b - b * lse(ref + r / b), "β log Z is subtracted"),
    (lambda ref, r, b: ref + r / b - (ref + r / b).max(), "the largest weight"),
    (lambda ref, r, b: ref + r / b - np.log(np.exp(ref + r / b).mean()), "the mean of the weights"),
    (lambda ref, r, b: ref + r / b - (ref + r / b).mean(), "the mean of the logarithms"),
    (lambda ref, r, b: r / b - lse(ref + r / b), "asked is log π* itself"),
    (lambda ref, r, b: np.exp(ref + r / b), "First"),
    (lambda ref, r, b: np.log(np.exp(ref) * r / b), "NaN"),
    (lambda ref, r, b: scaled(np.log(np.exp(ref) + np.exp(r / b))), "are added"),
    (lambda ref, r, b: np.where(r == r.max(), 0.0, -np.inf), "the best reply alone"),
    (lambda ref, r, b: scaled(ref + r / b**2), "divided by β twice"),
    (lambda ref, r, b: scaled(r), "First"),
    (lambda ref, r, b: scaled((ref + r) / b), "divided by β, too"),
    (lambda ref, r, b: scaled(ref * r / b), "among logarithms they add"),
    (lambda ref, r, b: ref + (r - np.exp(ref) @ r) / b, "a step of the climb"),
    (lambda ref, r, b: (ref + r / b) / lse(ref + r / b), "divided by log Z"),
    (lambda ref, r, b: b * (scaled(ref + r / b) - ref), "the implicit reward"),
    (lambda ref, r, b: scaled(ref + (r - r.mean()) / r.std() / b), "by their spread"),
    (lambda ref, r, b: scaled(ref + r / b * math.log(2)), "powers of 2"),
    (lambda ref, r, b: np.sort(scaled(ref + r / b)), "sorted"),
    (lambda ref, r, b: r / b, "alone"),
]


# ---------------------------------------------------------------- 03.1
S = lambda x: 1 / (1 + math.exp(-x))
HAND_WRONG = [
    (S(0.5), "multiplied by β"),
    (S(1.0), "β is left out"),
    (S(4.0), "β goes in twice"),
    (1 - S(2.0), "the worse reply"),
    (0.5, "that is the reference"),
    (1.0, "the best reply for ever"),
    (math.exp(2), "divide by the sum"),
    (math.exp(2) / 2, "isn't divided by Z"),
    ((math.exp(2) + 1) / 2, "that is Z"),
    (2.0, "the logarithm of the odds"),
    (S(2.0) / 2, "not into Z"),
    (math.log((math.exp(2) + 1) / 2), "that is log Z"),
    (88.1, "per cent"),
    (math.log(S(2.0)), "the logarithm of the right number"),
    (0.8, "the base is 2"),
    (0.75, "e^ is left out"),
    (2 / 3, "e^ is left out"),
    (S(1 / 0.6), "at β 0.6"),
    (S(10), "at β 0"),
    (0.5 * math.exp(0.5), "that is a weight"),
    (math.exp(1), "the odds without β"),
    (math.exp(-2), "the odds of the worse reply"),
    (math.log(2 * S(2)), "the log-ratio"),
    (0.328, "the KL divergence"),
    (2 * S(2.0) - 1, "the difference of the two shares"),
]

# ---------------------------------------------------------------- 03.2
TOY = [  # the six replies: probability, reward
    (0.06, 2.65), (0.14, 1.65), (0.2, 0.35), (0.09, 1.65), (0.21, 0.65), (0.3, -0.65)
]  # fmt: skip
Q, REWARD = map(np.array, zip(*TOY, strict=True))
Z = (Q * np.exp(REWARD / 0.5)).sum()
STAR = Q * np.exp(REWARD / 0.5) / Z
V = STAR @ REWARD
KL = STAR @ np.log(STAR / Q)
BACK_WRONG = [
    ((Q @ REWARD, Q @ REWARD / 0.5 - math.log(Z)), "the mean reward of the reference"),
    ((V, V - math.log(Z)), "the units don't fit"),
    ((V, V - 0.5 * math.log(Z)), "isn't divided by β"),
    ((V, math.log(Z) - V / 0.5), "never negative"),
    ((V, 0.5 * (V - 0.5 * math.log(Z))), "multiplied by β"),
    ((V, V / 0.5), "log Z is left out"),
    ((V, (V - 0.5 * Z) / 0.5), "Z stands where log Z"),
    ((V, (V - math.log(Z)) / 0.5), "log Z lacks its β"),
    ((V, Q @ np.log(Q / STAR)), "the other way round"),
    ((V, KL / math.log(2)), "in bits"),
    ((0.5 * math.log(Z), 0.0), "less the price"),
    ((V / 0.5, V / 0.25 - math.log(Z)), "divided by β before"),
    ((0.831, KL), "only the first step's"),
    ((KL, V), "not in the order"),
    ((V, V / 0.5 + math.log(Z)), "log Z is added"),
    ((V, 0.5 * math.log(Z) - V), "the sign is turned"),
    ((V, V / 0.5 - math.log10(Z)), "base 10"),
    ((V, KL / 3), "over the three steps"),
    ((V, V - Q @ REWARD), "exceeds the reference's"),
    ((V, math.log(Z)), "log Z, no divergence"),
    ((V, 0.5 * math.log(Z)), "β log Z, no divergence"),
    ((V, V), "the mean reward again"),
    ((V - Q @ REWARD, KL), "exceeds the reference's"),
    ((Z, KL), "Z of the start"),
]

# ---------------------------------------------------------------- 03.3
TWICE_WRONG = [
    (lambda beta, times: beta * times, "that is β times"),
    (lambda beta, times: beta / 2**times, "the first time too"),
    (lambda beta, times: beta / 2 ** (times - 1), "β is halved each time"),
    (lambda beta, times: beta**times, "the powers of β multiply"),
    (lambda beta, times: times / beta, "what multiplies the reward"),
    (lambda beta, times: beta, "β stays"),
    (lambda beta, times: beta / 2, "however often"),
    (lambda beta, times: beta / (times + 1), "once too many"),
    (lambda beta, times: beta / max(times - 1, 1), "once too few"),
    (lambda beta, times: beta / times**2, "the square of the number"),
    (lambda beta, times: beta * 2**times, "β doubles"),
    (lambda beta, times: beta / times**0.5, "the root of the number"),
    (lambda beta, times: 1 / times, "the number of times alone"),
    (lambda beta, times: times, "by how much β shrinks"),
    (lambda beta, times: 0.0, "the limit"),
    (lambda beta, times: 2 * beta / (times * (times + 1)), "1, 2, ... up to"),
    (lambda beta, times: beta / (2 * times), "twice as far"),
    (lambda beta, times: beta / (2 * times - 1), "each later one twice"),
    (lambda beta, times: beta / math.factorial(times), "are multiplied"),
    (lambda beta, times: beta * math.exp(1 - times), "shrinks by e"),
    (lambda beta, times: beta + times - 1, "n − 1 more"),
    (lambda beta, times: beta ** (1 / times), "the root is taken"),
]


def by_counting(beta, times):
    tilt = 0.0
    for _ in range(times):
        tilt += 1 / beta
    return 1 / tilt


# ---------------------------------------------------------------- 03.4, from the solution's print
NEAR, FAR = (1.2334, 1.7099), (3.9324, 10.6730)
GREW = tuple(f / n for f, n in zip(FAR, NEAR, strict=True))
OTHER_WRONG = [
    ((*FAR, "b"), "divide by those at 0.5"),
    ((*NEAR, "b"), "asked is how many times"),
    ((FAR[0] - NEAR[0], FAR[1] - NEAR[1], "b"), "those are differences"),
    ((1 / GREW[0], 1 / GREW[1], "b"), "turned over"),
    ((GREW[0] - 1, GREW[1] - 1, "b"), "one too few"),
    ((GREW[0], GREW[0], "b"), "both are weighted by the optimum"),
    ((GREW[1], GREW[1], "b"), "both are weighted by the reference"),
    ((FAR[1] / FAR[0], FAR[1] / FAR[0], "e"), "none of"),
    ((NEAR[1] / NEAR[0], FAR[1] / FAR[0], "b"), "the second divergence over the first"),
    ((10 / 3, 10 / 3, "c"), "how many times β falls"),
    ((100 / 9, 100 / 9, "c"), "β squared"),
    ((10 / 3, 100 / 9, "b"), "powers of"),
    ((math.log(GREW[0]), math.log(GREW[1]), "b"), "those are logarithms"),
    ((100 * GREW[0], 100 * GREW[1], "b"), "in per cent"),
    ((GREW[1], GREW[0], "b"), "not in the order"),
    ((*GREW, "a"), "never writes what the reference can't"),
    ((*GREW, "c"), "why does one grow faster"),
    ((*GREW, "d"), "whose probabilities weigh"),
    ((*GREW, "e"), "is none of"),
    (GREW, "two numbers and a reason"),
]

RIGHT = {
    "03.0": [in_probabilities, by_loop, in_torch, climbed],
    "03.1": [0.881, 0.88, torch.tensor(0.8808), {"share": S(2.0)}],
    "03.2": [(V, KL), (2.19, 1.41), {"mean_reward": V, "kl": KL}],
    "03.3": [lambda beta, times: beta / times, by_counting,
             lambda beta, times: torch.tensor(beta) / times],
    "03.4": [(GREW, "b"), (*GREW, "b"), [3.19, 6.24, "B"], (3.2, 6.2, "(b)")],
}  # fmt: skip
WRONG = {
    "03.0": KEY_WRONG,
    "03.1": HAND_WRONG,
    "03.2": BACK_WRONG,
    "03.3": TWICE_WRONG,
    "03.4": OTHER_WRONG,
}
