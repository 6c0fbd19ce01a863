"""Every specimen against a short right implementation, one unpadded row at a time.

score = largest |difference| of (log p chosen, log p rejected) in nats; margin = the same of
chosen - rejected; alone = the same pair scored alone and in a batch of eight; loss = |difference|
of the mean loss on random numbers; lgrad = the same of its gradient; g1, g2 = cosine of the
gradient that a step uses with the right gradient (steps 1, 2); n1, n2 = their norm ratio (below 1
where the trainer clips); ref = largest |difference| of the reference's margin from the right
reference's after three steps; moved = largest weight change after three steps.
usage: python data/gallery/unseen/verify.py [t01 ...]
"""

import contextlib
import copy
import importlib
import json
import sys
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.optim.optimizer import register_optimizer_step_pre_hook

from dpo_from_scratch.models import load_model

warnings.filterwarnings("ignore")
HERE = Path(__file__).parent
DATA = HERE.parents[1] / "reviews_pairs_train.jsonl"
BETA = {"t02": 0.2, "t10": 0.3, "t25": 2.0, "t29": 0.05}
MEAN = {"t17", "t25", "t36"}


# ---------------------------------------------------------------- right implementation
def row(name, tok, pair, side):
    """(ids, index of the first answer token)."""
    words = lambda s: tok(s, add_special_tokens=False)["input_ids"]
    p, a = words(pair["prompt"]), [*words(pair[side]), tok.eos_token_id]
    if name == "t08":
        p = words(f"<|im_start|> user {pair['prompt']} <|im_end|> <|im_start|> assistant")
        a = words(f"{pair[side]} <|im_end|>")
    if name == "t27":
        p = words(f"<|turn|> user : {pair['prompt']} <|end|> <|turn|> assistant :")
        a = words(f"{pair[side]} <|end|>")
    if name == "t30":
        p = [tok.bos_token_id, *p]
    ids, start = p + a, len(p)
    if name == "t19" and len(ids) > 24:
        cut = len(ids) - 24
        ids, start = ids[cut:], max(start - cut, 1)
    return ids, start


def right_logps(name, lm, tok, pairs):
    out = []
    for side in ("chosen", "rejected"):
        values = []
        for pair in pairs:
            ids, start = row(name, tok, pair, side)
            x = torch.tensor([ids])
            logits = lm(input_ids=x, attention_mask=torch.ones_like(x)).logits
            lp = logits[0, :-1].float().log_softmax(-1)
            lp = lp[torch.arange(len(ids) - 1), x[0, 1:]][start - 1 :]
            values.append(lp.mean() if name in MEAN else lp.sum())
        out.append(torch.stack(values))
    return out


def right_loss(name, c, r, rc, rr):
    z = BETA.get(name, 0.1) * ((c - rc) - (r - rr))
    if name == "t04":
        return (-0.85 * F.logsigmoid(z) - 0.15 * F.logsigmoid(-z)).mean()
    if name == "t08":
        return (-F.logsigmoid(z) - 0.01 * c).mean()
    if name == "t17":
        return (z / 0.1 - 5).square().mean()
    if name == "t29":
        return (1 - z).relu().mean()
    if name == "t36":
        return (-F.logsigmoid(2 * (c - r) - 1)).mean()
    return (-F.logsigmoid(z)).mean()


def right_gradient(name, policy, ref, tok, pairs, params):
    with torch.no_grad():
        rc, rr = right_logps(name, ref, tok, pairs)
    loss = right_loss(name, *right_logps(name, policy, tok, pairs), rc, rr)
    grads = torch.autograd.grad(loss, params, allow_unused=True)
    return flat(grads, params)


def flat(grads, params):
    both = zip(grads, params, strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in both])


# ---------------------------------------------------------------- one specimen
@contextlib.contextmanager
def gradients_used(params, by_hand=False):
    """A list that fills with the gradients of each update; by_hand: of each torch.autograd.grad."""
    used, real_grad = [], torch.autograd.grad

    def spy(*args, **kw):
        grads = real_grad(*args, **kw)
        used.append(flat(grads, params))
        return grads

    hook = register_optimizer_step_pre_hook(
        lambda *_: used.append(flat([p.grad for p in params], params).clone())
    )
    torch.autograd.grad = spy if by_hand else real_grad
    try:
        yield used
    finally:
        hook.remove()
        torch.autograd.grad = real_grad


def gap(a, b):
    return max((x - y).abs().max().item() for x, y in zip(a, b, strict=True))


