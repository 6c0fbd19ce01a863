import torch
import torch.nn.functional as F
from torch.optim import Adam


class RefCache:
    """Reference log-probs are computed once; after that the reference can leave memory."""

    def __init__(self, trainer, batch_size=4):
        self.trainer = trainer
        self.batch_size = batch_size

    @torch.no_grad()
    def compute(self, pairs):
        # similar lengths together: much less padding
        order = sorted(range(len(pairs)), key=lambda i: len(pairs[i]["chosen"]) + len(pairs[i]["rejected"]))
        cs, rs = [], []
        for i in range(0, len(order), self.batch_size):
            part = [pairs[j] for j in order[i : i + self.batch_size]]
            c, r = self.trainer.score(self.trainer.ref, self.trainer.collate(part))
            cs.append(c)
            rs.append(r)
        return torch.cat(cs), torch.cat(rs)


class CachedDPO:
    def __init__(self, model, ref, tokenizer, beta=0.1, lr=1e-4):
        self.model = model
        self.ref = ref
        self.tokenizer = tokenizer
        self.beta = beta
        self.cache = RefCache(self)
        self.optimizer = Adam(self.model.parameters(), lr=lr)

    def collate(self, pairs):
        seqs, prompt_lens = [], []
        for key in ("chosen", "rejected"):
            for pair in pairs:
                prompt = self.tokenizer.encode(pair["prompt"])
                answer = self.tokenizer.encode(pair[key])
                seqs.append(prompt + answer + [self.tokenizer.eos_token_id])
                prompt_lens.append(len(prompt))
        lens = [len(s) for s in seqs]
        m = max(lens)
        input_ids = torch.tensor([s + [self.tokenizer.pad_token_id] * (m - len(s)) for s in seqs])
        cols = torch.arange(m)
        lens, plens = torch.tensor(lens)[:, None], torch.tensor(prompt_lens)[:, None]
        return {
            "input_ids": input_ids,
            "attention_mask": (cols < lens).long(),
            "loss_mask": (cols >= plens) & (cols < lens),
        }

    def score(self, model, batch):
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        lp = torch.log_softmax(logits[:, :-1], -1)
        lp = torch.gather(lp, -1, batch["input_ids"][:, 1:].unsqueeze(-1)).squeeze(-1)
        lp = (lp * batch["loss_mask"][:, 1:]).sum(-1)
        return lp.split(len(lp) // 2)

    def loss(self, chosen, rejected, ref_chosen, ref_rejected):
        chosen_reward = self.beta * (chosen - ref_chosen)
        rejected_reward = self.beta * (rejected - ref_rejected)
        return -F.logsigmoid(chosen_reward - rejected_reward)

    def step(self, pairs):
        ref_chosen, ref_rejected = self.cache.compute(pairs)
        chosen, rejected = self.score(self.model, self.collate(pairs))
        loss = self.loss(chosen, rejected, ref_chosen, ref_rejected).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(loss)


def connect(model, tokenizer, pairs):
    """Reference numbers come from the cache."""
    import copy

    t = CachedDPO(model, copy.deepcopy(model).requires_grad_(False), tokenizer)
    return {
        "collate": t.collate,
        "score": t.score,
        "policy": t.model,
        "reference": t.ref,
        "reference_scores": t.cache.compute,
        "loss": t.loss,
        "step": t.step,
    }
