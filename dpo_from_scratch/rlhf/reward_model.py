"""A reward model fitted to pairs: a language model's body with one number in place of logits."""

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from ..models import device_of, pad_id, positions
from ..tokens import Example, collate, encode_rows
from ..training import TrainConfig, learning_rate, pick_rows


class Head(nn.Module):
    """A copy of a language model's body with a number for each token: a reward or a value model."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.body = copy.deepcopy(model.base_model).requires_grad_(True)
        self.out = nn.Linear(model.config.hidden_size, 1, device=device_of(model))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, response_mask: Tensor | None = None
    ) -> Tensor:
        """Numbers (B, T), one at each token, for a batch as `tokens.collate` makes it."""
        hidden = self.body(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=positions(attention_mask),
            use_cache=False,
        ).last_hidden_state
        return self.out(hidden).squeeze(-1)


def last_scores(numbers: Tensor, attention_mask: Tensor) -> Tensor:
    """The number (B,) at each row's last real token, on whichever side it is padded: its score."""
    places = torch.arange(attention_mask.shape[1], device=attention_mask.device)
    last = (attention_mask * places).argmax(-1)
    return numbers.gather(1, last.unsqueeze(-1)).squeeze(-1)


def reward_loss(
    chosen_scores: Tensor, rejected_scores: Tensor, *, margin: float = 0.0, centering: float = 0.0
) -> Tensor:
    """-log sigmoid(s_w - s_l - margin) + centering (s_w + s_l)^2, shape (B,).

    arXiv 2305.18290, eq. 2; margin: 2307.09288, eq. 2.

    The scores of a prompt are known up to a constant; `centering` keeps them near zero (0.01 in
    arXiv 2312.09244).
    """
    return (
        -logsigmoid(chosen_scores - rejected_scores - margin)
        + centering * (chosen_scores + rejected_scores) ** 2
    )


def train_reward_model(
    model: nn.Module, tokenizer, rows: list[dict], config: TrainConfig
) -> tuple[Head, list[dict]]:
    """A reward model that starts from `model`'s body, fitted to pairs on the model's device.

    Of `config`: learning rate, steps, batch size, seed. Returns it and the metrics of each step.
    """
    torch.manual_seed(config.seed)
    examples, _ = encode_rows(tokenizer, rows)
    judge, history = Head(model), []
    optimizer = torch.optim.AdamW(judge.parameters(), weight_decay=config.weight_decay)
    for step in range(config.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config)
        picked = [examples[i] for i in pick_rows(step, len(examples), config).tolist()]
        sides = [e for side in zip(*picked, strict=True) for e in side]
        batch = collate(sides, pad_id(tokenizer), device=device_of(judge))
        chosen, rejected = last_scores(judge(**batch), batch["attention_mask"]).chunk(2)
        loss = reward_loss(chosen, rejected).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(judge.parameters(), config.max_grad_norm)
        optimizer.step()
        right = (chosen > rejected).float().mean().item()
        history.append({"step": step + 1, "loss": loss.item(), "accuracy": right})
    return judge.eval().requires_grad_(False), history


@torch.no_grad()
def score_texts(judge: Head, examples: list[Example], pad: int, batch_size: int = 256) -> Tensor:
    """The judge's scores (N,) of N examples, on the judge's device."""
    out = []
    for start in range(0, len(examples), batch_size):
        part = collate(examples[start : start + batch_size], pad, device=device_of(judge))
        out.append(last_scores(judge(**part), part["attention_mask"]))
    return torch.cat(out)
