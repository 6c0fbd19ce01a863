"""Blind attempts of students at chapters 13 to 22 (written from the student edition alone)."""

import numpy as np
import torch

ATTEMPTS = []


def value(exercise, kind, mistake, attempt):
    """One attempt that is a number, a tuple, a dictionary ..."""
    ATTEMPTS.append(
        {"exercise": exercise, "kind": kind, "mistake": mistake, "attempt": attempt}
    )


def wrong(exercise, mistake):
    """Decorator of a function that makes this mistake."""

    def note(attempt):
        value(exercise, "wrong", mistake, attempt)
        return attempt

    return note


def right(exercise):
    """Decorator of a function that is right."""

    def note(attempt):
        value(exercise, "right", "", attempt)
        return attempt

    return note


# 13.3: the weight of a disliked row by its kind of prompt


@wrong("13.3", "compares counts, not shares")
def _(of_kind, up):
    return ((of_kind & up).sum() / (of_kind & ~up).sum()).item()


@wrong("13.3", "divides the wrong way round: disliked by liked")
def _(of_kind, up):
    return (of_kind[~up].float().mean() / of_kind[up].float().mean()).item()


@wrong("13.3", "compares with the share among all rows, not among the disliked")
def _(of_kind, up):
    return (of_kind[up].double().mean() / of_kind.double().mean()).item()


@wrong("13.3", "takes 'how much more often' as a difference of shares")
def _(of_kind, up):
    return (of_kind[up].double().mean() - of_kind[~up].double().mean()).item()


@wrong("13.3", "hands in the share among the liked rows, before the division")
def _(of_kind, up):
    return of_kind[up].double().mean().item()


@wrong("13.3", "compares odds of the kind in place of shares")
def _(of_kind, up):
    odds = [of_kind[x].sum() / (~of_kind[x]).sum() for x in (up, ~up)]
    return (odds[0] / odds[1]).item()


@wrong("13.3", "takes the log, as for a log-ratio")
def _(of_kind, up):
    return np.log(of_kind[up].double().mean() / of_kind[~up].double().mean()).item()


@wrong("13.3", "takes the share of thumbs up within the kind as its weight")
def _(of_kind, up):
    return up[of_kind].double().mean().item()


@wrong("13.3", "adds one to each count, so that nothing is divided by zero")
def _(of_kind, up):
    shares = [(of_kind[x].sum() + 1) / (x.sum() + 2) for x in (up, ~up)]
    return (shares[0] / shares[1]).item()


@right("13.3")
def _(of_kind, up):
    return (of_kind[up].double().mean() / of_kind[~up].double().mean()).item()


@right("13.3")
def _(of_kind, up):
    kind, liked = np.asarray(of_kind), np.asarray(up)
    of_liked = np.sum(kind & liked) / np.sum(liked)
    return of_liked / (np.sum(kind & ~liked) / np.sum(~liked))


@right("13.3")
def _(of_kind, up):
    ups = downs = kind_up = kind_down = 0
    for k, u in zip(of_kind.tolist(), up.tolist(), strict=True):
        ups, downs = ups + u, downs + (not u)
        kind_up, kind_down = kind_up + (k and u), kind_down + (k and not u)
    return kind_up * downs / (ups * kind_down)


# 15.0: wins of all rounds


@wrong("15.0", "one round too many: `parts` rounds after the author's")
def _(author, parts, label_of, policy_of):
    won = label_of(author)
    for _ in range(parts):
        won = won + label_of(policy_of(won))
    return won


@wrong("15.0", "fits the policy to the last round's wins only")
def _(author, parts, label_of, policy_of):
    new = won = label_of(author)
    for _ in range(parts - 1):
        new = label_of(policy_of(new))
        won = won + new
    return won


@wrong("15.0", "lets the author write every round, as if it were offline")
def _(author, parts, label_of, policy_of):
    return sum(label_of(author) for _ in range(parts))


@wrong("15.0", "fits once after the first round and samples this policy to the end")
def _(author, parts, label_of, policy_of):
    won = label_of(author)
    policy = policy_of(won)
    for _ in range(parts - 1):
        won = won + label_of(policy)
    return won


