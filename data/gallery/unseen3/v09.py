"""LoRA DPO: no second model in memory, the base under the adapters is the reference."""
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model


class Base(torch.nn.Module):
    def __init__(self, peft_model):
        super().__init__()
        self.peft_model = peft_model

    def forward(self, *args, **kwargs):
        with torch.no_grad():
            self.peft_model.disable_adapter()
            return self.peft_model(*args, **kwargs)


def connect(model, tokenizer, pairs):
    torch.manual_seed(0)
    config = LoraConfig(r=8, lora_alpha=16, target_modules=["c_attn", "c_fc"], fan_in_fan_out=True, task_type="CAUSAL_LM")
    policy = get_peft_model(model, config)
    base = Base(policy)
    opt = torch.optim.AdamW([p for p in policy.parameters() if p.requires_grad], lr=5e-3, weight_decay=0.0)

    def encode(pairs, key):
        rows = []
        for p in pairs:
            a, b = tokenizer(p["prompt"]).input_ids, tokenizer(p[key]).input_ids + [tokenizer.eos_token_id]
            rows.append((a + b, [0] * len(a) + [1] * len(b)))
        return rows

    def collate(pairs):
        rows = encode(pairs, "chosen") + encode(pairs, "rejected")
        n = max(len(i) for i, _ in rows)
        ids = torch.tensor([i + [tokenizer.pad_token_id] * (n - len(i)) for i, _ in rows])
        att = torch.tensor([[1] * len(i) + [0] * (n - len(i)) for i, _ in rows])
        resp = torch.tensor([m + [0] * (n - len(m)) for _, m in rows])
        return ids, att, resp

    def score(net, batch):
        ids, att, resp = batch
        logits = net(input_ids=ids, attention_mask=att).logits
        per_token = -F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        return (per_token.view(len(ids), -1) * resp[:, 1:]).sum(1).tensor_split(2)

    def loss(pc, pr, rc, rr):
        return -F.logsigmoid(0.1 * (pc - rc - pr + rr))

    def step(pairs):
        batch = collate(pairs)
        rc, rr = score(base, batch)
        pc, pr = score(policy, batch)
        value = loss(pc, pr, rc, rr).mean()
        opt.zero_grad()
        value.backward()
        opt.step()
        return value.item()

    return {"collate": collate, "score": score, "policy": policy, "reference": base, "loss": loss, "step": step}
