"""DPO on LoRA adapters; switching them off gives the reference."""
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model


class AdaptersOff(torch.nn.Module):
    def __init__(self, peft_model):
        super().__init__()
        self.inner = [peft_model]

    @torch.no_grad()
    def forward(self, *args, **kwargs):
        with self.inner[0].disable_adapter():
            return self.inner[0](*args, **kwargs)


class LoraDPO:
    def __init__(self, lm, tok, beta=0.1, lr=1e-3):
        torch.manual_seed(11)
        self.tok, self.beta = tok, beta
        self.lm = get_peft_model(lm, LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules="all-linear",
                                                fan_in_fan_out=True, exclude_modules=["lm_head"])).eval()
        self.off = AdaptersOff(self.lm)
        self.opt = torch.optim.AdamW((p for p in self.lm.parameters() if p.requires_grad), lr=lr, weight_decay=0.1)

    def collate(self, pairs):
        sides = {}
        for key in ("chosen", "rejected"):
            enc = self.tok([f"{p['prompt']} {p[key]} {self.tok.eos_token}" for p in pairs], padding=True, return_tensors="pt")
            n = torch.tensor([len(self.tok(p["prompt"]).input_ids) for p in pairs])
            labels = enc.input_ids.clone()
            labels[enc.attention_mask == 0] = -100
            labels[torch.arange(labels.shape[1])[None] < n[:, None]] = -100
            sides[key] = {**enc, "labels": labels}
        return sides

    def one(self, net, side):
        logits = net(input_ids=side["input_ids"], attention_mask=side["attention_mask"]).logits
        nll = F.cross_entropy(logits[:, :-1].transpose(1, 2), side["labels"][:, 1:], reduction="none")
        return -nll.sum(1)

    def score(self, net, batch):
        return self.one(net, batch["chosen"]), self.one(net, batch["rejected"])

    def loss(self, pc, pr, rc, rr):
        return -F.logsigmoid(self.beta * (pc - pr) - self.beta * (rc - rr))

    def step(self, pairs):
        batch = self.collate(pairs)
        ref = self.score(self.off, batch)
        value = self.loss(*self.score(self.lm, batch), *ref).mean()
        self.opt.zero_grad()
        value.backward()
        self.opt.step()
        return value.item()


def connect(model, tokenizer, pairs):
    t = LoraDPO(model, tokenizer)
    return {"collate": t.collate, "score": t.score, "policy": t.lm, "reference": t.off, "loss": t.loss, "step": t.step}
