"""Chapter 16: attempts at sDPO's loop, the exercises on its law, and the wrong start."""

import copy
import math

import numpy as np
import torch

from dpo_from_scratch.lab.exercises import ch16
from dpo_from_scratch.models import frozen_copy, load_model
from dpo_from_scratch.training import train


# ---------------------------------------------------------------- 16.0
def deep_copies(parts, configs, moving):
    model, tokenizer = load_model("tiny")
    first, out = copy.deepcopy(model), [copy.deepcopy(model)]
    for i in range(len(parts)):
        bar = None if moving else first  # None: the model as it is now
        train(model, tokenizer, parts[i], configs[i], reference=bar, progress=False)
        out += [copy.deepcopy(model)]
    return out


def by_copies_of_copies(parts, configs, moving):
    model, tokenizer = load_model("tiny")
    stages = (frozen_copy(model),)
    for part, config in zip(parts, configs, strict=True):
        policy = frozen_copy(stages[-1]).requires_grad_(True)
        train(
            policy, tokenizer, part, config, reference=stages[-1 if moving else 0], progress=False
        )
        stages = (*stages, policy)
    return stages


def loop(reference, begin=None, part=None, config=None, keep=frozen_copy, first=True, last=None):
    """A loop with one thing changed; the things are functions of (stages, t, ...)."""

    def attempt(parts, configs, moving):
        policy, tokenizer = load_model("tiny")
        stages = [frozen_copy(policy)]
        for t in range(len(parts)):
            policy = begin(stages) if begin else policy
            rows = part(parts, t) if part else parts[t]
            settings = config(configs, t) if config else configs[t]
            bar = reference(stages, moving)
            train(policy, tokenizer, rows, settings, reference=bar, progress=False)
            stages.append(keep(policy))
        found = stages if first else stages[1:]
        return last(found) if last else found

    return attempt


follow = lambda stages, moving: stages[-1] if moving else stages[0]
LOOP_WRONG = [
    (loop(lambda stages, moving: stages[0]), "yours stays the first model"),
    (loop(lambda stages, moving: stages[-1]), "without `moving`"),
    (loop(lambda stages, moving: stages[0] if moving else stages[-1]), "wrong way round"),
    (loop(follow, begin=lambda stages: frozen_copy(stages[0]).requires_grad_(True)),
     "starts anew from the first model"),
    (loop(lambda stages, moving: stages[max(len(stages) - 2, 0) if moving else 0]), "lags"),
    (loop(follow, first=False), "is missing in the list"),
    (loop(follow, last=lambda stages: stages[:-1]), "after the last part is missing"),
    (loop(follow, last=lambda stages: stages[-1]), "the last model alone"),
    (loop(follow, last=lambda stages: [stages[0], stages[-1]]), "that of each part is asked"),
    (loop(follow, part=lambda parts, t: parts[0]), "trains on the first part"),
    (loop(follow, part=lambda parts, t: [row for part in parts for row in part]),
     "the pairs of all parts"),
    (loop(follow, part=lambda parts, t: parts[-1 - t]), "from the last to the first"),
    (loop(follow, part=lambda parts, t: [row for part in parts[: t + 1] for row in part]),
     "all parts so far"),
    (loop(follow, part=lambda parts, t: parts[-1]), "trains on the last part"),
    (loop(lambda stages, moving: stages[min(len(stages) - 1, 1) if moving else 0]), "moves once"),
    (loop(follow, last=lambda stages: stages[::-1]), "from the last model to the first"),
    (loop(follow, last=lambda stages: [stages[0], *stages]), "the first model stands in the list"),
    (loop(follow, last=lambda stages: [stages[0], *stages[:-1]]), "before its part's training"),
    (loop(follow, config=lambda configs, t: configs[-1]), "the last part's settings"),
    (loop(follow, config=lambda configs, t: configs[0]), "the first part's settings"),
    (loop(follow, keep=lambda policy: policy), "one and the same"),
    (loop(follow, last=lambda stages: [m.state_dict() for m in stages]), "a list of models"),
    (loop(lambda stages, moving: stages[0], first=False), "two things"),
]  # fmt: skip

