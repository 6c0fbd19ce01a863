"""float32 products by the other of a CPU's two ways, where they stay float32."""

from contextlib import contextmanager

import torch


@contextmanager
def exact_products(wanted: bool = True):
    """Within, float32 products go the way of precision "medium", if it is exact on this machine.

    On a CPU "medium" lets oneDNN make the products, often faster than the other library, and
    allows it to round to bf16. Where a trial shows that it does, the setting is left alone. It is
    put back afterwards. Each new shape costs oneDNN up to some milliseconds, once: where a step has
    less than some hundred tokens this is more than it saves.
    """
    before = torch.get_float32_matmul_precision()
    if wanted and not torch.cuda.is_available() and stays_float32("medium"):
        torch.set_float32_matmul_precision("medium")
    try:
        yield torch.get_float32_matmul_precision()
    finally:
        torch.set_float32_matmul_precision(before)


def stays_float32(precision: str) -> bool:
    """Whether a product at this setting differs from float64's by less than 1e-6, relative."""
    before = torch.get_float32_matmul_precision()
    generator = torch.Generator("cpu").manual_seed(0)
    a, b = (torch.randn(256, 256, generator=generator, device="cpu") for _ in range(2))
    torch.set_float32_matmul_precision(precision)
    try:
        error = (a @ b).double() - a.double() @ b.double()
    finally:
        torch.set_float32_matmul_precision(before)
    return float(error.norm() / (a.double() @ b.double()).norm()) < 1e-6
