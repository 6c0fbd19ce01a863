"""The Scorer of the fast path: what it is asked and what it answers are the plain Scorer's."""

import torch
from torch import Tensor, nn

from ..models import Scorer, positions, read
from .head import body_of, head_logps, head_of
from .layout import FIRST, lay_out, reach_of
from .tricks import ALL, Tricks


class FastScorer(Scorer):
    """log pi(y|x) of a batch, as `models.Scorer`, from less work.

    A prompt is read once for all its responses, rows hold next to no padding, and the head works
    only where something is scored. The language model is a Hugging Face one and stays as it is;
    which tricks are sound for it says `allowed`.
    """

    def __init__(self, model: nn.Module, tricks: Tricks = ALL):
        super().__init__(model)
        self.tricks = tricks

    @property
    def shares(self) -> bool:
        """Whether responses of one prompt should lie in one batch."""
        return self.tricks.share

    def forward(self, input_ids: Tensor, attention_mask: Tensor, response_mask: Tensor) -> Tensor:
        """log pi(y|x), (B,), float32 or wider; arguments (B, T) as `tokens.collate` makes them."""
        tricks, scored = self.tricks, response_mask.any(1)
        if not tricks.head or not scored.any():
            return super().forward(input_ids, attention_mask, response_mask)
        model, batch = inner(self.model), (input_ids, attention_mask, response_mask)
        if tricks.pack:
            layout = lay_out(*batch, tricks.share, reach_of(model))
            places, labels, texts = layout.places, layout.labels, layout.texts
            hidden = hidden_states(
                model, layout.input_ids, as_bias(layout.sees, model), layout.position_ids
            )
        else:
            texts, at = response_mask.nonzero(as_tuple=True)
            if not at.all():
                raise ValueError(FIRST)
            places, labels = texts * input_ids.shape[1] + at - 1, input_ids[texts, at]
            hidden = hidden_states(model, input_ids, attention_mask, positions(attention_mask))
        logps = head_logps(hidden.flatten(0, 1)[places], head_of(model), labels)
        return logps.new_zeros(len(scored)).index_add(0, texts, logps)


def inner(model: nn.Module) -> nn.Module:
    """The language model itself, with its adapters in it, where peft stands around it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def hidden_states(model: nn.Module, ids: Tensor, mask: Tensor, position_ids: Tensor) -> Tensor:
    """What the head of a language model would read, (R, W, d)."""
    return read(body_of(model), ids, mask, position_ids, use_cache=False).last_hidden_state


def as_bias(sees: Tensor, model: nn.Module) -> Tensor:
    """Who looks at whom as a model takes it, (R, 1, W, W): 0, or the least number of its type.

    A bool mask would be added to the scores by eager attention: wrong, and no error.
    """
    dtype = next(model.parameters()).dtype
    bias = torch.zeros(sees.shape, dtype=dtype, device=sees.device)
    return bias.masked_fill_(~sees, torch.finfo(dtype).min).unsqueeze(1)
