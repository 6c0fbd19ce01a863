import torch
import torch.nn.functional as F


class PreferenceTuner:
    """DPO with small micro-batches so that it fits on one small card."""

    MICRO = 3

    def __init__(self, policy, ref, tok, beta=0.1, lr=1e-4):
        self.policy, self.ref, self.tok = policy, ref, tok
        self.beta = beta
        self.opt = torch.optim.AdamW(policy.parameters(), lr=lr, betas=(0.9, 0.95))
        self.history = []

    def _encode(self, pair, which):
        prompt = self.tok(pair["prompt"])["input_ids"]
        full = self.tok(pair["prompt"] + " " + pair[which])["input_ids"] + [self.tok.eos_token_id]
        return full, len(prompt)

    def build(self, pairs):
        batch = {}
        for which in ["chosen", "rejected"]:
            enc = [self._encode(p, which) for p in pairs]
            longest = max(len(ids) for ids, _ in enc)
            ids = torch.tensor([e + [self.tok.pad_token_id] * (longest - len(e)) for e, _ in enc])
            real = torch.tensor([[1] * len(e) + [0] * (longest - len(e)) for e, _ in enc])
            answer = real.clone()
            for row, (_, n) in enumerate(enc):
                answer[row, :n] = 0
            batch[which] = (ids, real, answer)
        return batch

    def logps(self, net, batch):
        out = []
        for which in ["chosen", "rejected"]:
            ids, real, answer = batch[which]
            lp = net(ids, attention_mask=real).logits.log_softmax(-1)
            lp = lp[:, :-1].gather(-1, ids[:, 1:, None]).squeeze(-1)
            out.append((lp * answer[:, 1:]).sum(-1))
        return tuple(out)

    def objective(self, c, r, c0, r0):
        return -F.logsigmoid(self.beta * ((c - c0) - (r - r0))).mean()

    def train_on(self, pairs):
        self.opt.zero_grad()
        n_micro = len(pairs) // self.MICRO
        total = 0.0
        for k in range(n_micro):
            batch = self.build(pairs[k * self.MICRO : (k + 1) * self.MICRO])
            c, r = self.logps(self.policy, batch)
            with torch.no_grad():
                c0, r0 = self.logps(self.ref, batch)
            loss = self.objective(c, r, c0, r0) / n_micro
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), 1.0)
        self.opt.step()
        self.history.append(total)
        return total


def connect(model, tokenizer, pairs):
    """One tuner around the model and a frozen copy."""
    import copy

    ref = copy.deepcopy(model)
    ref.eval()
    ref.requires_grad_(False)
    t = PreferenceTuner(model, ref, tokenizer)
    return dict(collate=t.build, score=t.logps, policy=t.policy, reference=t.ref, loss=t.objective, step=t.train_on)
