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
    (lambda now, P, eta: float(max(P @ now)), "how often the best reply"),
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
    (lambda eta, rounds: float((P @ path_of(eta, rounds)[1:].mean(0)).mean()), "one half whatever"),
    (lambda eta, rounds: (P @ path_of(eta, rounds)[1:].mean(0)).min(), "the worst reply's"),
    (lambda eta, rounds: worst(path_of(eta, rounds)[-(rounds // 2) :].mean(0)), "later half"),
    (lambda eta, rounds: path_of(eta, rounds)[1:].mean(0), "that is the mean policy"),
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
    (md_wrong(lambda now, mix, eta, alpha: to(mix, mix, 1.0)), "η is left out"),
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
    (lambda eta, alpha, rounds: worst(md(eta, alpha, rounds)), "how often the best reply"),
    (lambda eta, alpha, rounds: P @ md(eta, alpha, rounds), "how often each reply beats"),
    (last_mixture, "the mixture of the last round"),
]  # fmt: skip
MD_WRONG = [(f, why) for f, why in MD_WRONG if why]

# ---------------------------------------------------------------- more of them
norm = lambda x: x / x.sum()
even = np.ones(3) / 3


def fict(e, r):
    path = [GRAMMAR]
    for _ in range(r):
        a = np.mean(path, 0)
        path.append(softmax(np.log(path[-1]) + P @ a / e))
    return worst(np.mean(path[1:], 0))


def evenstart(e, r):
    now = np.ones(3) / 3 + np.array([0.01, 0, -0.01])
    now = np.ones(3) / 3
    path = []
    for _ in range(r):
        now = by_package(now, P, e)
        path.append(now)
    return np.mean(path, 0)


def prev(eta, alpha, rounds):
    before = now = GRAMMAR
    for _ in range(rounds):
        mix = now ** (1 - alpha) * before**alpha
        mix /= mix.sum()
        before, now = now, to(mix, mix, eta)
    return now


def step_then_mix(e, a, r):
    now = GRAMMAR
    for _ in range(r):
        now = to(now, now, e)
        now = norm(now ** (1 - a) * GRAMMAR**a)
    return now


def evb(e, a, r):
    now = even
    for _ in range(r):
        m = norm(now ** (1 - a) * GRAMMAR**a)
        now = to(m, m, e)
    return now


def unn(e, a, r):
    now = GRAMMAR
    for _ in range(r):
        m = norm(now ** (1 - a) * GRAMMAR**a)
        out = m * np.exp(P @ m / e)
        now = norm(out)
    return out


def compounding(e, a, r):
    now = ref = GRAMMAR
    for _ in range(r):
        ref = norm(now ** (1 - a) * ref**a)
        now = to(ref, ref, e)
    return now


def avgopp(e, a, r):
    path = [GRAMMAR]
    for _ in range(r):
        m = norm(path[-1] ** (1 - a) * GRAMMAR**a)
        path.append(to(m, np.mean(path, 0), e))
    return path[-1]


STEP_WRONG += [
    (
        lambda now, P, eta: softmax(np.log(now) + np.log(P @ now) / eta),
        "a logarithm of the win rates is taken",
    ),
    (
        lambda now, P, eta: softmax(np.log(now) + np.log(P / (1 - P)) @ now / eta),
        "the table has become log-odds",
    ),
    (
        lambda now, P, eta: softmax(np.log(now) + np.log(P) @ now / eta),
        "the logarithm of `P` stands in place of `P`",
    ),
    (
        lambda now, P, eta: softmax(np.log(now) + (P @ now / (1 - P @ now)) / eta),
        "the win rates have become odds",
    ),
    (
        lambda now, P, eta: softmax(np.log(now) + 1 / (1 + np.exp(-(P @ now))) / eta),
        "a σ is taken of the win rates",
    ),
    (
        lambda now, P, eta: softmax(np.log(GRAMMAR) + P @ now / eta),
        "the step leaves from the grammar",
    ),
    (
        lambda now, P, eta: softmax(np.log(GRAMMAR) + P @ GRAMMAR / eta),
        "the grammar is both opponent and start",
    ),
    (lambda now, P, eta: softmax(np.log(now) + P @ GRAMMAR / eta), "the opponent is the grammar"),
    (lambda now, _, eta: softmax(np.log(now) + P @ now / eta), "it takes the chapter's table"),
    (lambda now, P, eta: softmax(softmax(np.log(now) + P @ now / eta)), "a softmax is taken twice"),
    (
        lambda now, P, eta: softmax(now * np.exp(P @ now / eta)),
        "the shares go through a softmax after they were made",
    ),
    (lambda now, P, eta: softmax(np.log(now) + (P @ now - 0.5)), "η is left out"),
    (lambda now, P, eta: softmax(np.log(now) + (P @ now + eta)), "η is left out"),
    (
        lambda now, P, eta: softmax(np.log(now) + (P @ now - now @ P @ now) / eta * 2),
        "the step is twice as long as asked",
    ),
    (
        lambda now, P, eta: softmax(np.log(now) + ((P @ now - 0.5 * now) / (1 - now)) / eta),
        "a reply plays against the others alone",
    ),
    (
        lambda now, P, eta: softmax(np.log(now) + ((P * (1 - np.eye(len(now)))) @ now) / eta),
        "a reply doesn't play against itself",
    ),
    (
        lambda now, P, eta: softmax(np.log(now) + P.min(1) / eta),
        "a reply's hardest opponent counts alone",
    ),
    (
        lambda now, P, eta: softmax(np.log(now) + P @ now / len(now) / eta),
        "the win rates are divided by the number of replies",
    ),
    (
        lambda now, P, eta: softmax(np.log(now) + (now * P.mean(1)) / eta),
        "each win rate against even shares is multiplied by the r",
    ),
    (
        lambda now, P, eta: softmax(np.log(now) + (now @ P @ now) / eta),
        "that is the present policy",
    ),
    (
        lambda now, P, eta: softmax(np.log10(now) + P @ now / eta),
        "the logarithm of the present shares is to base 10",
    ),
    (
        lambda now, P, eta: softmax(np.log2(now) + P @ now / eta),
        "the logarithm of the present shares is to base 2",
    ),
    (
        lambda now, P, eta: (lambda x: x / x.sum())(
            now ** (1 / (1 + eta)) * np.exp(P @ now / (1 + eta))
        ),
        "1 + η divides the win rates and the logarithms",
    ),
    (
        lambda now, P, eta: (lambda x: x / x.sum())(now * 2 ** (P @ now / eta)),
        "2 to a power stands in place of e to it",
    ),
    (
        lambda now, P, eta: (lambda x: x / x.sum())(now + np.exp(P @ now / eta)),
        "the shares and the exponentials are added up",
    ),
    (
        lambda now, P, eta: (lambda x: x / x.max())(now * np.exp(P @ now / eta)),
        "the shares are divided by the largest",
    ),
    (
        lambda now, P, eta: (lambda x: x / np.linalg.norm(x))(now * np.exp(P @ now / eta)),
        "shares must add up to 1",
    ),
    (
        lambda now, P, eta: (lambda x: x / x.sum())(now + P @ now / eta),
        "the rewards are added to the shares themselves",
    ),
    (
        lambda now, P, eta: (lambda x: x / x.sum())(now + now * (P @ now - now @ P @ now) / eta),
        "the exponential is missing",
    ),
    (lambda now, P, eta: softmax(P.mean(1) / eta), "the start and the opponent are even shares"),
    (lambda now, P, eta: softmax(P @ now), "both η and the present policy are left out"),
    (lambda now, P, eta: softmax(P.T @ now / eta), "Second: the step leaves from even shares"),
    (
        lambda now, P, eta: softmax(np.log(now) + P[:, now.argmax()] / eta),
        "only the policy's most frequent reply is the opponent",
    ),
    (
        lambda now, P, eta: float((P @ now).max()),
        "that is how often the best reply beats the policy",
    ),
    (lambda now, P, eta: by_package(now, P, eta) - now, "that is by how much each share changes"),
    (lambda now, P, eta: by_package(now, P, eta) / now, "that is each share over its old one"),
    (lambda now, P, eta: int((P @ now).argmax()), "that is the number of the reply that wins most"),
    (lambda now, P, eta: np.sort(by_package(now, P, eta)), "the right shares"),
    (
        lambda now, P, eta: softmax(np.log(now) + P @ now / eta**0.5),
        "the root of η divides the win rates",
    ),
    (
        lambda now, P, eta: softmax(np.log(now) + P @ now / (2 * eta)),
        "the step is half as long as asked",
    ),
    (
        lambda now, P, eta: softmax(np.log(now) + (P - P.T) @ now / eta),
        "the step is twice as long as asked",
    ),
    (
        lambda now, P, eta: softmax(np.log(now) + ((P > 0.5) * 1.0) @ now / eta),
        "the table is rounded to 0 and 1",
    ),
    (
        lambda now, P, eta: softmax(np.log(now) + ((P @ now) > 0.5) * 1.0 / eta),
        "only whether a reply wins more than it loses counts",
    ),
    (
        lambda now, P, eta: [
            now[i] * math.exp(sum(P[i][j] * now[j] for j in range(3)) / eta) for i in range(3)
        ],
        "the shares don't add up to 1",
    ),
    (
        lambda now, P, eta: softmax(np.log(now) + (P @ now) / now / eta),
        "each win rate is divided by the reply's own share before",
    ),
]
AVERAGE_WRONG += [
    (
        lambda e, r: worst(path_of(e, r)[1:][r // 2 :].mean(0)),
        "only the later half of the rounds is averaged",
    ),
    (
        lambda e, r: worst(path_of(e, r)[r // 2 :].mean(0)),
        "only the later half of the rounds is averaged",
    ),
    (
        lambda e, r: worst(path_of(e, r)[r // 2 + 1 :].mean(0)),
        "only the later half of the rounds is averaged",
    ),
    (
        lambda e, r: worst(path_of(e, r)[-(r + 1) // 2 :].mean(0)),
        "only the later half of the rounds is averaged",
    ),
    (
        lambda e, r: worst(path_of(e, r)[1 : r // 2 + 1].mean(0)),
        "only the first half of the rounds is averaged",
    ),
    (lambda e, r: worst(path_of(e, r)[-10:].mean(0)), "only the last ten rounds are averaged"),
    (lambda e, r: worst(path_of(e, r)[1:].mean(0)) * 2 - 1, "that is twice the way above one half"),
    (lambda e, r: worst(GRAMMAR), "that is the grammar's exploitability"),
    (
        lambda e, r: worst((GRAMMAR + path_of(e, r)[-1]) / 2),
        "only the start and the last round are averaged",
    ),
    (
        lambda e, r: worst(path_of(e, r)[1:].sum(0)),
        "the rounds are added up and not divided by their number",
    ),
    (
        lambda e, r: worst(path_of(e, r)[1:].sum(0) / (r + 1)),
        "the sum of the rounds is divided by one more than their ",
    ),
    (lambda e, r: worst(path_of(e, r).sum(0) / r), "the start is in the sum"),
    (lambda e, r: fict(e, r), "the opponent is the average of all rounds so far"),
    (lambda e, r: worst(path_of(e, r)[1:].mean(0)) * e, "yours is the right value times `eta`"),
    (
        lambda e, r: (lambda m: m @ P @ m)(path_of(e, r)[1:].mean(0)),
        "that is one half whatever η and the rounds are",
    ),
    (lambda e, r: path_of(e, r)[1:].mean(0).max(), "that is the largest share of the mean policy"),
    (
        lambda e, r: (lambda m: -(m * np.log(m)).sum())(path_of(e, r)[1:].mean(0)),
        "that is the entropy of the mean policy",
    ),
    (
        lambda e, r: np.abs(path_of(e, r)[1:].mean(0) - 1 / 3).max(),
        "that is how far a share lies from a third",
    ),
    (
        lambda e, r: (lambda m: (m * np.log(m / GRAMMAR)).sum())(path_of(e, r)[1:].mean(0)),
        "that is the mean policy's KL from the grammar",
    ),
    (
        lambda e, r: worst(np.exp(np.log(path_of(e, r)[1:]).mean(0))),
        "the geometric means of the rounds are taken",
    ),
    (
        lambda e, r: worst(
            path_of(
                e,
                r,
                step=lambda now, ref: softmax(np.log(now) + np.log(P @ now / (1 - P @ now)) / e),
            )[1:].mean(0)
        ),
        "the win rates have become log-odds",
    ),
    (lambda e, r: worst(evenstart(e, r)), "that is one half whatever η and the rounds are"),
    (lambda e, r: [worst(p) for p in path_of(e, r)[1:]], "that is each round's exploitability"),
    (
        lambda e, r: int((P @ path_of(e, r)[1:].mean(0)).argmax()),
        "that is the number of the best reply",
    ),
    (
        lambda e, r: np.median([worst(p) for p in path_of(e, r)[1:]]),
        "that is the median of the rounds' exploitabilities",
    ),
    (lambda e, r: worst(path_of(e, r + 1)[-1]), "that is the figure of one round"),
    (lambda e, r: worst(path_of(e, r)[-2]), "Second: a round is missing"),
    (
        lambda e, r: np.mean([worst(path_of(e, r)[1 : t + 1].mean(0)) for t in range(1, r + 1)]),
        "the average is made anew after each round",
    ),
    (
        lambda e, r: min([worst(path_of(e, r)[1 : t + 1].mean(0)) for t in range(1, r + 1)]),
        "that is the least exploitable of the averages on the way",
    ),
    (
        lambda e, r: (P.T @ path_of(e, r)[1:].mean(0)).max(),
        "P is read the wrong way round somewhere",
    ),
    (
        lambda e, r: worst(fixed(e, r).mean(0)),
        "Second: the reference stays at the grammar: here it move",
    ),
    (
        lambda e, r: worst(fixed(e, r)[-1]),
        "Second: the reference stays at the grammar: here it move",
    ),
    (lambda e, r: worst(path_of(1.0, r).mean(0)), "it doesn't look at `eta`"),
    (
        lambda e, r: worst(path_of(e, r)[1:].mean(0)) - worst(GRAMMAR),
        "that is the change from the grammar's exploitability",
    ),
    (lambda e, r: worst(path_of(2 * e, r)[1:].mean(0)), "`eta` goes in doubled"),
    (lambda e, r: 0.5, "that is one half whatever η and the rounds are"),
    (lambda e, r: worst(path_of(e / r, r)[1:].mean(0)), "η is divided by the number of rounds"),
    (
        lambda e, r: worst(
            path_of(e, r, step=lambda now, ref: softmax(np.log(now) + P.mean(1) / e))[1:].mean(0)
        ),
        "that is the grammar's exploitability",
    ),
    (
        lambda e, r: worst(
            path_of(e, r, step=lambda now, ref: softmax(np.log(now) + P @ GRAMMAR / e))[1:].mean(0)
        ),
        "the opponent is the grammar in each round",
    ),
]
MD_WRONG += [
    (prev, "the mixture is with the policy of the round before"),
    (
        md_wrong(
            lambda now, mix, eta, a: (lambda m: to(m, m, eta))(norm(now ** (1 - a) * even**a))
        ),
        "the mixture is with even shares",
    ),
    (
        md_wrong(lambda now, mix, eta, a: (lambda m: to(m, m, eta))(norm(now ** (1 - a)))),
        "the mixture is with even shares",
    ),
    (
        md_wrong(lambda now, mix, eta, a: (lambda m: to(m, m, eta))(norm(now * GRAMMAR**a))),
        "the policy stands in the mixture with the power 1",
    ),
    (md_wrong(lambda now, mix, eta, a: to(mix, even, eta)), "that is the grammar"),
    (
        md_wrong(lambda now, mix, eta, a: softmax(P @ mix / eta)),
        "each step leaves from even shares",
    ),
    (
        md_wrong(lambda now, mix, eta, a: to(mix, mix, eta / a)),
        "a nat is charged at η/α in each step",
    ),
    (md_wrong(lambda now, mix, eta, a: to(mix, mix, eta * (1 - a))), "a nat is charged at"),
    (
        md_wrong(lambda now, mix, eta, a: (lambda m: to(now, m, eta))((1 - a) * now + a * GRAMMAR)),
        "Second: the mixture is a weighted mean of shares",
    ),
    (
        md_wrong(lambda now, mix, eta, a: to(mix, (1 - a) * now + a * GRAMMAR, eta)),
        "the opponent is a weighted mean of shares",
    ),
    (
        md_wrong(lambda now, mix, eta, a: to((1 - a) * now + a * GRAMMAR, mix, eta)),
        "each step leaves from a weighted mean of shares",
    ),
    (lambda e, a, r: norm(path_of(e, r)[-1] ** (1 - a) * GRAMMAR**a), "that is DNO"),
    (step_then_mix, "that is a mixture"),
    (
        md_wrong(lambda now, mix, eta, a: to(mix, norm(now**a * GRAMMAR ** (1 - a)), eta)),
        "in the opponent the weights are exchanged",
    ),
    (
        md_wrong(lambda now, mix, eta, a: to(norm(now**a * GRAMMAR ** (1 - a)), mix, eta)),
        "where the step starts the weights are exchanged",
    ),
    (
        md_wrong(lambda now, mix, eta, a: softmax(np.log(mix) + P @ mix * eta)),
        "a larger η must make shorter steps",
    ),
    (
        md_wrong(lambda now, mix, eta, a: softmax((np.log(mix) + P @ mix) / eta)),
        "η divides the logarithm of the mixture",
    ),
    (md_wrong(lambda now, mix, eta, a: norm(mix * (P @ mix))), "the exponential is missing"),
    (
        md_wrong(lambda now, mix, eta, a: norm(mix * (1 + P @ mix / eta))),
        "the exponential is missing",
    ),
    (
        md_wrong(
            lambda now, mix, eta, a: softmax(np.log(mix) + np.log(P @ mix / (1 - P @ mix)) / eta)
        ),
        "the win rates have become log-odds",
    ),
    (
        md_wrong(lambda now, mix, eta, a: (lambda m: to(m, m, eta))(norm(now**0.9 * GRAMMAR**0.1))),
        "it doesn't look at `alpha`",
    ),
    (evb, "it begins at even shares"),
    (
        lambda e, a, r: np.array([md(e, a, t + 1) for t in range(r)]),
        "those are the policies of all rounds",
    ),
    (lambda e, a, r: worst(md(e, a, r)), "that is how often the best reply beats the policy"),
    (
        lambda e, a, r: (md(e, a, r) + md(e, a, r - 1)) / 2,
        "that is the mean of the last two rounds",
    ),
    (
        lambda e, a, r: np.mean([md(e, a, t) for t in range(r + 1)], 0),
        "that is the average of the rounds and the start",
    ),
    (md_wrong(lambda now, mix, eta, a: to(GRAMMAR, GRAMMAR, eta)), "the mixture is nowhere"),
    (md_wrong(lambda now, mix, eta, a: mix * np.exp(P @ mix / eta)), "shares must add up to 1"),
    (unn, "shares must add up to 1"),
    (lambda e, a, r: md(e, a, 200), "it doesn't look at `rounds`"),
    (
        md_wrong(lambda now, mix, eta, a: softmax(np.log(mix) + P @ now / (eta))),
        "the opponent is the policy itself",
    ),
    (
        md_wrong(lambda now, mix, eta, a: (lambda q: to(q, q, eta))(to(mix, mix, eta))),
        "there are two steps in a round",
    ),
    (
        md_wrong(lambda now, mix, eta, a: (lambda m: to(m, m, eta))(norm(np.sqrt(now * GRAMMAR)))),
        "the mixture is the even one of the two",
    ),
    (
        md_wrong(
            lambda now, mix, eta, a: (lambda m: to(m, m, eta))(
                norm(now ** (1 - a / 2) * GRAMMAR ** (a / 2))
            )
        ),
        "`alpha` goes in halved",
    ),
    (
        md_wrong(
            lambda now, mix, eta, a: (lambda m: to(m, m, eta))(
                norm(now ** (1 + a) * GRAMMAR ** (-a))
            )
        ),
        "`alpha` goes in with the wrong sign",
    ),
    (
        md_wrong(
            lambda now, mix, eta, a: (lambda m: to(m, m, eta))(
                norm(1 / ((1 - a) / now + a / GRAMMAR))
            )
        ),
        "the mixture is a harmonic one",
    ),
    (avgopp, "the opponent is the average of the rounds"),
    (compounding, "the mixture of one round is mixed again in the next"),
    (
        md_wrong(
            lambda now, mix, eta, a: (
                to(mix, mix, eta) if 0 else softmax(np.log(mix) - P @ mix / eta)
            )
        ),
        "the policy runs after replies that lose",
    ),
    (
        md_wrong(lambda now, mix, eta, a: np.eye(3)[(P @ mix).argmax()] * 0.999 + 0.001 / 3),
        "it doesn't look at `eta`",
    ),
]

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
