"""Chapter 17: attempts at a round of exact DNO, averages of rounds, Nash-MD."""

import math

import numpy as np
import torch

from dpo_from_scratch import exact, world

GRAMMAR = np.array(world.HOUSE.first)
P = np.array([[0.5, 0.9, 0.1], [0.1, 0.5, 0.9], [0.9, 0.1, 0.5]])


def softmax(x):
    e = np.exp(x - np.max(x))
    return e / e.sum()


# ---------------------------------------------------------------- 17.0
def by_package(now, P, eta):
    return np.exp(exact.gibbs(np.log(now), P @ now, eta).log_probs)


def by_torch(now, P, eta):
    now, P = torch.tensor(now, dtype=torch.float32), torch.tensor(P, dtype=torch.float32)
    return (now.log() + P @ now / eta).softmax(0)


def by_loops(now, P, eta):
    out = []
    for i, share in enumerate(now):
        rate = sum(P[i][j] * now[j] for j in range(len(now)))
        out.append(share * math.exp(rate / eta))
    return [x / sum(out) for x in out]


def rounded(now, P, eta):
    grown = now * np.exp((P @ now - 0.5) / eta)
    return np.round(grown / grown.sum(), 3)


def from_log(now, P, eta):
    return np.log(now) + P @ now / eta


STEP_WRONG = [
    (lambda now, P, eta: softmax(np.log(now) + P.T @ now / eta), "the replies that lose gain"),
    (lambda now, P, eta: softmax(np.log(now) + now @ P / eta), "the replies that lose gain"),
    (lambda now, P, eta: softmax(np.log(now) - P @ now / eta), "the replies that lose gain"),
    (lambda now, P, eta: softmax(P @ now / eta), "from even shares"),
    (lambda now, P, eta: softmax(np.log(now) + eta * (P @ now)), "a larger η must make"),
    (lambda now, P, eta: softmax(np.log(now) + P @ now), "η is left out"),
    (lambda now, P, eta: now * np.exp(P @ now / eta), "add up to 1"),
    (lambda now, P, eta: now * np.exp(P @ now / eta) / len(now), "add up to 1"),
    (lambda now, P, eta: from_log(now, P, eta) - np.log(np.exp(from_log(now, P, eta)).sum()),
     "those are log-probabilities"),
    (from_log, "add up to 1"),
    (lambda now, P, eta: softmax(now + P @ now / eta), "not as logarithms"),
    (lambda now, P, eta: softmax((np.log(now) + P @ now) / eta), "divides the logarithm"),
    (lambda now, P, eta: softmax(np.log(now) + P.mean(1) / eta), "plays against even shares"),
    (lambda now, P, eta: softmax(np.log(now) + P.sum(axis=1) / eta), "added up over"),
    (lambda now, P, eta: softmax(np.log(now) + (P * now).max(1) / eta), ""),
    (lambda now, P, eta: softmax(np.log(now) + P.max(1) / eta), "easiest opponent"),
    (lambda now, P, eta: softmax(np.log(now) + np.log(P @ now / (1 - P @ now)) / eta), "log-odds"),
    (lambda now, P, eta: softmax(np.log(now) + now * (P @ now) / eta), "the reply's own share"),
    (lambda now, P, eta: softmax(np.log(now) + (2 * P - 1) @ now / eta), "twice as long as asked"),
    (lambda now, P, eta: softmax(np.log(now) + P @ now / eta**2), "`eta` goes in twice"),
    (lambda now, P, eta: now * (P @ now) / (now @ P @ now), "the exponential is missing"),
    (lambda now, P, eta: (lambda x: x / x.sum())(now * (1 + P @ now / eta)), "straight beginning"),
    (lambda now, P, eta: np.exp(P @ now / eta), "present policy is left out"),
    (lambda now, P, eta: by_package(by_package(now, P, eta), P, eta), "two rounds"),
    (lambda now, P, eta: np.eye(len(now))[(P @ now).argmax()], "a Gibbs step leaves"),
    (lambda now, P, eta: P @ now / 1.0, "the step is missing"),
    (lambda now, P, eta: 1.0 * now, "doesn't move"),
    (lambda now, P, eta: softmax(2 * np.log(now) + P @ now / eta), "squared"),
    (lambda now, P, eta: 0.5 * now + 0.5 * by_package(now, P, eta), "mixed with the present one"),
    (lambda now, P, eta: softmax(np.log(now) + np.log(np.exp(P / eta) @ now)), "of its own"),
    (lambda now, P, eta: softmax(-P @ now / eta), "two things"),
    (lambda now, P, eta: float(max(P @ now)), "one number"),
]  # fmt: skip
STEP_WRONG = [(f, why) for f, why in STEP_WRONG if why]


