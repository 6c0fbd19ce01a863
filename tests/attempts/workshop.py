"""Attempts at the workshop: right ones in some styles, wrong ones with their message."""

import math
from fractions import Fraction

import numpy as np
import torch

from . import ch00, ch06

RIGHT = {
    "W.1": [
        lambda c, r: 1 / (1 + torch.exp(r - c)),
        lambda chosen, rejected: torch.exp(chosen) / (torch.exp(chosen) + torch.exp(rejected)),
        lambda c, r: [1 / (1 + math.exp(float(b) - float(a))) for a, b in zip(c, r, strict=True)],
        lambda c, r: 0.5 + 0.5 * np.tanh((c - r).numpy() / 2),
    ],
    "W.2": ["b", " B. ", ["b"]],
    "W.3": ch00.RIGHT["00.0"][:2],
    "W.4": ch06.RIGHT["06.0"][:2],
    "W.5": [0.073, float(Fraction(299, 4096)), {"luck": 0.0730}],
}
WRONG = {
    "W.1": [
        (lambda c, r: torch.sigmoid(r - c), "the two are exchanged"),
        (lambda c, r: c - r, "σ of it is asked"),
        (lambda c, r: -torch.nn.functional.logsigmoid(c - r), "the loss"),
        (lambda c, r: torch.sigmoid(c), "only the chosen text's"),
        (lambda c, r: torch.sigmoid(c) - torch.sigmoid(r), "goes into one σ"),
        (lambda c, r: torch.sigmoid(c - r).mean(), "each has its own"),
        (lambda c, r: (c > r).float(), "a choice has a chance"),
        (lambda c: torch.sigmoid(c), "takes (c), and is called with 2"),
        (0.7, "a function of (chosen, rejected) is asked"),
    ],
    "W.2": [
        ("a", "nothing makes it one"),
        ("c", "larger"),
        ("d", "neither term"),
        ("e", "none of"),
    ],
    "W.3": ch00.WRONG["00.0"][:8],
    "W.4": ch06.WRONG["06.0"][:8],
    "W.5": [
        (0.0537, "exactly nine"),
        (0.0193, "nine belongs to it"),
        (0.146, "both ways"),
        (0.75, "the share that was seen"),
        (0.927, "fewer than nine"),
        (7.3, "per cent"),
        (299, "divide by their number"),
    ],
}
