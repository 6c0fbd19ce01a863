"""Log-probabilities of tokens and responses: log pi(y|x) = sum_t log pi(y_t | x, y_<t), nats.

This is the pi(y|x) of arXiv 2305.18290, section 4, by the chain rule: a sum, never a mean (a mean
says so in its name).
"""

import torch
from torch import Tensor


def token_logps(logits: Tensor, labels: Tensor) -> Tensor:
    """log pi(labels[t] | everything before t) for t = 1 ... T-1.

    logits (B, T, V) where position t predicts token t+1; labels (B, T) token ids. Returns (B, T-1),
    float32 or wider: a bf16 log-softmax would be off by more than a nat over a hundred tokens.
    ValueError if the shapes don't fit.
    """
    if logits.dim() != 3 or logits.shape[:2] != labels.shape:
        raise ValueError(
            "logits must be (B, T, V) and labels (B, T), "
            f"got {tuple(logits.shape)} and {tuple(labels.shape)}"
        )
    logits = logits[:, :-1]  # the last position predicts a token that isn't there
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    picked = logits.gather(-1, labels[:, 1:].unsqueeze(-1)).squeeze(-1)
    return picked - logits.logsumexp(-1)


def sequence_logps(logits: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """log pi(y|x), shape (B,): the sum of token log-probabilities where mask (B, T) is True.

    The mask marks the response's tokens, end-of-text included, prompt and padding not. A marked
    token at position 0 has nothing before it that could predict it: ValueError. So are shapes that
    don't fit.
    """
    if mask.shape != labels.shape or mask.dtype != torch.bool:
        raise ValueError(
            f"mask must be bool with the shape of labels {tuple(labels.shape)}, "
            f"got {mask.dtype} {tuple(mask.shape)}"
        )
    if mask[:, 0].any():
        raise ValueError(
            "the first token of a row can't be scored: nothing comes before it "
            "(give the row a prompt or a BOS token)"
        )
    return token_logps(logits, labels).masked_fill(~mask[:, 1:], 0.0).sum(1)
