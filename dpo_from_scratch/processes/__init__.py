"""Several processes, as torchrun or `accelerate launch` start them; alone, nothing of it happens.

Every process holds all rows and takes its share of each batch. What a loss needs of all rows is
gathered, so each process computes the same loss; only its own rows have a gradient there.
"""

import os


def several() -> bool:
    """Whether a launcher has started more than one process; needs no torch."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def silent() -> bool:
    """Whether this is one of several and not the first, which alone prints."""
    return several() and os.environ["RANK"] != "0"
