"""Attempts at chapter 15's exercises."""

import numpy as np
import torch


def rounds(author, parts, label_of, policy_of):
    won, log_pi = 0.0, author
    for _ in range(parts):
        won = won + label_of(log_pi)
        log_pi = policy_of(won)
    return won


def recursive(author, parts, label_of, policy_of):
    if parts == 1:
        return label_of(author)
    before = recursive(author, parts - 1, label_of, policy_of)
    return before + label_of(policy_of(before))


def in_a_list(author, parts, label_of, policy_of):
    found = [label_of(author)]
    while len(found) < parts:
        found.append(label_of(policy_of(sum(found))))
    return sum(found).tolist()


def loop(step, first=None, last=None, more=0):
    """A loop whose step gives (wins of all rounds, who writes next)."""

    def attempt(author, parts, label_of, policy_of):
        won, log_pi = 0.0, author
        for _ in range(parts + more):
            won, log_pi = step(won, log_pi, author, label_of, policy_of)
        return last(won, log_pi, parts) if last else won

    return attempt


def ordinary(won, log_pi, author, label_of, policy_of):
    won = won + label_of(log_pi)
    return won, policy_of(won)


def offline(won, log_pi, author, label_of, policy_of):
    return won + label_of(author), author


def fits_last(won, log_pi, author, label_of, policy_of):
    new = label_of(log_pi)
    return won + new, policy_of(new)


def forgets(won, log_pi, author, label_of, policy_of):
    won = label_of(log_pi)
    return won, policy_of(won)


def turned(won, log_pi, author, label_of, policy_of):
    won = won + label_of(log_pi)
    return won, policy_of(won.T)


def from_nothing(author, parts, label_of, policy_of):
    won = np.zeros((len(author), len(author)))
    for _ in range(parts):
        won += label_of(policy_of(won))
    return won


def fitted_once(author, parts, label_of, policy_of):
    won = label_of(author)
    return won + (parts - 1) * label_of(policy_of(won))


def fits_mean(author, parts, label_of, policy_of):
    won = label_of(author)
    for t in range(1, parts):
        won = won + label_of(policy_of(won / t))
    return won


LOOP_WRONG = [
    (fits_mean, "the fit is to the mean"),
    (loop(offline), "nothing samples the policy"),
    (loop(ordinary, more=1), "one round too many"),
    (loop(ordinary, more=-1), "one round too few"),
    (loop(forgets), "earlier rounds are dropped"),
    (loop(fits_last), "the last round's wins alone"),
    (loop(ordinary, last=lambda won, p, parts: won / parts), "the mean over the rounds"),
    (loop(turned), "turned round"),
    (loop(ordinary, last=lambda won, p, parts: p), "that is the last policy"),
    (loop(ordinary, last=lambda won, p, parts: won + won.T), "how many pairs there are"),
    (from_nothing, "made of no labels"),
    (fitted_once, "the policy is fitted once"),
    (lambda a, parts, label_of, fit: label_of(a), "only the first round"),
    (loop(offline, more=1), "two things"),
]

