"""Checks answers.json: compares each trainer with a plain implementation, one unpadded row at a time.

A right trainer must agree in its scores, its reference's scores (before and after training), its loss
and its steps; a wrong one must differ in the quantity that its answer names, and not in an earlier one.
"""

import contextlib
import copy
import importlib.util
import io
import json
import logging
import sys
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F

HERE = Path(__file__).parent
PAIRS = [json.loads(line) for line in (HERE.parents[1] / "reviews_pairs_train.jsonl").open()][:8]
SUBSETS = (PAIRS, PAIRS[:3], PAIRS[5:6], [PAIRS[4], PAIRS[2]])
STEPS = (PAIRS[:4], PAIRS[4:], PAIRS)


def plain_score(net, tokenizer, prompt, answer, meant):
    """log-probability of one answer, from one unpadded row."""
    before, after = meant.get("text", ["", ""])
    head = tokenizer(before + prompt + after, add_special_tokens=False).input_ids
    row = head + tokenizer(answer, add_special_tokens=False).input_ids + [tokenizer.eos_token_id]
    logp = net(input_ids=torch.tensor([row]), use_cache=False).logits[0].float().log_softmax(-1)
    first = 1 if meant.get("whole") else len(head)
    each = torch.stack([logp[t - 1, row[t]] for t in range(first, len(row))])
    return each.mean() if meant.get("mean") else each.sum()


def plain_scores(net, tokenizer, pairs, meant):
    sides = ("chosen", "rejected")
    return [
        torch.stack([plain_score(net, tokenizer, p["prompt"], p[s], meant) for p in pairs])
        for s in sides
    ]


def plain_loss(meant, pc, pr, rc, rr):
    name, k = meant["loss"]
    margin = (pc - pr) - (rc - rr)
    if name == "sigmoid":
        return -F.logsigmoid(k["beta"] * margin)
    if name == "hinge":
        return torch.relu(1 - k["beta"] * margin)
    if name == "ipo":
        return (margin - 1 / (2 * k["beta"])) ** 2
    if name == "simpo":
        return -F.logsigmoid(k["beta"] * (pc - pr) - k["gamma"])
    z = k["beta"] * margin
    return -(1 - k["eps"]) * F.logsigmoid(z) - k["eps"] * F.logsigmoid(-z) - k["nll"] * pc


def gap(ours, theirs):
    return max(
        float((a.detach().float() - b.detach().float()).abs().max())
        for a, b in zip(ours, theirs, strict=True)
    )


def flat(net, before=None):
    values = torch.cat([p.detach().float().reshape(-1) for p in net.parameters()])
    return values if before is None else values - before


@torch.no_grad()
def reference_of(hooks, pairs):
    if "reference_scores" in hooks:
        return hooks["reference_scores"](pairs)
    return hooks["score"](hooks["reference"], hooks["collate"](pairs))


def check_loss(hooks, meant):
    """Largest difference of the loss and of its gradient at random scores."""
    torch.manual_seed(1)
    worst = 0.0
    for spread in (0.5, 3.0, 12.0):
        numbers = [torch.randn(8) * spread - 20 for _ in range(4)]
        out = []
        for loss in (hooks["loss"], lambda *x: plain_loss(meant, *x)):
            x = [n.clone().requires_grad_() for n in numbers[:2]]
            value = loss(*x, *numbers[2:]).mean()
            out.append([value.reshape(1), *torch.autograd.grad(value, x)])
        worst = max(worst, gap(*out) / (1 + float(out[1][0].abs())))
    return worst


