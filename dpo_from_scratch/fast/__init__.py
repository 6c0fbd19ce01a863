"""The fast path: the same log-probabilities from less work. Chapter 21 builds each trick."""

from .head import Head, head_logps, head_of
from .layout import Layout, lay_out, reach_of
from .optimizer import ClippingAdamW
from .precision import exact_products
from .probe import sound_tricks
from .scorer import FastScorer
from .tricks import ALL, HEAD_ONLY, PLAIN, Tricks, allowed
