"""Attempts at the capstone: the notebook's broken trainer with repairs, losses, runs, judges."""

import json
from itertools import count
from pathlib import Path

import torch
from torch.nn.functional import logsigmoid, relu, softplus

from dpo_from_scratch import losses
from dpo_from_scratch.lab.exercises.capstone import best_at, own_rows, start

ROOT = Path(__file__).parent.parent.parent
PARTS = ("collate", "score", "loss", "prepare", "step")


# ---------------------------------------------------------------- C.1
def cells() -> str:
    """The broken trainer, as it stands in the notebook."""
    path = ROOT / "notebooks" / "teaching" / "capstone.ipynb"
    book = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(c["source"]) for c in book if c["id"] in ("cap-04", "cap-05"))


def trainer(*changes) -> dict:
    """Its functions, with some of its lines changed."""
    source = cells()
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    names: dict = {}
    exec("import copy\nimport torch\nfrom torch.nn.functional import logsigmoid\n" + source, names)
    return {part: names[part] for part in PARTS}


ADAM = "    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)\n"
COPIES = "    policy, reference = (copy.deepcopy(model.eval()) for _ in range(2))\n"
TRAINS_POLICY = (ADAM + COPIES, COPIES + ADAM.replace("model.", "policy."))
SHIFTED = ('batch["mask"][:, :-1]', 'batch["mask"][:, 1:]')
WITH_END = (
    "ids.append(prompt + response)",
    "response = [*response, tokenizer.eos_token_id]\n            ids.append(prompt + response)",
)
ALL = (TRAINS_POLICY, SHIFTED, WITH_END)


# ---------------------------------------------------------------- C.2
def of_margin(f):
    """A loss of the margin, with β as an option."""

    def loss(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, *, beta=0.5):
        log_ratios = (chosen_logps - ref_chosen_logps) - (rejected_logps - ref_rejected_logps)
        return f(beta * log_ratios)

    return loss


def of_both(f):
    """A loss of both log-ratios."""
    return lambda c, r, ref_c, ref_r, *, beta=0.5: f(beta * (c - ref_c), beta * (r - ref_r))


def with_a_floor(c, r, ref_c, ref_r, *, beta=0.3, floor=2.0):
    """DPO, and a price where the chosen response falls below the reference."""
    chosen, rejected = beta * (c - ref_c), beta * (r - ref_r)
    return softplus(rejected - chosen) + floor * softplus(-4 * chosen) / 4


def without_star(c, r, ref_c, ref_r, beta=0.5):
    """An option that could be taken for an argument."""
    return softplus(beta * (r - ref_r - c + ref_c)) ** 2


def no_default(c, r, ref_c, ref_r, *, beta):
    """An option without a default."""
    return softplus(beta * (r - ref_r - c + ref_c)) ** 2


square = lambda m: relu(2 - m) ** 2
anchored = lambda c, r, ref_c, ref_r: relu(2 - (c - r)) ** 2  # no reference


# ---------------------------------------------------------------- C.3
def run(reward: float, kl: float, **other) -> dict:
    """Figures that belong together."""
    return {"true_reward": reward, "kl": kl, "below": best_at(kl) - reward} | other


# ---------------------------------------------------------------- C.4
GOOD, BAD = ("lovely", "kind", "great", "good"), ("stale", "rude", "dull")


def nice(prompt, texts):
    """Words of praise less words of blame."""
    return [sum(text.count(w) for w in GOOD) - sum(text.count(w) for w in BAD) for text in texts]


calls = count()
lengths = lambda prompt, texts: [float(len(t.split())) for t in texts]
longer = [
    {
        "prompt": f"{i} : how was the plot ?",
        "chosen": " the plot was lovely" + " and so on" * (i % 5 + 1) + " .",
        "rejected": " the plot was dull" + " and" * (i % 4) + " .",
    }
    for i in range(24)
]
turned = [row | {"chosen": row["rejected"], "rejected": row["chosen"]} for row in own_rows()]

