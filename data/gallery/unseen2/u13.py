import torch
from peft import LoraConfig, get_peft_model


class LoraDPO:
    """One copy of the weights: the adapters are the policy, the bare model is the reference."""

    def __init__(self, model, tokenizer, beta=0.1, lr=2e-3):
        config = LoraConfig(r=4, lora_alpha=8, target_modules=["c_attn", "c_fc"], fan_in_fan_out=True, lora_dropout=0.05)
        self.model = get_peft_model(model, config)
        self.tokenizer = tokenizer
        self.beta = beta
        trainable = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trainable, lr=lr, weight_decay=0.0)

    def collate(self, pairs):
        rows, starts = [], []
        for pair in pairs:
            prompt = self.tokenizer(pair["prompt"]).input_ids
            for answer in (pair["chosen"], pair["rejected"]):
                rows.append(prompt + self.tokenizer(answer).input_ids + [self.tokenizer.eos_token_id])
                starts.append(len(prompt))
        lengths = torch.tensor([len(r) for r in rows])
        ids = torch.full((len(rows), int(lengths.max())), self.tokenizer.pad_token_id)
        for n, row in enumerate(rows):
            ids[n, : len(row)] = torch.tensor(row)
        t = torch.arange(ids.shape[1])
        attention = (t < lengths[:, None]).long()
        response = attention.bool() & (t >= torch.tensor(starts)[:, None])
        return {"ids": ids, "attention": attention, "response": response}

    def score(self, model, batch):
        logits = model(input_ids=batch["ids"], attention_mask=batch["attention"]).logits[:, :-1]
        targets = batch["ids"][:, 1:, None]
        logps = torch.log_softmax(logits, -1).gather(-1, targets)[..., 0]
        logps = (logps * batch["response"][:, 1:]).sum(1).view(-1, 2)
        return logps[:, 0], logps[:, 1]

    @torch.no_grad()
    def reference_scores(self, pairs):
        with self.model.disable_adapter():
            return self.score(self.model, self.collate(pairs))

    def loss(self, pc, pr, rc, rr):
        margin = self.beta * ((pc - rc) - (pr - rr))
        return torch.nn.functional.binary_cross_entropy_with_logits(
            margin, torch.ones_like(margin), reduction="none"
        )

    def step(self, pairs):
        self.model.train()
        reference = self.reference_scores(pairs)
        loss = self.loss(*self.score(self.model, self.collate(pairs)), *reference).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.model.eval()
        return loss.item()


def connect(model, tokenizer, pairs):
    t = LoraDPO(model, tokenizer)
    return dict(
        collate=t.collate,
        score=t.score,
        policy=t.model,
        reference_scores=t.reference_scores,
        loss=t.loss,
        step=t.step,
    )
