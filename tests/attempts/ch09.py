"""Right and wrong attempts at chapter 9's exercises."""

import math

import numpy as np
import torch
from torch import sigmoid
from torch.nn.functional import cosine_similarity, logsigmoid

from dpo_from_scratch.lab.exercises import ch09


# ---------------------------------------------------------------- 09.0
def push(g, g_w, g_l, m, eta, beta):
    return eta * beta * (sigmoid(-m) * ((g_w - g_l) @ g)).mean()


def by_direction(g, g_w, g_l, margins, eta, beta):
    step = (sigmoid(-margins)[:, None] * (g_w - g_l)).mean(0)
    return (eta * beta * g @ step).item()


def in_loops(g, g_w, g_l, margins, eta, beta):
    total = 0.0
    for a, b, m in zip(g_w.tolist(), g_l.tolist(), margins.tolist(), strict=True):
        inner = sum(x * (y - z) for x, y, z in zip(g.tolist(), a, b, strict=True))
        total += inner / (1 + math.exp(m))
    return eta * beta * total / len(margins)


def in_numpy(g, g_w, g_l, margins, eta, beta):
    g, g_w, g_l, m = (x.numpy() for x in (g, g_w, g_l, margins))
    return np.mean(eta * beta / (1 + np.exp(m)) * ((g_w - g_l) * g).sum(1))


def with_weights(weights):
    return lambda g, w, v, m, eta, beta: eta * beta * (weights(m, beta) * ((w - v) @ g)).mean()


# ---------------------------------------------------------------- 09.1
def cosine(a, b):
    return cosine_similarity(a, b, dim=0)


def lengths(a, b):
    return b.norm() / a.norm()


def by_hand(g_w, g_l):
    dot = lambda a, b: sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))
    size_w, size_l = math.sqrt(dot(g_w, g_w)), math.sqrt(dot(g_l, g_l))
    return [dot(g_w, g_l) / size_w / size_l, size_l / size_w]


# ---------------------------------------------------------------- 09.2 and 09.3
GOAL = {"beta": 1.62, "highest": 0.162}  # as read off a fine grid
GAINED, CHANGE = 0.337, -0.145

