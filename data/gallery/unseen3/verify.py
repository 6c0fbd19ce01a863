"""Compares each specimen with a plain implementation: one unpadded row at a time, no masks.

    python data/gallery/unseen3/verify.py [v01 ...]

Four relative differences per specimen: scores of a batch, the reference's scores (at the start and
after two steps, against the starting policy's), the loss at random numbers, and the update of two
steps on different pairs. A right one agrees in all, a wrong one differs where its fault lies.
"""

import copy
import importlib.util
import json
import os
import sys
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F

from dpo_from_scratch.models import load_model

warnings.filterwarnings("ignore")
os.environ["TQDM_DISABLE"] = "1"
HERE = Path(__file__).parent
DATA = HERE.parents[1] / "reviews_pairs_train.jsonl"
PAIRS = [json.loads(line) for line in DATA.read_text().splitlines()[:8]]
ls = F.logsigmoid

# loss by name, in d = (pc - rc) - (pr - rr)
LOSSES = {
    "dpo": lambda d, b: -ls(b * d),
    "cdpo": lambda d, b: -0.9 * ls(b * d) - 0.1 * ls(-b * d),
    "hinge": lambda d, b: (1 - b * d).clamp(min=0),
    "ipo": lambda d, b: (d - 1 / (2 * b)) ** 2,
    "simpo1": lambda d, b: -ls(b * d - 1.0),
    "simpo05": lambda d, b: -ls(b * d - 0.5),
}
SGD = lambda lr, m=0.0: lambda ps: torch.optim.SGD(ps, lr=lr, momentum=m)
RMS = lambda lr: lambda ps: torch.optim.RMSprop(ps, lr=lr)
ADAM = lambda lr, wd=0.0, b2=0.999: lambda ps: torch.optim.AdamW(ps, lr, (0.9, b2), 1e-8, wd)


def warm(ps):
    a, b = [p for p in ps if p.dim() > 1], [p for p in ps if p.dim() < 2]
    return torch.optim.AdamW([{"params": a, "weight_decay": 0.1}, {"params": b}], weight_decay=0)


# ids: (loss, beta, optimizer, extras)
INTENDED = {
    "v01 v04 v13 v16 v28 v34": ("dpo", 0.1, SGD(0.05), {}),
    "v02": ("dpo", 0.1, SGD(0.02, 0.9), {"nll": 0.5}),
    "v03": ("dpo", 0.2, SGD(0.05), {}),
    "v05": ("hinge", 0.5, RMS(1e-4), {}),
    "v06 v10 v18 v19 v25": ("dpo", 0.1, ADAM(1e-4), {}),
    "v07 v12": ("dpo", 0.1, ADAM(2e-4), {}),
    "v08": ("dpo", 0.3, SGD(0.03), {}),
    "v09": ("dpo", 0.1, ADAM(5e-3), {}),
    "v11": ("dpo", 0.2, ADAM(5e-4, b2=0.99), {}),
    "v14": ("simpo1", 2.0, ADAM(1e-4, 0.01), {"mean": True, "chat": True}),
    "v15": ("dpo", 0.1, ADAM(1e-6), {"tol": 0.02}),
    "v17": ("dpo", 0.1, ADAM(1e-3, 0.1), {}),
    "v20": ("dpo", 0.1, ADAM(3e-4), {}),
    "v21": ("dpo", 0.25, ADAM(3e-4), {}),
    "v22": ("hinge", 0.2, SGD(0.02), {}),
    "v23": ("simpo05", 2.0, RMS(1e-4), {"mean": True}),
    "v24": ("dpo", 0.1, SGD(0.1), {}),
    "v26": ("dpo", 0.1, ADAM(1e-4), {"chat": True}),
    "v27": ("cdpo", 0.2, ADAM(2e-4), {}),
    "v29": ("dpo", 0.1, ADAM(1e-3), {}),
    "v30": ("ipo", 0.2, ADAM(1e-4), {"mean": True}),
    "v31": ("dpo", 0.1, ADAM(1e-4), {"bos": True}),
    "v32": ("dpo", 0.1, SGD(0.05), {"ema": 0.05, "tol": 0.02}),
    "v33": ("cdpo", 0.2, SGD(0.03), {}),
    "v35": ("ipo", 0.5, SGD(0.02), {"mean": True}),
    "v36": ("dpo", 0.1, warm, {"rates": (1e-5, 2e-5)}),
}
INTENDED = {name: row for names, row in INTENDED.items() for name in names.split()}


