"""DPO on chat-formatted data with reference log-probabilities computed ahead of training."""
import copy

import torch
import torch.nn.functional as F

TEMPLATE = (
    "{% for message in messages %}<|turn|> {{ message['role'] }} : {{ message['content'] }} <|end|> {% endfor %}"
    "{% if add_generation_prompt %}<|turn|> assistant : {% endif %}"
)


def pad_rows(rows, value):
    n = max(len(r) for r in rows)
    return torch.tensor([list(r) + [value] * (n - len(r)) for r in rows])


class ChatDPO:
    def __init__(self, model, tokenizer, beta=0.1, lr=1e-4):
        tokenizer = copy.deepcopy(tokenizer)
        tokenizer.add_special_tokens({"additional_special_tokens": ["<|turn|>", "<|end|>"]})
        tokenizer.chat_template = TEMPLATE
        torch.manual_seed(5)
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        self.model, self.tokenizer = model, tokenizer
        self.ref = copy.deepcopy(model).eval().requires_grad_(False)
        self.beta = beta
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr)

    def encode_chat(self, pair, side):
        turns = [{"role": "user", "content": pair["prompt"]}]
        head = self.tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        head = self.tokenizer(head)["input_ids"]
        answer = self.tokenizer(pair[side] + " <|end|>")["input_ids"]
        return head, answer

    def encode_plain(self, pair, side):
        return self.tokenizer(pair["prompt"])["input_ids"], self.tokenizer(pair[side] + " <|end|>")["input_ids"]

    def batch_of(self, pairs, encode):
        rows = [encode(p, s) for s in ("chosen", "rejected") for p in pairs]
        return {
            "input_ids": pad_rows([a + b for a, b in rows], self.tokenizer.pad_token_id),
            "attention_mask": pad_rows([[1] * len(a + b) for a, b in rows], 0),
            "completion_mask": pad_rows([[0] * len(a) + [1] * len(b) for a, b in rows], 0),
        }

    def collate(self, pairs):
        return self.batch_of(pairs, self.encode_chat)

    def logps(self, model, batch):
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        lp = logits[:, :-1].log_softmax(-1)
        lp = lp.gather(-1, batch["input_ids"][:, 1:, None]).squeeze(-1)
        lp = (lp * batch["completion_mask"][:, 1:]).sum(-1)
        return lp.chunk(2)

    @torch.no_grad()
    def precompute(self, pairs, size=16):
        chosen, rejected = [], []
        for i in range(0, len(pairs), size):
            c, r = self.logps(self.ref, self.batch_of(pairs[i : i + size], self.encode_plain))
            chosen.append(c)
            rejected.append(r)
        return torch.cat(chosen), torch.cat(rejected)

    def loss(self, chosen, rejected, ref_chosen, ref_rejected):
        return -F.logsigmoid(self.beta * ((chosen - ref_chosen) - (rejected - ref_rejected)))

    def step(self, pairs):
        ref_chosen, ref_rejected = self.precompute(pairs)
        loss = self.loss(*self.logps(self.model, self.collate(pairs)), ref_chosen, ref_rejected).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def connect(model, tokenizer, pairs):
    """Own tokenizer (chat markers added); training reads the precomputed numbers."""
    t = ChatDPO(model, tokenizer)
    return {
        "collate": t.collate,
        "score": t.logps,
        "policy": t.model,
        "reference": t.ref,
        "reference_scores": t.precompute,
        "loss": t.loss,
        "step": t.step,
        "tokenizer": t.tokenizer,
    }
