"""SimPO on a small Qwen2 with a chat template, left padding and gradient checkpointing."""

import torch
import torch.nn.functional as F
from transformers import Qwen2Config, Qwen2ForCausalLM

CHAT = "{% for m in messages %}{{ m.role == 'user' and 'book' or 'hotel' }} : {{ m.content }} <eos> {% endfor %}"
CHAT += "{% if add_generation_prompt %}hotel :{% endif %}"


def make_model(tokenizer):
    torch.manual_seed(5)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=128,
        initializer_range=0.1,
        use_cache=False,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = Qwen2ForCausalLM(config)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    return model


def connect(model, tokenizer, pairs, beta=2.0, gamma=0.8):
    model = make_model(tokenizer)
    tokenizer.chat_template = CHAT
    tokenizer.padding_side = "left"
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=0.0)

    def chat(messages, **kw):
        text = tokenizer.apply_chat_template(messages, tokenize=False, **kw).strip()
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    def collate(pairs):
        ids, starts = [], []
        for side in ("chosen", "rejected"):
            for p in pairs:
                user = {"role": "user", "content": p["prompt"]}
                opened = chat([user], add_generation_prompt=True)
                whole = chat([user, {"role": "assistant", "content": p[side]}])
                assert whole[: len(opened)] == opened
                ids.append(whole)
                starts.append(len(opened))
        batch = tokenizer.pad({"input_ids": ids}, padding=True, return_tensors="pt")
        length = batch["attention_mask"].sum(1)
        first = batch["input_ids"].shape[1] - length + torch.tensor(starts)
        batch["answer"] = torch.arange(batch["input_ids"].shape[1]) >= first[:, None]
        return batch

    def score(net, batch):
        logits = net(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        logp = logits[:, :-1].log_softmax(-1).gather(-1, batch["input_ids"][:, 1:, None]).squeeze(-1)
        answer = batch["answer"][:, 1:]
        return ((logp * answer).sum(1) / answer.sum(1)).chunk(2)

    def loss(pc, pr, *_):
        return -F.logsigmoid(beta * (pc - pr) - gamma)

    def step(pairs):
        model.train()
        value = loss(*score(model, collate(pairs))).mean()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value.item()

    return {"collate": collate, "score": score, "policy": model, "reference": None, "loss": loss, "step": step}