RIGHT = {
    "09.0": [push, by_direction, in_loops, in_numpy, lambda *a: push(*a)[None]],
    "09.1": [
        lambda a, b: (cosine(a, b), lengths(a, b)), by_hand,
        lambda a, b: np.array([cosine(a, b), lengths(a, b)], np.float32),
        lambda a, b: torch.stack([a @ b / a.norm() / b.norm(), (b @ b / (a @ a)).sqrt()]),
    ],
    "09.2": [GOAL, tuple(GOAL.values()), torch.tensor([1.625, 0.16])],
    "09.3": [(GAINED, CHANGE), {"change": -0.1448, "gained": 0.3371}, np.array([0.337, -0.145])],
}  # fmt: skip
WRONG = {
    "09.0": [
        (with_weights(lambda m, b: (m < 0).double()), "only pairs that are out of order"),
        (with_weights(lambda m, b: (m < 1).double()), "as in the hinge"),
        (with_weights(lambda m, b: -logsigmoid(m)), "the pair's loss stands"),
        (with_weights(lambda m, b: torch.softmax(-m, 0)), "a softmax over the batch"),
        (with_weights(lambda m, b: sigmoid(-m.abs())), "a margin has a sign"),
        (with_weights(lambda m, b: sigmoid(-m / b)), "divided by β inside"),
        (lambda g, *rest: push(g / g.norm(), *rest), "`g` is brought to length one"),
        (lambda g, w, v, m, e, b: push(g, w[:1], v[:1], m[:1], e, b), "first pair"),
        (
            lambda g, w, v, m, e, b: e * b * (sigmoid(-m) * ((w - v) ** 2).sum(1)).mean(),
            "the batch's own margins",
        ),
        (lambda *a: -push(*a), "the sign is turned"),
        (lambda g, w, v, *rest: push(g, v, w, *rest), "changed places"),
        (with_weights(lambda m, b: sigmoid(m)), "σ(m) stands where σ(−m) should"),
        (with_weights(lambda m, b: torch.ones_like(m)), "σ(−m) is left out"),
        (with_weights(lambda m, b: 0.5 * torch.ones_like(m)), "one half"),
        (with_weights(lambda m, b: sigmoid(-b * m)), "β stands inside σ"),
        (with_weights(lambda m, b: logsigmoid(-m)), "log σ(−m)"),
        (with_weights(lambda m, b: sigmoid(m) * sigmoid(-m)), "the slope of σ"),
        (with_weights(lambda m, b: b * sigmoid(-m)), "`beta` goes in twice"),
        (with_weights(lambda m, b: sigmoid(-m) / b), "`beta` is left out"),
        (lambda *a: push(*a[:4], 1.0, a[5]), "`eta` is left out"),
        (lambda *a: push(*a[:4], 1.0, 1.0), "η and β are left out"),
        (lambda *a: push(*a) * len(a[3]), "added up"),
        (lambda g, w, v, *rest: push(g, w, -v, *rest), "rejected gradients are added"),
        (lambda g, w, v, *rest: push(g, w, 0 * v, *rest), "rejected responses are left out"),
        (lambda g, w, v, *rest: push(g, 0 * w, v, *rest), "chosen responses are left out"),
        (lambda g, w, v, m, e, b: e * b * sigmoid(-m) * ((w - v) @ g), "one number a pair"),
        (
            lambda g, w, v, m, e, b: e * b * sigmoid(-m).mean() * ((w - v).mean(0) @ g),
            "product of two means",
        ),
        (lambda g, w, v, m, e, b: e * b * (sigmoid(-m)[:, None] * (w - v) * g).mean(), "averaged"),
        (
            lambda g, w, v, m, e, b: e * b * (sigmoid(-m) * ((w - v) * w).sum(1)).mean(),
            "`g` isn't asked",
        ),
        (
            lambda g, w, v, m, e, b: e * b * (sigmoid(-m)[:, None] * (w - v)).mean(0),
            "where the step moves the weights",
        ),
        (with_weights(lambda m, b: sigmoid(-m).mean()), "product of two means"),
        (with_weights(lambda m, b: sigmoid(-m.mean())), "of the mean margin"),
    ],
    "09.1": [
        (lambda a, b: (cosine(a, b), lengths(b, a)), "upside down"),
        (lambda a, b: (cosine(a, b).abs(), lengths(a, b)), "its sign is lost"),
        (lambda a, b: (-cosine(a, b), lengths(a, b)), "its sign is turned"),
        (lambda a, b: ((a * b).mean(), lengths(a, b)), "averaged, not added up"),
        (lambda a, b: (torch.rad2deg(cosine(a, b).arccos()), lengths(a, b)), "in degrees"),
        (lambda a, b: (a @ b / b.norm(), lengths(a, b)), "length of g_w is missing"),
        (lambda a, b: (cosine(a, b), (b - a).norm() / a.norm()), "the difference's length"),
        (lambda a, b: (cosine(a, b), b.norm() / (a.norm() + b.norm())), "share of both"),
        (lambda a, b: (cosine(a, b), lengths(a, b).log()), "the logarithm"),
        (lambda a, b: (cosine(a, b), b.std() / a.std()), "standard deviations"),
        (lambda a, b: (a.norm(), b.norm()), "those are the two lengths"),
        (lambda a, b: (a @ b, lengths(a, b)), "divide it by both lengths"),
        (lambda a, b: (a @ b / (a @ a), lengths(a, b)), "the whole ratio; both"),
        (lambda a, b: (cosine(a, b), a @ b / (a @ a)), "the cosine is still in it"),
        (lambda a, b: (cosine(a, b), lengths(a, b) ** 2), "they are squared"),
        (lambda a, b: (1 - cosine(a, b), lengths(a, b)), "one minus it"),
        (lambda a, b: (torch.arccos(cosine(a, b)), lengths(a, b)), "that is the angle"),
        (lambda a, b: (a @ b / a.norm(), lengths(a, b)), "length of g_l is missing"),
        (lambda a, b: (a @ b / (a @ a) / (b @ b), lengths(a, b)), "lengths squared"),
        (lambda a, b: (cosine(a, b), b.norm() - a.norm()), "their difference"),
        (lambda a, b: (cosine(a, b), b.abs().sum() / a.abs().sum()), "absolute values"),
        (lambda a, b: (lengths(a, b), cosine(a, b)), "opposite order"),
        (lambda a, b: a @ b / (a @ a), "the ratio itself"),
        (lambda a, b: cosine(a, b), "the cosine alone"),
        (lambda a, b: (a @ b, lengths(b, a)), "two things"),
    ],
    "09.2": [
        ((3.36, 0.162), "where the average is highest"),
        ((1.62, 16.2), "hundredths of a nat"),
        ((1.62, 0.2338), "in bits"),
        ((1.62, -0.162), "the sign is turned"),
        ((1.62, 0.907), "the mean true reward"),
        ((1.62, 1.176), "a ratio of probabilities"),
        ((2.0, 0.162), "still above 0"),
        ((1.0, 0.162), "still below 0"),
        ((0.6, 0.162), "still below 0"),
        ((0.615, 0.162), "still below 0"),
        ((1.62, 0.0), "above 0 somewhere"),
        ((1.62, 3.36), "the β where it is reached"),
        ((1.62, 0.0946), "higher"),
        ((1.62, 0.1085), "coarse table"),
        ((1.62, 2.3), "one response's"),
        ((0.162, 1.62), "not in the order"),
    ],
    "09.3": [
        ((0.457, CHANGE), "hold afterwards"),
        ((0.34, -0.14), "three digits are asked"),
        ((0.34, -0.1448), "three digits are asked"),
        ((0.3, -0.1), "three digits are asked"),
        ((0.335, CHANGE), "those are four replies"),
        ((0.00436, 0.0179), "DPO's step on a pair"),
        ((0.118, -0.0319), "each step is shortened by 0.6"),
        ((0.3027, -0.1267), "another number of steps"),
        ((GAINED, -0.1524), "another of the likeliest"),
        ((0.2248, CHANGE), "those are two replies"),
        ((0.8333, -0.4741), "the favourite up"),
        ((2.8095, CHANGE), "the gain over what they held"),
        ((GAINED, -0.85), "the three's added up"),
        ((0.12, CHANGE), "held before"),
        ((0.1124, CHANGE), "one of the three gains"),
        ((0.04, CHANGE), "the favourite lost"),
        ((33.7, CHANGE), "in per cent"),
        ((GAINED, 0.145), "the sign is turned"),
        ((GAINED, 0.0051), "the mean afterwards"),
        ((GAINED, 0.1499), "the mean before"),
        ((GAINED, -0.2833), "the three replies' own"),
        ((GAINED, -0.0955), "what others lost is missing"),
        ((0.2383, -0.164), "the unlikeliest reply down"),
        ((GAINED, 0.0), "it does change"),
    ],
}
assert set(ch09.EXERCISES) == set(RIGHT) == set(WRONG)
