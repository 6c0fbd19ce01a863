import torch
import torch.nn as nn
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model


class LogExpLoss(nn.Module):
    def __init__(self, beta: float):
        super().__init__()
        self.beta = beta

    def forward(self, policy_chosen, policy_rejected, reference_chosen, reference_rejected):
        pi_logratios = policy_chosen - policy_rejected
        ref_logratios = reference_chosen - reference_rejected
        return -F.logsigmoid(self.beta * (pi_logratios - ref_logratios))


class Disabled(nn.Module):
    def __init__(self, m):
        super().__init__()
        self.m = m

    def forward(self, **kw):
        with self.m.disable_adapter():
            return self.m(**kw)


class ConcatDPO:
    def __init__(self, model, tokenizer, beta=0.1, lr=5e-4):
        self.tokenizer = tokenizer
        config = LoraConfig(r=8, lora_alpha=16, target_modules=["c_attn", "c_proj"], fan_in_fan_out=True)
        self.model = get_peft_model(model, config)
        self.ref = Disabled(self.model)
        self.loss_fn = LogExpLoss(beta)
        self.optim = torch.optim.AdamW([p for p in self.model.parameters() if p.requires_grad], lr=lr)

    def collate_fn(self, items):
        chosen, rejected, prompt_id_lens = [], [], []
        for item in items:
            prompt_ids = self.tokenizer(item["prompt"]).input_ids
            prompt_id_lens.append(len(prompt_ids))
            chosen.append(prompt_ids + self.tokenizer(item["chosen"]).input_ids + [self.tokenizer.eos_token_id])
            rejected.append(prompt_ids + self.tokenizer(item["rejected"]).input_ids + [self.tokenizer.eos_token_id])
        return self._pad(chosen), self._pad(rejected), prompt_id_lens

    def _pad(self, seqs):
        m = max(len(s) for s in seqs)
        ids = torch.tensor([s + [self.tokenizer.pad_token_id] * (m - len(s)) for s in seqs])
        mask = torch.tensor([[1] * len(s) + [0] * (m - len(s)) for s in seqs])
        return ids, mask

    def concatenated_inputs(self, chosen, rejected):
        width = max(chosen[0].size(1), rejected[0].size(1))

        def widen(t, value):
            return F.pad(t, (0, width - t.size(1)), value=value)

        ids = torch.cat([widen(chosen[0], self.tokenizer.pad_token_id), widen(rejected[0], self.tokenizer.pad_token_id)])
        mask = torch.cat([widen(chosen[1], 0), widen(rejected[1], 0)])
        return ids, mask

    def concatenated_forward(self, model, batch):
        chosen, rejected, prompt_id_lens = batch
        ids, mask = self.concatenated_inputs(chosen, rejected)
        logits = model(input_ids=ids, attention_mask=mask).logits
        logps = self._get_batch_logps(logits, ids, mask, prompt_id_lens)
        n = chosen[0].shape[0]
        return logps[:n], logps[n:]

    def _get_batch_logps(self, logits, ids, mask, prompt_id_lens):
        loss_masks = mask.clone().bool()
        for row, source_len in zip(loss_masks, prompt_id_lens):
            row[:source_len] = False
        loss_masks = loss_masks[:, 1:]
        per_token = torch.gather(logits[:, :-1].log_softmax(-1), 2, ids[:, 1:].unsqueeze(2)).squeeze(2)
        return (per_token * loss_masks).sum(-1)

    def training_step(self, items):
        batch = self.collate_fn(items)
        chosen, rejected = self.concatenated_forward(self.model, batch)
        with torch.no_grad():
            ref_chosen, ref_rejected = self.concatenated_forward(self.ref, batch)
        loss = self.loss_fn(chosen, rejected, ref_chosen, ref_rejected).mean()
        loss.backward()
        self.optim.step()
        self.optim.zero_grad()
        return loss.item()


def connect(model, tokenizer, pairs):
    """The adapters are trained; without them the network is the reference."""
    t = ConcatDPO(model, tokenizer)
    return {
        "collate": t.collate_fn, "score": t.concatenated_forward, "policy": t.model,
        "reference": t.ref, "loss": t.loss_fn, "step": t.training_step,
    }