@wrong("15.0", "gives the last round's wins, not the sum of all")
def _(author, parts, label_of, policy_of):
    won = new = label_of(author)
    for _ in range(parts - 1):
        new = label_of(policy_of(won))
        won = won + new
    return new


@wrong("15.0", "averages the rounds in place of adding them")
def _(author, parts, label_of, policy_of):
    won = label_of(author)
    for _ in range(parts - 1):
        won = won + label_of(policy_of(won))
    return won / parts


@wrong("15.0", "returns the policy that the loop ends with, not the wins")
def _(author, parts, label_of, policy_of):
    won, log_pi = 0, author
    for _ in range(parts):
        won = won + label_of(log_pi)
        log_pi = policy_of(won)
    return log_pi


@wrong("15.0", "labels half way between the author and the policy")
def _(author, parts, label_of, policy_of):
    won = label_of(author)
    for _ in range(parts - 1):
        won = won + label_of(np.logaddexp(author, policy_of(won)) - np.log(2))
    return won


@wrong("15.0", "counts a pair for both sides, games for wins")
def _(author, parts, label_of, policy_of):
    won = label_of(author)
    for _ in range(parts - 1):
        won = won + label_of(policy_of(won))
    return won + won.T


@right("15.0")
def _(author, parts, label_of, policy_of):
    won = label_of(author)
    for _ in range(parts - 1):
        won = won + label_of(policy_of(won))
    return won


@right("15.0")
def _(author, parts, label_of, policy_of):
    rounds = [label_of(author)]
    while len(rounds) < parts:
        rounds.append(label_of(policy_of(np.sum(rounds, axis=0))))
    return np.sum(rounds, axis=0)


@right("15.0")
def _(author, parts, label_of, policy_of):
    won, writer = 0.0, author
    for at in range(parts):
        won = won + label_of(writer)
        if at + 1 < parts:
            writer = policy_of(won)
    return won


# 15.1: standard errors about pi*'s texts are 0.6268 (other author), 0.5113, 0.3768 (pi*)

value("15.1", "wrong", "the ratio of the errors, not squared", (1.226, 1.664))
value("15.1", "wrong", "upside down: what one label of the other is worth", (0.665, 0.361))
value("15.1", "wrong", "gives the two in the other order", (2.767, 1.503))
# (0.4859 / 0.4254) ** 2, (0.6268 / 0.4254) ** 2
value("15.1", "wrong", "reads the other author's row in place of a column", (1.305, 2.171))
# (0.5113 / 0.3768) ** 2
value("15.1", "wrong", "pi*'s price in labels of the grammar, a chain", (1.503, 1.842))
value("15.1", "wrong", "the number of labels that match 2,048, not the price", (3078, 5667))
value("15.1", "wrong", "compares each author on its own texts, the diagonal", (0.843, 1.274))
value("15.1", "wrong", "reads the column about the grammar's texts", (1.101, 0.293))
value("15.1", "wrong", "takes differences of the errors", (0.115, 0.250))
value("15.1", "right", "", (1.502698127089683, 2.767234473909058))
value("15.1", "right", "", [1.50, 2.77])
# from the printed table: (0.63 / 0.51) ** 2, (0.63 / 0.38) ** 2
value("15.1", "right", "", ((0.63 / 0.51) ** 2, (0.63 / 0.38) ** 2))


# 15.2: each set of four was computed in the mini world, seeds 0 to 7