# ---------------------------------------------------------------- 17.1
def path_of(eta, rounds, P=P, start=None, step=None):
    """The policies, the start first."""
    path = [GRAMMAR]
    for _ in range(rounds):
        now = path[-1]
        ref = now if start is None else start
        path.append(by_package(now, P, eta) if step is None else step(now, ref))
    return np.array(path)


def average_torch(eta, rounds):
    now, total = torch.tensor(GRAMMAR), torch.zeros(3).double()
    for _ in range(rounds):
        now = torch.softmax(now.log() + torch.tensor(P) @ now / eta, 0)
        total = total + now
    return (torch.tensor(P) @ (total / rounds)).max()


def average_loops(eta, rounds):
    now, total = list(GRAMMAR), [0.0] * 3
    for _ in range(rounds):
        now = by_loops(np.array(now), P, eta)
        total = [a + b for a, b in zip(total, now, strict=True)]
    mean = [t / rounds for t in total]
    return round(max(sum(P[i][j] * mean[j] for j in range(3)) for i in range(3)), 3)


def worst(policy):
    return (P @ policy).max()


def fixed(eta, rounds):
    step = lambda now, ref: softmax(np.log(ref) + P @ now / eta)
    return path_of(eta, rounds, start=GRAMMAR, step=step)


def geometric(eta, rounds):
    return worst(softmax(np.log(path_of(eta, rounds)[1:]).mean(0)))


def iterated_dpo(eta, rounds):
    def step(now, ref):
        fit = exact.fit_bradley_terry(np.outer(now, now) * P, prior=1e-6).scores
        return softmax(np.log(now) + fit / eta)

    return worst(path_of(eta, rounds, step=step)[1:].mean(0))


