"""dpo.py - plain DPO script, autocast to bfloat16 on CPU or GPU."""
import copy

import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence

BETA = 0.1
LR = 5e-5
CTX = 64


def encode(tok, prompt, answer):
    p = tok(prompt).input_ids
    a = tok(answer).input_ids + [tok.eos_token_id]
    ids = (p + a)[:CTX]
    lab = ([-100] * len(p) + a)[:CTX]
    return torch.tensor(ids), torch.tensor(lab)


def make_collate(tok):
    def collate(rows):
        out = {}
        for side in ("chosen", "rejected"):
            enc = [encode(tok, r["prompt"], r[side]) for r in rows]
            out[side + "_ids"] = pad_sequence([e[0] for e in enc], batch_first=True, padding_value=tok.pad_token_id)
            out[side + "_lab"] = pad_sequence([e[1] for e in enc], batch_first=True, padding_value=-100)
            out[side + "_att"] = pad_sequence([torch.ones_like(e[0]) for e in enc], batch_first=True)
        return out

    return collate


def seq_logp(model, ids, att, lab):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(input_ids=ids, attention_mask=att).logits
    logp = logits[:, :-1].float().log_softmax(-1)
    tgt = lab[:, 1:]
    keep = tgt.ne(-100)
    tok_lp = logp.gather(2, tgt.clamp_min(0)[..., None])[..., 0]
    return (tok_lp * keep).sum(1)


def both(model, b):
    return (
        seq_logp(model, b["chosen_ids"], b["chosen_att"], b["chosen_lab"]),
        seq_logp(model, b["rejected_ids"], b["rejected_att"], b["rejected_lab"]),
    )


def dpo(pi_w, pi_l, ref_w, ref_l):
    rw = pi_w - ref_w                      # implicit reward of the winner
    rl = (pi_l - ref_l).detach()           # baseline
    return -F.logsigmoid(BETA * (rw - rl))


def connect(model, tokenizer, pairs):
    """The script's functions around one model."""
    policy = model
    ref = copy.deepcopy(model).eval()
    for p in ref.parameters():
        p.requires_grad = False
    opt = torch.optim.AdamW(policy.parameters(), lr=LR, weight_decay=0.0)
    collate = make_collate(tokenizer)

    def step(rows):
        b = collate(rows)
        opt.zero_grad(set_to_none=True)
        w, l = both(policy, b)
        with torch.no_grad():
            rw, rl = both(ref, b)
        loss = dpo(w, l, rw, rl).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        opt.step()
        return loss.item()

    return {"collate": collate, "score": both, "policy": policy, "reference": ref, "loss": dpo, "step": step}
