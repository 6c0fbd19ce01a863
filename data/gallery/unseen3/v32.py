"""TR-DPO: the reference follows the policy slowly, on purpose. Forward in bf16 autocast, weights in float32."""
import copy
import torch
import torch.nn.functional as F

BETA, FOLLOW, LR = 0.1, 0.05, 0.05


class TrustRegionDPO:
    def __init__(self, lm, tok):
        self.lm, self.tok = lm.float(), tok
        self.ref = copy.deepcopy(lm).eval().requires_grad_(False)
        self.opt = torch.optim.SGD(lm.parameters(), lr=LR)

    def collate(self, pairs):
        rows = []
        for key in ("chosen", "rejected"):
            for p in pairs:
                h, t = self.tok.encode(p["prompt"]), self.tok.encode(p[key]) + [self.tok.eos_token_id]
                rows.append((torch.tensor(h + t), torch.arange(len(h + t)) >= len(h)))
        pad = torch.nn.utils.rnn.pad_sequence
        ids = pad([i for i, _ in rows], batch_first=True, padding_value=self.tok.pad_token_id)
        return ids, pad([m for _, m in rows], batch_first=True, padding_value=False)

    def score(self, lm, batch):
        ids, m = batch
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = lm(input_ids=ids).logits
        lp = logits[:, :-1].float().log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
        return (lp * m[:, 1:]).sum(-1).chunk(2)

    def loss(self, pc, pr, rc, rr):
        return -F.logsigmoid(BETA * ((pc - rc) - (pr - rr)))

    @torch.no_grad()
    def follow(self):
        for r, p in zip(self.ref.parameters(), self.lm.parameters()):
            r.lerp_(p, FOLLOW)

    def step(self, pairs):
        batch = self.collate(pairs)
        with torch.no_grad():
            r = self.score(self.ref, batch)
        value = self.loss(*self.score(self.lm, batch), *r).mean()
        self.opt.zero_grad()
        value.backward()
        self.opt.step()
        self.follow()
        return value.item()


def connect(model, tokenizer, pairs):
    t = TrustRegionDPO(model, tokenizer)
    return {"collate": t.collate, "score": t.score, "policy": t.lm, "reference": t.ref, "loss": t.loss, "step": t.step}