value("15.2", "wrong", "reward - beta KL itself, not what is lost", (0.727, 0.794, 0.800, 0.803))
value("15.2", "wrong", "one seed, 0, for the mean of eight", (0.1505, 0.0777, 0.0729, 0.0736))
value("15.2", "wrong", "loss of reward alone, without the KL", (0.2370, 0.1525, 0.1115, 0.0386))
value("15.2", "wrong", "KL to the optimum, not times beta", (0.2480, 0.1352, 0.1255, 0.1213))
value("15.2", "wrong", "averages the rewards of the seeds first", (0.1194, 0.0602, 0.0526, 0.0500))
value("15.2", "wrong", "makes the policy with a beta of 1", (0.2396, 0.2101, 0.1991, 0.1796))
value("15.2", "wrong", "begins with the other author's pairs", (0.2662, 0.0908, 0.0725, 0.0820))
value("15.2", "wrong", "from most rounds to fewest", (0.0728, 0.0753, 0.0811, 0.1488))
value("15.2", "wrong", "the best seed in place of the mean", (0.1020, 0.0624, 0.0650, 0.0591))
value("15.2", "right", "", (0.14882041, 0.08110489, 0.07532822, 0.07278786))
value("15.2", "right", "", [0.149, 0.081, 0.075, 0.073])


# 15.3: mean lengths of ten samples for each test prompt, seed 0, from runs of 24 steps

value("15.3", "wrong", "counts words, not tokens", (18.74, 25.48, 19.83))
value("15.3", "wrong", "counts the prompt too", (26.74, 33.48, 27.83))
value("15.3", "wrong", "trains the honest rounds on after the others", (19.74, 26.48, 27.89))
value("15.3", "wrong", "leaves the preset's learning rate", (19.74, 24.61, 20.43))
value("15.3", "wrong", "the judge's default of 0.15 a word", (19.74, 24.57, 20.83))
value("15.3", "wrong", "8 steps in all, not 8 a round", (19.74, 23.39, 19.65))
value("15.3", "wrong", "gives the honest rounds second", (19.74, 20.83, 26.48))
value("15.3", "wrong", "how much the texts grow, not how long they are", (0.0, 6.73, 1.08))
# rule of thumb: an honest judge doesn't care, one with 0.3 a word adds 30 %
value("15.3", "wrong", "a guess by rule of thumb: 30 % longer", (19.74, 25.66, 19.74))
value("15.3", "right", "", (19.742, 26.475, 20.825))
value("15.3", "right", "", [19.7, 26.5, 20.8])
# the same runs, other samples: seed 5
value("15.3", "right", "", (20.98, 25.95, 20.82))


# 17.1 and 17.2: the panel's game

PANEL = np.array([[0.5, 0.9, 0.1], [0.1, 0.5, 0.9], [0.9, 0.1, 0.5]])
GRAMMAR = np.array([0.42, 0.42, 0.16])


def gibbs(start, rewards, eta):
    """Shares in proportion to start * exp(rewards / eta)."""
    logits = np.log(start) + rewards / eta
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def dno(eta, rounds):
    """The policies of all rounds, the grammar first."""
    path = [GRAMMAR]
    for _ in range(rounds):
        path.append(gibbs(path[-1], PANEL @ path[-1], eta))
    return np.array(path)


def worst(policy):
    """Exploitability."""
    return float((PANEL @ policy).max())


@wrong("17.1", "takes the grammar, round 0, into the average")
def _(eta, rounds):
    return worst(dno(eta, rounds).mean(0))


@wrong("17.1", "averages the rounds' exploitabilities, not the policies")
def _(eta, rounds):
    return float(np.mean([worst(p) for p in dno(eta, rounds)[1:]]))


@wrong("17.1", "the last round's exploitability, no average")
def _(eta, rounds):
    return worst(dno(eta, rounds)[-1])


@wrong("17.1", "the least exploitable round, no average")
def _(eta, rounds):
    return min(worst(p) for p in dno(eta, rounds)[1:])


@wrong("17.1", "keeps the grammar as the reference")
def _(eta, rounds):
    path = [GRAMMAR]
    for _ in range(rounds):
        path.append(gibbs(GRAMMAR, PANEL @ path[-1], eta))
    return worst(np.mean(path[1:], axis=0))


@wrong("17.1", "a large eta as a long step: multiplies by it")
def _(eta, rounds):
    return worst(dno(1 / eta, rounds)[1:].mean(0))


@wrong("17.1", "averages where the rounds start: the grammar in, the last round out")
def _(eta, rounds):
    return worst(dno(eta, rounds)[:-1].mean(0))