RIGHT = {
    "15.0": [rounds, recursive, in_a_list, lambda *args: torch.tensor(recursive(*args))],
    "15.1": [((0.63 / 0.51) ** 2, (0.63 / 0.38) ** 2), (1.5, 2.8), np.array([1.503, 2.767])],
    "15.2": [
        (0.149, 0.081, 0.075, 0.073),
        {1: 0.147, 2: 0.0803, 4: 0.074, 16: 0.0722},
        np.array([0.14882041, 0.08110489, 0.07532822, 0.07278786]),
    ],
    "15.3": [(22.0, 27.3, 22.1), [19.74, 26.475, 20.825], {"a": 20.98, "b": 25.95, "c": 20.8}],
}
WRONG = {
    "15.0": LOOP_WRONG,
    "15.1": [
        ((1.23, 1.66), "the ratio of the errors"),
        ((0.665, 0.361), "upside down"),
        ((0.81, 0.6), "upside down, and not squared"),
        ((1.503, 1.84), "the grammar's labels for one"),
        ((1.62, 9.2), "a row was read"),
        ((0.74, 2.767), "about the other author's texts"),
        ((1.1, 2.767), "about the grammar's texts"),
        ((0.503, 1.767), "how many more"),
        ((0.63, 0.63), "that is an error"),
        ((2.26, 7.66), "squared twice"),
        ((0.115, 0.25), "the difference"),
        ((2.767, 1.503), "not in the order"),
        ((3078, 5667), "2,048 labels"),
    ],
    "15.2": [
        ((0.248, 0.135, 0.126, 0.121), "the KL to π*"),
        ((0.727, 0.794, 0.8, 0.8025), "reward − β KL"),
        ((1.304, 1.389, 1.43, 1.5), "true reward"),
        ((0.962, 0.99, 1.05, 1.166), "from π_ref"),
        ((0.149, 0.133, 0.15, 0.134), "rounds change nothing"),
        ((0.149, 0.2, 0.44, 0.418), "are forgotten"),
        ((0.149, 0.073, 0.057, 0.048), "what all rounds have together"),
        ((0.266, 0.091, 0.073, 0.082), "the other author's"),
        ((0.185, 0.143, 0.09, 0.0895), "are π*'s there"),
        ((0.073, 0.075, 0.081, 0.149), "not in the order"),
        ((1.19, 0.65, 0.6, 0.58), "sum over eight seeds"),
        ((0.021, 0.012, 0.008, 0.008), "half-width"),
        ((0.0, 0.068, 0.074, 0.076), "what is gained"),
        ((14.9, 8.1, 7.5, 7.3), "in per cent"),
        ((0.149, 0.081), "4 numbers"),
        ((0.1505, 0.0777, 0.0729, 0.0736), "seed 0 alone"),
        ((0.151, 0.078, 0.073, 0.074), "seed 0 alone"),
        ((0.151, 0.0782, 0.0735, 0.0724), "the median over the seeds"),
        ((0.2370, 0.1525, 0.1115, 0.0386), "without the KL"),
        ((0.1194, 0.0602, 0.0526, 0.0500), "averaged before there is a policy"),
        ((0.2396, 0.2101, 0.1991, 0.1796), "a β of 1"),
        ((0.1020, 0.0624, 0.0650, 0.0591), "the best seed's"),
        ((0.1486, 0.0856, 0.0738, 0.077), "near, but not"),
        ((0.149, 0.11, 0.05, 0.03), "with one round it is right"),
    ],
    "15.3": [
        ((22.0, 22.1, 27.3), "changed places"),
        ((22.0, 27.3, 28.0), "it grew as well"),
        ((27.3, 27.3, 22.1), "in place"),
        ((29.0, 34.3, 29.1), "is the prompt counted"),
        ((115.0, 140.0, 116.0), "characters"),
        ((22.0, 22.1, 22.0), "haven't grown"),
        ((22.0, 17.0, 22.0), "exchanged"),
        ((22.0, 5.3, 0.1), "differences"),
        ((2640.0, 3276.0, 2650.0), "a sum of tokens"),
        ((17.4, 22.0, 17.5), "the stops and the end"),
        ((18.74, 25.48, 19.83), "one less a review"),
        ((19.74, 24.61, 20.43), "the rate left as the preset has it"),
        ((19.74, 24.57, 20.83), "0.15 a word"),
        ((19.74, 23.39, 19.65), "8 steps in all"),
        ((21.2, 24.5, 20.6), "it grew, but less than as told"),
        ((19.74, 25.66, 19.74), "as long as before, to the last digit"),
        ("longer", "3 numbers"),
    ],
}


def last_round(author, parts, label_of, policy_of):
    won = new = label_of(author)
    for _ in range(parts - 1):
        new = label_of(policy_of(won))
        won = won + new
    return new


def half_way(author, parts, label_of, policy_of):
    won = label_of(author)
    for _ in range(parts - 1):
        won = won + label_of(np.logaddexp(author, policy_of(won)) - np.log(2))
    return won


WRONG["15.0"] += [
    (last_round, "the last round's wins alone"),
    (half_way, "written half by the author"),
]
