"""Make tests/golden_losses.json: what the loss functions of TRL 0.24.0 give, in float64, for fixed
random log-probabilities; for chi_po, which TRL lacks, those of oxRL 1.7.2 (not its authors').

    pip download --no-deps trl==0.24.0 oxrl==1.7.2 && unzip trl-*.whl && unzip oxrl-*.whl
    python tests/golden_losses.py FOLDER_THAT_HOLDS_trl_AND_oxrl

Only the loss methods are taken out of the sources and called; nothing else is imported, so their
dependencies don't matter.
"""

import ast
import json
import sys
from collections import defaultdict
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, Optional, Union

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

EPS = {"label_smoothing": 0.1}
PAIRS = {  # ours: (TRL's loss_type, TRL's settings, our options)
    "dpo": ("sigmoid", {"beta": 0.3}, {"beta": 0.3}),
    "cdpo": ("sigmoid", {"beta": 0.3} | EPS, {"beta": 0.3} | EPS),
    "robust_dpo": ("robust", {"beta": 0.3} | EPS, {"beta": 0.3} | EPS),
    "ipo": ("ipo", {"beta": 0.2}, {"tau": 0.2}),
    "hinge": ("hinge", {"beta": 0.3}, {"beta": 0.3}),
    "exo": ("exo_pair", {"beta": 0.3} | EPS, {"beta": 0.3} | EPS),
    "nca": ("nca_pair", {"beta": 0.3}, {"beta": 0.3}),
    "apo_zero": ("apo_zero", {"beta": 0.3}, {"beta": 0.3}),
    "apo_down": ("apo_down", {"beta": 0.3}, {"beta": 0.3}),
    "sppo": ("sppo_hard", {"beta": 0.3}, {"beta": 0.3}),
    "discopop": ("discopop", {"beta": 0.3, "discopop_tau": 0.05}, {"beta": 0.3, "tau": 0.05}),
    "aot": ("aot", {"beta": 0.3}, {"beta": 0.3}),
    "f_dpo js": (
        "sigmoid",
        {"beta": 0.3, "f_divergence_type": "js"},
        {"beta": 0.3, "divergence": "js"},
    ),
    "f_dpo alpha": (
        "sigmoid",
        {"beta": 0.3, "f_divergence_type": "alpha"},
        {"beta": 0.3, "divergence": "alpha", "alpha": 0.5},
    ),
}


def method(folder: Path, file: str, name: str):
    """A method of a source file as a function, in a namespace that has what its body mentions."""
    source = (folder / file).read_text()
    node = next(
        n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef) and n.name == name
    )
    node.decorator_list, node.returns = [], None
    space = {
        "torch": torch,
        "nn": nn,
        "F": F,
        "np": np,
        "Optional": Optional,
        "Union": Union,
        "Literal": Literal,
        "Any": Any,
        "FDivergenceType": SimpleNamespace(
            ALPHA_DIVERGENCE="alpha", JS_DIVERGENCE="js", REVERSE_KL="reverse_kl"
        ),
        "FDivergenceConstants": SimpleNamespace(
            ALPHA_DIVERGENCE_COEF_DEFAULT=0.5, ALPHA_DIVERGENCE_COEF_KEY="a"
        ),
        "cap_exp": torch.exp,
    }
    exec(compile(ast.Module([node], []), file, "exec"), space)
    return space[name]


def settings(**given):
    base = {
        "accelerator": SimpleNamespace(device="cpu"),
        "reference_free": False,
        "f_divergence_type": "reverse_kl",
    }
    base |= {
        "f_divergence_params": None,
        "label_smoothing": 0.0,
        "simpo_gamma": 0.0,
        "alpha": 0.0,
        "discopop_tau": 0.05,
    }
    all_of_it = base | given
    return SimpleNamespace(**all_of_it, args=SimpleNamespace(**all_of_it))


def make(folder: Path) -> dict:
    g = torch.Generator().manual_seed(0)
    names = ("chosen_logps", "rejected_logps", "ref_chosen_logps", "ref_rejected_logps")
    inputs = {
        n: (-20 + 4 * torch.randn(8, generator=g, dtype=torch.float64)).round(decimals=3)
        for n in names
    }
    lengths = {
        n: torch.randint(4, 30, (8,), generator=g).double()
        for n in ("chosen_lengths", "rejected_lengths")
    }
    out = defaultdict(dict)
    dpo_loss = method(folder, "trl/trainer/dpo_trainer.py", "dpo_loss")
    for ours, (kind, trl, options) in PAIRS.items():
        out["pairs"][ours] = {
            "options": options,
            "loss": dpo_loss(settings(**trl), *inputs.values(), kind)[0].tolist(),
        }
    chi = SimpleNamespace(beta=0.3)
    chi.chi_link = partial(method(folder, "oxrl/algs/chipo.py", "chi_link"), chi)
    compute_loss = method(folder, "oxrl/algs/chipo.py", "compute_loss")  # the mean of a batch
    rows = zip(*(x.split(1) for x in inputs.values()), strict=True)
    found = [compute_loss(chi, *row)[0].item() for row in rows]
    out["pairs"]["chi_po"] = {"options": {"beta": 0.3}, "loss": found}
    means = [
        inputs["chosen_logps"] / lengths["chosen_lengths"],
        inputs["rejected_logps"] / lengths["rejected_lengths"],
    ]
    cpo_loss = method(folder, "trl/trainer/cpo_trainer.py", "cpo_loss")
    found = cpo_loss(settings(beta=2.0, loss_type="simpo", simpo_gamma=1.0), *means)[0]
    out["no reference"]["simpo"] = {"options": {"beta": 2.0, "gamma": 1.0}, "loss": found.tolist()}
    found = cpo_loss(
        settings(beta=0.3, loss_type="sigmoid"), inputs["chosen_logps"], inputs["rejected_logps"]
    )[0]
    out["no reference"]["cpo"] = {"options": {"beta": 0.3}, "loss": found.tolist()}
    odds = method(folder, "trl/trainer/orpo_trainer.py", "odds_ratio_loss")(
        settings(beta=0.25), *means
    )[0]
    out["no reference"]["orpo"] = {
        "options": {"weight": 0.25},
        "loss": (-means[0] - odds).tolist(),
    }  # TRL subtracts it later
    rho = [
        inputs["chosen_logps"],
        inputs["rejected_logps"],
        inputs["rejected_logps"].flip(0),
        inputs["ref_chosen_logps"],
        inputs["ref_rejected_logps"],
        inputs["ref_rejected_logps"].flip(0) - 1.5,
    ]
    kto = settings(
        beta=0.3, desirable_weight=1.0, undesirable_weight=1.2, calculate_KL=True, loss_type="kto"
    )
    kto.accelerator.gather_for_metrics = lambda x: x
    found, *_, kl = method(folder, "trl/trainer/kto_trainer.py", "kto_loss")(kto, *rho)
    out["labels"]["kto"] = {
        "kl": float(kl),
        "options": {"beta": 0.3, "undesirable_weight": 1.2},
        "loss": found.tolist(),
    }
    return {
        "origin": "TRL 0.24.0, loss methods of DPOTrainer, CPOTrainer, ORPOTrainer and "
        "KTOTrainer; chi_po: oxRL 1.7.2, ChiPO; float64",
        "made_by": "tests/golden_losses.py",
        "inputs": {n: v.tolist() for n, v in (inputs | lengths).items()},
        **out,
    }


if __name__ == "__main__":
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(make(Path(sys.argv[1])), indent=1) + "\n")
    print(path)
