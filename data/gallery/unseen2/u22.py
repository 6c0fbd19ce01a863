"""Packed DPO on a small Llama: as many sequences per row as fit, each blind to the others."""

import copy

import torch
from torch.nn.functional import logsigmoid
from transformers import LlamaConfig, LlamaForCausalLM


def small_llama(tokenizer):
    torch.manual_seed(11)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
            initializer_range=0.12,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def collate(pairs, tokenizer, capacity=96):
    bins = []
    items = [(p["prompt"], p[s]) for p in pairs for s in ("chosen", "rejected")]
    for n, (prompt, answer) in enumerate(items):
        x = tokenizer(prompt).input_ids
        y = tokenizer(answer).input_ids + [tokenizer.eos_token_id]
        home = next((b for b in bins if b["used"] + len(x) + len(y) <= capacity), None)
        if home is None:
            home = {"used": 0, "ids": [], "pos": [], "doc": [], "answer": []}
            bins.append(home)
        home["ids"] += x + y
        home["pos"] += range(len(x) + len(y))
        home["doc"] += [n] * (len(x) + len(y))
        home["answer"] += [False] * len(x) + [True] * len(y)
        home["used"] += len(x) + len(y)

    def stack(name, fill):
        return torch.tensor([b[name] + [fill] * (capacity - b["used"]) for b in bins])

    doc = stack("doc", -1)
    same = doc[:, :, None] == doc[:, None, :]
    causal = torch.tril(torch.ones(capacity, capacity, dtype=torch.bool))
    mask = torch.zeros(same.shape).masked_fill(~(same & causal), torch.finfo(torch.float32).min)
    return {
        "ids": stack("ids", tokenizer.pad_token_id),
        "pos": stack("pos", 0),
        "doc": doc,
        "answer": stack("answer", False),
        "mask": mask[:, None],
        "count": len(items),
    }


def score(model, batch):
    out = model(batch["ids"], attention_mask=batch["mask"], position_ids=batch["pos"], use_cache=False)
    logp = out.logits[:, :-1].log_softmax(-1).gather(-1, batch["ids"][:, 1:, None])[..., 0]
    answer = batch["answer"][:, 1:]
    sums = torch.zeros(batch["count"]).scatter_add(0, batch["doc"][:, 1:][answer], logp[answer])
    return sums[0::2], sums[1::2]


def connect(model, tokenizer, pairs):
    policy = small_llama(tokenizer)
    reference = copy.deepcopy(policy).eval().requires_grad_(False)

    def loss(pc, pr, rc, rr, beta=0.1):
        return -logsigmoid(beta * (pc - pr - (rc - rr)))

    hooks = dict(score=score, policy=policy, reference=reference, loss=loss)
    return hooks | {"collate": lambda pairs: collate(pairs, tokenizer)}