class Twin:
    """The same training, plainly: unpadded rows, torch's optimizer."""

    def __init__(self, policy, base, tokenizer, meant):
        own = meant.get("own") or meant.get("lora")
        self.net = copy.deepcopy(policy if own else base).float()
        self.base = copy.deepcopy(base).float()
        self.tokenizer, self.meant = tokenizer, meant
        name, kwargs = meant["optimizer"]
        self.params = [p for p in self.net.parameters() if p.requires_grad]
        self.opt = getattr(torch.optim, name)(self.params, **kwargs)
        self.lr, self.count = kwargs["lr"], 0

    def step(self, pairs):
        self.count += 1
        for g in self.opt.param_groups:
            g["lr"] = self.lr * min(1.0, self.count / self.meant.get("warmup", 1))
        with torch.no_grad():
            ref = plain_scores(self.base, self.tokenizer, pairs, self.meant)
        loss = plain_loss(
            self.meant, *plain_scores(self.net, self.tokenizer, pairs, self.meant), *ref
        ).mean()
        self.opt.zero_grad()
        loss.backward()
        if "clip" in self.meant:
            torch.nn.utils.clip_grad_norm_(self.params, self.meant["clip"])
        self.opt.step()
        if "ema" in self.meant:
            for slow, fast in zip(self.base.parameters(), self.net.parameters()):
                slow.data.lerp_(fast.data, self.meant["ema"])
        return loss.item()


def check(path, answer):
    from dpo_from_scratch.models import load_model

    meant = answer["meant"]
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    model, tokenizer = load_model("tiny")
    base = copy.deepcopy(model)
    hooks = module.connect(model, tokenizer, [dict(p) for p in PAIRS])
    policy = hooks["policy"]
    base = copy.deepcopy(policy) if meant.get("own") else base
    policy.eval()
    seen = {}
    plain = lambda net, s: plain_scores(net, tokenizer, s, meant)
    score = lambda s: hooks["score"](policy, hooks["collate"](s))
    with torch.no_grad():
        seen["scores"] = max(gap(score(s), plain(policy, s)) for s in SUBSETS)
    if "loss" in hooks:
        seen["loss"] = check_loss(hooks, meant)
    for m in policy.modules():
        if meant.get("lora") and isinstance(m, torch.nn.Dropout):
            m.p = 0.0
    twin, start = Twin(policy, base, tokenizer, meant), flat(policy)
    if not meant.get("free"):
        reference_gap = lambda s: gap(reference_of(hooks, s), plain(twin.base, s))
        seen["reference"] = max(map(reference_gap, SUBSETS))
    for pairs in STEPS if "step" in hooks else ():
        value, right = hooks["step"]([dict(p) for p in pairs]), twin.step(pairs)
        ours, ideal = flat(policy, start), flat(twin.net, start)
        seen["step"] = max(seen.get("step", 0), float((ours - ideal).norm() / ideal.norm()))
        seen["cos"] = min(seen.get("cos", 1), float(F.cosine_similarity(ours, ideal, 0)))
        seen["value"] = max(seen.get("value", 0), abs(value - right))
        if not meant.get("free"):
            seen["reference"] = max(seen["reference"], *map(reference_gap, SUBSETS))
    return seen


def main():
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    answers = json.loads((HERE / "answers.json").read_text())
    order, bad = ("scores", "reference", "loss", "step"), []
    for name in sys.argv[1:] or sorted(answers):
        answer = answers[name]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            seen = check(HERE / name, answer)
        limits = {"scores": 1e-3, "reference": 1e-3, "loss": 1e-5, "step": 0.05, "value": 1e-4}
        if answer["meant"].get("bf16"):
            limits.update(scores=0.2, reference=0.2, step=0.3, value=0.01)
        differs = [k for k in order if seen.get(k, 0.0) > limits[k]]
        if answer["right"]:
            ok = not differs and seen.get("value", 0.0) <= limits["value"]
        else:  # it differs first where its answer says, and well above the limit
            where = answer["seen_in"]
            least = limits[where] if limits[where] > 0.1 else 10 * limits[where]
            ok = differs[:1] == [where] and seen[where] > least
        kind = "right" if answer["right"] else "wrong: " + answer["seen_in"]
        numbers = "  ".join(f"{k} {v:.2g}" for k, v in seen.items())
        print(f"{name} {kind:17} {'ok' if ok else 'NOT OK'}   {numbers}")
        bad += [] if ok else [name]
    assert not bad, f"answers that the numbers do not bear out: {bad}"
    print(f"all {len(sys.argv[1:] or answers)} answers hold")


if __name__ == "__main__":
    main()
