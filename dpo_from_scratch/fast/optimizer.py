"""AdamW in one pass over the weights, with the clipping of the gradient inside."""

import torch
from torch import Tensor


class ClippingAdamW(torch.optim.AdamW):
    """PyTorch's fused AdamW, which divides the gradient on its way.

    `clip` measures the gradient's norm and leaves the gradient as it is; `step` then uses
    gradient * min(1, most / norm), as `clip_grad_norm_` would have left it, and leaves that behind.
    The moments' arithmetic is AdamW's own (arXiv 1711.05101), in another order: weights differ in
    the last digits. State goes from one to the other and back.
    """

    def __init__(self, weights: list[Tensor], **settings):
        super().__init__(weights, fused=True, **settings)
        self.weights = weights

    def load_state_dict(self, state: dict) -> None:
        """As AdamW's; a state that comes from AdamW would switch the fused step off."""
        super().load_state_dict(state)
        for group in self.param_groups:
            group["fused"], group["foreach"] = True, None

    @torch.no_grad()
    def clip(self, most: float) -> Tensor:
        """The gradient's norm, a scalar; the next `step` clips to `most`."""
        found = [p.grad for p in self.weights if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(found)
        # what fused steps divide by; PyTorch's own scaler of fp16 speaks to them in the same way
        self.grad_scale = ((norm + 1e-6) / most).clamp(min=1.0).float()
        self.found_inf = torch.zeros_like(self.grad_scale)
        return norm