@wrong("17.1", "averages log-probabilities, then makes shares of them")
def _(eta, rounds):
    mean = np.exp(np.log(dno(eta, rounds)[1:]).mean(0))
    return worst(mean / mean.sum())


@wrong("17.1", "what the best reply wins beyond a half")
def _(eta, rounds):
    return worst(dno(eta, rounds)[1:].mean(0)) - 0.5


@right("17.1")
def _(eta, rounds):
    return worst(dno(eta, rounds)[1:].mean(0))


@right("17.1")
def _(eta, rounds):
    log_now, total = torch.tensor(np.log(GRAMMAR)), torch.zeros(3).double()
    table = torch.tensor(PANEL)
    for _ in range(rounds):
        log_now = (log_now + table @ log_now.exp() / eta).log_softmax(-1)
        total += log_now.exp()
    return (table @ (total / rounds)).max().item()


def blend(a, b, alpha):
    """The geometric mixture, a sum of 1."""
    mixed = a ** (1 - alpha) * b**alpha
    return mixed / mixed.sum()


@wrong("17.2", "mixes the shares themselves, an arithmetic mixture")
def _(eta, alpha, rounds):
    now = GRAMMAR
    for _ in range(rounds):
        mix = (1 - alpha) * now + alpha * GRAMMAR
        now = gibbs(mix, PANEL @ mix, eta)
    return now


@wrong("17.2", "exchanges the exponents: alpha on the policy")
def _(eta, alpha, rounds):
    now = GRAMMAR
    for _ in range(rounds):
        mix = blend(now, GRAMMAR, 1 - alpha)
        now = gibbs(mix, PANEL @ mix, eta)
    return now


@wrong("17.2", "plays against the mixture without making its sum 1")
def _(eta, alpha, rounds):
    now = GRAMMAR
    for _ in range(rounds):
        mix = now ** (1 - alpha) * GRAMMAR**alpha
        now = gibbs(mix, PANEL @ mix, eta)
    return now


@wrong("17.2", "uses the mixture as the reference only; the opponent is the policy")
def _(eta, alpha, rounds):
    now = GRAMMAR
    for _ in range(rounds):
        now = gibbs(blend(now, GRAMMAR, alpha), PANEL @ now, eta)
    return now


@wrong("17.2", "uses the mixture as the opponent only; the step starts at the policy")
def _(eta, alpha, rounds):
    now = GRAMMAR
    for _ in range(rounds):
        now = gibbs(now, PANEL @ blend(now, GRAMMAR, alpha), eta)
    return now


@wrong("17.2", "mixes with the policy of the round before, not with the grammar")
def _(eta, alpha, rounds):
    old = now = GRAMMAR
    for _ in range(rounds):
        mix = blend(now, old, alpha)
        old, now = now, gibbs(mix, PANEL @ mix, eta)
    return now


@wrong("17.2", "returns the average of the rounds, as for DNO")
def _(eta, alpha, rounds):
    path = [GRAMMAR]
    for _ in range(rounds):
        mix = blend(path[-1], GRAMMAR, alpha)
        path.append(gibbs(mix, PANEL @ mix, eta))
    return np.mean(path[1:], axis=0)


@wrong("17.2", "returns the last mixture, not the policy after the step")
def _(eta, alpha, rounds):
    now = mix = GRAMMAR
    for _ in range(rounds):
        mix = blend(now, GRAMMAR, alpha)
        now = gibbs(mix, PANEL @ mix, eta)
    return mix


@wrong("17.2", "counts the grammar as round one")
def _(eta, alpha, rounds):
    now = GRAMMAR
    for _ in range(rounds - 1):
        mix = blend(now, GRAMMAR, alpha)
        now = gibbs(mix, PANEL @ mix, eta)
    return now


@right("17.2")
def _(eta, alpha, rounds):
    now = GRAMMAR
    for _ in range(rounds):
        mix = blend(now, GRAMMAR, alpha)
        now = gibbs(mix, PANEL @ mix, eta)
    return now


