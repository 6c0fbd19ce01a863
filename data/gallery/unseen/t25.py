"""Length-normalised DPO: log-probabilities are averaged over the answer, so beta is larger than usual."""
import copy

import torch
import torch.nn.functional as F


class LengthNormalisedDPO:
    def __init__(self, model, ref_model, tokenizer, beta=2.0, lr=1e-4, max_len=64):
        self.model = model
        self.ref_model = ref_model
        self.tokenizer = tokenizer
        self.beta = beta
        self.max_len = max_len
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=lr)

    def _loss_mask(self, input_ids, prompt_len):
        mask = [0] * len(input_ids)
        for i in range(prompt_len, len(input_ids)):
            mask[i] = 1
        return mask

    def _example(self, prompt, answer):
        p = self.tokenizer(prompt).input_ids
        ids = p + self.tokenizer(answer).input_ids + [self.tokenizer.eos_token_id]
        ids = ids[: self.max_len]
        mask = self._loss_mask(ids, len(p))
        return ids, mask

    def collate(self, pairs):
        data = {"x_chosen": [], "m_chosen": [], "x_rejected": [], "m_rejected": []}
        for pair in pairs:
            for s in ("chosen", "rejected"):
                ids, mask = self._example(pair["prompt"], pair[s])
                data["x_" + s].append(ids)
                data["m_" + s].append(mask)
        width = max(len(r) for k in ("x_chosen", "x_rejected") for r in data[k])
        out = {}
        for k, rows in data.items():
            fill = self.tokenizer.pad_token_id if k.startswith("x") else 0
            out[k] = torch.tensor([r + [fill] * (width - len(r)) for r in rows])
        return out

    @staticmethod
    def logits_to_log_probs(logits, labels):
        log_probs = F.log_softmax(logits, dim=2)
        return torch.gather(log_probs, dim=2, index=labels.unsqueeze(2)).squeeze(-1)

    def score(self, model, batch):
        x = torch.cat([batch["x_chosen"], batch["x_rejected"]])
        mask = torch.cat([batch["m_chosen"], batch["m_rejected"]])[:, 1:]
        attention = (x != self.tokenizer.pad_token_id).long()
        logits = model(input_ids=x, attention_mask=attention).logits
        probs = self.logits_to_log_probs(logits[:, :-1], x[:, 1:])
        probs = (probs * mask).mean(dim=1)
        n = len(probs) // 2
        return probs[:n], probs[n:]

    def dpo_loss(self, chosen_probs, reject_probs, chosen_ref_probs, reject_ref_probs):
        pi_logratios = chosen_probs - reject_probs
        ref_logratios = chosen_ref_probs - reject_ref_probs
        return -F.logsigmoid(self.beta * (pi_logratios - ref_logratios))

    def step(self, pairs):
        batch = self.collate(pairs)
        with torch.no_grad():
            ref_c, ref_r = self.score(self.ref_model, batch)
        c, r = self.score(self.model, batch)
        loss = self.dpo_loss(c, r, ref_c, ref_r).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item()


def connect(model, tokenizer, pairs):
    """Model, frozen copy, one trainer."""
    ref = copy.deepcopy(model).eval().requires_grad_(False)
    t = LengthNormalisedDPO(model, ref, tokenizer)
    return {
        "collate": t.collate, "score": t.score, "policy": t.model,
        "reference": t.ref_model, "loss": t.dpo_loss, "step": t.step,
    }
