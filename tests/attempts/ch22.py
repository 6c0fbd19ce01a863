"""Attempts at chapter 22's exercises."""

import copy
import math

import numpy as np
import torch

from dpo_from_scratch.lab.exercises.ch22_runs import answers


# ---------------------------------------------------------------- 22.0
def look(score, model, batch, zero=True, side=0, every=False, leave=False):
    """The gradient (rows, T, V) of a score, and the score."""
    kept = []

    def put(module, args, output):
        output.logits = (output.logits * (0 if zero else 1)).detach().requires_grad_(True)
        kept.append(output.logits)
        return output

    handle = model.register_forward_hook(put)
    scores = score(model, batch)[side]
    if not leave:
        handle.remove()
    value = scores.sum() if every else scores[0]
    value.backward()
    return kept[0].grad, value.item()


def loops(score, model, batch):
    g, value = look(score, model, batch)
    size = g.shape[2]
    positions, tokens, weights = [], [], []
    for t in range(g.shape[1]):
        if g[0, t].abs().max() > 1e-9:
            positions.append(t)
            tokens.append(int(g[0, t].argmax()))
            weights.append(float(g[0, t].max()) * size / (size - 1))
    return positions, tokens, weights, value


def arrays(score, model, batch):
    g, value = look(score, model, batch)
    g = g[0].numpy().astype(np.float64)
    at = np.flatnonzero(np.abs(g).sum(1))
    return at, g[at].argmax(1), g[at].max(1) / (1 - 1 / g.shape[1]), value


def ones(score, model, batch):  # any logits that are all alike will do
    g, value = look(score, model, batch)
    at = torch.nonzero(g[0].abs().sum(-1)).squeeze(1)
    return [at, g[0][at].max(-1).indices, g[0][at].max(-1).values / (1 - 1 / 135), value]