@right("17.2")
def _(eta, alpha, rounds):
    log_first, table = torch.tensor(GRAMMAR).log(), torch.tensor(PANEL)
    log_now = log_first
    for _ in range(rounds):
        log_mix = torch.lerp(log_now, log_first, alpha).log_softmax(-1)
        log_now = (log_mix + table @ log_mix.exp() / eta).log_softmax(-1)
    return log_now.exp().tolist()


# 18.3: the deviation is sqrt(2 (0.01 + 0.05 * 0.95 * 2.25)); leads from 20,000 tries

value("18.3", "wrong", "the deviation of one run, not of a difference", (0.3419, 0.47))
value("18.3", "wrong", "leaves the luck of 0.1 out of the variance", (0.4623, 0.47))
value("18.3", "wrong", "variance of a loss: q in place of q (1 - q)", (0.4950, 0.47))
value("18.3", "wrong", "hands in the variance", (0.2338, 0.47))
value("18.3", "wrong", "tests at 0.05, without the correction for four", (0.4835, 0.37))
value("18.3", "wrong", "corrects for 23 rivals", (0.4835, 0.606))
value("18.3", "wrong", "the lead that is found in every second case", (0.4835, 0.334))
value("18.3", "wrong", "rare losses hit both alike, so the lead stays 0.14", (0.4835, 0.138))
value("18.3", "wrong", "the lead that sign flips see, not the t-test", (0.4835, 0.44))
value("18.3", "right", "", (np.sqrt(2 * (0.1**2 + 0.05 * 0.95 * 1.5**2)), 0.47))
value("18.3", "right", "", [0.483, 0.47])


# 19.0: pairs from scores


def row(group, best, other):
    """A row for DPO."""
    texts = group["responses"]
    return {"prompt": group["prompt"], "chosen": texts[best], "rejected": texts[other]}


@wrong("19.0", "draws from all others, also one that ties with the best")
def _(judged, rule="random"):
    rng, rows = np.random.default_rng(0), []
    for g in judged:
        scores = np.array(g["scores"])
        best = int(scores.argmax())
        rest = [i for i in range(len(scores)) if i != best]
        if rest:
            other = int(rng.choice(rest)) if rule == "random" else int(scores.argmin())
            if other != best:
                rows.append(row(g, best, other))
    return rows


@wrong("19.0", "keeps a pair of a group whose scores are all equal")
def _(judged, rule="random"):
    rng, rows = np.random.default_rng(0), []
    for g in judged:
        s = g["scores"]
        order = sorted(range(len(s)), key=lambda i: -s[i])
        rest = [i for i in order[1:] if s[i] < s[order[0]]] or order[1:]
        if rest:
            rows.append(row(g, order[0], rest[-1] if rule == "worst" else int(rng.choice(rest))))
    return rows


@wrong("19.0", "takes the second best for 'random': the hardest pair")
def _(judged, rule="random"):
    rows = []
    for g in judged:
        s = np.array(g["scores"])
        order = [i for i in np.argsort(-s, kind="stable") if s[i] < s.max()]
        if order:
            rows.append(row(g, int(s.argmax()), order[0 if rule == "random" else -1]))
    return rows


@wrong("19.0", "makes a pair of the best with each of the others")
def _(judged, rule="random"):
    rows = []
    for g in judged:
        s = np.array(g["scores"])
        lower = np.flatnonzero(s < s.max())
        rows += [row(g, int(s.argmax()), i) for i in lower]
    return rows


@wrong("19.0", "seeds anew in each group, so the same place is drawn each time")
def _(judged, rule="random"):
    rows = []
    for g in judged:
        s = np.array(g["scores"])
        lower = np.flatnonzero(s < s.max())
        if len(lower):
            drawn = np.random.default_rng(0).choice(lower)
            rows.append(row(g, int(s.argmax()), drawn if rule == "random" else int(s.argmin())))
    return rows


@wrong("19.0", "takes any pair at random and lets the scores say which is chosen")
def _(judged, rule="random"):
    rng, rows = np.random.default_rng(0), []
    for g in judged:
        s = np.array(g["scores"])
        if s.max() == s.min():
            continue
        pair = s.argmax(), s.argmin()
        while rule == "random":
            pair = rng.permutation(len(s))[:2]
            if s[pair[0]] != s[pair[1]]:
                break
        good, bad = sorted(pair, key=lambda i: -s[i])
        rows.append(row(g, good, bad))
    return rows


