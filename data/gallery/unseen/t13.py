#!/usr/bin/env python
"""Minimal DPO training. usage: python dpo_min.py"""
import copy
import itertools

import torch
from torch.nn.functional import logsigmoid


def get_ids(tokenizer, prompt, response, block=64):
    x = tokenizer.encode(prompt)
    y = tokenizer.encode(response) + [tokenizer.eos_token_id]
    x_y = (x + y)[:block]
    return x_y, min(len(x), block)


def make_batch(tokenizer, samples):
    result = []
    for name in ("chosen", "rejected"):
        seqs = [get_ids(tokenizer, s["prompt"], s[name]) for s in samples]
        n = max(len(s) for s, _ in seqs)
        X = torch.full((len(seqs), n), tokenizer.pad_token_id)
        M = torch.zeros(len(seqs), n)
        A = torch.zeros(len(seqs), n, dtype=torch.long)
        for i, (s, k) in enumerate(seqs):
            X[i, : len(s)] = torch.tensor(s)
            A[i, : len(s)] = 1
            M[i, k : len(s)] = 1.0
        result.append((X, A, M))
    return result


def forward_logps(net, X, A, M):
    logits = net(X, attention_mask=A).logits
    lp = logits.log_softmax(dim=-1)
    lp = lp[:, :-1, :].gather(2, X[:, 1:].unsqueeze(2)).squeeze(2)
    return (lp * M[:, 1:]).sum(dim=1)


def score_pair(net, batch):
    (cx, ca, cm), (rx, ra, rm) = batch
    return forward_logps(net, cx, ca, cm), forward_logps(net, rx, ra, rm)


def dpo_objective(logp_c, logp_r, ref_c, ref_r, beta=0.1):
    return -logsigmoid(beta * (logp_c - ref_c) - beta * (logp_r - ref_r)).mean()


class State:
    pass


def setup(model):
    st = State()
    st.actor = model
    st.ref = copy.deepcopy(model)
    st.actor.train()
    st.ref.eval()
    modules = [st.actor, st.ref]
    st.opt = torch.optim.AdamW(itertools.chain(*(m.parameters() for m in modules)), lr=1e-4, weight_decay=0.0)
    return st


def one_step(st, tokenizer, samples):
    batch = make_batch(tokenizer, samples)
    c, r = score_pair(st.actor, batch)
    c0, r0 = score_pair(st.ref, batch)
    loss = dpo_objective(c, r, c0, r0)
    st.opt.zero_grad()
    loss.backward()
    st.opt.step()
    return loss.item()


def connect(model, tokenizer, pairs):
    """Script functions with the tokenizer bound."""
    st = setup(model)
    return {
        "collate": lambda samples: make_batch(tokenizer, samples),
        "score": score_pair,
        "policy": st.actor,
        "reference": st.ref,
        "loss": dpo_objective,
        "step": lambda samples: one_step(st, tokenizer, samples),
    }