def plain(net, tok, pairs, more):
    """Scores (2, pairs): chosen and rejected, each row by itself."""
    words = lambda text: tok(text).input_ids
    end, out = [tok.eos_token_id], []
    for key in ("chosen", "rejected"):
        for pair in pairs:
            p, r = words(pair["prompt"]), words(pair[key]) + end
            if more.get("chat"):
                p = words("a :") + p + end + words("the :")
            if more.get("bos"):
                p = end + p
            lp = net(input_ids=torch.tensor([p + r])).logits.float()[0].log_softmax(-1)
            row = torch.stack([lp[len(p) - 1 + k, t] for k, t in enumerate(r)])
            out.append(row.mean() if more.get("mean") else row.sum())
    return torch.stack(out).view(2, -1)


def far(a, b):  # largest relative difference
    return float(((a - b).abs() / b.abs().clamp(min=1.0)).max())


def flat(net):
    return torch.cat([p.detach().float().flatten() for p in net.parameters()])


def wanted(name, net, tok, parts):
    """The policy after plain steps on each part."""
    loss, beta, make, more = INTENDED[name]
    if "forward" in vars(net):  # a patched forward stays tied to the module it was made for
        weights, net = net.state_dict(), load_model("tiny")[0]
        net.load_state_dict(weights)
    net = copy.deepcopy(net).float()
    start = copy.deepcopy(net)
    params = [p for p in net.parameters() if p.requires_grad]
    opt = make(params)
    for k, part in enumerate(parts):
        for group in opt.param_groups if "rates" in more else ():
            group["lr"] = more["rates"][k]
        pc, pr = plain(net, tok, part, more)
        with torch.no_grad():
            rc, rr = plain(start, tok, part, more)
        d = (pc - pr) - (0.0 if loss.startswith("simpo") else rc - rr)
        value = LOSSES[loss](d, beta).mean()
        if "nll" in more:
            lens = torch.tensor([len(tok(p["chosen"]).input_ids) + 1 for p in part])
            value = value - more["nll"] * (pc / lens).mean()
        opt.zero_grad()
        value.backward()
        opt.step()
        for s, p in zip(start.parameters(), net.parameters(), strict=True):
            s.data.lerp_(p.data, more.get("ema", 0.0))
    return net


def measure(name):
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    torch.manual_seed(0)
    model, tok = load_model("tiny")
    h = module.connect(model, tok, PAIRS)
    loss, beta, _, more = INTENDED[name]
    policy, found = h["policy"], {}
    with torch.no_grad():
        first = plain(policy, tok, PAIRS, more)
        scores = lambda net: torch.stack(list(h["score"](net, h["collate"](PAIRS))))
        cached = lambda: torch.stack(list(h["reference_scores"](PAIRS)))
        reference = cached if "reference_scores" in h else lambda: scores(h["reference"])
        has_reference = "reference_scores" in h or h.get("reference") is not None
        own = scores(policy)
        found["score"] = far(own, first)
        found["reference"] = far(reference(), own) if has_reference else 0.0
    if "loss" in h:
        torch.manual_seed(5)
        x = [(torch.randn(8) * 8 - 40).requires_grad_() for _ in range(4)]
        d = x[0] - x[1] - (0.0 if loss.startswith("simpo") else x[2] - x[3])
        good, theirs = LOSSES[loss](d, beta).mean(), h["loss"](*x).mean()
        grad = lambda v: torch.cat(torch.autograd.grad(v, x[:2], materialize_grads=True))
        slope = grad(good)
        found["loss"] = max(far(theirs, good), float((grad(theirs) - slope).norm() / slope.norm()))
    if "step" in h:
        parts = [PAIRS[:4], PAIRS[4:]]
        goal, before = wanted(name, policy, tok, parts), flat(policy)
        for part in parts:
            h["step"](part)
        want, got = flat(goal) - before, flat(policy) - before
        found["step"] = float((got - want).norm() / want.norm())
        found["cosine"] = float(F.cosine_similarity(got, want, dim=0))
        found["length"] = float(got.norm() / want.norm())
        if has_reference and "ema" not in more:
            with torch.no_grad():
                found["reference"] = max(found["reference"], far(reference(), own))
    return found


def main():
    answers = json.loads((HERE / "answers.json").read_text())
    bad = []
    for name in sys.argv[1:] or sorted(INTENDED):
        told = answers[f"{name}.py"]
        try:
            m = measure(name)
        except Exception as error:
            raise SystemExit(f"{name} does not run") from error
        tol = INTENDED[name][3].get("tol", 2e-3)
        limit = {"score": tol, "reference": tol, "loss": 1e-4, "step": 0.05}
        group = {"loop": "step"}.get(told["group"], told["group"])
        off = {k for k in limit if m.get(k, 0.0) > limit[k]}
        fine = not off if told["right"] else group in off and not off - {group, "step"}
        bad += [] if fine else [name]
        numbers = "  ".join(f"{k} {v:.4f}" for k, v in m.items())
        print(f"{name}  {told['group']:10} {'ok ' if fine else 'BAD'} {numbers}", flush=True)
    assert not bad, bad
    print("all as told")


if __name__ == "__main__":
    main()