AVERAGE_WRONG = [
    (lambda eta, rounds: worst(path_of(eta, rounds).mean(0)), "before the first round"),
    (lambda eta, rounds: worst(path_of(eta, rounds)[-1]), "the last round's"),
    (lambda eta, rounds: np.mean([worst(p) for p in path_of(eta, rounds)[1:]]), "mean policy"),
    (lambda eta, rounds: np.mean([worst(p) for p in path_of(eta, rounds)]), "the start's among"),
    (lambda eta, rounds: worst(path_of(eta, rounds - 1)[1:].mean(0)), "a round is missing"),
    (lambda eta, rounds: worst(path_of(eta, rounds)[:-1].mean(0)), "the last round doesn't"),
    (lambda eta, rounds: worst(path_of(eta, rounds + 1)[1:].mean(0)), "one round too many"),
    (lambda eta, rounds: worst(path_of(eta, rounds)[2:].mean(0)), "the first round is left out"),
    (lambda eta, rounds: min(map(worst, path_of(eta, rounds)[1:])), "least exploitable"),
    (lambda eta, rounds: worst(fixed(eta, rounds)[1:].mean(0)), "stays at the grammar"),
    (lambda eta, rounds: worst(path_of(eta, rounds, P.T)[1:].mean(0)), "the wrong way round"),
    (lambda eta, rounds: (path_of(eta, rounds)[1:].mean(0) @ P).max(), "the wrong way round"),
    (lambda eta, rounds: worst(path_of(1 / eta, rounds)[1:].mean(0)), "must make shorter steps"),
    (geometric, "logarithms of the policies"),
    (iterated_dpo, "iterated DPO's"),
    (lambda eta, rounds: worst(path_of(eta, rounds)[1:].mean(0)) - 0.5, "above one half"),
    (lambda eta, rounds: float((P @ path_of(eta, rounds)[1:].mean(0)).mean()), "one half for any"),
    (lambda eta, rounds: (P @ path_of(eta, rounds)[1:].mean(0)).min(), "the worst reply's"),
    (lambda eta, rounds: worst(path_of(eta, rounds)[-(rounds // 2) :].mean(0)), "later half"),
    (lambda eta, rounds: path_of(eta, rounds)[1:].mean(0), "3 numbers"),
    (lambda eta, rounds: worst(path_of(1.0, rounds)[1:].mean(0)), "`eta` is left out"),
    (lambda eta, rounds: worst(path_of(eta, 40)[1:].mean(0)), "doesn't look at `rounds`"),
    (lambda eta, rounds: path_of(eta, rounds).mean(), "doesn't look at"),
]


# ---------------------------------------------------------------- 17.2
def md(eta, alpha, rounds):
    now = GRAMMAR
    for _ in range(rounds):
        mix = now ** (1 - alpha) * GRAMMAR**alpha
        mix /= mix.sum()
        now = by_package(mix, P, eta)
    return now


def md_logs(eta, alpha, rounds):
    base = torch.tensor(GRAMMAR).float().log()
    now = base.clone()
    for _ in range(rounds):
        mix = torch.log_softmax((1 - alpha) * now + alpha * base, 0)
        now = torch.log_softmax(mix + torch.tensor(P).float() @ mix.exp() / eta, 0)
    return now.exp()


def md_list(eta, alpha, rounds):
    now = list(GRAMMAR)
    for _ in range(rounds):
        mix = [n ** (1 - alpha) * g**alpha for n, g in zip(now, GRAMMAR, strict=True)]
        mix = [m / sum(mix) for m in mix]
        now = by_loops(np.array(mix), P, eta)
    return [round(float(x), 3) for x in now]


def md_wrong(step):
    """Nash-MD with another round: step(now, mix, eta, alpha) -> the next policy."""

    def attempt(eta, alpha, rounds):
        now = GRAMMAR
        for _ in range(rounds):
            mix = now ** (1 - alpha) * GRAMMAR**alpha
            now = step(now, mix / mix.sum(), eta, alpha)
        return now

    return attempt


def to(start, against, eta):
    return softmax(np.log(start) + P @ against / eta)


def exchanged(now, mix, eta, alpha):
    mix = now**alpha * GRAMMAR ** (1 - alpha)
    return to(mix / mix.sum(), mix / mix.sum(), eta)


def straight(now, mix, eta, alpha):
    mix = (1 - alpha) * now + alpha * GRAMMAR
    return to(mix, mix, eta)


def no_norm(now, mix, eta, alpha):
    mix = now ** (1 - alpha) * GRAMMAR**alpha
    return to(mix, mix, eta)


def last_mixture(eta, alpha, rounds):
    now = md(eta, alpha, rounds - 1)
    mix = now ** (1 - alpha) * GRAMMAR**alpha
    return mix / mix.sum()


MD_WRONG = [
    (md_wrong(lambda now, mix, eta, alpha: to(now, mix, eta)), "leaves from the policy itself"),
    (md_wrong(lambda now, mix, eta, alpha: to(mix, now, eta)), "opponent is the policy itself"),
    (md_wrong(lambda now, mix, eta, alpha: to(now, now, eta)), "plain DNO"),
    (md_wrong(lambda now, mix, eta, alpha: to(GRAMMAR, mix, eta)), "the fixed reference"),
    (md_wrong(lambda now, mix, eta, alpha: to(GRAMMAR, now, eta)), "with a fixed reference"),
    (md_wrong(lambda now, mix, eta, alpha: to(mix, GRAMMAR, eta)), "always the grammar"),
    (md_wrong(lambda now, mix, eta, alpha: to(mix, mix, alpha * eta)), "charged at αη"),
    (md_wrong(lambda now, mix, eta, alpha: to(mix, mix, alpha)), "α stands where η belongs"),
    (md_wrong(lambda now, mix, eta, alpha: to(mix, mix, 1 / eta)), "must make shorter steps"),
    (md_wrong(lambda now, mix, eta, alpha: to(mix, mix, 1.0)), "`eta` is left out"),
    (md_wrong(lambda now, mix, eta, alpha: to(mix, mix @ P - P @ mix, eta)), ""),
    (md_wrong(lambda now, mix, eta, alpha: softmax(np.log(mix) + P.T @ mix / eta)), "wrong way"),
    (md_wrong(exchanged), "the weights are exchanged"),
    (md_wrong(straight), "weighted mean of shares"),
    (md_wrong(no_norm), "the mixture needs a norm"),
    (lambda eta, alpha, rounds: md(eta, alpha, rounds + 1), "one round too many"),
    (lambda eta, alpha, rounds: md(eta, alpha, rounds - 1), "a round is missing"),
    (lambda eta, alpha, rounds: np.log(md(eta, alpha, rounds)), "log-probabilities"),
    (lambda eta, alpha, rounds: np.mean([md(eta, alpha, t + 1) for t in range(rounds)], 0),
     "average of the rounds"),
    (lambda eta, alpha, rounds: worst(md(eta, alpha, rounds)), "one number"),
    (lambda eta, alpha, rounds: P @ md(eta, alpha, rounds), "how often each reply beats"),
    (last_mixture, "the mixture of the last round"),
]  # fmt: skip
MD_WRONG = [(f, why) for f, why in MD_WRONG if why]

RIGHT = {
    "17.0": [by_package, by_torch, by_loops, rounded],
    "17.1": [
        lambda eta, rounds: exact.exploitability(path_of(eta, rounds)[1:].mean(0), P),
        average_torch,
        average_loops,
    ],
    "17.2": [md, md_logs, md_list],
}
WRONG = {"17.0": STEP_WRONG, "17.1": AVERAGE_WRONG, "17.2": MD_WRONG}
