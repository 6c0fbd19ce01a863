"""Right and wrong attempts at chapter 10's exercises."""

import math

import numpy as np
import torch
from torch.nn.functional import logsigmoid, softplus

sigmoid = torch.sigmoid


# ---------------------------------------------------------------- 10.0
def slopes(loss, w, v):
    w, v = (x.clone().requires_grad_() for x in (w, v))
    return torch.autograd.grad(loss(w, v).sum(), (w, v))


def backward(loss, rho_w, rho_l):
    rho_w, rho_l = (x.clone().requires_grad_() for x in (rho_w, rho_l))
    loss(rho_w, rho_l).sum().backward()
    return -rho_w.grad, -rho_l.grad


def point_by_point(loss, rho_w, rho_l):
    ups, downs = [], []
    for w, v in zip(rho_w, rho_l, strict=True):
        point = torch.stack([w, v]).requires_grad_()
        (slope,) = torch.autograd.grad(loss(point[0], point[1]), point)
        ups.append(-slope[0].item())
        downs.append(-slope[1].item())
    return ups, downs


def differences(loss, rho_w, rho_l, h=1e-5):
    up = (loss(rho_w - h, rho_l) - loss(rho_w + h, rho_l)) / (2 * h)
    return np.stack([up, (loss(rho_w, rho_l - h) - loss(rho_w, rho_l + h)) / (2 * h)])


def functional(loss, rho_w, rho_l):
    total = lambda w, v: loss(w, v).sum()
    return [-g for g in torch.func.grad(total, argnums=(0, 1))(rho_w, rho_l)]


def in_single_precision(loss, rho_w, rho_l):
    return [-g for g in slopes(loss, rho_w.float(), rho_l.float())]


def no_minus(loss, rho_w, rho_l):
    return slopes(loss, rho_w, rho_l)


def of_the_mean(loss, w, v):
    w, v = (x.clone().requires_grad_() for x in (w, v))
    return [-g for g in torch.autograd.grad(loss(w, v).mean(), (w, v))]


def unit(loss, w, v):
    down = -torch.stack(slopes(loss, w, v))
    return down / down.norm(dim=0)


def forgot_requires_grad(loss, w, v):
    return [-g for g in torch.autograd.grad(loss(w, v).sum(), (w, v))]


# ---------------------------------------------------------------- 10.2
def by_autograd(m, eps):
    m = m.clone().requires_grad_()
    loss = ((1 - eps) * softplus(-m) - eps * softplus(m)) / (1 - 2 * eps)
    return torch.autograd.grad(loss.sum(), m)[0]


def by_list(m, eps):
    s = lambda x: 1 / (1 + math.exp(-x))
    return [-((1 - eps) * s(-x) + eps * s(x)) / (1 - 2 * eps) for x in m.tolist()]


def by_numpy(m, eps):
    up = 1 / (1 + np.exp(-m.numpy()))
    return up - 1 - eps / (1 - 2 * eps)


# ---------------------------------------------------------------- 10.3
def gradients(pi, w, v):
    eye = np.eye(len(pi))
    return eye[w] - pi, eye[v] - pi


def with_step(pi, w, v):
    g_w, g_l = gradients(pi, w, v)
    return g_w @ (g_w - g_l), g_l @ (g_w - g_l)


def in_torch(pi, w, v):
    theta = torch.log(torch.tensor(pi)).requires_grad_()
    logps = theta.log_softmax(0)
    g_w, g_l = (torch.autograd.grad(logps[i], theta, retain_graph=True)[0] for i in (w, v))
    return [(g @ (g_w - g_l)).item() for g in (g_w, g_l)]


def in_loops(pi, w, v):
    n, out = len(pi), []
    for i in (w, v):
        out.append(sum(((k == i) - pi[k]) * ((k == w) - (k == v)) for k in range(n)))
    return np.float32(out)


def of_probabilities(pi, w, v):
    g_w, g_l = gradients(pi, w, v)
    g_w, g_l = pi[w] * g_w, pi[v] * g_l
    return g_w @ (g_w - g_l), g_l @ (g_w - g_l)


def along(a, b, sign=1):
    def attempt(pi, w, v):
        g_w, g_l = gradients(pi, w, v)
        return sign * (g_w @ (a * g_w + b * g_l)), sign * (g_l @ (a * g_w + b * g_l))

    return attempt


def own_push(pi, w, v):
    g_w, g_l = gradients(pi, w, v)
    return g_w @ g_w, -g_l @ g_l


def only_entry(pi, w, v):
    g_w, g_l = np.zeros(len(pi)), np.zeros(len(pi))
    g_w[w], g_l[v] = 1 - pi[w], 1 - pi[v]
    return g_w @ (g_w - g_l), g_l @ (g_w - g_l)