@wrong("19.0", "a random one is the first of the others in the list")
def _(judged, rule="random"):
    rows = []
    for g in judged:
        s = np.array(g["scores"])
        lower = np.flatnonzero(s < s.max())
        if len(lower):
            rows.append(row(g, int(s.argmax()), lower[0] if rule == "random" else s.argmin()))
    return rows


@wrong("19.0", "a low score is good: chosen and rejected change places")
def _(judged, rule="random"):
    rng, rows = np.random.default_rng(0), []
    for g in judged:
        s = np.array(g["scores"])
        higher = np.flatnonzero(s > s.min())
        if len(higher):
            drawn = int(rng.choice(higher)) if rule == "random" else int(s.argmax())
            rows.append(row(g, int(s.argmin()), drawn))
    return rows


@wrong("19.0", "draws the worse ones more often, by how far they are behind")
def _(judged, rule="random"):
    rng, rows = np.random.default_rng(0), []
    for g in judged:
        s = np.array(g["scores"], float)
        behind = s.max() - s
        if behind.sum():
            drawn = rng.choice(len(s), p=behind / behind.sum())
            rows.append(row(g, int(s.argmax()), drawn if rule == "random" else int(s.argmin())))
    return rows


@right("19.0")
def _(judged, rule="random"):
    rng, rows = np.random.default_rng(5), []
    for g in judged:
        s = np.array(g["scores"])
        lower = np.flatnonzero(s < s.max())
        if len(lower):
            other = s.argmin() if rule == "worst" else rng.choice(lower)
            rows.append(row(g, int(s.argmax()), int(other)))
    return rows


@right("19.0")
def _(judged, rule="random"):
    torch.manual_seed(3)
    rows = []
    for g in judged:
        both = list(zip(g["scores"], g["responses"], strict=True))
        top, chosen = max(both, key=lambda one: one[0])
        lower = [one for one in both if one[0] < top]
        if not lower:
            continue
        if rule == "worst":
            rejected = min(lower, key=lambda one: one[0])[1]
        else:
            rejected = lower[torch.randint(len(lower), ()).item()][1]
        rows.append({"prompt": g["prompt"], "chosen": chosen, "rejected": rejected})
    return rows


# 20.2: right are 0.6344, 0.7246 (full list 0.7756, SmolLM2 asked 0.748, reward model 0.7918)

value("20.2", "wrong", "the first rows of the sorted file, no order drawn", (0.546, 0.594, 2, 3))
value("20.2", "wrong", "accuracy on pairs of opposite tone", (0.721, 0.848, 1, 2))
value("20.2", "wrong", "correlation with people for accuracy", (0.397, 0.632, 3, 3))
value("20.2", "wrong", "words seen five times, as for the full list", (0.595, 0.705, 2, 3))
value("20.2", "wrong", "the runs' own lists for the list of 512", (0.621, 0.725, 2, 3))
value("20.2", "wrong", "counts the lists that are above", (0.634, 0.725, 1, 0))
value("20.2", "wrong", "an interval that holds zero is not above", (0.634, 0.725, 2, 2))
value("20.2", "wrong", "draws from all rated sentences, test too", (0.634, 0.740, 2, 3))
value("20.2", "wrong", "another order, by default_rng(1)", (0.616, 0.720, 2, 3))
value("20.2", "right", "", (0.6344, 0.7246, 2, 3))
value("20.2", "right", "", [0.634, 0.725, 2, 3])


# 22.1: the ten runs

NAMED = {
    "A": "reference is the policy",
    "B": "end of text not scored",
    "C": "chosen and rejected swapped",
    "D": "dropout on",
    "E": "learning rate too high",
    "F": "healthy",
    "G": "mean for sum",
    "H": "prompt not masked",
    "I": "labels not shifted",
    "J": "reference moves",
}