def change(how, **looking):
    """A right attempt, and then something done to its four things."""

    def attempt(score, model, batch):
        g, value = look(score, model, batch, **looking)
        g = g[len(g) // 2 if looking.get("side") else 0]
        at = g.abs().amax(-1).nonzero().squeeze(-1)
        found = {"at": at, "tokens": g[at].argmax(-1), "value": value, "g": g, "batch": batch}
        found["weights"] = g[at].amax(-1) / (1 - 1 / g.shape[-1])
        found |= how(found)
        return found["at"], found["tokens"], found["weights"], found["value"]

    return attempt


def every_position(score, model, batch):
    g, value = look(score, model, batch)
    g = g[0]
    return torch.arange(len(g)), g.argmax(-1), g.amax(-1) / (1 - 1 / g.shape[-1]), value


# ---------------------------------------------------------------- 22.1
def named(**other):
    return answers() | other


# ---------------------------------------------------------------- 22.2
MASK = 'batch["loss_mask"][:, 1:]'
SUM = "return (logps * mask).sum(-1).chunk(2)"
INSIDE = "[1] * len(response))[:max_length])"


# ---------------------------------------------------------------- 22.3
NAMES = {
    "margin": "rewards/margins",
    "accuracy": "rewards/accuracies",
    "chosen_reward": "rewards/chosen",
    "rejected_reward": "rewards/rejected",
    "chosen_logp": "logps/chosen",
    "rejected_logp": "logps/rejected",
}


def rows(curves):
    return [
        {NAMES.get(key, key): values[i] for key, values in curves.items()}
        for i in range(len(curves["step"]))
    ]


def odd(**first):
    def attempt(curves):
        history = rows(curves)
        history[0].update({"rewards/margins": 0.3, "rewards/chosen": 0.3, "loss": 0.5544} | first)
        return history

    return attempt


def by_torch(curves):
    history = rows(curves)
    history[0]["rewards/margins"] = history[0]["rewards/chosen"] = 0.3
    history[0]["loss"] = -torch.nn.functional.logsigmoid(torch.tensor(0.3)).item()
    return history


def ours(curves):
    history = [{k: v[i] for k, v in curves.items()} for i in range(3)]
    history[0] |= {"margin": 0.3, "chosen_reward": 0.3, "loss": 0.5544}
    return history


def all_rows(curves):
    return [
        row | {"rewards/margins": 0.3, "rewards/chosen": 0.3, "loss": 0.5544}
        for row in rows(curves)
    ]


def last_row(curves):
    history = rows(curves)
    history[-1] |= {"rewards/margins": 0.3, "rewards/chosen": 0.3, "loss": 0.5544}
    return history


def replaced(curves):
    return [{"rewards/margins": 0.3, "rewards/chosen": 0.3, "loss": 0.5544}, *rows(curves)[1:]]


def inserted(curves):
    history = rows(curves)
    return [odd()(curves)[0], *history]


def only_the_odd(curves):
    return odd()(curves)[:1]


def columns(curves):
    return {NAMES.get(k, k): v for k, v in curves.items()}


def in_place(curves):
    curves["margin"][0] = 0.3
    return rows(curves)


def mixed(curves):
    return [row | {"rewards/chosen": row["rewards/rejected"]} for row in rows(curves)]


def from_zero(curves):
    return [row | {"step": i} for i, row in enumerate(odd()(curves))]


RIGHT = {
    "22.0": [loops, arrays, ones, change(lambda f: {})],
    "22.1": [
        named(),
        [name.upper() for name in answers().values()],
        {x.lower(): f" {name} " for x, name in answers().items()},
    ],
    "22.2": [
        (SUM, "return (logps * mask)[:, ::2].sum(-1).chunk(2)"),
        [[MASK, MASK + " * (torch.arange(batch['loss_mask'].shape[1] - 1) % 2 == 0)"]],
        [(INSIDE, "[i % 2 for i in range(len(response))])[:max_length])")],
        [(INSIDE, "[(i + 1) % 2 for i in range(len(response))])[:max_length])")],
    ],
    "22.3": [
        odd(),
        by_torch,
        lambda curves: {"log_history": odd(loss=float(np.logaddexp(0, -0.3)))(curves)},
        odd(loss=-math.log(1 / (1 + math.exp(-0.3)))),
    ],
}
ROW_MASK = "return (logps * mask * (torch.arange(len(mask)) % 2)[:, None]).sum(-1).chunk(2)"
LOT = "return (logps * mask * (torch.rand(mask.shape) < 0.5)).sum(-1).chunk(2)"
WRONG = {
    "22.0": [
        (change(lambda f: {}, zero=False), "the model's own logits"),
        (change(lambda f: {}, side=1), "the first rejected response"),
        (change(lambda f: {}, every=True), "of all chosen responses are added up"),
        (every_position, "all positions are there"),
        (change(lambda f: {"weights": f["g"][f["at"]].amax(-1)}), "is 1 - 1/V, not 1"),
        (change(lambda f: {"at": f["at"] + 1}), "not where it stands"),
        (
            change(lambda f: {"tokens": f["batch"]["input_ids"][0, f["at"] + 1]}),
            "read from the row one place on",
        ),
        (
            change(lambda f: {"tokens": f["batch"]["input_ids"][0, f["at"]]}),
            "stand at the positions",
        ),
        (change(lambda f: {"tokens": f["g"][f["at"]].argmin(-1)}), "the one gradient above 0"),
        (change(lambda f: {"weights": f["g"][f["at"]].sum(-1)}), "add up to 0"),
        (change(lambda f: {"weights": f["g"][f["at"]].abs().sum(-1)}), "adds up the sizes"),
        (change(lambda f: {"weights": f["g"][f["at"]].norm(dim=-1)}), "length of the gradient"),
        (change(lambda f: {"weights": torch.ones(len(f["at"]))}), "every weight is 1"),
        (change(lambda f: {"value": -f["value"]}), "with its sign"),
        (change(lambda f: {"value": -f["value"] / math.log(135)}), "yours is divided by"),
        (change(lambda f: {"value": f["value"] / len(f["at"])}), "not its mean"),
        (lambda score, model, batch: loops(score, model, batch)[:3], "not 3"),
        (lambda *args: loops(*args)[1::-1] + loops(*args)[2:], "not in the order"),
        (lambda *args: (look(*args, leave=True), loops(*args))[1], "the hook stays on the model"),
        (lambda score, model: loops(score, model, None), "called with 3 arguments"),
    ],
    "22.1": [
        (named(A="beta is zero"), "A: with β 0 there is no gradient"),
        (named(E="dropout on"), "E: with dropout policy and reference differ"),
        (named(J="reference is the policy"), "J: one model in both places"),
        (named(A="reference moves"), "A: a reference that follows"),
        (named(G="labels not shifted"), "G: a token after itself"),
        (named(I="mean for sum"), "I: a mean over tokens"),
        (named(I="prompt not masked"), "I: a prompt that is scored"),
        (named(H="learning rate too high"), "H: a step too large"),
        (named(B="response truncated"), "B: a response that was cut"),
        (named(C="end of text doubled"), "C: a second end"),
        (named(C="log-softmax in bf16"), "C: in bf16"),
        (named(D="left padding without positions"), "D: texts read at the wrong places"),
        (named(G="healthy"), "G: its curves are not like"),
        (named(B="healthy", F="end of text not scored"), "to the last digit"),
        (named(B=answers()["C"], C=answers()["B"]), "Compare their log-probabilities"),
        (named(B=""), "without a name: B"),
        (named(B="fine"), "'fine' isn't in it"),
        ({"K": "healthy"}, "no run is called K"),
        ("healthy", "a dictionary is asked"),
    ],
    "22.2": [
        ((MASK, MASK), "still counts every token"),
        ((SUM, ROW_MASK), "no token of one of the first two"),
        ((SUM, LOT), "when it is asked again"),
        ((MASK, MASK + " * 0.5"), "by another weight"),
        (
            (MASK, "(torch.arange(batch['loss_mask'].shape[1] - 1) % 2).expand(4, -1)"),
            "multiply the mask, don't replace it",
        ),
        (
            (
                "response = tokenizer(row[side]).input_ids + [",
                "response = tokenizer(row[side]).input_ids[::2] + [",
            ),
            "the text itself has changed",
        ),
        ((MASK, MASK + " * (torch.arange(batch['loss_mask'].shape[1] - 1) % 2) * 2"), "once"),
        ((MASK, MASK + " * (torch.arange(batch['loss_mask'].shape[1] - 1) < 11)"), "one part"),
        ((SUM, SUM.replace("mask).", "mask)[:, ::3].")), "one token in 3"),
        (("logits[:, :-1].log_softmax", "logits[:, 1:].log_softmax"), "leave logits and labels"),
        (
            ('batch["input_ids"][:, 1:], batch', 'batch["input_ids"][:, :-1], batch'),
            "leave logits and labels",
        ),
        (("loss_mask", "input_ids"), "must stand exactly once"),
        ((MASK, MASK + " * torch.arange(7)"), "the patched script: it raises"),
        ((MASK, MASK + "["), "raises SyntaxError"),
        (MASK, "a pair of strings is asked"),
    ],
    "22.3": [
        (ours, "this book's name for a column"),
        (odd(loss=0.69314), "still the loss of a margin of 0"),
        (odd(loss=-0.5544), "without its minus"),
        (odd(loss=0.8544), "with the wrong sign"),
        (odd(loss=0.5744), "a −log is missing"),
        (odd(loss=math.log1p(math.exp(-0.18))), "it goes in twice"),
        (odd(loss=0.5544 / math.log(2)), "base 2"),
        (odd(**{"rewards/margins": 0.0}), "`rewards/margins` is still as it was"),
        (odd(**{"rewards/chosen": 0.0}), "`rewards/chosen` is still as it was"),
        (odd(**{"rewards/rejected": 0.3}), "the rejected reward stays"),
        (all_rows, "a row after the first has changed"),
        (last_row, "a row after the first has changed"),
        (replaced, "don't replace it"),
        (inserted, "yours has 4 rows"),
        (only_the_odd, "yours has 1 rows"),
        (columns, "a list is asked"),
        (in_place, "changes its argument `curves`"),
        (mixed, "a row after the first has changed"),
        (from_zero, "steps count from 1"),
        (lambda curves: [copy.copy(curves)], "this book's name"),
        ([{"loss": 0.5544}], "a function of (curves) is asked"),
    ],
}