RIGHT = {
    "C.1": [trainer(*ALL)],
    "C.2": [
        of_margin(square),
        of_margin(lambda m: softplus(1 - m)),
        of_both(lambda good, bad: softplus(1 - good) + softplus(1 + bad)),
        with_a_floor,
    ],
    "C.3": [run(1.9, 0.88), run(torch.tensor(1.9).item(), 1.5, objective=1.0), run(3.0, 2.2)],
    "C.4": [
        (nice, own_rows()),
        [lambda prompt, texts: torch.tensor(nice(prompt, texts)), tuple(own_rows())],
        (nice, longer),
    ],
}
WRONG = {
    "C.1": [
        (trainer(), "the doctor finds wrong_window"),
        (trainer(TRAINS_POLICY, SHIFTED), "the doctor finds eos_missing"),
        (trainer(SHIFTED, WITH_END), "the doctor finds not_in_optimizer"),
        (trainer(*ALL, ("    optimizer.zero_grad()\n", "")), "the doctor finds"),
        (trainer(*ALL, ("RATE = 0.6, 5e-4", "RATE = 0.6, 1e-6")), "the texts hardly"),
        ({"score": lambda model, batch: 0}, "a dictionary of five functions"),
        (trainer(*ALL) | {"collate": lambda rows: rows}, "examining it"),
    ],
    "C.2": [
        (of_margin(lambda m: softplus(-m)), "that is `dpo` of the registry"),
        (of_margin(lambda m: relu(1 - m)), "that is `hinge` of the registry"),
        (of_margin(lambda m: square(m).mean()), "it is reduced over the batch"),
        (of_margin(lambda m: square(m).tolist()), "it gives a list"),
        (of_margin(lambda m: square(m).float()), "torch.float32 comes out"),
        (of_margin(lambda m: square(m.detach())), "no gradient comes out"),
        (of_margin(lambda m: m.detach() * softplus(1 - m)), "is detached"),
        (of_margin(lambda m: softplus(1 - m.float()).double()), "or rounded"),
        (of_margin(lambda m: square(m) / (1 + m.mean() ** 2)), "changes with the others'"),
        (of_margin(lambda m: torch.exp(2 - m)), "it is not finite where the chosen"),
        (of_margin(lambda m: -torch.sigmoid(2 * m).log()), "not finite"),
        (anchored, "it depends on the log-probabilities themselves"),
        (of_margin(lambda m: square(-m)), "it pushes the chosen response down"),
        (of_margin(lambda m: logsigmoid(m)), "it pushes the chosen response down"),
        (of_margin(lambda m: relu(-1 - m) ** 2), "its slope is 0"),
        (without_star, "options come after a `*`"),
        (no_default, "the option `beta` needs a default"),
        (lambda c, r: softplus(r - c), "its first four arguments"),
        (losses.ipo, "that is `ipo`"),
        (0.5, "a function of (chosen_logps"),
    ],
    "C.3": [
        (run(start() - 1.5, 2.0), "has not risen above the reference's"),
        (run(start(), 0.001), "hardly moved"),
        (run(best_at(0.9) + 1, 0.9), "above the frontier"),
        (run(1.9, 60.0), "nothing holds it"),
        (run(1.9, 0.88, below=0.1), "not of one run"),
        (run(1.9, 0.88) | {"kl": -0.88}, "a KL isn't negative"),
        (run(1.9, 0.88) | {"kl": float("nan")}, "isn't finite"),
        ((1.9, 0.88, 1.0), "what `tournament.worth` gives is asked"),
    ],
    "C.4": [
        ((nice, own_rows()[:6]), "too few to tell a judge from a coin"),
        ((nice, turned), "upside down"),
        ((lambda prompt, texts: [0.0] * len(texts), own_rows()), "the same score"),
        ((lambda prompt, texts: [next(calls)] * len(texts), own_rows()), "asked again"),
        ((lambda prompt, texts: list(range(len(texts))), own_rows()), "the order in which"),
        (
            (lambda p, texts: [s - max(nice(p, texts)) for s in nice(p, texts)], own_rows()),
            "a text alone gets another score",
        ),
        ((lengths, longer), "lengths and nothing else"),
        ((lengths, own_rows()), "agree on"),
        ((lambda prompt, texts: nice(prompt, texts)[0], own_rows()), "no list of numbers"),
        ((lambda prompt, texts: nice(prompt, texts)[:1], own_rows()), "numbers come out"),
        ((lambda prompt: 0.0, own_rows()), "is called with 2 arguments"),
        ((nice, [*own_rows(), *turned]), "check-data finds"),
        ((nice, [{"prompt": "a", "chosen": " b", "rejected": " b"}] * 24), "check-data finds"),
        ((nice, "pairs.jsonl"), "the pairs are a list of dictionaries"),
        (nice, "(judge, pairs) is asked"),
    ],
}