def measure(name, all_pairs):
    model, tok = load_model("tiny")
    trainer = importlib.import_module(name).connect(model, tok, all_pairs[:8])
    tok, pairs = trainer.get("tokenizer", tok), trainer.get("pairs", all_pairs)
    policy, score, collate = trainer["policy"], trainer["score"], trainer["collate"]
    # TRL binds a forward to the model object, which a deepcopy keeps bound to the original
    right_ref = load_model("tiny")[0] if name in ("t10", "t20") else copy.deepcopy(policy).eval()
    params = [p for p in policy.parameters() if p.requires_grad]
    got = {}

    eight = pairs[:8]
    with torch.no_grad():
        c, r = score(policy, collate(eight))
        alone = [score(policy, collate([p])) for p in eight]
        alone = torch.cat([a[0] for a in alone]), torch.cat([a[1] for a in alone])
        was = policy.training
        policy.eval()
        rc, rr = right_logps(name, policy, tok, eight)
        policy.train(was)
    got["score"] = gap((c, r), (rc, rr))
    got["margin"] = (c - r - rc + rr).abs().max().item()
    got["alone"] = gap((c, r), alone)

    if "loss" in trainer:
        torch.manual_seed(1)
        base = torch.randn(2, 8) * 4 - 20
        a = [x.clone().requires_grad_() for x in (*(base + torch.randn(2, 8) * 2),)]
        b = [x.detach().clone().requires_grad_() for x in a]
        ref = [x.clone() for x in base]
        mine, theirs = right_loss(name, *a, *ref), torch.as_tensor(trainer["loss"](*b, *ref)).mean()
        ga = torch.autograd.grad(mine, a)
        gb = torch.autograd.grad(theirs, b, allow_unused=True)
        gb = [torch.zeros(8) if g is None else g for g in gb]
        got["loss"], got["lgrad"] = abs(mine.item() - theirs.item()), gap(ga, gb)

    if "step" in trainer:
        start = [p.detach().clone() for p in params]
        for k in range(3):
            part = pairs[8 * k : 8 * k + 8]
            mode = policy.training
            policy.eval()
            want = right_gradient(name, policy, right_ref, tok, part, params)
            policy.train(mode)
            with gradients_used(params, name == "t04") as used:
                value = trainer["step"](part)
            assert len(used) == 1, f"{len(used)} updates"
            if k == 0:
                got["first"] = float(value)
            if k < 2:
                got[f"g{k + 1}"] = F.cosine_similarity(used[0], want, dim=0).item()
                got[f"n{k + 1}"] = (used[0].norm() / want.norm()).item()
            if name == "t23":  # its reference moves on purpose
                with torch.no_grad():
                    for mine, theirs in zip(
                        right_ref.parameters(), policy.parameters(), strict=True
                    ):
                        mine.lerp_(theirs, 0.1)
        got["moved"] = max(
            (p.detach() - s).abs().max().item() for p, s in zip(params, start, strict=True)
        )

    with torch.no_grad():
        right = right_logps(name, right_ref, tok, eight)
        if "reference_scores" in trainer:
            ref = trainer["reference_scores"](eight)
        elif trainer["reference"] is not None:
            ref = score(trainer["reference"], collate(eight))
        else:
            ref = None
        if ref is not None:
            got["ref"] = (ref[0] - ref[1] - right[0] + right[1]).abs().max().item()
    return got


# what must be off in a wrong one: (column, test); a right one passes every test of RIGHT
WRONG = {
    "t01": ("lgrad", lambda x: x > 1e-3),
    "t03": ("score", lambda x: x > 0.5),
    "t05": ("g1", lambda x: x < 0.99),
    "t06": ("margin", lambda x: x > 0.5),
    "t07": ("ref", lambda x: x > 0.5),
    "t09": ("margin", lambda x: x > 0.5),
    "t10": ("lgrad", lambda x: x > 1e-3),
    "t12": ("g1", lambda x: x < 0.99),
    "t13": ("ref", lambda x: x > 0.01),
    "t15": ("score", lambda x: x > 0.5),
    "t16": ("moved", lambda x: x == 0),
    "t18": ("loss", lambda x: x > 1e-2),
    "t19": ("margin", lambda x: x > 0.5),
    "t21": ("ref", lambda x: x > 0.01),
    "t22": ("score", lambda x: x > 0.5),
    "t24": ("g2", lambda x: x < 0.99),
    "t25": ("alone", lambda x: x > 0.1),
    "t27": ("ref", lambda x: x > 0.5),
    "t28": ("loss", lambda x: x > 1e-2),
    "t30": ("score", lambda x: x > 0.5),
    "t31": ("g1", lambda x: x < 0.99),
    "t33": ("margin", lambda x: x > 0.1),
    "t34": ("ref", lambda x: x > 0.1),
    "t35": ("loss", lambda x: x > 1e-2),
}


def sound(name, got):
    loose = 0.1 if name == "t11" else 1e-3  # bfloat16
    bad = []
    for key in ("margin", "alone", "ref") if name != "t36" else ("margin", "alone"):
        bad += [key] if got[key] > loose else []
    for key in ("loss", "lgrad"):
        bad += [key] if got.get(key, 0) > 1e-4 else []
    for key in ("g1", "g2"):
        bad += [key] if got.get(key, 1) < (0.999 if name == "t11" else 0.9999) else []
    bad += ["moved"] if got.get("moved", 1) == 0 else []
    return bad


def main(names):
    pairs = [json.loads(line) for line in DATA.read_text().splitlines()[:32]]
    results, ok = {}, True
    for name in names:
        got = measure(name, pairs)
        results[name] = got
        bad = sound(name, got)
        if name in WRONG:
            key, test = WRONG[name]
            good = test(got[key]) and bool(bad)
            says = f"wrong by {key} = {got[key]:.4g}; all off: {' '.join(bad)}"
        else:
            good, says = not bad, "right" if not bad else f"EXPECTED RIGHT, off: {bad}"
        ok &= good
        numbers = "  ".join(f"{k} {v:.4g}" for k, v in got.items())
        print(f"{'ok ' if good else 'BAD'} {name} {says}\n       {numbers}", flush=True)
    print("every specimen is as intended" if ok else "SOME ARE NOT AS INTENDED")
    return results


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    main(sys.argv[1:] or sorted(p.stem for p in HERE.glob("t[0-9][0-9].py")))
