import torch
import torch.nn.functional as F
from peft import LoraConfig, TaskType, get_peft_model
from torch import nn


class WithoutAdapters(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, input_ids, attention_mask=None):
        with self.net.disable_adapter():
            return self.net(input_ids=input_ids, attention_mask=attention_mask)


class Experiment:
    """Builds model, optimizer, data functions; `run_step` is the loop body."""

    def __init__(self, config, net, tok):
        self.c = config
        self.tok = tok
        self.net = net
        self.optimizer = self.build_optimizer()
        if self.c["lora"]:
            self.net = self.add_lora(self.net)
        self.reference = WithoutAdapters(self.net)

    def build_optimizer(self):
        decay, plain = [], []
        for name, p in self.net.named_parameters():
            (decay if p.dim() > 1 else plain).append(p)
        groups = [{"params": decay, "weight_decay": 0.0}, {"params": plain, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=self.c["lr"])

    def add_lora(self, net):
        lora = LoraConfig(
            task_type=TaskType.CAUSAL_LM, r=self.c["rank"], lora_alpha=self.c["rank"], lora_dropout=0.0,
            target_modules=["c_attn", "c_fc", "c_proj"], fan_in_fan_out=True,
        )
        return get_peft_model(net, lora)

    def batchify(self, pairs):
        seqs, marks = [], []
        for p in pairs:
            for side in ("chosen", "rejected"):  # interleaved: w0 l0 w1 l1 ...
                a = self.tok.encode(p["prompt"])
                b = self.tok.encode(p[side]) + [self.tok.eos_token_id]
                seqs.append(a + b)
                marks.append([0] * len(a) + [1] * len(b))
        T = max(len(s) for s in seqs)
        pad = lambda rows, v: torch.tensor([r + [v] * (T - len(r)) for r in rows])
        return pad(seqs, self.tok.pad_token_id), pad([[1] * len(s) for s in seqs], 0), pad(marks, 0)

    def logps(self, net, batch):
        ids, att, mark = batch
        out = net(input_ids=ids, attention_mask=att).logits.log_softmax(-1)
        tok = out[:, :-1].gather(-1, ids[:, 1:].unsqueeze(-1)).squeeze(-1) * mark[:, 1:]
        s = tok.sum(-1)
        return s[0::2], s[1::2]

    def loss(self, w, l, w0, l0):
        return -F.logsigmoid(self.c["beta"] * ((w - w0) - (l - l0)))

    def run_step(self, pairs):
        batch = self.batchify(pairs)
        with torch.no_grad():
            w0, l0 = self.logps(self.reference, batch)
        w, l = self.logps(self.net, batch)
        loss = self.loss(w, l, w0, l0).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    """Config as in the yaml file."""
    e = Experiment({"lr": 1e-3, "beta": 0.1, "lora": True, "rank": 8}, model, tokenizer)
    return {
        "collate": e.batchify,
        "score": e.logps,
        "policy": e.net,
        "reference": e.reference,
        "loss": e.loss,
        "step": e.run_step,
    }