# ---------------------------------------------------------------- 16.1, 16.2
TASTES_WRONG = [
    ((6.31, 8.52, 6.07), "a word is paid one"),
    ((6.31, 6.07, 6.98), "not in the order"),
    ((6.31, 6.98, 6.31), "isn't back at the reference"),
    ((6.31, 6.98, 6.98), "the second step is missing"),
    ((6.31, 6.07, 6.07), "after both steps already"),
    ({"reference": 6.31, "after one": 6.98, "after two": 6.19}, "one step at 1.2 on r"),
    (
        (
            6.309,
            ch16.TASTES.own["after one"] - ch16.TASTES.own["reference"],
            ch16.TASTES.own["after two"] - ch16.TASTES.own["reference"],
        ),
        "differences to the reference",
    ),
    ((7.31, 7.98, 7.07), "one more than the words"),
    ((6.31,), "3 in all; you gave 1"),
]
PRICE_WRONG = [
    ((0.4, 6.41, 5.02), "a run goes less far"),
    ((0.1, 5.02, 5.02), "two different strengths"),
    ((0.1 / 3, 6.41, 5.02), "there are four steps"),
    ((0.05, 5.92, 5.02), "four steps go farther"),
    ((0.025, 2.57, 2.47), "those are true rewards"),
    ((0.025, 2.57, 5.02), "that is its true reward"),
    ((0.025, 5.02, 6.41), "not in the order"),
    ((0.025, 20.08, 5.02), "not in KL"),
    ((0.025, 5.02, 5.02), "that is the KL at 0.1 twice"),
    ((0.02, 6.58, 5.02), "there are four steps"),
    ((0.025, 9.25, 7.24), "in bits"),
    ((0.025, 25.229374, 19.0244943), "of the review world"),
    ((0.025, 1.39, 5.02), "how much farther"),
    ((0.025, 10.04, 5.02), "twice the KL at 0.1"),
    ((4.0, 6.41, 5.02), "the number of steps"),
    ((0.2, 6.41, 5.02), "a larger β goes less far"),
    ((0.01, 6.41, 5.02), "10 steps at 0.1"),
]


# ---------------------------------------------------------------- 16.3
def softplus(x):
    return np.log(1 + np.exp(x))


START_WRONG = [
    (lambda lead: softplus(-lead).mean(), "not ahead: a sign"),
    (lambda lead: math.log(2), "the loss of the right start"),
    (lambda lead: softplus(lead.mean()), "the loss of the mean margin;"),
    (lambda lead: softplus(-lead.mean()), "of the other sign"),
    (lambda lead: -np.log((1 / (1 + np.exp(lead))).mean()), "the log of a mean"),
    (lambda lead: softplus(lead).sum(), "added up"),
    (lambda lead: np.median(softplus(lead)), "median"),
    (lambda lead: softplus(lead), "a loss for each pair"),
    (lambda lead: softplus(lead[lead > 0]).mean(), "in which the policy is behind"),
    (lambda lead: np.mean(1 / (1 + np.exp(-lead))), "mean weight"),
    (lambda lead: np.mean(1 / (1 + np.exp(lead))), "σ of the margin"),
    (lambda lead: np.maximum(lead, 0).mean(), "a hinge"),
    (lambda lead: np.log(1 / (1 + np.exp(lead))).mean(), "the sign is turned"),
    (lambda lead: softplus(1.8 * lead).mean(), "β goes in again"),
    (lambda lead: softplus(lead / 1.8).mean(), "taken out"),
    (lambda lead: softplus(2 * lead).mean(), "goes in doubled"),
    (lambda lead: (lead > 0).mean(), "a share of the pairs"),
    (lambda lead: lead.mean(), "a mean margin"),
    (lambda lead: -lead.mean(), "a mean margin"),
    (lambda lead: softplus(lead).mean() / np.log(2), "base 2"),
    (lambda lead: np.log2(1 + np.exp(-lead)).mean(), ""),
    (lambda lead: softplus(lead).mean() - np.log(2), "off by -0.6931"),
    (lambda lead: softplus(lead).std(), "spread"),
    (lambda lead: softplus(0.6 * lead).mean(), "multiplied by 0.6"),
    (lambda lead: softplus(lead).min(), "the smallest loss"),
    (lambda lead: softplus(lead)[0], "the first pair's"),
    (lambda lead: np.log1p(np.exp(lead).mean()), "the mean comes last"),
    (lambda lead: np.exp(-softplus(lead).mean()), "a probability"),
    (lambda lead: (softplus(lead) + softplus(-lead)).mean(), "added up"),
]
START_WRONG = [(f, why) for f, why in START_WRONG if why]

RIGHT = {
    "16.0": [deep_copies, by_copies_of_copies],
    "16.1": [
        (6.31, 6.98, 6.07),
        {"after one": 6.978, "reference": 6.309, "after two": 6.069},
        np.array([6.31, 6.98, 6.07]),
    ],
    "16.2": [
        (0.025, 6.41, 5.02),
        {"KL of DPO at 0.1": 5.02, "its KL": 6.41, "β to ask for": 1 / 40},
    ],
    "16.3": [
        lambda lead: softplus(lead).mean(),
        lambda lead: -torch.nn.functional.logsigmoid(-torch.tensor(lead).float()).mean(),
        lambda lead: round(sum(math.log1p(math.exp(x)) for x in lead) / len(lead), 3),
    ],
}
WRONG = {"16.0": LOOP_WRONG, "16.1": TASTES_WRONG, "16.2": PRICE_WRONG, "16.3": START_WRONG}
