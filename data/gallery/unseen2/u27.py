import copy

import torch
from torch import nn
from torch.nn.functional import logsigmoid
from transformers import LlamaConfig, LlamaForCausalLM


class LitDPO(nn.Module):
    def __init__(self, tokenizer, beta=0.1, lr=3e-4):
        super().__init__()
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=160,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=64,
            attention_dropout=0.1,
            initializer_range=0.1,
            pad_token_id=tokenizer.pad_token_id,
        )
        self.policy = LlamaForCausalLM(config)
        self.reference = copy.deepcopy(self.policy)
        self.reference.requires_grad_(False)
        self.tokenizer = tokenizer
        self.beta, self.lr = beta, lr
        self.eval()

    def collate(self, pairs):
        tok = self.tokenizer
        triples = []
        for side in ("chosen", "rejected"):
            for p in pairs:
                head = tok(p["prompt"]).input_ids
                triples.append((head, tok(p[side]).input_ids + [tok.eos_token_id]))
        width = max(len(h) + len(t) for h, t in triples)
        ids = torch.full((len(triples), width), tok.pad_token_id)
        labels = torch.full((len(triples), width), -100)
        for row, (h, t) in enumerate(triples):
            ids[row, : len(h) + len(t)] = torch.tensor(h + t)
            labels[row, len(h) : len(h) + len(t)] = torch.tensor(t)
        return {"input_ids": ids, "attention_mask": (ids != tok.pad_token_id).long(), "labels": labels}

    def logps(self, model, batch):
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False).logits
        target = batch["labels"][:, 1:]
        nll = nn.functional.cross_entropy(logits[:, :-1].mT, target, ignore_index=-100, reduction="none")
        return (-nll.sum(1)).chunk(2)

    def loss(self, pc, pr, rc, rr):
        return -logsigmoid(self.beta * ((pc - rc) - (pr - rr)))

    def training_step(self, batch, batch_idx=0):
        pc, pr = self.logps(self.policy, batch)
        with torch.no_grad():
            rc, rr = self.logps(self.reference, batch)
        return self.loss(pc, pr, rc, rr).mean()

    def configure_optimizers(self):
        return torch.optim.AdamW(self.policy.parameters(), lr=self.lr, weight_decay=0.0)


def connect(model, tokenizer, pairs):
    lit = LitDPO(tokenizer)
    optimizer = lit.configure_optimizers()

    def step(pairs):
        lit.train()
        loss = lit.training_step(lit.collate(pairs))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return {
        "collate": lit.collate,
        "score": lit.logps,
        "policy": lit.policy,
        "reference": lit.reference,
        "loss": lit.loss,
        "step": step,
    }