def mistaken(mistake, **names):
    """The ten names with some mistaken."""
    value("22.1", "wrong", mistake, NAMED | names)


mistaken(
    "a healthy run must have the higher reward: C for healthy, F for swapped labels",
    C="healthy",
    F="chosen and rejected swapped",
)
mistaken(
    "of the two with one loss curve takes the wrong one for healthy",
    F="prompt not masked",
    H="healthy",
)
mistaken(
    "takes the missing end for health, and health for the missing end",
    B="healthy",
    F="end of text not scored",
)
mistaken("curves like healthy ones must be bf16", C="log-softmax in bf16")
mistaken("a flat loss is beta 0, whatever the gradient does", A="beta is zero")
mistaken("noise is left padding, though the first loss is not ln 2",
         D="left padding without positions")  # fmt: skip
mistaken(
    "what looks worst has the worst cause: exchanges learning rate and labels",
    E="labels not shifted",
    I="learning rate too high",
)
mistaken("a small log-probability is a short text", G="response truncated")
mistaken(
    "swapped labels and a missing end are exchanged, as C is lower than F",
    B="chosen and rejected swapped",
    C="end of text not scored",
)
value("22.1", "right", "", dict(NAMED))
value(
    "22.1",
    "right",
    "",
    dict(
        zip(
            "FHCBAJDEGI",
            (
                "healthy",
                "prompt not masked",
                "chosen and rejected swapped",
                "end of text not scored",
                "reference is the policy",
                "reference moves",
                "dropout on",
                "learning rate too high",
                "mean for sum",
                "labels not shifted",
            ),
            strict=True,
        )
    ),
)


# 22.2: a patch by which every second token of a response counts

SUM = "return (logps * mask).sum(-1)"
MASK = 'batch["loss_mask"][:, 1:]'
RESPONSE = "response = tokenizer(row[side]).input_ids + ["
MASKS = "masks.append(([0] * len(prompt) + [1] * len(response))[:max_length])"


def patch(mistake, old, new):
    """A pair of strings."""
    value("22.2", "wrong" if mistake else "right", mistake, (old, new))


patch("drops every second token from the text", RESPONSE, RESPONSE.replace("ids", "ids[::2]"))
patch(
    "takes the wrong axis: every second response",
    SUM,
    "return (logps * mask * (torch.arange(len(mask)) % 2)[:, None]).sum(-1)",
)
patch("half of the tokens is half of the score", SUM, "return (0.5 * logps * mask).sum(-1)")
patch(
    "hides every second token from the model",
    "fill([1] * len(i), 0)",
    "fill([k % 2 for k in range(len(i))], 0)",
)
patch(
    "scores the first half of a response",
    MASKS,
    "masks.append(([0] * len(prompt) + [1] * (len(response) // 2)"
    " + [0] * (len(response) - len(response) // 2))[:max_length])",
)
patch(
    "scores each token with a chance of one half",
    SUM,
    "return (logps * mask * (torch.rand(mask.shape) < 0.5)).sum(-1)",
)
patch(
    "puts the row of 0, 1, 0, 1 in place of the mask, prompt and padding too",
    SUM,
    "return (logps * (torch.arange(mask.shape[1]) % 2)).sum(-1)",
)
patch(
    "changes a piece that stands in the script many times",
    'batch["loss_mask"]',
    'batch["loss_mask"] * (torch.arange(batch["loss_mask"].shape[1]) % 2)',
)
patch(
    "counts every second token twice, and does not drop the others",
    SUM,
    "return (logps * mask * (1 + torch.arange(mask.shape[1]) % 2)).sum(-1)",
)
patch("", MASK, MASK + " * (torch.arange(batch['loss_mask'].shape[1] - 1) % 2)")
patch("", SUM, "return (logps * mask)[:, ::2].sum(-1)")
patch("", SUM, "return (logps * mask * (mask.cumsum(-1) % 2)).sum(-1)")
patch(
    "",
    MASKS,
    "masks.append(([0] * len(prompt) + [k % 2 for k in range(len(response))])[:max_length])",
)