RIGHT = {
    "10.0": [
        backward, point_by_point, differences, functional, in_single_precision,
        lambda f, w, v: -torch.stack(slopes(f, w, v)),
    ],
    "10.1": [
        lambda beta: (beta / 2, beta**2),
        lambda b: np.array([b / 2, b * b]),
        lambda b: torch.tensor([1 / (2 * (1 / b)), b**2]),
        lambda b: [round(b / 2, 4), round(b**2, 4)],
    ],
    "10.2": [
        by_autograd, by_list, by_numpy,
        lambda m, eps: -((1 - eps) * sigmoid(-m) + eps * sigmoid(m)) / (1 - 2 * eps),
        lambda m, eps: (sigmoid(m.float()) - 1 - eps / (1 - 2 * eps)).numpy(),
    ],
    "10.3": [with_step, in_torch, in_loops, lambda p, w, v: (1 - p[w] + p[v], -1 - p[w] + p[v])],
}  # fmt: skip
WRONG = {
    "10.0": [
        (lambda f, w, v: [-g.sum().expand(len(w)) for g in slopes(f, w, v)], "all get the sum"),
        (lambda f, w, v: [-g / f(w, v) for g in slopes(f, w, v)], "slope of its logarithm"),
        (lambda f, w, v: (f(w, v) - f(w + 1, v), f(w, v) - f(w, v + 1)), "so long a step"),
        (lambda f, w, v: [-g.sign() for g in slopes(f, w, v)], "only the pushes' signs"),
        (lambda f, w, v: [g.abs() for g in slopes(f, w, v)], "have lost their signs"),
        (lambda f, w, v: [-g for g in slopes(f, 0 * w, 0 * v)], "not at the points"),
        (lambda f, w, v: torch.stack(slopes(f, w, v)).norm(dim=0), "the arrow's length"),
        (lambda f, w, v: (slopes(f, w, v)[0], -slopes(f, w, v)[1]), "chosen response has its"),
        (no_minus, "points uphill"),
        (lambda f, w, v: [-g for g in slopes(f, w, v)][::-1], "changed places"),
        (of_the_mean, "divided by N"),
        (unit, "length one"),
        (lambda f, w, v: [-slopes(f, w, v)[0], slopes(f, w, v)[0]], "minus that on the chosen"),
        (lambda f, w, v: [slopes(f, w, v)[1], -slopes(f, w, v)[1]], "minus that on the rejected"),
        (lambda f, w, v: [-slopes(f, w, v)[0], slopes(f, w, v)[1]], "rejected response has its"),
        (lambda f, w, v: [slopes(f, w, v)[1], slopes(f, w, v)[0]], "Second: the two pushes"),
        (lambda f, w, v: [-g.mean() for g in slopes(f, w, v)], "averaged over all points"),
        (lambda f, w, v: [-g.sum() for g in slopes(f, w, v)], "added up over all points"),
        (lambda f, w, v: f(w, v), "height of the loss"),
        (lambda f, w, v: -slopes(f, w, v)[0], "chosen response alone"),
        (lambda f, w, v: slopes(f, w, v)[1] - slopes(f, w, v)[0], "how fast the margin grows"),
        (lambda f, w, v: [(1 - sigmoid(w - v)), -(1 - sigmoid(w - v))], "that is DPO's push"),
        (forgot_requires_grad, "does not require grad"),
    ],
    "10.1": [
        (lambda b: (2 / b, b**2), "upside down"),
        (lambda b: (b**2, b**2), "that is the factor"),
        (lambda b: (1 / (4 * b), b**2), "a 2 too many"),
        (lambda b: (b / 2, b**3), "cubed"),
        (lambda b: (b / 2, -(b**2)), "never below 0"),
        (lambda b: (b / 2, 4 / b**2), "one over τ squared"),
        (lambda b: (b / 2, 0.25), "it depends on β"),
        (lambda b: b**2, "the factor alone"),
        (lambda b: (b, b**2), "1/(2τ), not 1/τ"),
        (lambda b: (1 / (2 * b), b**2), "rest at β"),
        (lambda b: (1 / b, b**2), "where Δ rests"),
        (lambda b: (b / 2, b), "the bracket is squared"),
        (lambda b: (b / 2, 1 / b**2), "asked is the other way"),
        (lambda b: (b / 2, 1.0), "differ in height"),
        (lambda b: (b / 2, b**2 / 4), "doesn't go into it"),
        (lambda b: (0.5, 1.0), "fits β = 1 alone"),
        (lambda b: (b**2, b / 2), "opposite order"),
        (lambda b: (1.0 * b, 1.0 * b), "two things. First: τ: IPO's target"),
        (lambda b: (2 * b, 1 / b**2), "two things. First: τ: a 2"),
        (lambda b: b / 2, "that is τ alone"),
    ],
    "10.2": [
        (lambda m, e: ((1 - e) * sigmoid(-m) + e * sigmoid(m)) / (1 - 2 * e), "that is the push"),
        (lambda m, e: by_autograd(m, e).sum(), "added up"),
        (lambda m, e: by_autograd(m, e) / (1 - 2 * e), "twice"),
        (lambda m, e: -(sigmoid(-m) + e * sigmoid(m)) / (1 - 2 * e), "1 − ε is missing"),
        (lambda m, e: -((1 - e) * sigmoid(-m) + sigmoid(m)) / (1 - 2 * e), "ε is missing"),
        (lambda m, e: -sigmoid(-(1 - 2 * e) * m), "stands inside σ"),
        (lambda m, e: sigmoid(m) - 1 - e / (1 - e), "ε/(1 − ε)"),
        (lambda m, e: (1 - e) - sigmoid(m), "cDPO's push"),
        (lambda m, e: by_autograd(0 * m, e), "at m = 0"),
        (lambda m, e: -((1 - e) * sigmoid(-m) - e * sigmoid(m)) / (1 - 2 * e), "turned: log σ(−m)"),
        (lambda m, e: -((1 - e) * sigmoid(-m) + e * sigmoid(m)), "division by 1 − 2ε is missing"),
        (lambda m, e: -((1 - e) * sigmoid(m) + e * sigmoid(-m)) / (1 - 2 * e), "changed places"),
        (lambda m, e: sigmoid(m) - (1 - e), "cDPO's slope"),
        (lambda m, e: sigmoid(m) - 1, "DPO's slope"),
        (lambda m, e: -sigmoid(-m) / (1 - 2 * e), "both terms have σ(−m)"),
        (lambda m, e: -(1 - e) * sigmoid(-m) / (1 - 2 * e), "the second term is left out"),
        (lambda m, e: -((1 - e) * sigmoid(-m) + e * sigmoid(m)) / (1 - e), "by 1 − ε"),
        (lambda m, e: -((1 - e) * sigmoid(-m) + e * sigmoid(m)) * (1 - 2 * e), "multiplied by"),
        (
            lambda m, e: ((1 - e) * softplus(-m) - e * softplus(m)) / (1 - 2 * e),
            "that is the loss itself",
        ),
        (
            lambda m, e: -((1 - e) * logsigmoid(-m) + e * logsigmoid(m)) / (1 - 2 * e),
            "log σ stands",
        ),
        (lambda m, e: sigmoid(m) - 1 + e / (1 - 2 * e), "the constant"),
        (lambda m, e: sigmoid(m) - 1 - e, "the constant that is taken off is ε"),
        (lambda m, e: -e / (1 - 2 * e), "tends to"),
        (lambda m, e: by_autograd(m, e).mean(), "averaged"),
        (lambda m, e: -(e * sigmoid(-m) + (1 - e) * sigmoid(m)), "two things"),
        (lambda m, e: by_autograd(m, 0.1), "doesn't look at `eps`"),
    ],
    "10.3": [
        (along(-1, 1), "uphill"),
        (
            lambda p, w, v: (p[w] * (1 - p[w] + p[v]), p[v] * (-1 - p[w] + p[v])),
            "how the probabilities change",
        ),
        (lambda p, w, v: (1 - p[w], -1 - p[w] + p[v]), "in dρ_w: π_l is left out"),
        (lambda p, w, v: (1 - p[w] + p[v], -1 + p[v]), "in dρ_l: π_w is left out"),
        (lambda p, w, v: (1 - p[w] - p[v], -1 + p[w] + p[v]), "two things. First: in dρ_w"),
        (lambda p, w, v: [g @ g for g in gradients(p, w, v)], "the squared lengths"),
        (lambda p, w, v: np.divide(with_step(p, w, v), len(p)), "number of replies"),
        (lambda p, w, v: np.abs(with_step(p, w, v)), "sign turned"),
        (lambda p, w, v: gradients(p, w, v), "the gradients themselves"),
        (along(1, 0), "along g_w alone"),
        (along(0, -1), "along −g_l alone"),
        (along(1, 1), "along g_w + g_l"),
        (of_probabilities, "gradients of the probabilities"),
        (own_push, "only its own push"),
        (only_entry, "only their own entry"),
        (lambda p, w, v: (1.0, -1.0), "π is left out"),
        (lambda p, w, v: (1 + p[w] - p[v], -1 + p[w] - p[v]), "π has the wrong sign"),
        (lambda p, w, v: with_step(p, w, v)[::-1], "changed places"),
        (lambda p, w, v: (1 - p[w] + p[v], 1 + p[w] - p[v]), "sign turned"),
        (lambda p, w, v: (1 - p[w], p[v] - 1), "own logit alone"),
        (lambda p, w, v: (1 - p[w] + p[v], p[w] - p[v] - 1), "set to minus"),
        (lambda p, w, v: with_step(p, w, v)[0], "chosen one's change alone"),
        (lambda p, w, v: 2.0, "how fast the margin grows"),
        (lambda p, w, v: np.multiply(0.5, with_step(p, w, v)), "half the right value"),
        (lambda p, w, v: with_step(p, v, w), "have the two responses changed places?"),
        (lambda p, w, v: with_step(p, w - 1, v - 1), "count from 0"),
    ],
}

WRONG["10.2"] += [
    (lambda m, e: -torch.sigmoid(-m) / (1 - 2 * e), "or DPO's slope was made steeper"),
    (
        lambda m, e: -torch.sigmoid(m) * torch.sigmoid(-m) / (1 - 2 * e),
        "both terms have σ' = σ(m) σ(−m)",
    ),
]
