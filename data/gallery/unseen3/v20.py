# A Qwen-like policy wrapped in our own class; the reference is rebuilt from the saved weights.
import torch
import torch.nn as nn
import torch.nn.functional as F
from transformers import Qwen2Config, Qwen2ForCausalLM


class Policy(nn.Module):
    def __init__(self, vocab, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.lm = Qwen2ForCausalLM(Qwen2Config(
            vocab_size=vocab, hidden_size=64, intermediate_size=160, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=4, max_position_embeddings=256, tie_word_embeddings=False, initializer_range=0.1,
            pad_token_id=0, bos_token_id=1, eos_token_id=1))

    def forward(self, input_ids, **kw):
        return self.lm(input_ids=input_ids, **kw)

    def save(self):
        return {"lm." + k.removeprefix("model."): v.clone() for k, v in self.lm.state_dict().items()}


def connect(model, tokenizer, pairs):
    policy = Policy(len(tokenizer), seed=1).eval()
    reference = Policy(len(tokenizer), seed=2).eval()
    reference.load_state_dict(policy.save(), strict=False)
    reference.requires_grad_(False)
    opt = torch.optim.AdamW(policy.parameters(), lr=3e-4, weight_decay=0.0)

    def collate(pairs):
        seqs = [(tokenizer.encode(p["prompt"]), tokenizer.encode(p[k]) + [tokenizer.eos_token_id])
                for k in ("chosen", "rejected") for p in pairs]
        n = max(len(a + b) for a, b in seqs)
        ids = torch.tensor([a + b + [0] * (n - len(a + b)) for a, b in seqs])
        att = torch.tensor([[1] * len(a + b) + [0] * (n - len(a + b)) for a, b in seqs])
        ans = torch.tensor([[0] * len(a) + [1] * len(b) + [0] * (n - len(a + b)) for a, b in seqs])
        return ids, att, ans

    def score(net, batch):
        ids, att, ans = batch
        lp = net(ids, attention_mask=att).logits[:, :-1].log_softmax(-1)
        s = (lp.gather(-1, ids[:, 1:, None]).squeeze(-1) * ans[:, 1:]).sum(-1)
        return s.chunk(2)

    def loss(pc, pr, rc, rr):
        return -F.logsigmoid(0.1 * ((pc - rc) - (pr - rr)))

    def step(pairs):
        batch = collate(pairs)
        opt.zero_grad()
        with torch.no_grad():
            r = score(reference, batch)
        value = loss(*score(policy, batch), *r).mean()
        value.backward()
        opt.step()
        return value.item()

    return {"collate": collate, "score": score, "policy": policy, "reference": reference, "loss": loss, "step": step}
